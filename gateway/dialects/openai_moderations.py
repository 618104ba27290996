"""OpenAI moderations, which cost nothing.

Source: OpenAI API reference, "Create moderation".
"""

from typing import Any, Final

from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Envelope, Filter, Meter, Shape
from gateway.dialects import openai_errors
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stream.json_body import check_content_type, model_in, read_object, write_object
from gateway.stream.tap import BodyMeter
from gateway.usage import Reading, Source

NAME: Final = Slug("openai_moderations")
FAMILY: Final = openai_errors.FAMILY

DEFAULT_MODEL: Final = "omni-moderation-latest"
"""What the provider takes when no model is named. Source: OpenAI API reference."""

error_body = openai_errors.error_body
error_event = openai_errors.chunk_error_event


def read_call(envelope: Envelope) -> Call:
    check_content_type(envelope.content_type)
    document = read_object(envelope.body)
    tree = document.open(Purpose.READ)
    return Call(
        dialect=NAME,
        kind=PathKind.MODERATIONS,
        model=DEFAULT_MODEL if tree.get("model") is None else model_in(tree),
        stream=False,
        body=document,
        headers=openai_errors.forwarded(envelope.headers),
        shape=Shape(body_bytes=document.size),
    )


def path(call: Call, model: str) -> str:
    return "/moderations"


def with_model(call: Call, model: str, ask_usage: bool) -> Content:
    assert isinstance(call.body, Document)
    return write_object({**call.body.open(Purpose.SEND), "model": model})


def meter(call: Call) -> Meter:
    return BodyMeter(ModerationReader())


def filter(call: Call, ask_usage: bool) -> Filter | None:
    return None


class ModerationReader:
    """Reports that nothing was used, once an answer came."""

    __slots__ = ("_came",)

    marks: tuple[bytes, ...] = ()
    texts: tuple[bytes, ...] = ()
    complete = True

    def __init__(self) -> None:
        self._came = False

    def read(self, name: bytes | None, tree: Any) -> None:
        self._came = True

    def close(self, data: bytes) -> bool:
        return False

    def salvage(self, name: bytes | None, head: bytes, tail: bytes) -> None:
        self._came = True

    def reading(self, seen: int) -> Reading | None:
        return Reading(source=Source.REPORTED) if self._came else None
