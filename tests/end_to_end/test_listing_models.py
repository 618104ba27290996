"""Model lists through the official libraries, filtered by what a key may use."""

import asyncio

import anthropic
import openai
import pytest
from google import genai

from tests.installation import Installation


async def test_each_family_lists_models_in_its_own_shape(gateway: Installation) -> None:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key) as client:
        assert "echo-1" in [model.id async for model in client.models.list()]
        assert (await client.models.retrieve("echo-1")).id == "echo-1"
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=gateway.key) as client:
        assert "echo-1" in [model.id async for model in client.models.list()]
    gemini = genai.Client(api_key=gateway.key, http_options={"base_url": gateway.url})
    listed = await asyncio.to_thread(lambda: [model.name for model in gemini.models.list()])
    gemini.close()
    assert "models/echo-1" in listed


async def test_a_key_sees_only_what_it_may_use(gateway: Installation) -> None:
    key = await gateway.make_key("narrow", models="gpt-*")
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0) as client:
        assert [model.id async for model in client.models.list()] == []
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("echo-1")
