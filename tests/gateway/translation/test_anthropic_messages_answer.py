"""Anthropic's Messages as a tongue: answers, whole and streamed, and errors."""

from pathlib import Path
from typing import Any

import anthropic
import httpx2
import orjson
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gateway.content import Document
from gateway.contracts import Call
from gateway.names import Slug
from gateway.records import PathKind
from gateway.translation import anthropic_messages as tongue
from gateway.translation.anthropic_messages_reader import MOST_TOOLS, StreamReader, WholeReader
from gateway.translation.anthropic_messages_seals import plain_id, sealed
from gateway.translation.canonical import (
    Begin,
    Broken,
    Complaint,
    End,
    Event,
    Maker,
    Refusal,
    Stop,
    Tally,
    TextDelta,
    ThoughtDelta,
    ToolBegin,
    ToolDelta,
    carried_id,
)
from gateway.translation.tongue import Reply
from gateway.usage import Usage

WIRE = Path(__file__).parents[2] / "data" / "wire"
STREAM = (WIRE / "anthropic_stream.sse").read_bytes()
SEARCH = (WIRE / "anthropic_search.sse").read_bytes()

EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def reply(stream: bool) -> Reply:
    call = Call(dialect=tongue.NAME, kind=PathKind.MESSAGES, model="m", stream=stream, body=Document({}, 2))
    return Reply(id=Slug("req-1-a"), model="claude-test", created_s=1, call=call)


def write(events: list[Event], stream: bool, pieces: bool = False) -> bytes:
    writer = tongue.writer(reply(stream))
    if not pieces:
        return writer.write(events) + writer.finish()
    return b"".join(writer.write([event]) for event in events) + writer.finish()


def read(body: bytes, stream: bool = True, size: int = 0) -> list[Event]:
    reader = tongue.reader(stream)
    events: list[Event] = []
    for at in range(0, len(body), size or len(body) or 1):
        events += reader.feed(body[at : at + (size or len(body))])
    return events + reader.finish()


def wires(body: bytes) -> list[dict[str, Any]]:
    """The parsed events of a stream, each checked for its form."""
    found = []
    for frame in body.removesuffix(b"\n\n").split(b"\n\n"):
        name, data = frame.split(b"\n")
        tree = orjson.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + tree["type"].encode()
        found.append(tree)
    return found


def merged(events: list[Event]) -> list[Any]:
    """The same answer said in the fewest events, tool calls with their arguments where they began."""
    found: list[Any] = []
    calls: dict[int, list[str]] = {}
    for event in events:
        last = found[-1] if found else None
        if isinstance(event, TextDelta | Refusal):
            if isinstance(last, TextDelta):
                found[-1] = TextDelta(last.text + event.text)
            else:
                found.append(TextDelta(event.text))
        elif isinstance(event, ThoughtDelta):
            if isinstance(last, ThoughtDelta) and not last.signature and not event.redacted:
                found[-1] = ThoughtDelta(last.text + event.text, event.signature, event.maker)
            else:
                found.append(event)
        elif isinstance(event, ToolBegin):
            calls[event.index] = []
            found.append(event)
        elif isinstance(event, ToolDelta):
            calls[event.index].append(event.arguments)
        else:
            found.append(event)
    return [
        (event.id, event.name, "".join(calls[event.index]) or "{}") if isinstance(event, ToolBegin) else event
        for event in found
    ]


# --- generated answers ----------------------------------------------------------------------------

