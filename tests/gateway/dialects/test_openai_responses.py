"""Responses: stateless unless asked otherwise, metered at the final event."""

from typing import Any

import orjson
import pytest

from gateway.content import Content, Purpose
from gateway.contracts import Call, Envelope, Shape
from gateway.dialects import openai_responses
from gateway.dialects.openai_responses import ResponseReader
from gateway.errors import CallerError
from gateway.records import PathKind
from gateway.stream.tap import BodyMeter, EventMeter
from gateway.usage import Reading, ServiceTier, Source, Usage


def call(**more: Any) -> Call:
    body = orjson.dumps({"model": "gpt", "input": "hello"} | more)
    return openai_responses.read_call(Envelope(kind=PathKind.RESPONSES, body=Content(body)))


def sent(asked: Call) -> dict[str, Any]:
    tree: dict[str, Any] = orjson.loads(openai_responses.with_model(asked, "other", True).open(Purpose.SEND))
    return tree


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {
        "cached_tokens": 40,
        "cache_write_tokens": 30,
        "cache_write_tokens_details": {"ttl_30m_tokens": 10, "ttl_12h_tokens": 20},
    },
    "output_tokens": 50,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 150,
}
EXPECTED = Usage(input=100, cached=40, write_5m=10, write_1h=20, output=50, reasoning=20)


def response(status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"id": "r", "object": "response", "status": status, "usage": USAGE, "output": []} | more


# --- reading and writing -------------------------------------------------------------------------------


def test_a_call_is_understood() -> None:
    asked = call(
        instructions="be brief",
        input=[
            {"role": "user", "content": [{"type": "input_image"}, {"type": "input_text"}, "odd"]},
            {"type": "function_call_output", "output": [{"type": "input_file"}, {"type": "input_image"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_audio"}]},
            "odd",
        ],
        max_output_tokens=9,
        tools=[{}],
        stream=True,
        text={"format": {"type": "json_schema"}},
        store=True,
    )
    assert (asked.dialect, asked.kind, asked.model, asked.stream) == (
        "openai_responses",
        PathKind.RESPONSES,
        "gpt",
        True,
    )
    assert asked.shape == Shape(
        body_bytes=asked.body.size,
        max_output=9,
        turns=4,
        tools=1,
        tool_results=1,
        images=2,
        audio=1,
        files=1,
        has_system=True,
        structured=True,
        wants_store=True,
    )
    assert openai_responses.path(asked, "any") == "/responses"
    assert openai_responses.filter(asked, True) is None


def test_a_plain_call_has_a_plain_shape() -> None:
    assert call().shape == Shape(body_bytes=call().body.size, turns=1)
    assert call(input=[{"role": "developer", "content": "x"}]).shape.has_system


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", None),
        ("model", 3),
        ("background", True),
        ("background", "yes"),
        ("stream", "true"),
        ("store", 1),
        ("max_output_tokens", 0),
        ("input", 5),
        ("input", {}),
        ("text", []),
        ("tools", "all"),
    ],
)
def test_a_wrong_field_is_named_and_its_value_is_not(field: str, value: Any) -> None:
    with pytest.raises(CallerError) as caught:
        call(**{field: value})
    assert (caught.value.code, caught.value.about) == ("bad_request", field)


def test_a_stored_template_without_a_model_is_refused() -> None:
    body = Content(b'{"prompt":{"id":"pmpt_1"}}')
    with pytest.raises(CallerError) as caught:
        openai_responses.read_call(Envelope(kind=PathKind.RESPONSES, body=body))
    assert caught.value.about == "model"


@pytest.mark.parametrize("store", [{}, {"store": None}, {"store": False}])
def test_the_provider_stores_nothing_unless_told_to(store: dict[str, Any]) -> None:
    asked = call(previous_response_id="r0", conversation="c", **store)
    assert sent(asked)["store"] is False
    assert sent(asked)["previous_response_id"] == "r0"
    assert sent(asked)["conversation"] == "c"
    assert not asked.shape.wants_store


def test_a_call_may_say_that_it_is_to_be_stored() -> None:
    asked = call(store=True)
    assert asked.shape.wants_store
    assert sent(asked) == {"model": "other", "input": "hello", "store": True}


# --- metering --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["completed", "incomplete", "failed"])
def test_usage_comes_with_the_final_event(kind: str) -> None:
    body = (
        event("response.created", response=response("in_progress", usage=None))
        + event("response.output_text.delta", delta="hello", sequence_number=1)
        + event("response.unknown.kind", anything={"usage": USAGE})
        + event(f"response.{kind}", response=response(kind, service_tier="priority"))
    )
    for size in range(1, len(body)):
        meter = openai_responses.meter(call(stream=True))
        for start in range(0, len(body), size):
            meter.feed(body[start : start + size])
        assert meter.complete
        assert meter.finish() == Reading(usage=EXPECTED, source=Source.REPORTED, tier=ServiceTier.PRIORITY)


def test_trap_7_a_stream_that_just_ends_is_not_complete_and_estimated() -> None:
    meter = openai_responses.meter(call(stream=True))
    for _ in range(12):
        meter.feed(event("response.output_text.delta", delta=" word"))
    meter.feed(event("response.output_text.done", text=" word" * 12))
    assert not meter.complete
    assert meter.finish() == Reading(usage=Usage(output=12), source=Source.ESTIMATED)


def test_a_whole_answer_is_metered() -> None:
    meter = openai_responses.meter(call())
    meter.feed(orjson.dumps(response(), option=orjson.OPT_INDENT_2))
    assert meter.complete
    assert meter.finish() == Reading(usage=EXPECTED, source=Source.REPORTED)


def test_a_whole_answer_without_usage_is_estimated_from_its_text() -> None:
    meter = openai_responses.meter(call())
    text = "some words " * 40
    meter.feed(orjson.dumps(response(usage=None, output=[{"content": [{"text": text}]}])))
    assert meter.finish() == Reading(usage=Usage(output=100), source=Source.ESTIMATED)


def test_uses_of_the_providers_tools_are_counted() -> None:
    output = [
        {"type": "web_search_call", "action": {"type": "search"}},
        {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "web_search_call"},
        {"type": "file_search_call"},
        {"type": "message"},
        "odd",
    ]
    meter = EventMeter(ResponseReader(True))
    meter.feed(event("response.completed", response=response(output=output)))
    usage = meter.finish().usage
    assert (usage.searches, usage.tool_units, usage.input) == (2, 1, 100)


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_tokens": -1},
        {"input_tokens": 1, "output_tokens": 1.5},
        {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 5}},
        {"input_tokens": 9, "input_tokens_details": {"cache_write_tokens": "x"}},
        {
            "input_tokens": 9,
            "input_tokens_details": {
                "cache_write_tokens": 1,
                "cache_write_tokens_details": {"ttl_12h_tokens": 2},
            },
        },
        [],
        7,
        None,
    ],
)
def test_a_report_that_cannot_be_believed_is_none(wrong: Any) -> None:
    meter = EventMeter(ResponseReader(True))
    meter.feed(event("response.output_text.delta", delta="a"))
    meter.feed(event("response.completed", response=response(usage=wrong)))
    assert meter.finish() == Reading(usage=Usage(output=1), source=Source.ESTIMATED)
    assert meter.complete


