"""Planting: what a leak can look like, so that the search can be shown to find each kind."""

import base64
import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from gateway.privacy.canary import FORMS, Canary
from gateway.privacy.search import Search

SURROUND: Final = b'\x00{"id":"req-1f0c9a2e","error":"'

PACKED: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": lambda data: _zipped(data),
    "gzip in zip": lambda data: _zipped(gzip.compress(data)),
    "base64 in gzip": lambda data: gzip.compress(base64.b64encode(data)),
    "utf-16 in zlib": lambda data: zlib.compress(data.decode().encode("utf-16-be")),
    "torn gzip": lambda data: gzip.compress(data + bytes(range(256)) * 8)[:-12],
}


def leaks(canary: Canary) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of every kind of leak the search is made for."""
    mark = canary.mark("planted").encode()
    piece = mark[5:17]
    for form, write in FORMS.items():
        yield form, write(mark)
        yield f"{form}, a piece", write(piece)
    for before in range(3):
        yield f"base64 after {before}", base64.b64encode(b"abc"[:before] + mark)
        yield f"base64 after {before}, a piece", base64.urlsafe_b64encode(b"abc"[:before] + piece)
    yield "capitals", mark.upper()
    for packing, pack in PACKED.items():
        yield packing, pack(mark)


def self_test() -> tuple[int, int]:
    """(found, planted): both are the same, or the search itself is broken."""
    found = planted = 0
    for name, leak in leaks(canary := Canary()):
        search = Search(canary)
        search.data(name, SURROUND + leak + SURROUND)
        found += bool(search.hits)
        planted += 1
    return found, planted


def _zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", data)
    return file.getvalue()
