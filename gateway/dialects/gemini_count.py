"""Gemini's countTokens.

Source: Gemini API reference, models.countTokens.
"""

from dataclasses import replace
from typing import Final

from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Envelope, Meter
from gateway.dialects import gemini_wire
from gateway.dialects.anthropic_count import CountReader
from gateway.dialects.gemini_generate import filter, shape_of
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stream.json_body import check_content_type, check_model, read_object, refuse, write_object
from gateway.stream.tap import BodyMeter

__all__ = [
    "FAMILY", "NAME",
    "error_body", "error_event", "filter", "meter", "path", "read_call", "with_model",
]  # fmt: skip

NAME: Final = Slug("gemini_count")
FAMILY: Final = gemini_wire.FAMILY

VERBS: Final = ("countTokens",)

path = gemini_wire.path
error_body = gemini_wire.error_body
error_event = gemini_wire.error_event


def read_call(envelope: Envelope) -> Call:
    """Understand a request for a count: contents, or a whole generateContent request in a field.

    Raises:
        CallerError: bad_request, naming the field.
    """
    check_content_type(envelope.content_type)
    if envelope.verb not in VERBS:
        refuse("verb")
    document = read_object(envelope.body)
    tree = document.open(Purpose.READ)
    inner = gemini_wire.either(tree, "generateContentRequest", "generate_content_request")
    shape = shape_of(inner if type(inner) is dict else tree, document.size)
    return Call(
        dialect=NAME,
        kind=PathKind.COUNT,
        model=check_model(envelope.path_model),
        stream=False,
        body=document,
        verb=envelope.verb,
        version=envelope.version,
        shape=replace(shape, max_output=None, choices=1),
    )


def with_model(call: Call, model: str, ask_usage: bool) -> Content:
    """The body with every model in it made the one of the path."""
    assert isinstance(call.body, Document)
    tree = gemini_wire.renamed(call.body.open(Purpose.SEND), model)
    for name in ("generateContentRequest", "generate_content_request"):
        inner = tree.get(name)
        if type(inner) is dict:
            tree = {**tree, name: gemini_wire.renamed(inner, model)}
    return write_object(tree)


def meter(call: Call) -> Meter:
    """Counting costs nothing."""
    return BodyMeter(CountReader())
