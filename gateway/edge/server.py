"""DataPlane: a path → its dialect → Exchange → pipeline, and an answer in every case.

The order on the wire: the head is parsed and judged, the pipeline authenticates, and only then is
the body read (and 100-continue sent). A caller without a key can make us read nothing.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import formatdate
from ipaddress import ip_address
from socket import socket
from typing import Any, Final, Protocol

from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from gateway import dialects, log
from gateway.clock import Clock
from gateway.content import Content, Purpose
from gateway.contracts import Call, Dialect, Headers
from gateway.edge.limits import EdgeLimits
from gateway.edge.listener import EdgeListener
from gateway.edge.protocol import Connection
from gateway.edge.quiet import silence
from gateway.edge.request import HEALTH, Request, unacceptable
from gateway.edge.request_headers import HeaderReader, read_query
from gateway.edge.sink import STATUS_LINES, ClientSink
from gateway.errors import (
    CODES,
    CallerError,
    ClientGone,
    GatewayError,
    OurError,
    UpstreamError,
)
from gateway.exchange import Exchange
from gateway.names import Ids, Slug

_SWEEP_S: Final = 0.25
_LAST_CALLS_S: Final = 0.25
"""How long connections that idle are kept when the process goes down. A request that is on its way is
answered then, and told that the connection closes; without this it would meet a closed one."""
_LOOK_S: Final = 0.01
_BACKLOG: Final = 1024
_JSON: Final = (("content-type", "application/json"),)
_OPENAI: Final = Slug("openai_chat")
_ADVICE: Final = frozenset({"x-should-retry", "retry-after", "retry-after-ms"})
_NOTED: Final = 20
_SETTLED: Final = frozenset({400, 401, 402, 403, 404, 413, 415})  # the same request would meet them again


class Pipeline(Protocol):
    """Runs a call. Authenticates, then awaits read(), and never raises but CancelledError.

    It has answered through exchange.client, or left exchange.error set with nothing sent.
    """

    async def __call__(self, exchange: Exchange, read: Callable[[], Awaitable[Call]]) -> None: ...


Hook = Callable[[Exchange], Awaitable[None]]

PostHook = Callable[[Exchange, Callable[[], Awaitable[Content]]], Awaitable[None]]
"""The second argument reads the body, once the key is known."""


class LocalAnswers(Protocol):
    """What the data plane answers besides calls."""

    def ready(self) -> bool:
        """Whether calls can be served: /readyz."""
        ...

    @property
    def hooks(self) -> Mapping[str, Hook]:
        """GET paths with handlers of their own, such as /v1/me. They answer as a Pipeline does.

        The query's pairs are at exchange.read.query.
        """
        ...

    @property
    def posts(self) -> Mapping[str, PostHook]:
        """POST paths with handlers of their own, such as /v1/outcomes. A path is in one of the two."""
        ...


class DataPlane:
    """The listener for callers.

    Attributes:
        open_calls: calls that run now.
        connections: clients' connections, idle ones included.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        limits: EdgeLimits,
        clock: Clock,
        local: LocalAnswers,
        feature_headers: tuple[str, ...] = (),
    ) -> None:
        self.limits = limits
        self.open_calls = 0
        self.leaving = self.closing = False
        self.tick_ns = clock.tick_ns
        self._pipeline = pipeline
        self._clock = clock
        self._local = local
        self._reader = HeaderReader(feature_headers)
        self._ids = Ids("req")
        self._date = (0, "")
        self._listener: EdgeListener | None = None
        self._servers: list[asyncio.Server] = []
        self._sweep_handle: asyncio.TimerHandle | None = None
        self._quiet = asyncio.Event()
        self._flushing: list[Connection] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._noted = 0

    # --- life ---

    async def start(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        reuse_port: bool = False,
        sockets: Sequence[socket] = (),
    ) -> None:
        """Listen; may be called once.

        Args:
            sockets: bound already; host and port are not looked at then.

        Raises:
            OSError: the address cannot be had.
            ValueError: tls would accept versions below 1.2.
        """
        if tls is not None and tls.minimum_version < ssl.TLSVersion.TLSv1_2:
            raise ValueError("TLS below 1.2 is not offered")
        loop = asyncio.get_running_loop()
        silence(loop)
        self._loop = loop
        self._listener = EdgeListener(self, loop)
        places: list[dict[str, Any]] = [{"sock": one} for one in sockets]
        for place in places or [{"host": host, "port": port, "reuse_port": reuse_port or None}]:
            server = await loop.create_server(
                self._listener,
                ssl=tls,
                ssl_handshake_timeout=self.limits.head_s if tls is not None else None,
                backlog=_BACKLOG,
                **place,
            )
            self._servers.append(server)
        self._sweep_handle = loop.call_later(_SWEEP_S, self._sweep_again, loop)

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports listened on, one for each address."""
        return tuple(one.getsockname()[1] for server in self._servers for one in server.sockets)

    @property
    def connections(self) -> int:
        return len(self._listener.open) if self._listener else 0

    async def close(self, grace_s: float) -> None:
        """Stop accepting, let running calls end for grace_s seconds, then cancel them."""
        self.leaving = True
        if self._listener is None or self._sweep_handle is None:
            self.closing = True
            return
        for server in self._servers:
            server.close()
        await self._last_calls(min(grace_s, _LAST_CALLS_S))
        self.closing = True
        for connection in list(self._listener.open):
            connection.retire()
        await self._calls_end(grace_s)
        for connection in list(self._listener.open):
            connection.interrupt()
        await self._calls_end(1.0)
        for connection in list(self._listener.open):
            connection.drop()
        self._sweep_handle.cancel()
        await asyncio.sleep(0)  # dropped connections tell so in the next turn

    async def _last_calls(self, wait_s: float) -> None:
        due_ns = self.tick_ns() + int(wait_s * 1e9)
        while self.connections and self.tick_ns() < due_ns:  # noqa: ASYNC110 - no event for a last one
            await asyncio.sleep(_LOOK_S)

    async def _calls_end(self, wait_s: float) -> None:
        if self.open_calls:
            self._quiet.clear()
            try:
                await asyncio.wait_for(self._quiet.wait(), wait_s)
            except TimeoutError:
                log.fact("edge.calls_left", calls=self.open_calls)

    def sweep(self) -> None:
        """Let late connections expire."""
        if self._listener is not None:
            self._listener.sweep(self.tick_ns())
        if self._noted > _NOTED:
            log.fact("edge.refused_more", requests=self._noted - _NOTED)
        self._noted = 0

    def flush_soon(self, connection: Connection) -> None:
        """Have the connection flush in the next turn of the loop."""
        if not self._flushing and self._loop is not None:
            self._loop.call_soon(self._flush)
        self._flushing.append(connection)

    def _flush(self) -> None:
        flushing, self._flushing = self._flushing, []
        for connection in flushing:
            connection.flush()

    def note(self, code: str) -> None:
        """Log a request that could not be understood; of a flood only the first and the number."""
        self._noted += 1
        if self._noted <= _NOTED:
            log.fact("edge.refused", code=Slug(code))

    def _sweep_again(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweep_handle = loop.call_later(_SWEEP_S, self._sweep_again, loop)
        self.sweep()

    # --- one request ---

    def refusal(self, code: str) -> bytes:
        """A whole answer with a fixed text, for a request that cannot be understood."""
        error = _error(code)
        body = dialects.DIALECTS[_OPENAI].error_body(error, self._ids())
        return (
            f"{STATUS_LINES[error.status]}{self._date_line()}content-type: application/json\r\n"
            f"x-gateway-error: {code}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        ).encode() + body

    async def serve(self, connection: Connection, message: RawRequestMessage, payload: StreamReader) -> bool:
        """Answer a request; whether the connection may be used again."""
        head = self._reader.read(message.raw_headers)
        path, mark, text = message.path.partition("?")
        code = unacceptable(message, head, path)
        if code is not None:
            connection.refuse(code)
            return False
        query = read_query(text, head) if mark else ()
        keep = not (message.should_close or message.upgrade or self.leaving or self.closing)
        sink = ClientSink(connection, payload, self._date_line(), keep, message.method == "HEAD")
        self.open_calls += 1
        try:
            await self._dispatch(Request(connection, message, payload, head, path, query), sink)
        except ClientGone:
            sink.abort()
        finally:
            self.open_calls -= 1
            if not self.open_calls:
                self._quiet.set()
        if not sink.finished:
            sink.abort()
        if not payload.is_eof():
            return False
        if not payload.at_eof() and payload.exception() is None:
            payload.read_nowait()  # what nobody wanted
        return sink.keep

    async def _dispatch(self, request: Request, sink: ClientSink) -> None:
        path = request.path
        if path in HEALTH:
            await self._health(path, request.message.method, sink)
            return
        hook = self._local.hooks.get(path)
        if hook is not None:
            await self._local_call(hook, request, sink)
            return
        post = self._local.posts.get(path)
        if post is not None:
            await self._local_call(lambda exchange: post(exchange, request.body), request, sink, "POST")
            return
        endpoint = dialects.find(path, request.head.fields)
        if endpoint is None:
            await self._refuse(sink, _error("unknown_path"), _guess(path, request.head.fields))
            return
        dialect = dialects.DIALECTS[endpoint.dialect]
        method = request.message.method
        if method != endpoint.method and not (method == "HEAD" and endpoint.method == "GET"):
            await self._refuse(sink, _method_error(sink, endpoint.method), dialect)
        elif request.head.conflict is not None:
            await self._refuse(sink, request.head.conflict, dialect)
        elif self.closing or self.open_calls > self.limits.max_open_calls:
            await self._refuse(sink, _error("shutting_down" if self.closing else "overloaded"), dialect)
        else:
            exchange = self._exchange(request, sink)
            exchange.prefers = endpoint.prefers
            request.bind(endpoint, dialect)
            await self._pipeline(exchange, request)
            await self._conclude(sink, exchange, dialect)

    async def _local_call(self, hook: Hook, request: Request, sink: ClientSink, method: str = "GET") -> None:
        dialect = _guess(request.path, request.head.fields)
        error = request.head.conflict or request.head.fault
        if request.message.method != method and not (method == "GET" and request.message.method == "HEAD"):
            error = _method_error(sink, method)
        if error is not None:
            await self._refuse(sink, error, dialect)
            return
        exchange = self._exchange(request, sink)
        exchange.read = request
        await hook(exchange)
        await self._conclude(sink, exchange, dialect)

    def _exchange(self, request: Request, sink: ClientSink) -> Exchange:
        return Exchange(
            self._ids(),
            self._clock.now_us(),
            self.tick_ns(),
            sink,
            request.head.presented(),
            request.connection.peer if request.connection.place else self._claimed(request),
        )

    def _claimed(self, request: Request) -> Content:
        """The caller's address as trusted proxies tell it: the last one that is not theirs."""
        address = ""
        for claimed in reversed(request.head.forwarded_for.split(",")):
            try:
                parsed = ip_address(claimed.strip())
            except ValueError:
                break
            address = str(parsed)
            if not any(parsed in network for network in self.limits.trusted_proxies):
                break
        return Content(address.encode()) if address else request.connection.peer

    # --- answers of our own ---

    async def _health(self, path: str, method: str, sink: ClientSink) -> None:
        if method not in ("GET", "HEAD"):
            await self._refuse(sink, _method_error(sink, "GET"), dialects.DIALECTS[_OPENAI])
            return
        good = path != "/readyz" or (self._local.ready() and not (self.leaving or self.closing))
        await _send(sink, 200 if good else 503, b'{"status":"ok"}' if good else b'{"status":"unavailable"}')

    async def _conclude(self, sink: ClientSink, exchange: Exchange, dialect: Dialect) -> None:
        if sink.started or sink.finished:
            return
        error = exchange.error or OurError("bug")
        if isinstance(error, ClientGone):
            raise error
        if isinstance(error, UpstreamError) and exchange.attempts:
            answer = error.answer
            names = {name for name, _ in answer.headers} if answer is not None else set()
            if error.after_s is None and not names & _ADVICE:
                sink.extra.append(("x-should-retry", "false"))  # the gateway tried as often as allowed
            if error.relayed is not None:
                body = error.relayed.body.open(Purpose.RELAY)
                await _send(sink, error.relayed.status, body, error.relayed.headers)
                return
        await self._refuse(sink, error, dialect, exchange.id)

    async def _refuse(
        self, sink: ClientSink, error: GatewayError, dialect: Dialect, id: Slug | None = None
    ) -> None:
        id = id or self._ids()
        names = {name for name, _ in sink.extra}
        if "x-gateway-request-id" not in names:
            sink.extra.append(("x-gateway-request-id", id))
        sink.extra.append(("x-gateway-error", error.code))
        if error.after_s is not None and "retry-after" not in names:
            sink.extra.append(("retry-after", str(max(1, round(error.after_s)))))
        elif error.status in _SETTLED and "x-should-retry" not in names:
            sink.extra.append(("x-should-retry", "false"))  # else some agents ask again for minutes
        await _send(sink, error.status, dialect.error_body(error, id))

    def _date_line(self) -> str:
        second = self._clock.now_us() // 1_000_000
        if second != self._date[0]:
            self._date = (second, f"date: {formatdate(second, usegmt=True)}\r\n")
        return self._date[1]


def _error(code: str) -> GatewayError:
    return CallerError(code) if CODES[code][0] < 500 else OurError(code)


def _method_error(sink: ClientSink, allowed: str) -> CallerError:
    sink.extra.append(("allow", "GET, HEAD" if allowed == "GET" else allowed))
    return CallerError("method_not_allowed")


def _guess(path: str, fields: Mapping[str, str]) -> Dialect:
    """The dialect whose errors a client of an unknown path most likely understands."""
    if "anthropic-version" in fields or path.startswith(("/anthropic/", "/v1/messages")):
        family = "anthropic"
    elif "x-goog-api-key" in fields or path.startswith(("/gemini/", "/v1beta/")):
        family = "gemini"
    else:
        family = "openai"
    return next(
        (one for one in dialects.DIALECTS.values() if family == one.FAMILY), dialects.DIALECTS[_OPENAI]
    )


async def _send(sink: ClientSink, status: int, body: bytes, headers: Headers = _JSON) -> None:
    await sink.start(status, headers, len(body))
    await sink.write(body)
    await sink.finish()
