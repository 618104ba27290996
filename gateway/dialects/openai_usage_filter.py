"""Takes out of a chat stream what asking for its usage put in, and nothing else."""

import re
from typing import Final

import orjson

from gateway.stream.sse import LIMIT

# With stream_options.include_usage every event gets a key "usage":null, and one more event comes,
# with "choices":[] and the numbers. A client that did not ask may stumble over both. Whole events
# go on at once; the bytes of an unfinished one are held until its end, at most `limit` of them: a
# larger event goes on as it is. Only a key of the event's own object is taken, and only when the
# parsed event has it there; all other bytes stay as they are, whatever their spacing.

_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_END_BYTES: Final = 3  # bytes before a chunk that may belong to an event's end in it
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)
_NULL: Final = re.compile(rb"\s*:\s*null")
_KEY: Final = b'"usage"'
_FIRST: Final = b"data: {"
_LAST: Final = b',"usage":null}\n\n'


class UsageFilter:
    """Takes bytes in order, cut anywhere; gives back what the client may see of them.

    Args:
        limit: bytes of the largest event that is looked at.
    """

    __slots__ = ("_held", "_limit", "_passing")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._held = bytearray()
        self._passing = False  # inside an event above the limit; _held then has its last bytes, sent

    def feed(self, chunk: bytes) -> bytes:
        if not self._held and chunk.endswith(b"\n\n") and chunk.find(b"\r") < 0:
            return _edit_all(chunk)
        sent = b""
        if self._passing:
            sent, chunk = self._pass(chunk)
            if self._passing:
                return sent
        done = self._take(chunk)
        if len(self._held) > self._limit:
            done.append(bytes(self._held))
            del self._held[:-_END_BYTES]
            self._passing = True
        return sent + b"".join(done)

    def finish(self) -> bytes:
        held = b"" if self._passing else bytes(self._held)
        self._held.clear()
        return _edit(held)

    def _take(self, chunk: bytes) -> list[bytes]:
        """The events that the chunk completes, edited."""
        done: list[bytes] = []
        begin, search = 0, max(0, len(self._held) - _END_BYTES)
        self._held += chunk
        while end := _END.search(self._held, search):
            done.append(_edit(bytes(self._held[begin : end.end()])))
            begin = search = end.end()
        del self._held[:begin]
        return done

    def _pass(self, chunk: bytes) -> tuple[bytes, bytes]:
        """What of the chunk still belongs to the event above the limit, and the rest."""
        before = len(self._held)
        self._held += chunk
        end = _END.search(self._held)
        if end is None:
            del self._held[:-_END_BYTES]
            return chunk, b""
        self._passing = False
        self._held.clear()
        cut = end.end() - before
        return chunk[:cut], chunk[cut:]


def _edit_all(chunk: bytes) -> bytes:
    """Whole events, all lines of which end with LF."""
    last = chunk.rfind(_KEY)
    if last < 0:
        return chunk
    first = chunk.find(_KEY)
    if first == last and chunk.find(b"\n\n") == len(chunk) - 2:
        return _edit(chunk)
    if first != last and chunk.startswith(_FIRST) and chunk.count(_KEY) == chunk.count(_LAST):
        events = chunk.count(b"\n\n" + _FIRST) + 1
        if chunk.count(b"\n") == 2 * events:  # each event is one line, and in an object of its own ends
            return chunk.replace(_LAST, b"}\n\n")
    begin = chunk.rfind(b"\n\n", 0, first) + 2
    if begin < 2:
        begin = 0
    edited = [_edit(event + b"\n\n") for event in chunk[begin:-2].split(b"\n\n")]
    return chunk[:begin] + b"".join(edited)


def _edit(event: bytes) -> bytes:
    """One event without what the gateway asked for; empty if nothing else is in it."""
    keys = event.count(_KEY)
    if not keys:
        return event
    if keys == 1 and event.endswith(_LAST) and event.startswith(_FIRST) and event.count(b"\n") == 2:
        return event[: -len(_LAST)] + b"}\n\n"  # the last brace closes the event's own object
    lines = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
    try:
        tree = orjson.loads(b"\n".join(lines))
    except orjson.JSONDecodeError:
        return event
    if type(tree) is not dict or "usage" not in tree:
        return event
    if tree["usage"] is not None:
        return b"" if tree.get("choices") == [] else event
    if len(lines) != 1:  # a key may stand on a line of its own: better left than cut wrongly
        return event
    return _without_key(event, event.find(_KEY) if keys == 1 else _key_in(event, event.index(lines[0])))


def _key_in(event: bytes, start: int) -> int:
    """Where the object that starts here has the key with null, among others of that name; -1: nowhere."""
    depth = 0
    for token in _TOKEN.finditer(event, start):
        mark = token[0]
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and mark == _KEY and _NULL.match(event, token.end()):
            return token.start()
    return -1


def _without_key(event: bytes, at: int) -> bytes:
    """Cut the key, its null and one comma."""
    null = _NULL.match(event, at + len(_KEY)) if at >= 0 else None
    if null is None:
        return event
    before, after = event[:at], event[null.end() :]
    bare = before.rstrip(b" \t")
    if bare.endswith(b","):
        return bare[:-1] + after
    return before + after.lstrip(b" \t").removeprefix(b",").lstrip(b" \t")
