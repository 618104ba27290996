"""Canary: a random mark for a run of calls, and every form in which a piece of it is found again."""

import base64
import re
import secrets
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

ALPHABET: Final = string.digits + string.ascii_lowercase
"""Letters and digits in one case pass unchanged through header fields, paths, JSON and names."""

STEM: Final = 25
"""Characters of a stem: 129 random bits."""

WINDOW: Final = 12
"""A piece of so many characters is found. By chance it stands nowhere: 62 bits."""

_CORE: Final = 6
"""Any piece of twelve holds one of the cores, which begin at multiples of six: few to look for first."""

_GROUP: Final = 9
"""Bytes that are found in base64, whatever stands before: twelve hold nine on a border of three."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A piece of a mark that was found.

    Attributes:
        place: the file, page or stream it was found in.
        form: how it was written there, such as "raw" or "gzip, base64".
        at: bytes before it, in the innermost form.
        part: the part of the call it came from, where the piece tells.
    """

    place: str
    form: str
    at: int
    part: str | None


class Canary:
    """The marks of one run. They share a stem, so that one search finds all, and end in a number.

    Attributes:
        stem: what all marks begin with.
    """

    def __init__(self) -> None:
        self.stem = "".join(secrets.choice(ALPHABET) for _ in range(STEM))
        self._parts: dict[str, str] = {}
        self._needles = {form: _Needles(self.stem.encode(), write) for form, write in FORMS.items()}
        self._groups = tuple(_groups(self.stem.encode()))
        self._whole = re.compile(self.stem.encode() + rb"q([0-9a-z]{4})")

    def mark(self, part: str) -> str:
        """The mark for a part of a call, such as "system text"."""
        number = next((number for number, known in self._parts.items() if known == part), None)
        if number is None:
            number = _four(len(self._parts))
            self._parts[number] = part
        return f"{self.stem}q{number}"

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of calls that were marked so far."""
        return tuple(self._parts.values())

    def find(self, data: bytes, place: str) -> list[Hit]:
        """Each form of a piece that stands in the data, once; packed data is for unpacking.unpacked()."""
        lower = data.lower()
        found = {form: needles.find(lower) for form, needles in self._needles.items()}
        found["base64"] = next((at for one in self._groups if (at := data.find(one)) >= 0), -1)
        part = self._part(lower) if any(at >= 0 for at in found.values()) else None
        return [Hit(place, form, at, part) for form, at in found.items() if at >= 0]

    def _part(self, lower: bytes) -> str | None:
        whole = self._whole.search(lower)
        return None if whole is None else self._parts.get(whole[1].decode())


def _four(number: int) -> str:
    digits = []
    for _ in range(4):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def _each(form: str) -> Callable[[bytes], bytes]:
    return lambda piece: b"".join(form.format(byte).encode() for byte in piece)


def _joined(between: str, form: str) -> Callable[[bytes], bytes]:
    return lambda piece: between.join(form.format(byte) for byte in piece).encode()


FORMS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "raw": bytes,
    "utf-16": lambda piece: b"\0".join(bytes([byte]) for byte in piece),  # either order of bytes
    "utf-32": lambda piece: b"\0\0\0".join(bytes([byte]) for byte in piece),
    "json-escaped": _each("\\u{:04x}"),
    "backslash-escaped": _each("\\x{:02x}"),
    "url-encoded": _each("%{:02x}"),
    "url-encoded twice": _each("%25{:02x}"),
    "html-escaped": _each("&#x{:x};"),
    "html-escaped, decimal": _each("&#{};"),
    "hex": _each("{:02x}"),
    "hex with spaces": _joined(" ", "{:02x}"),
    "hex with colons": _joined(":", "{:02x}"),
    "list of numbers": _joined(",", "{}"),
    "list of numbers with spaces": _joined(", ", "{}"),
}
"""How a piece may be written, besides base64; small letters and capitals are one."""


class _Needles:
    """The pieces of a stem in one form."""

    def __init__(self, stem: bytes, write: Callable[[bytes], bytes]) -> None:
        self._pieces = [write(stem[at : at + WINDOW]) for at in range(len(stem) - WINDOW + 1)]
        self._cores = [write(stem[at : at + _CORE]) for at in range(0, len(stem) - _CORE + 1, _CORE)]
        self._reach = max(map(len, self._pieces))

    def find(self, lower: bytes) -> int:
        """Where a piece stands, else -1."""
        for core in self._cores:
            at = lower.find(core)
            while at >= 0:
                start = max(0, at - self._reach)
                around = lower[start : at + 2 * self._reach]
                if places := [place for piece in self._pieces if (place := around.find(piece)) >= 0]:
                    return start + min(places)
                at = lower.find(core, at + 1)
        return -1


def _groups(stem: bytes) -> Iterator[bytes]:
    # No sextet of letters and digits is 62 or 63, so both alphabets of base64 are this one.
    for start in range(len(stem) - _GROUP + 1):
        yield base64.b64encode(stem[start : start + _GROUP])
