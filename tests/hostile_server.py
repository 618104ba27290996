"""The raw TCP server behind tests/hostile.py: what it hears, and how its faults speak to a client."""

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Self

MEGABYTE: Final = 1 << 20

BODY: Final = (
    b'{"id":"c1","object":"chat.completion","created":1,"model":"echo-1","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"canary"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}'
)


@dataclass(frozen=True, slots=True)
class Heard:
    """A request as it came: the head with its final empty line, and the body without chunk marks."""

    head: bytes
    body: bytes

    def field(self, name: str) -> str | None:
        """The value of a header field, None when it is not there."""
        found = re.search(rb"(?im)^" + re.escape(name.encode()) + rb":[ \t]*([^\r\n]*)", self.head)
        return None if found is None else found[1].decode("latin-1")


class Peer:
    """The client's end of one connection, as a fault sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.heard = Heard(b"", b"")

    async def send(self, data: bytes) -> None:
        """Send bytes; ConnectionError (ends the fault quietly) when the client has gone."""
        if self.writer.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        """Send bytes as one chunk of a chunked body."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def close(self) -> None:
        """Close as one should: what was written is still sent."""
        self.writer.close()

    def half_close(self) -> None:
        """Send no more, but stay to read."""
        self.writer.write_eof()

    def reset(self) -> None:
        """Close with RST; what was not sent yet is lost."""
        channel = self.writer.get_extra_info("socket")
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client closes; what it sends meanwhile is dropped."""
        while await self.reader.read(65536):
            pass

    async def hear(self) -> Heard | None:
        """The next request; None when the client closes instead."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return None
        bare = Heard(head, b"")
        if (bare.field("transfer-encoding") or "").lower() == "chunked":
            return Heard(head, await self._chunked())
        return Heard(head, await self.reader.readexactly(int(bare.field("content-length") or 0)))

    async def _chunked(self) -> bytes:
        body = b""
        while size := int((await self.reader.readline()).split(b";")[0], 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return body


Fault = Callable[[Peer], Awaitable[None]]

_AT_ONCE: set[Fault] = set()


def at_once(fault: Fault) -> Fault:
    """Marks a fault that strikes on accept, before a request is read."""
    _AT_ONCE.add(fault)
    return fault


async def plain(peer: Peer) -> None:
    """A good answer: what a server without faults gives."""
    head = b"HTTP/1.1 200 Whatever\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    await peer.send(head % len(BODY) + BODY)


class Hostile:
    """The server. Plays its faults in turn, the last one for all further requests.

    Attributes:
        requests: all requests read so far.
        connections: connections accepted so far.
        open: connections open now.
    """

    def __init__(self, *faults: Fault) -> None:
        self._faults = faults or (plain,)
        self._played = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[Heard] = []
        self.connections = 0
        self.open = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=4 * MEGABYTE)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Its base URL, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    async def quiet(self, longest_s: float = 2.0) -> None:
        """Wait until no connection is open; TimeoutError when one stays."""
        async with asyncio.timeout(longest_s):
            while self.open:  # noqa: ASYNC110 - a test may poll
                await asyncio.sleep(0.001)

    def _next(self) -> Fault:
        fault = self._faults[min(self._played, len(self._faults) - 1)]
        self._played += 1
        return fault

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._play(Peer(reader, writer))
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()
            self.open -= 1
            self._tasks.discard(task)

    async def _play(self, peer: Peer) -> None:
        while not peer.writer.is_closing():
            ahead = self._faults[min(self._played, len(self._faults) - 1)]
            if ahead in _AT_ONCE:
                await self._next()(peer)
                return
            heard = await peer.hear()
            if heard is None:
                return
            self.requests.append(heard)
            peer.heard = heard
            await self._next()(peer)
