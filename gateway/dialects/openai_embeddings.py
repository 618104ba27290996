"""OpenAI embeddings.

Source: OpenAI API reference, "Create embeddings".
"""

from typing import Any, Final

from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Envelope, Filter, Meter, Shape
from gateway.dialects import openai_errors
from gateway.dialects.openai_usage import chat_usage
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stream.json_body import check_content_type, model_in, read_object, refuse, write_object
from gateway.stream.tap import BodyMeter, child, find_object
from gateway.usage import Reading, Source, Usage

NAME: Final = Slug("openai_embeddings")
FAMILY: Final = openai_errors.FAMILY

error_body = openai_errors.error_body
error_event = openai_errors.chunk_error_event


def read_call(envelope: Envelope) -> Call:
    check_content_type(envelope.content_type)
    document = read_object(envelope.body)
    tree = document.open(Purpose.READ)
    return Call(
        dialect=NAME,
        kind=PathKind.EMBEDDINGS,
        model=model_in(tree),
        stream=False,
        body=document,
        headers=openai_errors.forwarded(envelope.headers),
        shape=Shape(body_bytes=document.size, inputs=_inputs(tree.get("input"))),
    )


def path(call: Call, model: str) -> str:
    return "/embeddings"


def with_model(call: Call, model: str, ask_usage: bool) -> Content:
    assert isinstance(call.body, Document)
    return write_object({**call.body.open(Purpose.SEND), "model": model})


def meter(call: Call) -> Meter:
    return BodyMeter(EmbeddingsReader())


def filter(call: Call, ask_usage: bool) -> Filter | None:
    return None


class EmbeddingsReader:
    """Reads the usage of an answer: prompt tokens only, as vectors are no output."""

    __slots__ = ("_source", "_usage")

    marks = (b'"usage"',)
    texts: tuple[bytes, ...] = ()
    complete = True  # a whole answer; the meter knows whether it was whole

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._source = Source.REPORTED

    def read(self, name: bytes | None, tree: Any) -> None:
        self._take(child(tree, "usage"), Source.REPORTED)

    def close(self, data: bytes) -> bool:
        return False

    def salvage(self, name: bytes | None, head: bytes, tail: bytes) -> None:
        self._take(
            find_object(tail, b'"usage"') or find_object(head, b'"usage"', last=False), Source.SALVAGED
        )

    def reading(self, seen: int) -> Reading | None:
        return None if self._usage is None else Reading(usage=self._usage, source=self._source)

    def _take(self, usage: dict[str, Any], source: Source) -> None:
        found = chat_usage(usage)
        if found is not None and found.input:
            self._usage, self._source = Usage(input=found.input), source


def _inputs(value: object) -> int:
    """Texts to embed: a text or a list of token numbers is one, a list of either is many."""
    if type(value) is str:
        return 1
    if type(value) is not list or not value:
        refuse("input")
    return 1 if type(value[0]) is int else len(value)
