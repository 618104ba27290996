"""Conversations that come home: what other makers left is taken out, and everything else stays."""

import base64
from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Shape
from gateway.names import Slug
from gateway.records import PathKind
from gateway.translation.canonical import Maker, carried_id
from gateway.translation.gemini_generate_signature import STAND_INS, UNSEALED, pack, unpack
from gateway.translation.homecoming import at_home, without_thoughts

CARRIED = carried_id("c1", "EpwC/a+b==")
OWN = base64.b64encode(b"\x12\x9c\x02its own").decode()


def call_of(dialect: str, tree: dict[str, Any]) -> Call:
    body, shape = Document(tree, 9), Shape(turns=9)
    return Call(dialect=Slug(dialect), kind=PathKind.CHAT, model="m", stream=False, body=body, shape=shape)


def home(dialect: str, tree: dict[str, Any], model: str = "m") -> dict[str, Any] | None:
    """What becomes of a body; None: it stays. The tree that is handed over is never changed."""
    written = orjson.dumps(tree)
    call = call_of(dialect, tree)
    bare = at_home(call, model)
    assert orjson.dumps(tree) == written
    if bare is call:
        return None
    assert isinstance(bare.body, Document)
    return bare.body.open(Purpose.TRANSLATE)


def test_ids_in_chat_carry_no_seal() -> None:
    function = {"name": "f", "arguments": '{"id":"x__sig__y"}'}
    messages: list[Any] = [
        {"role": "user", "content": "about __sig__"},
        {"role": "assistant", "tool_calls": [{"id": CARRIED, "function": function}, {"id": "c2"}, None, 7]},
        {"role": "tool", "tool_call_id": CARRIED, "content": "r"},
        "odd",
    ]
    assert home("openai_chat", {"a": 1, "messages": messages}) == {
        "a": 1,
        "messages": [
            messages[0],
            {"role": "assistant", "tool_calls": [{"id": "c1", "function": function}, {"id": "c2"}, None, 7]},
            {"role": "tool", "tool_call_id": "c1", "content": "r"},
            "odd",
        ],
    }


def test_responses_are_given_no_foreign_thoughts() -> None:
    said = {"type": "message", "role": "user", "content": "anthropic:"}
    own = {"type": "reasoning", "id": "rs_0a", "summary": [], "encrypted_content": "gAAAA"}
    items: list[Any] = [
        said,
        own,
        {"type": "reasoning", "id": "rs_req-1f-2_0", "summary": []},
        {"type": "reasoning", "summary": [], "encrypted_content": "anthropic:redacted:xyz"},
        {"type": "reasoning", "summary": [], "encrypted_content": "gemini:xyz"},
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": CARRIED, "name": "f"},
        {"type": "function_call_output", "call_id": CARRIED, "output": "r"},
    ]
    assert home("openai_responses", {"input": items}) == {
        "input": [
            said,
            own,
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "c1", "name": "f"},
            {"type": "function_call_output", "call_id": "c1", "output": "r"},
        ]
    }
    assert home("openai_responses", {"input": "__sig__"}) is None


@pytest.mark.parametrize("dialect", ["anthropic_messages", "anthropic_count"])
def test_messages_have_only_thoughts_that_anthropic_signed(dialect: str) -> None:
    own = {"type": "thinking", "thinking": "t", "signature": "EqQB"}
    used = {"type": "tool_use", "id": CARRIED, "name": "f", "input": {}}
    messages: list[Any] = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "t", "signature": "gemini:abc"},
            {"type": "thinking", "thinking": "t", "signature": ""},
            {"type": "redacted_thinking", "data": "openai:abc"},
        ]},
        {"role": "user", "content": [{"type": "text", "text": "again"}]},
        {"role": "assistant", "content": [own, used]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": CARRIED, "content": "r"}]},
    ]  # fmt: skip
    thinking = {"type": "enabled", "budget_tokens": 2000}
    assert home(dialect, {"messages": messages, "thinking": thinking}) == {
        "messages": [
            messages[0],
            messages[2],
            {
                "role": "assistant",
                "content": [own, {"type": "tool_use", "id": "c1", "name": "f", "input": {}}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "r"}]},
        ],
        "thinking": thinking,
    }


