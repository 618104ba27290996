"""How scopes are written: one value of one scope as text, and the scopes of one owner read together."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_network
from typing import Final

from gateway.contracts import Network
from gateway.names import MAX_LENGTH, Slug
from gateway.records import PathKind
from gateway.usage import Nanos

Span = tuple[int, int]
"""(from, to) in minutes of the UTC day; to may be smaller, over midnight."""

ANY_POLICY: Final = Slug("any")
FLOORS: Final = (ANY_POLICY, Slug("no-training"), Slug("no-retention"), Slug("local"))
"""Data policies from loosest to strictest: nothing promised; content is not trained on; it is not
kept after the call either; it does not leave one's own machines."""

MAX_VALUES: Final = 256
"""Values that one owner may have in all its scopes."""

_NANOS_DIGITS: Final = 9
_LAST_YEAR: Final = 9000
_dollars = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?", re.ASCII).fullmatch
_count = re.compile(r"\d{1,9}", re.ASCII).fullmatch
_hours = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))", re.ASCII).fullmatch
_pattern = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,126}\*?").fullmatch


class ScopeError(Exception):
    """A scope cannot be read. The text says what is expected and never quotes the value.

    Attributes:
        what: the scope's name, where it is one.
    """

    def __init__(self, text: str, what: Slug | None = None) -> None:
        super().__init__(text)
        self.what = what


@dataclass(slots=True)
class Level:
    """The scopes of one node or key. store: True "allow", False "deny", None not said."""

    models: list[str] = field(default_factory=list)
    providers: list[str] = field(default_factory=list)
    paths: list[PathKind] = field(default_factory=list)
    environments: list[Slug] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)
    hours: list[Span] = field(default_factory=list)
    expires_ms: int | None = None
    max_cost: Nanos | None = None
    floor: Slug | None = None
    store: bool | None = None
    cap: Nanos | None = None
    rate: int | None = None
    baseline: Slug | None = None


def read(pairs: Iterable[tuple[str, str]]) -> Level:
    """The (scope, value) pairs of one owner.

    Raises:
        ScopeError: a name or value is not in the grammar, a single value is given twice, or there
            are more than MAX_VALUES.
    """
    level = Level()
    for number, (what, value) in enumerate(pairs, 1):
        if number > MAX_VALUES:
            raise ScopeError(f"more than {MAX_VALUES} values")
        if what in MANY:
            getattr(level, what).append(parse(what, value))
        elif what in ONE:
            name = "expires_ms" if what == "expires" else what
            if getattr(level, name) is not None:
                raise ScopeError("can have one value only", Slug(what))
            setattr(level, name, parse(what, value))
        else:
            raise ScopeError("is no scope; there are: " + ", ".join((*MANY, *ONE)))
    return level


def parse(what: str, value: str) -> object:
    """One value of one scope.

    Raises:
        ScopeError: as read() says.
    """
    parser, expected = (MANY.get(what) or ONE.get(what)) or (None, "")
    if parser is None:
        raise ScopeError("is no scope; there are: " + ", ".join((*MANY, *ONE)))
    try:
        return parser(value if len(value) <= MAX_LENGTH else "")
    except ValueError:
        raise ScopeError(f"must be {expected}", Slug(what)) from None


def dollars(text: str) -> Nanos:
    """Dollars as a decimal string, exactly, in nano-dollars.

    Raises:
        ValueError: no such number, or more than nine decimals.
    """
    match = _dollars(text)
    if match is None:
        raise ValueError("no amount")
    whole, part = match.groups()
    return Nanos(int(whole) * 10**_NANOS_DIGITS + int((part or "0").ljust(_NANOS_DIGITS, "0")))


def _read_pattern(text: str) -> str:
    if _pattern(text) is None:
        raise ValueError("no pattern")
    return text


def _read_network(text: str) -> Network:
    return ip_network(text)


def _read_span(text: str) -> Span:
    match = _hours(text)
    if match is None:
        raise ValueError("no hours")
    begin_h, begin_m, end_h, end_m = (int(part) for part in match.groups() if part is not None)
    begin, end = begin_h * 60 + begin_m, end_h * 60 + end_m
    if begin == end:
        raise ValueError("empty")
    return begin, end


def _read_time(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or moment.year > _LAST_YEAR:
        raise ValueError("no time zone, or too far away")
    return int(moment.timestamp() * 1000)


def _read_floor(text: str) -> Slug:
    return FLOORS[FLOORS.index(Slug(text))]


def _read_store(text: str) -> bool:
    return ("deny", "allow").index(text) == 1


def _read_rate(text: str) -> int:
    if _count(text) is None or int(text) == 0:
        raise ValueError("no rate")
    return int(text)


_Parser = tuple[Callable[[str], object], str]

MANY: Final[dict[str, _Parser]] = {
    "models": (_read_pattern, 'a name, or the start of names followed by "*"'),
    "providers": (_read_pattern, 'a name, or the start of names followed by "*"'),
    "paths": (PathKind, "one of " + ", ".join(PathKind)),
    "environments": (Slug, "a name"),
    "networks": (_read_network, 'a network such as "10.0.0.0/8" or "2001:db8::/32"'),
    "hours": (_read_span, 'a span of the UTC day such as "08:00-18:00"'),
}
"""Scopes with any number of values, of which one must fit: how a value is read, and what it must be."""

ONE: Final[dict[str, _Parser]] = {
    "expires": (_read_time, 'a time with its zone such as "2030-01-31T00:00:00Z"'),
    "max_cost": (dollars, 'dollars such as "0.25", at most nine decimals'),
    "floor": (_read_floor, "one of " + ", ".join(FLOORS)),
    "store": (_read_store, '"allow" or "deny"'),
    "cap": (dollars, 'dollars such as "25.00", at most nine decimals'),
    "rate": (_read_rate, "a whole number of calls a minute, at least 1"),
    "baseline": (Slug, "the name of a model"),
}
"""Scopes with one value, in the same form."""
