"""Where the gateway may connect to: addresses of URLs checked, names resolved once, every address checked.

The rules, against requests that are led to the inside of a network:
- a URL is https with a plain host name or a canonical address; http only where it is listed. No user
  part, no other spelling of an address (octal, hexadecimal, short, mapped), no letters but ASCII;
- a name is resolved once, each of its addresses is checked, and one of these very addresses is
  connected to: there is no second look-up that could give another answer;
- one bad address among good ones refuses them all;
- addresses of private and special networks are refused, unless the origin is listed. Metadata
  services, multicast and broadcast are refused even then.

Source: the IANA registries of special-purpose IPv4 and IPv6 addresses (RFC 6890), RFC 6598 (shared
address space), the metadata addresses that cloud providers publish.
"""

import asyncio
import re
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from gateway.clock import Clock, SystemClock
from gateway.errors import UpstreamError

Allowed = frozenset[tuple[str, int]]
"""Listed origins, as (host, port): http and private addresses are allowed there."""

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""Addresses of a name; raises OSError when there are none."""

ADDRESSES: Final = 16
"""Addresses of one name that are looked at; those beyond are not used."""

_METADATA: Final = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "168.63.129.16", "100.100.100.200")
_NEVER: Final = tuple(
    IPv4Network(text) for text in (*_METADATA, "192.0.0.192", "224.0.0.0/4", "255.255.255.255")
)
_NEVER_6: Final = tuple(
    IPv6Network(text) for text in ("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "ff00::/8")
)
_SPECIAL: Final = tuple(
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24"),
        *("192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "240.0.0.0/4"),
    )
)
_PUBLIC_6: Final = IPv6Network("2000::/3")
_SPECIAL_6: Final = tuple(
    IPv6Network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_ISATAP: Final = (0x00005EFE, 0x02005EFE)

_url = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]{1,254}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<target>/[!\"$-\[\]-~]*)?"
).fullmatch
_host_name = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
).fullmatch
_ends_in_number = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)").fullmatch
_canonical_ipv4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}").fullmatch


@dataclass(frozen=True, slots=True)
class Origin:
    """A place to connect to.

    Attributes:
        host: a name in lower case without a dot at its end, or an address (IPv6 without brackets).
        port: 1 to 65535.
    """

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The value of a host field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


def refused(about: str) -> UpstreamError:
    """The error for a place that may not be connected to: upstream_blocked, about what."""
    return UpstreamError("upstream_blocked", about=about)


def check_url(url: str, allowed: Allowed = frozenset()) -> tuple[Origin, str]:
    """Take an absolute URL apart, strictly.

    Returns:
        Its origin, and its path with the query; "/" where it has none.

    Raises:
        UpstreamError: upstream_blocked, about url, host, port or scheme. The text is not quoted.
    """
    parts = _url(url)
    if parts is None:
        raise refused("url")
    scheme = parts["scheme"]
    host = _check_host(parts["host"])
    port = int(parts["port"] or (443 if scheme == "https" else 80))
    if port > 65535:
        raise refused("port")
    origin = Origin(scheme, host, port)
    if scheme != "https" and (host, port) not in allowed:
        raise refused("scheme")
    literal = _literal(host)
    if literal is not None:
        check_address(literal, listed=(host, port) in allowed)
    return origin, parts["target"] or "/"


def _check_host(text: str) -> str:
    """A host in its one form.

    Raises:
        UpstreamError: upstream_blocked, about host: another spelling of an address, or no name.
    """
    if text.startswith("["):
        try:
            return str(IPv6Address(text[1:-1]))
        except ValueError:
            raise refused("host") from None
    host = text.lower().removesuffix(".")
    if _canonical_ipv4(host):
        return host
    if _ends_in_number(host) or _host_name(host) is None:
        raise refused("host")
    return host


def _one_form(host: str) -> str:
    """A listed host as check_url would give it; one that no URL can have stays as it is."""
    try:
        return _check_host(f"[{host}]" if ":" in host else host)
    except UpstreamError:
        return host


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    if ":" in host or _canonical_ipv4(host):
        return ip_address(host)
    return None


def check_address(address: IPv4Address | IPv6Address, *, listed: bool = False) -> None:
    """Refuse addresses that are not of the public internet.

    Args:
        listed: the operator listed the origin: private networks and loopback are allowed.

    Raises:
        UpstreamError: upstream_blocked, about address.
    """
    if isinstance(address, IPv4Address):
        never = any(address in network for network in _NEVER)
        special = any(address in network for network in _SPECIAL)
    else:
        never, special = _look_at_ipv6(address)
    if never or (special and not listed):
        raise refused("address")


def _look_at_ipv6(address: IPv6Address) -> tuple[bool, bool]:
    """Whether it is refused always, and whether it is refused unless listed."""
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    never = any(address in network for network in _NEVER_6) or (
        inner is not None and any(inner in network for network in _NEVER)
    )
    special = (
        address not in _PUBLIC_6
        or any(address in network for network in _SPECIAL_6)
        or (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    )
    return never, special


async def system_lookup(host: str, port: int) -> list[str]:
    """Addresses of a name by the system's resolver, in its order of preference."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(entry[4][0]) for entry in found]


