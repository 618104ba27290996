"""Reply: an answer as a dialect of echo makes it, before pauses and faults are applied to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.contracts import Headers

JSON: Final[Headers] = (("content-type", "application/json"),)
EVENTS: Final[Headers] = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer to be read.

    Attributes:
        events: the parts of the body, each worth one read().
        broken: the event that reports an error in the middle of a stream; empty where there is none.
        streamed: the body comes in parts whose sum is not known at the start.
    """

    headers: Headers
    events: Iterator[bytes]
    broken: bytes = b""
    streamed: bool = True


def whole(body: bytes, headers: Headers = JSON) -> Reply:
    """A body that comes at once."""
    return Reply(headers=headers, events=iter((body,)), streamed=False)
