"""Twelve traps that break naive gateways, each driven through a running one."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.records import Outcome, Record
from gateway.usage import Source
from tests.end_to_end.stand import (
    CLAUDE,
    GEMINI,
    LLAMA,
    OPENAI,
    STREAMS,
    Answered,
    Place,
    Stand,
    connected,
    key_field,
    user,
)
from tests.upstream import Scripted

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = [("content-type", "text/event-stream")]
JSON = [("content-type", "application/json")]
MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"


async def recorded(stand: Stand, answer: Answered) -> Record:
    """The record of a call."""
    return await stand.record_of(answer.headers["x-gateway-request-id"])


def events(*trees: Any, end: bytes = b"") -> bytes:
    """A stream of events; an event is named after its "type" where it has one."""
    parts = []
    for tree in trees:
        name = f"event: {tree['type']}\n" if "type" in tree else ""
        parts.append(f"{name}data: {json.dumps(tree, ensure_ascii=False)}\n\n".encode())
    return b"".join(parts) + end


# 1 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
@pytest.mark.parametrize("bearer", [True, False])
async def test_trap_1_both_versions_of_anthropics_api_and_both_forms_of_its_key(
    shared: Stand, version: str, bearer: bool
) -> None:
    key = {"authorization": f"Bearer {shared.key}"} if bearer else {"x-api-key": shared.key}
    body = {"model": CLAUDE, "max_tokens": 9, "messages": [*user("x"), {"role": "system", "content": "y"}]}
    async with shared.session.post(
        shared.gateway.url + MESSAGES, json=body, headers={**key, "anthropic-version": version}
    ) as response:
        assert response.status == 200
    sent = shared.upstream.last
    assert sent.header("anthropic-version") == version
    assert (sent.header("x-api-key") is None) is (version == "2026-10-21")
    assert (sent.header("authorization") is None) is (version == "2023-06-01")
    assert sent.json == body
    async with shared.session.get(
        shared.gateway.url + "/v1/models", headers={**key, "anthropic-version": version}
    ) as response:
        assert (await response.json())["has_more"] is False


# 2 ---------------------------------------------------------------------------------------------------


async def test_trap_2_one_path_of_models_for_three_families(shared: Stand) -> None:
    async def listed(headers: dict[str, str], query: str = "", path: str = "/v1/models") -> Any:
        async with shared.session.get(shared.gateway.url + path + query, headers=headers) as response:
            assert response.status == 200
            return await response.json()

    bearer = {"authorization": f"Bearer {shared.key}"}
    assert (await listed(bearer))["object"] == "list"
    assert "first_id" in await listed({**bearer, "anthropic-version": "2026-10-21"})
    for gemini in (
        await listed({"x-goog-api-key": shared.key}),
        await listed({}, f"?key={shared.key}"),
        await listed(bearer, path="/v1beta/models"),
    ):
        assert gemini["models"][0]["name"].startswith("models/")
    body = {"contents": [{"parts": [{"text": "x"}]}]}
    for version in ("v1", "v1beta"):
        answer = await shared.ask(f"/{version}/models/{GEMINI}:generateContent?key={shared.key}", body)
        assert answer.status == 200
        assert shared.upstream.last.target == f"/{version}/models/{GEMINI}:generateContent"


# 3 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_trap_3_what_anthropic_leaves_out_of_its_usage_is_counted(shared: Stand, stream: bool) -> None:
    body = {"model": CLAUDE, "max_tokens": 99, "stream": stream}
    body["messages"] = user("x echo:input=181,output=7,aside=55196")
    answer = await shared.ask(MESSAGES, body)
    record = await recorded(shared, answer)
    assert (record.tokens_input, record.tokens_output) == (181 + 55_196, 7 + 1)
    assert record.cost_nanos == (181 + 55_196) * 2_000 + 8 * 10_000


async def test_trap_3_an_iteration_is_priced_at_its_own_model(shared: Stand) -> None:
    side = {"type": "advisor_message", "model": "claude-haiku-4-5", "input_tokens": 1000, "output_tokens": 10}
    main = {"type": "message", "input_tokens": 5, "output_tokens": 3}
    message = {
        "type": "message", "role": "assistant", "model": CLAUDE, "content": [], "stop_reason": "end_turn",
        "usage": {"input_tokens": 5, "output_tokens": 3, "iterations": [side, main]},
    }  # fmt: skip
    shared.upstream.script(Scripted(200, JSON, [json.dumps(message).encode()]))
    answer = await shared.ask(MESSAGES, {"model": CLAUDE, "max_tokens": 9, "messages": user("x")})
    record = await recorded(shared, answer)
    assert (record.tokens_input, record.tokens_output) == (1005, 13)
    assert record.cost_nanos == 5 * 2_000 + 3 * 10_000 + 1000 * 1_000 + 10 * 5_000


# 4 ---------------------------------------------------------------------------------------------------


async def test_trap_4_the_usage_at_the_end_overrides_the_one_at_the_start_downwards_too(
    shared: Stand,
) -> None:
    start = {"input_tokens": 702, "cache_read_input_tokens": 55_096, "cache_creation_input_tokens": 0}
    stream = events(
        {"type": "message_start", "message": {"model": CLAUDE, "usage": {**start, "output_tokens": 1}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
         "usage": {"input_tokens": 1591, "cache_read_input_tokens": 0, "output_tokens": 20}},
        {"type": "message_stop"},
    )  # fmt: skip
    shared.upstream.script(Scripted(200, EVENTS, [stream]))
    answer = await shared.ask(MESSAGES, STREAMS[2].body("x"))
    assert answer.body == stream
    record = await recorded(shared, answer)
    assert (record.tokens_input, record.tokens_cached, record.tokens_output) == (1591, 0, 20)
    assert record.cost_nanos == 1591 * 2_000 + 20 * 10_000


# 5 ---------------------------------------------------------------------------------------------------


async def test_trap_5_geminis_last_usage_counts_neither_the_sum_nor_the_largest(shared: Stand) -> None:
    counts: list[dict[str, int]] = [
        {"promptTokenCount": 8, "thoughtsTokenCount": 419},
        {"promptTokenCount": 900, "candidatesTokenCount": 90},
        {"promptTokenCount": 8, "candidatesTokenCount": 3, "thoughtsTokenCount": 28},
        {"promptTokenCount": 427, "candidatesTokenCount": 5, "thoughtsTokenCount": 447},
    ]
    chunks: list[dict[str, Any]] = [
        {"candidates": [{"index": 0, "content": {"parts": [{"text": "a"}]}}], "usageMetadata": count}
        for count in counts
    ]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    for stream, path, headers in (
        (events(*chunks), STREAMS[3].path, EVENTS),
        (json.dumps(chunks).encode(), STREAMS[3].path.removesuffix("?alt=sse"), JSON),
    ):
        shared.upstream.script(Scripted(200, headers, [stream]))
        answer = await shared.ask(path, STREAMS[3].body("x"))
        assert answer.body == stream
        record = await recorded(shared, answer)
        assert (record.tokens_input, record.tokens_output, record.tokens_reasoning) == (427, 452, 447)


# 6 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [("x_groq", "usage"), ("x_groq",)], ids=["twice", "once"])
async def test_trap_6_groqs_usage_counts_once_wherever_it_stands(
    shared: Stand, places: tuple[str, ...]
) -> None:
    usage = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}
    last: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    last["x_groq"] = {"id": "req_1", "usage": usage}
    if "usage" in places:
        last["usage"] = usage
    first = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]}
    stream = events(first, last, end=b"data: [DONE]\n\n")
    shared.upstream.script(Scripted(200, EVENTS, [stream]))
    answer = await shared.ask(STREAMS[4].path, STREAMS[4].body("x"))
    assert answer.body == stream
    assert "stream_options" not in shared.upstream.last.json
    record = await recorded(shared, answer)
    assert (record.tokens_input, record.tokens_output) == (30, 12)
    assert record.cost_nanos == 30 * 590 + 12 * 790


# 7 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", STREAMS, ids=lambda place: place.name)
async def test_trap_7_a_stream_that_just_ends_is_told_from_a_whole_one(shared: Stand, place: Place) -> None:
    async with connected(shared, place.path, place.body("one two three four echo:end=4")) as client:
        assert await client.read_head() == 200
        await client.read_all()
    assert client.ended == "broken"
    assert b"upstream_failed" in client.body
    assert place.done not in client.body
    record = await shared.record_of(client.id)
    assert (record.outcome, record.error_code) == (Outcome.UPSTREAM_ERROR, "upstream_cut")
    assert record.usage_source is Source.ESTIMATED
    assert record.tokens_output > 0 or place.name == "responses"


# 8 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut_at", range(4))
async def test_trap_8_line_separators_inside_a_text_do_not_end_a_line(shared: Stand, cut_at: int) -> None:
    text = "a\u2028b\u2029c\u0085d\u000be\x1cf"
    usage = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}
    stream = events(
        {"choices": [{"index": 0, "delta": {"content": text.replace("\x0b", "").replace("\x1c", "")}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "note": "\u2028", "usage": None},
        {"choices": [], "note": "\u0085\u2029", "usage": usage},
        end=b"data: [DONE]\n\n",
    )
    middle = stream.index(b"\xe2\x80\xa8") + cut_at
    shared.upstream.script(Scripted(200, EVENTS, [stream[:middle], 0.005, stream[middle:]]))
    asked = {**STREAMS[0].body("x"), "stream_options": {"include_usage": True}}
    answer = await shared.ask(CHAT, asked)
    assert answer.body == stream
    assert (await recorded(shared, answer)).tokens_output == 12
    shared.upstream.script(Scripted(200, EVENTS, [stream[:middle], 0.005, stream[middle:]]))
    answer = await shared.ask(CHAT, STREAMS[0].body("x"))  # now the gateway's own usage is taken out again
    kept = answer.body.decode().split("\n\n")
    assert [json.loads(event.removeprefix("data: ")) for event in kept[:2]] == [
        {"choices": [{"index": 0, "delta": {"content": "a\u2028b\u2029c\u0085def"}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "note": "\u2028"},
    ]
    assert kept[2:] == ["data: [DONE]", ""]
    assert (await recorded(shared, answer)).tokens_output == 12


# 9 ---------------------------------------------------------------------------------------------------


async def test_trap_9_two_user_agents_are_accepted_as_providers_do(shared: Stand) -> None:
    path = f"/v1beta/models/{GEMINI}:generateContent"
    body = json.dumps({"contents": [{"parts": [{"text": "two agents"}]}]}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", shared.gateway.port)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nuser-agent: pydantic-ai/2\r\nx-goog-api-key: {shared.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nUser-Agent: genai/2\r\n\r\n"
    )
    for _ in range(2):  # the connection stays usable
        writer.write(head.encode() + body)
        answered = await reader.readuntil(b"\r\n\r\n")
        assert answered.startswith(b"HTTP/1.1 200 ")
        length = int(answered.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert b"two agents" in await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    assert "genai" not in str(shared.upstream.last.headers)


# 10 --------------------------------------------------------------------------------------------------


async def test_trap_10_a_body_above_a_mebibyte_passes(shared: Stand) -> None:
    picture = "A" * 6_000_000
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}
    body = {"model": OPENAI, "messages": [{"role": "user", "content": [part]}], "max_tokens": 5}
    assert (await shared.ask(CHAT, body)).status == 200
    assert shared.upstream.last.json == body


async def test_trap_10_more_than_a_hundred_calls_are_open_at_a_provider(shared: Stand) -> None:
    before = len(shared.upstream.requests)
    body = {"model": OPENAI, "messages": user("x echo:first=0.3")}

    async def one() -> int:
        return (await shared.ask(CHAT, body)).status

    calls = asyncio.gather(*(one() for _ in range(95)), *(many(shared, body) for _ in range(60)))
    await shared.upstream.until(before + 155)  # nobody waits for anybody else's connection
    assert set(await calls) == {200}


async def many(stand: Stand, body: Any) -> int:
    """A call on a connection of its own: the session's own pool has a hundred."""
    async with connected(stand, CHAT, body) as client:
        return await client.read_head()


