"""OpenAI's own library through the gateway: it works as with OpenAI, and its errors are its own classes."""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pydantic
import pytest
import pytest_asyncio

from tests.end_to_end.calls import FLAT_TOOLS, PIXEL, TOOLS
from tests.end_to_end.stand import OPENAI, Stand, drain, user

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = 'Hällo, wörld! Line\u2028separator, \u2029, \u0085 and "quotes". 😀'
EVENTS = [("content-type", "text/event-stream")]


class Report(pydantic.BaseModel):
    """What structured answers are asked to be."""

    title: str
    count: int


def client_of(stand: Stand, key: str | None = None, **more: Any) -> openai.AsyncOpenAI:
    options = {"max_retries": 0, **more}
    return openai.AsyncOpenAI(base_url=f"{stand.gateway.url}/v1", api_key=key or stand.key, **options)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared: Stand) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(shared) as one:
        yield one


# --- chat -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("usage", [True, False])
async def test_chat_streams_text_tools_and_usage_as_asked(client: openai.AsyncOpenAI, usage: bool) -> None:
    stream = await client.chat.completions.create(
        model=OPENAI, messages=user(TEXT), stream=True, stream_options={"include_usage": usage}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [usage]
    assert all(("usage" in chunk.model_fields_set) is usage for chunk in chunks)
    assert bool(chunks[-1].choices) is not usage


async def test_chat_calls_tools_side_by_side(client: openai.AsyncOpenAI) -> None:
    tools: Any = TOOLS
    async with client.chat.completions.stream(
        model=OPENAI, messages=user("Berlin echo:tools=3"), tools=tools, tool_choice="required"
    ) as stream:
        final = await stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert [call.function.name for call in calls] == ["get_weather", "get_time", "get_weather"]
    assert calls[0].function.arguments == '{"title":"Berlin","count":1}'
    messages: Any = [*user("Berlin echo:tools=1"), final.choices[0].message]
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
    ended = await client.chat.completions.create(model=OPENAI, messages=messages, tools=tools)
    assert ended.choices[0].message.content == "Berlin"


async def test_chat_takes_pictures_and_gives_structured_answers(client: openai.AsyncOpenAI) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    parts: Any = [{"type": "text", "text": "A title"}, picture]
    answer = await client.chat.completions.parse(
        model=OPENAI, messages=[{"role": "user", "content": parts}], response_format=Report
    )
    assert answer.choices[0].message.parsed == Report(title="A title", count=1)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 2 + 85


async def test_chat_reports_reasoning_and_cached_tokens_as_the_record_does(
    client: openai.AsyncOpenAI, shared: Stand
) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model=OPENAI, messages=user("x" * 4000 + " echo:reasoning=11,cached=500"), reasoning_effort="low"
    )
    usage = raw.parse().usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 11
    record = await shared.record_of(raw.headers["x-gateway-request-id"])
    assert (record.tokens_cached, record.tokens_reasoning) == (500, 11)
    assert (record.tokens_input, record.tokens_output) == (usage.prompt_tokens, usage.completion_tokens)
    dollars = f"{(record.cost_nanos or 0) / 10**9:.9f}".rstrip("0")
    assert raw.headers["x-gateway-cost-usd"] == dollars
    assert raw.headers["x-request-id"].startswith("req_echo")


async def test_a_prompt_of_a_megabyte_and_a_long_answer_pass(client: openai.AsyncOpenAI) -> None:
    text = "wörd \u2028 " * 110_000
    assert len(text.encode()) > 1_000_000
    answer = await client.chat.completions.create(model=OPENAI, messages=user(text), max_tokens=2)
    assert answer.choices[0].finish_reason == "length"
    whole = await client.chat.completions.create(model=OPENAI, messages=user(text))
    assert whole.choices[0].message.content == text
    stream = await client.chat.completions.create(
        model=OPENAI, messages=user("echo:tokens=20000,chunk=20,burst=8"), stream=True
    )
    size = 0
    async for chunk in stream:
        size += len(chunk.choices[0].delta.content or "")
    assert size == 80_000


async def test_a_hundred_streams_at_once_keep_apart(shared: Stand) -> None:
    async def one(number: int) -> None:
        text = f"stream number {number} \u2028 " * 5
        stream = await wide.chat.completions.create(
            model=OPENAI, messages=user(text + "echo:delay=0.001"), stream=True
        )
        parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(parts) == text.strip()

    async with client_of(shared) as wide:
        await asyncio.gather(*(one(number) for number in range(100)))
    assert shared.held == (0, 0)


