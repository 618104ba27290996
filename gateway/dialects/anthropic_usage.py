"""The numbers in Anthropic's answers."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.stream.tap import child, count, find_object
from gateway.usage import Aside, Reading, ServiceTier, Source, Usage

# A stream says its usage twice: message_start has the input, message_delta what it came to. The
# later report overrides the earlier one field by field, upwards and downwards; a field that the
# later one leaves out (the split of cache writes by time) stays. The totals leave out what the
# answer used at other models: entries of `iterations` whose type is not "message". Those become
# asides. Source: recorded answers, and the types of Anthropic's own libraries.

TIERS: Final = {
    "standard": ServiceTier.STANDARD,
    "priority": ServiceTier.PRIORITY,
    "batch": ServiceTier.BATCH,
}

ANYWHERE: Final = frozenset({"", "global", "not_available"})
"""Values of inference_geo that cost nothing extra."""

COUNTS: Final = (
    "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens",
)  # fmt: skip

FREE_TOOLS: Final = frozenset({"web_search_requests", "web_fetch_requests"})
"""Not counted as tool units: searches have a unit of their own, fetches cost tokens only."""

_model = re.compile(rb'"model"\s*:\s*"([^"\\]{1,128})"').search


class MessageReader:
    """Reads a message, whole or streamed.

    Args:
        model: as the caller named it; stands for the model until the answer names its own.
    """

    __slots__ = ("_fields", "_final", "_model", "_salvaged", "_stopped")

    marks = (b'"usage"', b'"message_stop"')
    texts = (b'"text":', b'"thinking":', b'"partial_json":')

    def __init__(self, model: str) -> None:
        self._model = model
        self._fields: dict[str, Any] = {}
        self._final = False  # the output's count is no longer the first guess
        self._stopped = False
        self._salvaged = False

    def read(self, name: bytes | None, tree: Any) -> None:
        """A whole message, or one of the three events that matter."""
        kind = tree.get("type") if type(tree) is dict else None
        if kind == "message":
            self._begin(tree)
            self._final = self._stopped = True
        elif kind == "message_start":
            self._begin(child(tree, "message"))
        elif kind == "message_delta":
            self._override(child(tree, "usage"))
            self._final = self._final or bool(child(tree, "usage"))
        elif kind == "message_stop":
            self._stopped = True

    def close(self, data: bytes) -> bool:
        """Nothing but JSON ends this stream."""
        return False

    def salvage(self, name: bytes | None, head: bytes, tail: bytes) -> None:
        """A message's usage follows its content; a stream's large events hold content and no usage."""
        if self._final or name not in (None, b"message_delta"):
            return
        usage = find_object(tail, b'"usage"')
        if "output_tokens" not in usage:
            return
        named = _model(head)
        if named is not None:
            self._model = named[1].decode("utf-8", "replace")
        self._override(usage)
        self._final = self._salvaged = True

    def reading(self, seen: int) -> Reading | None:
        """The totals, and beside them what other models used.

        Args:
            seen: estimated output tokens; they stand in when the stream was cut before its message_delta.
        """
        fields = self._fields
        usage, asides = _settle(fields, self._model)
        if not fields or usage is None or asides is None:
            return None
        source = Source.SALVAGED if self._salvaged else Source.REPORTED
        if not self._final:
            source = Source.ESTIMATED
            usage = replace(usage, output=max(usage.output, seen))
        geo = fields.get("inference_geo")
        return Reading(
            usage=usage,
            source=source,
            tier=TIERS.get(str(fields.get("service_tier", "standard")), ServiceTier.UNKNOWN),
            asides=asides,
            regional=isinstance(geo, str) and geo not in ANYWHERE,
            fast=fields.get("speed") == "fast",
        )

    @property
    def complete(self) -> bool:
        """message_stop was seen, or a whole message."""
        return self._stopped

    def _begin(self, message: Mapping[str, Any]) -> None:
        model = message.get("model")
        if isinstance(model, str):
            self._model = model
        self._override(child(message, "usage"))

    def _override(self, usage: Mapping[str, Any]) -> None:
        self._fields.update((name, value) for name, value in usage.items() if value is not None)


def _settle(fields: dict[str, Any], model: str) -> tuple[Usage | None, tuple[Aside, ...] | None]:
    """The usage at the answer's own model, and at others; None where numbers are not to be believed."""
    iterations = fields.get("iterations")
    entries = [entry for entry in iterations if type(entry) is dict] if type(iterations) is list else []
    others = [entry for entry in entries if entry.get("type") != "message"]
    asides = []
    for entry in others:
        usage = _usage(entry)
        if usage is None:
            return _usage(fields), None
        named = entry.get("model")
        asides.append(Aside(model=named if isinstance(named, str) else model, usage=usage))
    if any(entry.get("type") == "fallback_message" for entry in others):
        fields = _without_fallback(fields, entries)
    return _usage(fields), tuple(asides)


def _without_fallback(fields: dict[str, Any], entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The totals less what a fallback model used, if they hold it."""
    own = _summed(entries, "message")
    fallback = _summed(entries, "fallback_message")
    totals = {name: count(fields, name) or 0 for name in COUNTS}
    if own == totals or any(fallback[name] > totals[name] for name in COUNTS):
        return fields
    return {**fields, **{name: totals[name] - fallback[name] for name in COUNTS}}


def _summed(entries: list[dict[str, Any]], kind: str) -> dict[str, int]:
    chosen = [entry for entry in entries if entry.get("type") == kind]
    return {name: sum(count(entry, name) or 0 for entry in chosen) for name in COUNTS}


def _usage(fields: Mapping[str, Any]) -> Usage | None:
    """The usage of an answer, or of one iteration of it; None when a number is not to be believed."""
    split = child(fields, "cache_creation")
    tools = child(fields, "server_tool_use")
    try:
        read = _number(fields, "cache_read_input_tokens")
        long = _number(split, "ephemeral_1h_input_tokens")
        written = _number(split, "ephemeral_5m_input_tokens") + long
        if fields.get("cache_creation_input_tokens") is not None:
            written = _number(fields, "cache_creation_input_tokens")
        output = _number(fields, "output_tokens")
        return Usage(
            input=_number(fields, "input_tokens") + written + read,
            cached=read,
            write_5m=written - min(long, written),
            write_1h=min(long, written),
            output=output,
            reasoning=min(_number(child(fields, "output_tokens_details"), "thinking_tokens"), output),
            searches=_number(tools, "web_search_requests"),
            tool_units=sum(_number(tools, name) for name in tools if name not in FREE_TOOLS),
        )
    except ValueError:
        return None


def _number(tree: Mapping[str, Any], key: str) -> int:
    value = count(tree, key)
    if value is None:
        raise ValueError("no count")
    return value
