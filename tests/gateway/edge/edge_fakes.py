"""A data plane with a pipeline that answers from fixed parts, and a client that speaks raw bytes."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from gateway import log
from gateway.clock import SystemClock
from gateway.content import Purpose
from gateway.contracts import Call, Headers
from gateway.edge.limits import EdgeLimits
from gateway.edge.server import DataPlane, PostHook
from gateway.errors import CallerError, ClientGone, GatewayError, NotAllowed, OurError
from gateway.exchange import Exchange

GOOD_KEY = "tg-good"
ANSWER = b'{"object":"chat.completion","choices":[]}'


class FakeClock:
    """Time that moves when told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000
        self.tick = 1_000_000_000

    def now_us(self) -> int:
        return self.now

    def tick_ns(self) -> int:
        return self.tick

    def pass_s(self, seconds: float) -> None:
        self.now += int(seconds * 1e6)
        self.tick += int(seconds * 1e9)


class StubPipeline:
    """Authenticates one key, reads the call, answers with fixed parts. Keeps what it saw."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.peers: list[str] = []
        self.errors: list[str] = []
        self.cancelled = 0
        self.running = 0
        self.status = 200
        self.headers: Headers = (("content-type", "application/json"),)
        self.extra: list[tuple[str, str]] = []
        self.parts: list[bytes] = [ANSWER]
        self.length: int | None = len(ANSWER)
        self.hold: asyncio.Event | None = None
        self.refuse: GatewayError | None = None

    async def __call__(self, exchange: Exchange, read: Callable[[], Awaitable[Call]]) -> None:
        self.running += 1
        try:
            await self._run(exchange, read)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        except GatewayError as error:
            self.errors.append(error.code)
            exchange.error = error
        finally:
            self.running -= 1

    async def _run(self, exchange: Exchange, read: Callable[[], Awaitable[Call]]) -> None:
        self.peers.append(exchange.peer.open(Purpose.AUTH).decode())
        presented = exchange.presented
        if presented is None or presented.open(Purpose.AUTH) != GOOD_KEY:
            raise NotAllowed("invalid_key")
        if self.refuse is not None:
            raise self.refuse
        self.calls.append(await read())
        sink: Any = exchange.client
        sink.extra.extend(self.extra)
        await sink.start(self.status, self.headers, self.length)
        for part in self.parts:
            await sink.write(part)
        if self.hold is not None:
            await self.hold.wait()
        await sink.finish()


class StubLocal:
    """Ready, with one hook."""

    def __init__(self) -> None:
        self.good = True

    def ready(self) -> bool:
        return self.good

    @property
    def posts(self) -> Mapping[str, PostHook]:
        return {}

    @property
    def hooks(self) -> Mapping[str, Callable[[Exchange], Awaitable[None]]]:
        return {"/v1/me": self.me}

    async def me(self, exchange: Exchange) -> None:
        if exchange.presented is None:
            exchange.error = NotAllowed("invalid_key")
            return
        await exchange.client.start(200, (("content-type", "application/json"),), 2)
        await exchange.client.write(b"{}")
        await exchange.client.finish()


class Bench:
    """A running data plane and what belongs to it."""

    def __init__(self, plane: DataPlane, pipeline: StubPipeline, local: StubLocal, clock: Any) -> None:
        self.plane = plane
        self.pipeline = pipeline
        self.local = local
        self.clock = clock
        self.logged = io.StringIO()
        self.clients: list[Client] = []

    @property
    def port(self) -> int:
        return self.plane.ports[0]

    async def connect(self) -> "Client":
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        client = Client(reader, writer)
        self.clients.append(client)
        return client

    async def ask(self, data: bytes, wait_s: float = 2.0) -> bytes:
        """Send bytes on a fresh connection; everything that comes back until it is closed or silent."""
        client = await self.connect()
        client.writer.write(data)
        try:
            return await client.rest(wait_s)
        finally:
            await client.close()

    async def ask_one(self, data: bytes) -> bytes:
        """Send bytes on a fresh connection; the first answer's head."""
        client = await self.connect()
        client.writer.write(data)
        try:
            return await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 2)
        except asyncio.IncompleteReadError as error:
            return error.partial
        finally:
            await client.close()


class Client:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def turn(self) -> None:
        """Let the server see what was written."""
        for _ in range(4):
            await asyncio.sleep(0)

    async def rest(self, wait_s: float = 2.0) -> bytes:
        """All bytes until the end."""
        try:
            return await asyncio.wait_for(self.reader.read(), wait_s)
        except ConnectionError:
            return b""

    async def answer(self, wait_s: float = 2.0) -> tuple[int, dict[str, str], bytes]:
        """One answer with a content-length or chunks, parsed."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), wait_s)
        lines = head.decode("ascii").split("\r\n")
        status = int(lines[0].split(" ")[1])
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
        if "content-length" in fields:
            body = await self.reader.readexactly(int(fields["content-length"]))
        elif fields.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await self.reader.readline(), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
        else:
            body = b""
        return status, fields, body

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass


@asynccontextmanager
async def running(
    limits: EdgeLimits | None = None, clock: Any = None, feature_headers: tuple[str, ...] = (), **start: Any
) -> AsyncIterator[Bench]:
    """A data plane on a free port of the loopback, closed at the end."""
    pipeline, local = StubPipeline(), StubLocal()
    clock = clock or SystemClock()
    plane = DataPlane(pipeline, limits or EdgeLimits(), clock, local, feature_headers)
    bench = Bench(plane, pipeline, local, clock)
    log.configure(log.Level.DEBUG, bench.logged)
    await plane.start("127.0.0.1", 0, **start)
    try:
        yield bench
    finally:
        for client in bench.clients:
            await client.close()
        await plane.close(0)
        await asyncio.sleep(0.002)
        log.configure()


async def until(true: Callable[[], bool], wait_s: float = 2.0) -> None:
    """Turn the loop until something is so."""
    async with asyncio.timeout(wait_s):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


def post(
    path: str = "/v1/chat/completions",
    body: bytes = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}',
    *fields: str,
    key: str | None = GOOD_KEY,
    content_type: str | None = "application/json",
    host: str | None = "localhost",
) -> bytes:
    """A POST with a body."""
    lines = [f"POST {path} HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host}")
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    lines += fields
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def status_of(answer: bytes) -> int:
    """The status of the first answer in the bytes; 0 when there is none."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


__all__ = [
    "ANSWER", "GOOD_KEY", "Bench", "CallerError", "Client", "ClientGone", "FakeClock", "OurError",
    "StubPipeline", "post", "running", "status_of", "until",
]  # fmt: skip
