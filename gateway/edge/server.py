"""DataPlane: a path → its dialect → Exchange → pipeline, and an answer in every case.

The order on the wire: the head is parsed and judged, the pipeline authenticates, and only then is
the body read (and 100-continue sent). A caller without a key can make us read nothing.
"""

import asyncio
import logging  # noqa: TID251 - to silence aiohttp
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from email.utils import formatdate
from ipaddress import ip_address
from typing import Any, Final, Protocol

from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import HttpVersion10, HttpVersion11
from aiohttp.streams import StreamReader

from gateway import dialects, log
from gateway.clock import Clock
from gateway.content import EMPTY, Content
from gateway.contracts import NO_TAGS, Call, Dialect, Envelope
from gateway.dialects import Endpoint
from gateway.edge.limits import EdgeLimits
from gateway.edge.listener import EdgeListener
from gateway.edge.protocol import Connection
from gateway.edge.request_headers import Head, HeaderReader, Query, read_query
from gateway.edge.sink import ClientSink
from gateway.errors import CODES, CallerError, ClientGone, Fault, GatewayError, OurError
from gateway.exchange import Exchange
from gateway.names import Ids, Slug
from gateway.records import PathKind

_SWEEP_S: Final = 0.25
_BACKLOG: Final = 1024
_HEALTH: Final = frozenset({"/", "/healthz", "/readyz"})
_JSON: Final = (("content-type", "application/json"),)
_OPENAI: Final = Slug("openai_chat")
_json_type = re.compile(r'application/json(?: *; *charset="?utf-8"?)?', re.IGNORECASE).fullmatch
_form_type = re.compile(
    r"multipart/form-data *; *boundary=(?:[0-9A-Za-z'()+_,./:=?-]{1,70}|\"[0-9A-Za-z'()+_,./:=? -]{1,70}\")",
    re.IGNORECASE,
).fullmatch


class Pipeline(Protocol):
    """Runs a call. Authenticates, then awaits read(), and never raises but CancelledError.

    It has answered through exchange.client, or left exchange.error set with nothing sent.
    """

    async def __call__(self, exchange: Exchange, read: Callable[[], Awaitable[Call]]) -> None: ...


