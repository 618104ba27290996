"""Meters: they see an answer's bytes pass and take the numbers out, for any dialect's reader."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import orjson

from gateway.stream.json_array import Elements
from gateway.stream.sse import LIMIT, Frames
from gateway.stream.text_count import EventTexts, TextCount
from gateway.usage import LIMIT as MOST_UNITS
from gateway.usage import Reading, Source, Usage

# A meter never changes, delays or refuses a byte, and never raises. An event is parsed only if its
# bytes hold one of the reader's marks: a key with both quotes. Inside a JSON string a quote is
# escaped, so a model's text cannot show a mark unless it is nothing but that word; where a model's
# output is real JSON (tool arguments of some APIs) it can. So a reader looks at the parsed event's
# own keys, by position.
# "usage":null does not count as a mark: with usage asked for, every event has it.
#
# When nothing is reported, output tokens are estimated from the text that passed: text_count.py.

WHOLE_LIMIT: Final = 1024 * 1024
"""Bytes of the largest whole answer that is held; of a larger one the beginning and the end stay."""

EDGE_BYTES: Final = 4096

LAST_EVENTS: Final = 3
"""So many events of a chunk are looked at one by one if something in it must be."""

MOST_TRIES: Final = 16
"""Places looked at, and closing braces tried at each, in what is left of too large an answer."""


class Reader(Protocol):
    """What one dialect knows of its answers. Made fresh for each answer. Must not raise."""

    @property
    def marks(self) -> tuple[bytes, ...]:
        """Keys (or string values) with both quotes; an event without any of them is not parsed."""
        ...

    @property
    def texts(self) -> tuple[bytes, ...]:
        """Keys with both quotes and the colon whose string values are the model's output."""
        ...

    def read(self, name: bytes | None, tree: Any) -> None:
        """Take the numbers of one parsed event, or of the whole answer (name is then None).

        May be called twice with the last event, so numbers replace, never add.
        """
        ...

    def close(self, data: bytes) -> bool:
        """Whether data that is no JSON is the stream's closing word, such as [DONE]."""
        ...

    def salvage(self, name: bytes | None, head: bytes, tail: bytes) -> None:
        """Look for a usage in the beginning and the end of what was too large to be held."""
        ...

    def reading(self, seen: int) -> Reading | None:
        """What was reported; None: nothing.

        Args:
            seen: estimate of the output tokens that have passed. What was reported, and is not nothing,
                must not depend on it.
        """
        ...

    @property
    def complete(self) -> bool:
        """Whether the answer's own end was read."""
        ...


class EventMeter:
    """Meters an answer in server-sent events; also one in plain JSON, as some servers do not stream.

    Args:
        limit: bytes of the largest event that is held.
        cutter: cuts the body into events where they are not server-sent ones; with a limit of its own.
    """

    __slots__ = ("_body", "_bytes", "_cutter", "_frames", "_marks", "_reader", "_texts")

    def __init__(self, reader: Reader, limit: int = LIMIT, cutter: Elements | None = None) -> None:
        self._reader = reader
        frames = Frames(limit)
        self._cutter: Frames | Elements = frames if cutter is None else cutter
        self._frames = frames if cutter is None else None
        self._marks = tuple((mark, mark + b":null") for mark in reader.marks)
        self._texts = EventTexts(reader.texts)
        self._bytes = 0
        self._body: BodyMeter | None = None

    def feed(self, chunk: bytes) -> None:
        frames = self._frames
        events = frames.plain(chunk) if frames is not None else 0
        if events and not self._is_marked(chunk):  # the usual case: whole events that report nothing
            self._bytes += len(chunk)
            self._texts.add(chunk, events)
            return
        if frames is not None and events != 1:
            quiet = _before_last_events(chunk)
            if quiet and (events := frames.plain(chunk[:quiet])) and not self._is_marked(chunk[:quiet]):
                self._bytes += quiet
                self._texts.add(chunk[:quiet], events)
                chunk = chunk[quiet:]
        self._feed(chunk)

    def finish(self) -> Reading:
        if self._body is not None:
            return self._body.finish()
        rest = self._cutter.rest()
        if rest is not None:
            self._read(*rest)
        large = self._cutter.oversize
        if large is not None:
            self._reader.salvage(large.name, large.head, large.tail)
        told = _told(self._reader)
        if told is not None:
            return told
        seen = self._texts.tokens
        if large is not None and not seen and any(large.head.find(key) >= 0 for key in self._reader.texts):
            self._texts.skip(self._bytes)  # all text was in what could not be held
            seen = self._texts.tokens
        return self._reader.reading(seen) or estimated(seen, self._bytes)

    @property
    def complete(self) -> bool:
        return self._reader.complete if self._body is None else self._body.complete

    def _feed(self, chunk: bytes) -> None:
        if not self._bytes and self._frames is not None and chunk.lstrip().startswith(b"{"):
            self._body = BodyMeter(self._reader)
            self._frames = None
        self._bytes += len(chunk)
        if self._body is not None:
            self._body.feed(chunk)
            return
        for name, data in self._cutter.feed(chunk):
            if self._is_marked(data) or not data.startswith(b"{"):
                self._read(name, data)
            self._texts.add(data, 1)

    def _is_marked(self, data: bytes) -> bool:
        # rfind, as `in` takes twice as long for bytes, and marks stand near the end
        for mark, null in self._marks:
            if data.rfind(mark) >= 0 and data.count(mark) != data.count(null):
                return True
        return False

    def _read(self, name: bytes | None, data: bytes) -> None:
        if data == b"[DONE]":  # known to be no JSON; to find that out costs more than to parse an event
            self._reader.close(data)
            return
        try:
            tree = orjson.loads(data)
        except orjson.JSONDecodeError:
            self._reader.close(data)
        else:
            self._reader.read(name, tree)


