"""Echo on a real port, asked by the official libraries: what it says is what they understand."""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import groq
import openai
import pydantic
import pytest
from google import genai
from google.genai import errors as google_errors
from google.genai import types

from tests.upstream import Upstream

TEXT = 'Hello, wörld! Line\u2028separator and "quotes".'
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "get_weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"]}}},
    {"type": "function", "function": {
        "name": "get_time", "parameters": {"type": "object", "properties": {}}}},
]  # fmt: skip
CLAUDE_TOOLS: Any = [
    {"name": tool["function"]["name"], "input_schema": tool["function"]["parameters"]} for tool in TOOLS
]
# google-genai's own way with aiohttp, which aiohttp warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

PIXEL = "data:image/png;base64,iVBORw0KGgo="


class Answer(pydantic.BaseModel):
    """What structured answers are asked to be."""

    title: str
    count: int
    done: bool


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture
async def openai_client(upstream: Upstream) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key="k", base_url=upstream.openai, max_retries=0) as client:
        yield client


@pytest.fixture
async def claude(upstream: Upstream) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="k", base_url=upstream.anthropic, max_retries=0) as client:
        yield client


@pytest.fixture
async def google(upstream: Upstream) -> AsyncIterator[genai.Client]:
    client = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=upstream.gemini))
    yield client
    await client.aio.aclose()
    client.close()


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


# --- chat completions -----------------------------------------------------------------------------