class LocalAnswers(Protocol):
    """What the data plane answers besides calls."""

    def ready(self) -> bool:
        """Whether calls can be served: /readyz."""
        ...

    @property
    def hooks(self) -> Mapping[str, Callable[[Exchange], Awaitable[None]]]:
        """GET paths with handlers of their own, such as /v1/me. They answer as a Pipeline does."""
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
        self.closing = False
        self.tick_ns = clock.tick_ns
        self._pipeline = pipeline
        self._clock = clock
        self._local = local
        self._reader = HeaderReader(feature_headers)
        self._ids = Ids("req")
        self._date = (0, "")
        self._listener: EdgeListener | None = None
        self._server: asyncio.Server | None = None
        self._sweep_handle: asyncio.TimerHandle | None = None
        self._quiet = asyncio.Event()

    # --- life ---

    async def start(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, reuse_port: bool = False
    ) -> None:
        """Listen; may be called once.

        Raises:
            OSError: the address cannot be had.
            ValueError: tls would accept versions below 1.2.
        """
        if tls is not None and tls.minimum_version < ssl.TLSVersion.TLSv1_2:
            raise ValueError("TLS below 1.2 is not offered")
        loop = asyncio.get_running_loop()
        silence(loop)
        self._listener = EdgeListener(self, loop)
        self._server = await loop.create_server(
            self._listener, host, port, ssl=tls, reuse_port=reuse_port or None, backlog=_BACKLOG
        )
        self._sweep_handle = loop.call_later(_SWEEP_S, self._sweep_again, loop)

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports listened on, one for each address."""
        return tuple(one.getsockname()[1] for one in self._server.sockets) if self._server else ()

    @property
    def connections(self) -> int:
        return len(self._listener.open) if self._listener else 0

    async def close(self, grace_s: float) -> None:
        """Stop accepting, let running calls end for grace_s seconds, then cancel them."""
        self.closing = True
        if self._server is None or self._listener is None:
            return
        self._server.close()
        for connection in list(self._listener.open):
            connection.retire()
        await self._calls_end(grace_s)
        for connection in list(self._listener.open):
            connection.interrupt()
        await self._calls_end(1.0)
        for connection in list(self._listener.open):
            connection.drop()
        if self._sweep_handle is not None:
            self._sweep_handle.cancel()
        await asyncio.sleep(0)  # dropped connections tell so in the next turn

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

    def _sweep_again(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweep_handle = loop.call_later(_SWEEP_S, self._sweep_again, loop)
        self.sweep()

    # --- one request ---

    def refusal(self, code: str) -> bytes:
        """A whole answer with a fixed text, for a request that cannot be understood."""
        error = _error(code)
        body = dialects.DIALECTS[_OPENAI].error_body(error, self._ids())
        return (
            f"HTTP/1.1 {error.status} \r\n{self._date_line()}content-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        ).encode() + body

    async def serve(self, connection: Connection, message: RawRequestMessage, payload: StreamReader) -> bool:
        """Answer a request; whether the connection may be used again."""
        head = self._reader.read(message.raw_headers)
        path, mark, text = message.path.partition("?")
        code = _unacceptable(message, head, path)
        if code is not None:
            connection.refuse(code)
            return False
        query = read_query(text, head) if mark else ()
        keep = not (message.should_close or message.upgrade or self.closing)
        sink = ClientSink(connection, payload, self._date_line(), keep, message.method == "HEAD")
        self.open_calls += 1
        try:
            await self._dispatch(_Request(connection, message, payload, head, path, query), sink)
        except ClientGone:
            sink.abort()
        finally:
            self.open_calls -= 1
            if not self.open_calls:
                self._quiet.set()
        if not sink.finished:
            sink.abort()
        if payload.is_eof() and payload.exception() is None:
            payload.read_nowait()  # what nobody wanted
        return sink.keep and payload.is_eof()

    async def _dispatch(self, request: "_Request", sink: ClientSink) -> None:
        path = request.path
        if path in _HEALTH:
            await self._health(path, request.message.method, sink)
            return
        hook = self._local.hooks.get(path)
        if hook is not None:
            if request.message.method not in ("GET", "HEAD"):
                await self._refuse(sink, _method_error(sink, "GET"), _guess(path, request.head.fields))
                return
            exchange = self._exchange(request, sink)
            await hook(exchange)
            await self._conclude(sink, exchange, _guess(path, request.head.fields))
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
            await self._pipeline(exchange, _Reading(request, endpoint, dialect))
            await self._conclude(sink, exchange, dialect)

    def _exchange(self, request: "_Request", sink: ClientSink) -> Exchange:
        return Exchange(
            self._ids(),
            self._clock.now_us(),
            self.tick_ns(),
            sink,
            request.head.presented(),
            Content(self._peer(request).encode()),
        )

    def _peer(self, request: "_Request") -> str:
        """The caller's address: the peer's, or behind trusted proxies the last one they did not add."""
        address = request.connection.address
        if not self.limits.trusted_proxies or request.connection.place:
            return address
        for claimed in reversed(request.head.forwarded_for.split(",")):
            try:
                parsed = ip_address(claimed.strip())
            except ValueError:
                break
            address = str(parsed)
            if not any(parsed in network for network in self.limits.trusted_proxies):
                break
        return address

    # --- answers of our own ---

    async def _health(self, path: str, method: str, sink: ClientSink) -> None:
        if method not in ("GET", "HEAD"):
            await self._refuse(sink, _method_error(sink, "GET"), dialects.DIALECTS[_OPENAI])
            return
        good = path != "/readyz" or (self._local.ready() and not self.closing)
        await _send(sink, 200 if good else 503, b'{"status":"ok"}' if good else b'{"status":"unavailable"}')

    async def _conclude(self, sink: ClientSink, exchange: Exchange, dialect: Dialect) -> None:
        if sink.started or sink.finished:
            return
        error = exchange.error or OurError("bug")
        if exchange.attempts and error.fault is Fault.UPSTREAM and error.after_s is None:
            sink.extra.append(("x-should-retry", "false"))  # the gateway tried as often as allowed
        await self._refuse(sink, error, dialect, exchange.id)

    async def _refuse(
        self, sink: ClientSink, error: GatewayError, dialect: Dialect, id: Slug | None = None
    ) -> None:
        id = id or self._ids()
        names = {name for name, _ in sink.extra}
        if "x-gateway-request-id" not in names:
            sink.extra.append(("x-gateway-request-id", id))
        if error.after_s is not None and "retry-after" not in names:
            sink.extra.append(("retry-after", str(max(1, round(error.after_s)))))
        await _send(sink, error.status, dialect.error_body(error, id))

    def _date_line(self) -> str:
        second = self._clock.now_us() // 1_000_000
        if second != self._date[0]:
            self._date = (second, f"date: {formatdate(second, usegmt=True)}\r\n")
        return self._date[1]


class _Request:
    """A request on its way to its dialect."""

    __slots__ = ("connection", "head", "message", "path", "payload", "query")

    def __init__(
        self,
        connection: Connection,
        message: RawRequestMessage,
        payload: StreamReader,
        head: Head,
        path: str,
        query: Query,
    ) -> None:
        self.connection = connection
        self.message = message
        self.payload = payload
        self.head = head
        self.path = path
        self.query = query


class _Reading:
    """Reads a call's body when it is awaited for, not before.

    Attributes:
        endpoint: what the path said.
    """

    __slots__ = ("_dialect", "_request", "endpoint")

    def __init__(self, request: _Request, endpoint: Endpoint, dialect: Dialect) -> None:
        self._request = request
        self.endpoint = endpoint
        self._dialect = dialect

    async def __call__(self) -> Call:
        """The call.

        Raises:
            CallerError: it cannot be accepted or understood.
            ClientGone: the connection was lost.
        """
        request, endpoint = self._request, self.endpoint
        head = request.head
        if head.fault is not None:
            raise head.fault
        body = EMPTY
        if endpoint.method == "POST":
            _check_type(head, endpoint.kind)
            body = Content(
                await request.connection.read_body(request.message, request.payload, head.expect != "")
            )
        call = self._dialect.read_call(
            Envelope(
                kind=endpoint.kind,
                verb=endpoint.verb,
                version=endpoint.version,
                headers=head.fields,
                query=request.query,
                path_model=endpoint.path_model,
                content_type=head.content_type or "application/json",
                body=body,
            )
        )
        return call if head.tags is NO_TAGS else replace(call, tags=head.tags)


def _unacceptable(message: RawRequestMessage, head: Head, path: str) -> str | None:
    """The code of what is wrong with a request's framing."""
    if message.version != HttpVersion11:
        if message.version != HttpVersion10 or path not in _HEALTH or head.transfer_encoding:
            return "bad_framing"
        if head.hosts > 1 or head.odd_host:
            return "bad_framing"
    elif head.hosts != 1 or head.odd_host:
        return "bad_framing"
    if head.transfer_encoding and head.transfer_encoding != "chunked":
        return "not_implemented"
    if message.method == "CONNECT":
        return "method_not_allowed"
    if not path.startswith("/") or "#" in message.path:
        return "bad_framing"
    if head.expect and head.expect != "100-continue":
        return "expectation_failed"
    return None


def _check_type(head: Head, kind: PathKind) -> None:
    allowed = _form_type if kind is PathKind.TRANSCRIPTION else _json_type
    if head.content_encoding not in ("", "identity") or allowed(head.content_type) is None:
        raise CallerError("unsupported_media_type")


def _error(code: str) -> GatewayError:
    return CallerError(code) if CODES[code][0] < 500 else OurError(code)


def _method_error(sink: ClientSink, allowed: str) -> GatewayError:
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


async def _send(sink: ClientSink, status: int, body: bytes) -> None:
    await sink.start(status, _JSON, len(body))
    await sink.write(body)
    await sink.finish()


def silence(loop: asyncio.AbstractEventLoop) -> None:
    """Keep the loop and aiohttp from printing: what they print quotes arguments and requests."""
    loop.set_exception_handler(_report)
    logger = logging.getLogger("aiohttp")
    logger.handlers = [logging.NullHandler()]
    logger.propagate = False


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if error is None:
        log.fact("loop.message", log.Level.ERROR)
    else:
        log.fact("loop.exception", log.Level.ERROR, error=log.kind(error), place=log.place(error))
