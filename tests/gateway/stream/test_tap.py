"""What meters take out of passing bytes, whatever the bytes are."""

import math
import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stream.json_array import Elements
from gateway.stream.tap import (
    EDGE_BYTES,
    BodyMeter,
    EventMeter,
    TextCount,
    child,
    count,
    estimated,
    find_object,
    usage_of,
)
from gateway.usage import Reading, Source, Usage


class Notes:
    """A reader that writes down what it is shown."""

    marks = (b'"usage"',)
    texts = (b'"content":', b'"arguments":')

    def __init__(self) -> None:
        self.trees: list[tuple[bytes | None, Any]] = []
        self.closed = False
        self.salvaged: list[tuple[bytes | None, bytes, bytes]] = []
        self.usage: Usage | None = None

    def read(self, name: bytes | None, tree: Any) -> None:
        self.trees.append((name, tree))
        if child(tree, "usage"):
            self.usage = usage_of(input=count(tree["usage"], "input")) or self.usage

    def close(self, data: bytes) -> bool:
        self.closed = self.closed or data == b"[DONE]"
        return self.closed

    def salvage(self, name: bytes | None, head: bytes, tail: bytes) -> None:
        self.salvaged.append((name, head, tail))

    def reading(self, seen: int) -> Reading | None:
        return Reading(usage=self.usage, source=Source.REPORTED) if self.usage is not None else None

    @property
    def complete(self) -> bool:
        return self.closed


def event(content: str, **more: Any) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"delta": {"content": content}}], **more}) + b"\n\n"


# --- events ------------------------------------------------------------------------------------------


def test_only_events_with_a_mark_are_parsed() -> None:
    notes = Notes()
    meter = EventMeter(notes)
    for _ in range(3):
        meter.feed(event("the usage"))
        meter.feed(event('the "usage" of words'))
        meter.feed(event("x", usage=None))
        meter.feed(b"event: e\n" + event("x", usage=None))
        meter.feed(event("x", other={"usage": None}, usage=None))
    assert notes.trees == []
    meter.feed(b"event: last\n" + event("", usage={"input": 3}))
    meter.feed(event("", usage={"input": 4}, other={"usage": None}))
    assert [name for name, _ in notes.trees] == [b"last", None]
    assert not meter.complete
    meter.feed(b"data: [DONE]\n\n")
    assert meter.complete
    assert meter.finish() == Reading(usage=Usage(input=4), source=Source.REPORTED)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_usage_is_the_same_however_the_bytes_are_cut(end: bytes) -> None:
    body = (event("Hello") * 3 + event("", usage={"input": 12}) + b"data: [DONE]\n\n").replace(b"\n", end)
    for size in range(1, len(body) + 1):
        meter = EventMeter(Notes())
        for start in range(0, len(body), size):
            meter.feed(body[start : start + size])
        assert meter.finish() == Reading(usage=Usage(input=12), source=Source.REPORTED)
        assert meter.complete


def test_an_event_without_its_empty_line_is_read_at_the_end() -> None:
    meter = EventMeter(Notes())
    meter.feed(event("Hello") + event("", usage={"input": 12})[:-2])
    assert meter.finish().usage.input == 12
    meter.feed(b"\n\n" + event("", usage={"input": 13}))
    assert meter.finish().usage.input == 13


def test_an_answer_that_is_plain_json_instead_of_a_stream_is_metered_as_such() -> None:
    body = orjson.dumps({"usage": {"input": 12}, "x": 1})
    for size in range(1, len(body) + 1):
        meter = EventMeter(Notes())
        for start in range(0, len(body), size):
            assert not meter.complete
            meter.feed(body[start : start + size])
        assert meter.complete
        assert meter.finish().usage.input == 12


def test_a_cutter_of_ones_own_replaces_the_events() -> None:
    meter = EventMeter(Notes(), cutter=Elements())
    meter.feed(b'[{"content":"a"},\n{"usage":{"input":3}}]')
    assert meter.finish().usage.input == 3


def test_what_an_oversize_event_leaves_is_offered_for_salvage() -> None:
    notes = Notes()
    meter = EventMeter(notes, limit=100)
    meter.feed(b"event: big\n" + event("x" * 500, usage={"input": 3}))
    assert notes.trees == []
    meter.finish()
    [(name, head, tail)] = notes.salvaged
    assert name == b"big"
    assert head.startswith(b'{"choices"')
    assert find_object(tail, b'"usage"') == {"input": 3}


