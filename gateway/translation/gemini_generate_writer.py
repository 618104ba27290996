"""Events, written as an answer in Gemini's dialect: whole, as server-sent events, or as one array."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway.dialects.gemini_wire import in_events
from gateway.translation.canonical import (
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
from gateway.translation.gemini_generate_history import RAW
from gateway.translation.gemini_generate_signature import STAND_INS, pack
from gateway.translation.tongue import Reply
from gateway.usage import Usage

# Source: Gemini API reference, GenerateContentResponse. A function call stands whole in one part, so its
# arguments are collected until something else follows the calls. Calls may be told interleaved.

CALL_LIMIT: Final = 8 * 1024 * 1024
"""Characters of arguments that are held, of all calls that are under way."""

STAND_IN: Final = STAND_INS[1]
"""In the alphabet of base64 that all libraries read."""

_REASONS: Final = {Stop.LENGTH: "MAX_TOKENS", Stop.FILTERED: "SAFETY"}
_LINE_ENDS: Final = bytes(0x20 if byte in b"\r\n" else byte for byte in range(256))


@dataclass(slots=True, repr=False)
class _Words:
    """Text or thought under way."""

    thought: bool
    pieces: list[str] = field(default_factory=list)
    signature: str = ""

    def part(self) -> dict[str, Any]:
        made: dict[str, Any] = {"text": "".join(self.pieces)}
        if self.thought:
            made["thought"] = True
        return made | ({"thoughtSignature": self.signature} if self.signature else {})


@dataclass(slots=True, repr=False)
class _Call:
    """A function call under way."""

    id: str
    name: str
    signature: str
    pieces: list[str] = field(default_factory=list)

    def part(self) -> dict[str, Any]:
        made: dict[str, Any] = {"id": self.id} if self.id else {}
        part = {"functionCall": {**made, "name": self.name, "args": _args("".join(self.pieces))}}
        return part | ({"thoughtSignature": self.signature} if self.signature else {})


def _args(text: str) -> Any:
    """The arguments, as they were written, if they are a JSON object; else the text that they are."""
    try:
        tree = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        tree = None
    if type(tree) is not dict:
        return {RAW: text}
    # Line ends can only stand between the words of JSON, and would end an event there.
    return orjson.Fragment(text.encode().translate(_LINE_ENDS)) if text else tree


class _Parts:
    """Turns events into the parts of an answer."""

    __slots__ = ("_calls", "_held", "_parts", "_sealed", "_thinking", "cut")

    def __init__(self) -> None:
        self._parts: list[_Words | _Call] = []
        self._calls: dict[int, _Call] = {}
        self._held = 0  # characters of arguments in _calls
        self._sealed = False  # the first call has its seal
        self._thinking = False  # the last words were thoughts
        self.cut = False  # arguments were too long to be held

    def add(self, event: Event) -> None:
        """Take over one event."""
        match event:
            case TextDelta() | Refusal():
                if event.text:
                    self._say(event.text, False)
            case ThoughtDelta():
                self._think(event)
            case ToolBegin():
                self._calls[event.index] = _Call(event.id, event.name, event.signature)
            case ToolDelta():
                self._add_arguments(event)

    def end_calls(self) -> None:
        """The calls under way are complete. The first of an answer has a seal, or a stand-in for it: a caller
        who goes on with a model that checks seals need not know that another one made the call."""
        first = next(iter(self._calls.values()), None)
        if first is not None and not self._sealed:
            self._sealed = True
            first.signature = first.signature or STAND_IN
        self._parts += self._calls.values()
        self._calls.clear()
        self._held = 0

    @property
    def ready(self) -> bool:
        """Whether there are parts that are complete."""
        return bool(self._parts)

    def take(self) -> list[dict[str, Any]]:
        """The parts that are complete."""
        parts = [part.part() for part in self._parts]
        self._parts.clear()
        return parts

    def _say(self, text: str, thought: bool) -> None:
        words = self._open(thought)
        if words is None:
            words = _Words(thought)
            self._parts.append(words)
        words.pieces.append(text)
        self._thinking = thought

    def _open(self, thought: bool) -> _Words | None:
        """The last words, if more may be added to them."""
        self.end_calls()
        last = self._parts[-1] if self._parts else None
        if isinstance(last, _Words) and last.thought is thought and not last.signature:
            return last
        return None

    def _think(self, event: ThoughtDelta) -> None:
        foreign = event.maker not in (None, Maker.GEMINI)
        if event.text and not event.redacted:
            self._say(event.text, True)
        if not event.signature:
            return
        signature = pack(event.signature, event.maker, event.redacted)
        thought = self._thinking or foreign or bool(event.text)
        words = None if event.redacted else self._open(thought)
        if words is None:
            self.end_calls()
            words = _Words(thought)
            self._parts.append(words)
        words.signature = signature

    def _add_arguments(self, event: ToolDelta) -> None:
        call = self._calls.get(event.index)
        if call is None:
            return
        self._held += len(event.arguments)
        if self._held > CALL_LIMIT:
            self.cut = True
        else:
            call.pieces.append(event.arguments)


class _Answer:
    """What is said in every chunk of an answer."""

    __slots__ = ("_reply", "_usage", "parts")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._usage: Usage | None = None
        self.parts = _Parts()

    def add(self, event: Event) -> None:
        """Take over one event."""
        if isinstance(event, Tally):
            self._usage = event.usage
        else:
            self.parts.add(event)

    def chunk(self, end: End | None) -> dict[str, Any]:
        """Everything so far, and how it ended."""
        if end is not None:
            self.parts.end_calls()
        parts = self.parts.take()
        candidate: dict[str, Any] = {}
        reason = None if end is None else _REASONS.get(end.stop, "STOP")
        if parts or reason != "SAFETY":
            candidate["content"] = {"parts": parts or [{"text": ""}], "role": "model"}
        if reason is not None:
            candidate["finishReason"] = "MALFORMED_FUNCTION_CALL" if self.parts.cut else reason
        candidate["index"] = 0
        tree: dict[str, Any] = {"candidates": [candidate]}
        if self._usage is not None:
            tree["usageMetadata"] = usage_metadata(self._usage)
        return tree | {"modelVersion": self._reply.model, "responseId": self._reply.id}


def usage_metadata(usage: Usage) -> dict[str, Any]:
    """A usage in Gemini's words: thoughts stand beside the candidates' tokens."""
    counts: dict[str, Any] = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "totalTokenCount": usage.input + usage.output,
    }
    if usage.cached:
        counts["cachedContentTokenCount"] = usage.cached
    if usage.reasoning:
        counts["thoughtsTokenCount"] = usage.reasoning
    lists = (
        ("promptTokensDetails", usage.input, (usage.input_audio, usage.input_image, usage.input_video)),
        ("cacheTokensDetails", usage.cached, (usage.cached_audio, 0, 0)),
        (
            "candidatesTokensDetails",
            usage.output - usage.reasoning,
            (usage.output_audio, usage.output_image, 0),
        ),
    )
    for name, total, others in lists:
        if any(others):
            counts[name] = _details(total, others)
    return counts


def _details(total: int, others: tuple[int, int, int]) -> list[dict[str, Any]]:
    kinds = (("TEXT", max(0, total - sum(others))), *zip(("AUDIO", "IMAGE", "VIDEO"), others, strict=True))
    return [{"modality": kind, "tokenCount": tokens} for kind, tokens in kinds if tokens]


class WholeWriter:
    """Writes an answer as one body."""

    __slots__ = ("_answer", "_end")

    def __init__(self, reply: Reply) -> None:
        self._answer = _Answer(reply)
        self._end: End | None = None

    def write(self, events: Iterable[Event]) -> bytes:
        """Nothing before the end."""
        for event in events:
            if isinstance(event, End):
                self._end = event
            else:
                self._answer.add(event)
        return b""

    def finish(self) -> bytes:
        """The answer."""
        return orjson.dumps(self._answer.chunk(self._end))


class StreamWriter:
    """Writes an answer as it comes: one chunk for what came at once."""

    __slots__ = ("_answer", "_before", "_events")

    def __init__(self, reply: Reply) -> None:
        self._answer = _Answer(reply)
        self._events = in_events(reply.call)
        self._before = b"["

    def write(self, events: Iterable[Event]) -> bytes:
        """A chunk for all parts that are complete, and the last one with an End."""
        written = b""
        for event in events:
            if isinstance(event, End):
                written += self._frame(self._answer.chunk(event))
            elif not isinstance(event, Broken):
                self._answer.add(event)
        if self._answer.parts.ready:
            written += self._frame(self._answer.chunk(None))
        return written

    def finish(self) -> bytes:
        """The end of the array; events need none."""
        if self._events:
            return b""
        return b"]" if self._before != b"[" else b"[]"

    def _frame(self, tree: dict[str, Any]) -> bytes:
        body = orjson.dumps(tree)
        if self._events:
            return b"data: " + body + b"\r\n\r\n"
        before, self._before = self._before, b",\r\n"
        return before + body
