"""The way to the providers: pooled HTTP/1.1 connections, no redirects, no proxies, a deadline on every wait.

Rules:
- nothing is sent without a Permit: money was set aside for it;
- one pool for each origin, last in first out, so that few connections stay warm and the rest close;
- a redirect is an answer like any other; it is never followed. Proxy settings of the environment
  are not looked at;
- a request is sent a second time in one case only: on a connection that had rested, which broke
  before any byte of the answer came and right after sending. Then the provider closed it while the
  request was under way. After the first byte nothing is ever repeated;
- whoever is cancelled leaves nothing behind: an open() closes its connection, a release() before
  the body's end does so, too.
"""

import asyncio
import socket
import ssl
from collections import deque
from functools import partial
from typing import Final

import aiohappyeyeballs

from gateway.clock import Clock
from gateway.content import Purpose
from gateway.contracts import Answer, Headers, Permit, UpstreamRequest
from gateway.edge.guard import Allowed, Guard, Lookup, Origin, check_url, system_lookup
from gateway.edge.timers import Deadline, Wheel
from gateway.edge.upstream_connection import Connection, TransportLimits, broken
from gateway.errors import OurError, UpstreamBusy, UpstreamError
from gateway.names import Slug
from gateway.stream.http1 import write_request

__all__ = ["Incoming", "Transport", "TransportLimits", "tls_context"]

_PLACES: Final = 4096  # paths whose origin is remembered


class Incoming:
    """An Answer that arrives on a connection."""

    __slots__ = ("connection", "headers", "pool", "status")

    def __init__(self, connection: Connection, pool: "Pool") -> None:
        self.connection: Connection | None = connection
        self.pool = pool
        self.status: int = connection.reader.status
        self.headers: Headers = connection.reader.headers

    async def read(self) -> bytes:
        """The next bytes of the body as they come; empty at the end.

        Raises:
            UpstreamError: upstream_cut, upstream_garbled, upstream_timeout or upstream_too_large.
        """
        while True:
            connection = self.connection
            if connection is None:
                raise RuntimeError("the answer was released")
            data = connection.take()
            if data is not None:
                return data
            await connection.wait()


