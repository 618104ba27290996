"""A conversation that goes on with another provider: each is sent only what it can have made itself."""

import json
from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any

import pytest
import pytest_asyncio

from gateway.translation.gemini_generate_signature import STAND_INS, unpack
from tests.end_to_end.stand import Stand
from tests.end_to_end.test_translation import MODELS, TARGETS, tree
from tests.end_to_end.translated import Library, library

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]

TEXT = "Berlin echo:tools=2,reasoning=9"
CARRIED = ("__sig__", '"gemini:', '"openai:', '"anthropic:', '"signature": ""', "rs_req-")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with Stand(tmp_path_factory.mktemp("changing"), tree) as stand:
        yield stand


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def libraries(shared: Stand) -> AsyncIterator[dict[str, Library]]:
    made = {name: library(name, shared) for name in MODELS}
    yield made
    for one in made.values():
        await one.close()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("caller", "first"), list(permutations(MODELS, 2)))
async def test_a_tool_loop_comes_home(
    libraries: dict[str, Library], shared: Stand, caller: str, first: str, stream: bool
) -> None:
    said = await libraries[caller].ask(MODELS[first], TEXT, tools=True, stream=stream, most=5000)
    assert len(said.calls) == 2
    kept = json.dumps(said.turn, default=lambda turn: turn.model_dump(mode="json"))
    if first == "gemini_generate":
        assert "__sig__" in kept  # the seal is kept by the caller, for the provider that made it
    home = "gemini/gemini-3-flash-preview" if caller == "gemini_generate" else MODELS[caller]
    ended = await libraries[caller].answer_tools(home, "Berlin", said, ["sunny", "rainy"])
    assert ended.text == "Berlin"
    sent = shared.upstream.last
    assert TARGETS[caller].removesuffix("gemini-2.5-flash:") in sent.target
    text = json.dumps(sent.json)
    assert not [mark for mark in CARRIED if mark in text]
    assert "sunny" in text
    assert "rainy" in text
    calls, results = ids(caller, sent.json)
    assert calls == results
    if caller == "gemini_generate":
        parts = [part for content in sent.json["contents"] for part in content["parts"]]
        seals = [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]
        assert [seal for seal in seals if seal in STAND_INS]
        assert all(unpack(seal)[1] == "gemini" for seal in seals)


@pytest.mark.parametrize("caller", ["openai_chat", "openai_responses", "anthropic_messages"])
async def test_the_provider_that_made_a_seal_gets_it_back(
    libraries: dict[str, Library], shared: Stand, caller: str
) -> None:
    model = "gemini/gemini-3-flash-preview"
    said = await libraries[caller].ask(model, TEXT, tools=True)
    await libraries[caller].answer_tools(model, "Berlin", said, ["sunny", "rainy"])
    parts = [part for content in shared.upstream.last.json["contents"] for part in content["parts"]]
    first, second = (part for part in parts if "functionCall" in part)
    assert first["thoughtSignature"] not in STAND_INS
    assert "thoughtSignature" not in second


async def test_a_conversation_of_one_provider_is_sent_as_it_came(shared: Stand) -> None:
    body: dict[str, Any] = {
        "model": MODELS["anthropic_messages"],
        "max_tokens": 9000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [
            {"role": "user", "content": "hi\u2028"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "EqQBCkYIBxgC"},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "__sig__", "b": 1.0}},
            ]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "r"}]},
        ],
    }  # fmt: skip
    assert (await shared.ask("/v1/messages", body)).status == 200
    body["model"] = "claude-sonnet-5-5"
    assert shared.upstream.last.body == json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def ids(dialect: str, body: Any) -> tuple[list[str], list[str]]:
    """The ids of the calls in a request, and of the results."""
    if dialect == "openai_chat":
        calls = [call["id"] for one in body["messages"] for call in one.get("tool_calls") or []]
        return calls, [one["tool_call_id"] for one in body["messages"] if one["role"] == "tool"]
    if dialect == "openai_responses":
        kinds = ("function_call", "function_call_output")
        found = [[item["call_id"] for item in body["input"] if item.get("type") == kind] for kind in kinds]
        return found[0], found[1]
    if dialect == "anthropic_messages":
        blocks = [
            block for one in body["messages"] if isinstance(one["content"], list) for block in one["content"]
        ]
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        return calls, [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    parts = [part for content in body["contents"] for part in content["parts"]]
    calls = [part["functionCall"].get("id", "") for part in parts if "functionCall" in part]
    return calls, [part["functionResponse"].get("id", "") for part in parts if "functionResponse" in part]
