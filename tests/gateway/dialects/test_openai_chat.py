"""Chat Completions: what is understood, what is sent, what is metered."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import Content, Purpose
from gateway.contracts import Call, Envelope, Shape
from gateway.dialects import openai_chat
from gateway.dialects.openai_chat import ChatReader
from gateway.errors import CallerError
from gateway.records import PathKind
from gateway.stream.json_body import CONTROL_FIELDS
from gateway.stream.tap import EventMeter
from gateway.usage import Reading, ServiceTier, Source, Usage

MESSAGES = [{"role": "user", "content": "hello"}]


def call(**more: Any) -> Call:
    body = orjson.dumps({"model": "gpt", "messages": MESSAGES} | more)
    return openai_chat.read_call(Envelope(kind=PathKind.CHAT, body=Content(body)))


def sent(asked: Call, model: str = "other", ask_usage: bool = False) -> dict[str, Any]:
    tree: dict[str, Any] = orjson.loads(openai_chat.with_model(asked, model, ask_usage).open(Purpose.SEND))
    return tree


def refused(**more: Any) -> str:
    with pytest.raises(CallerError) as caught:
        call(**more)
    assert caught.value.code == "bad_request"
    return str(caught.value.about)


def chunk(content: str | None = "hi", finish: str | None = None, **more: Any) -> bytes:
    delta = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return b"data: " + orjson.dumps({"id": "c", "choices": [delta]} | more) + b"\n\n"


USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 40,
    "total_tokens": 140,
    "prompt_tokens_details": {
        "cached_tokens": 60,
        "cache_write_tokens": 10,
        "audio_tokens": 5,
        "image_tokens": 4,
    },
    "completion_tokens_details": {
        "reasoning_tokens": 30,
        "audio_tokens": 2,
        "accepted_prediction_tokens": 1,
        "rejected_prediction_tokens": 3,
    },
}
EXPECTED = Usage(
    input=100, cached=60, write_5m=10, input_audio=5, input_image=4, output=40, reasoning=30, output_audio=2
)
DONE = b"data: [DONE]\n\n"


def metered(*chunks: bytes, **more: Any) -> tuple[Reading, bool]:
    meter = openai_chat.meter(call(stream=True, **more))
    for part in chunks:
        meter.feed(part)
    return meter.finish(), meter.complete


# --- reading a call ------------------------------------------------------------------------------------


def test_a_call_is_understood() -> None:
    asked = call(
        messages=[
            {"role": "developer", "content": "be brief"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "data:…"}},
                    {"type": "image_url", "image_url": {"url": "data:…"}},
                    {"type": "input_audio", "input_audio": {}},
                    {"type": "file", "file": {}},
                    "odd",
                    {"type": ["odd"]},
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": []},
        ],
        stream=True,
        n=3,
        max_tokens=5,
        max_completion_tokens=7,
        tools=[{}, {}],
        functions=[{}],
        response_format={"type": "json_schema"},
        stream_options={"include_usage": True},
        store=True,
    )
    assert (asked.dialect, asked.kind, asked.model, asked.stream) == ("openai_chat", "chat", "gpt", True)
    assert asked.shape == Shape(
        body_bytes=asked.body.size,
        max_output=7,
        choices=3,
        turns=3,
        tools=3,
        images=2,
        audio=1,
        files=1,
        has_system=True,
        structured=True,
        wants_usage=True,
        wants_store=True,
    )
    assert openai_chat.path(asked, "any") == "/chat/completions"


def test_a_plain_call_has_a_plain_shape() -> None:
    asked = call()
    assert asked.shape == Shape(body_bytes=asked.body.size, turns=1)
    assert not asked.stream


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", 5),
        ("model", ""),
        ("model", None),
        ("stream", "false"),
        ("stream", 1),
        ("max_tokens", -1),
        ("max_tokens", 10**9),
        ("max_tokens", True),
        ("max_tokens", "10"),
        ("max_completion_tokens", 1.5),
        ("n", 0),
        ("n", 129),
        ("messages", "hello"),
        ("messages", []),
        ("messages", None),
        ("messages", ["hello"]),
        ("tools", {}),
        ("stream_options", True),
        ("response_format", "json"),
        ("store", "yes"),
    ],
)
def test_a_wrong_field_is_named_and_its_value_is_not(field: str, value: Any) -> None:
    assert refused(**{field: value}) == field


def test_a_body_must_be_called_json() -> None:
    body = Content(b'{"model":"a","messages":[{}]}')
    with pytest.raises(CallerError) as caught:
        openai_chat.read_call(Envelope(kind=PathKind.CHAT, body=body, content_type="text/plain"))
    assert caught.value.status == 415


def test_only_headers_of_the_allow_list_go_on() -> None:
    headers = {
        "openai-beta": "assistants=v2",
        "openai-organization": "org-1",
        "authorization": "Bearer x",
        "x-stainless-os": "Linux",
        "idempotency-key": "k",
        "traceparent": "00-…",
        "user-agent": "me",
    }
    body = Content(orjson.dumps({"model": "a", "messages": MESSAGES}))
    asked = openai_chat.read_call(Envelope(kind=PathKind.CHAT, body=body, headers=headers))
    assert asked.headers == (("openai-beta", "assistants=v2"),)
    assert asked.query == ()


# --- writing it again -----------------------------------------------------------------------------------


READ = CONTROL_FIELDS | {
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "tools",
    "functions", "store", "response_format",
}  # fmt: skip


@given(
    st.dictionaries(
        st.text(max_size=12).filter(lambda key: key not in READ),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=9),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_unknown_fields_survive_and_the_model_alone_changes(extra: dict[str, Any]) -> None:
    asked = call(**extra)
    assert sent(asked) == {"model": "other", "messages": MESSAGES} | extra
    assert asked.model == "gpt"


def test_what_is_sent_has_one_model() -> None:
    body = b'{"model":"cheap","messages":[{"role":"user"}],"model":"dear"}'
    asked = openai_chat.read_call(Envelope(kind=PathKind.CHAT, body=Content(body)))
    assert asked.model == "dear"
    assert openai_chat.with_model(asked, "routed", False).open(Purpose.SEND).count(b'"model"') == 1


def test_the_parsed_call_is_not_changed_by_writing_it() -> None:
    asked = call(stream=True, stream_options={"include_obfuscation": False})
    first = sent(asked, "a", ask_usage=True)
    assert first["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert sent(asked, "b") == {
        "model": "b",
        "messages": MESSAGES,
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    }


def test_usage_is_asked_for_only_where_it_is_needed() -> None:
    for asked in (call(), call(stream=True, stream_options={"include_usage": True})):
        assert "stream_options" not in sent(call(), ask_usage=True)
        assert openai_chat.filter(asked, True) is None
    for options in (None, {}, {"include_usage": False}, {"include_usage": None}):
        asked = call(stream=True, stream_options=options)
        assert sent(asked, ask_usage=True)["stream_options"] == {"include_usage": True}
        assert openai_chat.filter(asked, True) is not None
        assert openai_chat.filter(asked, False) is None
        assert sent(asked, ask_usage=False)["stream_options"] == options


# --- metering ---------------------------------------------------------------------------------------------


def test_usage_comes_from_the_last_chunk() -> None:
    last = b"data: " + orjson.dumps({"choices": [], "usage": USAGE, "service_tier": "flex"}) + b"\n\n"
    body = chunk(usage=None) * 3 + chunk(None, "stop", usage=None) + last + DONE
    for size in range(1, len(body)):
        meter = openai_chat.meter(call(stream=True))
        for start in range(0, len(body), size):
            meter.feed(body[start : start + size])
        assert meter.complete
        assert meter.finish() == Reading(usage=EXPECTED, source=Source.REPORTED, tier=ServiceTier.FLEX)


def test_usage_in_a_chunk_with_choices_counts() -> None:
    assert metered(chunk(), chunk(None, "stop", usage=USAGE)) == (
        Reading(usage=EXPECTED, source=Source.REPORTED),
        True,
    )


def test_of_two_usages_the_last_counts_and_null_takes_nothing_back() -> None:
    early = {"prompt_tokens": 100, "completion_tokens": 1}
    reading, _ = metered(chunk(usage=early), chunk(usage=USAGE), chunk(usage=None), DONE)
    assert reading.usage == EXPECTED


def test_trap_6_usage_that_groq_sends_twice_in_one_chunk_counts_once() -> None:
    small = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "total_time": 0.01}
    both = chunk(None, "stop", usage=small, x_groq={"id": "req_1", "usage": small})
    only = chunk(None, "stop", x_groq={"id": "req_1", "usage": small})
    first = chunk("", x_groq={"id": "req_1"})
    for last in (both, only):
        assert metered(first, chunk(), last, DONE)[0] == Reading(
            usage=Usage(input=9, output=2), source=Source.REPORTED
        )


def test_trap_7_a_stream_that_just_ends_is_not_complete() -> None:
    assert metered(chunk(), chunk())[1] is False
    assert metered(chunk(), chunk(None, "stop"))[1] is True
    assert metered(chunk(), DONE)[1] is True
    assert metered(chunk(None, "stop"), n=2)[1] is False
    second = b'data: {"choices":[{"index":1,"delta":{},"finish_reason": "length"}]}\n\n'
    assert metered(chunk(None, "stop"), second, n=2)[1] is True
    assert (
        metered(chunk(), b'event: error\ndata: {"error":{"message":"x","status_code":400}}\n\n')[1] is False
    )


def test_a_stream_without_usage_is_estimated() -> None:
    reading, complete = metered(*[chunk(" word")] * 20, DONE)
    assert complete
    assert reading == Reading(usage=Usage(output=20), source=Source.ESTIMATED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt_tokens": -1, "completion_tokens": 1},
        {"prompt_tokens": 1.5, "completion_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": 1},
        {"prompt_tokens": "7", "completion_tokens": 1},
        {"prompt_tokens": 10**18, "completion_tokens": 1},
        {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": -2},
        {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}},
        {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": -2}},
        {"prompt_tokens": 1, "completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": 2}},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        [1],
        "none",
        7,
    ],
)
def test_a_report_that_cannot_be_believed_is_none(wrong: Any) -> None:
    reading, _ = metered(*[chunk(" word")] * 20, chunk(None, "stop", usage=wrong), DONE)
    assert reading == Reading(usage=Usage(output=20), source=Source.ESTIMATED)


def test_reasoning_counted_beside_the_completion_is_output_too() -> None:
    beside = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 35,
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    assert metered(chunk(usage=beside))[0].usage == Usage(input=10, output=25, reasoning=20)


def test_cache_hits_under_their_other_name_count() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 8}
    assert metered(chunk(usage=usage))[0].usage == Usage(input=10, cached=8, output=5)


@pytest.mark.parametrize(
    ("named", "tier"),
    [
        (None, ServiceTier.STANDARD),
        ("default", ServiceTier.STANDARD),
        ("on_demand", ServiceTier.STANDARD),
        ("flex", ServiceTier.FLEX),
        ("priority", ServiceTier.PRIORITY),
        ("something new", ServiceTier.UNKNOWN),
        (7, ServiceTier.UNKNOWN),
    ],
)
def test_the_tier_is_the_answers(named: Any, tier: ServiceTier) -> None:
    assert metered(chunk(usage=USAGE, service_tier=named))[0].tier is tier


def test_a_whole_answer_is_metered() -> None:
    body = {
        "id": "c",
        "choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    meter = openai_chat.meter(call())
    meter.feed(orjson.dumps(body, option=orjson.OPT_INDENT_2))
    assert meter.complete
    assert meter.finish() == Reading(usage=EXPECTED, source=Source.REPORTED)


def test_what_a_model_writes_is_never_its_usage() -> None:
    text = orjson.dumps({"usage": {"prompt_tokens": 1, "completion_tokens": 1}}).decode()
    reading, _ = metered(chunk(text), chunk("usage"), chunk(None, tool={"usage": USAGE}), DONE)
    assert reading.source is Source.ESTIMATED


@pytest.mark.parametrize("odd", [b"[1]", b"7", b'"usage"', b'{"usage":{"a":1},"choices":7}', b"{,}"])
def test_odd_events_are_passed_over(odd: bytes) -> None:
    meter = EventMeter(ChatReader())
    meter.feed(b"data: " + odd + b"\n\n")
    meter.feed(b'data: {"usage":{"a":{}},"choices":[7,{"finish_reason":"stop"}]}\n\n')
    meter.feed(chunk(usage=USAGE))
    assert meter.finish().usage == EXPECTED


def test_usage_in_an_event_too_large_to_hold_is_salvaged() -> None:
    meter = EventMeter(ChatReader(), limit=200)
    meter.feed(chunk("x" * 1000, usage=USAGE))
    assert meter.finish() == Reading(usage=EXPECTED, source=Source.SALVAGED)
    meter.feed(chunk("x" * 1000, usage=None))
    assert meter.finish() == Reading(usage=EXPECTED, source=Source.SALVAGED)


def test_an_event_too_large_without_usage_is_estimated() -> None:
    meter = EventMeter(ChatReader(), limit=200)
    meter.feed(chunk("x" * 1000))
    for _ in range(2):
        reading = meter.finish()
        assert reading.source is Source.ESTIMATED
        assert 227 <= reading.usage.output <= 260
