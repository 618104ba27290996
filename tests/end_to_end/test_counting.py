"""Counting tokens for models whose providers cannot be asked for it in the caller's dialect."""

from typing import Any

import anthropic
import pytest
from google import genai
from google.genai import types

from tests.end_to_end.stand import LLAMA, OPENAI, Stand, user

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

TEXT = "How many tokens are there in this sentence, more or less? " * 20
TOKENS = range(120, 420)
TOOL: dict[str, Any] = {"name": "weather", "description": TEXT, "input_schema": {"type": "object"}}


@pytest.mark.parametrize("model", [OPENAI, "gemini/gemini-2.5-flash", f"groq/{LLAMA}"])
async def test_anthropics_library_is_given_an_estimate(stand: Stand, model: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=stand.gateway.url, api_key=stand.key) as client:
        answer = await client.messages.with_raw_response.count_tokens(model=model, messages=user(TEXT))
        counted = (await answer.parse()).input_tokens
        assert counted in TOKENS
        assert answer.headers["x-gateway-route"] == "estimated"
        more = await client.messages.count_tokens(
            model=model,
            system=TEXT,
            messages=user(TEXT),
            tools=[TOOL],  # type: ignore[list-item]
        )
        assert more.input_tokens > 2 * counted
    assert not stand.upstream.requests
    records = await stand.gateway.records(2)
    assert [(one.path_kind, one.status, one.outcome, one.cost_nanos, one.attempts) for one in records] == [
        ("count", 200, "ok", 0, 0)
    ] * 2
    assert stand.held == (0, 0)


async def test_googles_library_is_given_an_estimate(stand: Stand) -> None:
    client = genai.Client(api_key=stand.key, http_options=types.HttpOptions(base_url=stand.gateway.url))
    counted = await client.aio.models.count_tokens(model=OPENAI, contents=TEXT)
    assert counted.total_tokens in TOKENS
    await client.aio.aclose()
    client.close()
    assert not stand.upstream.requests


async def test_a_provider_that_counts_is_asked(stand: Stand) -> None:
    body = {"model": "claude-sonnet-5-5", "messages": user(TEXT)}
    answer = await stand.ask("/v1/messages/count_tokens", body)
    assert answer.status == 200
    assert "x-gateway-route" not in answer.headers or answer.headers["x-gateway-route"] == "requested"
    assert len(stand.upstream.requests) == 1


async def test_a_count_needs_the_same_rights(stand: Stand) -> None:
    body = {"model": "unheard-of", "messages": user(TEXT)}
    assert (await stand.ask("/v1/messages/count_tokens", body)).status == 404
