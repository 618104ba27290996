"""A provider's answer in Gemini's dialect, read into events."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from gateway.dialects.gemini_usage import AnswerReader
from gateway.stream.json_array import Elements
from gateway.stream.sse import Frames
from gateway.stream.tap import child
from gateway.translation.canonical import (
    Begin,
    Broken,
    End,
    Event,
    Maker,
    Stop,
    Tally,
    TextDelta,
    ThoughtDelta,
    ToolBegin,
    ToolDelta,
)
from gateway.translation.gemini_generate_history import made_id
from gateway.translation.gemini_generate_signature import unpack

# Source: Gemini API reference, GenerateContentResponse, Candidate, FinishReason.

EVENT_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of the largest event that is held: function calls come whole."""

WHOLE_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of the largest answer that does not come in events."""

STOPS: Final = {
    "STOP": Stop.END,
    "MAX_TOKENS": Stop.LENGTH,
    "BLOCKLIST": Stop.FILTERED,
    "LANGUAGE": Stop.FILTERED,
    "MODEL_ARMOR": Stop.FILTERED,
    "PROHIBITED_CONTENT": Stop.FILTERED,
    "RECITATION": Stop.FILTERED,
    "SAFETY": Stop.FILTERED,
    "SPII": Stop.FILTERED,
    "IMAGE_OTHER": Stop.FILTERED,
    "IMAGE_PROHIBITED_CONTENT": Stop.FILTERED,
    "IMAGE_RECITATION": Stop.FILTERED,
    "IMAGE_SAFETY": Stop.FILTERED,
}
"""All other reasons are errors of the model: a call that it could not write, or nothing said."""

_BUSY: Final = ("RESOURCE_EXHAUSTED", "UNAVAILABLE")
_BUSY_CODES: Final = (429, 503)
_MEDIA: Final = ("inlineData", "fileData")


class _Story:
    """What the chunks of one answer tell. After Broken, nothing more."""

    __slots__ = ("_begun", "_calls", "_id", "_report", "_reported", "_stop", "broken")

    def __init__(self) -> None:
        self._begun = False
        self._calls = 0
        self._id = ""
        self._stop: Stop | None = None
        self._report: Any = None  # the last one, if nobody was told of it
        self._reported = False
        self.broken = False

    def read(self, tree: Any) -> list[Event]:
        """The events of one chunk, or of a whole answer."""
        if self.broken:
            return []
        if type(tree) is not dict:
            return self.fail()
        if tree.get("error") is not None:
            return self.fail(_is_busy(child(tree, "error")))
        events = self._begin(tree)
        sound = True
        for candidate in _dicts(tree.get("candidates")):
            if candidate.get("index") in (None, 0):
                sound = self._read_candidate(candidate, events) and sound
        if child(tree, "promptFeedback").get("blockReason") and not tree.get("candidates"):
            self._stop = Stop.FILTERED
        if _is_report(tree.get("usageMetadata")):
            self._report = tree["usageMetadata"]
            if not self._reported:  # the first one tells of the input; all others wait for the last
                self._reported = True
                events += self._tally()
        return events if sound else events + self.fail()

    def fail(self, busy: bool = False) -> list[Event]:
        """The answer is no good."""
        if self.broken:
            return []
        self.broken = True
        return [Broken(busy)]

    def end(self) -> list[Event]:
        """What the end of the body says: the last report and the reason may stand in different chunks."""
        if self.broken or self._stop is None:
            return []
        stop = Stop.TOOLS if self._calls and self._stop is Stop.END else self._stop
        return [*self._tally(), End(stop)]

    def _tally(self) -> list[Event]:
        """The report that came last: it counts, whole."""
        if self._report is None:
            return []
        reader = AnswerReader(stream=False)
        reader.read(None, {"usageMetadata": self._report})
        self._report = None
        reading = reader.reading(0)
        return [] if reading is None else [Tally(reading.usage)]

    def _begin(self, tree: Mapping[str, Any]) -> list[Event]:
        if self._begun:
            return []
        self._begun = True
        self._id = _text(tree, "responseId")
        return [Begin(self._id)]

    def _read_candidate(self, candidate: Mapping[str, Any], events: list[Event]) -> bool:
        """Take over one chunk's parts; tells whether they make sense."""
        for part in _dicts(child(candidate, "content").get("parts")):
            if any(name in part for name in _MEDIA):  # nobody asked for pictures or sound
                return False
            call = part.get("functionCall")
            if call is None:
                events += _words(part)
            elif not self._read_call(part, call, events):
                return False
        reason = _text(candidate, "finishReason")
        if reason and reason != "FINISH_REASON_UNSPECIFIED":
            self._stop = STOPS.get(reason)
            return self._stop is not None
        return True

    def _read_call(self, part: Mapping[str, Any], call: Any, events: list[Event]) -> bool:
        name = _text(call, "name") if type(call) is dict else ""
        args = call.get("args") if name else None
        if not name or (args is not None and type(args) is not dict):
            return False
        try:
            arguments = orjson.dumps(args or {}).decode()
        except orjson.JSONEncodeError:  # too many levels
            return False
        signature, maker, _ = unpack(_text(part, "thoughtSignature"))
        index = self._calls
        self._calls += 1
        id = _text(call, "id") or made_id(self._id, index, name, arguments)
        events.append(ToolBegin(index, id, name, signature if maker is Maker.GEMINI else ""))
        events.append(ToolDelta(index, arguments))
        return True