class _Known:
    """What is known of a name. Its lock makes many calls at once ask one time."""

    __slots__ = ("addresses", "asked_ns", "lock")

    def __init__(self) -> None:
        self.addresses: tuple[IPv4Address | IPv6Address, ...] = ()
        self.asked_ns = 0
        self.lock = asyncio.Lock()


class Guard:
    """Turns origins into addresses that were checked. Remembers good answers for a short while."""

    def __init__(
        self,
        allowed: Allowed = frozenset(),
        *,
        keep_s: float = 30.0,
        names: int = 1024,
        lookup: Lookup = system_lookup,
        clock: Clock | None = None,
    ) -> None:
        self.allowed = frozenset((_one_form(host), port) for host, port in allowed)
        self._keep_ns = int(keep_s * 1e9)
        self._names = names
        self._lookup = lookup
        self._clock = clock or SystemClock()
        self._known: OrderedDict[tuple[str, int], _Known] = OrderedDict()

    async def addresses(self, origin: Origin) -> tuple[IPv4Address | IPv6Address, ...]:
        """Addresses to connect to, each of them checked. The caller sets the time limit.

        Raises:
            UpstreamError: upstream_blocked, about address, if any of them is not allowed;
                upstream_unreachable if there is none.
        """
        listed = (origin.host, origin.port) in self.allowed
        literal = _literal(origin.host)
        if literal is not None:
            check_address(literal, listed=listed)
            return (literal,)
        known = self._entry(origin)
        async with known.lock:
            if not known.addresses or self._clock.tick_ns() - known.asked_ns >= self._keep_ns:
                known.addresses = ()
                found = await self._ask(origin)
                for address in found:
                    check_address(address, listed=listed)
                known.addresses = found[:ADDRESSES]
                known.asked_ns = self._clock.tick_ns()
            return known.addresses

    def allowing(self, allowed: Allowed) -> "Guard":
        """A guard with another list, which has no answers yet."""
        keep_s = self._keep_ns / 1e9
        return Guard(allowed, keep_s=keep_s, names=self._names, lookup=self._lookup, clock=self._clock)

    def forget(self, origin: Origin) -> None:
        """Ask again next time: its addresses could not be connected to."""
        self._known.pop((origin.host, origin.port), None)

    def _entry(self, origin: Origin) -> _Known:
        key = (origin.host, origin.port)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Known()
            if len(self._known) > self._names:
                self._known.popitem(last=False)
        return known

    async def _ask(self, origin: Origin) -> tuple[IPv4Address | IPv6Address, ...]:
        try:
            texts = await self._lookup(origin.host, origin.port)
            # A scope such as %eth0 belongs to link-local addresses, which no name may lead to.
            found = tuple(dict.fromkeys(ip_address(text) for text in texts))
        except TimeoutError:
            raise
        except (OSError, UnicodeError, ValueError):
            raise UpstreamError("upstream_unreachable", about="name") from None
        if not found:
            raise UpstreamError("upstream_unreachable", about="name")
        return found
