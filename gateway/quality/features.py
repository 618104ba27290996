"""Prompts to numbers: hashed words and pairs of words, and seven numbers of their shape.

The hash has a key, so that who has fitted weights cannot look words up in them without that key. The text
itself does not leave this file.
"""

import math
import re
from collections.abc import Mapping
from hashlib import blake2b
from itertools import pairwise
from typing import Final

BUCKETS: Final = 1 << 15
HEAD: Final = 1200
TAIL: Final = 400
"""Characters that are looked at, so that a long prompt does not take long."""

SHAPES: Final = 7
GROUP_WEIGHT: Final = 0.45
SHAPE_WEIGHT: Final = 0.12

Row = Mapping[int, float]
"""Values by column. Columns: words, then shapes, then (from BUCKETS + SHAPES) groups."""

_MIX: Final = 0x9E3779B97F4A7C15
_PRIME: Final = (1 << 61) - 1
_WORD: Final = re.compile(r"\w+|[^\w\s]")
_DIGIT: Final = re.compile(r"\d")
_SYMBOL: Final = re.compile(r"[=+*/^\\$<>{}]")
_CAPITAL: Final = re.compile(r"[A-Z]")


def words(text: str, key: bytes) -> Row:
    """The words and pairs of neighbours of a prompt, as columns; their squares add up to 1."""
    tokens = _WORD.findall(window(text).lower())
    numbers = {token: _number(token, key) for token in set(tokens)}
    line = [numbers[token] for token in tokens]
    found = {number % BUCKETS for number in numbers.values()}
    # Pairs are made of their words' numbers: as good as a hash of both, in a tenth of the time.
    found.update([(one * _MIX + two) % _PRIME % BUCKETS for one, two in pairwise(line)])
    value = 1 / math.sqrt(len(found) or 1)
    return dict.fromkeys(found, value)


def window(text: str) -> str:
    """The part of a prompt that is looked at."""
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]} {text[-TAIL:]}"


def shape(text: str) -> tuple[float, ...]:
    """How long, how many lines, how much of it digits, signs and capitals: SHAPES numbers."""
    seen = window(text)
    size = len(seen) + 1
    return (
        math.log1p(len(text)),
        math.log1p(seen.count("\n")),
        math.sqrt(len(_DIGIT.findall(seen)) / size),
        math.sqrt(len(_SYMBOL.findall(seen)) / size),
        math.sqrt(len(_CAPITAL.findall(seen)) / size),
        math.log1p(seen.count("?")),
        len(seen) / (1 + len(seen.split())),
    )


def _number(token: str, key: bytes) -> int:
    digest = blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest()
    return int.from_bytes(digest)
