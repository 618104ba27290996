"""OpenAI image generation: tokens where they are reported, images made where not.

Source: OpenAI API reference, "Create image" and "Image streaming events".
"""

from typing import Any, Final

from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Envelope, Filter, Meter, Shape
from gateway.dialects import openai_errors
from gateway.dialects.openai_usage import token_usage
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stream.json_body import (
    check_content_type,
    count_in,
    flag_in,
    model_in,
    read_object,
    refuse,
    write_object,
)
from gateway.stream.tap import BodyMeter, EventMeter, child, find_object
from gateway.usage import Reading, Source, Usage

NAME: Final = Slug("openai_images")
FAMILY: Final = openai_errors.FAMILY

MOST_IMAGES: Final = 10
"""Source: OpenAI API reference, n."""

error_body = openai_errors.error_body
error_event = openai_errors.named_error_event

_FINAL: Final = b"image_generation.completed"


def read_call(envelope: Envelope) -> Call:
    check_content_type(envelope.content_type)
    document = read_object(envelope.body)
    tree = document.open(Purpose.READ)
    if type(tree.get("prompt")) is not str:
        refuse("prompt")
    images = count_in(tree, "n", MOST_IMAGES) or 1
    return Call(
        dialect=NAME,
        kind=PathKind.IMAGES,
        model=model_in(tree),
        stream=flag_in(tree, "stream"),
        body=document,
        headers=openai_errors.forwarded(envelope.headers),
        shape=Shape(body_bytes=document.size, inputs=images, choices=images),
    )


def path(call: Call, model: str) -> str:
    return "/images/generations"


def with_model(call: Call, model: str, ask_usage: bool) -> Content:
    assert isinstance(call.body, Document)
    return write_object({**call.body.open(Purpose.SEND), "model": model})


def meter(call: Call) -> Meter:
    reader = ImageReader(call.shape.inputs)
    return EventMeter(reader) if call.stream else BodyMeter(reader)


def filter(call: Call, ask_usage: bool) -> Filter | None:
    return None


class ImageReader:
    """Reads token usage; without it, images are counted, or taken to be as many as asked for.

    Args:
        asked: images asked for.
    """

    __slots__ = ("_asked", "_reading", "complete")

    marks = (b'"' + _FINAL + b'"',)
    texts: tuple[bytes, ...] = ()

    def __init__(self, asked: int) -> None:
        self._asked = asked
        self._reading: Reading | None = None
        self.complete = False

    def read(self, name: bytes | None, tree: Any) -> None:
        if type(tree) is not dict or tree.get("type", "") not in ("", _FINAL.decode()):
            return
        made = tree.get("data")
        images = len(made) if type(made) is list else self._asked
        self._take(child(tree, "usage"), Source.REPORTED, images)

    def close(self, data: bytes) -> bool:
        return False

    def salvage(self, name: bytes | None, head: bytes, tail: bytes) -> None:
        if self._reading is not None or (name is not None and name != _FINAL):
            return
        found = find_object(tail, b'"usage"') or find_object(head, b'"usage"', last=False)
        self._take(found, Source.SALVAGED, self._asked)

    def reading(self, seen: int) -> Reading | None:
        return self._reading

    def _take(self, usage: dict[str, Any], source: Source, images: int) -> None:
        found = token_usage(usage)
        if found is None or not (found.input or found.output):
            found = Usage(images=images)
        self._reading = Reading(usage=found, source=source)
        self.complete = True
