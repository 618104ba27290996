"""Orders: what a prompt or the configuration tells echo to do besides answering."""

import re
from dataclasses import dataclass, replace
from typing import Final

LONGEST_S: Final = 60.0
"""Seconds that a single pause may last."""

MOST_TOKENS: Final = 100_000
"""Tokens of the longest answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """See the table in the docstring of Echo. None and zero mean: not ordered."""

    delay: float = 0.0
    first: float = 0.0
    tokens: int | None = None
    chunk: int = 1
    burst: int = 1
    status: int = 0
    retry_after: int | None = None
    fault: str = ""
    cut: int | None = None
    error: int | None = None
    end: int | None = None
    stall: int | None = None
    no_end: int = 0
    no_usage: int = 0
    zero_usage: int = 0
    input: int | None = None
    output: int | None = None
    cached: int = 0
    write_5m: int = 0
    write_1h: int = 0
    reasoning: int = 0
    aside: int = 0
    tool: str = ""
    tools: int = 0
    finish: str = ""
    tier: str = ""
    poses: str = ""
    torn: int = 0
    obeys: bool = True

    @property
    def disturbs(self) -> bool:
        """Whether reading the answer is anything else than taking the next event."""
        return bool(
            self.delay
            or self.burst != 1
            or self.cut is not None
            or self.error is not None
            or self.end is not None
            or self.stall is not None
        )


NO_ORDERS: Final = Orders()

MARK: Final = "echo:"

_WORD = r"[a-z0-9_]{1,16}(?:=[\w.:/+-]{0,64})?"
_find = re.compile(rf"echo:({_WORD}(?:,{_WORD}){{0,39}})", re.ASCII).search

_SECONDS: Final = frozenset({"delay", "first"})
_TEXTS: Final = frozenset({"fault", "tool", "finish", "tier", "poses"})
_COUNTS: Final = {
    "tokens": (0, MOST_TOKENS),
    "chunk": (1, MOST_TOKENS),
    "burst": (1, MOST_TOKENS),
    "status": (400, 599),
    "retry_after": (0, 86_400),
    "cut": (0, 10**6),
    "error": (0, 10**6),
    "end": (0, 10**6),
    "stall": (0, 10**6),
    "torn": (0, 1),
    "no_end": (0, 1),
    "no_usage": (0, 1),
    "zero_usage": (0, 1),
    "input": (0, 10**9),
    "output": (0, 10**9),
    "cached": (0, 10**9),
    "write_5m": (0, 10**9),
    "write_1h": (0, 10**9),
    "reasoning": (0, 10**9),
    "aside": (0, 10**9),
    "tools": (1, 64),
}
"""name: smallest and largest value; others are brought to the nearer of the two."""


def obey(text: str, orders: Orders) -> tuple[str, Orders]:
    """The text without the directive in it, and the orders changed by it.

    Words that are not known are passed over: the text may only look like a directive.
    """
    found = _find(text)
    if found is None:
        return text, orders
    rest = (text[: found.start()] + text[found.end() :]).strip()
    return rest, parse(found[1], orders)


def parse(directive: str, orders: Orders = NO_ORDERS, *, strict: bool = False) -> Orders:
    """Orders from "name=value,name=value". A bare name means 1.

    Raises:
        ValueError: only when strict: a name or a value is not known. The text does not quote it.
    """
    changes: dict[str, float | int | str] = {}
    for word in directive.split(","):
        name, _, value = word.strip().partition("=")
        try:
            name, meant = _understand(name, value.rstrip(".:") or "1")
        except (ValueError, KeyError):
            if strict:
                raise ValueError("defaults: expected name=value,… as in the table of orders") from None
            continue
        changes[name] = meant
    return replace(orders, **changes)  # type: ignore[arg-type]


def _understand(name: str, value: str) -> tuple[str, float | int | str]:
    if name == "fault" and value.isdecimal():
        name = "status"
    if name in _TEXTS:
        return name, value
    if name in _SECONDS:
        seconds = float(value)
        return name, min(max(seconds, 0.0), LONGEST_S) if seconds == seconds else 0.0
    low, high = _COUNTS[name]
    return name, min(max(int(value), low), high)
