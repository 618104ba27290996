"""HTTP/1.1 as a client speaks it: requests written, answers read from bytes cut anywhere. No I/O.

The reader is strict, because whoever sees the end of an answer elsewhere than its sender takes the
rest for the next answer:
- an answer ends by its Content-Length, by chunks, or, if it says so, with the connection; two of
  these at once, two different lengths or any other transfer coding are refused;
- lines end in CR LF; folded lines, a CR or LF alone, NUL and other control characters are refused;
- everything has a limit: a line, a head, the number of fields, informational answers, trailers;
- informational answers are skipped; trailers and chunk extensions are dropped;
- a coded body (gzip and the like) is refused: identity was asked for, and what expands has no size.

feed() never raises. What is wrong is said by failed, after the bytes before it were handed on, so
that the outcome is the same however the bytes are cut. Bytes behind the end make clean False.

Source: RFC 9110 and RFC 9112.
"""

import re
from enum import IntEnum
from functools import lru_cache
from typing import Final

from gateway.errors import OurError

Fields = tuple[tuple[str, str], ...]
"""Header fields in order."""

LINE_BYTES: Final = 16 * 1024
HEAD_BYTES: Final = 64 * 1024
HEAD_FIELDS: Final = 256
INFORMATIONAL: Final = 16
"""Answers with a status below 200 before the real one."""
TRAILER_BYTES: Final = 16 * 1024
CHUNK_LINE_BYTES: Final = 280

JOIN_BYTES: Final = 64 * 1024
"""A request's head and a body up to this size are joined: copying is cheaper than a second write."""

_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_status_line = re.compile(r"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t -~\x80-\xff]*+)?(?=\r\n)").match
_field_lines = re.compile(rf"\r\n({_NAME}):[\t ]*+([\t -~\x80-\xff]*+)(?=\r\n)").findall
_chunk_line = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t -~\x80-\xff]{0,256})?\r\n").match
_next_chunk = re.compile(rb"\r\n([0-9A-Fa-f]{1,15})\r\n").match
_target = re.compile(r"/[!\"$-~]*+").fullmatch
_token = re.compile(_NAME).fullmatch
_length = re.compile(r"[0-9]{1,15}").fullmatch
_bare_line_feed = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)").search
_START: Final = b"HTTP/1."
_PRINTABLE: Final = bytes(range(0x20, 0x7F))
_FRAMING: Final = frozenset(("content-length", "transfer-encoding", "connection", "content-encoding"))
_RESERVED: Final = frozenset(
    [
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection"),
        *("accept-encoding", "te", "trailer", "upgrade", "expect"),
    ]
)


class Stage(IntEnum):
    """What the next byte of an answer belongs to."""

    HEAD = 0
    COUNTED = 1  # a body with a Content-Length
    CHUNKED = 2
    TRAILERS = 3
    UNTIL_CLOSE = 4
    DONE = 5
    FAILED = 6


