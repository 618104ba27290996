"""Members are unpacked wherever they stand, as far as they go, and no further than the bound."""

import bz2
import gzip
import lzma
import zlib

import pytest

from gateway.privacy import unpacking
from gateway.privacy.planting import PACKED
from gateway.privacy.unpacking import unpacked

TEXT = b"some text to be packed " * 9


@pytest.mark.parametrize("packing", PACKED)
def test_a_member_in_the_middle_of_something(packing: str) -> None:
    found = [data for _, data in unpacked(b"before" + PACKED[packing](TEXT) + b"after")]
    assert any(data.startswith(TEXT) or b"c29tZSB0ZXh0" in data or b"s\0o\0m\0e" in data for data in found)


def test_members_within_members_to_a_depth() -> None:
    packed = TEXT
    for pack in (gzip.compress, zlib.compress, bz2.compress, lzma.compress):
        packed = pack(packed)
    names = {name for name, _ in unpacked(packed)}
    assert "xz, bzip2, zlib" in names
    assert not any(name.endswith("zlib, gzip") and name.startswith("xz") for name in names)  # one too deep


def test_a_member_that_breaks_off_or_is_spoilt_gives_what_came_before() -> None:
    long = bytes(range(256)) * 4000
    packed = bytearray(gzip.compress(long, 1))
    [(name, data)] = unpacked(bytes(packed[: len(packed) // 2]))
    assert name == "gzip"
    assert long.startswith(data)
    assert len(data) > 1000
    packed[-8] ^= 1  # its checksum
    assert any(long.startswith(data) for _, data in unpacked(bytes(packed)))


def test_a_bomb_is_unpacked_to_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_BYTES", 100_000)
    [(_, data)] = unpacked(gzip.compress(b"\0" * 10_000_000))
    assert len(data) == 100_000


def test_what_only_begins_like_a_member_is_none() -> None:
    for magic in (b"\x1f\x8b\x08", b"\x78\x9c", b"BZh", b"\xfd7zXZ\x00", b"PK\x03\x04"):
        assert list(unpacked(b"." + magic)) == []
        assert list(unpacked(magic + b"\xff" * 100)) == []
    stored = b"PK\x03\x04" + b"\0" * 40  # a member of a zip that is not packed stands there as it is
    assert list(unpacked(stored)) == []
