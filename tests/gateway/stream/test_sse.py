"""Bytes in, events out, wherever the bytes are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stream.sse import HEAD_BYTES, TAIL_BYTES, Event, Frames

BODY = (
    b": a comment\n"
    b"data: one\n"
    b"\n"
    b"event: named\n"
    b"id: 7\n"
    b"retry: 10\n"
    b"data:two\n"
    b"data: more\n"
    b"\n"
    b"\n"
    b"event: forgotten\n"
    b"\n"
    b"data\n"
    b"data:  spaced\n"
    b"\n"
    b'data: {"a":1}\n'
    b"\n"
    b"data: [DONE]\n"
    b"\n"
)
EVENTS: list[Event] = [
    (None, b"one"),
    (b"named", b"two\nmore"),
    (None, b"\n spaced"),
    (None, b'{"a":1}'),
    (None, b"[DONE]"),
]


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def read(body: bytes, size: int, frames: Frames | None = None) -> list[Event]:
    frames = frames or Frames()
    return [event for chunk in cut(body, size) for event in frames.feed(chunk)]


def reference(body: bytes) -> list[Event]:
    """The standard's rules, one byte after another, without any speed."""
    text = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events: list[Event] = []
    data: list[bytes] = []
    name: bytes | None = None
    for line in text.split(b"\n")[:-1]:
        field, _, value = line.partition(b":")
        if not line:
            if data:
                events.append((name, b"\n".join(data)))
            data, name = [], None
        elif field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ") or None
    return events


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_events_are_the_same_at_every_cut_and_with_every_line_end(end: bytes, mark: bytes) -> None:
    body = mark + BODY.replace(b"\n", end)
    for size in range(1, len(body) + 1):
        assert read(body, size) == EVENTS


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_two_chunks_cut_anywhere_are_read_as_one(end: bytes) -> None:
    body = BODY.replace(b"\n", end)
    for at in range(len(body) + 1):
        frames = Frames()
        assert frames.feed(body[:at]) + frames.feed(b"") + frames.feed(body[at:]) == EVENTS


def test_an_event_that_ends_with_cr_does_not_wait_for_the_next_chunk() -> None:
    frames = Frames()
    assert frames.feed(b"data: x\r\r") == [(None, b"x")]
    assert frames.feed(b"\ndata: y\n\n") == [(None, b"y")]


PLAIN = [
    (b'data: {"a":1}\n\n', 1),
    (b'data: {"a":1}\n\ndata: {"b":2}\n\n', 2),
    (b'event: x\ndata: {"a":1}\n\n', 1),
    (b'event: x\ndata: {"a":1}\n\nevent: y\ndata: {"b":2}\n\nevent: z\ndata: {}\n\n', 3),
    (b'data: {"a":"data: {\\n\\ndata: {"}\n\n', 1),
]
NOT_PLAIN = [
    b"",
    b"\n\n",
    b"data: [DONE]\n\n",
    b"data: {}\n",
    b"data: {}\r\n\r\n",
    b"data: {}\r\rdata: {}\n\n",
    b"data:{}\n\n",
    b"data: {\ndata: }\n\n",
    b"data: {}\n\n\n\n",
    b"data: {}\nid: 1\n\n",
    b"data: {}\n\ndata: [DONE]\n\n",
    b"data: {}\n\nevent: x\ndata: {}\n\n",
    b"event: x\ndata: {}\n\ndata: {}\n\n",
    b"event: x\n\n",
    b"event: x\nid: 1\ndata: {}\n\n",
    b": comment\n\n",
    b"\xef\xbb\xbfdata: {}\n\n",
    b'data: {"' + b"x" * 300 + b'"}\n\n',
]


@pytest.mark.parametrize(("chunk", "events"), PLAIN)
def test_a_chunk_of_plain_events_is_counted_wherever_one_may_begin(chunk: bytes, events: int) -> None:
    frames = Frames(limit=300)
    assert frames.plain(chunk) == events
    assert frames.idle
    assert frames.feed(chunk) == Frames().feed(chunk)
    assert frames.plain(chunk) == events


@pytest.mark.parametrize("chunk", NOT_PLAIN)
def test_no_other_chunk_is_plain(chunk: bytes) -> None:
    frames = Frames(limit=300)
    assert frames.plain(chunk) == 0
    assert not frames.idle
    frames.feed(b"data: {}\n\n")
    assert frames.plain(chunk) == 0


@pytest.mark.parametrize("before", [b"\xef", b"data: {", b"event: x\n", b"data: {}\n", b"data: {}\r\n\r"])
def test_nothing_is_plain_behind_what_is_kept(before: bytes) -> None:
    frames = Frames()
    frames.feed(before)
    assert frames.plain(b"data: {}\n\n") == 0