def _words(part: Mapping[str, Any]) -> list[Event]:
    """Text or thought. A seal on a text follows it as a thought without words."""
    text = _text(part, "text")
    signature, maker, redacted = unpack(_text(part, "thoughtSignature"))
    sealed_by = maker if signature else None
    if part.get("thought") is True:
        return [ThoughtDelta(text, signature, sealed_by, redacted)] if text or signature else []
    events: list[Event] = [TextDelta(text)] if text else []
    return [*events, ThoughtDelta("", signature, sealed_by, redacted)] if signature else events


def _is_report(value: Any) -> bool:
    return type(value) is dict and not any(type(one) is int and one < 0 for one in value.values())


def _is_busy(error: Mapping[str, Any]) -> bool:
    code = error.get("code")
    return error.get("status") in _BUSY or (type(code) is int and code in _BUSY_CODES)


def _text(tree: Mapping[str, Any], name: str) -> str:
    value = tree.get(name)
    return value if type(value) is str else ""


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if type(one) is dict] if type(value) is list else []


class WholeReader:
    """Reads an answer that comes as one body.

    Args:
        limit: bytes that are held.
    """

    __slots__ = ("_held", "_limit", "_pieces", "_story")

    def __init__(self, limit: int = WHOLE_LIMIT) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._held = 0
        self._story = _Story()

    def feed(self, chunk: bytes) -> list[Event]:
        """Nothing, unless the body is too large."""
        if self._story.broken:
            return []
        self._held += len(chunk)
        if self._held > self._limit:
            self._pieces.clear()
            return self._story.fail()
        self._pieces.append(chunk)
        return []

    def finish(self) -> list[Event]:
        """All events. An answer without a reason to end is none."""
        if self._story.broken:
            return []
        try:
            tree = orjson.loads(b"".join(self._pieces))
        except orjson.JSONDecodeError:
            return self._story.fail()
        events: list[Event] = []
        for chunk in tree if type(tree) is list else [tree]:
            events += self._story.read(chunk)
        return events + (self._story.end() or self._story.fail())


class StreamReader:
    """Reads an answer that comes in events, or as one array.

    Args:
        limit: bytes of the largest event that is held.
    """

    __slots__ = ("_begin", "_cutter", "_limit", "_story")

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._limit = limit
        self._begin = b""  # before it is known how the answer comes
        self._cutter: Frames | Elements | None = None
        self._story = _Story()

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are complete with these bytes."""
        if self._story.broken:
            return []
        if self._cutter is None:
            chunk = self._begin + chunk
            first = chunk.lstrip()[:1]
            if not first:
                self._begin = chunk[-1:]
                return []
            self._cutter = Elements(self._limit) if first in b"[{" else Frames(self._limit)
        events: list[Event] = []
        for _, data in self._cutter.feed(chunk):
            events += self._read(data)
        if self._cutter.dropped:
            events += self._story.fail()
        return events

    def finish(self) -> list[Event]:
        """The last event, if only its end is missing, and the answer's end if its reason was told."""
        events: list[Event] = []
        rest = self._cutter.rest() if isinstance(self._cutter, Frames) else None
        if rest is not None and _is_json(rest[1]):
            events += self._read(rest[1])
        return events + self._story.end()

    def _read(self, data: bytes) -> list[Event]:
        if data == b"[DONE]":
            return []
        try:
            tree = orjson.loads(data)
        except orjson.JSONDecodeError:
            return self._story.fail()
        events: list[Event] = []
        for chunk in tree if type(tree) is list else [tree]:
            events += self._story.read(chunk)
        return events


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
