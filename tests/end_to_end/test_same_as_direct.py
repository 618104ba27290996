"""The same call straight to the provider and through the gateway: the client cannot tell the difference."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.end_to_end.calls import CASES, CHAT, CLAUDE_TOOLS, MESSAGES, RESPONSES, TOOLS, Case
from tests.end_to_end.stand import (
    CLAUDE,
    GEMINI,
    LLAMA,
    OPENAI,
    PROVIDER_KEYS,
    STREAMS,
    Answered,
    Place,
    Stand,
    user,
)
from tests.upstream import Scripted

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_answer_is_the_same_to_the_byte(shared: Stand, case: Case) -> None:
    direct, through = await both(shared, case)
    assert through.status == direct.status == case.status
    assert through.body == direct.body
    assert through.headers["content-type"] == direct.headers["content-type"]
    straight, passed = shared.upstream.requests[-2:]
    assert passed.target == straight.target
    if isinstance(case.body, bytes):
        assert passed.body == straight.body
    else:
        assert exact(passed.json) == exact({**straight.json, **case.changed})


async def both(stand: Stand, case: Case) -> tuple[Answered, Answered]:
    """The call made directly and through the gateway; prefixes and "provider/model" are the gateway's own."""
    path, body = case.path, case.body
    if not isinstance(body, bytes):
        body = {**body, **case.direct}
    if path == "/openai" + CHAT and body["model"] != LLAMA:
        path, body = CHAT, {**body, "model": OPENAI}
    direct = await stand.ask_directly(path.removeprefix("/anthropic"), body, headers=case.headers)
    return direct, await stand.ask(case.path, case.body, headers=case.headers)


def exact(value: Any) -> Any:
    """A JSON tree in which 1, 1.0 and true are three different values, and -0.0 is not 0.0."""
    if isinstance(value, dict):
        return {name: exact(part) for name, part in value.items()}
    if isinstance(value, list):
        return [exact(part) for part in value]
    return value if value is None or isinstance(value, str) else (type(value), repr(value))


# --- what nobody knows yet ------------------------------------------------------------------------

NAMES = st.text(max_size=12).map(lambda text: "x_" + text)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(NAMES, VALUES, max_size=4)
quick = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])

BODIES = {
    CHAT: {"model": OPENAI, "messages": user("x"), "tools": TOOLS},
    RESPONSES: {"model": OPENAI, "input": user("x"), "store": False},
    MESSAGES: {"model": CLAUDE, "max_tokens": 9, "messages": user("x"), "tools": CLAUDE_TOOLS},
    "/openai/v1/chat/completions": {"model": LLAMA, "messages": user("x")},
    f"/v1beta/models/{GEMINI}:generateContent": {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": "x"},
    "/v1/moderations": {"model": "omni-moderation-latest", "input": "x"},
    MESSAGES + "/count_tokens": {"model": CLAUDE, "messages": user("x")},
}


@pytest.mark.parametrize("path", BODIES)
@quick
@given(data=st.data())
async def test_fields_that_nobody_knows_reach_the_provider(shared: Stand, path: str, data: Any) -> None:
    body = grown(BODIES[path], data)
    direct = await shared.ask_directly(path, body)
    through = await shared.ask(path, body)
    assert (through.status, through.body) == (direct.status, direct.body)
    straight, passed = shared.upstream.requests[-2:]
    assert exact(passed.json) == exact(straight.json)
    shared.upstream.requests.clear()


def grown(value: Any, data: Any) -> Any:
    """The tree with unknown fields added to its objects."""
    if isinstance(value, list):
        return [grown(one, data) for one in value]
    if not isinstance(value, dict):
        return value
    return {**{name: grown(part, data) for name, part in value.items()}, **data.draw(FIELDS)}


ENDINGS = st.sampled_from((b"\n", b"\r\n", b"\r"))
CHAT_EVENT = b'{"choices":[{"index":0,"delta":{"content":"\xe2\x80\xa8 usage\\": null"}}],"x_new":[{}]}'
PAYLOADS = st.sampled_from(
    (CHAT_EVENT, b'{"x":"\xc2\x85"}', b'{ "usage" : 7 }', b"not json", b"", b'"usage"')
)
LINES = st.sampled_from((b": ping", b"event: odd", b"id: 7", b"retry: 5", b"data", b"unknown: \xff\xfe"))
ENDS = {
    "chat": b"data: [DONE]",
    "groq": b"data: [DONE]",
    "responses": b'event: response.completed\ndata: {"type":"response.completed","response":{}}',
    "messages": b'event: message_stop\ndata: {"type":"message_stop"}',
    "gemini": b'data: {"candidates":[{"index":0,"finishReason":"STOP"}]}',
}


@pytest.mark.parametrize("place", STREAMS, ids=lambda place: place.name)
@quick
@given(data=st.data())
async def test_a_stream_arrives_as_it_was_sent_wherever_it_was_cut(
    shared: Stand, place: Place, data: Any
) -> None:
    stream = b"".join(
        data.draw(LINES) + line_end + b"data: " + data.draw(PAYLOADS) + line_end + line_end
        for line_end in data.draw(st.lists(ENDINGS, max_size=5))
    )
    stream += ENDS[place.name] + b"\n\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    chunks = [stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    shared.upstream.script(
        Scripted(200, [("content-type", "text/event-stream")], [chunk for chunk in chunks if chunk])
    )
    answer = await shared.ask(place.path, place.body("x"))
    assert (answer.status, answer.body) == (200, stream)


@quick
@given(body=st.binary(min_size=1, max_size=300), cut=st.integers(0, 300))
async def test_a_whole_answer_arrives_as_it_was_sent_even_if_it_is_no_json(
    shared: Stand, body: bytes, cut: int
) -> None:
    chunks = [chunk for chunk in (body[:cut], body[cut:]) if chunk]
    shared.upstream.script(Scripted(200, [("content-type", "application/json")], chunks))
    answer = await shared.ask(CHAT, BODIES[CHAT])
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/messages", f"/v1/models/{GEMINI}:generateContent"]
)
async def test_what_a_caller_sends_along_for_others_does_not_reach_the_provider(
    shared: Stand, path: str
) -> None:
    headers = {
        "cookie": "canary=1", "x-forwarded-for": "192.0.2.1", "traceparent": "00-canary", "referer": "canary",
        "x-gateway-feature": "canary", "x-stainless-os": "canary", "user-agent": "canary", "origin": "canary",
        "x-gateway-session": "canary", "openai-organization": "canary", "idempotency-key": "canary",
    }  # fmt: skip
    await shared.ask(path, BODIES.get(path) or {"contents": [{"parts": [{"text": "x"}]}]}, headers=headers)
    request = shared.upstream.last
    assert "canary" not in str(request.headers)
    assert shared.key not in str(request.headers) + request.target
    assert any(key in str(request.headers) for key in PROVIDER_KEYS.values())


async def test_every_call_was_recorded_once_and_holds_nothing(shared: Stand) -> None:
    last = await shared.ask(CHAT, BODIES[CHAT])
    await shared.record_of(last.headers["x-gateway-request-id"])
    records = await shared.gateway.records()
    assert len({record.id for record in records}) == len(records)
    assert shared.held == (0, 0)
    assert {record.outcome for record in records} <= {"ok", "upstream_error"}
    assert all(record.cost_nanos is not None for record in records if record.priced)