async def test_chat_answers_with_the_text_and_its_usage(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.chat.completions.create(model="echo-1", messages=user(TEXT), n=2)
    assert [choice.message.content for choice in answer.choices] == [TEXT, TEXT]
    assert answer.usage is not None
    tokens = -(-len(TEXT.encode()) // 4)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (tokens, 2 * tokens)
    assert answer._request_id is not None
    assert answer._request_id.startswith("req_echo")


@pytest.mark.parametrize("wanted", [True, False])
async def test_chat_streams_usage_only_when_asked(openai_client: openai.AsyncOpenAI, wanted: bool) -> None:
    stream = await openai_client.chat.completions.create(
        model="echo-1", messages=user(TEXT), stream=True, stream_options={"include_usage": wanted}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == TEXT
    reported = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert len(reported) == wanted
    assert bool(chunks[-1].choices) is not wanted
    assert ("usage" in chunks[0].model_fields_set) is wanted


async def test_chat_calls_tools_side_by_side_in_deltas(openai_client: openai.AsyncOpenAI) -> None:
    tools: Any = TOOLS
    async with openai_client.chat.completions.stream(
        model="echo-1", messages=user("Berlin echo:tools=3"), tools=tools, tool_choice="required"
    ) as stream:
        final = await stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert [call.function.name for call in calls] == ["get_weather", "get_time", "get_weather"]
    assert calls[0].function.arguments == '{"city":"Berlin","days":1}'
    assert final.choices[0].finish_reason == "tool_calls"
    assert len({call.id for call in calls}) == 3
    named = await openai_client.chat.completions.create(
        model="echo-1", messages=user("x"), tools=tools,
        tool_choice={"type": "function", "function": {"name": "get_time"}},
    )  # fmt: skip
    assert named.choices[0].message.tool_calls is not None
    assert named.choices[0].message.content is None


async def test_a_tool_loop_comes_to_an_end(openai_client: openai.AsyncOpenAI) -> None:
    tools: Any = TOOLS
    messages: Any = user("Weather? echo:tool=get_weather")
    first = await openai_client.chat.completions.create(model="echo-1", messages=messages, tools=tools)
    message = first.choices[0].message
    assert message.tool_calls is not None
    messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}]
    second = await openai_client.chat.completions.create(model="echo-1", messages=messages, tools=tools)
    assert second.choices[0].message.content == "Weather?"


async def test_chat_gives_structured_answers(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.chat.completions.parse(
        model="echo-1", messages=user("A title"), response_format=Answer
    )
    assert answer.choices[0].message.parsed == Answer(title="A title", count=1, done=True)


async def test_chat_counts_pictures(openai_client: openai.AsyncOpenAI) -> None:
    parts: Any = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    answer = await openai_client.chat.completions.create(
        model="echo-1", messages=[{"role": "user", "content": parts}]
    )
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 2 + 85


async def test_chat_stops_at_the_limit(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.chat.completions.create(
        model="echo-1", messages=user("ä" * 100), max_completion_tokens=3
    )
    assert answer.choices[0].message.content == "ä" * 6
    assert answer.choices[0].finish_reason == "length"


def test_the_libraries_also_understand_without_asyncio() -> None:
    def ask(upstream: Upstream) -> list[str | None]:
        with openai.OpenAI(api_key="k", base_url=upstream.openai) as one:
            chat = one.chat.completions.create(model="echo-1", messages=user("a"))
            pieces = one.responses.create(model="echo-1", input="b", stream=True)
            kinds = [event.type for event in pieces]
        with (
            anthropic.Anthropic(api_key="k", base_url=upstream.anthropic) as two,
            two.messages.stream(model="echo-1", max_tokens=9, messages=user("c")) as stream,
        ):
            said = stream.get_final_text()
        three = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=upstream.gemini))
        parts = [
            part.text or "" for part in three.models.generate_content_stream(model="echo-1", contents="d")
        ]
        three.close()
        with groq.Groq(api_key="k", base_url=upstream.groq) as four:
            fast = four.chat.completions.create(model="echo-1", messages=user("e"))
        return [
            chat.choices[0].message.content,
            kinds[-1],
            said,
            "".join(parts),
            fast.choices[0].message.content,
        ]

    async def main() -> list[str | None]:
        async with Upstream() as upstream:
            return await asyncio.to_thread(ask, upstream)

    assert asyncio.run(main()) == ["a", "response.completed", "c", "d", "e"]


# --- Responses ------------------------------------------------------------------------------------


async def test_responses_answer_whole(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.responses.create(
        model="echo-1", input=TEXT, instructions="Be kind.", metadata={"a": "b"}
    )
    assert answer.output_text == TEXT
    assert answer.instructions == "Be kind."
    assert answer.metadata == {"a": "b"}
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


async def test_responses_stream_in_order(openai_client: openai.AsyncOpenAI) -> None:
    stream = await openai_client.responses.create(
        model="echo-1", input=user(f"{TEXT} echo:reasoning=5"), stream=True
    )
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = list(dict.fromkeys(event.type for event in events))
    assert kinds == [
        "response.created", "response.in_progress", "response.output_item.added", "response.output_item.done",
        "response.content_part.added", "response.output_text.delta", "response.output_text.done",
        "response.content_part.done", "response.completed",
    ]  # fmt: skip
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == TEXT
    assert last.response.usage is not None
    assert last.response.usage.output_tokens_details.reasoning_tokens == 5


async def test_responses_call_tools(openai_client: openai.AsyncOpenAI) -> None:
    tools: Any = [{"type": "function", **tool["function"]} for tool in TOOLS]
    async with openai_client.responses.stream(
        model="echo-1", input="Rome echo:tools=2", tools=tools, tool_choice="required"
    ) as stream:
        final = await stream.get_final_response()
    calls = [item for item in final.output if item.type == "function_call"]
    assert [call.arguments for call in calls] == ['{"city":"Rome","days":1}', "{}"]
    inputs: Any = [
        *user("Rome echo:tool=get_time"),
        {"type": "function_call", "call_id": "1", "name": "get_time", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "noon"},
    ]
    ended = await openai_client.responses.create(model="echo-1", input=inputs, tools=tools)
    assert ended.output_text == "Rome"


async def test_responses_give_structured_answers(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.responses.parse(model="echo-1", input="T", text_format=Answer)
    assert answer.output_parsed == Answer(title="T", count=1, done=True)


async def test_responses_are_incomplete_at_the_limit(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.responses.create(
        model="echo-1", input="a long text here", max_output_tokens=2
    )
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


# --- OpenAI's other calls -------------------------------------------------------------------------


async def test_embeddings_are_the_same_in_both_encodings(openai_client: openai.AsyncOpenAI) -> None:
    decoded = await openai_client.embeddings.create(model="e", input=["a", "b"], dimensions=4)
    plain = await openai_client.embeddings.create(
        model="e", input=["a", "b"], dimensions=4, encoding_format="float"
    )
    assert [one.embedding for one in decoded.data] == [one.embedding for one in plain.data]
    assert decoded.data[0].embedding != decoded.data[1].embedding
    assert abs(sum(value * value for value in plain.data[0].embedding) - 1) < 1e-6
    assert plain.usage.prompt_tokens == 1
    ids = await openai_client.embeddings.create(model="e", input=[1, 2, 3])
    assert (len(ids.data), ids.usage.prompt_tokens) == (1, 3)


async def test_images_are_made_edited_and_streamed(openai_client: openai.AsyncOpenAI) -> None:
    made = await openai_client.images.generate(model="gpt-image-1", prompt="a cat", n=2)
    assert made.data is not None
    assert made.data[1].b64_json is not None
    assert base64.b64decode(made.data[1].b64_json).startswith(b"\x89PNG")
    assert made.usage is not None
    assert made.usage.output_tokens == 544
    edited = await openai_client.images.edit(
        model="gpt-image-1", image=("a.png", b"\x89PNG", "image/png"), prompt="a dog"
    )
    assert edited.usage is not None
    assert edited.usage.input_tokens_details.image_tokens == 85
    stream = await openai_client.images.generate(prompt="a", stream=True, partial_images=2)
    kinds = [event.type async for event in stream]
    assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    by_url = await openai_client.images.generate(model="dall-e-2", prompt="a", response_format="url")
    assert by_url.data is not None
    assert by_url.data[0].url is not None


async def test_speech_is_silence_of_the_right_length(openai_client: openai.AsyncOpenAI) -> None:
    spoken = await openai_client.audio.speech.create(
        model="tts-1", voice="alloy", input="12345678", response_format="wav"
    )
    assert spoken.response.headers["content-type"] == "audio/wav"
    data = spoken.content
    assert data[:4] == b"RIFF"
    assert struct.unpack("<I", data[40:44])[0] == len(data) - 44 == 4000
    async with openai_client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input="1234", stream_format="sse"
    ) as events:
        text = await events.text()
    assert "speech.audio.delta" in text
    assert '"output_tokens":1' in text


async def test_transcriptions_hear_the_prompt(openai_client: openai.AsyncOpenAI) -> None:
    sound = ("a.wav", b"\0" * 64_000, "audio/wav")
    heard = await openai_client.audio.transcriptions.create(model="whisper-1", file=sound, prompt="well")
    assert heard.text == "well"
    assert heard.usage is not None
    assert heard.usage.type == "duration"
    assert heard.usage.seconds == 2
    tokens = await openai_client.audio.transcriptions.create(model="gpt-4o-transcribe", file=sound)
    assert tokens.usage is not None
    assert (tokens.usage.type, tokens.text) == ("tokens", "echo")
    stream = await openai_client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=sound, prompt="once more", stream=True
    )
    events = [event async for event in stream]
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == "once more"
    forms: Any = ("text", "srt", "vtt", "verbose_json")
    for form in forms:
        other: Any = await openai_client.audio.transcriptions.create(
            model="whisper-1", file=sound, prompt="well", response_format=form
        )
        assert "well" in (other if isinstance(other, str) else other.text)
    with pytest.deprecated_call():
        said = await openai_client.audio.translations.create(model="whisper-1", file=sound, prompt="ja")
    assert said.text == "ja"


async def test_moderations_flag_on_order(openai_client: openai.AsyncOpenAI) -> None:
    judged = await openai_client.moderations.create(input=["a", "b"])
    assert [result.flagged for result in judged.results] == [False, False]
    parts: Any = [{"type": "text", "text": "x echo:finish=flagged"}]
    flagged = await openai_client.moderations.create(input=parts)
    assert flagged.results[0].flagged


async def test_models_are_listed(openai_client: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic) -> None:
    assert [model.id async for model in openai_client.models.list()] == ["echo-1", "echo-2"]
    assert [model.id async for model in claude.models.list()] == ["echo-1", "echo-2"]


# --- Anthropic ------------------------------------------------------------------------------------


async def test_messages_answer_whole(claude: anthropic.AsyncAnthropic) -> None:
    answer = await claude.messages.create(
        model="echo-1", max_tokens=99, system="Be kind.",
        messages=user(f"{TEXT} echo:cached=10,write_5m=4,write_1h=2,reasoning=3,tier=priority"),
    )  # fmt: skip
    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert answer.content[1].text == TEXT  # type: ignore[union-attr]
    usage = answer.usage
    assert usage.cache_read_input_tokens == 10
    assert usage.cache_creation_input_tokens == 6
    assert usage.cache_creation is not None
    assert usage.cache_creation.ephemeral_1h_input_tokens == 2
    assert usage.service_tier == "priority"
    assert answer.stop_reason == "end_turn"
    assert answer._request_id is not None


async def test_messages_stream(claude: anthropic.AsyncAnthropic) -> None:
    async with claude.messages.stream(
        model="echo-1", max_tokens=99, messages=user(f"{TEXT} echo:reasoning=3,cached=1")
    ) as stream:
        kinds = list(dict.fromkeys([event.type async for event in stream]))
        final = await stream.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.content[1].text == TEXT  # type: ignore[union-attr]
    assert final.usage.output_tokens == -(-len(TEXT.encode()) // 4) + 3
    assert final.usage.cache_read_input_tokens == 1


async def test_messages_call_tools(claude: anthropic.AsyncAnthropic) -> None:
    async with claude.messages.stream(
        model="echo-1", max_tokens=99, messages=user("Oslo echo:tools=2"), tools=CLAUDE_TOOLS,
        tool_choice={"type": "any"},
    ) as stream:  # fmt: skip
        final = await stream.get_final_message()
    assert [block.input for block in final.content] == [{"city": "Oslo", "days": 1}, {}]  # type: ignore[union-attr]
    assert final.stop_reason == "tool_use"
    named = await claude.messages.create(
        model="echo-1", max_tokens=99, messages=user("x"), tools=CLAUDE_TOOLS,
        tool_choice={"type": "tool", "name": "get_time"},
    )  # fmt: skip
    assert named.content[0].name == "get_time"  # type: ignore[union-attr]
    messages: Any = [
        *user("x echo:tool=get_time"),
        {"role": "assistant", "content": named.content},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": named.content[0].id, "content": "noon"},  # type: ignore[union-attr]
        ]},
    ]  # fmt: skip
    ended = await claude.messages.create(model="echo-1", max_tokens=99, messages=messages, tools=CLAUDE_TOOLS)
    assert ended.content[0].text == "x"  # type: ignore[union-attr]


async def test_messages_are_counted(claude: anthropic.AsyncAnthropic) -> None:
    picture: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
    counted = await claude.messages.count_tokens(
        model="echo-1", system="1234",
        messages=[{"role": "user", "content": [{"type": "text", "text": "12345"}, picture]}],
    )  # fmt: skip
    assert counted.input_tokens == 3 + 85


async def test_messages_give_structured_answers(claude: anthropic.AsyncAnthropic) -> None:
    answer = await claude.messages.create(
        model="echo-1", max_tokens=99, messages=user("T"),
        output_config={"format": {"type": "json_schema", "schema": Answer.model_json_schema()}},
    )  # fmt: skip
    assert answer.content[0].text == '{"title":"T","count":1,"done":true}'  # type: ignore[union-attr]


# --- Gemini ---------------------------------------------------------------------------------------


async def test_generate_answers_whole(google: genai.Client) -> None:
    answer = await google.aio.models.generate_content(
        model="echo-1", contents=f"{TEXT} echo:cached=2,reasoning=7"
    )
    assert answer.text == TEXT
    usage = answer.usage_metadata
    assert usage is not None
    assert (usage.cached_content_token_count, usage.thoughts_token_count) == (2, 7)
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count + 7  # type: ignore[operator]
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP


async def test_generate_streams(google: genai.Client, upstream: Upstream) -> None:
    stream = await google.aio.models.generate_content_stream(model="echo-1", contents=TEXT)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.text or "" for chunk in chunks) == TEXT
    assert chunks[-1].usage_metadata is not None
    assert chunks[-1].usage_metadata.candidates_token_count == -(-len(TEXT.encode()) // 4)
    assert "alt=sse" in upstream.last.target


async def test_generate_calls_tools(google: genai.Client) -> None:
    declared: Any = [
        {"name": tool["function"]["name"], "parameters_json_schema": tool["function"]["parameters"]}
        for tool in TOOLS
    ]
    config: Any = {
        "tools": [{"function_declarations": declared}],
        "tool_config": {"function_calling_config": {"mode": "ANY"}},
        "automatic_function_calling": {"disable": True},
    }
    answer = await google.aio.models.generate_content(
        model="echo-1", contents="Bern echo:tools=2", config=config
    )
    assert answer.function_calls is not None
    assert [call.args for call in answer.function_calls] == [{"city": "Bern", "days": 1}, {}]
    stream = await google.aio.models.generate_content_stream(model="echo-1", contents="Bern", config=config)
    chunks = [chunk async for chunk in stream]
    assert chunks[0].function_calls is not None
    assert chunks[0].function_calls[0].name == "get_weather"


async def test_generate_gives_structured_answers(google: genai.Client) -> None:
    answer = await google.aio.models.generate_content(
        model="echo-1", contents="T",
        config={"response_mime_type": "application/json", "response_schema": Answer},
    )  # fmt: skip
    assert answer.parsed == Answer(title="T", count=1, done=True)


async def test_gemini_embeds_and_counts(google: genai.Client) -> None:
    embedded = await google.aio.models.embed_content(
        model="e", contents=["a", "b"], config={"output_dimensionality": 4}
    )
    assert embedded.embeddings is not None
    assert [len(one.values or ()) for one in embedded.embeddings] == [4, 4]
    counted = await google.aio.models.count_tokens(model="echo-1", contents="12345")
    assert counted.total_tokens == 2


async def test_a_blocked_prompt_has_no_candidates(google: genai.Client) -> None:
    answer = await google.aio.models.generate_content(model="echo-1", contents="x echo:finish=blocked")
    assert answer.candidates is None
    assert answer.prompt_feedback is not None


# --- Groq -----------------------------------------------------------------------------------------


async def test_groq_says_usage_twice_and_unasked(upstream: Upstream) -> None:
    async with groq.AsyncGroq(api_key="k", base_url=upstream.groq) as client:
        answer = await client.chat.completions.create(model="echo-1", messages=user(TEXT))
        stream = await client.chat.completions.create(model="echo-1", messages=user(TEXT), stream=True)
        chunks = [chunk async for chunk in stream]
    assert answer.choices[0].message.content == TEXT
    assert answer.usage is not None
    assert answer.usage.queue_time is not None
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert chunks[0].x_groq is not None
    assert chunks[0].x_groq.id is not None
    last = chunks[-1]
    assert last.x_groq is not None
    assert last.x_groq.usage is not None
    assert last.x_groq.usage.total_tokens == 2 * -(-len(TEXT.encode()) // 4)


# --- faults ---------------------------------------------------------------------------------------


async def test_errors_before_the_answer_are_the_providers_own(
    openai_client: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic, google: genai.Client
) -> None:
    with pytest.raises(openai.RateLimitError) as busy:
        await openai_client.chat.completions.create(
            model="echo-1", messages=user("canary echo:status=429,retry_after=2")
        )
    assert busy.value.response.headers["retry-after"] == "2"
    assert busy.value.code == "rate_limit_exceeded"
    assert "canary" in busy.value.message
    with pytest.raises(openai.InternalServerError):
        await openai_client.responses.create(model="echo-1", input="echo:fault=500")
    with pytest.raises(anthropic.APIStatusError) as overloaded:
        await claude.messages.create(model="echo-1", max_tokens=9, messages=user("canary echo:status=529"))
    assert overloaded.value.status_code == 529
    with pytest.raises(google_errors.ClientError) as exhausted:
        await google.aio.models.generate_content(model="echo-1", contents="echo:status=429,retry_after=7")
    assert exhausted.value.status == "RESOURCE_EXHAUSTED"


async def test_error_events_in_a_stream_are_noticed(
    openai_client: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic, google: genai.Client
) -> None:
    chat = await openai_client.chat.completions.create(
        model="echo-1", messages=user("hello there echo:error=3"), stream=True
    )
    with pytest.raises(openai.APIError):
        _ = [chunk async for chunk in chat]
    messages = await claude.messages.create(
        model="echo-1", max_tokens=9, messages=user("hello there echo:error=3"), stream=True
    )
    with pytest.raises(anthropic.APIStatusError):
        _ = [event async for event in messages]
    stream = await google.aio.models.generate_content_stream(
        model="echo-1", contents="hello there echo:error=2"
    )
    with pytest.raises(google_errors.ServerError):
        _ = [chunk async for chunk in stream]
    responses = await openai_client.responses.create(
        model="echo-1", input="hello there echo:error=5", stream=True
    )
    assert [event.type async for event in responses][-1] == "error"


async def test_a_broken_connection_is_noticed(openai_client: openai.AsyncOpenAI) -> None:
    stream = await openai_client.chat.completions.create(
        model="echo-1", messages=user("hello there echo:cut=3,torn=1"), stream=True
    )
    with pytest.raises(Exception, match=r"incomplete|peer|closed|Connection"):
        _ = [chunk async for chunk in stream]
