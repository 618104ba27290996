"""Unpacking: whatever was compressed, anywhere within some bytes, with a bound on what comes out."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

try:
    import zstandard
except ImportError:
    zstandard = None

_ZSTD: Final = (lambda: zstandard.ZstdDecompressor().decompressobj(),) if zstandard else ()

MOST_BYTES: Final = 64 << 20
"""What is unpacked of one member."""

DEEPEST: Final = 3
"""Members within members."""

_FIRST: Final = 256
_STEP: Final = 64 << 10


class _Inflater(Protocol):
    def decompress(self, data: Any, /) -> bytes: ...


_MAGIC: Final[tuple[tuple[str, bytes, Callable[[], _Inflater]], ...]] = (
    ("gzip", b"\x1f\x8b\x08", lambda: zlib.decompressobj(31)),
    ("zlib", b"\x78\x01", zlib.decompressobj),
    ("zlib", b"\x78\x5e", zlib.decompressobj),
    ("zlib", b"\x78\x9c", zlib.decompressobj),
    ("zlib", b"\x78\xda", zlib.decompressobj),
    ("bzip2", b"BZh", bz2.BZ2Decompressor),
    ("xz", b"\xfd7zXZ\x00", lzma.LZMADecompressor),
    *(("zstd", b"\x28\xb5\x2f\xfd", inflater) for inflater in _ZSTD),
)
_ZIP: Final = b"PK\x03\x04"
_ZIP_HEAD: Final = 30
_ERRORS: Final = (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError) + (
    (zstandard.ZstdError,) if zstandard else ()
)

PACKINGS: Final = tuple(dict.fromkeys([name for name, _, _ in _MAGIC] + ["zip"]))
"""What can be unpacked here; zstd only where the package zstandard is installed."""


def unpacked(data: bytes, deep: int = DEEPEST) -> Iterator[tuple[str, bytes]]:
    """(packing, bytes) of each member, members of members included. Damaged ones as far as they go."""
    for name, magic, inflater in _MAGIC:
        for at in _places(data, magic):
            yield from _with_inner(name, _inflate(inflater(), memoryview(data)[at:]), deep)
    for at in _places(data, _ZIP):
        head = data[at : at + _ZIP_HEAD]
        if len(head) == _ZIP_HEAD and head[8:10] == b"\x08\x00":
            names = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
            start = at + _ZIP_HEAD + names
            yield from _with_inner("zip", _inflate(zlib.decompressobj(-15), memoryview(data)[start:]), deep)


def _with_inner(name: str, inner: bytes, deep: int) -> Iterator[tuple[str, bytes]]:
    if not inner:
        return
    yield name, inner
    if deep > 1:
        for below, innermost in unpacked(inner, deep - 1):
            yield f"{name}, {below}", innermost


def _places(data: bytes, magic: bytes) -> Iterator[int]:
    at = data.find(magic)
    while at >= 0:
        yield at
        at = data.find(magic, at + 1)


def _inflate(inflater: _Inflater, data: memoryview) -> bytes:
    """What comes out before the end, an error, or the bound; most places turn out to be no member."""
    parts: list[bytes] = []
    size, start, step = 0, 0, _FIRST
    while start < len(data) and size < MOST_BYTES:
        try:
            part = inflater.decompress(data[start : start + step])
        except _ERRORS:
            break
        parts.append(part)
        size += len(part)
        start += step
        step = _STEP
        if getattr(inflater, "eof", False):
            break
    return b"".join(parts)[:MOST_BYTES]