async def test_trap_10_only_encodings_that_can_be_read_are_asked_for(shared: Stand) -> None:
    headers = {"accept-encoding": "gzip, deflate, br, zstd"}
    answer = await shared.ask(CHAT, {"model": OPENAI, "messages": user("x")}, headers=headers)
    assert "content-encoding" not in answer.headers
    assert shared.upstream.last.header("accept-encoding") == "identity"


async def test_trap_10_long_header_fields_are_passed_or_refused_never_cut(shared: Stand) -> None:
    body = {"model": CLAUDE, "max_tokens": 9, "messages": user("x")}
    beta = ",".join(f"feature-{number}-2026-01-01" for number in range(300))[:8000]
    answer = await shared.ask(MESSAGES, body, headers={"anthropic-beta": beta})
    assert answer.status == 200
    assert shared.upstream.last.header("anthropic-beta") == beta
    assert (await shared.ask(MESSAGES, body, headers={"anthropic-beta": beta * 2})).status == 431


# 11 --------------------------------------------------------------------------------------------------


async def test_trap_11_claude_codes_first_steps(shared: Stand) -> None:
    async with shared.session.head(shared.gateway.url + "/") as response:
        assert response.status == 200
    body = {**STREAMS[2].body("y" * 115_000 + " echo:end=3"), "metadata": {"user_id": "{}"}}
    body["tools"] = [{"name": f"tool_{number}", "input_schema": {"type": "object"}} for number in range(30)]
    async with connected(shared, MESSAGES + "?beta=true", body) as client:
        assert await client.read_head() == 200
        await client.read_all()
    assert b"upstream_failed" in client.body
    again = await shared.ask(MESSAGES + "?beta=true", {**body, "stream": False})  # as it does then
    assert again.status == 200
    assert shared.upstream.last.target == MESSAGES + "?beta=true"
    first, second = await shared.record_of(client.id), await recorded(shared, again)
    assert (first.outcome, second.outcome) == (Outcome.UPSTREAM_ERROR, Outcome.OK)
    assert (first.stream, second.stream) == (True, False)
    assert (first.cost_nanos or 0) > 0


