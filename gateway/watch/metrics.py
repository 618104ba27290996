"""Counters and histograms of calls, as Prometheus text; labels are names from the configuration, bounded.

Source: Prometheus text exposition format 0.0.4.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import orjson

from gateway.names import Slug
from gateway.records import Record

MAX_SERIES: Final = 1000
"""Label sets of one metric; what comes after counts under "other"."""

OVERHEAD_US: Final = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000)
LATENCY_MS: Final = (10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000)

Key = tuple[str, tuple[tuple[str, str], ...]]
"""Metric and labels."""

Series = dict[Key, int]
"""(metric, labels) → value: what a process tells the one that is scraped."""

HELP: Final = {
    "gateway_calls_total": ("counter", "Calls that ended, by provider, model, kind and outcome."),
    "gateway_errors_total": ("counter", "Calls that ended in an error, by its code."),
    "gateway_tokens_total": ("counter", "Tokens, by provider, model and class."),
    "gateway_cost_nanodollars_total": ("counter", "Cost in 10^-9 US dollars, by provider and model."),
    "gateway_unpriced_calls_total": ("counter", "Calls that used something no price is known for."),
    "gateway_estimated_calls_total": ("counter", "Calls whose usage the provider did not report."),
    "gateway_overhead_microseconds": ("histogram", "Time in the gateway before the call went out."),
    "gateway_first_byte_milliseconds": ("histogram", "Time until the provider's first byte."),
    "gateway_total_milliseconds": ("histogram", "Time from arrival to the end of the call."),
}


class Metrics:
    """Sees Records and counts. Gauges are asked for when the page is made.

    Args:
        gauges: name → (help, function that tells the value now).
        before: the counters of the process whose place this one takes, so that none goes back.
    """

    def __init__(
        self,
        gauges: Mapping[str, tuple[str, Callable[[], int]]] | None = None,
        before: Series | None = None,
    ) -> None:
        self.gauges = dict(gauges or {})
        self._series = {key: value for key, value in (before or {}).items() if key[0] not in self.gauges}
        self._sizes: dict[str, int] = {}
        self._known: dict[tuple[Slug | None, Slug | None, str, str], _Keys] = {}
        for metric, _ in self._series:
            self._sizes[metric] = self._sizes.get(metric, 0) + 1

    def saw(self, record: Record) -> None:
        """Count a call."""
        call = (record.provider, record.model_routed, record.path_kind, record.outcome)
        keys = self._known.get(call)
        if keys is None:
            if len(self._known) >= MAX_SERIES:
                self._known.clear()
            keys = self._known[call] = _Keys(*call)
        self._add(keys.calls)
        if record.error_code is not None:
            self._add(("gateway_errors_total", (("code", record.error_code),)))
        if record.tokens_input:
            self._add(keys.input, record.tokens_input)
        if record.tokens_cached:
            self._add(keys.cached, record.tokens_cached)
        if record.tokens_output:
            self._add(keys.output, record.tokens_output)
        if record.tokens_reasoning:
            self._add(keys.reasoning, record.tokens_reasoning)
        if record.cost_nanos:
            self._add(keys.cost, record.cost_nanos)
        if not record.priced:
            self._add(keys.unpriced)
        if record.usage_source == "estimated":
            self._add(keys.estimated)
        if record.attempts:
            self._observe(_OVERHEAD, record.overhead_us)
        if record.first_byte_us is not None:
            self._observe(_FIRST_BYTE, record.first_byte_us // 1000)
        self._observe(_TOTAL, record.total_us // 1000)

    def series(self) -> Series:
        """All counters, gauges included: numbers and names."""
        return self._series | {(name, ()): read() for name, (_, read) in self.gauges.items()}

    def _add(self, key: Key, by: int = 1) -> None:
        if key not in self._series:
            metric, labels = key
            if self._sizes.get(metric, 0) >= MAX_SERIES:
                key = (metric, tuple((name, "other") for name, _ in labels))
            else:
                self._sizes[metric] = self._sizes.get(metric, 0) + 1
            self._series.setdefault(key, 0)
        self._series[key] += by

    def _observe(self, histogram: "_Histogram", value: int) -> None:
        self._add(histogram.buckets[bisect_left(histogram.bounds, value)])
        self._add(histogram.sum, value)
        self._add(histogram.count)


class _Keys:
    """The keys of the counters for calls of one provider, model, kind and outcome."""

    __slots__ = (
        "cached", "calls", "cost", "estimated", "input", "output", "reasoning", "unpriced",
    )  # fmt: skip

    def __init__(self, provider: Slug | None, model: Slug | None, kind: str, outcome: str) -> None:
        place = (("provider", provider or Slug("none")), ("model", model or Slug("none")))
        self.calls: Key = ("gateway_calls_total", (*place, ("kind", kind), ("outcome", outcome)))
        self.input, self.cached, self.output, self.reasoning = (
            ("gateway_tokens_total", (*place, ("class", name)))
            for name in ("input", "cached", "output", "reasoning")
        )
        self.cost: Key = ("gateway_cost_nanodollars_total", place)
        self.unpriced: Key = ("gateway_unpriced_calls_total", place)
        self.estimated: Key = ("gateway_estimated_calls_total", place)


class _Histogram:
    """The keys of a histogram."""

    __slots__ = ("bounds", "buckets", "count", "sum")

    def __init__(self, metric: str, bounds: tuple[int, ...]) -> None:
        self.bounds = bounds
        self.buckets: tuple[Key, ...] = tuple(
            (f"{metric}_bucket", (("le", str(bound)),)) for bound in (*bounds, "+Inf")
        )
        self.sum: Key = (f"{metric}_sum", ())
        self.count: Key = (f"{metric}_count", ())


_OVERHEAD: Final = _Histogram("gateway_overhead_microseconds", OVERHEAD_US)
_FIRST_BYTE: Final = _Histogram("gateway_first_byte_milliseconds", LATENCY_MS)
_TOTAL: Final = _Histogram("gateway_total_milliseconds", LATENCY_MS)


def pack(series: Series) -> bytes:
    """A process's series as bytes, for the process that is scraped."""
    return orjson.dumps([[name, labels, value] for (name, labels), value in series.items()])


