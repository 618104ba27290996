"""A JSON array that arrives piece by piece: a body cut anywhere goes in, whole elements come out."""

import re
from typing import Final

from gateway.stream.sse import HEAD_BYTES, LIMIT, TAIL_BYTES, Event, Oversize

# Only brackets, quotes and backslashes are looked at; whether an element is sound JSON is for its
# reader to say. Elements are the objects and arrays one level down; plain values there are passed
# over. A body that is one object instead of an array counts as its own only element, as errors come
# that way. What is kept between two chunks is the unfinished element, at most `limit` bytes; of a
# larger one only its beginning and its end stay. The interface is that of sse.Frames.

_outside: Final = re.compile(rb'["\[\]{}]').search
_inside: Final = re.compile(rb'["\\]').search


class Elements:
    """Cuts one streamed JSON array into its elements.

    Args:
        limit: bytes of the largest element to hold.

    Attributes:
        dropped: elements above the limit.
        ended: the array's own closing bracket has passed.
    """

    __slots__ = (
        "_depth", "_dropping", "_escaped", "_floor", "_head", "_held", "_limit", "_quoted", "_size", "_tail",
        "dropped", "ended",
    )  # fmt: skip

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._depth = 0
        self._floor = 1  # the depth between two elements
        self._quoted = False  # inside a string
        self._escaped = False  # the last byte so far was a backslash in a string
        self._held: list[bytes] = []  # pieces of the unfinished element
        self._size = 0  # bytes in _held
        self._dropping = False
        self._head = b""
        self._tail = b""
        self.dropped = 0
        self.ended = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The elements that this chunk completes; their name is always None."""
        events: list[Event] = []
        begin = 0  # where what belongs to the unfinished element begins in this chunk
        at = self._skip_escaped(chunk)
        while not self.ended:
            found = _inside(chunk, at) if self._quoted else _outside(chunk, at)
            if found is None:
                break
            at = found.end()
            mark = chunk[found.start()]
            if mark == 0x5C:  # backslash
                self._escaped = at == len(chunk)
                at += 1
            elif mark == 0x22:  # quote
                self._quoted = not self._quoted
            elif mark in b"[{":
                if self._open(mark):
                    begin = found.start()
            elif self._close():
                self._hold(chunk[begin:at])
                self._finish(events)
        if self._depth > self._floor and not self.ended:
            self._hold(chunk[begin:])
        return events

    def rest(self) -> Event | None:
        """The unfinished element. Changes nothing."""
        return (None, b"".join(self._held)) if self._held else None

    @property
    def oversize(self) -> Oversize | None:
        """The last element above the limit, as far as it has passed."""
        return Oversize(None, self._head, self._tail) if self.dropped else None

    def _skip_escaped(self, chunk: bytes) -> int:
        """Where to begin: behind the first byte if a backslash ended the chunk before."""
        if self._escaped and chunk:
            self._escaped = False
            return 1
        return 0

    def _open(self, mark: int) -> bool:
        """Go one level down; whether that begins an element."""
        if self._depth == 0 and mark == 0x7B:  # a lone object
            self._floor = 0
        self._depth += 1
        return self._depth == self._floor + 1

    def _close(self) -> bool:
        """Go one level up; whether that ends an element."""
        self._depth -= 1
        self.ended = self._depth <= 0
        return self._depth == self._floor

    def _hold(self, piece: bytes) -> None:
        if self._dropping:
            self._tail = (self._tail + piece[-TAIL_BYTES:])[-TAIL_BYTES:]
            return
        self._held.append(piece)
        self._size += len(piece)
        if self._size > self._limit:
            whole = b"".join(self._held)
            self._held, self._size = [], 0
            self._dropping = True
            self.dropped += 1
            self._head, self._tail = whole[:HEAD_BYTES], whole[-TAIL_BYTES:]

    def _finish(self, events: list[Event]) -> None:
        if not self._dropping:
            events.append((None, b"".join(self._held)))
        self._held, self._size, self._dropping = [], 0, False
