"""The file of weights: its format, how it is written and how it is read.

A magic line, the length of a JSON header, the header, a deflated body, and the SHA-256 of all before.
The body holds, for each group of features, their texts, one on a line, then a signed byte for each
feature and label. The header tells the steps that the bytes are counted in.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

MAGIC: Final = b"tollgate tasks 1\n"
_DIGEST: Final = 32
_FIELD: Final = 4
"""Bytes of one label's field in a packed number."""

_MOST_BODY: Final = 32 << 20


class WeightsError(Exception):
    """A file of weights cannot be used: it is cut, changed, or made for another version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The features of one group.

    Attributes:
        table: feature → its weights for all labels, packed into one number: label i counts 2**(32 i).
            So a sum of such numbers is a sum of all labels' weights at once.
        step: what a weight of 1 stands for.
        power: the group's sum is divided by the number of its features to this power.
    """

    table: Mapping[Hashable, int]
    step: float
    power: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A model as it is used.

    Attributes:
        threshold: the least probability at which a label is told.
        temperature: scores are divided by it, so that probabilities mean what they say.
    """

    version: str
    date: str
    features: int
    labels: tuple[str, ...]
    threshold: float
    temperature: float
    groups: tuple[Group, ...]


def dump(header: dict[str, Any], groups: Sequence[tuple[Sequence[Hashable], bytes]]) -> bytes:
    """A file's bytes. groups: features, and a signed byte for each of them and each label, in turn."""
    body = bytearray()
    sizes = []
    for keys, numbers in groups:
        text = "\n".join(key if isinstance(key, str) else " ".join(map(str, _parts(key))) for key in keys)
        data = text.encode()
        sizes.append([len(keys), len(data)])
        body += data + numbers
    packed = zlib.compress(bytes(body), 9)
    head = json.dumps({**header, "sizes": sizes, "body": len(body)}, sort_keys=True).encode()
    whole = MAGIC + struct.pack("<I", len(head)) + head + packed
    return whole + hashlib.sha256(whole).digest()


def parse(data: bytes, single: Sequence[bool]) -> Weights:
    """The model in a file's bytes.

    Args:
        single: for each group whether its features are texts; else they are tuples of texts.

    Raises:
        WeightsError: it cannot be used.
    """
    if not data.startswith(MAGIC) or hashlib.sha256(data[:-_DIGEST]).digest() != data[-_DIGEST:]:
        raise WeightsError("the weights are cut or changed")
    start = len(MAGIC) + 4
    (length,) = struct.unpack("<I", data[len(MAGIC) : start])
    header = json.loads(data[start : start + length])
    if len(header["sizes"]) != len(single) or not 0 <= header["body"] <= _MOST_BODY:
        raise WeightsError("the weights are for another version")
    body = zlib.decompressobj().decompress(data[start + length : -_DIGEST], header["body"])
    return Weights(
        version=header["version"],
        date=header["date"],
        features=header["features"],
        labels=tuple(header["labels"]),
        threshold=header["threshold"],
        temperature=header["temperature"],
        groups=_groups(header, body, single),
    )


def pack(numbers: Sequence[int]) -> int:
    """Signed numbers as one: number i counts 2**(32 i)."""
    return sum(number << (8 * _FIELD * place) for place, number in enumerate(numbers))


def unpack(packed: int, count: int) -> tuple[int, ...]:
    """The numbers again, each between -2**31 and 2**31."""
    # The highest field is cut to its width: nothing can raise here, whatever was added up.
    shifted = (packed + _middle(count)) & ((1 << (8 * _FIELD * count)) - 1)
    return tuple(
        one - _MIDDLE for one in struct.unpack(f"<{count}I", shifted.to_bytes(_FIELD * count, "little"))
    )


_MIDDLE: Final = 1 << (8 * _FIELD - 1)


@lru_cache(maxsize=8)
def _middle(count: int) -> int:
    return pack([_MIDDLE] * count)


def _groups(header: Mapping[str, Any], body: bytes, single: Sequence[bool]) -> tuple[Group, ...]:
    count = len(header["labels"])
    groups = []
    at = 0
    for number, (keys, length) in enumerate(header["sizes"]):
        texts = body[at : at + length].decode().split("\n") if keys else []
        at += length
        packed = _pack_rows(body[at : at + keys * count], keys, count)
        at += keys * count
        features = texts if single[number] else [tuple(text.split(" ")) for text in texts]
        groups.append(
            Group(
                table=dict(zip(features, packed, strict=True)),
                step=header["steps"][number],
                power=header["powers"][number],
            )
        )
    return tuple(groups)


def _pack_rows(data: bytes, rows: int, count: int) -> list[int]:
    """pack() of each row of signed bytes, without a loop over the bytes."""
    # Each byte is moved up by 128, laid at the foot of its field, and the row's 128s are taken off again.
    wide = bytearray(_FIELD * len(data))
    wide[0::_FIELD] = data.translate(_RAISED)
    width = _FIELD * count
    off = pack([128] * count)
    read = int.from_bytes
    return [read(wide[at : at + width], "little") - off for at in range(0, width * rows, width)]


_RAISED: Final = bytes((number + 128) & 255 for number in range(256))


def _parts(key: Hashable) -> tuple[object, ...]:
    return key if isinstance(key, tuple) else (key,)
