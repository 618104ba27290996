"""Reads answers of Anthropic's Messages API, whole and streamed, as events of the middle form."""

from collections.abc import Callable
from typing import Any, Final

import orjson

from gateway.dialects.anthropic_usage import MessageReader
from gateway.stream.sse import Frames
from gateway.stream.tap import child
from gateway.translation.canonical import (
    Begin,
    Broken,
    End,
    Event,
    Maker,
    Refusal,
    Stop,
    Tally,
    TextDelta,
    ThoughtDelta,
    ToolBegin,
    ToolDelta,
)

EVENT_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of the largest event of a stream that is held; a larger one breaks the answer."""

BODY_LIMIT: Final = 32 * 1024 * 1024
"""Bytes of the largest whole answer that is held."""

MOST_TOOLS: Final = 10_000
"""Tool calls in one answer. Far above what a model makes."""

STOPS: Final = {
    "end_turn": Stop.END,
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
    "stop_sequence": Stop.STOP_SEQUENCE,
    "tool_use": Stop.TOOLS,
    "pause_turn": Stop.PAUSED,
    "refusal": Stop.FILTERED,
}
"""Others, and none, count as END."""

BUSY: Final = frozenset({"overloaded_error", "rate_limit_error"})


class WholeReader:
    """Reads one message.

    Args:
        limit: bytes of the largest message.
    """

    __slots__ = ("_chunks", "_held", "_limit")

    def __init__(self, limit: int = BODY_LIMIT) -> None:
        self._chunks: list[bytes] = []
        self._held = 0
        self._limit = limit

    def feed(self, chunk: bytes) -> list[Event]:
        """Nothing: a message has its usage at its end, and none is longer than can be held."""
        self._held += len(chunk)
        if self._held <= self._limit:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()
        return []

    def finish(self) -> list[Event]:
        """The whole answer, or Broken."""
        tree = _tree(b"".join(self._chunks))
        if tree is None:
            return [Broken()]
        if tree.get("type") == "error":
            return [_broken(tree)]
        if type(tree.get("content")) is not list:
            return [Broken()]
        lines = StreamReader()
        events = lines.take({"type": "message_start", "message": tree})
        for index, block in enumerate(tree["content"]):
            events += lines.take({"type": "content_block_start", "index": index, "content_block": block})
            events += lines.take({"type": "content_block_stop", "index": index})
        events += lines.take({"type": "message_delta", "delta": tree, "usage": tree.get("usage")})
        return events + lines.take({"type": "message_stop"})


class StreamReader:
    """Reads the events of a message; also a message or an error in plain JSON, where a provider sends that.

    Args:
        limit: bytes of the largest event.
    """

    __slots__ = (
        "_begun", "_done", "_frames", "_handlers", "_refusal", "_sequence", "_silent", "_sniffed", "_stop",
        "_tools", "_usage", "_whole", "_writing",
    )  # fmt: skip

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._frames = Frames(limit)
        self._sniffed = False  # the first byte was seen
        self._whole: WholeReader | None = None
        self._begun = False  # Begin was given
        self._done = False  # End or Broken was given
        self._usage = MessageReader("")
        self._tools = 0  # tool calls so far
        self._writing: dict[int, int] = {}  # the tool call that an open block is, by the block's index
        self._silent: set[int] = set()  # tool calls that have no arguments yet
        self._stop = Stop.END
        self._sequence = ""
        self._refusal = ""
        self._handlers: dict[str, Callable[[dict[str, Any]], list[Event]]] = {
            "content_block_start": self._start,
            "content_block_delta": self._delta,
            "content_block_stop": self._close,
            "message_delta": self._message_delta,
            "message_stop": self._end,
        }

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that these bytes complete."""
        if self._done:
            return []
        if not self._sniffed:
            chunk = chunk.lstrip()
            self._sniffed = bool(chunk)
            if chunk.startswith(b"{"):
                self._whole = WholeReader()
        if self._whole is not None:
            return self._whole.feed(chunk)
        return self._events(self._frames.feed(chunk))

    def finish(self) -> list[Event]:
        """What the end of the body completes."""
        if self._whole is not None:
            return self._whole.finish()
        rest = self._frames.rest()
        return self._events([] if rest is None else [rest])

    def take(self, tree: dict[str, Any]) -> list[Event]:
        """The events of one parsed event of the stream."""
        if self._done:
            return []
        kind = tree.get("type")
        if kind == "error":
            self._done = True
            return [_broken(tree)]
        if type(kind) is not str or (kind != "message_start" and kind not in self._handlers):
            return []
        self._usage.read(None, tree)
        begin: list[Event] = []
        if not self._begun:
            self._begun = True
            begin.append(Begin(_text(child(tree, "message"), "id")))
        handler = self._handlers.get(kind)
        return begin + handler(tree) if handler is not None else begin

    def _events(self, frames: list[tuple[bytes | None, bytes]]) -> list[Event]:
        if self._frames.dropped and not self._done:
            return self._break()
        events: list[Event] = []
        for _, data in frames:
            tree = _tree(data)
            if tree is not None:
                events += self.take(tree)
            elif not self._done:
                return events + self._break()
        return events

    def _break(self) -> list[Event]:
        self._done = True
        return [Broken()]

    def _start(self, tree: dict[str, Any]) -> list[Event]:
        block = child(tree, "content_block")
        kind = block.get("type")
        if kind == "text":
            return _words(_text(block, "text"))
        if kind == "thinking":
            return _thoughts(_text(block, "thinking")) + _seal(_text(block, "signature"))
        if kind == "redacted_thinking":
            return _seal(_text(block, "data"), redacted=True)
        if kind == "tool_use":
            return self._begin_tool(tree.get("index"), block)
        return []

    def _begin_tool(self, index: Any, block: dict[str, Any]) -> list[Event]:
        tool = self._tools
        if tool >= MOST_TOOLS or type(index) is not int:
            return self._break()
        self._tools += 1
        self._writing[index] = tool
        begin = ToolBegin(tool, _text(block, "id"), _text(block, "name"))
        given = child(block, "input")
        if not given:
            self._silent.add(tool)
            return [begin]
        try:
            return [begin, ToolDelta(tool, orjson.dumps(given).decode())]
        except orjson.JSONEncodeError:  # deeper than it can be written
            return self._break()

    def _delta(self, tree: dict[str, Any]) -> list[Event]:
        delta = child(tree, "delta")
        kind = delta.get("type")
        if kind == "text_delta":
            return _words(_text(delta, "text"))
        if kind == "thinking_delta":
            return _thoughts(_text(delta, "thinking"))
        if kind == "signature_delta":
            return _seal(_text(delta, "signature"))
        if kind != "input_json_delta":
            return []
        index, arguments = tree.get("index"), _text(delta, "partial_json")
        tool = self._writing.get(index) if type(index) is int else None
        if tool is None or not arguments:
            return []
        self._silent.discard(tool)
        return [ToolDelta(tool, arguments)]

    def _close(self, tree: dict[str, Any]) -> list[Event]:
        """A call without arguments says so at its end: others would take an empty text for no JSON."""
        index = tree.get("index")
        tool = self._writing.pop(index, None) if type(index) is int else None
        if tool is None or tool not in self._silent:
            return []
        self._silent.discard(tool)
        return [ToolDelta(tool, "{}")]

    def _message_delta(self, tree: dict[str, Any]) -> list[Event]:
        delta = child(tree, "delta")
        self._stop = STOPS.get(_text(delta, "stop_reason"), self._stop)
        self._sequence = _text(delta, "stop_sequence")
        self._refusal = _text(child(delta, "stop_details"), "explanation")
        reading = self._usage.reading(0)
        return [] if reading is None else [Tally(reading.usage)]

    def _end(self, tree: dict[str, Any]) -> list[Event]:
        self._done = True
        events: list[Event] = []
        if self._refusal and self._stop is Stop.FILTERED:
            events.append(Refusal(self._refusal))
        return [*events, End(self._stop, self._sequence)]


def _tree(data: bytes) -> dict[str, Any] | None:
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return tree if type(tree) is dict else None


def _text(tree: dict[str, Any], field: str) -> str:
    value = tree.get(field)
    return value if type(value) is str else ""


def _words(text: str) -> list[Event]:
    return [TextDelta(text)] if text else []


def _thoughts(text: str) -> list[Event]:
    return [ThoughtDelta(text)] if text else []


def _seal(signature: str, redacted: bool = False) -> list[Event]:
    if not signature:
        return []
    return [ThoughtDelta(signature=signature, maker=Maker.ANTHROPIC, redacted=redacted)]


def _broken(tree: dict[str, Any]) -> Broken:
    return Broken(busy=_text(child(tree, "error"), "type") in BUSY)
