"""How much of a model's text passed: an estimate of output tokens, for answers that report none.

Readers name the keys whose string values are the model's text; the lengths of those strings are added
up as they stand in the bytes, without parsing. Streams usually carry one token an event: if the mean
text of an event is short, events are counted; if not, text is divided by the usual length. Of small
events, after the first, only every eighth is measured and stands for eight.
"""

import math
from typing import Final

BYTES_PER_TOKEN: Final = 4.4
"""Mean length of a token of English text with its space. Source: own count over ordinary prose."""

WIDE_BYTES_PER_TOKEN: Final = 3.0
"""The same for text outside ASCII, in UTF-8: about one token a letter in scripts of three bytes."""

SINGLE_TOKEN_BYTES: Final = 6.5
"""If an event's mean text is not longer, events are taken to carry one token each."""

SMALL_EVENT: Final = 1024
"""Bytes of an event that may be counted without being measured."""

MEASURED: Final = 64
"""So many small events are measured at first, all of them."""

SAMPLE: Final = 8
"""After these, one of so many."""

KEPT_BYTES: Final = 8 * 1024
"""A stream's beginning up to this size is measured only if the estimate is asked for."""

_PIECE_BYTES: Final = 64  # what a kept piece takes beside its bytes


class EventTexts:
    """Adds up the texts of a stream's events.

    Most streams report their usage at the end, and then nobody asks: so the first pieces are kept
    as they are, and measured when the number is wanted or they become too many.
    """

    __slots__ = ("_count", "_kept", "_keys", "_left")

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = keys
        self._count = TextCount()
        self._kept: list[tuple[bytes, int]] = []
        self._left = KEPT_BYTES

    def add(self, data: bytes, events: int) -> None:
        """Count events: the data of one, or so many with an empty line behind each."""
        if self._left > 0:
            self._kept.append((data, events))
            self._left -= len(data) + _PIECE_BYTES
            if self._left <= 0:
                self._measure()
        elif events == 1:
            self._count.add_event(data, self._keys)
        else:
            self._count.add_events(data, events, self._keys)

    def skip(self, size: int) -> None:
        """Count bytes that could not be looked at as text."""
        self._count.skip(size)

    @property
    def tokens(self) -> int:
        """The estimate, rounded up; 0 only if no text passed."""
        self._measure()
        return self._count.tokens

    def _measure(self) -> None:
        for data, events in self._kept:
            self._count.add_events(data, events, self._keys)
        self._kept.clear()


class TextCount:
    """Adds up the model's text as it passes, for an estimate of its tokens."""

    __slots__ = ("_events", "_plain", "_small", "_wide")

    def __init__(self) -> None:
        self._events = 0  # that carried text
        self._plain = 0  # bytes of texts in ASCII
        self._wide = 0  # bytes of other texts
        self._small = 0  # small events so far, with text or without

    def add_events(self, data: bytes, events: int, keys: tuple[bytes, ...]) -> None:
        """Count one event, or so many with an empty line behind each; small ones by sample."""
        if events == 1:
            self.add_event(data, keys)
            return
        each = data.split(b"\n\n", events)
        del each[events:]
        if self._small < MEASURED or (len(data) > SMALL_EVENT and max(map(len, each)) > SMALL_EVENT):
            for event in each:
                self.add_event(event, keys)
            return
        first = (SAMPLE // 2 - 1 - self._small) % SAMPLE
        self._small += events
        for event in each[first::SAMPLE]:
            self.add(event, keys, SAMPLE)

    def add_event(self, data: bytes, keys: tuple[bytes, ...]) -> None:
        """Count one event; small ones by sample."""
        if len(data) > SMALL_EVENT:
            self.add(data, keys)
            return
        self._small += 1
        if self._small <= MEASURED:
            self.add(data, keys)
        elif self._small % SAMPLE == SAMPLE // 2:  # the middle one stands for all
            self.add(data, keys, SAMPLE)

    def add(self, data: bytes, keys: tuple[bytes, ...], times: int = 1) -> None:
        """Count the strings that follow these keys in one event or body, so many times."""
        found = False
        for key in keys:
            at = data.find(key)
            while at >= 0:
                start = at + len(key)
                if data[start : start + 1] == b" ":
                    start += 1
                if data[start : start + 1] == b'"':
                    end = _closing(data, start + 1)
                    if end > start + 1:
                        found = True
                        self._measure(data[start + 1 : end], times)
                    start = end
                at = data.find(key, start)
        if found:
            self._events += times

    def skip(self, size: int) -> None:
        """Count bytes that could not be looked at as text."""
        self._plain += size

    @property
    def tokens(self) -> int:
        """The estimate, rounded up; 0 only if no text passed."""
        text = self._plain + self._wide
        if text <= self._events * SINGLE_TOKEN_BYTES:
            tokens = float(self._events)
        else:
            tokens = self._plain / BYTES_PER_TOKEN + self._wide / WIDE_BYTES_PER_TOKEN
        return math.ceil(tokens)

    def _measure(self, text: bytes, times: int) -> None:
        size = len(text)
        letters = 0
        if b"\\" in text:
            letters = text.count(b"\\u")  # six bytes for a letter of two or three
            size -= text.count(b"\\") - text.count(b"\\\\") + 2 * letters
        if letters or not text.isascii():
            self._wide += size * times
        else:
            self._plain += size * times


def _closing(data: bytes, start: int) -> int:
    """Where the string that starts here ends; the end of the data if it does not."""
    end = data.find(b'"', start)
    while end > start and data[end - 1] == 0x5C:
        slashes = end - len(data[start:end].rstrip(b"\\")) - start
        if slashes % 2 == 0:
            break
        end = data.find(b'"', end + 1)
    return len(data) if end < 0 else end
