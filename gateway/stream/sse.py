"""Server-sent events: a body cut anywhere goes in, whole events come out."""

from dataclasses import dataclass
from typing import Final

# An event is a run of lines up to an empty line; a line ends with CR, LF or CRLF and nothing else,
# so that U+2028, U+2029 and U+0085 stay inside the JSON strings they stand in: bytes.splitlines
# knows only these three ends, str.splitlines knows more.
#
# What is kept between two chunks: the unfinished line and the data lines of the unfinished event,
# together at most `limit` bytes. An event above the limit is passed over up to its end: of it only
# the first HEAD_BYTES and the last TAIL_BYTES stay, because an answer's usage stands near its end.
# A CR at the end of a chunk ends its line at once; an LF that follows is then skipped.

LIMIT: Final = 256 * 1024
"""Bytes of the largest event that is held."""

HEAD_BYTES: Final = 512
TAIL_BYTES: Final = 4096

Event = tuple[bytes | None, bytes]
"""The event's name, None when it has none, and its data."""

_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Oversize:
    """What is left of an event that was too large to hold: the beginning and the end of its data."""

    name: bytes | None
    head: bytes
    tail: bytes


class Frames:
    """Cuts one response body into its events.

    Args:
        limit: bytes of the largest event to hold.

    Attributes:
        dropped: events above the limit.
        idle: nothing is kept: what comes next begins an event.

    Source: WHATWG HTML, "Server-sent events" (interpreting an event stream). Other than there, an
    unfinished event can be had with rest().
    """

    __slots__ = (
        "_after_cr", "_data", "_dropping", "_head", "_held", "_large", "_limit", "_line",
        "_name", "_open", "_started", "_tail", "dropped", "idle",
    )  # fmt: skip

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._line = bytearray()  # the unfinished line
        self._data: list[bytes] = []  # the data lines of the unfinished event
        self._held = 0  # bytes in _data
        self._name: bytes | None = None
        self._after_cr = False
        self._started = False  # whether the place of a byte order mark has passed
        self.idle = False
        self._dropping = False
        self._open = False  # while dropping: the unfinished line has bytes
        self._large: bytes | None = None  # name, beginning and end of the last event above the limit
        self._head = b""
        self._tail = bytearray()
        self.dropped = 0

    def plain(self, chunk: bytes) -> int:
        """How many events the chunk is, if it is nothing but whole events of one data line each.

        Each data line begins like an object, the last one also ends so; lines end with LF; each event
        has a name, or none has. Such a chunk need not be fed. 0 for every other one, and whenever
        something is kept.
        """
        if (
            not (self.idle or (not self._started and not self._line))
            or not chunk.endswith(b"}\n\n")
            or chunk.find(b"\r") >= 0
            or len(chunk) > self._limit
        ):
            return 0
        # The line ends in what is counted never overlap, so if they are all there are, no other line is.
        if chunk.startswith(b"data: {"):
            if chunk.find(b"\n") == len(chunk) - 2:
                events, whole = 1, True
            else:
                events = chunk.count(b"\n\ndata: {") + 1
                whole = chunk.count(b"\n") == 2 * events
        elif chunk.startswith(b"event: "):
            events = chunk.count(b"\n\nevent: ") + 1
            whole = chunk.count(b"\ndata: {") == events and chunk.count(b"\n") == 3 * events
        else:
            return 0
        if not whole:
            return 0
        self._started = self.idle = True
        return events

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes."""
        if self.idle and chunk.endswith(b"\n\n") and len(chunk) <= self._limit and chunk.find(b"\r") < 0:
            return self._whole(chunk)
        events: list[Event] = []
        chunk = self._begin(chunk)
        if not chunk:
            return events
        for line in chunk.splitlines(keepends=True):
            text = line.rstrip(b"\r\n")
            if len(text) == len(line):
                self._hold(text)
            elif self._dropping:
                self._pass_over(text)
            else:
                self._end_line(bytes(self._line) + text if self._line else text, events)
        self._after_cr = chunk.endswith(b"\r")
        self.idle = not (
            self._after_cr or self._dropping or self._line or self._data or self._name is not None
        )
        return events

    def rest(self) -> Event | None:
        """The event that would be complete if the body ended here. Changes nothing."""
        if self._dropping:
            return None
        data = list(self._data)
        if self._line.startswith(b"data:"):
            data.append(bytes(self._line[5:]).removeprefix(b" "))
        return (self._name, b"\n".join(data)) if data else None

    @property
    def oversize(self) -> Oversize | None:
        """The last event above the limit, as far as it has passed."""
        return Oversize(self._large, self._head, bytes(self._tail)) if self.dropped else None

    def _whole(self, chunk: bytes) -> list[Event]:
        """The usual case: nothing kept from before, the chunk ends with an event, lines end with LF."""
        events: list[Event] = []
        for block in chunk[:-2].split(b"\n\n"):
            if block.find(b"\n") < 0 and block.startswith(b"data: "):
                events.append((None, block[6:]))
                continue
            for line in block.split(b"\n"):
                if line:
                    self._end_line(line, events)
            self._end_line(b"", events)
        return events

    def _begin(self, chunk: bytes) -> bytes:
        """Take off what only the position in the body explains: a byte order mark, the LF of a CRLF."""
        if not self._started and chunk:
            chunk = bytes(self._line) + chunk
            self._line.clear()
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._line += chunk
                return b""
            self._started = True
            chunk = chunk.removeprefix(_BOM)
        if self._after_cr and chunk:
            self._after_cr = False
            self.idle = False
            chunk = chunk.removeprefix(b"\n")
        return chunk

    def _hold(self, text: bytes) -> None:
        if self._dropping:
            self._open = True
            self._keep_tail(text)
            return
        self._line += text
        if self._held + len(self._line) > self._limit:
            self._drop()

    def _end_line(self, line: bytes, events: list[Event]) -> None:
        self._line.clear()
        if not line:
            if self._data:
                events.append((self._name, b"\n".join(self._data)))
            self._data, self._held, self._name = [], 0, None
        elif line.startswith(b"data:") or line == b"data":
            self._data.append(line[5:].removeprefix(b" "))
            self._held += len(line)
            if self._held > self._limit:
                self._drop()
        elif line.startswith(b"event:") or line == b"event":
            self._name = line[6:].removeprefix(b" ")[:HEAD_BYTES] or None

    def _drop(self) -> None:
        """Stop holding this event; its line may be unfinished."""
        self.dropped += 1
        self._dropping = True
        self._large = self._name
        self._open = bool(self._line)
        held = b"\n".join([*self._data, bytes(self._line).removeprefix(b"data:").removeprefix(b" ")])
        self._head = held[:HEAD_BYTES]
        self._tail = bytearray(held[-TAIL_BYTES:])
        self._line.clear()
        self._data, self._held = [], 0

    def _pass_over(self, text: bytes) -> None:
        if text or self._open:
            self._keep_tail(text)
            self._open = False
            return
        self._dropping = False
        self._name = None

    def _keep_tail(self, text: bytes) -> None:
        self._tail += text[-TAIL_BYTES:]
        del self._tail[:-TAIL_BYTES]
