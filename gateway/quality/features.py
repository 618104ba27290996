"""Prompts to numbers: hashed words and pairs of words, seven numbers of their shape, and marks.

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
SHAPES: Final = 7
HEAD: Final = 1200
TAIL: Final = 400
"""Characters that are looked at, so that a long prompt does not take long."""

Row = Mapping[int, float]
"""Values by column: first words, then shapes, then marks, then whatever the caller adds from WIDTH on."""

_MIX: Final = 0x9E3779B97F4A7C15
_NUMBERS: Final = (1 << 32) - 1
_PRIME: Final = (1 << 61) - 1
_WORD: Final = re.compile(r"\w+|[^\w\s]")
_DIGIT: Final = re.compile(r"\d")
_NUMBER: Final = re.compile(r"\d+")
_SYMBOL: Final = re.compile(r"[=+*/^\\$<>{}]")
_CAPITAL: Final = re.compile(r"[A-Z]")
_OPTION: Final = re.compile(r"\n\(?A[.):]")
_CODE: Final = re.compile(r"```|\bdef |\]\(|[;{}]\n")

_MARKS: Final = (24, 7, 7, 2, 2, 2, 2)
"""How many values each mark has: length, lines, numbers, options, ends with a question, formulas, code."""
WIDTH: Final = BUCKETS + SHAPES + sum(_MARKS)


def words(text: str, key: bytes) -> tuple[set[int], set[int]]:
    """The columns of the words and pairs of neighbours of a prompt, and the words' own numbers."""
    tokens = _WORD.findall(window(text).lower())
    numbers = {token: _number(token, key) for token in set(tokens)}
    line = [numbers[token] for token in tokens]
    found = {number % BUCKETS for number in numbers.values()}
    # Pairs are made of their words' numbers: as good as a hash of both, in a tenth of the time.
    found.update([(one * _MIX + two) % _PRIME % BUCKETS for one, two in pairwise(line)])
    return found, {number & _NUMBERS for number in numbers.values()}


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


def marks(text: str) -> list[int]:
    """The columns of a prompt's marks, one of each kind."""
    seen = window(text)
    values = (
        int(math.log2(len(text) + 1) * 1.5),
        seen.count("\n").bit_length(),
        len(_NUMBER.findall(seen)).bit_length(),
        _OPTION.search(seen) is not None,
        seen.rstrip().endswith("?"),
        "$" in seen,
        _CODE.search(seen) is not None,
    )
    found, first = [], BUCKETS + SHAPES
    for value, size in zip(values, _MARKS, strict=True):
        found.append(first + min(value, size - 1))
        first += size
    return found


def _number(token: str, key: bytes) -> int:
    digest = blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest()
    return int.from_bytes(digest)