async def test_the_synchronous_client_works_in_a_thread(shared: Stand) -> None:
    def ask() -> tuple[str | None, list[str], str, list[float]]:
        with openai.OpenAI(base_url=f"{shared.gateway.url}/v1", api_key=shared.key, max_retries=0) as one:
            whole = one.chat.completions.create(model=OPENAI, messages=user(TEXT))
            stream = one.chat.completions.create(model=OPENAI, messages=user(TEXT), stream=True)
            pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
            response = one.responses.create(model=OPENAI, input=TEXT)
            vector = one.embeddings.create(model="text-embedding-3-small", input="a", dimensions=4)
            return whole.choices[0].message.content, pieces, response.output_text, vector.data[0].embedding

    whole, pieces, response, vector = await asyncio.to_thread(ask)
    assert whole == "".join(pieces) == response == TEXT
    assert len(vector) == 4


# --- responses --------------------------------------------------------------------------------------


async def test_responses_stream_in_order_with_reasoning(client: openai.AsyncOpenAI) -> None:
    stream = await client.responses.create(model=OPENAI, input=f"{TEXT} echo:reasoning=5", stream=True)
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.usage is not None
    assert last.response.usage.output_tokens_details.reasoning_tokens == 5


async def test_responses_call_tools_and_give_structured_answers(client: openai.AsyncOpenAI) -> None:
    tools: Any = FLAT_TOOLS
    async with client.responses.stream(
        model=OPENAI, input="Rome echo:tools=2", tools=tools, tool_choice="required"
    ) as stream:
        final = await stream.get_final_response()
    calls = [item for item in final.output if item.type == "function_call"]
    assert [call.arguments for call in calls] == ['{"title":"Rome","count":1}', "{}"]
    parsed = await client.responses.parse(model=OPENAI, input="T", text_format=Report)
    assert parsed.output_parsed == Report(title="T", count=1)


async def test_responses_are_not_stored_unless_the_key_may(client: openai.AsyncOpenAI, shared: Stand) -> None:
    await client.responses.create(model=OPENAI, input="x")
    assert shared.upstream.last.json["store"] is False
    with pytest.raises(openai.PermissionDeniedError) as refused:
        await client.responses.create(model=OPENAI, input="x", store=True)
    assert refused.value.code == "not_allowed"
    assert refused.value.response.headers["x-gateway-error"] == "store_not_allowed"
    with pytest.raises(openai.PermissionDeniedError):
        await client.chat.completions.create(model=OPENAI, messages=user("x"), store=True)
    async with client_of(shared, await shared.gateway.make_key("stores", store="allow")) as may:
        await may.responses.create(model=OPENAI, input="x", store=True)
    assert shared.upstream.last.json["store"] is True


# --- everything else --------------------------------------------------------------------------------


async def test_embeddings_are_the_same_in_both_encodings(client: openai.AsyncOpenAI) -> None:
    model = "text-embedding-3-small"
    packed = await client.embeddings.create(model=model, input=["a", "b"], dimensions=4)
    plain = await client.embeddings.create(
        model=model, input=["a", "b"], dimensions=4, encoding_format="float"
    )
    assert [one.embedding for one in packed.data] == [one.embedding for one in plain.data]


async def test_sounds_pictures_and_moderation_pass(client: openai.AsyncOpenAI, shared: Stand) -> None:
    spoken = await client.audio.speech.create(
        model="tts-1", voice="alloy", input="12345678", response_format="wav"
    )
    assert struct.unpack("<I", spoken.content[40:44])[0] == len(spoken.content) - 44
    sound = ("secret name.wav", b"\0" * 64_000, "audio/wav")
    heard = await client.audio.transcriptions.create(model="whisper-1", file=sound, prompt="well")
    assert heard.text == "well"
    stream = await client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=sound, prompt="once more", stream=True
    )
    assert [event async for event in stream][-1].type == "transcript.text.done"
    made = await client.images.generate(model="gpt-image-1", prompt="a cat", n=2)
    assert made.data is not None
    assert base64.b64decode(made.data[1].b64_json or "").startswith(b"\x89PNG")
    parts: Any = [{"type": "text", "text": "x echo:finish=flagged"}]
    judged = await client.moderations.create(model="omni-moderation-latest", input=parts)
    assert judged.results[0].flagged
    assert "secret" not in str(await shared.gateway.records())