@pytest.mark.parametrize("name", [b"", b"event: delta\n"])
@pytest.mark.parametrize("reported", [False, True])
def test_the_reading_does_not_depend_on_how_many_events_come_together(name: bytes, reported: bool) -> None:
    events = [name + event("word " * (number % 5), usage=None) for number in range(150)]
    if reported:
        events.insert(100, name + event("", usage={"input": 3}))
        events.append(name + event("", usage={"input": 4}))
    events.append(b"data: [DONE]\n\n")
    alone = EventMeter(Notes())
    for cut in b"".join(events).splitlines(keepends=True):
        alone.feed(cut)
    for together in (1, 2, 5, 40, 200):
        notes = Notes()
        meter = EventMeter(notes)
        for start in range(0, len(events), together):
            meter.feed(b"".join(events[start : start + together]))
        assert meter.complete
        assert meter.finish() == alone.finish()
        assert len(notes.trees) == (2 if reported else 0)


def test_events_before_the_first_mark_are_counted_and_those_behind_it_are_read() -> None:
    notes = Notes()
    meter = EventMeter(notes)
    meter.feed(event("a") * 3 + event("b", usage={"input": 2}) + event("c") * 2 + b"data: [D")
    assert [tree["usage"] for _, tree in notes.trees] == [{"input": 2}]
    meter.feed(b"ONE]\n\n" + event("d") + b": bye\n\n")
    assert meter.complete
    assert meter.finish().usage.input == 2


def test_a_plain_answer_may_hold_what_looks_like_an_event() -> None:
    meter = EventMeter(Notes())
    meter.feed(b'{"usage":{"input":5},"text":\n"')
    meter.feed(b'data: {"x"}\n\n')
    assert not meter.complete
    body = EventMeter(Notes())
    body.feed(b'{"usage":{"input":5},\n')
    body.feed(b'"a":1}\n\n')
    assert body.finish().usage.input == 5


@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([b"data: ", b'"usage"', b"\n\n", b"{", b'"content":"']))
)
def test_no_bytes_make_a_meter_raise(chunks: list[bytes]) -> None:
    for meter in (EventMeter(Notes()), BodyMeter(Notes(), limit=60), EventMeter(Notes(), limit=30)):
        for chunk in chunks:
            meter.feed(chunk)
            assert meter.finish().source in (Source.NONE, Source.ESTIMATED)
            assert meter.complete in (True, False)


# --- whole bodies ----------------------------------------------------------------------------------------


def test_a_whole_body_is_read_and_complete_only_when_it_is_whole() -> None:
    body = b'{"content":"' + b"word " * 20 + b'","usage":{"input":12}}'
    meter = BodyMeter(Notes())
    assert meter.finish() == Reading()
    for at in range(len(body)):
        assert not meter.complete
        meter.feed(body[at : at + 1])
        if at == len(body) - 2:
            cut = meter.finish()
            assert cut.source is Source.ESTIMATED
            assert 20 <= cut.usage.output <= 25
    assert meter.complete
    assert meter.finish() == Reading(usage=Usage(input=12), source=Source.REPORTED)


def test_a_body_is_parsed_once_for_each_state() -> None:
    notes = Notes()
    meter = BodyMeter(notes)
    meter.feed(b'{"usage":{"input":1}}')
    for _ in range(3):
        assert meter.complete
        meter.finish()
    assert len(notes.trees) == 1


def test_a_body_above_the_limit_leaves_its_beginning_and_end() -> None:
    notes = Notes()
    meter = BodyMeter(notes, limit=10_000)
    meter.feed(b'{"data":"' + b"x" * 20_000)
    assert not meter.complete
    for _ in range(9000):
        meter.feed(b"x")
    meter.feed(b'","usage":{"input":5}}\n')
    assert meter.complete
    assert meter.finish().source is Source.ESTIMATED
    meter.finish()
    [(name, head, tail)] = notes.salvaged
    assert (name, len(head), len(tail)) == (None, EDGE_BYTES, EDGE_BYTES)
    assert find_object(tail, b'"usage"') == {"input": 5}
    assert meter.finish().usage.output == math.ceil(29_032 / 4.4)


# --- estimates ---------------------------------------------------------------------------------------

TEXT = """
    the of and to in is that for it as was with be by on not he his but at are this have from or had an
    they which one you were all her she there would their we him been has when who will no more if out so
    up said what about because people between however government important understanding international
"""
WORDS = TEXT.split()


def tokens_like_english(number: int, seed: int) -> list[str]:
    """Words as a tokenizer cuts them: mostly one token with its space, long ones in two, some commas."""
    chance = random.Random(seed)
    made: list[str] = []
    while len(made) < number:
        word = " " + chance.choice(WORDS)
        made += [word] if len(word) < 11 else [word[:7], word[7:]]
        if chance.random() < 0.1:
            made.append(",")
    return made[:number]


