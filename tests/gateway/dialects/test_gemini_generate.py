"""Gemini's API: requests, usage, errors, embeddings, counts."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.genai import errors
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import Content, Purpose
from gateway.contracts import Call, Dialect, Envelope, Shape
from gateway.dialects import DIALECTS, gemini_count, gemini_embed, gemini_generate, gemini_wire
from gateway.dialects.gemini_usage import AnswerReader, EmbeddingReader
from gateway.errors import CODES, PUBLIC, CallerError, GatewayError
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stream.json_array import Elements
from gateway.stream.json_body import CONTROL_FIELDS
from gateway.stream.tap import BodyMeter, EventMeter
from gateway.usage import Reading, ServiceTier, Source, Usage

WIRE = Path(__file__).parents[2] / "data" / "wire"
EVENTS = (WIRE / "gemini_stream.sse").read_bytes()
ARRAY = (WIRE / "gemini_stream.json").read_bytes()
WHOLE = (WIRE / "gemini_whole.json").read_bytes()
BLOCKED = (WIRE / "gemini_blocked.json").read_bytes()
EMBEDDINGS = (WIRE / "gemini_embeddings.json").read_bytes()

SSE = (("alt", "sse"),)

LAST = Usage(
    input=440, cached=100, input_audio=30, cached_audio=10, input_image=20,
    output=487, reasoning=447, output_audio=5,
)  # fmt: skip

REQUEST: dict[str, Any] = {
    "contents": [
        {"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "image/png", "data": ""}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f"}, "thoughtSignature": "c2ln"}]},
        {"role": "user", "parts": {"fileData": {"mimeType": "video/mp4"}}},
        {"role": "user", "parts": [{"inline_data": {"mime_type": "audio/wav"}}, 5, {"file_data": {}}]},
        "odd",
    ],
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}, {"googleSearch": {}}],
    "generationConfig": {"maxOutputTokens": 50, "candidateCount": 2, "thinkingConfig": {"thinkingBudget": 9}},
    "safetySettings": [],
    "labels": {"a": "b"},
}

KEYS = st.text(min_size=1, max_size=8).filter(lambda name: name not in {*REQUEST, *CONTROL_FIELDS, "model"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def envelope(body: Any, verb: str = "generateContent", **given: Any) -> Envelope:
    fields = {"path_model": "gemini-test-3", "version": "v1beta", **given}
    return Envelope(kind=PathKind.GENERATE, verb=verb, body=Content(orjson.dumps(body)), **fields)


def call(verb: str = "streamGenerateContent", query: tuple[tuple[str, str], ...] = ()) -> Call:
    return gemini_generate.read_call(envelope({}, verb, query=query))


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


def metered(asked: Call, body: bytes, size: int) -> Reading:
    meter = gemini_generate.meter(asked)
    for piece in pieces(body, size):
        meter.feed(piece)
    assert meter.complete
    return meter.finish()


# --- requests ----------------------------------------------------------------------------------------


def test_the_modules_are_the_dialects_of_their_names() -> None:
    dialects: list[Dialect] = [gemini_generate, gemini_embed, gemini_count]
    for dialect in dialects:
        assert DIALECTS[dialect.NAME] is dialect
        assert dialect.FAMILY == "gemini"


def test_a_request_is_read_into_numbers() -> None:
    read = gemini_generate.read_call(envelope(REQUEST))
    assert (read.model, read.stream, read.kind) == ("gemini-test-3", False, PathKind.GENERATE)
    assert replace(read.shape, body_bytes=0) == Shape(
        max_output=50, choices=2, turns=5, tools=3, images=1, audio=1, files=2, has_system=True
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Shape()),
        ({"contents": {"parts": [{"text": "x"}]}}, Shape(turns=1)),
        (
            {"generation_config": {"max_output_tokens": "70", "candidate_count": 3}},
            Shape(max_output=70, choices=3),
        ),
        ({"generationConfig": {"responseMimeType": "application/json"}}, Shape(structured=True)),
        ({"generationConfig": {"response_schema": {"type": "STRING"}}}, Shape(structured=True)),
        ({"generationConfig": []}, Shape()),
        ({"tools": {"function_declarations": [{}]}}, Shape(tools=1)),
        ({"tools": ["odd"], "system_instruction": "x"}, Shape(tools=1, has_system=True)),
    ],
)
def test_both_spellings_of_a_field_are_read(fields: dict[str, Any], expected: Shape) -> None:
    assert replace(gemini_generate.read_call(envelope(fields)).shape, body_bytes=0) == expected


@pytest.mark.parametrize(
    ("config", "about"),
    [
        ({"maxOutputTokens": 0}, "maxOutputTokens"),
        ({"maxOutputTokens": "9" * 10}, "maxOutputTokens"),
        ({"max_output_tokens": 1.5}, "maxOutputTokens"),
        ({"maxOutputTokens": 5, "max_output_tokens": 9}, "maxOutputTokens"),
        ({"candidateCount": True}, "candidateCount"),
        ({"candidateCount": 129}, "candidateCount"),
    ],
)
def test_a_bound_that_is_not_certain_is_refused(config: dict[str, Any], about: str) -> None:
    with pytest.raises(CallerError) as caught:
        gemini_generate.read_call(envelope({"generationConfig": config}))
    assert (caught.value.code, caught.value.about) == ("bad_request", about)


@pytest.mark.parametrize("dialect", [gemini_generate, gemini_embed, gemini_count])
def test_each_dialect_refuses_other_verbs_bodies_and_models(dialect: Any) -> None:
    verb = dialect.VERBS[0]
    for wrong in (
        envelope({}, "deleteEverything"),
        envelope([], verb),
        envelope({}, verb, path_model=None),
        envelope({}, verb, path_model="a\nb"),
        envelope({}, verb, content_type="text/plain"),
    ):
        with pytest.raises(CallerError):
            dialect.read_call(wrong)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini-x", "/v1/models/gemini-x:generateContent"),
        ("models/gemini-x", "/v1/models/gemini-x:generateContent"),
        ("tunedModels/mine", "/v1/tunedModels/mine:generateContent"),
        ("../../v1/files", "/v1/models/..%2F..%2Fv1%2Ffiles:generateContent"),
        ("tunedModels/../x?key=1#", "/v1/tunedModels/..%2Fx%3Fkey%3D1%23:generateContent"),
    ],
)
def test_a_models_name_cannot_leave_its_place_in_the_path(model: str, expected: str) -> None:
    asked = gemini_generate.read_call(envelope({}, version="v1"))
    assert gemini_generate.path(asked, model) == expected


def test_a_stream_keeps_its_form_and_nothing_else_of_the_query() -> None:
    asked = call(query=(("key", "secret"), ("alt", "sse"), ("alt", "json")))
    assert asked.query == SSE
    assert gemini_generate.path(asked, "m") == "/v1beta/models/m:streamGenerateContent?alt=sse"
    assert gemini_generate.path(call(), "m") == "/v1beta/models/m:streamGenerateContent"
    assert gemini_generate.path(replace(call(), version=""), "m").startswith("/v1beta/")


@given(st.dictionaries(KEYS, JSON, max_size=4))
def test_unknown_fields_survive_and_the_body_stays_as_it_was(extra: dict[str, Any]) -> None:
    sent = {**REQUEST, **extra}
    for dialect, verb in ((gemini_generate, "generateContent"), (gemini_count, "countTokens")):
        written = dialect.with_model(dialect.read_call(envelope(sent, verb)), "gemini-b", True)
        assert orjson.loads(written.open(Purpose.SEND)) == sent
    assert gemini_generate.filter(call(), True) is None


def test_a_model_inside_a_body_is_replaced_wherever_it_stands() -> None:
    batch = {"requests": [{"model": "models/a", "content": {}, "x": 1}, {"content": {}}], "model": "models/a"}
    read = gemini_embed.read_call(envelope(batch, "batchEmbedContents"))
    assert (read.kind, read.shape.inputs, read.stream) == (PathKind.EMBEDDINGS, 2, False)
    assert orjson.loads(gemini_embed.with_model(read, "b", False).open(Purpose.SEND)) == {
        "requests": [{"model": "models/b", "content": {}, "x": 1}, {"content": {}}],
        "model": "models/b",
    }
    one = gemini_embed.read_call(envelope({"model": "models/a", "content": {}}, "embedContent"))
    assert one.shape.inputs == 1
    assert orjson.loads(gemini_embed.with_model(one, "tunedModels/c", False).open(Purpose.SEND)) == {
        "model": "tunedModels/c",
        "content": {},
    }
    inner = {"generateContentRequest": {"model": "models/a", "contents": [{"parts": []}]}}
    counted = gemini_count.read_call(envelope(inner, "countTokens"))
    assert counted.shape.turns == 1
    assert orjson.loads(gemini_count.with_model(counted, "b", False).open(Purpose.SEND)) == {
        "generateContentRequest": {"model": "models/b", "contents": [{"parts": []}]}
    }


def test_a_batch_of_no_objects_is_refused() -> None:
    for wrong in ({"requests": 5}, {"requests": [1]}):
        with pytest.raises(CallerError):
            gemini_embed.read_call(envelope(wrong, "batchEmbedContents"))
    empty = gemini_embed.read_call(envelope({}, "batchEmbedContents"))
    assert orjson.loads(gemini_embed.with_model(empty, "m", False).open(Purpose.SEND)) == {}


# --- usage -------------------------------------------------------------------------------------------


def test_trap_5_the_last_report_counts_whole_wherever_the_stream_is_cut() -> None:
    expected = Reading(usage=LAST, source=Source.REPORTED, tier=ServiceTier.FLEX)
    for asked, body in (
        (call(query=SSE), EVENTS),
        (call(query=SSE), EVENTS.replace(b"\r\n", b"\n")),
        (call(), ARRAY),
        (call("generateContent"), WHOLE),
    ):
        for size in [*range(1, 70), 333, len(body)]:
            assert metered(asked, body, size) == expected


def test_a_stream_cut_at_any_byte_is_an_estimate_until_its_end_was_seen() -> None:
    for asked, body in ((call(query=SSE), EVENTS), (call(), ARRAY)):
        for length in range(0, len(body), 3):
            meter = gemini_generate.meter(asked)
            meter.feed(body[:length])
            reading = meter.finish()
            assert (reading.source is Source.REPORTED) == meter.complete
            if b'"totalTokenCount"' in body[: max(0, length - 400)]:
                assert reading.usage.input >= 8


def test_before_the_end_the_text_that_passed_is_the_least_output() -> None:
    meter = gemini_generate.meter(call(query=SSE))
    for _ in range(40):
        meter.feed(
            b'data: {"candidates":[{"content":{"parts":[{"text": "hello world"}]}}],'
            b'"usageMetadata":{"promptTokenCount":8}}\r\n\r\n'
        )
    reading = meter.finish()
    assert (reading.source, reading.usage.input) == (Source.ESTIMATED, 8)
    assert 80 < reading.usage.output < 120


def test_a_refused_prompt_is_a_complete_answer() -> None:
    expected = Reading(usage=Usage(input=9), source=Source.REPORTED)
    assert metered(call("generateContent"), BLOCKED, 7) == expected
    one_line = b"data: " + orjson.dumps(orjson.loads(BLOCKED)) + b"\r\n\r\n"
    assert metered(call(query=SSE), one_line, 7) == expected
    assert metered(call(), b"[" + BLOCKED + b"]", 7) == expected


def answer(**fields: Any) -> Reading | None:
    reader = AnswerReader(stream=False)
    reader.read(None, {"usageMetadata": {"promptTokenCount": 4}, **fields})
    return reader.reading(0)


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        (None, ServiceTier.STANDARD),
        ("STANDARD", ServiceTier.STANDARD),
        ("SERVICE_TIER_UNSPECIFIED", ServiceTier.STANDARD),
        ("Priority", ServiceTier.PRIORITY),
        ("batch", ServiceTier.BATCH),
        ("gold", ServiceTier.UNKNOWN),
        ({}, ServiceTier.UNKNOWN),
    ],
)
def test_the_service_tier_is_read_in_all_its_spellings(said: Any, tier: ServiceTier) -> None:
    reading = answer(usageMetadata={"promptTokenCount": 4, "serviceTier": said})
    assert reading is not None
    assert reading.tier is tier


@pytest.mark.parametrize(("version", "searches"), [("gemini-3-pro", 3), ("gemini-2.5-pro", 1), (None, 3)])
def test_searches_are_counted_as_the_model_is_billed(version: str | None, searches: int) -> None:
    grounding = {"groundingMetadata": {"webSearchQueries": ["a", "b", "c"]}}
    reading = answer(modelVersion=version, candidates=[grounding, 5, {"groundingMetadata": {}}])
    assert reading is not None
    assert reading.usage.searches == searches


def test_image_tokens_have_their_own_count() -> None:
    details = [{"modality": "IMAGE", "tokenCount": 1290}, {"modality": "TEXT", "tokenCount": 3}, 5]
    reading = answer(usageMetadata={"candidatesTokenCount": 1293, "candidatesTokensDetails": details})
    assert reading is not None
    assert (reading.usage.output, reading.usage.output_image) == (1293, 1290)


@pytest.mark.parametrize(
    "usage",
    [
        {"promptTokenCount": -1},
        {"promptTokenCount": "8"},
        {"promptTokenCount": 1, "cachedContentTokenCount": 2},
        {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 0.5}]},
    ],
)
def test_unbelievable_numbers_are_no_reading(usage: dict[str, Any]) -> None:
    assert answer(usageMetadata=usage) is None


@pytest.mark.parametrize("tree", [None, 5, "x", [], {}, {"candidates": 5}, {"usageMetadata": []}])
def test_odd_trees_are_passed_over(tree: Any) -> None:
    reader = AnswerReader(stream=True)
    reader.read(None, tree)
    assert reader.reading(0) is None
    assert not reader.complete
    assert not reader.close(b"[DONE]")


@given(st.binary(max_size=300))
def test_garbage_never_raises(garbage: bytes) -> None:
    for asked in (call(), call(query=SSE), call("generateContent")):
        meter = gemini_generate.meter(asked)
        meter.feed(b'[{"usageMetadata":' if asked.stream and not asked.query else b'data: {"usageMetadata":')
        meter.feed(garbage)
        meter.finish()


def test_a_large_chunk_is_salvaged_from_its_end() -> None:
    parts = [{"inlineData": {"data": "A" * 9000}}]
    image = orjson.dumps({
        "candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1290},
        "modelVersion": "gemini-2.5-flash-image",
    })  # fmt: skip
    expected = Reading(usage=Usage(input=3, output=1290), source=Source.SALVAGED)
    for meter, body in (
        (EventMeter(AnswerReader(stream=True), limit=2000), b"data: " + image + b"\r\n\r\n"),
        (EventMeter(AnswerReader(stream=True), cutter=Elements(2000)), b"[" + image + b"\n]"),
        (BodyMeter(AnswerReader(stream=False), limit=2000), image),
    ):
        for piece in pieces(body, 500):
            meter.feed(piece)
        assert meter.finish() == expected
        assert meter.finish() == expected
        assert meter.complete


def test_a_large_chunk_in_the_middle_does_not_outweigh_the_last_one() -> None:
    big = {"candidates": [{"content": "A" * 9000}], "usageMetadata": {"promptTokenCount": 3}}
    last = {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 4}}
    meter = EventMeter(AnswerReader(stream=True), limit=2000)
    meter.feed(b"data: " + orjson.dumps(big) + b"\r\n\r\n")
    assert meter.finish() == Reading(usage=Usage(input=3), source=Source.ESTIMATED)
    meter.feed(b"data: " + orjson.dumps(last) + b"\r\n\r\n")
    assert meter.finish() == Reading(usage=Usage(input=4), source=Source.REPORTED)


def test_a_large_chunk_without_usage_tells_nothing() -> None:
    meter = EventMeter(AnswerReader(stream=True), limit=2000)
    meter.feed(b'data: {"x":"' + b"A" * 9000 + b'"}\r\n\r\n')
    assert meter.finish().source is Source.ESTIMATED


# --- embeddings and counts ---------------------------------------------------------------------------


def test_embeddings_report_their_input_or_say_that_they_do_not() -> None:
    read = gemini_embed.read_call(envelope({}, "embedContent"))
    meter = gemini_embed.meter(read)
    for piece in pieces(EMBEDDINGS, 9):
        meter.feed(piece)
    assert meter.complete
    assert meter.finish() == Reading(usage=Usage(input=11), source=Source.REPORTED)
    silent = gemini_embed.meter(read)
    silent.feed(b'{"embedding":{"values":[0.5]}}')
    assert silent.finish() == Reading(source=Source.ESTIMATED)
    assert EmbeddingReader().complete
    assert not EmbeddingReader().close(b"")


@pytest.mark.parametrize("first", [True, False])
def test_large_embeddings_are_salvaged_from_either_end(first: bool) -> None:
    parts = ['"usageMetadata":{"promptTokenCount":7}', '"embeddings":[' + "0.25," * 9000 + "1]"]
    body = ("{" + ",".join(parts if first else parts[::-1]) + "}").encode()
    meter = BodyMeter(EmbeddingReader(), limit=5000)
    for piece in pieces(body, 3000):
        meter.feed(piece)
    assert meter.finish() == Reading(usage=Usage(input=7), source=Source.SALVAGED)


def test_counting_costs_nothing() -> None:
    read = gemini_count.read_call(envelope({"contents": [{"parts": []}]}, "countTokens"))
    assert (read.kind, read.shape.max_output, read.shape.turns) == (PathKind.COUNT, None, 1)
    meter = gemini_count.meter(read)
    meter.feed(b'{"totalTokens": 31}')
    assert meter.complete
    assert meter.finish() == Reading(source=Source.REPORTED)


# --- errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(CODES))
def test_each_error_is_understood_by_googles_own_library(code: str) -> None:
    error = GatewayError(code, after_s=7.2)
    body = json.loads(gemini_generate.error_body(error, Slug("req-1")))
    with pytest.raises(errors.APIError) as caught:
        errors.APIError.raise_error(error.status, body, None)
    assert (caught.value.code, caught.value.message) == (error.status, error.message)
    assert caught.value.status == gemini_wire.STATUS_NAMES.get(
        error.status, "INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT"
    )
    info, request, retry = body["error"]["details"]
    assert (info["reason"], request["requestId"], retry["retryDelay"]) == (
        PUBLIC.get(code, code),
        "req-1",
        "7s",
    )


def test_an_error_in_a_stream_has_the_streams_form() -> None:
    error = GatewayError("upstream_cut")
    event = gemini_generate.error_event(error, Slug("r"), call(query=SSE))
    assert event.startswith(b'data: {"error":')
    assert event.endswith(b"}\r\n\r\n")
    array = b"[" + WHOLE + gemini_generate.error_event(error, Slug("r"), call())
    assert json.loads(array)[1]["error"]["code"] == 502
    assert gemini_generate.error_event(error, Slug("r"), call("generateContent")) == b""
