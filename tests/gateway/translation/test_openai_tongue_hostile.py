"""OpenAI's tongues against bytes and trees that nobody promised: no exception, no unbounded memory."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import CallerError
from gateway.translation.bridge import losses_of
from gateway.translation.canonical import Begin, Broken, Complaint, End, Event
from gateway.translation.openai_chat_reader import ChatReader
from gateway.translation.openai_pieces import LIMIT, Pieces, Sign
from gateway.translation.openai_responses_reader import ResponseReader
from gateway.translation.tongue import Tongue
from tests.gateway.translation.openai_samples import (
    BOTH,
    CHAT,
    LEAST,
    RESPONSES,
    asks,
    events_in,
    heard,
    read,
    stories,
    write,
    written,
)

ODD = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        -1,
        2**63,
        1e300,
        "",
        "x",
        "\u2028",
        [],
        {},
        [None],
        {"x": None},
        [[]],
        [{}],
        "0" * 50,
    ]
)


def sound(events: list[Event]) -> None:
    """What every sequence of events keeps to, whatever it was read from."""
    ends = [at for at, one in enumerate(events) if isinstance(one, End | Broken)]
    assert ends in ([], [len(events) - 1])
    assert [at for at, one in enumerate(events) if isinstance(one, Begin)] in ([], [0])


@st.composite
def spoiled(draw: st.DrawFn, tree: Any) -> Any:
    """The tree with one value in it replaced by another."""
    if isinstance(tree, dict) and tree and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(tree)))
        return {**tree, key: draw(spoiled(tree[key]))}
    if isinstance(tree, list) and tree and draw(st.integers(0, 5)):
        at = draw(st.integers(0, len(tree) - 1))
        return [*tree[:at], draw(spoiled(tree[at])), *tree[at + 1 :]]
    return draw(ODD)


@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
@given(
    chunks=st.lists(st.binary(max_size=40) | st.sampled_from([b"data: {", b"}\n\n", b'{"id":"']), max_size=6)
)
@settings(max_examples=50, deadline=None)
def test_bytes_of_any_kind_are_read_without_an_exception(tongue: Tongue, chunks: list[bytes]) -> None:
    for stream in (True, False):
        sound(heard(tongue, chunks, stream))


@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
@given(events=stories(), data=st.data())
@settings(max_examples=50, deadline=None)
def test_answers_with_odd_values_are_read_without_an_exception(
    tongue: Tongue, events: list[Event], data: st.DataObject
) -> None:
    trees = list(events_in(written(tongue, events, True)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(trees) - 1))
        trees[at] = data.draw(spoiled(trees[at]))
    body = b"".join(b"data: " + orjson.dumps(tree) + b"\n\n" for tree in trees)
    sound(heard(tongue, [body], True))
    whole = data.draw(spoiled(orjson.loads(written(tongue, events, False))))
    sound(heard(tongue, [orjson.dumps(whole)], False))


@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
@given(events=stories(), data=st.data())
@settings(max_examples=30, deadline=None)
def test_streams_with_wrong_bytes_are_read_without_an_exception(
    tongue: Tongue, events: list[Event], data: st.DataObject
) -> None:
    body = written(tongue, events, True)
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(begin, min(len(body), begin + 60)))
        body = body[:begin] + data.draw(st.binary(max_size=5)) + body[end:]
    sound(heard(tongue, [body], True))


@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
@given(ask=asks(), data=st.data())
@settings(max_examples=50, deadline=None)
def test_calls_with_odd_values_are_read_or_refused(tongue: Tongue, ask: Any, data: st.DataObject) -> None:
    tree = data.draw(spoiled(write(tongue, ask)[0]))
    if not isinstance(tree, dict):
        tree = {}
    refusal = refusal_of(tongue, LEAST[tongue.NAME] | tree | {"model": "m"})
    if refusal is not None:
        assert refusal.code in ("bad_request", "cannot_translate")
        assert refusal.code == "bad_request" or refusal.about in losses_of(tongue, tongue)


def refusal_of(tongue: Tongue, tree: dict[str, Any]) -> CallerError | None:
    try:
        again, dropped = read(tongue, tree)
        _, more = write(tongue, again)
    except CallerError as error:
        return error
    assert {*dropped, *more} <= set(losses_of(tongue, tongue))
    return None


@given(
    body=st.binary(max_size=60)
    | st.recursive(ODD, lambda inner: st.dictionaries(st.sampled_from(["error", "message"]), inner)).map(
        orjson.dumps
    )
)
@settings(max_examples=30, deadline=None)
def test_complaints_of_any_kind_are_read(body: bytes) -> None:
    for tongue in BOTH:
        assert isinstance(tongue.read_complaint(400, body), Complaint)


@pytest.mark.parametrize("make", [ChatReader, ResponseReader])
def test_an_event_without_an_end_breaks_the_answer(make: Any) -> None:
    reader = make(True)
    events: list[Event] = reader.feed(b'data: {"id":"')
    chunk = b"x" * (1024 * 1024)
    for _ in range(LIMIT // len(chunk) + 1):
        events += reader.feed(chunk)
    assert events == [Broken()]
    assert reader.feed(b"\n\ndata: {}\n\n") == reader.finish() == []


@pytest.mark.parametrize("stream", [True, False])
def test_what_is_too_large_is_not_held(stream: bool) -> None:
    pieces = Pieces(stream, 100)
    assert pieces.feed(b"data: " + b"x" * 60) == []
    assert pieces.feed(b"x" * 60) == [Sign.GARBLED]
    assert pieces.feed(b"x" * 60) == pieces.finish() == []


def test_a_piece_without_data_is_nothing() -> None:
    assert Pieces(True).feed(b"data:\n\ndata: [DONE]\n\n") == [Sign.DONE]


@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
def test_deep_nests_are_no_answer(tongue: Tongue) -> None:
    deep = b'{"output":' + b"[" * 5000 + b"]" * 5000 + b"}"
    assert heard(tongue, [b"data: " + deep + b"\n\n"], True) == [Broken()]
    assert heard(tongue, [deep], False) == [Broken()]


def test_calls_with_the_same_id_are_all_read() -> None:
    calls = [{"id": "a", "function": {"name": "f", "arguments": "{}"}}] * 3
    whole = {"choices": [{"message": {"tool_calls": calls}}]}
    assert len(heard(CHAT, [orjson.dumps(whole)], False)) == 1 + 2 * 3 + 1
    items = [{"type": "function_call", "id": "a", "call_id": "a", "name": "f", "arguments": "{"}] * 3
    assert len(heard(RESPONSES, [orjson.dumps({"output": items})], False)) == 1 + 2 * 3 + 1
