"""Google's own library through the gateway."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pydantic
import pytest
import pytest_asyncio
from google import genai
from google.genai import errors, types

from tests.end_to_end.calls import FUNCTIONS
from tests.end_to_end.stand import GEMINI, PROVIDER_KEYS, Stand, drain

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # the library's own way with aiohttp, which aiohttp warns of
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]

TEXT = 'Hällo, wörld! Line\u2028separator, \u2029, \u0085 and "quotes". 😀'


class Report(pydantic.BaseModel):
    """What structured answers are asked to be."""

    title: str
    count: int


def client_of(stand: Stand, key: str | None = None, **options: Any) -> genai.Client:
    return genai.Client(
        api_key=key or stand.key, http_options=types.HttpOptions(base_url=stand.gateway.url, **options)
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared: Stand) -> AsyncIterator[genai.Client]:
    one = client_of(shared)
    yield one
    await one.aio.aclose()
    one.close()


@pytest.mark.parametrize("version", ["v1", "v1beta", None])
async def test_both_versions_of_the_path_work(shared: Stand, version: str | None) -> None:
    one = client_of(shared, **({"api_version": version} if version else {}))
    answer = await one.aio.models.generate_content(model=GEMINI, contents=TEXT)
    assert answer.text == TEXT
    stream = await one.aio.models.generate_content_stream(model=GEMINI, contents=TEXT)
    assert "".join([chunk.text or "" async for chunk in stream]) == TEXT
    sent = shared.upstream.last
    assert sent.target.startswith(f"/{version or 'v1'}")
    assert sent.header("x-goog-api-key") == PROVIDER_KEYS["gemini"]
    await one.aio.aclose()
    one.close()


async def test_usage_is_recorded_as_it_is_told(client: genai.Client, shared: Stand) -> None:
    answer = await client.aio.models.generate_content(
        model=GEMINI, contents="x" * 400 + " echo:cached=20,reasoning=7"
    )
    usage = answer.usage_metadata
    assert usage is not None
    assert (usage.cached_content_token_count, usage.thoughts_token_count) == (20, 7)
    headers = answer.sdk_http_response.headers  # type: ignore[union-attr]
    assert headers is not None
    record = await shared.record_of(headers["x-gateway-request-id"])
    assert (record.tokens_cached, record.tokens_reasoning) == (20, 7)
    assert record.tokens_input == usage.prompt_token_count
    assert record.tokens_output == (usage.candidates_token_count or 0) + 7


async def test_tools_pictures_and_structured_answers_pass(client: genai.Client) -> None:
    declared: Any = [{"name": one["name"], "parameters_json_schema": one["parameters"]} for one in FUNCTIONS]
    config: Any = {
        "tools": [{"function_declarations": declared}],
        "tool_config": {"function_calling_config": {"mode": "ANY"}},
        "automatic_function_calling": {"disable": True},
    }
    contents: Any = [
        types.Part.from_text(text="Bern echo:tools=2"),
        types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png"),
    ]
    answer = await client.aio.models.generate_content(model=GEMINI, contents=contents, config=config)
    assert [call.args for call in answer.function_calls or ()] == [{"title": "Bern", "count": 1}, {}]
    parsed = await client.aio.models.generate_content(
        model=GEMINI, contents="T",
        config={"response_mime_type": "application/json", "response_schema": Report},
    )  # fmt: skip
    assert parsed.parsed == Report(title="T", count=1)


async def test_embeddings_and_counts_pass(client: genai.Client) -> None:
    embedded = await client.aio.models.embed_content(
        model="gemini-embedding-001", contents=["a", "b"], config={"output_dimensionality": 4}
    )
    assert [len(one.values or ()) for one in embedded.embeddings or ()] == [4, 4]
    counted = await client.aio.models.count_tokens(model=GEMINI, contents="12345")
    assert counted.total_tokens == 2


async def test_many_streams_at_once_keep_apart(client: genai.Client) -> None:
    async def one(number: int) -> None:
        text = f"stream number {number} \u2028 " * 5
        stream = await client.aio.models.generate_content_stream(model=GEMINI, contents=text)
        assert "".join([chunk.text or "" async for chunk in stream]) == text

    await asyncio.gather(*(one(number) for number in range(100)))


async def test_the_synchronous_client_works_in_a_thread(shared: Stand) -> None:
    def ask() -> tuple[str | None, str]:
        one = client_of(shared)
        whole = one.models.generate_content(model=GEMINI, contents=TEXT)
        stream = one.models.generate_content_stream(model=GEMINI, contents=TEXT)
        pieces = "".join(chunk.text or "" for chunk in stream)
        one.close()
        return whole.text, pieces

    assert await asyncio.to_thread(ask) == (TEXT, TEXT)


# --- errors -----------------------------------------------------------------------------------------


async def test_our_refusals_are_the_librarys_own_exceptions(client: genai.Client, shared: Stand) -> None:
    async def refused(key: str | None, model: str = GEMINI) -> errors.ClientError:
        one = client_of(shared, key)
        try:
            with pytest.raises(errors.ClientError) as refusal:
                await one.aio.models.generate_content(model=model, contents="x")
        finally:
            await one.aio.aclose()
            one.close()
        return refusal.value

    unknown = await refused("AIza-wrong")
    assert (unknown.code, unknown.status) == (401, "UNAUTHENTICATED")
    missing = await refused(None, "no-such-model")
    assert (missing.code, missing.status) == (404, "NOT_FOUND")
    poor = await refused(await shared.gateway.make_key("poor", cap="0.000001"))
    assert poor.code == 402
    key = await shared.gateway.make_key("slow", rate="1")
    one = client_of(shared, key)
    await one.aio.models.generate_content(model=GEMINI, contents="x")
    await one.aio.aclose()
    one.close()
    early = await refused(key)
    assert (early.code, early.status) == (429, "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_the_providers_errors_pass_in_shape(client: genai.Client, status: int) -> None:
    expected = errors.ClientError if status < 500 else errors.ServerError
    contents = f"quoted echo:status={status},retry_after=0"
    with pytest.raises(expected) as refused:
        await client.aio.models.generate_content(model=GEMINI, contents=contents)
    assert refused.value.code == status
    assert f"Echo refuses with {status}: quoted" in (refused.value.message or "")


@pytest.mark.parametrize("orders", ["cut=2", "error=2", "end=2", "cut=2,torn=1"])
async def test_a_stream_that_breaks_raises(client: genai.Client, orders: str) -> None:
    stream = await client.aio.models.generate_content_stream(
        model=GEMINI, contents=f"one two three four echo:{orders}"
    )
    seen: list[Any] = []
    with pytest.raises((errors.ServerError, aiohttp.ClientPayloadError)):
        await drain(stream, seen)
    assert len(seen) == 2
    with warnings.catch_warnings():  # the library leaves the connection of a broken stream to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        del stream
        gc.collect()