# --- errors -----------------------------------------------------------------------------------------


async def test_our_refusals_are_the_librarys_own_exceptions(
    client: openai.AsyncOpenAI, shared: Stand
) -> None:
    for wrong in ("sk-wrong", shared.key[:-1] + "x", "x" * 500):
        async with client_of(shared, wrong) as stranger:
            with pytest.raises(openai.AuthenticationError) as unknown:
                await stranger.chat.completions.create(model=OPENAI, messages=user("x"))
            assert unknown.value.code == "invalid_key"
            with pytest.raises(openai.AuthenticationError):
                await stranger.models.list()
    with pytest.raises(openai.NotFoundError) as missing:
        await client.chat.completions.create(model="no-such-model", messages=user("x"))
    assert missing.value.code == "unknown_model"
    with pytest.raises(openai.BadRequestError) as bad:
        await client.chat.completions.create(model=OPENAI, messages=user("x"), max_tokens=-1)
    assert (bad.value.code, bad.value.param) == ("bad_request", "max_tokens")
    async with client_of(shared, await shared.gateway.make_key("poor", cap="0.000001")) as poor:
        with pytest.raises(openai.APIStatusError) as broke:
            await poor.chat.completions.create(model=OPENAI, messages=user("x"), max_tokens=5)
    assert (broke.value.status_code, broke.value.code) == (402, "budget_exceeded")
    async with client_of(shared, await shared.gateway.make_key("slow", rate="1")) as slow:
        await slow.chat.completions.create(model=OPENAI, messages=user("x"))
        with pytest.raises(openai.RateLimitError) as early:
            await slow.chat.completions.create(model=OPENAI, messages=user("x"))
    assert early.value.code == "rate_limited"
    assert 50 <= int(early.value.response.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_the_providers_errors_pass_in_shape(
    client: openai.AsyncOpenAI, status: int, expected: Any, stream: bool
) -> None:
    with pytest.raises(expected) as refused:
        await client.chat.completions.create(
            model=OPENAI, messages=user(f"quoted echo:status={status},retry_after=0"), stream=stream
        )
    assert refused.value.status_code == status
    assert f"Echo refuses with {status}: quoted" in refused.value.message
    assert refused.value.response.headers["retry-after"] == "0"


@pytest.mark.parametrize(
    ("orders", "asked"),
    [
        ("status=500", 3),  # the gateway tried as often as it may: x-should-retry is false
        ("status=429,retry_after=0", 2),  # the provider says when to come back: the library's choice
        ("cut=1", 3),
    ],
)
async def test_the_library_does_not_multiply_the_attempts(tmp_path: Path, orders: str, asked: int) -> None:
    upstream = {"attempts": 3, "retry_pause": "1ms", "breaker": False}
    async with Stand(tmp_path, {"upstream": upstream}) as stand, client_of(stand, max_retries=1) as eager:
        with pytest.raises(openai.APIStatusError):
            await eager.chat.completions.create(model=OPENAI, messages=user(f"one two echo:{orders}"))
        assert len(stand.upstream.requests) == asked


async def test_a_stream_that_breaks_raises(client: openai.AsyncOpenAI) -> None:
    for orders in ("cut=3", "error=3", "end=3", "cut=3,torn=1"):
        stream = await client.chat.completions.create(
            model=OPENAI, messages=user(f"one two three four echo:{orders}"), stream=True
        )
        seen: list[Any] = []
        with pytest.raises((openai.APIError, httpx2.RemoteProtocolError)) as broken:
            await drain(stream, seen)
        assert len(seen) == 3, orders
        if orders == "cut=3":
            assert isinstance(broken.value, openai.APIError)
            assert broken.value.code == "upstream_failed"


async def test_a_broken_stream_of_responses_ends_in_an_error_event_and_raises(
    client: openai.AsyncOpenAI,
) -> None:
    for orders in ("cut=6", "end=6", "cut=6,torn=1"):
        stream = await client.responses.create(
            model=OPENAI, input=f"one two three four echo:{orders}", stream=True
        )
        seen: list[Any] = []
        with pytest.raises((openai.APIError, httpx2.RemoteProtocolError)):
            await drain(stream, seen)
        kinds = [event.type for event in seen]
        assert ("error" in kinds) is ("torn" not in orders)
        assert "response.completed" not in kinds
