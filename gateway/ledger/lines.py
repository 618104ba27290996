"""Lines of the journal: a checksum, a kind, and the values of a record or an opening as one JSON list.

    1f0c9a2ec["call-6f…-1",1763683200000000,"acme",…]

The first eight characters are the CRC-32 of the rest, so that a torn or spoilt line is known as one.
Each file begins with two lines of names, the columns of records and those of openings, so that it
stays readable when a later version of the program has other columns. Slugs hold no line end, so a line
is a line whatever a record says.
"""

from collections.abc import Sequence
from typing import Any, Final
from zlib import crc32

import orjson

from gateway.names import Slug
from gateway.records import NAMES, OPENING_NAMES, OPENING_VALUES, VALUES, Opening, Record, restore

BEGUN: Final = b"b"
"""Opened, with an opening's values."""
OPENED: Final = b"o"
"""Opened, with a record's values: read, but no longer written."""
CLOSED: Final = b"c"
LATE: Final = b"l"
"""Closed too, but written after it was queued: whoever reads on behind the queue passes it over."""
HEAD: Final = b"h"
"""The columns of records."""
BEGUN_HEAD: Final = b"g"
"""The columns of openings."""

MAX_BYTES: Final = 1 << 16
"""Of one line; a longer one is spoilt. 18 names of 128 characters and 36 numbers fit ten times over."""


class DamagedLineError(Exception):
    """The line was torn or spoilt, or its values are those of no record."""


def write(kind: bytes, record: Record) -> bytes:
    """One line.

    Raises:
        orjson.JSONEncodeError: a number has more than 64 bits.
    """
    text = kind + orjson.dumps(VALUES(record))
    return b"%08x%b\n" % (crc32(text), text)


def opened(opening: Opening) -> bytes:
    """The line of a call that is about to be forwarded.

    Raises:
        orjson.JSONEncodeError: a number has more than 64 bits.
    """
    text = BEGUN + orjson.dumps(OPENING_VALUES(opening))
    return b"%08x%b\n" % (crc32(text), text)


def head() -> bytes:
    """The lines that a file begins with."""
    texts = (HEAD + orjson.dumps(NAMES), BEGUN_HEAD + orjson.dumps(OPENING_NAMES))
    return b"".join(b"%08x%b\n" % (crc32(text), text) for text in texts)


def split(line: bytes) -> tuple[bytes, list[Any]]:
    """Kind and values of a line, which may lack its line end.

    Raises:
        DamagedLineError: see there.
    """
    text = line[8:].removesuffix(b"\n")
    try:
        if int(line[:8], 16) != crc32(text):
            raise DamagedLineError("checksum")
        values = orjson.loads(text[1:])
    except ValueError:
        raise DamagedLineError("syntax") from None
    if not isinstance(values, list):
        raise DamagedLineError("shape")
    return text[:1], values


def record(values: Sequence[Any], names: Sequence[str] = NAMES) -> Record:
    """The record of a line's values, whose columns have these names.

    Columns that this version does not have are left out; those that the file lacks get their default.

    Raises:
        DamagedLineError: see there.
    """
    try:
        if names != NAMES:
            kept = dict(zip(names, values, strict=True))
            blank = VALUES(Record(id=Slug(kept["id"]), at=kept["at"]))
            values = [kept.get(name, default) for name, default in zip(NAMES, blank, strict=True)]
        found = restore(values)
    except (ValueError, TypeError, KeyError):
        raise DamagedLineError("values") from None
    if type(found.id) is not Slug or type(found.at) is not int:
        raise DamagedLineError("values")
    return found
