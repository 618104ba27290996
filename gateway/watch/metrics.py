"""Counters and histograms of calls, as Prometheus text; labels are names from the configuration, bounded.

Source: Prometheus text exposition format 0.0.4.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

import orjson

from gateway.names import Slug
from gateway.records import Record
from gateway.usage import Source

MAX_SERIES: Final = 1000
"""Label sets of one metric; what comes after counts under "other"."""

OVERHEAD_US: Final = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000)
LATENCY_MS: Final = (10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000)

SAVED: Final = ("routing", "downgrade", "cache")
"""Kinds of saving: the columns saved_…_nanos of a record."""

Key = tuple[str, tuple[tuple[str, str], ...]]
"""Metric and labels."""

Values = Mapping[tuple[tuple[str, str], ...], int]
"""Labels → value, of a gauge that has labels."""

Gauges = Mapping[str, tuple[str, Callable[[], int | Values]]]
"""Name → (help, function that tells the value now, or a value for each set of labels)."""

Series = dict[Key, int]
"""(metric, labels) → value: what a process tells the one that is scraped."""

HELP: Final = {
    "gateway_calls_total": ("counter", "Calls that ended, by provider, model, kind and outcome."),
    "gateway_errors_total": ("counter", "Calls that ended in an error, by its code."),
    "gateway_tokens_total": ("counter", "Tokens, by provider, model and class."),
    "gateway_cost_nanodollars_total": ("counter", "Cost in 10^-9 US dollars, by provider and model."),
    "gateway_baseline_nanodollars_total": ("counter", "What calls with a known baseline would have cost."),
    "gateway_saved_nanodollars_total": ("counter", "Saved in 10^-9 US dollars, by kind."),
    "gateway_overspent_nanodollars_total": ("counter", "Lost in 10^-9 US dollars, by kind: savings below 0."),
    "gateway_unpriced_calls_total": ("counter", "Calls that used something no price is known for."),
    "gateway_estimated_calls_total": ("counter", "Calls whose usage the provider did not report."),
    "gateway_overhead_microseconds": ("histogram", "Time in the gateway before the call went out."),
    "gateway_first_byte_milliseconds": ("histogram", "Time until the provider's first byte."),
    "gateway_total_milliseconds": ("histogram", "Time from arrival to the end of the call."),
}


class Metrics:
    """Sees Records and counts. Gauges are asked for when the page is made.

    Args:
        gauges: asked when the page is made; of one with labels the first MAX_SERIES are shown.
        before: the counters of the process whose place this one takes, so that none goes back.
    """

    def __init__(
        self,
        gauges: Gauges | None = None,
        before: Series | None = None,
    ) -> None:
        self.gauges = dict(gauges or {})
        self._series = {key: value for key, value in (before or {}).items() if key[0] not in self.gauges}
        self._sizes: dict[str, int] = {}
        self._counts: dict[tuple[Slug | None, Slug | None, str, str], _Counts] = {}
        self._errors: dict[Slug, int] = {}
        self._savings = _Savings()
        self._overhead = _Histogram("gateway_overhead_microseconds", OVERHEAD_US)
        self._first_byte = _Histogram("gateway_first_byte_milliseconds", LATENCY_MS)
        self._total = _Histogram("gateway_total_milliseconds", LATENCY_MS)
        for metric, _ in self._series:
            self._sizes[metric] = self._sizes.get(metric, 0) + 1

    def saw(self, record: Record) -> None:
        """Count a call."""
        call = (record.provider, record.model_routed, record.path_kind, record.outcome)
        counts = self._counts.get(call)
        if counts is None:
            if len(self._counts) >= MAX_SERIES:
                self._gather()
                self._counts.clear()
            counts = self._counts[call] = _Counts()
        counts.calls += 1
        counts.input += record.tokens_input
        counts.cached += record.tokens_cached
        counts.output += record.tokens_output
        counts.reasoning += record.tokens_reasoning
        if record.cost_nanos is not None:
            counts.cost += record.cost_nanos
        if not record.priced:
            counts.unpriced += 1
        if record.baseline_nanos is not None:
            self._savings.add(record)
        if record.usage_source is Source.ESTIMATED:
            counts.estimated += 1
        if record.error_code is not None:
            self._errors[record.error_code] = self._errors.get(record.error_code, 0) + 1
        if record.attempts:
            self._overhead.add(record.overhead_us)
        if record.first_byte_us is not None:
            self._first_byte.add(record.first_byte_us // 1000)
        self._total.add(record.total_us // 1000)

    def series(self) -> Series:
        """All counters, gauges included: numbers and names."""
        self._gather()
        found: Series = {}
        for name, (_, read) in self.gauges.items():
            value = read()
            labelled = {(): value} if isinstance(value, int) else value
            found |= {(name, labels): one for labels, one in islice(labelled.items(), MAX_SERIES)}
        return self._series | found

    def _gather(self) -> None:
        """Add what was counted since the last time to the series. Their keys are dear, so calls have none."""
        for call, counts in self._counts.items():
            for key, value in counts.take(call):
                self._add(key, value)
        for code, value in self._errors.items():
            self._add(("gateway_errors_total", (("code", code),)), value)
        self._errors.clear()
        for key, value in self._savings.take():
            self._add(key, value)
        for histogram in (self._overhead, self._first_byte, self._total):
            for key, value in histogram.take():
                self._add(key, value)

    def _add(self, key: Key, by: int) -> None:
        if not by:
            return
        if key not in self._series:
            metric, labels = key
            if self._sizes.get(metric, 0) >= MAX_SERIES:
                key = (metric, tuple((name, "other") for name, _ in labels))
            else:
                self._sizes[metric] = self._sizes.get(metric, 0) + 1
            self._series.setdefault(key, 0)
        self._series[key] += by


class _Counts:
    """What was counted of calls of one provider, model, kind and outcome, until it is taken."""

    __slots__ = (
        "cached", "calls", "cost", "estimated", "input", "output", "reasoning", "unpriced",
    )  # fmt: skip

    def __init__(self) -> None:
        self.calls = self.input = self.cached = self.output = self.reasoning = 0
        self.cost = self.unpriced = self.estimated = 0

    def take(self, call: tuple[Slug | None, Slug | None, str, str]) -> Iterator[tuple[Key, int]]:
        """The counters of these calls, which begin again at 0."""
        provider, model, kind, outcome = call
        place = (("provider", provider or Slug("none")), ("model", model or Slug("none")))
        yield ("gateway_calls_total", (*place, ("kind", kind), ("outcome", outcome))), self.calls
        yield ("gateway_tokens_total", (*place, ("class", "input"))), self.input
        yield ("gateway_tokens_total", (*place, ("class", "cached"))), self.cached
        yield ("gateway_tokens_total", (*place, ("class", "output"))), self.output
        yield ("gateway_tokens_total", (*place, ("class", "reasoning"))), self.reasoning
        yield ("gateway_cost_nanodollars_total", place), self.cost
        yield ("gateway_unpriced_calls_total", place), self.unpriced
        yield ("gateway_estimated_calls_total", place), self.estimated
        self.calls = self.input = self.cached = self.output = self.reasoning = 0
        self.cost = self.unpriced = self.estimated = 0


class _Savings:
    """What was saved and lost, by kind, until it is taken. Counters never go back, so there are two."""

    __slots__ = ("_baseline", "_lost", "_saved")

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._baseline = 0
        self._saved = dict.fromkeys(SAVED, 0)
        self._lost = dict.fromkeys(SAVED, 0)

    def add(self, record: Record) -> None:
        """Count a call whose baseline is known."""
        self._baseline += record.baseline_nanos or 0
        for kind, nanos in (
            ("routing", record.saved_routing_nanos),
            ("downgrade", record.saved_downgrade_nanos),
            ("cache", record.saved_cache_nanos),
        ):
            if nanos:
                part = self._saved if nanos > 0 else self._lost
                part[kind] += abs(nanos)

    def take(self) -> Iterator[tuple[Key, int]]:
        """The counters, which begin again at 0."""
        yield ("gateway_baseline_nanodollars_total", ()), self._baseline
        for kind in SAVED:
            yield ("gateway_saved_nanodollars_total", (("kind", kind),)), self._saved[kind]
            yield ("gateway_overspent_nanodollars_total", (("kind", kind),)), self._lost[kind]
        self._clear()


class _Histogram:
    """What was measured, by bounds, until it is taken."""

    __slots__ = ("_bounds", "_counts", "_metric", "_sum")

    def __init__(self, metric: str, bounds: tuple[int, ...]) -> None:
        self._metric = metric
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0

    def add(self, value: int) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def take(self) -> Iterator[tuple[Key, int]]:
        """The counters, which begin again at 0."""
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            yield (f"{self._metric}_bucket", (("le", str(bound)),)), count
        yield (f"{self._metric}_sum", ()), self._sum
        yield (f"{self._metric}_count", ()), sum(self._counts)
        self._counts = [0] * len(self._counts)
        self._sum = 0


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