def unpack(data: bytes) -> Series:
    """The same back.

    Raises:
        ValueError: the bytes are no series.
    """
    try:
        return {
            (str(name), tuple((str(key), str(text)) for key, text in labels)): int(value)
            for name, labels, value in orjson.loads(data)
        }
    except (TypeError, ValueError):
        raise ValueError("no series") from None


def merge(parts: Iterable[Series]) -> Series:
    """The sum of the series of several processes."""
    total: Series = {}
    for part in parts:
        for key, value in part.items():
            total[key] = total.get(key, 0) + value
    return total


def render(series: Series, gauges: Mapping[str, str]) -> str:
    """Prometheus text. gauges: name → help."""
    lines: list[str] = []
    for metric, (kind, text) in HELP.items():
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} {kind}"]
        lines += _histogram(metric, series) if kind == "histogram" else _plain(metric, series)
    for metric, text in gauges.items():
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} gauge", *_plain(metric, series)]
    return "\n".join(lines) + "\n"


def _plain(metric: str, series: Series) -> list[str]:
    return [
        f"{metric}{_labels(labels)} {value}" for (name, labels), value in series.items() if name == metric
    ]


def _histogram(metric: str, series: Series) -> list[str]:
    bounds = OVERHEAD_US if metric == "gateway_overhead_microseconds" else LATENCY_MS
    lines, running = [], 0
    for bound in (*map(str, bounds), "+Inf"):
        running += series.get((f"{metric}_bucket", (("le", bound),)), 0)
        lines.append(f'{metric}_bucket{{le="{bound}"}} {running}')
    for part in ("sum", "count"):
        lines.append(f"{metric}_{part} {series.get((f'{metric}_{part}', ()), 0)}")
    return lines


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""
