"""OpenAI transcription and translation of sound: a form goes up, text comes back.

Source: OpenAI API reference, "Create transcription" and "Create translation"; Groq API reference,
"Audio".
"""

import math
from typing import Any, Final

from gateway.content import Content, Purpose
from gateway.contracts import Call, Envelope, Filter, Meter, Shape
from gateway.dialects import openai_errors
from gateway.dialects.openai_usage import token_usage
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stream.json_body import check_model, refuse
from gateway.stream.multipart import part_of, read_form, value_of
from gateway.stream.tap import BodyMeter, EventMeter, child, find_object
from gateway.usage import LIMIT, Reading, Source, Usage

NAME: Final = Slug("openai_transcription")
FAMILY: Final = openai_errors.FAMILY

MS_PER_CHARACTER: Final = 66
"""Sound behind a letter of a transcript, for the estimate: people speak about 15 letters a second."""

error_body = openai_errors.error_body
error_event = openai_errors.named_error_event

_FINAL: Final = "transcript.text.done"


def read_call(envelope: Envelope) -> Call:
    body = envelope.body.open(Purpose.READ)
    form = read_form(body, envelope.content_type)
    stream = value_of(body, form, "stream")
    if stream not in (None, "true", "false"):
        refuse("stream")
    return Call(
        dialect=NAME,
        kind=PathKind.TRANSCRIPTION,
        model=check_model(value_of(body, form, "model")),
        stream=stream == "true",
        body=envelope.body,
        content_type=envelope.content_type,
        headers=openai_errors.forwarded(envelope.headers),
        verb="translations" if envelope.verb == "translations" else "transcriptions",
        shape=Shape(body_bytes=len(body), audio=sum(part.is_file for part in form), inputs=1),
    )


def path(call: Call, model: str) -> str:
    return f"/audio/{call.verb}"


def with_model(call: Call, model: str, ask_usage: bool) -> Content:
    """The same form with another value in its model field; every other byte as it came."""
    assert isinstance(call.body, Content)
    body = call.body.open(Purpose.SEND)
    part = part_of(read_form(body, call.content_type), "model")
    assert part is not None
    return Content(body[: part.start] + model.encode() + body[part.end :])


def meter(call: Call) -> Meter:
    return EventMeter(TranscriptReader()) if call.stream else TranscriptMeter()


def filter(call: Call, ask_usage: bool) -> Filter | None:
    return None


class TranscriptReader:
    """Reads tokens or seconds, from the event that ends a stream or from a whole answer."""

    __slots__ = ("_reading", "complete")

    marks = (b'"transcript.text.done"',)
    texts = (b'"delta":', b'"text":')

    def __init__(self) -> None:
        self._reading: Reading | None = None
        self.complete = False

    def read(self, name: bytes | None, tree: Any) -> None:
        if type(tree) is not dict or tree.get("type", _FINAL) != _FINAL:
            return
        self.complete = True
        usage = child(tree, "usage")
        heard = usage.get("seconds", tree.get("duration"))
        self._take(usage, heard, Source.REPORTED)

    def close(self, data: bytes) -> bool:
        return False

    def salvage(self, name: bytes | None, head: bytes, tail: bytes) -> None:
        if self._reading is None:
            usage = find_object(tail, b'"usage"')
            self._take(usage, usage.get("seconds"), Source.SALVAGED)

    def reading(self, seen: int) -> Reading | None:
        return self._reading

    def _take(self, usage: dict[str, Any], seconds: object, source: Source) -> None:
        tokens = token_usage(usage) if usage.get("type") != "duration" else None
        audio_ms = milliseconds(seconds)
        if tokens is not None and (tokens.input or tokens.output):
            self._reading = Reading(usage=tokens, source=source)
        elif audio_ms:
            self._reading = Reading(usage=Usage(audio_ms=audio_ms), source=source)


class TranscriptMeter:
    """Meters a whole answer, which may be JSON or, if the caller chose so, plain text or subtitles.

    Plain text reports nothing: the length of the sound is estimated from it.
    """

    __slots__ = ("_body", "_is_text", "_passed")

    def __init__(self) -> None:
        self._body = BodyMeter(TranscriptReader())
        self._is_text: bool | None = None  # None until the first byte that is no white space
        self._passed = 0

    def feed(self, chunk: bytes) -> None:
        if self._is_text is None and chunk.strip():
            self._is_text = not chunk.lstrip().startswith(b"{")
        self._passed += len(chunk)
        if not self._is_text:
            self._body.feed(chunk)

    def finish(self) -> Reading:
        reading = self._body.finish()
        if not self._passed or (reading.source is not Source.ESTIMATED and not self._is_text):
            return reading
        return Reading(usage=Usage(audio_ms=self._passed * MS_PER_CHARACTER), source=Source.ESTIMATED)

    @property
    def complete(self) -> bool:
        return bool(self._is_text) or self._body.complete


def milliseconds(seconds: object) -> int:
    """Seconds as a provider reports them, a number or a text, in whole milliseconds; 0: not believable."""
    if type(seconds) is str:
        try:
            seconds = float(seconds)
        except ValueError:
            return 0
    if type(seconds) not in (int, float) or not 0 < seconds < LIMIT / 1000:  # type: ignore[operator]
        return 0
    return math.ceil(seconds * 1000)  # type: ignore[operator]
