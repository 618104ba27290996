"""Embeddings that are the same for the same text."""

import math
from base64 import b64encode
from hashlib import shake_128
from struct import pack, unpack
from typing import Any, Final

SIZE: Final = 16
"""Numbers of a vector when the caller does not say."""

LARGEST: Final = 4096

MOST: Final = 1_000_000
"""Numbers of all vectors of one answer."""


def check(vectors: int, size: Any) -> None:
    """Raises ValueError when so many vectors of that size are too much to make at once."""
    if vectors * int(size or SIZE) > MOST:
        raise ValueError("too much")


def vector(text: str, size: Any = None) -> list[float]:
    """A vector of length one. Numbers are exact in 32 bits, so that both encodings say the same."""
    numbers = min(max(int(size or SIZE), 1), LARGEST)
    digest = shake_128(text.encode("utf-8", "replace")).digest(2 * numbers)
    raw = [value / 32768 for value in unpack(f"<{numbers}h", digest)]
    length = math.sqrt(sum(value * value for value in raw)) or 1.0
    return list(unpack(f"<{numbers}f", pack(f"<{numbers}f", *(value / length for value in raw))))


def packed(values: list[float]) -> str:
    """The vector as base64 of little-endian 32-bit numbers."""
    return b64encode(pack(f"<{len(values)}f", *values)).decode()
