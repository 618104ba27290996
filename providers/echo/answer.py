"""EchoAnswer: an answer while it is read, with the pauses and faults that were ordered."""

import asyncio
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Final

from gateway.contracts import Headers
from gateway.errors import UpstreamError
from gateway.providers.echo.orders import Orders
from gateway.providers.echo.reply import Reply

if TYPE_CHECKING:
    from gateway.contracts import Answer

STALL_S: Final = 600.0
"""Seconds that an answer is silent before it breaks off."""

TURN: Final = 64
"""Reads without a pause after which others get their turn."""


class EchoAnswer:
    """An answer; see Answer."""

    __slots__ = ("_count", "_disturbed", "_events", "_orders", "_reply", "headers", "status")

    def __init__(self, status: int, headers: Headers, reply: Reply, orders: Orders) -> None:
        self.status = status
        self.headers = headers
        self._reply = reply
        self._orders = orders
        self._count = 0
        self._disturbed = orders.disturbs
        self._events = _halves(reply.events) if self._disturbed and not reply.streamed else reply.events

    @property
    def streamed(self) -> bool:
        """Whether the body comes in parts whose sum is not known at the start."""
        return self._reply.streamed

    async def read(self) -> bytes:
        """The next events, as many as burst says; empty at the end.

        Raises:
            UpstreamError: it was ordered to break off here.
        """
        if self._disturbed:
            return await self._slowly()
        self._count += 1
        if not self._count % TURN:
            await asyncio.sleep(0)
        return next(self._events, b"")

    async def _slowly(self) -> bytes:
        orders = self._orders
        if self._count and orders.delay:
            await asyncio.sleep(orders.delay)
        elif not (self._count + 1) % TURN:
            await asyncio.sleep(0)
        taken: list[bytes] = []
        while len(taken) < orders.burst:
            if self._count in (orders.cut, orders.stall):
                if not taken:
                    await self._break_off()
                break
            event = self._take()
            if not event:
                break
            taken.append(event)
        return b"".join(taken)

    async def _break_off(self) -> None:
        if self._count == self._orders.stall:
            await asyncio.sleep(STALL_S)
        raise UpstreamError("upstream_cut")

    def _take(self) -> bytes:
        """The next event, with what was ordered for its place in the stream."""
        orders, at = self._orders, self._count
        if at == orders.end:
            self._events = iter(())
        elif at == orders.error:
            self._events = iter((self._reply.broken,))
        event = next(self._events, b"")
        self._count += 1 if event else 0
        if orders.torn and self._count == orders.cut:
            following = next(self._events, b"")
            event += following[: len(following) // 2]
        return event


def _halves(events: Iterator[bytes]) -> Iterator[bytes]:
    """A whole body in two parts, so that something can happen in between."""
    body = next(events, b"")
    middle = len(body) // 2
    return chain((body[:middle], body[middle:]), events)


if TYPE_CHECKING:
    _answer: type[Answer] = EchoAnswer
