"""Counting the tokens of a message before it is sent: POST /v1/messages/count_tokens."""

from typing import Any, Final

from gateway.content import Purpose
from gateway.contracts import Call, Envelope, Meter
from gateway.dialects.anthropic_messages import (
    FAMILY,
    error_body,
    filter,
    passed_headers,
    passed_query,
    query_text,
    shape_of,
    with_model,
)
from gateway.errors import GatewayError
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stream.json_body import check_content_type, model_in, read_object
from gateway.stream.tap import BodyMeter
from gateway.usage import Reading, Source

__all__ = [
    "FAMILY", "NAME", "CountReader",
    "error_body", "error_event", "filter", "meter", "path", "read_call", "with_model",
]  # fmt: skip

NAME: Final = Slug("anthropic_count")


def read_call(envelope: Envelope) -> Call:
    """Understand a request for a count: a message's, without an answer to bound.

    Raises:
        CallerError: bad_request, naming the field.
    """
    check_content_type(envelope.content_type)
    document = read_object(envelope.body)
    tree = document.open(Purpose.READ)
    return Call(
        dialect=NAME,
        kind=PathKind.COUNT,
        model=model_in(tree),
        stream=False,
        body=document,
        headers=passed_headers(envelope),
        query=passed_query(envelope),
        shape=shape_of(tree, document.size),
    )


def path(call: Call, model: str) -> str:
    """The model is in the body."""
    return "/v1/messages/count_tokens" + query_text(call)


def meter(call: Call) -> Meter:
    """Counting costs nothing."""
    return BodyMeter(CountReader())


def error_event(error: GatewayError, request_id: Slug, call: Call) -> bytes:
    """A count is never streamed."""
    return b""


class CountReader:
    """Reads nothing: the provider counts for free, whatever it answers."""

    __slots__ = ()

    marks: tuple[bytes, ...] = ()
    texts: tuple[bytes, ...] = ()

    def read(self, name: bytes | None, tree: Any) -> None:
        """Nothing to be read."""

    def close(self, data: bytes) -> bool:
        """Never a stream."""
        return False

    def salvage(self, name: bytes | None, head: bytes, tail: bytes) -> None:
        """Nothing to be found."""

    def reading(self, seen: int) -> Reading:
        """No use at all, as reported."""
        return Reading(source=Source.REPORTED)

    @property
    def complete(self) -> bool:
        """Never a stream; for whole answers the meter knows."""
        return True
