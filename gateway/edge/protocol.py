"""One client connection: aiohttp's protocol with our own deadlines, errors and request loop.

aiohttp parses (llhttp, strict). Everything it would answer, log or wait for is replaced here:

- A parse error is answered with a fixed text and logged as a code: its message quotes the request.
- Calls run in the connection's own task, one after the other; it is cancelled when the client leaves.
- There are no timers. A connection knows its phase and when that is due; the listener looks at all
  connections a few times a second and lets those that are late expire().
- A head with two User-Agent fields, which aiohttp refuses and providers accept, is read again
  without the second one. That costs nothing until it happens.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, cast

from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, RequestPayloadError

from gateway import log
from gateway.content import EMPTY, Content
from gateway.edge.phases import Listener, Phase, Refused
from gateway.edge.request_headers import with_one_agent
from gateway.errors import CallerError, ClientGone
from gateway.pipeline import SHUTTING_DOWN

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_TWO_AGENTS: Final = "Duplicate 'User-Agent' header found."
_TOO_MANY_FIELDS: Final = "Too many headers received"
_READ_BYTES: Final = 64 * 1024
_HELD_BYTES: Final = 64 * 1024


class Connection(RequestHandler):
    """A client's connection."""

    __slots__ = (
        "_body", "_calls", "_dropped", "_head", "_held_bytes", "_out", "_unread", "due_ns", "gone",
        "host", "limits", "listener", "peer", "phase", "place",
    )  # fmt: skip

    def __init__(self, listener: "Listener", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(listener, loop=loop, access_log=None, keepalive_timeout=0, auto_decompress=False)  # type: ignore[arg-type]
        self.listener = listener
        self.host = listener.host
        self.limits = listener.host.limits
        self._max_msg_queue_size = self.limits.max_pipelined
        self._msg_queue_resume_size = self.limits.max_pipelined // 2
        self._parser = self._fresh_parser()
        self._body: StreamReader = EMPTY_PAYLOAD
        self._calls: deque[tuple[RawRequestMessage | Refused, StreamReader]] = deque()
        self._messages = cast(Any, self._calls)  # the inherited flow control counts them
        self._head = bytearray()
        self._dropped = 0
        self._unread = False
        self.phase = Phase.HEAD
        self.due_ns = 0
        self._out: list[bytes] = []
        self._held_bytes = 0
        self.peer = EMPTY
        self.place = ""
        self.gone = False

    def _fresh_parser(self) -> HttpRequestParser:
        return HttpRequestParser(
            self,
            self._loop,
            _READ_BYTES,
            max_line_size=self.limits.max_line_bytes,
            max_field_size=self.limits.max_line_bytes,
            max_headers=self.limits.max_fields,
            payload_exception=RequestPayloadError,
            auto_decompress=False,
            max_msg_queue_size=self.limits.max_pipelined,
        )

    # --- what the transport tells us ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in, or say that there are too many."""
        flow = cast(asyncio.Transport, transport)
        peer = flow.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else ""
        self.peer = Content(address.encode())
        if not self.listener.admit(self, address):
            self.gone = True
            self._manager = None
            flow.write(self.host.refusal("overloaded"))
            flow.close()
            return
        self._due(Phase.HEAD, self.limits.head_s)
        flow.set_write_buffer_limits(high=self.limits.max_buffer_bytes)
        super().connection_made(transport)
        assert self._task_handler is not None
        self._task_handler.add_done_callback(_ended)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The client left: cancel what runs for it."""
        if not self.gone:
            self.gone = True
            self.listener.leave(self)
        self._calls.clear()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """A client that has closed its side is gone."""

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._force_close or self.phase is Phase.LINGER or (self._close and self._body.is_eof()):
            self._dropped += len(data)
            if self._dropped > self.limits.linger_bytes:
                self.drop()
            return
        assert self._parser is not None
        expects_head = self._body.is_eof()
        found: Sequence[tuple[RawRequestMessage | Refused, StreamReader]]
        try:
            found, _, _ = self._parser.feed_data(data)
        except HttpProcessingError as error:
            found = self._read_again(error, data, expects_head)
        if found:
            self._head.clear()
            self._body = found[-1][1]
            self._queue(found)
        elif expects_head and data:
            self._keep_head(data)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on reading; most bodies came whole, and then there is nothing to do."""
        if self._reading_paused or not self._body.is_eof():
            super().resume_reading(resume_parser)

    def _queue(self, found: Sequence[tuple[RawRequestMessage | Refused, StreamReader]]) -> None:
        self._calls.extend(found)
        if self.phase is Phase.IDLE or self.phase is Phase.HEAD:
            self.listener.busy(self)
            self.due_ns = 0
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if len(self._calls) >= self._max_msg_queue_size and not self._buffer_paused:
            self._pause_reading_for_buffer()

    def _keep_head(self, data: bytes) -> None:
        if not self._head and self.phase is Phase.IDLE:
            self._due(Phase.HEAD, self.limits.head_s)
        self._head += data
        if len(self._head) > self.limits.max_head_bytes:
            self._close = True
            self._head.clear()
            self._queue(((Refused("headers_too_large"), EMPTY_PAYLOAD),))

    def _read_again(
        self, error: HttpProcessingError, data: bytes, expects_head: bool
    ) -> Sequence[tuple[RawRequestMessage | Refused, StreamReader]]:
        # Only a head that began in an idle connection is read again: all of it is at hand.
        while expects_head and error.message == _TWO_AGENTS and self.phase in (Phase.HEAD, Phase.IDLE):
            data = with_one_agent(bytes(self._head) + data)
            if not data:
                break
            self._head.clear()
            self._parser = self._fresh_parser()
            try:
                found, _, _ = self._parser.feed_data(data)
            except HttpProcessingError as another:
                error = another
                continue
            if not found:
                self._keep_head(data)
            return found
        too_large = isinstance(error, LineTooLong) or error.message == _TOO_MANY_FIELDS
        code = "headers_too_large" if too_large else "bad_framing"
        if not self._body.is_eof():
            self._body.set_exception(CallerError(code))
            return ()
        self._close = True
        return ((Refused(code), EMPTY_PAYLOAD),)

    # --- the life of a connection ---

    async def start(self) -> None:
        """Answer requests one after the other until the connection is to close."""
        try:
            while await self._next():
                pass
            self._part()
        finally:
            if self.phase not in (Phase.LINGER, Phase.CLOSING):
                self.drop()

    async def _next(self) -> bool:
        calls = self._calls
        if not calls:
            if self._close:
                return False
            self._rest()
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message, payload = calls.popleft()
        self.phase = Phase.CALL
        if isinstance(message, Refused):
            self.refuse(message.code)
            return False
        assert self._parser is not None
        self._parser.message_consumed()
        if self._buffer_paused and len(calls) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        return await self.host.serve(self, message, payload)

    def _rest(self) -> None:
        self.listener.idle(self)
        if self._head:
            self._due(Phase.HEAD, self.limits.head_s)
        elif self.phase is not Phase.HEAD:  # a new connection has its deadline already
            self._due(Phase.IDLE, self.limits.idle_s)

    def refuse(self, code: str) -> None:
        """Answer with a fixed text, and close."""
        self.host.note(code)
        self._close = self._unread = True
        self.send(self.host.refusal(code))

    def _part(self) -> None:
        """Close, after the client had a chance to read what was written."""
        self.flush()
        transport = self.transport
        if transport is None or transport.is_closing():
            self.phase = Phase.CLOSING
            return
        if self._body.is_eof() and not self._unread:
            self._due(Phase.CLOSING, self.limits.stall_s)
            transport.close()
            return
        # Bytes may still be on their way to us. Closing now would reset the connection and take the
        # answer away from the client.
        self._due(Phase.LINGER, self.limits.linger_s)
        self._dropped = 0
        if self._reading_paused or self._buffer_paused:
            self._resume_transport_reading()
        if transport.can_write_eof():
            transport.write_eof()

    def drop(self) -> None:
        """Break the connection at once."""
        self.due_ns = 0
        self.phase = Phase.CLOSING
        transport = self.transport
        if transport is not None:
            transport.abort()

    def close_softly(self) -> None:
        """Break the connection after what was written has been sent, or the client stalls."""
        self.flush()
        self._due(Phase.CLOSING, self.limits.stall_s)
        self._close = True
        if self.transport is not None:
            self.transport.close()

    def retire(self) -> None:
        """Close now if idle, else after the call that runs."""
        self._close = True
        if self.phase in (Phase.IDLE, Phase.HEAD):
            self.close_softly()

    def interrupt(self) -> None:
        """Cancel the call that runs, because the gateway goes down."""
        task = self._task_handler
        if task is not None:
            task.cancel(SHUTTING_DOWN)

    # --- sending ---

    def send(self, data: bytes) -> None:
        """Send in the next turn of the loop, in one write with what else is sent until then.

        When many connections are served in one turn, all their writes come together: a client on the
        same machine is then woken once for many answers.
        """
        out = self._out
        out.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _HELD_BYTES:
            self.flush()
        elif len(out) == 1:
            self.host.flush_soon(self)

    def flush(self) -> None:
        """Hand what is held to the transport."""
        out = self._out
        if not out:
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._held_bytes = 0
        transport = self.transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    # --- deadlines ---

    def _due(self, phase: Phase, after_s: float) -> None:
        self.phase = phase
        self.due_ns = self.host.tick_ns() + int(after_s * 1e9)

    def expire(self) -> None:
        """The phase took too long."""
        self.due_ns = 0
        if self.phase is Phase.BODY:
            self._body.set_exception(CallerError("request_timeout"))
        elif self.phase is Phase.DRAIN:
            waiter, self._drain_waiter = self._drain_waiter, None
            if waiter is not None and not waiter.done():
                waiter.set_exception(ClientGone("client_too_slow"))
        elif self.phase is Phase.HEAD and self._head:
            self._close = True
            self._queue(((Refused("request_timeout"), EMPTY_PAYLOAD),))
        else:
            self.drop()

    # --- what a call needs ---

    async def read_body(
        self, message: RawRequestMessage, payload: StreamReader, wants_continue: bool
    ) -> bytes:
        """The request's body.

        Raises:
            CallerError: body_too_large, request_timeout or bad_framing.
        """
        limit = self.limits.max_body_bytes
        if payload.is_eof() and payload.total_bytes <= limit:
            return payload.read_nowait()
        declared = message.headers.get("Content-Length", "")
        if payload.total_bytes > limit or len(declared) > 18 or int(declared or 0) > limit:
            raise CallerError("body_too_large")
        if wants_continue:
            self.send(_CONTINUE)
        try:
            return await self._read_parts(payload, limit)
        except RequestPayloadError:
            raise CallerError("bad_framing") from None
        finally:
            self.phase = Phase.CALL
            self.due_ns = 0

    async def _read_parts(self, payload: StreamReader, limit: int) -> bytes:
        parts = []
        size = 0
        self._due(Phase.BODY, self.limits.body_s)
        began_due_ns = self.due_ns
        while part := await payload.readany():
            size += len(part)
            if size > limit:
                raise CallerError("body_too_large")
            parts.append(part)
            self.due_ns = began_due_ns + size * 1_000_000_000 // self.limits.body_bytes_per_s
        return b"".join(parts)

    async def drain(self) -> None:
        """Wait until the client has read enough.

        Raises:
            ClientGone: it left, or did not read for too long.
        """
        if self.transport is None:
            raise ClientGone("client_closed")
        if not self._paused:
            return
        self._due(Phase.DRAIN, self.limits.stall_s)
        try:
            await self._drain_helper()
        except ConnectionError:
            raise ClientGone("client_closed") from None
        finally:
            self.phase = Phase.CALL
            self.due_ns = 0


def _ended(task: asyncio.Task[None]) -> None:
    # Asked for here, so that the loop never prints it.
    if not task.cancelled() and (error := task.exception()) is not None:
        log.fact("edge.failed", log.Level.ERROR, error=log.kind(error), place=log.place(error))
