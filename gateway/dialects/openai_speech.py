"""OpenAI speech: text in, sound out. The sound is never looked at.

Source: OpenAI API reference, "Create speech".
"""

from typing import Any, Final

from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Envelope, Filter, Meter, Shape
from gateway.dialects import openai_errors
from gateway.dialects.openai_usage import token_usage
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stream.json_body import check_content_type, model_in, read_object, refuse, write_object
from gateway.stream.tap import EventMeter, child
from gateway.usage import Reading, Source, Usage

NAME: Final = Slug("openai_speech")
FAMILY: Final = openai_errors.FAMILY

error_body = openai_errors.error_body
error_event = openai_errors.named_error_event

_FINAL: Final = "speech.audio.done"


def read_call(envelope: Envelope) -> Call:
    check_content_type(envelope.content_type)
    document = read_object(envelope.body)
    tree = document.open(Purpose.READ)
    if type(tree.get("input")) is not str:
        refuse("input")
    return Call(
        dialect=NAME,
        kind=PathKind.SPEECH,
        model=model_in(tree),
        stream=tree.get("stream_format") == "sse",
        body=document,
        headers=openai_errors.forwarded(envelope.headers),
        shape=Shape(body_bytes=document.size, inputs=1),
    )


def path(call: Call, model: str) -> str:
    return "/audio/speech"


def with_model(call: Call, model: str, ask_usage: bool) -> Content:
    assert isinstance(call.body, Document)
    return write_object({**call.body.open(Purpose.SEND), "model": model})


def meter(call: Call) -> Meter:
    assert isinstance(call.body, Document)
    characters = len(call.body.open(Purpose.METER)["input"])
    return EventMeter(SpeechReader(characters)) if call.stream else SpeechMeter(characters)


def filter(call: Call, ask_usage: bool) -> Filter | None:
    return None


class SpeechMeter:
    """Says what was sent to be spoken, once any sound came back.

    The provider reports nothing, but bills exactly the characters sent: code points, as
    len() counts them.
    """

    __slots__ = ("_characters", "complete")

    def __init__(self, characters: int) -> None:
        self._characters = characters
        self.complete = False

    def feed(self, chunk: bytes) -> None:
        self.complete = self.complete or bool(chunk)

    def finish(self) -> Reading:
        return spoken(self._characters) if self.complete else Reading()


class SpeechReader:
    """Reads the usage of the event that ends a stream of sound."""

    __slots__ = ("_characters", "_usage", "complete")

    marks = (b'"speech.audio.done"',)
    texts: tuple[bytes, ...] = ()

    def __init__(self, characters: int) -> None:
        self._characters = characters
        self._usage: Usage | None = None
        self.complete = False

    def read(self, name: bytes | None, tree: Any) -> None:
        if type(tree) is dict and tree.get("type") == _FINAL:
            usage = child(tree, "usage")
            self._usage = token_usage(usage) if usage else None
            self.complete = True

    def close(self, data: bytes) -> bool:
        return False

    def salvage(self, name: bytes | None, head: bytes, tail: bytes) -> None:
        pass  # an event above the limit is sound; the one with the usage is short

    def reading(self, seen: int) -> Reading | None:
        if self._usage is not None:
            return Reading(usage=self._usage, source=Source.REPORTED)
        return spoken(self._characters) if self.complete else None


def spoken(characters: int) -> Reading:
    """The reading of a speech without token usage."""
    return Reading(usage=Usage(characters=characters), source=Source.REPORTED)
