"""One connection to a provider: an asyncio protocol that asks, and holds what came until it is taken.

Life: fresh → busy (ask … release) → resting → busy … → lost. What the rules are:
- there is one waiter at most, woken when there is something to take; no task, queue or timer a call;
- above buffer_bytes of unread body the socket is not read until the body was taken;
- bytes that arrive while nobody asked are never an answer: the connection is closed;
- the one Deadline stands at first byte, gap or idle time, whichever applies, and never behind the
  end of the whole call. While reading is paused the gap does not count: the provider is not to blame.
"""

import asyncio
import select
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import cast

from gateway.edge.timers import Deadline, Wheel
from gateway.errors import UpstreamError, UpstreamTimeout
from gateway.stream.http1 import Reader, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """What a provider is waited for, and how much it may send.

    Attributes:
        connect_timeout_s: resolving, connecting and the TLS handshake together.
        first_byte_timeout_s: from sending the request to the end of the answer's head. The upload counts.
        gap_timeout_s: between two pieces of a body.
        total_timeout_s: from sending the request to the body's end.
        idle_timeout_s: how long a connection rests before it is closed. Less than the providers' own.
        stale_window_s: how soon after sending a reused connection must break to be called stale.
        max_connections_per_host: open at a time to one origin.
        max_idle_per_host: those of them kept open without a call.
        max_waiting_per_host: calls that wait for a connection to one origin; wait_timeout_s: how long.
        buffer_bytes: unread body of one answer at which its socket is no longer read.
        answer_bytes: the longest body.
        ca_file: certificates in PEM form to trust besides the system's own.
    """

    connect_timeout_s: float = 10.0
    first_byte_timeout_s: float = 60.0
    gap_timeout_s: float = 60.0
    total_timeout_s: float = 600.0
    idle_timeout_s: float = 30.0
    stale_window_s: float = 2.0
    max_connections_per_host: int = 1000
    max_idle_per_host: int = 256
    max_waiting_per_host: int = 1000
    wait_timeout_s: float = 10.0
    buffer_bytes: int = 256 * 1024
    answer_bytes: int = 1024 * 1024 * 1024
    ca_file: str | None = None


def broken(code: str) -> UpstreamError:
    """The error with this code, as the type that goes with it."""
    return UpstreamTimeout(code) if code == "upstream_timeout" else UpstreamError(code)


