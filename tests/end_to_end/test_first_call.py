"""The thinnest real path: official libraries, a running gateway, echo behind, records in SQLite."""

import anthropic
import openai

from gateway.usage import Source
from tests.installation import Installation


async def test_a_chat_call_is_answered_and_recorded_with_its_cost(gateway: Installation) -> None:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="echo-1", messages=[{"role": "user", "content": "Hello there"}]
        )
    answer = raw.parse()
    assert answer.choices[0].message.content == "Hello there"
    assert raw.headers["x-gateway-model"] == "echo/echo-1"
    [record] = await gateway.records()
    assert record.id == raw.headers["x-gateway-request-id"]
    assert (record.tokens_input, record.tokens_output) == (3, 3)
    assert record.cost_nanos == 3 * 1000 + 3 * 2000
    assert raw.headers["x-gateway-cost-usd"] == "0.000009"
    assert (record.usage_source, record.outcome, record.status) == (Source.REPORTED, "ok", 200)


async def test_a_stream_is_recorded_though_the_client_did_not_ask_for_usage(gateway: Installation) -> None:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="echo-1", messages=[{"role": "user", "content": "one two three"}], stream=True
        )
        events = [event async for event in stream]
    assert all(event.choices and event.usage is None for event in events)
    assert "".join(event.choices[0].delta.content or "" for event in events) == "one two three"
    [record] = await gateway.records()
    assert record.stream
    assert record.usage_source is Source.REPORTED
    assert record.tokens_output == 4


async def test_two_dialects_meet_in_one_store(gateway: Installation) -> None:
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
        answer = await client.messages.create(
            model="echo-1", max_tokens=50, messages=[{"role": "user", "content": "Hello"}]
        )
    assert answer.usage.output_tokens == 2
    [record] = await gateway.records()
    assert (record.dialect, record.path_kind) == ("anthropic_messages", "messages")
