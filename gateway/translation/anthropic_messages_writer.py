"""Writes answers in Anthropic's dialect, whole and streamed."""

import re
from collections.abc import Iterable
from typing import Final

import orjson

from gateway.translation.anthropic_messages_arguments import object_of
from gateway.translation.anthropic_messages_sequence import Blocks, Wire
from gateway.translation.canonical import End, Event, Stop, Tally
from gateway.translation.tongue import Reply
from gateway.usage import NOTHING, Usage

STOPS: Final = {
    Stop.END: "end_turn",
    Stop.LENGTH: "max_tokens",
    Stop.TOOLS: "tool_use",
    Stop.STOP_SEQUENCE: "stop_sequence",
    Stop.FILTERED: "refusal",
    Stop.PAUSED: "pause_turn",
}

_strange = re.compile(r"[^a-zA-Z0-9_]+")


class StreamWriter:
    """Writes an answer as the events of a stream."""

    __slots__ = ("_answer", "_blocks", "_end", "_reply", "_started", "_usage")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._blocks = Blocks(reply.id)
        self._started = False
        self._usage = NOTHING
        self._end = End(Stop.END)

    def write(self, events: Iterable[Event]) -> bytes:
        """The wire events; those that end the message come with finish()."""
        return b"".join(map(_framed, self.wires(events)))

    def finish(self) -> bytes:
        """message_delta, which has the usage that message_start could not know, and message_stop."""
        return b"".join(map(_framed, self.last_wires()))

    def wires(self, events: Iterable[Event]) -> list[Wire]:
        """The wire events as objects."""
        wires: list[Wire] = []
        for event in events:
            if not self._started:
                self._started = True
                wires.append({"type": "message_start", "message": message(self._reply, NOTHING)})
            if isinstance(event, Tally):
                self._usage = event.usage
            elif isinstance(event, End):
                self._end = event
                wires += self._blocks.close()
            else:
                wires += self._blocks.take(event)
        return wires

    def last_wires(self) -> list[Wire]:
        """The last wire events as objects."""
        stop = self._end.stop
        if stop is Stop.END and self._blocks.refused:
            stop = Stop.FILTERED
        delta = {"stop_reason": STOPS[stop], "stop_sequence": self._end.sequence or None}
        return [
            {"type": "message_delta", "delta": delta, "usage": usage_of(self._usage)},
            {"type": "message_stop"},
        ]


class WholeWriter:
    """Writes an answer as one message: what its stream would come to."""

    __slots__ = ("_arguments", "_blocks", "_reply", "_stream", "_texts")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._stream = StreamWriter(reply)
        self._blocks: list[Wire] = []
        self._texts: list[list[str]] = []  # the pieces of each block's text

    def write(self, events: Iterable[Event]) -> bytes:
        """Nothing yet."""
        for wire in self._stream.wires(events):
            self._add(wire)
        return b""

    def finish(self) -> bytes:
        """The message."""
        last, _ = self._stream.last_wires()
        whole = message(self._reply, NOTHING) | last["delta"]
        whole["usage"] = last["usage"]
        whole["content"] = [_filled(*pair) for pair in zip(self._blocks, self._texts, strict=True)]
        return orjson.dumps(whole)

    def _add(self, wire: Wire) -> None:
        if wire["type"] == "content_block_start":
            self._blocks.append(wire["content_block"])
            self._texts.append([])
        elif wire["type"] == "content_block_delta":
            delta = wire["delta"]
            if delta["type"] == "signature_delta":
                self._blocks[-1]["signature"] = delta["signature"]
            else:
                self._texts[-1].append(delta.get("text") or delta.get("thinking") or delta["partial_json"])


def message(reply: Reply, usage: Usage) -> Wire:
    """A message without content, as a stream begins with it."""
    return {
        "id": "msg_" + _strange.sub("_", reply.id),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage_of(usage),
    }


def usage_of(usage: Usage) -> Wire:
    """Usage in Anthropic's shape: what was cached or written stands beside input_tokens, not inside."""
    written = usage.write_5m + usage.write_1h
    counts: Wire = {
        "input_tokens": max(0, usage.input - usage.cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
    }
    if written:
        counts["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.write_5m,
            "ephemeral_1h_input_tokens": usage.write_1h,
        }
    if usage.reasoning:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.searches:
        counts["server_tool_use"] = {"web_search_requests": usage.searches, "web_fetch_requests": 0}
    return counts


def _filled(block: Wire, texts: list[str]) -> Wire:
    """A block with all its text; arguments that are no object, as where an answer was cut, are none."""
    text = "".join(texts)
    if block["type"] == "tool_use":
        return block | {"input": object_of(text) or {}}
    if block["type"] in ("text", "thinking"):
        return block | {block["type"]: text}
    return block


def _framed(wire: Wire) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (wire["type"].encode(), orjson.dumps(wire))
