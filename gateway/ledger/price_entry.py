"""One model of the price book: the names it answers to, and its prices as they change with time."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from gateway.names import Slug
from gateway.usage import Factor, Price, Rates, Scheme

DAY_MINUTES: Final = 24 * 60
MINUTE_US: Final = 60 * 10**6

MODES: Final = ("batch", "flex", "priority", "fast")

FIELDS: Final = frozenset(
    {"id", "match", "entries", "modes", "context", "output", "regional", "least_audio_ms"}
)

Clause = str | list[Any]
"""A rule for names: "=" equals, "^" starts with, "$" ends with, "~" contains, "/" regular expression,
each before its text, which is in lower case but for "="; or ["any" | "all", rule, …]."""

_pattern = lru_cache(maxsize=1024)(re.compile)


def matches(clause: Clause, text: str) -> bool:
    """Whether a name in lower case fits a rule."""
    if isinstance(clause, str):
        mark, rest = clause[0], clause[1:]
        if mark == "=":
            return text == rest.lower()
        if mark == "^":
            return text.startswith(rest)
        if mark == "~":
            return rest in text
        if mark == "$":
            return text.endswith(rest)
        if mark == "/":
            return _pattern(rest).search(text) is not None
        raise ValueError("a rule for names of no known kind")
    if clause[0] == "any":
        return any(matches(one, text) for one in clause[1:])
    if clause[0] == "all":
        return all(matches(one, text) for one in clause[1:])
    raise ValueError("a rule for names of no known kind")


def names(clause: Clause) -> tuple[str, ...]:
    """The names that a rule lists in full."""
    if isinstance(clause, str):
        return (clause[1:],) if clause[0] == "=" else ()
    if clause[0] != "any":
        return ()
    return tuple(name for one in clause[1:] for name in names(one))


class Shelf:
    """The models of one provider, found by name: the first one whose rule fits."""

    __slots__ = ("_exact", "_rules", "_tables")

    def __init__(self, tables: list[Any]) -> None:
        self._tables = tables
        self._exact: dict[str, int] = {}
        self._rules: list[tuple[int, Clause]] = []
        for index, table in enumerate(tables):
            listed = names(table["match"])
            for name in listed:
                self._exact.setdefault(name.lower(), index)
            if len(listed) != (len(table["match"]) - 1 if isinstance(table["match"], list) else 1):
                self._rules.append((index, table["match"]))

    def find(self, text: str) -> int | None:
        """The place of the model that a name in lower case stands for."""
        exact = self._exact.get(text)
        for index, clause in self._rules:
            if exact is not None and index >= exact:
                break
            if matches(clause, text):
                return index
        return exact


class Entry:
    """A model's prices. Builds a Price when one is first needed, and keeps it."""

    __slots__ = ("_entries", "_modes", "_moments", "_prices", "_table", "_version",
                 "clause", "context", "id", "max_output")  # fmt: skip

    def __init__(self, table: Mapping[str, Any], version: Slug) -> None:
        self._table = table
        self._version = version
        self._entries: list[dict[str, Any]] = table.get("entries", [])
        self._modes: list[dict[str, Any]] = table.get("modes", [])
        self._moments = tuple(_moment(one) for one in (*self._entries, *self._modes))
        self._prices: dict[int, Price | None] = {}
        self.id: str = table["id"]
        self.clause: Clause = table["match"]
        self.context: int | None = table.get("context")
        self.max_output: int | None = table.get("output")

    @property
    def priced(self) -> bool:
        """Whether the model has a price at any time."""
        return any(entry["rates"] for entry in self._entries)

    def at(self, at_us: int) -> Price | None:
        """The price at a moment; None: not known."""
        active = 0
        for place, (start_us, window) in enumerate(self._moments):
            if start_us <= at_us and (window is None or _within(at_us, window)):
                active |= 1 << place
        if active not in self._prices:
            self._prices[active] = self._build(active)
        return self._prices[active]

    def check(self) -> None:
        """Build what can be built.

        Raises:
            KeyError, TypeError, ValueError, AttributeError, IndexError, re.error: it cannot.
        """
        if not FIELDS.issuperset(self._table):
            raise ValueError("a field of no known name")
        matches(self.clause, self.id.lower())
        for place in range(len(self._moments)):
            self._build(1 << place)

    def _build(self, active: int) -> Price | None:
        """The last active entry is the standard price, or the first one if none is active; the first
        active variant of a mode changes it, class by class."""
        if not self._entries:
            return None
        now = [entry for place, entry in enumerate(self._entries) if active >> place & 1]
        standard = (now or self._entries[:1])[-1]["rates"]
        if not standard:
            return None
        modes: dict[str, Any] = {}
        for place, variant in enumerate(self._modes, len(self._entries)):
            if active >> place & 1:
                changed = (
                    _factored(standard, variant["factors"]) if "factors" in variant else variant["rates"]
                )
                modes[variant["mode"]] = {**changed, **modes.get(variant["mode"], {})}
        regional = self._table.get("regional")
        return Price(
            version=self._version,
            standard=_scheme(standard),
            regional=None if regional is None else Factor(over=regional[0], under=regional[1]),
            least_audio_ms=self._table.get("least_audio_ms", 0),
            **{mode: _scheme({**standard, **rates}) for mode, rates in modes.items()},
        )


def _moment(entry: Mapping[str, Any]) -> tuple[int, tuple[int, int] | None]:
    """From when an entry holds (Unix microseconds), and in which minutes of the UTC day."""
    start_us = 0
    if "from" in entry:
        start = datetime.fromisoformat(entry["from"]).replace(tzinfo=UTC)
        start_us = int(start.timestamp()) * 10**6
    minutes = entry.get("minutes")
    return start_us, None if minutes is None else (minutes[0], minutes[1])


def _within(at_us: int, window: tuple[int, int]) -> bool:
    minute = at_us // MINUTE_US % DAY_MINUTES
    start, end = window
    return start <= minute < end if start <= end else minute >= start or minute < end


def _factored(rates: Mapping[str, Any], factors: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _multiplied(rates[name], *factor) for name, factor in factors.items() if name in rates}


def _multiplied(rate: Any, over: int, under: int) -> Any:
    if isinstance(rate, list):
        return [
            -(-rate[0] * over // under),
            *([start, -(-price * over // under)] for start, price in rate[1:]),
        ]
    return -(-rate * over // under)


def _scheme(rates: Mapping[str, Any]) -> Scheme:
    """Rates are an integer, or [rate, [bound, rate above it], …]."""
    bounds = sorted({step[0] for rate in rates.values() if isinstance(rate, list) for step in rate[1:]})
    base = {name: rate[0] if isinstance(rate, list) else rate for name, rate in rates.items()}
    steps = tuple(
        (bound, Rates(**{name: _above(rate, bound) for name, rate in rates.items()})) for bound in bounds
    )
    return Scheme(base=Rates(**base), steps=steps)


def _above(rate: Any, bound: int) -> Any:
    if not isinstance(rate, list):
        return rate
    return [rate[0], *(price for start, price in rate[1:] if start <= bound)][-1]