@pytest.mark.parametrize(
    ("thinking", "left"),
    [
        ({"type": "enabled", "budget_tokens": 2000}, {"type": "disabled"}),
        ({"type": "adaptive"}, {"type": "adaptive"}),
    ],
)
def test_a_tool_loop_that_another_model_began_goes_on_without_a_budget_of_thinking(
    thinking: dict[str, Any], left: dict[str, Any]
) -> None:
    messages: list[Any] = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_9", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_9", "content": "r"}]},
    ]
    after = home("anthropic_messages", {"messages": messages, "thinking": thinking})
    assert after == (None if left == thinking else {"messages": messages, "thinking": left})
    messages[1] = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_9", "name": "f"}]}
    assert home("anthropic_messages", {"messages": messages, "thinking": thinking}) is None


def test_odd_messages_are_left_alone() -> None:
    for messages in ("__sig__", None, [], [{"role": "assistant"}, "__sig__"], [{"content": [1, "__sig__"]}]):
        tree = {"messages": messages, "thinking": {"type": "enabled"}, "x": "__sig__"}
        assert home("anthropic_messages", tree) is None


@pytest.mark.parametrize("field", ["thoughtSignature", "thought_signature"])
def test_gemini_is_given_no_foreign_seals(field: str) -> None:
    foreign = pack("xyz+/==", Maker.ANTHROPIC)
    contents: list[Any] = [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [
            {"text": "hm", "thought": True, field: foreign},
            {"text": "words", field: pack("q", Maker.OPENAI, True)},
            {"text": "", field: foreign},
            {"functionCall": {"name": "f", "args": {}}},
            {"functionCall": {"name": "g", "args": {}}, field: foreign},
            {"text": "own", field: OWN},
        ]},
        {"role": "model", "parts": [{"text": "", "thought": True, field: foreign}]},
    ]  # fmt: skip
    left = [
        {"text": "words"},
        {"functionCall": {"name": "f", "args": {}}},
        {"functionCall": {"name": "g", "args": {}}},
        {"text": "own", field: OWN},
    ]
    second = home("gemini_generate", {"contents": contents}, "gemini-2.5-flash")
    assert second == {"contents": [contents[0], {"role": "model", "parts": left}]}
    third = home("gemini_generate", {"contents": contents}, "gemini-3-pro")
    sealed = [left[0], {**left[1], "thoughtSignature": UNSEALED}, *left[2:]]
    assert third == {"contents": [contents[0], {"role": "model", "parts": sealed}]}


@pytest.mark.parametrize("stand_in", STAND_INS)
def test_the_stand_in_for_a_seal_stays_where_seals_are_checked(stand_in: str) -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    tree = {"contents": [{"role": "model", "parts": [{**call, "thoughtSignature": stand_in}]}]}
    assert home("gemini_generate", tree, "gemini-3-pro") is None
    assert home("gemini_generate", tree, "gemini-2.5-flash") == {
        "contents": [{"role": "model", "parts": [call]}]
    }


def test_calls_of_one_turn_and_other_bodies_are_not_looked_at() -> None:
    messages: list[Any] = [{"role": "tool", "tool_call_id": CARRIED}]
    assert home("openai_chat", {"messages": messages}) == {
        "messages": [{"role": "tool", "tool_call_id": "c1"}]
    }
    one = replace(call_of("openai_chat", {"messages": messages}), shape=Shape(turns=1))
    assert at_home(one, "m") is one
    assert home("openai_embeddings", {"input": "__sig__"}) is None
    form = replace(one, body=Content(b"__sig__"), shape=Shape(turns=2))
    assert at_home(form, "m") is form


def test_thoughts_in_plain_words_are_taken_out_of_chats() -> None:
    said = {"role": "assistant", "content": "a"}
    call = call_of("openai_chat", {"messages": [{"role": "user"}, {**said, "reasoning_content": "hm"}]})
    bare = without_thoughts(call).body
    assert isinstance(bare, Document)
    assert bare.open(Purpose.TRANSLATE) == {"messages": [{"role": "user"}, said]}
    for same in (
        call_of("openai_chat", {"messages": [said, said]}),
        call_of("openai_responses", {"messages": [{"reasoning_content": "hm"}]}),
        replace(call, shape=Shape(turns=1)),
        replace(call, body=Content(b"")),
    ):
        assert without_thoughts(same) is same


@pytest.mark.parametrize("seal", ["YW50aHJvcGlj*", "YW50aHJvcGljLm9yZw==", "b3BlbmFp"])
def test_a_seal_that_only_begins_like_a_foreign_one_is_geminis_own(seal: str) -> None:
    assert unpack(seal) == (seal, Maker.GEMINI, False)