@pytest.mark.parametrize("number", [10, 100, 1000])
@pytest.mark.parametrize("together", [1, 3, 10])
def test_a_stream_without_usage_is_estimated_within_15_percent(number: int, together: int) -> None:
    wrong = []
    for seed in range(15):
        tokens = tokens_like_english(number, seed)
        meter = EventMeter(Notes())
        for start in range(0, number, together):
            meter.feed(event("".join(tokens[start : start + together])))
        reading = meter.finish()
        assert reading.source is Source.ESTIMATED
        assert reading.usage.input == 0
        wrong.append(abs(reading.usage.output - number) / number)
    assert sorted(wrong)[7] <= 0.15


def test_tool_arguments_count_as_output_too() -> None:
    meter = EventMeter(Notes())
    for _ in range(50):
        meter.feed(b'data: {"delta":{"content":null,"arguments": "{\\"a\\":"}}\n\n')
    assert meter.finish().usage.output == 50


def test_letters_outside_ascii_weigh_more() -> None:
    meter = EventMeter(Notes())
    for _ in range(10):
        meter.feed(event("日本語の文章です。" * 3))
    assert 200 <= meter.finish().usage.output <= 300
    escaped = EventMeter(Notes())
    for _ in range(10):
        escaped.feed(b'data: {"content":"' + b"\\u65e5\\u672c" * 13 + b'"}\n\n')
    assert 200 <= escaped.finish().usage.output <= 300


def test_strings_with_quotes_and_backslashes_are_measured_whole() -> None:
    for text in ('say "hello" to all', "path\\", 'end\\"', "\\\\" * 9, "line\nline"):
        counted = TextCount()
        counted.add(orjson.dumps({"content": text * 20}), Notes.texts)
        assert counted.tokens == pytest.approx(len(text) * 20 / 4.4, rel=0.5)
    cut = TextCount()
    cut.add(b'{"content":"never ended and so on and on', Notes.texts)
    assert cut.tokens == 7


def test_no_text_is_no_token() -> None:
    meter = EventMeter(Notes())
    assert meter.finish() == Reading()
    meter.feed(b": ping\n\n")
    meter.feed(event(""))
    assert meter.finish() == Reading(source=Source.ESTIMATED)


def test_large_events_are_always_measured() -> None:
    meter = EventMeter(Notes())
    for number in range(100):
        meter.feed(event("word " * 300 if number % 7 == 3 else "x"))
    assert meter.finish().usage.output == pytest.approx(14 * 1500 / 4.4, rel=0.05)


def test_an_estimate_of_nothing_that_came_is_no_reading() -> None:
    assert estimated(0, 0) == Reading()
    assert estimated(7, 30) == Reading(usage=Usage(output=7), source=Source.ESTIMATED)


# --- numbers from outside ----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1, 1.0, 0.5, True, False, "7", 10**12, 10**18, [1], {}, float("nan")])
def test_an_unbelievable_count_is_none(value: Any) -> None:
    assert count({"input": value}, "input") is None
    assert usage_of(input=count({"input": value}, "input"), output=1) is None


def test_a_missing_count_is_zero() -> None:
    assert count({}, "input") == 0
    assert count({"input": None}, "input") == 0
    assert count({"input": 10**12 - 1}, "input") == 10**12 - 1


def test_numbers_that_contradict_each_other_are_no_usage() -> None:
    assert usage_of(input=5, cached=6) is None
    assert usage_of(output=5, reasoning=6) is None
    assert usage_of(input=6, cached=6) == Usage(input=6, cached=6)


def test_a_child_is_an_object_or_empty() -> None:
    assert child({"a": {"b": 1}}, "a") == {"b": 1}
    assert child({"a": [1]}, "a") == {}
    assert child([1], "a") == {}
    assert child(None, "a") == {}


def test_an_object_is_found_in_a_piece_of_json() -> None:
    mark = b'"usage"'
    text = b'ge":1},"usage":{"a":1},"usage" : {"b":{"c":2}},"x":"usage","usage":null}'
    assert find_object(text, mark) == {"b": {"c": 2}}
    assert find_object(text, mark, last=False) == {"a": 1}
    for nothing in (
        b"",
        b'"usage"',
        b'"usage":',
        b'"usage":5',
        b'"usage":{"a":',
        b'"usage":{a}',
        b'"usage":{"a"}}',
    ):
        assert find_object(nothing, mark) == {}
    assert find_object(b'"usage":{"a":1}' + b'"usage":5' * 20, mark) == {}
    assert find_object(b'"usage":' + b'{"a":' * 20 + b"1" + b"}" * 20, mark) == {}