class Connection(asyncio.Protocol):
    """A connection and the answer that arrives on it.

    Attributes:
        reader: holds the answer's status and headers.
        lost: it can no longer be used.
    """

    __slots__ = (
        "_asked_s", "_busy", "_calls", "_chunks", "_deadline", "_failed", "_held_bytes", "_limits",
        "_on_lost", "_paused", "_poll", "_received_bytes", "_total_due_s", "_transport", "_waiter",
        "_wheel", "lost", "reader",
    )  # fmt: skip

    def __init__(
        self, wheel: Wheel, limits: TransportLimits, on_lost: Callable[["Connection"], None]
    ) -> None:
        self._wheel = wheel
        self._limits = limits
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._deadline = Deadline(wheel, self._expired)
        self._waiter: asyncio.Future[None] | None = None
        self._chunks: list[bytes] = []
        self._held_bytes = 0
        self._received_bytes = 0
        self._paused = False
        self._busy = False
        self._calls = 0
        self._asked_s = 0.0
        self._total_due_s = inf
        self._failed = ""
        self.lost = False
        self.reader = Reader()

    # --- asked by the Transport

    async def ask(self, method: str, request: list[bytes], total_due_s: float) -> None:
        """Send a request and wait for the answer's head.

        Raises:
            UpstreamError: there is none. The connection is closed then, and also when cancelled.
        """
        transport = self._transport
        if self.lost or transport is None:
            raise broken("upstream_cut")
        reader = self.reader
        reader.begin(method)
        self._busy = True
        self._calls += 1
        self._received_bytes = 0
        self._total_due_s = total_due_s
        self._asked_s = self._wheel.now_s
        self._allow(self._limits.first_byte_timeout_s)
        for piece in request:
            transport.write(piece)
        try:
            while reader.stage is Stage.HEAD and not self._failed:
                await self.wait()
        except BaseException:  # cancelled, as a rule
            self.abort()
            raise
        if not reader.status:
            self.abort()
            raise broken(self._failed)

    def stale(self) -> bool:
        """Whether an ask() that failed met a resting connection that the provider was about to close.

        Only then may the request be sent again: not one byte of an answer came, and the connection
        broke so soon after a rest that the provider closed it without having seen the request.
        """
        return (
            self._calls > 1
            and not self.reader.begun
            and self._failed in ("", "upstream_cut")
            and self._wheel.now_s - self._asked_s <= self._limits.stale_window_s
        )

    async def wait(self) -> None:
        """Until there may be something to take."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def take(self) -> bytes | None:
        """The body that came since the last time; empty at its end, None if nothing came yet.

        Raises:
            UpstreamError: it broke off. All that came before was taken before.
        """
        chunks = self._chunks
        if chunks:
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks.clear()
            self._held_bytes = 0
            if self._paused:
                self._resume()
            return data
        if self.reader.stage is Stage.DONE:
            return b""
        if self._failed:
            raise broken(self._failed)
        return None

    def rest(self) -> bool:
        """The answer is done with. Returns whether the connection may be used for another one."""
        transport = self._transport
        if (
            self.reader.stage is not Stage.DONE
            or not self.reader.clean
            or self._paused
            or self.lost
            or transport is None
            or transport.is_closing()
            or transport.get_write_buffer_size()  # answered before the request was read
        ):
            self.abort()
            return False
        self._busy = False
        self._chunks.clear()
        self._held_bytes = 0
        self._deadline.set(self._limits.idle_timeout_s)
        return True

    def fit(self) -> bool:
        """Whether it can be asked: open, and with nothing in its socket that nobody asked for.

        Without the look at the socket itself, bytes behind the last answer that the event loop has
        not read yet would be taken for the next answer.
        """
        return not self.lost and self._poll is not None and not self._poll.poll(0)

    def break_off(self) -> None:
        """Close at once, and let whoever waits for it know."""
        self._fail("upstream_cut")
        self._wake()

    def abort(self) -> None:
        """Close at once. Nobody waits for it any more."""
        self._chunks.clear()
        self._busy = False
        if self._transport is not None:
            self._transport.abort()
        self._leave()

    # --- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, with TLS where that is asked for."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        if self.lost:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer, or of nothing that was asked for."""
        if not self._busy:
            self.abort()
            return
        reader = self.reader
        headed = reader.status
        body = reader.feed(data)
        stage = reader.stage
        if body:
            self._chunks.append(body)
            self._held_bytes += len(body)
            self._received_bytes += len(body)
            if self._received_bytes > self._limits.answer_bytes:
                self._fail("upstream_too_large")
        if stage is Stage.FAILED:
            self._fail(reader.failed)
        elif stage is not Stage.DONE and reader.status:
            if self._held_bytes > self._limits.buffer_bytes:
                self._pause()
            else:
                self._allow(self._limits.gap_timeout_s)
        if body or stage >= Stage.DONE or headed != reader.status:
            self._wake()

    def eof_received(self) -> None:
        """The provider will send no more: the end of a body that ends so, else a break."""
        if self._busy:
            self.reader.end()
            if self.reader.stage is Stage.FAILED:
                self._failed = self._failed or self.reader.failed
            self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Closed, by whomever."""
        if self._busy and self.reader.stage is not Stage.DONE:
            self._failed = self._failed or "upstream_cut"
        self._leave()
        self._wake()

    # --- inside

    def _allow(self, after_s: float) -> None:
        due_s = self._wheel.now_s + after_s
        self._deadline.set_at(due_s if due_s < self._total_due_s else self._total_due_s)

    def _pause(self) -> None:
        if not self._paused and self._transport is not None and not self.lost:
            self._paused = True
            self._transport.pause_reading()
            self._deadline.set_at(self._total_due_s)

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._allow(self._limits.gap_timeout_s)

    def _expired(self) -> None:
        if not self._busy:
            self.abort()
        elif self.reader.stage is not Stage.DONE:  # else what is there waits for a slow client
            self._fail("upstream_timeout")
            self._wake()

    def _fail(self, code: str) -> None:
        """Break off: what came so far can still be taken."""
        self._failed = self._failed or code
        if self._transport is not None:
            self._transport.abort()
        self._leave()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _leave(self) -> None:
        if not self.lost:
            self.lost = True
            self._deadline.close()
            self._on_lost(self)
