"""Anthropic's own library through the gateway, in both versions of its API."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
import pytest
import pytest_asyncio

from tests.end_to_end.calls import CLAUDE_PICTURE, CLAUDE_TOOLS, SCHEMA
from tests.end_to_end.stand import CLAUDE, PROVIDER_KEYS, Stand, drain, user

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = 'Hällo, wörld! Line\u2028separator, \u2029, \u0085 and "quotes". 😀'
OLD = {"anthropic-version": "2023-06-01"}


def client_of(stand: Stand, key: str | None = None, **more: Any) -> anthropic.AsyncAnthropic:
    options = {"max_retries": 0, **more}
    return anthropic.AsyncAnthropic(base_url=stand.gateway.url, api_key=key or stand.key, **options)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared: Stand) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with client_of(shared) as one:
        yield one


def said(message: Any) -> str:
    """The text of an answer."""
    return "".join(block.text for block in message.content if block.type == "text")


async def test_messages_answer_whole_and_in_a_stream(client: anthropic.AsyncAnthropic) -> None:
    whole = await client.messages.create(model=CLAUDE, max_tokens=99, system="Be kind.", messages=user(TEXT))
    assert said(whole) == TEXT
    async with client.messages.stream(model=CLAUDE, max_tokens=99, messages=user(TEXT)) as stream:
        pieces = [piece async for piece in stream.text_stream]
        final = await stream.get_final_message()
    assert "".join(pieces) == said(final) == TEXT
    assert final.usage.output_tokens == -(-len(TEXT.encode()) // 4)


async def test_thinking_and_caching_are_told_and_recorded(
    client: anthropic.AsyncAnthropic, shared: Stand
) -> None:
    orders = "echo:reasoning=9,cached=50,write_5m=20,write_1h=10"
    raw = await client.messages.with_raw_response.create(
        model=CLAUDE, max_tokens=2000, messages=user(f"x {orders}"),
        thinking={"type": "enabled", "budget_tokens": 1024},
    )  # fmt: skip
    message = await raw.parse()
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message._request_id is not None
    assert message._request_id.startswith("req_echo")
    record = await shared.record_of(raw.headers["x-gateway-request-id"])
    assert (record.tokens_cached, record.tokens_cache_write_5m, record.tokens_cache_write_1h) == (50, 20, 10)
    usage = message.usage
    assert record.tokens_input == usage.input_tokens + 80
    assert record.tokens_output == usage.output_tokens


async def test_tools_are_called_side_by_side(client: anthropic.AsyncAnthropic) -> None:
    tools: Any = CLAUDE_TOOLS
    async with client.messages.stream(
        model=CLAUDE, max_tokens=99, messages=user("Oslo echo:tools=2"), tools=tools,
        tool_choice={"type": "any"},
    ) as stream:  # fmt: skip
        final = await stream.get_final_message()
    blocks: Any = final.content
    assert [block.input for block in blocks] == [{"title": "Oslo", "count": 1}, {}]
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": "fine"} for block in blocks]
    messages: Any = [
        *user("x"), {"role": "assistant", "content": blocks}, {"role": "user", "content": results},
    ]  # fmt: skip
    ended = await client.messages.create(model=CLAUDE, max_tokens=99, messages=messages, tools=tools)
    assert said(ended) == "x"


async def test_pictures_are_counted_and_answers_structured(client: anthropic.AsyncAnthropic) -> None:
    parts: Any = [{"type": "text", "text": "12345"}, CLAUDE_PICTURE]
    counted = await client.messages.count_tokens(
        model=CLAUDE, system="1234", messages=[{"role": "user", "content": parts}]
    )
    assert counted.input_tokens == 3 + 85
    answer = await client.messages.create(
        model=CLAUDE, max_tokens=99, messages=user("T"),
        output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
    )  # fmt: skip
    assert said(answer) == '{"title":"T","count":1}'


@pytest.mark.parametrize("headers", [{}, OLD], ids=["newest", "2023"])
async def test_version_and_beta_headers_reach_the_provider(
    client: anthropic.AsyncAnthropic, shared: Stand, headers: dict[str, str]
) -> None:
    extra: Any = {**headers, "anthropic-beta": "a-2026,b-2026"}
    await client.messages.create(model=CLAUDE, max_tokens=9, messages=user("x"), extra_headers=extra)
    sent = shared.upstream.last
    assert sent.header("anthropic-beta") == "a-2026,b-2026"
    if headers:
        assert sent.header("anthropic-version") == "2023-06-01"
        assert sent.header("x-api-key") == PROVIDER_KEYS["anthropic"]
        assert sent.header("authorization") is None
    else:
        assert (sent.header("anthropic-version") or "") >= "2026-10-21"
        assert sent.header("authorization") == f"Bearer {PROVIDER_KEYS['anthropic']}"
        assert sent.header("x-api-key") is None


async def test_a_prompt_of_a_megabyte_and_many_streams_pass(shared: Stand) -> None:
    text = "wörd \u2028 " * 110_000

    async def one(number: int) -> None:
        async with wide.messages.stream(
            model=CLAUDE, max_tokens=900, messages=user(f"number {number} \u2028 " * 9)
        ) as stream:
            assert said(await stream.get_final_message()) == (f"number {number} \u2028 " * 9)

    async with client_of(shared) as wide:
        long = await wide.messages.create(model=CLAUDE, max_tokens=2, messages=user(text))
        assert long.stop_reason == "max_tokens"
        await asyncio.gather(*(one(number) for number in range(100)))


async def test_the_synchronous_client_works_in_a_thread(shared: Stand) -> None:
    def ask() -> tuple[str, str]:
        with anthropic.Anthropic(base_url=shared.gateway.url, auth_token=shared.key, api_key=None) as one:
            whole = one.messages.create(model=CLAUDE, max_tokens=99, messages=user(TEXT))
            with one.messages.stream(model=CLAUDE, max_tokens=99, messages=user(TEXT)) as stream:
                return said(whole), stream.get_final_text()

    assert await asyncio.to_thread(ask) == (TEXT, TEXT)


# --- errors -----------------------------------------------------------------------------------------


async def test_our_refusals_are_the_librarys_own_exceptions(
    client: anthropic.AsyncAnthropic, shared: Stand
) -> None:
    call: Any = {"model": CLAUDE, "max_tokens": 5, "messages": user("x")}
    async with client_of(shared, "sk-wrong") as stranger:
        with pytest.raises(anthropic.AuthenticationError) as unknown:
            await stranger.messages.create(**call)
    body: Any = unknown.value.body
    assert body["error"]["type"] == "authentication_error"
    assert body["error"]["details"]["error_code"] == "invalid_key"
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.create(**{**call, "model": "no-such-model"})
    with pytest.raises(anthropic.BadRequestError):
        await client.messages.create(**{**call, "max_tokens": -1})
    async with client_of(shared, await shared.gateway.make_key("poor", cap="0.000001")) as poor:
        with pytest.raises(anthropic.APIStatusError) as broke:
            await poor.messages.create(**call)
    assert broke.value.status_code == 402
    async with client_of(shared, await shared.gateway.make_key("slow", rate="1")) as slow:
        await slow.messages.create(**call)
        with pytest.raises(anthropic.RateLimitError) as early:
            await slow.messages.create(**call)
    assert 50 <= int(early.value.response.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, anthropic.BadRequestError),
        (404, anthropic.NotFoundError),
        (413, anthropic.APIStatusError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.APIStatusError),
    ],
)
async def test_the_providers_errors_pass_in_shape(
    client: anthropic.AsyncAnthropic, status: int, expected: Any
) -> None:
    for stream in (True, False):
        with pytest.raises(expected) as refused:
            await client.messages.create(
                model=CLAUDE, max_tokens=9, stream=stream,
                messages=user(f"quoted echo:status={status},retry_after=0"),
            )  # fmt: skip
        assert refused.value.status_code == status
        assert f"Echo refuses with {status}: quoted" in str(refused.value)


@pytest.mark.parametrize("orders", ["cut=4", "error=4", "end=4", "cut=4,torn=1"])
async def test_a_stream_that_breaks_raises(client: anthropic.AsyncAnthropic, orders: str) -> None:
    text = user(f"one two three four echo:{orders}")
    raw = await client.messages.create(model=CLAUDE, max_tokens=9, messages=text, stream=True)
    seen: list[Any] = []
    with pytest.raises((anthropic.APIError, httpx2.RemoteProtocolError)):
        await drain(raw, seen)
    assert "message_stop" not in [event.type for event in seen]
    async with client.messages.stream(model=CLAUDE, max_tokens=9, messages=text) as stream:
        with pytest.raises((anthropic.APIError, httpx2.RemoteProtocolError)):
            await stream.get_final_message()
