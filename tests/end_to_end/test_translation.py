"""Any dialect to any provider: four official libraries, each over all that speak another dialect."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio

from gateway.records import Record
from tests.end_to_end.stand import Stand, user
from tests.end_to_end.translated import DESCRIPTION, TOOL, Library, library
from tests.upstream import Upstream

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]

MODELS = {
    "openai_chat": "chatty/gpt-5-mini",
    "openai_responses": "responder/gpt-5-mini",
    "anthropic_messages": "anthropic/claude-sonnet-5-5",
    "gemini_generate": "gemini/gemini-2.5-flash",
}
TARGETS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
    "gemini_generate": "/models/gemini-2.5-flash:",
}
PAIRS = list(permutations(MODELS, 2))
TEXT = 'Hällo, wörld! Line\u2028separator, \u2029, \u0085 and "quotes". 😀'
TOKENS = -(-len(TEXT.encode()) // 4)


def tree(upstream: Upstream) -> dict[str, Any]:
    """A provider that has chat only, and one that has responses only."""
    one = {"use": "openai", "base_url": upstream.openai, "api_key": "sk-test", "allow_private": True}
    return {
        "providers": {
            "chatty": {**one, "dialects": ["openai_chat"]},
            "responder": {**one, "dialects": ["openai_responses"]},
        }
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with Stand(tmp_path_factory.mktemp("translation"), tree) as stand:
        yield stand


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def libraries(shared: Stand) -> AsyncIterator[dict[str, Library]]:
    made = {name: library(name, shared) for name in MODELS}
    yield made
    for one in made.values():
        await one.close()


def asked(stand: Stand, provider: str) -> Any:
    """What the provider was asked last, in its own dialect."""
    assert TARGETS[provider] in stand.upstream.last.target
    return stand.upstream.last.json


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_text_system_and_turns(
    libraries: dict[str, Library], shared: Stand, caller: str, provider: str, stream: bool
) -> None:
    said = await libraries[caller].ask(
        MODELS[provider],
        TEXT,
        stream=stream,
        system="Be kind.",
        history=(("user", "first\u2028words"), ("assistant", "an answer")),
    )
    assert said.text == TEXT
    assert (said.stop, said.output) == ("end", TOKENS)
    assert said.input > 0
    sent = json.dumps(asked(shared, provider), ensure_ascii=False)
    for words in ("Be kind.", "first\u2028words", "an answer"):
        assert words in sent


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_parallel_tools_and_their_results(
    libraries: dict[str, Library], shared: Stand, caller: str, provider: str, stream: bool
) -> None:
    one = libraries[caller]
    said = await one.ask(MODELS[provider], "Berlin echo:tools=2", stream=stream, tools=True)
    assert [name for name, _ in said.calls] == [TOOL, TOOL]
    assert said.calls[0][1] == {"title": "Berlin", "count": 1}
    assert said.stop == "tools"
    assert DESCRIPTION in json.dumps(asked(shared, provider))
    ended = await one.answer_tools(MODELS[provider], "Berlin echo:tools=1", said, ["sunny", "rainy"])
    assert ended.text == "Berlin"
    sent = json.dumps(asked(shared, provider))
    assert sent.index("sunny") < sent.index("rainy")


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_pictures_and_structured_answers(
    libraries: dict[str, Library], shared: Stand, caller: str, provider: str
) -> None:
    said = await libraries[caller].ask(MODELS[provider], "A title", picture=True, schema=True)
    assert json.loads(said.text) == {"title": "A title", "count": 1}
    assert said.input > 85  # what echo counts for a picture


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_reasoning_is_asked_for_and_shown(
    libraries: dict[str, Library], shared: Stand, caller: str, provider: str, stream: bool
) -> None:
    said = await libraries[caller].ask(
        MODELS[provider], "Think. echo:reasoning=9", effort=True, stream=stream
    )
    sent = asked(shared, provider)
    assert {"reasoning_effort", "reasoning", "thinking", "generationConfig"} & set(sent)
    assert said.text == "Think."
    assert said.output == 11


ENDS = {
    "openai_chat": "length",
    "openai_responses": "incomplete",
    "anthropic_messages": "max_tokens",
    "gemini_generate": "MAX_TOKENS",
}


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_the_limit_of_an_answer_is_told(
    libraries: dict[str, Library], caller: str, provider: str
) -> None:
    said = await libraries[caller].ask(MODELS[provider], f"long echo:finish={ENDS[provider]}")
    assert said.stop == "length"


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_a_record_is_kept_with_the_providers_numbers(
    libraries: dict[str, Library], shared: Stand, caller: str, provider: str
) -> None:
    began_us = time.time_ns() // 1000
    await libraries[caller].ask(MODELS[provider], TEXT)
    records: list[Record] = []
    while not records:
        records = [one for one in await shared.gateway.records(0) if one.at >= began_us]
        await asyncio.sleep(0.01)
    assert len(records) == 1
    assert (records[0].dialect, records[0].outcome, records[0].model_routed) == (
        caller, "ok", MODELS[provider],
    )  # fmt: skip
    assert records[0].tokens_output == TOKENS
    assert records[0].usage_source == "reported"
    assert shared.held == (0, 0)


async def test_errors_come_in_the_callers_own_shape_and_status(shared: Stand) -> None:
    client = openai.AsyncOpenAI(base_url=f"{shared.gateway.url}/v1", api_key=shared.key, max_retries=0)
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(
            model=MODELS["anthropic_messages"], messages=user("no echo:status=400")
        )
    assert refused.value.type
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(
            model=MODELS["gemini_generate"], messages=user("no echo:status=500")
        )
    await client.close()
    other = anthropic.AsyncAnthropic(base_url=shared.gateway.url, api_key=shared.key, max_retries=0)
    with pytest.raises(anthropic.BadRequestError):
        await other.messages.create(
            model=MODELS["openai_chat"], max_tokens=9, messages=user("no echo:status=400")
        )
    with pytest.raises(anthropic.APIStatusError):
        async with other.messages.stream(
            model=MODELS["openai_chat"], max_tokens=9, messages=user("no echo:tokens=9,error=3")
        ) as stream:
            await stream.get_final_message()
    await other.close()


async def test_what_is_dropped_is_listed_and_refused_when_strict(shared: Stand) -> None:
    body = {"model": MODELS["anthropic_messages"], "messages": user("Hi"), "seed": 7}
    loose = await shared.ask("/v1/chat/completions", body)
    assert loose.status == 200
    assert loose.headers["x-gateway-dropped"] == "seed"
    strict = await shared.ask("/v1/chat/completions", body, headers={"x-gateway-strict": "on"})
    assert strict.status == 400
    assert strict.headers["x-gateway-error"] == "cannot_translate"
    assert "seed" in strict.json["error"]["message"]


async def test_the_same_dialect_is_not_translated(shared: Stand) -> None:
    body = {"model": MODELS["openai_chat"], "messages": user(TEXT), "seed": 7, "unheard_of": {"a": [1]}}
    answer = await shared.ask("/v1/chat/completions", body)
    assert "x-gateway-dropped" not in answer.headers
    assert shared.upstream.last.json == {**body, "model": "gpt-5-mini"}
