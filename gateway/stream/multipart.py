"""Multipart forms in memory: where each part stands, so that one can be replaced and the rest kept."""

import re
from dataclasses import dataclass
from typing import Final

from gateway.errors import CallerError

# The reader is strict where parsers differ, because the provider reads the same bytes: CRLF only,
# no transfer encodings, names without escapes, and the boundary nowhere but between parts. It keeps
# offsets and copies nothing.

MOST_PARTS: Final = 64
MOST_HEADER_BYTES: Final = 8192

_BOUNDARY: Final = re.compile(
    r"""multipart/form-data\s*;\s*boundary=("?)([0-9A-Za-z'()+_,./:=?-]{1,70})\1""", re.IGNORECASE
)
_DISPOSITION: Final = re.compile(rb'form-data((?:\s*;\s*[a-z]+\*?=(?:"[^"\\]*"|[^\s";\\]+))+)', re.IGNORECASE)
_PARAMETER: Final = re.compile(rb';\s*([a-z]+)\*?=(?:"([^"]*)"|([^\s";]+))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """A part's name and where its value stands in the body."""

    name: str
    start: int
    end: int
    is_file: bool


def read_form(body: bytes, content_type: str) -> tuple[Part, ...]:
    """Find the parts of a form.

    Raises:
        CallerError: unsupported_media_type when it is no form; bad_request about "form" when it is
            broken or has more than 64 parts or 8 KB of headers in one.
    """
    match = _BOUNDARY.fullmatch(content_type.strip())
    if match is None:
        raise CallerError("unsupported_media_type")
    mark = b"--" + match[2].encode()
    if not body.startswith(mark):
        raise _broken()
    parts: list[Part] = []
    at = len(mark)
    while body[at : at + 2] == b"\r\n":
        if len(parts) == MOST_PARTS:
            raise _broken()
        part = _read_part(body, at, mark)
        parts.append(part)
        at = part.end + 2 + len(mark)
    if body[at:] not in (b"--", b"--\r\n") or body.count(mark) != len(parts) + 1:
        raise _broken()
    return tuple(parts)


def value_of(body: bytes, parts: tuple[Part, ...], name: str) -> str | None:
    """The text of a field; None when there is none.

    Raises:
        CallerError: bad_request when it is there twice, is a file, or is no UTF-8.
    """
    part = part_of(parts, name)
    if part is None:
        return None
    try:
        return body[part.start : part.end].decode()
    except UnicodeDecodeError:
        raise CallerError("bad_request", about=name) from None


def part_of(parts: tuple[Part, ...], name: str) -> Part | None:
    """The field of a name that may stand in a form once.

    Raises:
        CallerError: bad_request when it is there twice or is a file.
    """
    found = [part for part in parts if part.name == name]
    if len(found) > 1 or (found and found[0].is_file):
        raise CallerError("bad_request", about=name)
    return found[0] if found else None


def _read_part(body: bytes, at: int, mark: bytes) -> Part:
    """The part whose headers begin after the line end at this place."""
    start = body.find(b"\r\n\r\n", at, at + MOST_HEADER_BYTES)
    end = body.find(b"\r\n" + mark, start + 4)
    if start < 0 or end < 0:
        raise _broken()
    name = b""
    is_file = False
    for line in body[at + 2 : start].split(b"\r\n"):
        field, _, value = line.partition(b":")
        field = field.lower()
        if field == b"content-disposition" and not name:
            name, is_file = _disposition(value.strip())
        elif field not in (b"content-type", b"content-length"):
            raise _broken()
    if not name.isascii() or not name:
        raise _broken()
    return Part(name.decode(), start + 4, end, is_file)


def _disposition(value: bytes) -> tuple[bytes, bool]:
    """The part's name, and whether it is a file."""
    whole = _DISPOSITION.fullmatch(value)
    found = _PARAMETER.findall(whole[1]) if whole else []
    names = [quoted or plain for key, quoted, plain in found if key.lower() == b"name"]
    if len(names) != 1:
        raise _broken()
    return names[0], any(key.lower() == b"filename" for key, _, _ in found)


def _broken() -> CallerError:
    return CallerError("bad_request", about="form")