def test_what_a_model_writes_is_never_its_usage() -> None:
    meter = EventMeter(ResponseReader(True))
    meter.feed(event("response.output_text.delta", delta="response.completed", response=response()))
    meter.feed(b'data: ["response.completed"]\n\n')
    meter.feed(b"data: response\n\n")
    assert meter.finish().source is Source.ESTIMATED
    assert not meter.complete


@pytest.mark.parametrize(
    ("tier", "read"),
    [({"service_tier": "flex"}, ServiceTier.FLEX), ({"service_tier": None}, ServiceTier.STANDARD)],
)
def test_a_final_event_too_large_to_hold_is_salvaged(tier: dict[str, Any], read: ServiceTier) -> None:
    large = response(output=[{"text": "x" * 5000}]) | tier
    large["usage"] = large.pop("usage")
    for option in (0, orjson.OPT_APPEND_NEWLINE):
        data = orjson.dumps({"type": "response.completed", "response": large}, option=option)
        meter = EventMeter(ResponseReader(True), limit=1000)
        meter.feed(
            event("response.output_item.done", item={"text": "x" * 2000, "usage": {"input_tokens": 7}})
        )
        assert meter.finish().source is Source.ESTIMATED
        assert not meter.complete
        meter.feed(b"event: response.completed\ndata: " + data.strip() + b"\n\n")
        assert meter.finish() == Reading(usage=EXPECTED, source=Source.SALVAGED, tier=read)
        assert meter.finish().source is Source.SALVAGED
        assert meter.complete


@pytest.mark.parametrize(
    ("asked", "tier"),
    [(None, ServiceTier.STANDARD), ("auto", ServiceTier.STANDARD), ("flex", ServiceTier.FLEX)],
)
def test_a_large_final_event_that_does_not_show_its_tier_has_the_one_asked_for(
    asked: str | None, tier: ServiceTier
) -> None:
    meter = openai_responses.meter(call(stream=True, service_tier=asked))
    large = {"output": [{"text": "x" * 300_000}], "usage": USAGE}
    meter.feed(event("response.completed", response=large))
    assert meter.finish() == Reading(usage=EXPECTED, source=Source.SALVAGED, tier=tier)


def test_a_large_whole_answer_is_salvaged() -> None:
    tree = {"output": [{"text": "x" * 9000}], "service_tier": "default", "usage": USAGE}
    meter = BodyMeter(ResponseReader(False), limit=5000)
    meter.feed(orjson.dumps(tree))
    assert meter.complete
    assert meter.finish() == Reading(usage=EXPECTED, source=Source.SALVAGED)
    none = BodyMeter(ResponseReader(False), limit=5000)
    none.feed(orjson.dumps(tree | {"usage": None}))
    assert none.finish().source is Source.ESTIMATED