def test_whole_events_are_read_at_once_after_the_first() -> None:
    frames = Frames()
    assert not frames.idle
    frames.feed(b"data: first\n\n")
    assert frames.idle
    assert frames.feed(b"data: a\n\nevent: n\ndata: b\ndata: c\n\n: only a comment\n\ndata:d\n\n\n\n") == [
        (None, b"a"),
        (b"n", b"b\nc"),
        (None, b"d"),
    ]
    assert frames.feed(b"\n\n") == []
    assert frames.idle
    frames.feed(b"event: x\n")
    assert not frames.idle


@given(
    st.lists(
        st.sampled_from(
            [
                b"data: ", b"data:", b"data", b"event: e", b"event:", b"event", b"x", b" ", b":",
                b"\n", b"\r", b"\r\n", b"\n\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8",
                b"id: 1", b'{"a":"b"}',
            ]
        ),
        max_size=30,
    ),
    st.lists(st.integers(0, 120), max_size=8),
)  # fmt: skip
def test_events_are_those_of_the_standard_however_mixed_and_cut(pieces: list[bytes], cuts: list[int]) -> None:
    body = b"".join(pieces)
    places = [0, *sorted(min(place, len(body)) for place in cuts), len(body)]
    frames = Frames()
    events: list[Event] = []
    for start, end in pairwise(places):
        events += frames.feed(body[start:end])
    assert events == reference(body)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_trap_8_what_only_text_calls_a_line_end_stays_inside_its_event(separator: str) -> None:
    data = b'{"content":"a' + separator.encode() + b'b"}'
    body = b"data: " + data + b"\n\n"
    for size in range(1, len(body) + 1):
        frames = Frames()
        assert read(b"data: {}\n\n", size, frames) == [(None, b"{}")]
        assert read(body, size, frames) == [(None, data)]


def test_invalid_utf_8_passes_as_it_is_also_when_cut() -> None:
    data = b"\xff\xc3\x28 \xe2\x82"
    for size in range(1, 20):
        assert read(b"data: " + data + b"\n\n", size) == [(None, data)]


def test_the_rest_is_what_an_end_of_the_body_would_complete() -> None:
    frames = Frames()
    assert frames.rest() is None
    frames.feed(b"event: e\ndata: a\ndata: b")
    assert frames.rest() == (b"e", b"a\nb")
    assert frames.rest() == (b"e", b"a\nb")
    frames.feed(b"\nid")
    assert frames.rest() == (b"e", b"a\nb")
    assert frames.feed(b": 1\n\n") == [(b"e", b"a\nb")]
    assert frames.rest() is None


# --- events above the limit ------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("lines", [1, 2, 9])
def test_an_event_above_the_limit_is_passed_over_and_the_next_is_read(end: bytes, lines: int) -> None:
    line = b"x" * 40
    large = b"event: big\n" + b"".join(b"data: " + line + b"\n" for _ in range(lines)) + b"\n"
    body = (b"data: before\n\n" + large + b"event: e\ndata: after\n\n").replace(b"\n", end)
    for size in range(1, len(body) + 1):
        frames = Frames(limit=30)
        assert read(body, size, frames) == [(None, b"before"), (b"e", b"after")]
        assert frames.dropped == 1
        assert frames.oversize is not None
        assert frames.oversize.name == b"big"


def test_of_an_event_above_the_limit_the_beginning_and_the_end_stay() -> None:
    data = bytes(ord("a") + number % 26 for number in range(20_000))
    for size in (1, 7, 1000, 30_000):
        frames = Frames(limit=5000)
        assert frames.oversize is None
        assert read(b"data: " + data, size, frames) == []
        assert frames.rest() is None
        assert frames.oversize is not None
        assert data.startswith(frames.oversize.head)
        assert len(frames.oversize.head) == HEAD_BYTES
        assert frames.oversize.tail == data[-TAIL_BYTES:]


def test_a_line_that_never_ends_keeps_no_more_than_the_limit() -> None:
    frames = Frames(limit=1000)
    for _ in range(1000):
        frames.feed(b"data" * 100)
    assert frames.dropped == 1
    assert len(frames._line) + len(frames._tail) <= 1000 + TAIL_BYTES
    assert frames.feed(b"\n\ndata: next\n\n") == [(None, b"next")]


def test_a_thousand_small_lines_of_one_event_count_together() -> None:
    frames = Frames(limit=1000)
    for _ in range(1000):
        assert frames.feed(b"data: xy\n") == []
    assert frames.dropped == 1
    assert frames.feed(b"\n") == []
    assert frames.feed(b"data: next\n\n") == [(None, b"next")]
