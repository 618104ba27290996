"""Prices as an operator writes them: decimal text in dollars, read without any rounding."""

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from gateway.names import Slug
from gateway.usage import MOST_PICOS, Factor, Price, Rates, Scheme

PER_MILLION_TOKENS: Final[Mapping[str, str]] = {
    "input": "input",
    "cached_input": "cached",
    "cache_write": "write_5m",
    "cache_write_1h": "write_1h",
    "input_audio": "input_audio",
    "cached_audio": "cached_audio",
    "input_image": "input_image",
    "cached_image": "cached_image",
    "input_video": "input_video",
    "output": "output",
    "reasoning": "reasoning",
    "output_audio": "output_audio",
    "output_image": "output_image",
}
"""Keys in dollars per million tokens: the class they price."""

PER_UNIT: Final[Mapping[str, tuple[str, int]]] = {
    "million_characters": ("character", 6),
    "audio_hour": ("audio_hour", 0),
    "thousand_searches": ("search", 3),
    "thousand_tool_uses": ("tool_unit", 3),
    "image": ("image", 0),
    "request": ("request", 0),
}
"""Keys in dollars for so many units: the class they price, and the zeros of that number."""

FACTORS: Final = ("batch", "flex", "priority", "fast", "regional")
"""Keys that multiply token prices, such as batch = "0.5"."""

LONG: Final = "long_"
"""Before a token key: its price when a call has more than long_above input tokens."""

KEYS: Final = (
    *PER_MILLION_TOKENS,
    *PER_UNIT,
    *FACTORS,
    "long_above",
    *(LONG + key for key in PER_MILLION_TOKENS),
)
"""Every key of a price table."""

_decimal = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,12}))?").fullmatch


def price_from_config(table: Mapping[str, object]) -> Price:
    """The price that a table of the configuration states.

    Args:
        table: keys of KEYS; every value is decimal text such as "0.15", because a binary fraction
            cannot say 0.15. The tokens of long_above are a whole number, as text or as it stands.

    Raises:
        ValueError: the text names the key and what is wrong with it, never the value.
    """
    for key in table:
        if key not in KEYS:
            raise ValueError(f"price.{key}: no such key; there are {', '.join(KEYS)}")
    base = _rates(table, "")
    if not base:
        raise ValueError("price: states no price")
    scheme = Scheme(base=Rates(**base), steps=_steps(table, base))
    factors = {key: _factor(table, key) for key in FACTORS if key in table}

    def mode(key: str) -> Scheme | None:
        if key not in factors:
            return None
        return Scheme(base=scheme.base, steps=scheme.steps, factor=factors[key])

    return Price(
        version=_version(table),
        standard=scheme,
        batch=mode("batch"),
        flex=mode("flex"),
        priority=mode("priority"),
        fast=mode("fast"),
        regional=factors.get("regional"),
    )


def _rates(table: Mapping[str, object], before: str) -> dict[str, int]:
    rates = {
        name: _picos(table, before + key, 6)
        for key, name in PER_MILLION_TOKENS.items()
        if before + key in table
    }
    if not before:
        rates |= {name: _picos(table, key, zeros) for key, (name, zeros) in PER_UNIT.items() if key in table}
    return rates


def _steps(table: Mapping[str, object], base: Mapping[str, int]) -> tuple[tuple[int, Rates], ...]:
    above = table.get("long_above")
    long = _rates(table, LONG)
    if above is None:
        if long:
            raise ValueError(
                "price.long_above: is missing; it says from how many input tokens the rest holds"
            )
        return ()
    bound = above if type(above) is int else _whole(above)
    if bound is None or not 0 <= bound < 10**9:
        raise ValueError("price.long_above: must be a number of tokens")
    if not long:
        raise ValueError("price.long_above: needs prices such as long_input")
    return ((bound, Rates(**{**base, **long})),)


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else None


def _parts(table: Mapping[str, object], key: str) -> tuple[int, int]:
    """A decimal as an integer and the number of its digits after the point."""
    value = table[key]
    if not isinstance(value, str):
        raise ValueError(f'price.{key}: must be text in quotes, such as "0.15", so that it is exact')
    found = _decimal(value)
    if found is None:
        raise ValueError(f'price.{key}: must be a decimal such as "0.15"')
    whole, part = found[1], found[2] or ""
    return int(whole + part), len(part)


def _picos(table: Mapping[str, object], key: str, zeros: int) -> int:
    """Dollars for 10**zeros units as pico-dollars for one."""
    digits, places = _parts(table, key)
    places += zeros
    if places > 12:
        digits, rest = divmod(digits, 10 ** (places - 12))
        if rest:
            raise ValueError(f"price.{key}: has more than {12 - zeros} digits after the point")
        places = 12
    picos = int(digits * 10 ** (12 - places))
    if picos >= MOST_PICOS:
        raise ValueError(f"price.{key}: is too large")
    return picos


def _factor(table: Mapping[str, object], key: str) -> Factor:
    digits, places = _parts(table, key)
    if not digits:
        raise ValueError(f"price.{key}: must be above 0; it multiplies the prices of tokens")
    return Factor(over=digits, under=int(10**places))


def _version(table: Mapping[str, object]) -> Slug:
    stated = "\n".join(f"{key}={table[key]}" for key in sorted(table))
    return Slug("operator-" + hashlib.sha256(stated.encode()).hexdigest()[:8])
