"""A look at the beginning of an answer: preambles, content, errors with status 200; cut anywhere."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import Content
from gateway.contracts import Call
from gateway.dialects.first_events import MARKS, Finding, peek
from gateway.names import Slug
from gateway.records import PathKind

KINDS = {
    "openai_chat": PathKind.CHAT,
    "openai_responses": PathKind.RESPONSES,
    "anthropic_messages": PathKind.MESSAGES,
    "gemini_generate": PathKind.GENERATE,
}


def call(dialect: str, stream: bool = True, query: tuple[tuple[str, str], ...] = (("alt", "sse"),)) -> Call:
    return Call(
        dialect=Slug(dialect), kind=KINDS.get(dialect, PathKind.SPEECH), model="m", stream=stream,
        body=Content(b"{}"), query=query,
    )  # fmt: skip


def sse(tree: Any, name: str | None = None) -> bytes:
    data = tree if isinstance(tree, bytes) else orjson.dumps(tree)
    return (b"event: " + name.encode() + b"\n" if name else b"") + b"data: " + data + b"\n\n"


def chunk(**delta: Any) -> dict[str, Any]:
    return {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }


ROLE = sse(chunk(role="assistant", content=""))
NULL = sse(chunk(role="assistant", content=None, refusal=None))
STARTED = sse(
    {"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 3}}}, "message_start"
)
PING = sse({"type": "ping"}, "ping")
BLOCK = sse(
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    "content_block_start",
)
CREATED = sse(
    {"type": "response.created", "response": {"status": "in_progress", "error": None}}, "response.created"
)
WORKING = sse(
    {"type": "response.in_progress", "response": {"status": "in_progress", "error": None}},
    "response.in_progress",
)
ITEM = sse({"type": "response.output_item.added", "item": {"type": "message", "content": []}})

PREAMBLES = {
    "openai_chat": [
        ROLE,
        NULL,
        b": ping\n\n",
        sse(b"[DONE]"),
        sse({"choices": [], "usage": {"total_tokens": 3}}),
    ],
    "openai_responses": [CREATED, WORKING, ITEM, sse({"type": "response.queued", "response": {}})],
    "anthropic_messages": [STARTED, PING, BLOCK, sse({"type": "message_stop"})],
    "gemini_generate": [
        sse({"candidates": [{"content": {"parts": [{"text": ""}]}}], "usageMetadata": {}}),
        sse({"usageMetadata": {"promptTokenCount": 3}}),
    ],
}
CONTENTS = {
    "openai_chat": [
        sse(chunk(content="H")),
        sse(chunk(reasoning_content="hm")),
        sse(chunk(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": ""}}])),
        sse({"object": "something new"}),
    ],
    "openai_responses": [
        sse({"type": "response.output_text.delta", "delta": "H"}),
        sse({"type": "response.function_call_arguments.delta", "delta": ""}),
        sse({"type": "response.output_item.added", "item": {"type": "function_call"}}),
        sse({"type": "something.new"}),
    ],
    "anthropic_messages": [
        sse({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "H"}}),
        sse({"type": "content_block_start", "content_block": {"type": "tool_use", "name": "f"}}),
        sse({"type": "something_new"}),
    ],
    "gemini_generate": [
        sse({"candidates": [{"content": {"parts": [{"text": "H"}]}}]}),
        sse({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]}),
    ],
}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
ERRORS = {
    "openai_chat": [
        (sse({"error": {"message": "x", "type": "server_error"}}), 500),
        (sse({"error": {"message": "x", "code": 502}}), 502),
        (sse({"error": {"message": "x", "code": "context_length_exceeded"}}), 400),
        (sse({"error": {"message": "x", "type": "rate_limit_exceeded"}}), 429),
        (sse({"error": "it broke"}), 500),
        (sse(b"not json", "error"), 500),
    ],
    "openai_responses": [
        (
            sse(
                {
                    "type": "response.failed",
                    "response": {"status": "failed", "error": {"code": "server_error"}},
                }
            ),
            500,
        ),
        (sse({"type": "error", "code": "rate_limit_exceeded", "message": "x"}, "error"), 429),
    ],
    "anthropic_messages": [
        (sse(OVERLOADED, "error"), 529),
        (sse({"type": "error", "error": {"type": "api_error"}}, "error"), 500),
    ],
    "gemini_generate": [
        (sse({"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}), 503),
        (sse({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}), 429),
    ],
}


def look(dialect: str, *events: bytes) -> list[Finding]:
    one = peek(call(dialect))
    assert one is not None
    return [one.feed(event) for event in events]


@pytest.mark.parametrize("dialect", MARKS)
def test_a_preamble_is_no_content(dialect: str) -> None:
    assert set(look(dialect, *PREAMBLES[dialect])) == {Finding.NOTHING}


@pytest.mark.parametrize("dialect", MARKS)
def test_content_is_known_at_once(dialect: str) -> None:
    for event in CONTENTS[dialect]:
        assert look(dialect, *PREAMBLES[dialect], event)[-1] is Finding.CONTENT, event


@pytest.mark.parametrize("dialect", MARKS)
def test_an_error_is_found_behind_any_preamble(dialect: str) -> None:
    for event, status in ERRORS[dialect]:
        for before in ([], PREAMBLES[dialect]):
            one = peek(call(dialect))
            assert one is not None
            assert [one.feed(part) for part in (*before, event)][-1] is Finding.ERROR, event
            assert one.status == status, event
            assert orjson.loads(one.error)["error"] is not None


@pytest.mark.parametrize("dialect", MARKS)
def test_what_comes_first_decides(dialect: str) -> None:
    content, (error, _) = CONTENTS[dialect][0], ERRORS[dialect][0]
    assert look(dialect, content + error) == [Finding.CONTENT]
    assert look(dialect, error + content) == [Finding.ERROR]


def test_words_of_a_model_are_no_marks() -> None:
    said = sse(chunk(content='{"error":{"code":429}} "tool_calls":[{'))
    assert look("openai_chat", said) == [Finding.CONTENT]
    quoted = sse(chunk(role='"content":"x"', content=""))
    assert look("openai_chat", quoted) == [Finding.NOTHING]


@given(dialect=st.sampled_from(sorted(MARKS)), data=st.data())
def test_it_does_not_matter_where_the_bytes_are_cut(dialect: str, data: st.DataObject) -> None:
    last = data.draw(st.sampled_from([CONTENTS[dialect][0], ERRORS[dialect][0][0]]))
    body = b"".join(PREAMBLES[dialect]) + last
    cuts = sorted(data.draw(st.sets(st.integers(1, len(body) - 1), max_size=12)))
    parts = [body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    findings = look(dialect, *parts)
    expected = Finding.CONTENT if last is CONTENTS[dialect][0] else Finding.ERROR
    first = next((one for one in findings if one is not Finding.NOTHING), None)
    assert first is expected


def test_a_stream_that_is_a_json_array_is_looked_at_too() -> None:
    plain = call("gemini_generate", query=())
    for element, expected in (
        ({"error": {"code": 503}}, Finding.ERROR),
        ({"candidates": [{"content": {"parts": [{"text": "H"}]}}]}, Finding.CONTENT),
        ({"usageMetadata": {}}, Finding.NOTHING),
    ):
        one = peek(plain)
        assert one is not None
        assert one.feed(b"[" + orjson.dumps(element) + b",") is expected


def test_a_whole_answer_is_judged_by_the_same_marks() -> None:
    for body, expected in (
        (b'{"error":{"message":"x","type":"server_error"}}', Finding.ERROR),
        (b'{"choices":[{"message":{"content":""}}]}', Finding.NOTHING),
        (b'{"choices":[{"message":{"content":"H"}}]}', Finding.CONTENT),
        (b"<html>", Finding.CONTENT),
    ):
        one = peek(call("openai_chat", stream=False))
        assert one is not None
        assert one.feed(body) is Finding.NOTHING
        assert one.whole(body) is expected


def test_an_answer_that_should_be_a_stream_and_is_none_is_left_to_its_end() -> None:
    one = peek(call("openai_chat"))
    assert one is not None
    assert one.feed(b'{"error":{"message":"x"}}') is Finding.NOTHING
    assert not one.in_events
    assert one.whole(b'{"error":{"message":"x"}}') is Finding.ERROR


def test_a_refusal_by_policy_is_told_from_emptiness() -> None:
    one = peek(call("gemini_generate"))
    assert one is not None
    assert one.feed(sse({"promptFeedback": {"blockReason": "SAFETY"}})) is Finding.NOTHING
    assert one.refused


def test_other_dialects_are_not_judged() -> None:
    assert peek(call("openai_speech")) is None