WORDS = st.text(min_size=1, max_size=8) | st.sampled_from(["\u2028", "\x85", "a\n\ndata: {}", "\r\n"])
TEXTS = st.lists(st.builds(TextDelta, WORDS) | st.builds(Refusal, WORDS), min_size=1, max_size=3)
SEALS = st.text("abc+/=", min_size=1, max_size=8)
SEALED = st.builds(ThoughtDelta, st.just("") | WORDS, SEALS, st.sampled_from(list(Maker)))
REDACTED = st.builds(ThoughtDelta, st.just(""), SEALS, st.sampled_from(list(Maker)), st.just(True))
THOUGHTS = st.lists(st.builds(ThoughtDelta, WORDS), max_size=2).flatmap(
    lambda thoughts: st.lists(SEALED | REDACTED, max_size=1).map(lambda last: [*thoughts, *last])
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(st.text(max_size=4), JSON, max_size=3).map(
    lambda tree: orjson.dumps(tree).decode()
)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Answers with texts, thoughts and tool calls, whose pieces may come in turns."""
    events: list[Event] = [Begin("id")]
    index = 0
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.integers(0, 2))
        if kind < 2:
            events += draw(THOUGHTS if kind else TEXTS)
            continue
        queues: list[list[Event]] = []
        for _ in range(draw(st.integers(1, 3))):
            text = draw(st.just("") | ARGUMENTS)
            cut = draw(st.integers(0, len(text)))
            id = draw(st.text("ab.-", min_size=1, max_size=3))
            signature = draw(st.sampled_from(["", "s+/="]))
            queues.append([
                ToolBegin(index, id, "f", signature),
                ToolDelta(index, text[:cut]),
                ToolDelta(index, text[cut:]),
            ])  # fmt: skip
            index += 1
        first = [queue.pop(0) for queue in queues] if draw(st.booleans()) else []
        events += first
        while any(queues):
            at = draw(st.integers(0, len(queues) - 1)) if first else 0
            queue = queues[at] or next(queue for queue in queues if queue)
            events.append(queue.pop(0))
    events.append(Tally(draw(usages())))
    events.append(End(draw(st.sampled_from(list(Stop))), draw(st.sampled_from(["", "stop"]))))
    return events


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    count = st.integers(0, 9999)
    cached, short, long, output = draw(count), draw(count), draw(count), draw(count)
    return Usage(
        input=cached + short + long + draw(count),
        cached=cached,
        write_5m=short,
        write_1h=long,
        output=output,
        reasoning=draw(st.integers(0, output)),
        searches=draw(st.integers(0, 3)),
    )


def expected(events: list[Event], whole: bool) -> list[Any]:
    """The answer as Anthropic's dialect has it."""
    refused = any(isinstance(event, Refusal) for event in events)
    found: list[Any] = []
    for event in events:
        if isinstance(event, Begin):
            event = Begin("msg_req_1_a")
        elif isinstance(event, ToolBegin):
            event = ToolBegin(event.index, carried_id(plain_id(event.id), event.signature), event.name)
        elif isinstance(event, End) and event.stop is Stop.END and refused:
            event = End(Stop.FILTERED, event.sequence)
        found.append(event)
    return [_shown(event, whole) for event in merged(found)]


def _shown(event: Any, whole: bool) -> Any:
    if isinstance(event, ThoughtDelta) and event.signature:
        seal = sealed(event.signature, event.maker)
        return ThoughtDelta(event.text, seal, Maker.ANTHROPIC, event.redacted)
    if isinstance(event, tuple) and whole:
        return (*event[:2], orjson.dumps(orjson.loads(event[2])).decode())
    return event


@given(answers(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_stream_that_is_written_and_read_is_the_same_answer(events: list[Event], pieces: bool) -> None:
    body = write(events, stream=True, pieces=pieces)
    check_order(wires(body))
    assert merged(read(body)) == expected(events, whole=False)


@given(answers())
@settings(max_examples=150, deadline=None)
def test_a_whole_message_that_is_written_and_read_is_the_same_answer(events: list[Event]) -> None:
    body = write(events, stream=False)
    assert Message.model_validate_json(body, strict=True)
    assert merged(read(body, stream=False)) == expected(events, whole=True)
    assert read(body, stream=True) == read(body, stream=False)  # a provider that does not stream


@given(answers())
@settings(max_examples=150, deadline=None)
def test_anthropics_own_library_makes_the_whole_message_of_the_stream(events: list[Event]) -> None:
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for wire in wires(write(events, stream=True)):
        event = EVENTS.validate_python(wire)
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    whole = orjson.loads(write(events, stream=False))
    built = snapshot.to_dict(mode="json")
    names = ("id", "role", "model", "stop_reason", "stop_sequence", "type")
    assert {name: built[name] for name in names} == {name: whole[name] for name in names}
    blocks = [{key: value for key, value in block.items() if value is not None} for block in built["content"]]
    assert blocks == whole["content"]
    for name in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
        assert built["usage"][name] == whole["usage"][name]


def check_order(found: list[dict[str, Any]]) -> None:
    """message_start, blocks one after the other with rising index, message_delta, message_stop."""
    kinds = [wire["type"] for wire in found]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    index, open_kind = -1, ""
    fits = {
        "text_delta": "text", "thinking_delta": "thinking", "signature_delta": "thinking",
        "input_json_delta": "tool_use",
    }  # fmt: skip
    for wire in found[1:-2]:
        if wire["type"] == "content_block_start":
            assert not open_kind
            index, open_kind = index + 1, wire["content_block"]["type"]
        elif wire["type"] == "content_block_delta":
            assert fits[wire["delta"]["type"]] == open_kind
        else:
            assert wire["type"] == "content_block_stop"
            open_kind = ""
        assert wire["index"] == index
    assert not open_kind


# --- the stream as it is written ------------------------------------------------------------------


def test_a_stream_begins_with_unknown_usage_and_ends_with_the_whole() -> None:
    usage = Usage(input=100, cached=30, write_5m=20, write_1h=10, output=9, reasoning=4, searches=1)
    events: list[Event] = [Begin("x"), TextDelta("Hi"), Tally(usage), End(Stop.STOP_SEQUENCE, "###")]
    first, *_, last, _ = wires(write(events, stream=True))
    assert first["message"]["usage"] == {
        "input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }
    assert last["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "###"}
    assert last["usage"] == {
        "input_tokens": 40,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 30,
        "output_tokens": 9,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
        "output_tokens_details": {"thinking_tokens": 4},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
    }


def test_arguments_go_out_as_they_come() -> None:
    writer = tongue.writer(reply(stream=True))
    writer.write([Begin(), ToolBegin(0, "a", "f")])
    assert wires(writer.write([ToolDelta(0, '{"a')]))[0]["delta"] == {
        "type": "input_json_delta",
        "partial_json": '{"a',
    }


def test_a_call_that_begins_too_early_waits_for_the_one_before_it() -> None:
    writer = tongue.writer(reply(stream=True))
    assert len(wires(writer.write([Begin(), ToolBegin(0, "a", "f"), ToolBegin(1, "b", "g")]))) == 2
    assert writer.write([ToolDelta(1, "{"), ToolDelta(1, "")]) == b""
    assert len(wires(writer.write([ToolDelta(0, "{}")]))) == 1
    late = wires(writer.write([ToolDelta(1, "}")]))
    assert [wire["type"] for wire in late] == [
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
    ]
    assert late[2]["delta"]["partial_json"] == "{}"
    assert writer.write([ToolDelta(0, "x"), ToolDelta(7, "x"), ToolBegin(1, "b", "g")]) == b""


def test_calls_without_ids_are_given_different_ones() -> None:
    events: list[Event] = [Begin(), ToolBegin(0, "", "f"), ToolBegin(1, "", "f"), End(Stop.TOOLS)]
    ids = [block["id"] for block in orjson.loads(write(events, stream=False))["content"]]
    assert len(set(ids)) == 2
    assert all(plain_id(id) == id for id in ids)


def test_what_says_nothing_is_not_written() -> None:
    writer = tongue.writer(reply(stream=True))
    nothing: list[Event] = [TextDelta(""), ThoughtDelta(""), ThoughtDelta(signature="unowned"), Broken()]
    assert len(wires(writer.write([Begin(), *nothing]))) == 1


def test_a_foreign_seal_is_marked_with_its_maker() -> None:
    events: list[Event] = [
        Begin(),
        ThoughtDelta("t", "abc", Maker.OPENAI),
        ThoughtDelta("", "x", Maker.GEMINI, True),
        End(Stop.END),
    ]
    content = orjson.loads(write(events, stream=False))["content"]
    assert content == [
        {"type": "thinking", "thinking": "t", "signature": "openai:abc"},
        {"type": "redacted_thinking", "data": "gemini:x"},
    ]


@pytest.mark.parametrize("arguments", ["", "{", "[1]", "null", '{"a":' * 250 + "1" + "}" * 250])
def test_arguments_that_are_no_object_become_an_empty_one_in_a_message(arguments: str) -> None:
    events: list[Event] = [
        Begin(),
        ToolBegin(0, "a", "f"),
        ToolDelta(0, arguments),
        ToolBegin(1, "b", "g"),
        End(Stop.LENGTH),
    ]
    content = orjson.loads(write(events, stream=False))["content"]
    assert [block["input"] for block in content] == [{}, {}]


def test_an_answer_without_any_event_is_still_an_answer() -> None:
    writer = tongue.writer(reply(stream=False))
    assert orjson.loads(writer.finish())["content"] == []


@pytest.mark.parametrize("stream", [True, False])
def test_anthropics_client_understands_the_answer(stream: bool) -> None:
    events: list[Event] = [
        Begin(),
        ThoughtDelta("Hm.", "c2ln", Maker.ANTHROPIC),
        TextDelta("a\u2028b"),
        ToolBegin(0, "x.y", "look"),
        ToolDelta(0, '{"at":'),
        ToolDelta(0, '"ü"}'),
        Tally(Usage(input=7, output=3)),
        End(Stop.TOOLS),
    ]
    headers = dict(tongue.headers(reply(stream)))
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(200, headers=headers, content=write(events, stream))
    )
    client = anthropic.Anthropic(
        api_key="k", base_url="http://gateway.test", http_client=httpx2.Client(transport=transport)
    )
    ask: dict[str, Any] = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    if stream:
        with client.messages.stream(**ask) as opened:
            message: Any = opened.get_final_message()
    else:
        message = client.messages.create(**ask)
    client.close()
    thought, text, call = message.content
    assert (thought.thinking, thought.signature, text.text) == ("Hm.", "c2ln", "a\u2028b")
    assert (call.name, call.input, call.id) == ("look", {"at": "ü"}, plain_id("x.y"))
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == (
        "tool_use",
        7,
        3,
    )


# --- reading --------------------------------------------------------------------------------------


def frame(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b  \n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def start(index: int, kind: str, **fields: Any) -> bytes:
    return frame("content_block_start", index=index, content_block={"type": kind, **fields})


def delta(index: Any, kind: str, **fields: Any) -> bytes:
    return frame("content_block_delta", index=index, delta={"type": kind, **fields})


RICH = (
    frame("message_start", message={"id": "msg_1", "model": "m", "usage": {
        "input_tokens": 10, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 4,
        "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
        "output_tokens": 1,
    }})
    + frame("ping")
    + start(0, "thinking", thinking="", signature="")
    + delta(0, "thinking_delta", thinking="Hm")
    + delta(0, "signature_delta", signature="c2ln")
    + frame("content_block_stop", index=0)
    + start(1, "redacted_thinking", data="ZGF0YQ==")
    + frame("content_block_stop", index=1)
    + start(2, "text", text="")
    + delta(2, "text_delta", text="a\u2028\u2029\x85b")
    + frame("content_block_stop", index=2)
    + start(3, "tool_use", id="toolu_1", name="f", input={})
    + delta(3, "input_json_delta", partial_json="")
    + delta(3, "input_json_delta", partial_json='{"a"')
    + delta(3, "input_json_delta", partial_json=":1}")
    + frame("content_block_stop", index=3)
    + start(4, "tool_use", id="toolu_2", name="g", input={})
    + frame("content_block_stop", index=4)
    + frame("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={
        "output_tokens": 20, "output_tokens_details": {"thinking_tokens": 5},
    })
    + frame("message_stop")
)  # fmt: skip

RICH_EVENTS = [
    Begin("msg_1"),
    ThoughtDelta("Hm"),
    ThoughtDelta(signature="c2ln", maker=Maker.ANTHROPIC),
    ThoughtDelta(signature="ZGF0YQ==", maker=Maker.ANTHROPIC, redacted=True),
    TextDelta("a\u2028\u2029\x85b"),
    ToolBegin(0, "toolu_1", "f"),
    ToolDelta(0, '{"a"'),
    ToolDelta(0, ":1}"),
    ToolBegin(1, "toolu_2", "g"),
    ToolDelta(1, "{}"),
    Tally(Usage(input=17, cached=4, write_5m=1, write_1h=2, output=20, reasoning=5)),
    End(Stop.TOOLS),
]


@pytest.mark.parametrize("body", [RICH, RICH.replace(b"\n", b"\r\n")])
def test_a_stream_cut_anywhere_gives_the_same_events(body: bytes) -> None:
    assert read(body) == RICH_EVENTS
    assert read(body, size=1) == RICH_EVENTS
    for cut in range(len(body)):
        reader = tongue.reader(True)
        assert reader.feed(body[:cut]) + reader.feed(body[cut:]) + reader.finish() == RICH_EVENTS


def test_recorded_streams_are_read_to_their_end() -> None:
    for body in (STREAM, SEARCH):
        events = read(body)
        assert events == read(body, size=7)
        assert isinstance(events[0], Begin)
        assert isinstance(events[-1], End)
        assert any(isinstance(event, Tally) for event in events)
        assert any(isinstance(event, TextDelta) for event in events)


@pytest.mark.parametrize(
    ("said", "stop"),
    [
        ("end_turn", Stop.END),
        ("max_tokens", Stop.LENGTH),
        ("model_context_window_exceeded", Stop.LENGTH),
        ("tool_use", Stop.TOOLS),
        ("pause_turn", Stop.PAUSED),
        ("refusal", Stop.FILTERED),
        ("unheard_of", Stop.END),
        (None, Stop.END),
        (5, Stop.END),
    ],
)
def test_every_reason_to_stop_is_known(said: Any, stop: Stop) -> None:
    message = {
        "type": "message",
        "id": "m",
        "content": [],
        "stop_reason": said,
        "usage": {"output_tokens": 1},
    }
    assert read(orjson.dumps(message), stream=False) == [Begin("m"), Tally(Usage(output=1)), End(stop)]


def test_the_stop_sequence_is_told() -> None:
    message = {"content": [], "stop_reason": "stop_sequence", "stop_sequence": "###"}
    assert read(orjson.dumps(message), stream=False)[-1] == End(Stop.STOP_SEQUENCE, "###")


def test_why_a_model_declines_is_told() -> None:
    message = {
        "content": [{"type": "text", "text": "No"}],
        "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "explanation": "Because."},
    }
    events = read(orjson.dumps(message), stream=False)
    assert [TextDelta("No"), Refusal("Because."), End(Stop.FILTERED)] == [
        event for event in events if not isinstance(event, Begin | Tally)
    ]


@pytest.mark.parametrize(
    ("kind", "busy"),
    [("overloaded_error", True), ("rate_limit_error", True), ("api_error", False), (5, False)],
)
@pytest.mark.parametrize("stream", [True, False])
def test_an_error_inside_an_answer_breaks_it(kind: Any, busy: bool, stream: bool) -> None:
    error = orjson.dumps({"type": "error", "error": {"type": kind, "message": "secret"}})
    assert read(error, stream) == [Broken(busy=busy)]
    if stream:
        body = RICH[: RICH.index(b"event: message_delta")] + b"event: error\ndata: " + error + b"\n\n" + RICH
        assert read(body) == [*RICH_EVENTS[:-2], Broken(busy=busy)]


def test_a_stream_that_just_ends_has_no_end() -> None:
    events = read(RICH[: RICH.index(b"event: message_stop")])
    assert events == RICH_EVENTS[:-1]
    assert read(b"") == []
    assert read(b" \n\n") == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b'{"content":5}', b"\xff", b'{"content":[]}x'])
def test_a_body_that_is_no_message_is_broken(body: bytes) -> None:
    assert read(body, stream=False) == [Broken()]


@pytest.mark.parametrize("data", [b"{", b"[1]", b"\xff", b'"x"'])
def test_an_event_that_is_no_object_breaks_the_answer(data: bytes) -> None:
    assert read(b"data: " + data + b"\n\n" + RICH) == [Broken()]


def test_events_and_bodies_above_the_limit_break_the_answer() -> None:
    reader = StreamReader(limit=1000)
    events = reader.feed(RICH[:400]) + reader.feed(b"data: " + b"x" * 2000)
    assert events[-1] == Broken()
    assert reader.feed(RICH) == []
    assert reader.finish() == []
    whole = WholeReader(limit=100)
    assert whole.feed(b'{"content":[]' + b" " * 90) == whole.feed(b"}") == []
    assert whole.finish() == [Broken()]


@pytest.mark.parametrize("index", [None, "3", 1.5, [], {}, 10**18, -1, True])
def test_strange_indices_are_passed_over(index: Any) -> None:
    body = RICH.replace(b'"index":3', b'"index":' + orjson.dumps(index))
    events = read(body)
    assert isinstance(events[-1], End if type(index) is int else Broken)
    stray = delta(index, "input_json_delta", partial_json="x") + frame("content_block_stop", index=index)
    assert read(stray) == [Begin()]


def test_ids_may_be_doubled_and_blocks_strange() -> None:
    body = (
        start(0, "tool_use", id="a", name="f", input={"x": [1]})
        + start(0, "tool_use", id="a", name=5, input="x")
        + start(1, "text", text=5)
        + start(2, "server_tool_use", id="s")
        + frame("content_block_start", index=3, content_block=[])
        + delta(9, "text_delta", text="stray")
        + delta(9, "citations_delta", citation={})
        + frame("unheard_of")
        + frame("message_stop")
    )
    assert read(body) == [
        Begin(),
        ToolBegin(0, "a", "f"),
        ToolDelta(0, '{"x":[1]}'),
        ToolBegin(1, "a", ""),
        TextDelta("stray"),
        End(Stop.END),
    ]


def test_a_call_too_deep_to_be_written_again_breaks_the_answer() -> None:
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    body = b'{"content":[{"type":"tool_use","id":"a","name":"f","input":' + deep + b"}]}"
    assert read(body, stream=False) == [Begin(), Broken()]


def test_calls_without_end_break_the_answer() -> None:
    block = b'{"type":"tool_use","id":"a","name":"f","input":{}}'
    body = b'{"content":[' + b",".join([block] * (MOST_TOOLS + 1)) + b"]}"
    assert read(body, stream=False)[-1] == Broken()


@given(st.lists(st.binary(max_size=40), max_size=5), st.booleans())
def test_no_bytes_raise(chunks: list[bytes], stream: bool) -> None:
    reader = tongue.reader(stream)
    for chunk in chunks:
        reader.feed(chunk)
    reader.finish()


JUNK = st.sampled_from([
    b"", b"null", b"5", b'"x"', b"[]", b"{}", b"1e400", b'"\\ud800"', b"-1", b"99999999999999999999",
    b"\n\n", b"}",
])  # fmt: skip


@given(st.data(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_mutated_answer_raises(data: st.DataObject, stream: bool) -> None:
    body = RICH if stream else write(list(RICH_EVENTS), stream=False)
    for _ in range(data.draw(st.integers(1, 3))):
        values = [at + 1 for at in range(len(body)) if body[at : at + 1] in (b":", b",", b"[")]
        at = data.draw(st.sampled_from(values)) if values else 0
        gone = data.draw(st.integers(0, 12))
        body = body[:at] + data.draw(JUNK) + body[at + gone :]
    events = read(body, stream, size=data.draw(st.sampled_from([0, 1, 50])))
    assert sum(isinstance(event, End | Broken) for event in events) <= 1


# --- errors ---------------------------------------------------------------------------------------


def test_the_sentence_of_an_error_is_found_and_written() -> None:
    body = tongue.write_complaint(Complaint(529, "Later."))
    assert orjson.loads(body) == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Later."},
        "request_id": None,
    }
    assert tongue.read_complaint(529, body) == Complaint(529, "Later.")
    assert (
        orjson.loads(tongue.write_complaint(Complaint(400, "")))["error"]["type"] == "invalid_request_error"
    )
    assert orjson.loads(tongue.write_complaint(Complaint(502, "")))["error"]["type"] == "api_error"


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b'{"error":"x"}', b'{"error":{"message":5}}', b"\xff"])
def test_an_error_without_a_sentence_has_an_empty_one(body: bytes) -> None:
    assert tongue.read_complaint(500, body) == Complaint(500, "")


def test_the_content_type_is_that_of_the_answer() -> None:
    assert tongue.headers(reply(True)) == (("content-type", "text/event-stream; charset=utf-8"),)
    assert tongue.headers(reply(False)) == (("content-type", "application/json"),)
