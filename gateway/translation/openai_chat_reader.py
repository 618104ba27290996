"""Reads a provider's chat completion, whole or streamed, into events."""

from hashlib import sha256
from typing import Any, Final

import orjson

from gateway.dialects.openai_usage import chat_usage
from gateway.stream.tap import child
from gateway.translation.canonical import (
    Begin,
    Broken,
    End,
    Event,
    Refusal,
    Stop,
    Tally,
    TextDelta,
    ThoughtDelta,
    ToolBegin,
    ToolDelta,
)
from gateway.translation.openai_complaint import broken_of
from gateway.translation.openai_pieces import Pieces, Sign

# Only the choice with index 0 is read. The end is told when nothing can follow any more: usage comes
# after the finish reason, and a few servers leave [DONE] out.

MOST_CALLS: Final = 1024
"""Tool calls of one answer."""

_STOPS: Final = {
    "stop": Stop.END,
    "length": Stop.LENGTH,
    "tool_calls": Stop.TOOLS,
    "function_call": Stop.TOOLS,
    "content_filter": Stop.FILTERED,
}


class _Call:
    """A tool call under way. number is None until its name is known, and it has begun."""

    __slots__ = ("held", "id", "number")

    def __init__(self, id: str) -> None:
        self.id = id
        self.number: int | None = None
        self.held = ""  # arguments that came before the name


class ChatReader:
    """Reads one answer; see Reader.

    Args:
        stream: the call asked for a stream.
    """

    __slots__ = ("_begun", "_calls", "_count", "_done", "_id", "_over", "_pieces", "_stop")

    def __init__(self, stream: bool) -> None:
        self._pieces = Pieces(stream)
        self._begun = False
        self._id = ""
        self._calls: dict[int, _Call] = {}
        self._count = 0  # tool calls that have begun
        self._stop: Stop | None = None
        self._done = False
        self._over = False

    def feed(self, chunk: bytes) -> list[Event]:
        return self._read_all(chunk, False)

    def finish(self) -> list[Event]:
        return self._read_all(b"", True)

    def _read_all(self, chunk: bytes, last: bool) -> list[Event]:
        events: list[Event] = []
        for piece in self._pieces.finish() if last else self._pieces.feed(chunk):
            if self._over:
                return []
            if piece is Sign.DONE:
                self._done = True
            elif isinstance(piece, Sign):
                self._break(Broken(), events)
            else:
                self._read(piece, events)
            if self._over:
                return events
        if not self._over and (self._done or (last and self._stop is not None)):
            self._end(events)
        return events

    def _read(self, tree: dict[str, Any], events: list[Event]) -> None:
        error = tree.get("error") or child(tree, "x_groq").get("error")
        if error:
            self._break(broken_of(error), events)
            return
        if not self._begun:
            self._begun = True
            self._id = _text(tree, "id")
            events.append(Begin(self._id))
        choice = _first(tree.get("choices"))
        whole = self._pieces.whole
        if whole and "message" not in choice:
            self._break(Broken(), events)
            return
        self._read_delta(child(choice, "message") if whole else child(choice, "delta"), events)
        reported = child(tree, "usage") or child(child(tree, "x_groq"), "usage")
        usage = chat_usage(reported) if reported else None
        if usage is not None and not self._over:
            events.append(Tally(usage))
        reason = choice.get("finish_reason")
        if type(reason) is str:
            self._stop = _STOPS.get(reason, Stop.END)
        elif whole:
            self._stop = Stop.END

    def _read_delta(self, delta: dict[str, Any], events: list[Event]) -> None:
        if not delta:
            return
        thought = _text(delta, "reasoning_content") or _text(delta, "reasoning")
        if thought:
            events.append(ThoughtDelta(thought))
        text = _words(delta.get("content"))
        if text:
            events.append(TextDelta(text))
        refusal = _text(delta, "refusal")
        if refusal:
            events.append(Refusal(refusal))
        calls = delta.get("tool_calls")
        for place, entry in enumerate(calls if type(calls) is list else ()):
            if type(entry) is dict and not self._over:
                self._read_call(place, entry, events)

    def _read_call(self, place: int, entry: dict[str, Any], events: list[Event]) -> None:
        function = child(entry, "function")
        index = entry.get("index")
        key = place if self._pieces.whole or type(index) is not int else index
        id = _text(entry, "id")
        call = self._calls.get(key)
        if call is None or (id and call.id and id != call.id):  # some servers give every call index 0
            call = self._calls[key] = _Call(id)
        call.id = call.id or id
        arguments = _arguments(function.get("arguments"))
        if call.number is None:
            call.held += arguments
            name = _text(function, "name")
            if name:
                self._begin(call, name, events)
        elif arguments and call.number != self._count - 1:
            self._break(Broken(), events)  # more of a call that another one has ended
        elif arguments:
            events.append(ToolDelta(call.number, arguments))

    def _begin(self, call: _Call, name: str, events: list[Event]) -> None:
        if self._count == MOST_CALLS:
            self._break(Broken(), events)
            return
        call.number = self._count
        self._count += 1
        events.append(ToolBegin(call.number, call.id or _made_id(self._id, call.number), name))
        if call.held:
            events.append(ToolDelta(call.number, call.held))
            call.held = ""

    def _end(self, events: list[Event]) -> None:
        if not self._begun:
            self._break(Broken(), events)
            return
        self._over = True
        stop = self._stop or Stop.END
        if stop in (Stop.END, Stop.TOOLS):  # where a tool was demanded, the reason is stop
            stop = Stop.TOOLS if self._count else Stop.END
        events.append(End(stop))

    def _break(self, broken: Broken, events: list[Event]) -> None:
        self._over = True
        events.append(broken)


def _first(choices: object) -> dict[str, Any]:
    """The choice with index 0; empty when there is none."""
    for choice in choices if type(choices) is list else ():
        if type(choice) is dict and choice.get("index", 0) == 0:
            return choice
    return {}


def _text(tree: dict[str, Any], key: str) -> str:
    value = tree.get(key)
    return value if type(value) is str else ""


def _words(content: object) -> str:
    """The text of a content, which some servers give as a list of parts."""
    if type(content) is str:
        return content
    parts = content if type(content) is list else []
    return "".join(_text(part, "text") for part in parts if type(part) is dict)


def _arguments(value: object) -> str:
    """Arguments as JSON text; some servers give them as an object."""
    if type(value) is str:
        return value
    return str(orjson.dumps(value), "utf-8") if type(value) is dict else ""


def _made_id(answer: str, number: int) -> str:
    """An id for a call that has none."""
    return f"call_{sha256(answer.encode()).hexdigest()[:16]}_{number}"
