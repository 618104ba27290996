"""Anthropic's Messages API: requests, usage, errors."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Dialect, Envelope, Shape
from gateway.dialects import DIALECTS, anthropic_count, anthropic_messages
from gateway.dialects.anthropic_usage import MessageReader
from gateway.errors import CODES, PUBLIC, CallerError, GatewayError
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stream.json_body import CONTROL_FIELDS
from gateway.stream.tap import BodyMeter, EventMeter
from gateway.usage import NOTHING, Aside, Reading, ServiceTier, Source, Usage

WIRE = Path(__file__).parents[2] / "data" / "wire"
STREAM = (WIRE / "anthropic_stream.sse").read_bytes()
SEARCH = (WIRE / "anthropic_search.sse").read_bytes()
COMPACTION = (WIRE / "anthropic_compaction.json").read_bytes()

REQUEST: dict[str, Any] = {
    "model": "claude-test-5",
    "max_tokens": 100,
    "stream": True,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "metadata": {"user_id": "u"},
    "tools": [{"name": "look", "input_schema": {}}, {"type": "web_search_20990101", "name": "web_search"}],
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "…", "signature": "c2ln"}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image"}, "odd"]},
                {"type": "tool_result", "tool_use_id": "t", "content": "text"},
                {"type": "document"},
                {"type": "image"},
                "odd",
            ],
        },
    ],
}

KEYS = st.text(min_size=1, max_size=8).filter(lambda name: name not in {*REQUEST, *CONTROL_FIELDS})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e9, 1e9) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def envelope(body: Any, **given: Any) -> Envelope:
    return Envelope(kind=PathKind.MESSAGES, body=Content(json.dumps(body).encode()), **given)


def call(stream: bool = True) -> Call:
    return Call(
        dialect=anthropic_messages.NAME,
        kind=PathKind.MESSAGES,
        model="asked",
        stream=stream,
        body=Content(b""),
    )


def metered(body: bytes, size: int, stream: bool = True) -> Reading:
    meter = anthropic_messages.meter(call(stream))
    for start in range(0, len(body), size):
        meter.feed(body[start : start + size])
    assert meter.complete
    return meter.finish()


# --- requests ----------------------------------------------------------------------------------------


def test_the_module_is_the_dialect_of_its_name() -> None:
    dialect: Dialect = anthropic_messages
    assert DIALECTS[dialect.NAME] is anthropic_messages
    assert DIALECTS[anthropic_count.NAME] is anthropic_count


def test_a_request_is_read_into_numbers() -> None:
    read = anthropic_messages.read_call(envelope(REQUEST))
    assert (read.model, read.stream, read.kind) == ("claude-test-5", True, PathKind.MESSAGES)
    assert replace(read.shape, body_bytes=0) == Shape(
        max_output=100, turns=3, tools=2, tool_results=2, images=2, files=1, has_system=True
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"output_config": {"format": {"type": "json_schema"}}}, Shape(structured=True)),
        ({"output_config": {"effort": "low"}}, Shape()),
        ({"messages": [{"role": "system", "content": "x"}]}, Shape(turns=1, has_system=True)),
        ({"messages": [1, None, {"content": 5}]}, Shape(turns=3)),
        ({"max_tokens": 0}, Shape(max_output=0)),
        ({"system": "x"}, Shape(has_system=True)),
    ],
)
def test_the_shape_follows_the_fields(fields: dict[str, Any], expected: Shape) -> None:
    shape = anthropic_messages.read_call(envelope({"model": "m", **fields})).shape
    assert replace(shape, body_bytes=0) == expected


@pytest.mark.parametrize(
    ("fields", "about"),
    [
        ({"model": 5}, "model"),
        ({"max_tokens": "100"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 10**12}, "max_tokens"),
        ({"messages": "x"}, "messages"),
        ({"tools": {}}, "tools"),
        ({"stream": 1}, "stream"),
        ({"output_config": []}, "output_config"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(fields: dict[str, Any], about: str) -> None:
    with pytest.raises(CallerError) as caught:
        anthropic_messages.read_call(envelope({"model": "m", **fields}))
    assert (caught.value.code, caught.value.about) == ("bad_request", about)


def test_a_body_of_another_type_is_refused() -> None:
    for read in (anthropic_messages.read_call, anthropic_count.read_call):
        with pytest.raises(CallerError, match="unsupported_media_type"):
            read(envelope(REQUEST, content_type="text/plain"))


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
def test_trap_1_the_version_and_the_betas_go_on_unchanged_and_nothing_else_does(version: str) -> None:
    headers = {
        "anthropic-version": version,
        "anthropic-beta": "context-1m,tools-2",
        "anthropic-dangerous-direct-browser-access": "true",
        "anthropic-user-profile-id": "u",
        "x-api-key": "k",
        "authorization": "Bearer k",
        "x-stainless-lang": "python",
    }
    read = anthropic_messages.read_call(envelope(REQUEST, headers=headers))
    assert read.headers == (("anthropic-version", version), ("anthropic-beta", "context-1m,tools-2"))


def test_the_query_of_coding_agents_is_kept_and_no_other() -> None:
    query = (("beta", "true"), ("key", "k"), ("beta", "x&y=1"))
    read = anthropic_messages.read_call(envelope(REQUEST, query=query))
    assert anthropic_messages.path(read, "m") == "/v1/messages?beta=true"
    assert anthropic_count.path(replace(read, query=()), "m") == "/v1/messages/count_tokens"


@given(st.dictionaries(KEYS, JSON, max_size=4))
def test_unknown_fields_survive_and_the_model_alone_changes(extra: dict[str, Any]) -> None:
    sent = {**REQUEST, **extra}
    for dialect in (anthropic_messages, anthropic_count):
        read = dialect.read_call(Envelope(kind=PathKind.MESSAGES, body=Content(orjson.dumps(sent))))
        written = dialect.with_model(read, "claude-other", True).open(Purpose.SEND)
        assert json.loads(written) == json.loads(orjson.dumps({**sent, "model": "claude-other"}))
    assert dialect.filter(read, True) is None
    assert isinstance(read.body, Document)
    assert read.body.open(Purpose.READ)["model"] == "claude-test-5"


# --- usage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_usage_of_a_stream_is_the_same_wherever_it_is_cut(end: bytes) -> None:
    body = STREAM.replace(b"\n", end)
    for size in [*range(1, 80), 333, 1024, len(body)]:
        assert metered(body, size) == Reading(
            usage=Usage(input=1320, cached=1000, write_5m=100, write_1h=200, output=77, reasoning=12),
            source=Source.REPORTED,
        )


def test_trap_4_a_delta_overrides_the_start_field_by_field_also_downwards() -> None:
    for size in (1, 17, len(SEARCH)):
        assert metered(SEARCH, size) == Reading(
            usage=Usage(input=1591, output=64, searches=2), source=Source.REPORTED
        )


def test_trap_3_iterations_beside_the_message_are_kept_with_their_own_model() -> None:
    for size in (1, 100, len(COMPACTION)):
        assert metered(COMPACTION, size, stream=False) == Reading(
            usage=Usage(input=181, output=9),
            source=Source.REPORTED,
            tier=ServiceTier.PRIORITY,
            asides=(
                Aside(model="claude-test-5", usage=Usage(input=55196, output=400)),
                Aside(model="claude-wise-5", usage=Usage(input=57, cached=7, output=60)),
            ),
            regional=True,
            fast=True,
        )


def test_a_stream_cut_at_any_byte_is_estimated_and_never_incomplete_without_saying_so() -> None:
    for length in range(len(STREAM)):
        meter = anthropic_messages.meter(call())
        meter.feed(STREAM[:length])
        reading = meter.finish()
        if not meter.complete:
            assert reading.source in (Source.NONE, Source.ESTIMATED) or length > STREAM.index(
                b"message_delta"
            )
    cut = anthropic_messages.meter(call())
    cut.feed(STREAM[: STREAM.index(b"event: message_delta")])
    reading = cut.finish()
    assert reading.source is Source.ESTIMATED
    assert reading.usage.input == 1320
    assert 10 < reading.usage.output < 40
    assert not cut.complete


def read(fields: dict[str, Any], kind: str = "message", seen: int = 0) -> Reading | None:
    reader = MessageReader("asked")
    reader.read(
        None, {"type": kind, "usage": fields} if kind == "message" else {"type": kind, "message": fields}
    )
    return reader.reading(seen)


def test_the_split_of_written_tokens_follows_their_sum() -> None:
    split = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}
    for total, expected in ((None, (10, 20)), (30, (10, 20)), (50, (30, 20)), (15, (0, 15)), (0, (0, 0))):
        reading = read({"cache_creation": split, "cache_creation_input_tokens": total})
        assert reading is not None
        assert (reading.usage.write_5m, reading.usage.write_1h) == expected
        assert reading.usage.input == sum(expected)


def test_a_fallback_models_tokens_are_billed_once() -> None:
    declined = {"type": "message", "input_tokens": 10, "output_tokens": 1}
    served = {"type": "fallback_message", "model": "b", "input_tokens": 12, "output_tokens": 30}
    aside = (Aside(model="b", usage=Usage(input=12, output=30)),)
    for totals, own in (((22, 31), (10, 1)), ((10, 1), (10, 1)), ((12, 30), (0, 0)), ((5, 5), (5, 5))):
        reading = read(
            {"input_tokens": totals[0], "output_tokens": totals[1], "iterations": [declined, served]}
        )
        assert reading is not None
        assert (reading.usage.input, reading.usage.output) == own
        assert reading.asides == aside


@pytest.mark.parametrize(
    ("fields", "tier", "regional", "fast"),
    [
        ({}, ServiceTier.STANDARD, False, False),
        ({"service_tier": "batch", "inference_geo": "global"}, ServiceTier.BATCH, False, False),
        ({"service_tier": "gold", "speed": "standard"}, ServiceTier.UNKNOWN, False, False),
        ({"service_tier": ["x"], "inference_geo": "eu", "speed": "fast"}, ServiceTier.UNKNOWN, True, True),
        ({"inference_geo": 7}, ServiceTier.STANDARD, False, False),
    ],
)
def test_what_changes_the_price_is_read(
    fields: dict[str, Any], tier: ServiceTier, regional: bool, fast: bool
) -> None:
    reading = read({"output_tokens": 1, **fields})
    assert reading is not None
    assert (reading.tier, reading.regional, reading.fast) == (tier, regional, fast)


def test_tools_without_a_known_price_are_counted_as_units() -> None:
    tools = {"web_search_requests": 1, "web_fetch_requests": 5, "moon_requests": 3}
    reading = read({"output_tokens": 1, "server_tool_use": tools})
    assert reading is not None
    assert (reading.usage.searches, reading.usage.tool_units) == (1, 3)


@pytest.mark.parametrize(
    "fields",
    [
        {"input_tokens": -1},
        {"output_tokens": 1.5},
        {"output_tokens": True},
        {"cache_read_input_tokens": 10**15},
        {"iterations": [{"type": "compaction", "input_tokens": "9"}]},
        {},
    ],
)
def test_unbelievable_numbers_are_no_reading(fields: dict[str, Any]) -> None:
    assert read(fields) is None


@pytest.mark.parametrize("tree", [None, 5, "x", [], [1], {}, {"type": "message_start"}, {"type": ["x"]}])
def test_odd_trees_are_passed_over(tree: Any) -> None:
    reader = MessageReader("asked")
    reader.read(b"x", tree)
    assert reader.reading(0) is None
    assert not reader.complete
    assert not reader.close(b"[DONE]")


def test_the_estimate_is_never_below_what_the_start_said() -> None:
    start = {"model": 5, "usage": {"input_tokens": 3, "output_tokens": 8}}
    low, high = read(start, "message_start", seen=2), read(start, "message_start", seen=20)
    assert low is not None
    assert high is not None
    assert (low.usage.output, high.usage.output, low.source) == (8, 20, Source.ESTIMATED)


def test_a_message_too_large_to_hold_is_salvaged_from_its_end() -> None:
    usage = {
        "input_tokens": 5,
        "output_tokens": 900,
        "iterations": [{"type": "compaction", "input_tokens": 2}],
    }
    body = orjson.dumps(
        {
            "model": "claude-x",
            "type": "message",
            "content": [{"type": "text", "text": "y" * 5000}],
            "usage": usage,
        }
    )
    meter = BodyMeter(MessageReader("asked"), limit=4000)
    for start in range(0, len(body), 700):
        meter.feed(body[start : start + 700])
    assert meter.complete
    reading = meter.finish()
    assert reading.source is Source.SALVAGED
    assert reading.usage == Usage(input=5, output=900)
    assert reading.asides == (Aside(model="claude-x", usage=Usage(input=2)),)
    assert meter.finish() == reading


def test_a_large_event_with_a_tools_own_words_is_not_taken_for_usage() -> None:
    big = b'event: content_block_start\ndata: {"x":"' + b"y" * 900 + b'","usage":{"output_tokens":5}}\n\n'
    meter = EventMeter(MessageReader("asked"), limit=500)
    meter.feed(big)
    assert meter.finish().source is Source.ESTIMATED
    meter.feed(big.replace(b"content_block_start", b"message_delta").replace(b'"output', b'"out'))
    assert meter.finish().source is Source.ESTIMATED
    meter.feed(big.replace(b"content_block_start", b"message_delta"))
    assert meter.finish() == Reading(usage=Usage(output=5), source=Source.SALVAGED)


@given(st.binary(max_size=300), st.booleans())
def test_garbage_never_raises(garbage: bytes, stream: bool) -> None:
    for dialect in (anthropic_messages, anthropic_count):
        meter = dialect.meter(call(stream))
        meter.feed(garbage)
        meter.feed(b'data: {"type":"message_start","message":' + garbage)
        meter.finish()


# --- counting ----------------------------------------------------------------------------------------


def test_counting_is_understood_without_a_bound_and_costs_nothing() -> None:
    counted = {name: value for name, value in REQUEST.items() if name not in ("max_tokens", "stream")}
    read = anthropic_count.read_call(envelope(counted, query=(("beta", "true"),)))
    assert (read.kind, read.stream, read.shape.turns) == (PathKind.COUNT, False, 3)
    assert anthropic_count.path(read, "m") == "/v1/messages/count_tokens?beta=true"
    meter = anthropic_count.meter(read)
    meter.feed(b'{"input_tok')
    assert not meter.complete
    meter.feed(b'ens": 2095}')
    assert meter.complete
    assert meter.finish() == Reading(usage=NOTHING, source=Source.REPORTED)
    assert anthropic_count.error_event(GatewayError("bug"), Slug("r"), read) == b""


def test_a_count_too_large_to_hold_costs_nothing_either() -> None:
    meter = BodyMeter(anthropic_count.CountReader(), limit=100)
    meter.feed(b"x" * 5000)
    assert meter.finish() == Reading(source=Source.REPORTED)
    assert anthropic_count.CountReader().complete
    assert not anthropic_count.CountReader().close(b"")


# --- errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(CODES))
def test_each_error_is_understood_by_anthropics_own_library(code: str) -> None:
    error = GatewayError(code)
    answer = httpx.Response(
        error.status,
        content=anthropic_messages.error_body(error, Slug("req-1")),
        headers={"content-type": "application/json"},
        request=httpx.Request("POST", "http://gateway"),
    )
    with anthropic.Anthropic(api_key="x") as client:
        raised = client._make_status_error_from_response(answer)
    assert raised.status_code == error.status
    assert raised.error_code == PUBLIC.get(code, code)
    assert isinstance(raised.body, dict)
    assert raised.body["request_id"] == "req-1"
    assert raised.body["error"]["message"] == error.message
    expected = anthropic_messages.TYPES.get(
        error.status, "api_error" if error.status >= 500 else "invalid_request_error"
    )
    assert raised.body["error"]["type"] == expected


def test_an_error_in_a_stream_is_an_event_and_in_a_whole_answer_nothing() -> None:
    error = GatewayError("upstream_cut")
    event = anthropic_messages.error_event(error, Slug("req-1"), call())
    assert event.startswith(b"event: error\ndata: {")
    assert event.endswith(b"}\n\n")
    assert anthropic_messages.error_event(error, Slug("req-1"), call(stream=False)) == b""
