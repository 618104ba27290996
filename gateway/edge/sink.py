"""ClientSink: an answer on its way into a client's connection, written as HTTP/1.1 by hand.

The connection holds what is sent until the next turn of the loop, so that a small answer is one write.
"""

from http import HTTPStatus
from typing import Final

from aiohttp.streams import StreamReader

from gateway.contracts import Headers
from gateway.edge.protocol import Connection
from gateway.edge.request_headers import is_plain, pass_back
from gateway.errors import ClientGone

STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_PIECE_BYTES: Final = 256 * 1024


class ClientSink:
    """The answer to one request.

    Attributes:
        extra: our own response fields; filled before start().
        keep: the connection may be used for another request.
        finished: the whole answer was written.
    """

    __slots__ = (
        "_bodyless", "_chunked", "_connection", "_date", "_length", "_payload", "extra", "finished",
        "keep", "sent_bytes", "started", "status",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, payload: StreamReader, date: str, keep: bool, bodyless: bool
    ) -> None:
        self._connection = connection
        self._payload = payload
        self._date = date
        self._length: int | None = None
        self._chunked = False
        self._bodyless = bodyless  # the request was a HEAD
        self.extra: list[tuple[str, str]] = []
        self.keep = keep
        self.started = False
        self.finished = False
        self.status = 0
        self.sent_bytes = 0

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        """Write the head, with what a caller may see of a provider's header fields."""
        if self.started:
            raise RuntimeError("the answer was started before")
        connection = self._connection
        if connection.transport is None:
            raise ClientGone("client_closed")
        self.started = True
        self.status = status
        self.keep = self.keep and self._payload.is_eof()
        if status in (204, 304):
            self._bodyless = True
        self._length = length
        self._chunked = length is None and not self._bodyless
        connection.send(self._render(status, pass_back(headers), length))

    def _render(self, status: int, headers: list[tuple[str, str]], length: int | None) -> bytes:
        parts = [STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n", self._date]
        for name, value in headers:
            parts.append(f"{name}: {value}\r\n")
        for name, value in self.extra:
            if is_plain(value):
                parts.append(f"{name}: {value}\r\n")
        if self._chunked:
            parts.append("transfer-encoding: chunked\r\n")
        elif length is not None and status != 204:
            parts.append(f"content-length: {length}\r\n")
        parts.append("\r\n" if self.keep else "connection: close\r\n\r\n")
        return "".join(parts).encode("ascii")

    async def write(self, chunk: bytes) -> None:
        """Send bytes on, and wait while the client's buffer is full.

        Raises:
            ClientGone: the connection is closed, or was not read for too long.
        """
        if not chunk or self._bodyless:
            return
        if len(chunk) > _PIECE_BYTES:
            for start in range(0, len(chunk), _PIECE_BYTES):
                await self.write(chunk[start : start + _PIECE_BYTES])
            return
        connection = self._connection
        if connection.transport is None:
            raise ClientGone("client_closed")
        self.sent_bytes += len(chunk)
        if self._chunked:
            connection.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        elif self._length is not None and self.sent_bytes > self._length:
            raise RuntimeError("the answer is longer than announced")
        else:
            connection.send(chunk)
        if connection.writing_paused:
            await connection.drain()

    async def finish(self) -> None:
        """The answer is complete; one that is shorter than announced is broken off."""
        if self.finished:
            return
        if self._length is not None and self.sent_bytes < self._length and not self._bodyless:
            self.abort()
            return
        self.finished = True
        if self._chunked:
            self._connection.send(b"0\r\n\r\n")

    def abort(self) -> None:
        """Close the connection without the end of the answer, so that the client notices."""
        self.finished = True
        self.keep = False
        self._connection.close_softly()
