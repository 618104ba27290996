"""Gemini's embedContent and batchEmbedContents.

Source: Gemini API reference, Embeddings.
"""

from typing import Any, Final

from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Envelope, Meter, Shape
from gateway.dialects import gemini_wire
from gateway.dialects.gemini_generate import filter
from gateway.dialects.gemini_usage import EmbeddingReader
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stream.json_body import (
    check_content_type,
    check_model,
    list_in,
    read_object,
    refuse,
    write_object,
)
from gateway.stream.tap import BodyMeter

__all__ = [
    "FAMILY", "NAME",
    "error_body", "error_event", "filter", "meter", "path", "read_call", "with_model",
]  # fmt: skip

NAME: Final = Slug("gemini_embed")
FAMILY: Final = gemini_wire.FAMILY

BATCH: Final = "batchEmbedContents"
VERBS: Final = ("embedContent", BATCH)

path = gemini_wire.path
error_body = gemini_wire.error_body
error_event = gemini_wire.error_event


def read_call(envelope: Envelope) -> Call:
    """Understand a request for one embedding or many.

    Raises:
        CallerError: bad_request, naming the field.
    """
    check_content_type(envelope.content_type)
    if envelope.verb not in VERBS:
        refuse("verb")
    document = read_object(envelope.body)
    inputs = 1
    if envelope.verb == BATCH:
        requests = list_in(document.open(Purpose.READ), "requests")
        if not all(type(request) is dict for request in requests):
            refuse("requests")
        inputs = len(requests)
    return Call(
        dialect=NAME,
        kind=PathKind.EMBEDDINGS,
        model=check_model(envelope.path_model),
        stream=False,
        body=document,
        verb=envelope.verb,
        version=envelope.version,
        shape=Shape(body_bytes=document.size, inputs=inputs),
    )


def with_model(call: Call, model: str, ask_usage: bool) -> Content:
    """The body with every model in it made the one of the path: each request of a batch names its own."""
    assert isinstance(call.body, Document)
    tree = gemini_wire.renamed(call.body.open(Purpose.SEND), model)
    requests: list[dict[str, Any]] = tree.get("requests") or []
    if call.verb == BATCH and requests:
        tree = {**tree, "requests": [gemini_wire.renamed(request, model) for request in requests]}
    return write_object(tree)


def meter(call: Call) -> Meter:
    """Embeddings come whole."""
    return BodyMeter(EmbeddingReader())