class Reader:
    """Reads one answer after the other from a connection.

    Attributes:
        stage: where it stands.
        status, headers: of the answer; 0 and empty until its head was read and found good. Names in
            lower case; fields with bytes outside of ASCII are left out.
        begun: a byte of the answer was seen.
        failed: the code of what is wrong, upstream_garbled or upstream_cut; empty while nothing is.
        clean: nothing stands in the way of another answer on this connection.
    """

    __slots__ = (
        "_bodiless", "_held", "_informational", "_left", "_searched", "begun", "clean", "failed", "headers",
        "stage", "status",
    )  # fmt: skip

    def __init__(self) -> None:
        self.clean = True
        self.begin("GET")

    def begin(self, method: str) -> None:
        """Expect an answer to a request with this method."""
        self._bodiless = method == "HEAD"
        self._held = bytearray()  # an unfinished head, chunk line or trailer
        self._searched = 0
        self._informational = 0
        self._left = 0  # bytes to come of a counted body or a chunk; -1: a chunk line comes next
        self.stage = Stage.HEAD
        self.begun = False
        self.failed = ""
        self.status = 0
        self.headers: Fields = ()

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came; returns those that are body, without their framing."""
        stage = self.stage
        if not data:
            return b""
        if stage is Stage.HEAD:
            self.begun = True
            data = self._read_heads(data)
            stage = self.stage
            if not data:
                return b""
        if stage is Stage.CHUNKED:
            return self._read_chunks(data)
        if stage is Stage.COUNTED:
            left = self._left - len(data)
            if left > 0:
                self._left = left
                return data
            self.stage = Stage.DONE
            if left == 0:
                return data
            self.clean = False
            return data[:left]
        if stage is Stage.UNTIL_CLOSE:
            return data
        if stage is Stage.TRAILERS:
            self._read_trailers(data)
        elif stage is Stage.DONE:
            self.clean = False
        return b""

    def end(self) -> None:
        """The connection was closed in good order by the other side."""
        self.clean = False
        if self.stage is Stage.UNTIL_CLOSE:
            self.stage = Stage.DONE
        elif self.stage is not Stage.DONE:
            self._fail("upstream_cut")

    def _fail(self, code: str = "upstream_garbled") -> None:
        self.clean = False
        self.stage = Stage.FAILED
        self.failed = self.failed or code
        self._held = bytearray()

    # --- heads

    def _read_heads(self, data: bytes) -> bytes:
        """Read heads until one is not informational; returns what follows it."""
        if self._held:
            self._held += data
            data = bytes(self._held) if self._held.find(b"\r\n\r\n", self._searched) >= 0 else b""
            if not data:
                self._hold_head(self._held)
                return b""
        while self.stage is Stage.HEAD:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._hold_head(bytearray(data))
                return b""
            self._read_head(data[: end + 2])
            data = data[end + 4 :]
            self._held = bytearray()
        return data

    def _hold_head(self, held: bytearray) -> None:
        """Keep an unfinished head, unless it can already be seen that it will be no good one."""
        self._held = held
        before = self._searched
        self._searched = max(0, len(held) - 3)
        if (
            len(held) >= HEAD_BYTES
            or not (held.startswith(_START) or _START.startswith(held))
            or _bare_line_feed(held, max(0, before - 1))
        ):
            self._fail()

    def _read_head(self, head: bytes) -> None:
        self._searched = 0
        text = head.decode("latin-1")
        status_line = _status_line(text)
        if status_line is None or len(head) + 2 > HEAD_BYTES:
            return self._fail()
        lines = _field_lines(text, status_line.end())
        # Each match begins at a CR LF, so as many as there are line ends means that every line is a field.
        if len(lines) != text.count("\n") - 1 or len(lines) > HEAD_FIELDS:
            return self._fail()
        if len(head) > LINE_BYTES and max(map(len, text.split("\r\n"))) > LINE_BYTES:
            return self._fail()
        status = int(status_line[2])
        fields = tuple([(name.lower(), value) for name, value in lines])
        if " \r" in text or "\t\r" in text:
            fields = tuple([(name, value.rstrip(" \t")) for name, value in fields])
        if status < 200:
            return self._skip(status, fields)
        self._frame(status, fields, old=status_line[1] == "0")
        if self.stage is not Stage.FAILED:
            self.status = status
            self.headers = fields if text.isascii() else tuple(f for f in fields if f[1].isascii())
        return None

    def _skip(self, status: int, fields: Fields) -> None:
        """An informational answer: no body, and not a change of protocol, which nobody asked for."""
        self._informational += 1
        framed = any(name in ("content-length", "transfer-encoding") for name, _ in fields)
        if status == 101 or framed or self._informational > INFORMATIONAL:
            self._fail()

    def _frame(self, status: int, fields: Fields, *, old: bool) -> None:
        """Find out how the body ends."""
        length: str | None = None
        chunked = close = False
        for name, value in fields:
            if name not in _FRAMING:
                continue
            if name == "content-length":
                if length is not None and length != value:
                    return self._fail()
                length = value
            elif name == "transfer-encoding":
                if chunked or value.lower() != "chunked":
                    return self._fail()
                chunked = True
            elif name == "connection":
                close = close or "close" in [word.strip() for word in value.lower().split(",")]
            elif value.lower() not in ("", "identity"):  # content-encoding
                return self._fail()
        if length is not None and (chunked or not _length(length)):
            return self._fail()
        if chunked and old:
            return self._fail()
        self.clean = self.clean and not close and not old
        if self._bodiless or status in (204, 304):
            self.stage = Stage.DONE
            if status == 204 and (chunked or length not in (None, "0")):
                self.clean = False
        elif chunked:
            self.stage = Stage.CHUNKED
            self._left = -1
        elif length is not None:
            self._left = int(length)
            self.stage = Stage.COUNTED if self._left else Stage.DONE
        elif close or old:
            self.stage = Stage.UNTIL_CLOSE
        else:
            return self._fail()
        return None

    # --- chunks

    def _read_chunks(self, data: bytes) -> bytes:
        """Body bytes out of chunks. A whole chunk within the buffer costs a match and a slice."""
        if self._held:
            data = bytes(self._held) + data
            self._held = bytearray()
        left = self._left
        at = 0
        pieces: list[bytes] = []
        while True:
            if left > 0:
                end = at + left
                piece = data[at:end]
                pieces.append(piece)
                at += len(piece)
                left = end - at
                if left:
                    break
            line = _next_chunk(data, at) if left == 0 else _chunk_line(data, at)
            if line is not None:
                at = line.end()
                left = int(line[1], 16)
                if left == 0:
                    self.stage = Stage.TRAILERS
                    self._read_trailers(data[at:])
                    break
            elif left == 0 and data.startswith(b"\r\n", at):
                at += 2
                left = -1
            else:
                self._hold_line(data[at:], first=left < 0)
                break
        self._left = left
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _hold_line(self, rest: bytes, *, first: bool) -> None:
        """Keep an unfinished chunk line; without first, the line end behind a chunk's data."""
        good = b"\n" not in rest and len(rest) <= CHUNK_LINE_BYTES if first else rest in (b"", b"\r")
        if good:
            self._held += rest
        else:
            self._fail()

    def _read_trailers(self, data: bytes) -> None:
        """Read up to the empty line that ends the answer. What stands before it is checked and dropped."""
        if self._held:
            data = bytes(self._held) + data
            self._held = bytearray()
        if data.startswith(b"\r\n"):
            self.stage = Stage.DONE
            self.clean = self.clean and len(data) == 2
            return
        end = data.find(b"\r\n\r\n")
        if end > TRAILER_BYTES or (end < 0 and len(data) > TRAILER_BYTES + 3):
            self._fail()
        elif end < 0:
            self._held += data
        else:
            text = "\r\n" + data[: end + 2].decode("latin-1")
            lines = len(_field_lines(text))
            if lines == text.count("\n") - 1 and lines <= HEAD_FIELDS:
                self.stage = Stage.DONE
                self.clean = self.clean and len(data) == end + 4
            else:
                self._fail()


