"""Counts the clients' connections, closes idle ones when there are too many, and lets late ones expire."""

import asyncio
from ipaddress import IPv6Address, ip_address
from typing import Any, cast

from aiohttp.web_server import Server

from gateway import log
from gateway.edge.limits import EdgeLimits
from gateway.edge.phases import Host
from gateway.edge.protocol import Connection


class _Place:
    """The connections of one address: how many, and which are idle, the longest idle first."""

    __slots__ = ("count", "idle")

    def __init__(self) -> None:
        self.count = 0
        self.idle: dict[Connection, None] = {}


class EdgeListener(Server):
    """Makes connections and keeps account of them.

    A connection that runs no call is idle. When there are too many connections, in all or from one
    address, the one that has been idle longest is closed for the new one.
    """

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        # Connections run their calls themselves: there is no handler.
        super().__init__(cast(Any, None), handler_cancellation=True, loop=loop)
        self.host = host
        self.open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}
        self._places: dict[str, _Place] = {}

    def __call__(self) -> Connection:
        return Connection(self, self._loop)

    def admit(self, connection: Connection, address: str) -> bool:
        """Count a new connection; False when there are too many and none is idle."""
        limits = self.host.limits
        connection.place = name = place_of(address, limits)
        place = self._places.get(name)
        if name and place is not None and place.count >= limits.max_connections_per_address:
            if not place.idle:
                return False
            self._evict(next(iter(place.idle)))
        if len(self.open) >= limits.max_connections:
            if not self._idle:
                return False
            self._evict(next(iter(self._idle)))
        self.open.add(connection)
        self._places.setdefault(name, _Place()).count += 1
        self.idle(connection)
        return True

    def leave(self, connection: Connection) -> None:
        """Count a connection no more."""
        self.open.discard(connection)
        self._idle.pop(connection, None)
        place = self._places[connection.place]
        place.idle.pop(connection, None)
        place.count -= 1
        if not place.count:
            del self._places[connection.place]

    def idle(self, connection: Connection) -> None:
        """It runs no call now."""
        if connection.gone:
            return
        self._idle[connection] = None
        self._places[connection.place].idle[connection] = None

    def busy(self, connection: Connection) -> None:
        """It has a call to run."""
        self._idle.pop(connection, None)
        if not connection.gone:
            self._places[connection.place].idle.pop(connection, None)

    def sweep(self, now_ns: int) -> None:
        """Let every connection expire whose phase takes too long."""
        for connection in [one for one in self.open if 0 < one.due_ns < now_ns]:
            connection.expire()

    def _evict(self, connection: Connection) -> None:
        log.fact("edge.evicted", log.Level.DEBUG)
        connection.gone = True
        self.leave(connection)
        connection.drop()


def place_of(address: str, limits: EdgeLimits) -> str:
    """What connections are counted by: the address, or its /64; empty for a trusted proxy."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        elif not any(parsed in network for network in limits.trusted_proxies):
            return parsed.exploded[:19]
    return "" if any(parsed in network for network in limits.trusted_proxies) else str(parsed)