class Pool:
    """The connections to one origin.

    Attributes:
        resting: those without a call, the one used last at the end.
        open: all, also those still connecting and those with a call.
    """

    __slots__ = ("authority", "busy", "open", "origin", "resting", "waiters")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.authority = origin.authority
        self.resting: list[Connection] = []
        self.busy: set[Connection] = set()
        self.open = 0
        self.waiters: deque[asyncio.Future[bool]] = deque()

    def wake(self) -> None:
        """A connection is free, or may be opened: the one who waits longest tries."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(True)
                return

    def lose(self, connection: Connection) -> None:
        """A connection was closed."""
        self.open -= 1
        self.busy.discard(connection)
        if connection in self.resting:
            self.resting.remove(connection)
        self.wake()


class Transport:
    """An Exit over the network. Belongs to one event loop."""

    def __init__(
        self,
        limits: TransportLimits | None = None,
        allowed: Allowed = frozenset(),
        *,
        lookup: Lookup = system_lookup,
        wheel: Wheel | None = None,
        clock: Clock | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            allowed: (host, port) of origins that may use http and private addresses.
            lookup: what resolves names.
            wheel: to share one; made and closed here if left out.
            tls: to share one; made with limits.ca_file if left out.

        Raises:
            OSError: limits.ca_file cannot be read.
        """
        self._limits = limits or TransportLimits()
        self._guard = Guard(allowed, lookup=lookup, clock=clock)
        self._wheel = Wheel(clock=clock) if wheel is None else wheel
        self._own_wheel = wheel is None
        self._tls = tls or tls_context(self._limits.ca_file)
        self._pools: dict[Origin, Pool] = {}
        self._places: dict[str, tuple[Pool, str]] = {}
        self._retired = False
        self._closed = False

    async def open(self, request: UpstreamRequest, permit: Permit) -> Answer:
        """Send the request and wait for the answer's head.

        Raises:
            TypeError: permit is none.
            UpstreamError: upstream_blocked, upstream_unreachable, upstream_cut, upstream_garbled;
                UpstreamTimeout; UpstreamBusy when no connection came free.
            OurError: bug, when a part of the request cannot be sent; shutting_down after close().
        """
        if not isinstance(getattr(permit, "id", None), Slug) or type(permit.amount) is not int:
            raise TypeError("no permit")
        if not self._wheel.turns:
            self._wheel.start()
        pool, target = self._place(request.url)
        method = request.method
        pieces = write_request(
            method, target, pool.authority, request.headers, request.body.open(Purpose.SEND)
        )
        connection = self._rested(pool) or await self._obtain(pool)
        total_due_s = self._wheel.now_s + self._limits.total_timeout_s
        try:
            await connection.ask(method, pieces, total_due_s)
        except UpstreamError:
            if not connection.stale():
                raise
            connection = await self._obtain(pool, fresh=True)
            await connection.ask(method, pieces, total_due_s)
        return Incoming(connection, pool)

    def release(self, answer: Answer) -> None:
        """The answer is done with: its connection rests if the body came to its end, else it is closed."""
        if not isinstance(answer, Incoming):
            raise TypeError("not an answer of this transport")
        connection = answer.connection
        if connection is None:
            return
        answer.connection = None
        pool = answer.pool
        if not connection.rest():
            return
        if self._retired or len(pool.resting) >= self._limits.max_idle_per_host:
            connection.abort()
            return
        pool.busy.discard(connection)
        pool.resting.append(connection)
        if pool.waiters:
            pool.wake()

    def allow(self, origins: Allowed) -> None:
        """Take another list of origins that may use http and private addresses, from now on.

        Calls under way go on; connections that rest are closed, as each was allowed by the old list.
        """
        self._guard = self._guard.allowing(origins)
        self._places.clear()
        self._rest_no_more()

    def retire(self) -> None:
        """Keep no connection open any more. Calls under way go on, also those that begin yet."""
        self._retired = True
        self._rest_no_more()

    async def close(self) -> None:
        """Close everything, calls under way included."""
        self._closed = True
        self.retire()
        for pool in self._pools.values():
            for connection in tuple(pool.busy):
                connection.break_off()
            while pool.waiters:
                pool.wake()
        if self._own_wheel:
            self._wheel.close()
        await asyncio.sleep(0)  # the loop closes sockets in its next turn

    @property
    def open_connections(self) -> int:
        """Connections of all pools, also those still connecting."""
        return sum(pool.open for pool in self._pools.values())

    @property
    def resting_connections(self) -> int:
        """Those of them without a call."""
        return sum(len(pool.resting) for pool in self._pools.values())

    # --- where to

    def _place(self, url: str) -> tuple[Pool, str]:
        """The pool and the request target of a URL. Origin and path are remembered, the query is not."""
        base, mark, query = url.partition("?")
        place = self._places.get(base)
        if place is None:
            origin, path = check_url(base, self._guard.allowed)
            pool = self._pools.get(origin)
            if pool is None:
                pool = self._pools[origin] = Pool(origin)
            if len(self._places) >= _PLACES:
                self._places.clear()
            place = self._places[base] = (pool, path)
        if mark:
            return place[0], f"{place[1]}?{query}"
        return place

    # --- a connection

    def _rest_no_more(self) -> None:
        for pool in self._pools.values():
            for connection in tuple(pool.resting):
                connection.abort()

    def _rested(self, pool: Pool) -> Connection | None:
        while pool.resting:
            connection = pool.resting.pop()
            if connection.fit():
                pool.busy.add(connection)
                return connection
            connection.abort()
        return None

    async def _obtain(self, pool: Pool, *, fresh: bool = False) -> Connection:
        """A connection, in turn.

        Raises:
            UpstreamBusy: there are as many as allowed, and none came free in time.
        """
        due_s = self._wheel.now_s + self._limits.wait_timeout_s
        while pool.open >= self._limits.max_connections_per_host:
            if fresh and pool.resting:
                pool.resting[0].abort()
                continue
            await self._wait(pool, due_s)
            rested = None if fresh else self._rested(pool)
            if rested is not None:
                return rested
        return await self._connect(pool)

    async def _wait(self, pool: Pool, due_s: float) -> None:
        if len(pool.waiters) >= self._limits.max_waiting_per_host:
            raise UpstreamBusy("upstream_busy", after_s=1.0)
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        deadline = Deadline(self._wheel, partial(_give_up, waiter))
        deadline.set_at(due_s)
        pool.waiters.append(waiter)
        try:
            if not await waiter:
                raise UpstreamBusy("upstream_busy", after_s=1.0)
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                pool.wake()  # what it was woken for is the next one's
            raise
        finally:
            deadline.close()

    async def _connect(self, pool: Pool) -> Connection:
        """A new connection, with TLS where the origin has it.

        Raises:
            UpstreamError: upstream_blocked or upstream_unreachable; UpstreamTimeout.
            OurError: shutting_down.
        """
        if self._closed:
            raise OurError("shutting_down")
        connection = Connection(self._wheel, self._limits, pool.lose)
        pool.open += 1
        pool.busy.add(connection)
        try:
            async with asyncio.timeout(self._limits.connect_timeout_s):
                await self._dial(pool.origin, connection)
        except TimeoutError:
            self._guard.forget(pool.origin)
            connection.abort()
            raise broken("upstream_timeout") from None
        except OSError:
            self._guard.forget(pool.origin)
            connection.abort()
            raise broken("upstream_unreachable") from None
        except BaseException:  # whatever it was, its place in the pool is free again
            connection.abort()
            raise
        return connection

    async def _dial(self, origin: Origin, connection: Connection) -> None:
        """Connect to an address that was checked; the name is not looked up again."""
        addresses = await self._guard.addresses(origin)
        loop = asyncio.get_running_loop()
        secure = origin.scheme == "https"
        tls = self._tls if secure else None
        name = origin.host if secure else None
        if len(addresses) == 1:
            await loop.create_connection(
                lambda: connection, str(addresses[0]), origin.port, ssl=tls, server_hostname=name
            )
            return
        found = await aiohappyeyeballs.start_connection(
            [_address_info(str(address), origin.port) for address in addresses],
            happy_eyeballs_delay=0.25,
            interleave=1,
            loop=loop,
        )
        await loop.create_connection(lambda: connection, sock=found, ssl=tls, server_hostname=name)


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Certificates and host names checked, TLS 1.2 or newer.

    Not ssl.create_default_context, which writes session keys to a file when SSLKEYLOGFILE is set:
    with them everything that passes could be read. Takes some 20 ms.

    Raises:
        OSError: ca_file cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _address_info(address: str, port: int) -> aiohappyeyeballs.AddrInfoType:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    place = (address, port, 0, 0) if family == socket.AF_INET6 else (address, port)
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place)


def _give_up(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)
