"""Groq's own library through the gateway: usage comes unasked, and twice."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import groq
import httpx
import pytest
import pytest_asyncio

from tests.end_to_end.calls import TOOLS
from tests.end_to_end.stand import LLAMA, PROVIDER_KEYS, Stand, drain, user

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = 'Hällo, wörld! Line\u2028separator, \u2029, \u0085 and "quotes". 😀'
TOKENS = -(-len(TEXT.encode()) // 4)


def client_of(stand: Stand, key: str | None = None) -> groq.AsyncGroq:
    return groq.AsyncGroq(base_url=stand.gateway.url, api_key=key or stand.key, max_retries=0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared: Stand) -> AsyncIterator[groq.AsyncGroq]:
    async with client_of(shared) as one:
        yield one


async def test_chat_tells_usage_unasked_and_it_is_counted_once(client: groq.AsyncGroq, shared: Stand) -> None:
    whole = await client.chat.completions.create(model=LLAMA, messages=user(TEXT))
    assert whole.choices[0].message.content == TEXT
    raw = await client.chat.completions.with_raw_response.create(
        model=LLAMA, messages=user(TEXT), stream=True
    )
    chunks = [chunk async for chunk in await raw.parse()]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    last = chunks[-1]
    assert last.x_groq is not None
    assert last.x_groq.usage is not None
    assert last.x_groq.usage.completion_tokens == TOKENS
    record = await shared.record_of(raw.headers["x-gateway-request-id"])
    assert (record.tokens_input, record.tokens_output, record.provider) == (TOKENS, TOKENS, "groq")
    sent = shared.upstream.last
    assert sent.target == "/openai/v1/chat/completions"
    assert sent.header("authorization") == f"Bearer {PROVIDER_KEYS['groq']}"
    assert "stream_options" not in sent.json


async def test_tools_are_called_in_deltas(client: groq.AsyncGroq) -> None:
    tools: Any = TOOLS
    stream = await client.chat.completions.create(
        model=LLAMA, messages=user("Bonn echo:tools=2"), tools=tools, tool_choice="required", stream=True
    )
    arguments: dict[int, str] = {}
    async for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or ():
            piece = call.function.arguments if call.function else None
            arguments[call.index] = arguments.get(call.index, "") + (piece or "")
    assert arguments == {0: '{"title":"Bonn","count":1}', 1: "{}"}


async def test_the_synchronous_client_works_in_a_thread(shared: Stand) -> None:
    def ask() -> tuple[str | None, str]:
        with groq.Groq(base_url=shared.gateway.url, api_key=shared.key) as one:
            whole = one.chat.completions.create(model=LLAMA, messages=user(TEXT))
            stream = one.chat.completions.create(model=LLAMA, messages=user(TEXT), stream=True)
            return whole.choices[0].message.content, "".join(
                chunk.choices[0].delta.content or "" for chunk in stream
            )

    assert await asyncio.to_thread(ask) == (TEXT, TEXT)


async def test_transcriptions_pass(client: groq.AsyncGroq) -> None:
    sound = ("name.wav", b"\0" * 9000, "audio/wav")
    heard = await client.audio.transcriptions.create(model="whisper-large-v3", file=sound, prompt="well")
    assert heard.text == "well"


async def test_errors_are_the_librarys_own_exceptions(client: groq.AsyncGroq, shared: Stand) -> None:
    async with client_of(shared, "gsk_wrong") as stranger:
        with pytest.raises(groq.AuthenticationError):
            await stranger.chat.completions.create(model=LLAMA, messages=user("x"))
    # On Groq's own path a name that nobody knows is one of Groq's, whose price is not known.
    with pytest.raises(groq.APIStatusError) as unpriced:
        await client.chat.completions.create(model="nobody/no-such-model", messages=user("x"))
    assert unpriced.value.status_code == 402
    for status, expected in {
        400: groq.BadRequestError,
        422: groq.UnprocessableEntityError,
        429: groq.RateLimitError,
        498: groq.APIStatusError,
        503: groq.InternalServerError,
    }.items():
        with pytest.raises(expected) as refused:
            await client.chat.completions.create(
                model=LLAMA, messages=user(f"x echo:status={status},retry_after=0")
            )
        assert refused.value.status_code == status


@pytest.mark.parametrize("orders", ["cut=3", "error=3", "end=3", "cut=3,torn=1"])
async def test_a_stream_that_breaks_raises(client: groq.AsyncGroq, orders: str) -> None:
    stream = await client.chat.completions.create(
        model=LLAMA, messages=user(f"one two three four echo:{orders}"), stream=True
    )
    seen: list[Any] = []
    with pytest.raises((groq.APIError, httpx.RemoteProtocolError)):
        await drain(stream, seen)
    assert len(seen) == 3