class BodyMeter:
    """Meters a whole answer in JSON."""

    __slots__ = ("_chunks", "_head", "_held", "_limit", "_reader", "_seen", "_tail", "_total", "_whole")

    def __init__(self, reader: Reader, limit: int = WHOLE_LIMIT) -> None:
        self._reader = reader
        self._limit = limit
        self._chunks: list[bytes] = []
        self._held = 0
        self._total = 0
        self._seen = -1  # bytes at the last look
        self._whole = False
        self._head = b""  # both filled only above the limit
        self._tail = b""

    def feed(self, chunk: bytes) -> None:
        self._total += len(chunk)
        if self._head:
            self._tail = (self._tail + chunk[-EDGE_BYTES:])[-EDGE_BYTES:]
            return
        self._chunks.append(chunk)
        self._held += len(chunk)
        if self._held > self._limit:
            body = b"".join(self._chunks)
            self._chunks.clear()
            self._head, self._tail = body[:EDGE_BYTES], body[-EDGE_BYTES:]

    def finish(self) -> Reading:
        self._look()
        told = _told(self._reader)
        if told is not None:
            return told
        text = TextCount()
        if self._head:
            text.skip(self._total if self._reader.texts else 0)
        else:
            for chunk in self._chunks:
                text.add(chunk, self._reader.texts)
        seen = text.tokens
        return self._reader.reading(seen) or estimated(seen, self._total)

    @property
    def complete(self) -> bool:
        if self._head:
            return self._tail.rstrip().endswith((b"}", b"]"))
        return self._look()

    def _look(self) -> bool:
        """Read what has arrived, once for each state; tells whether it was whole."""
        if self._head:
            if self._seen != self._total:
                self._reader.salvage(None, self._head, self._tail)
            self._seen = self._total
            return False
        if self._seen != self._total:
            self._seen = self._total
            self._chunks = [b"".join(self._chunks)]
            try:
                tree = orjson.loads(self._chunks[0])
            except orjson.JSONDecodeError:
                self._whole = False
            else:
                self._whole = True
                self._reader.read(None, tree)
        return self._whole


def _before_last_events(chunk: bytes) -> int:
    """Where the last events begin, among which those stand that report; 0 if there are no others."""
    end = len(chunk)
    for _ in range(LAST_EVENTS + 1):
        end = chunk.rfind(b"\n\n", 0, end)
        if end < 0:
            return 0
    return end + 2


def _told(reader: Reader) -> Reading | None:
    """What was reported, if it is not nothing: then no estimate is needed."""
    told = reader.reading(0)
    if told is not None and told.source is Source.REPORTED and (told.usage.input or told.usage.output):
        return told
    return None


def estimated(seen: int, passed: int) -> Reading:
    """The reading of an answer that reported nothing.

    Args:
        seen: estimate of output tokens. passed: bytes of the answer; 0 if nothing came at all.

    Returns:
        A reading without input tokens, which only the request can tell.
    """
    if not passed:
        return Reading()
    return Reading(usage=Usage(output=seen), source=Source.ESTIMATED)


def count(tree: Mapping[str, Any], key: str) -> int | None:
    """A count in a parsed answer: 0 when missing or null, None when it is no believable count."""
    value = tree.get(key)
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value < MOST_UNITS:
        return None
    return value


def child(tree: Any, key: str) -> dict[str, Any]:
    """The object under a key; empty when there is none, or the tree is no object."""
    value = tree.get(key) if type(tree) is dict else None
    return value if type(value) is dict else {}


def usage_of(**numbers: int | None) -> Usage | None:
    """A Usage, or None when one of the numbers is unbelievable or they contradict each other."""
    if None in numbers.values():
        return None
    try:
        return Usage(**numbers)  # type: ignore[arg-type]
    except ValueError:
        return None


def find_object(text: bytes, mark: bytes, last: bool = True) -> dict[str, Any]:
    """The object that follows a mark and a colon in a piece of JSON; empty when there is none whole.

    Args:
        mark: a key with both quotes.
        last: look for the last place instead of the first.
    """
    at = text.rfind(mark) if last else text.find(mark)
    for _ in range(MOST_TRIES):
        found = _object_at(text, at + len(mark)) if at >= 0 else {}
        if at < 0 or found:
            return found
        at = text.rfind(mark, 0, at) if last else text.find(mark, at + 1)
    return {}


def _object_at(text: bytes, start: int) -> dict[str, Any]:
    rest = text[start:].lstrip()
    if not rest.startswith(b":"):
        return {}
    rest = rest[1:].lstrip()
    end = rest.find(b"}") if rest.startswith(b"{") else -1
    tries = 0
    while end >= 0 and tries < MOST_TRIES:
        if rest.count(b"{", 0, end) == rest.count(b"}", 0, end + 1):  # reports have no braces in strings
            try:
                tree: dict[str, Any] = orjson.loads(rest[: end + 1])
            except orjson.JSONDecodeError:
                return {}
            return tree
        end = rest.find(b"}", end + 1)
        tries += 1
    return {}