# 12 --------------------------------------------------------------------------------------------------


async def test_trap_12_identifiers_of_users_are_stored_nowhere(shared: Stand) -> None:
    who = "canary-of-a-user"
    named = {"user": who, "safety_identifier": who, "prompt_cache_key": who, "metadata": {"user_id": who}}
    named |= {"client_metadata": {"x": who}, "labels": {"team": who}}
    headers = {
        "user-agent": who, "x-forwarded-for": who, "anthropic-user-profile-id": who, "session-id": who,
        "anthropic-workspace-id": who, "x-claude-code-session-id": who, "x-codex-turn-metadata": who,
        "x-codex-installation-id": who, "thread-id": who, "x-gemini-api-privileged-user-id": who,
        "x-stainless-arch": who, "cookie": who, "referer": who, "idempotency-key": who,
    }  # fmt: skip
    bodies: dict[str, Any] = {
        CHAT: {"model": OPENAI, "messages": [{"role": "user", "name": who, "content": who}]},
        "/v1/responses": {"model": OPENAI, "input": user(who)},
        MESSAGES: {"model": CLAUDE, "max_tokens": 9, "messages": user(who)},
        f"/v1beta/models/{GEMINI}:generateContent": {"contents": [{"parts": [{"text": who}]}]},
        "/openai/v1/chat/completions": {"model": LLAMA, "messages": user(who)},
    }
    for orders in ("", " echo:status=400", " echo:status=401"):
        for path, plain in bodies.items():
            body = json.loads(json.dumps({**plain, **named}).replace(f'"{who}"}}]', f'"{who}{orders}"}}]'))
            answer = await shared.ask(path, body, headers=headers)
            assert answer.status == (502 if "401" in orders else 400 if orders else 200)
            await recorded(shared, answer)
            assert who not in str(shared.upstream.last.headers)
            for query in (f"?key={shared.key}&user={who}", f"?trace={who}"):
                key = {} if "key=" in query else key_field(path, shared.key)
                url = shared.gateway.url + path + query
                async with shared.session.post(url, json=body, headers=key) as response:
                    await response.read()
                assert who not in shared.upstream.last.target
    assert files_with(shared.gateway.folder, who) == []


def files_with(folder: Path, text: str) -> list[Path]:
    """Files below the folder that have the text in them."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert files
    return [file for file in files if text.encode() in file.read_bytes()]