@lru_cache(1024)
def _may_send(name: str) -> bool:
    """Whether a request may carry a field of this name: a token in lower case, not one of our own."""
    return _token(name) is not None and name == name.lower() and name not in _RESERVED


@lru_cache(1024)
def _opening(method: str, host: str) -> str:
    if not (method.isascii() and method.isalpha() and method.isupper()):
        raise OurError("bug", about="method")
    return f" HTTP/1.1\r\nhost: {host}\r\naccept-encoding: identity\r\nconnection: keep-alive\r\n"


def write_request(method: str, target: str, host: str, headers: Fields, body: bytes) -> list[bytes]:
    """A request as bytes, in one piece where it is small.

    Args:
        method: such as "POST".
        target: path and query, percent-encoded.
        host: the host field's value: a name, with its port where that is not the scheme's own.
        headers: all fields but those that this function writes itself.

    Raises:
        OurError: bug, about the part that no request may hold: a line end or another control
            character, a byte outside of ASCII, a reserved name. Its value is not quoted.
    """
    if _target(target) is None:
        raise OurError("bug", about="target")
    for name, _ in headers:
        if not _may_send(name):
            raise OurError("bug", about="header")
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    text = f"{method} {target}{_opening(method, host)}content-length: {len(body)}\r\n{lines}\r\n"
    try:
        head = text.encode("ascii")
    except UnicodeEncodeError:
        raise OurError("bug", about="header") from None
    # What is left without the printable characters must be exactly the line ends written here.
    if head.translate(None, _PRINTABLE) != b"\r\n" * (len(headers) + 6):
        raise OurError("bug", about="header")
    if len(body) <= JOIN_BYTES:
        return [head + body]
    return [head, body]
