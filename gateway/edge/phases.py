"""What a connection waits for, and what it needs from those around it."""

from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from gateway.edge.limits import EdgeLimits

if TYPE_CHECKING:
    from gateway.edge.protocol import Connection


class Phase(Enum):
    """What a connection waits for."""

    HEAD = auto()  # the rest of a request's head, the first one included
    IDLE = auto()  # the next request
    CALL = auto()  # us
    BODY = auto()  # more of a request's body
    DRAIN = auto()  # the client to read
    LINGER = auto()  # the client to read our last words
    CLOSING = auto()  # the transport to send what is left


class Host(Protocol):
    """What a connection needs from the data plane."""

    @property
    def limits(self) -> EdgeLimits: ...

    def tick_ns(self) -> int: ...

    async def serve(
        self, connection: "Connection", message: RawRequestMessage, payload: StreamReader
    ) -> bool:
        """Answer a request; whether the connection may be used again."""
        ...

    def refusal(self, code: str) -> bytes:
        """A whole answer, for a request that cannot be understood."""
        ...

    def note(self, code: str) -> None:
        """Log that a request could not be understood."""
        ...

    def flush_soon(self, connection: "Connection") -> None:
        """Have the connection flush in the next turn of the loop, after all that were read in this one."""
        ...


class Listener(Protocol):
    """What counts connections and watches their deadlines."""

    @property
    def host(self) -> Host: ...

    def admit(self, connection: "Connection", address: str) -> bool:
        """Count a new connection; False: there are too many."""
        ...

    def leave(self, connection: "Connection") -> None: ...

    def idle(self, connection: "Connection") -> None: ...

    def busy(self, connection: "Connection") -> None: ...


class Refused:
    """Stands in the queue for a request that could not be parsed."""

    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        self.code = code
