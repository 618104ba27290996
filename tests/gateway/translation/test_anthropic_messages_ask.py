"""Anthropic's Messages as a tongue: calls."""

import re
from base64 import b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.content import Document, Purpose
from gateway.contracts import Call, Shape
from gateway.errors import CallerError
from gateway.names import Slug
from gateway.records import PathKind
from gateway.translation import anthropic_messages as tongue
from gateway.translation.anthropic_messages_models import fitting_budget, line_of, nearest_effort
from gateway.translation.bridge import losses_of
from gateway.translation.canonical import (
    Ask,
    Choice,
    Effort,
    File,
    Format,
    Image,
    Maker,
    Reasoning,
    Role,
    Sound,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    Use,
    carried_id,
)
from gateway.translation.losses import Loss, Losses
from gateway.translation.tongue import Aim, Tongue
from tests.gateway.translation.anthropic_asks import JSON, MODELS, asks, normal

SPEAKER: Tongue = tongue
USER = Turn(Role.USER, (Text("Hi"),))
LOOK = Tool("look", "Looks.", {"type": "object", "properties": {"at": {"type": "string"}}})
PNG = {"type": "base64", "media_type": "image/png", "data": "aW1n"}

NEW, OLD, FIRST = "claude-opus-4-8", "claude-sonnet-4-5", "claude-3-haiku-20240307"


def call_of(tree: dict[str, Any]) -> Call:
    return Call(
        dialect=tongue.NAME,
        kind=PathKind.MESSAGES,
        model=str(tree.get("model")),
        stream=tree.get("stream") is True,
        body=Document(tree, 100),
        shape=Shape(body_bytes=100, turns=1),
    )


def read(fields: dict[str, Any] | None = None, *messages: Any) -> tuple[Ask, list[str]]:
    """The call with these fields and messages, and what was dropped."""
    losses = Losses()
    tree = {"model": "m", "max_tokens": 50, "messages": list(messages) or [{"role": "user", "content": "Hi"}]}
    return tongue.read_ask(call_of(tree | (fields or {})), losses), list(losses.dropped)


def read_parts(*blocks: Any, role: str = "user") -> tuple[Any, ...]:
    return read({}, {"role": role, "content": list(blocks)})[0].turns[0].parts


def write(ask: Ask, model: str = NEW, max_output: int = 8000) -> tuple[dict[str, Any], list[str]]:
    losses = Losses()
    body = tongue.write_ask(ask, Aim(model=model, max_output=max_output), losses)
    assert orjson.dumps(body)
    return body, list(losses.dropped)


def refused(fields: dict[str, Any], *messages: Any) -> tuple[str, str | None]:
    with pytest.raises(CallerError) as caught:
        read(fields, *messages)
    return caught.value.code, caught.value.about


def block(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


# --- there and back --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_call_that_is_written_and_read_is_the_same_but_for_declared_losses(
    model: str, data: st.DataObject
) -> None:
    ask = data.draw(asks(model))
    losses = Losses()
    body = tongue.write_ask(ask, Aim(model=model, max_output=7000), losses)
    assert {losses_of(tongue, tongue)[name] for name in losses.dropped} <= {Loss.DROPPED}
    check_rules(body)
    again = Losses()
    back = tongue.read_ask(call_of(orjson.loads(orjson.dumps(body))), again)
    assert not again.dropped
    dropped = set(losses.dropped)
    assert normal(back, dropped, 7000, back=True) == normal(ask, dropped, 7000, back=False)


def check_rules(body: dict[str, Any]) -> None:
    """What Anthropic asks of every request."""
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)
    for message in body["messages"]:
        kinds = [part["type"] for part in message["content"]]
        assert kinds
        assert sorted(kinds, key=lambda kind: kind != "tool_result") == kinds
        for part in message["content"]:
            assert part["type"] != "text" or part["text"].strip()
            for name in ("id", "tool_use_id"):
                assert re.fullmatch("[a-zA-Z0-9_-]+", part.get(name, "x"))
    thinking = body.get("thinking", {})
    if thinking.get("type") == "enabled":
        assert 1024 <= thinking["budget_tokens"] < body["max_tokens"]
    if thinking.get("type") in ("enabled", "adaptive"):
        assert "top_k" not in body
        assert "temperature" not in body


REQUEST: dict[str, Any] = {
    "model": "m",
    "max_tokens": 50,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "tools": [{"name": "look", "description": "d", "input_schema": {"type": "object"}, "strict": True}],
    "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    "stop_sequences": ["a"],
    "metadata": {"user_id": "u"},
    "service_tier": "standard_only",
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "messages": [
        {"role": "user", "content": [block("text", text="Hi"), block("image", source=PNG)]},
        {
            "role": "assistant",
            "content": [
                block("thinking", thinking="t", signature="s"),
                block("redacted_thinking", data="d"),
                block("tool_use", id="a", name="look", input={"x": 1}),
            ],
        },
        {
            "role": "user",
            "content": [
                block("tool_result", tool_use_id="a", content=[block("text", text="r")], is_error=True),
                block("document", source=block("text", media_type="text/plain", data="d"), title="t"),
                block("search_result", title="t", source="s", content=[block("text", text="f")]),
                block("document", source=block("content", content=[block("text", text="c")])),
            ],
        },
        {"role": "system", "content": "More."},
    ],
}


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a tree."""
    found = [path]
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        found += places(value, (*path, key))
    return found


def test_every_field_of_a_rich_request_is_read() -> None:
    losses = Losses()
    ask = tongue.read_ask(call_of(REQUEST), losses)
    assert ask.system == (Text("Be brief."), Text("More."))
    assert ask.tools == (Tool("look", "d", {"type": "object"}, True),)
    assert ask.choice == Choice(Use.NAMED, ("look",), False)
    assert ask.reasoning == Reasoning(effort=Effort.LOW, budget_tokens=2000, shown=False)
    assert ask.format == Format({"type": "object"})
    assert (ask.temperature, ask.top_p, ask.top_k, ask.max_output) == (0.5, 0.5, 5, 50)
    assert (ask.stop, ask.user, ask.tier, ask.stream) == (("a",), "u", "default", False)
    assert ask.turns[1].parts == (
        Thought("t", "s", Maker.ANTHROPIC),
        Thought("", "d", Maker.ANTHROPIC, True),
        ToolCall("a", "look", '{"x":1}'),
    )
    assert ask.turns[2].parts == (
        ToolResult("a", (Text("r"),), is_error=True),
        File(media_type="text/plain", text="d", name="t"),
        File(media_type="text/plain", text="f", name="t"),
        File(media_type="text/plain", text="c"),
    )
    assert set(losses.dropped) == {"cache_control", "context_clearing", "search_result", "system_place"}


@given(st.data())
@settings(max_examples=250, deadline=None)
def test_whatever_stands_anywhere_in_a_request_nothing_but_a_callers_error_comes_of_it(
    data: st.DataObject,
) -> None:
    tree = orjson.loads(orjson.dumps(REQUEST))
    *path, last = data.draw(st.sampled_from(places(tree)[1:]))
    place = tree
    for key in path:
        place = place[key]
    place[last] = data.draw(JSON)
    losses = Losses()
    error = error_of(tree, losses)
    if error is not None and error.code != "bad_request":
        assert error.code == "cannot_translate"
        assert losses_of(tongue, tongue)[Slug(str(error.about))] is Loss.REFUSED
    assert {losses_of(tongue, tongue)[name] for name in losses.dropped} <= {Loss.DROPPED}


def error_of(tree: dict[str, Any], losses: Losses) -> CallerError | None:
    """What is raised when a request is read and written again."""
    try:
        ask = tongue.read_ask(call_of(tree), losses)
        for model in (NEW, OLD):
            tongue.write_ask(ask, Aim(model=model, max_output=5), losses)
    except CallerError as error:
        return error
    return None


# --- as the caller's dialect -------------------------------------------------------------------------------


def test_a_signature_in_an_id_comes_back_on_the_call_and_leaves_the_result() -> None:
    carried = carried_id("call_1", "sig+/=")
    ask, _ = read(
        {},
        {"role": "assistant", "content": [block("tool_use", id=carried, name="f", input={})]},
        {"role": "user", "content": [block("tool_result", tool_use_id=carried)]},
    )
    assert ask.turns[0].parts == (ToolCall("call_1", "f", "{}", "sig+/="),)
    assert ask.turns[1].parts == (ToolResult("call_1", ()),)


def test_a_foreign_signature_in_a_thought_is_given_back_to_its_maker() -> None:
    parts = read_parts(
        block("thinking", thinking="t", signature="openai:abc"),
        block("thinking", thinking="t", signature=""),
        block("redacted_thinking", data="gemini:x=="),
        role="assistant",
    )
    assert parts == (
        Thought("t", "abc", Maker.OPENAI),
        Thought("t"),
        Thought("", "x==", Maker.GEMINI, True),
    )


@pytest.mark.parametrize(
    ("source", "part"),
    [
        (
            block("url", url="https://e.org/a.pdf"),
            File(media_type="application/pdf", url="https://e.org/a.pdf"),
        ),
        (
            block("base64", media_type="application/pdf", data="YQ=="),
            File(media_type="application/pdf", data="YQ=="),
        ),
        (block("content", content="c"), File(media_type="text/plain", text="c")),
        (block("content", content=[block("image", source=PNG)]), Image(media_type="image/png", data="aW1n")),
    ],
)
def test_documents_are_read_from_every_source(source: Any, part: Any) -> None:
    assert read_parts(block("document", source=source)) == (part,)


def test_pictures_are_read_from_addresses() -> None:
    assert read_parts(block("image", source=block("url", url="u"))) == (Image(url="u"),)


def test_empty_texts_are_left_out() -> None:
    ask, _ = read(
        {"system": [block("text", text="")]},
        {"role": "user", "content": ""},
        {"role": "user", "content": [block("text", text="")]},
        {"role": "assistant", "content": [block("tool_use", id="a", name="f", input={})]},
        {"role": "user", "content": [block("tool_result", tool_use_id="a", content="")]},
        {"role": "user", "content": [block("tool_result", tool_use_id="b", content="r")]},
    )
    assert not ask.system
    assert ask.turns[1].parts == (ToolResult("a", ()), ToolResult("b", (Text("r"),)))
    assert read({"system": ""})[0].system == ()


@pytest.mark.parametrize(
    ("thinking", "effort", "reasoning"),
    [
        (None, None, None),
        (None, "max", Reasoning(effort=Effort.MAX)),
        ({"type": "adaptive"}, None, Reasoning()),
        ({"type": "adaptive", "display": "summarized"}, "high", Reasoning(effort=Effort.HIGH, shown=True)),
        ({"type": "disabled"}, None, Reasoning(effort=Effort.NONE)),
        ({"type": "between_tools"}, "low", Reasoning(effort=Effort.NONE)),
    ],
)
def test_thinking_is_read_in_every_form(thinking: Any, effort: Any, reasoning: Any) -> None:
    assert read({"thinking": thinking, "output_config": {"effort": effort}})[0].reasoning == reasoning


@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ({"cache_control": {}}, "cache_control"),
        ({"speed": "fast"}, "speed"),
        ({"made_up": 1}, "unknown_field"),
        ({"made_up": None}, None),
        ({"context_management": {}}, None),
        ({"messages": [{"role": "system", "content": "s"}]}, None),
        ({"output_config": {"task_budget": 5}}, "output_config"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, "effort"),
        ({"tools": [{"name": "f", "input_schema": {}, "defer_loading": True}]}, "defer_loading"),
        ({"tools": [{"name": "f", "input_schema": {}, "allowed_callers": ["direct"]}]}, None),
        ({"output_format": {"type": "json_schema", "schema": {}}}, None),
    ],
)
def test_what_has_no_place_is_told(fields: dict[str, Any], dropped: str | None) -> None:
    assert read(fields)[1] == ([] if dropped is None else [dropped])


@pytest.mark.parametrize(
    ("part", "dropped"),
    [
        (block("text", text="t", citations=[{}]), "citations"),
        (block("text", text="t", cache_control={"type": "ephemeral"}), "cache_control"),
        (block("tool_result", tool_use_id="t", cache_control={"type": "ephemeral"}), "cache_control"),
        (block("image", source=PNG, transformations={"x": 1}), "transformations"),
        (block("document", source=block("content", content="c"), context="c"), "context"),
        (block("document", source=block("content", content="c"), citations={"enabled": True}), "citations"),
    ],
)
def test_what_of_a_block_has_no_place_is_told(part: Any, dropped: str) -> None:
    assert read({}, {"role": "user", "content": [part]})[1] == [dropped]


def test_cached_calls_are_told_too() -> None:
    part = block("tool_use", id="a", name="f", input={}, cache_control={"type": "ephemeral"})
    assert read({}, {"role": "assistant", "content": [part]})[1] == ["cache_control"]


@pytest.mark.parametrize(
    ("fields", "feature"),
    [
        ({"container": "c"}, "container"),
        ({"mcp_servers": [1]}, "mcp_servers"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, "context_management"),
        ({"tools": [{"type": "web_search_20990101", "name": "web_search"}]}, "web_search"),
        ({"tools": [{"type": "computer_20250124", "name": "computer"}]}, "computer"),
        ({"tools": [{"type": "unheard_of"}]}, "server_tool"),
    ],
)
def test_what_only_anthropic_does_is_refused_by_its_name(fields: dict[str, Any], feature: str) -> None:
    assert refused(fields) == ("cannot_translate", feature)
    assert losses_of(tongue, tongue)[Slug(feature)] is Loss.REFUSED


@pytest.mark.parametrize(
    ("part", "feature"),
    [
        (block("server_tool_use", id="a"), "server_tool"),
        (block("web_search_tool_result"), "server_tool"),
        (block("tool_use", id="a", name="f", input={}, toolset_name="x"), "server_tool"),
        (block("compaction"), "compaction"),
        (block("unheard_of"), "unknown_block"),
        (block("image", source=block("file", file_id="f")), "file_id"),
    ],
)
def test_blocks_that_only_anthropic_understands_are_refused(part: Any, feature: str) -> None:
    assert refused({}, {"role": "assistant", "content": [part]}) == ("cannot_translate", feature)


@pytest.mark.parametrize(
    ("fields", "about"),
    [
        ({"messages": 1}, "messages"),
        ({"messages": ["x"]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": 1}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": [block("tool_use", id="a")]}]}, "messages"),
        ({"messages": [{"role": "user", "content": [block("image", source="x")]}]}, "messages"),
        ({"messages": [{"role": "user", "content": [block("image", source={"type": "x"})]}]}, "messages"),
        ({"system": 1}, "system"),
        ({"system": [block("image", source=PNG)]}, "system"),
        ({"tools": [1]}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools"),
        ({"tool_choice": {"type": "some"}}, "tool_choice"),
        ({"thinking": {"type": "some"}}, "thinking"),
        ({"output_config": {"effort": "some"}}, "output_config"),
        ({"output_config": {"format": {"type": "some"}}}, "output_config"),
        ({"service_tier": "some"}, "service_tier"),
        ({"temperature": True}, "temperature"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"metadata": {"user_id": 5}}, "metadata"),
        ({"stop_sequences": [5]}, "stop_sequences"),
    ],
)
def test_a_field_of_the_wrong_form_is_named(fields: dict[str, Any], about: str) -> None:
    assert refused(fields) == ("bad_request", about)


@pytest.mark.parametrize(
    "part",
    [
        block("tool_use", id="a", name="f", input="x"),
        block("document", source=block("some", data="x")),
        block("tool_result", tool_use_id="a"),
    ],
)
def test_wrong_blocks_of_the_assistant_are_bad(part: Any) -> None:
    assert refused({}, {"role": "assistant", "content": [part]}) == ("bad_request", "messages")


@pytest.mark.parametrize("wrong", [{"is_error": "x"}, {"content": [{"type": 5}]}, {"content": 5}])
def test_wrong_results_are_bad(wrong: dict[str, Any]) -> None:
    part = block("tool_result", tool_use_id="a", **wrong)
    assert refused({}, {"role": "user", "content": [part]}) == ("bad_request", "messages")


def test_arguments_too_deep_to_be_written_again_are_bad() -> None:
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"a": deep}
    part = block("tool_use", id="a", name="f", input=deep)
    assert refused({}, {"role": "assistant", "content": [part]}) == ("bad_request", "messages")


def test_strictness_makes_a_loss_a_refusal() -> None:
    with pytest.raises(CallerError) as caught:
        tongue.read_ask(call_of({"messages": [], "speed": "fast"}), Losses(strict=True))
    assert (caught.value.code, caught.value.about) == ("cannot_translate", "speed")


# --- as the provider's dialect -----------------------------------------------------------------------------


def test_results_come_first_and_all_of_a_turn_in_one_message() -> None:
    ask = Ask(
        turns=(
            USER,
            Turn(Role.ASSISTANT, (ToolCall("a", "f", "{}"), ToolCall("b", "f", ""))),
            Turn(Role.USER, (Text("And?"), ToolResult("a", (Text("1"),)))),
            Turn(Role.USER, (ToolResult("b", (Image(media_type="image/png", data="eA=="),), is_error=True),)),
        ),
        tools=(Tool("f"),),
    )
    messages = write(ask)[0]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}]},
        {
            "type": "tool_result",
            "tool_use_id": "b",
            "content": [{"type": "image", "source": {**PNG, "data": "eA=="}}],
            "is_error": True,
        },
        {"type": "text", "text": "And?"},
    ]


def test_a_turn_of_which_nothing_is_left_lets_its_neighbours_merge() -> None:
    ask = Ask(turns=(USER, Turn(Role.ASSISTANT, (Thought("hm"), Text(" "))), USER))
    body, dropped = write(ask)
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"}] * 2}]
    assert dropped == ["thoughts"]


def test_a_call_that_the_user_does_not_begin_is_given_an_opening() -> None:
    assert write(Ask(system=(Text("s"),)))[0]["messages"][0]["role"] == "user"
    body, _ = write(Ask(turns=(Turn(Role.ASSISTANT, (Text("Begun: "),)),)))
    assert [message["role"] for message in body["messages"]] == ["user", "assistant"]
    assert body["messages"][1]["content"][0]["text"] == "Begun:"


def test_ids_of_others_are_replaced_alike_on_the_call_and_its_result() -> None:
    ask = Ask(
        turns=(
            Turn(Role.USER, (Text("x"),)),
            Turn(Role.ASSISTANT, (ToolCall("f.1|x", "f", "{}", "sig"),)),
            Turn(Role.USER, (ToolResult("f.1|x", ()),)),
        )
    )
    messages = write(ask)[0]["messages"]
    id = messages[1]["content"][0]["id"]
    assert re.fullmatch("toolu_[0-9a-f]{24}", id)
    assert messages[2]["content"][0]["tool_use_id"] == id


@pytest.mark.parametrize("arguments", ["[1]", "{", "1", "[" * 2000, '{"a":' * 240 + "1" + "}" * 240])
def test_arguments_that_are_no_object_are_sent_empty_and_told(arguments: str) -> None:
    body, dropped = write(
        Ask(turns=(USER, Turn(Role.ASSISTANT, (ToolCall("a", "f", arguments),))), tools=(Tool("f"),))
    )
    assert body["messages"][1]["content"][0]["input"] == {}
    assert dropped == ["arguments"]


def test_the_tools_of_a_history_are_listed_where_the_call_has_none() -> None:
    body, _ = write(
        Ask(turns=(USER, Turn(Role.ASSISTANT, (ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}")))))
    )
    assert [tool["name"] for tool in body["tools"]] == ["f"]
    assert body["tool_choice"] == {"type": "none"}


def test_one_of_several_named_tools_is_any_of_these() -> None:
    ask = Ask(turns=(USER,), tools=(LOOK, Tool("b"), Tool("c")), choice=Choice(Use.NAMED, ("b", "c"), False))
    body, _ = write(ask)
    assert [tool["name"] for tool in body["tools"]] == ["b", "c"]
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "effort", "dropped"),
    [
        (NEW, Reasoning(effort=Effort.NONE), {"type": "disabled"}, None, []),
        (NEW, Reasoning(effort=Effort.MINIMAL), {"type": "adaptive"}, "low", []),
        (
            NEW,
            Reasoning(effort=Effort.XHIGH, shown=True),
            block("adaptive", display="summarized"),
            "xhigh",
            [],
        ),
        (NEW, Reasoning(budget_tokens=9000), {"type": "adaptive"}, "medium", ["budget_tokens"]),
        (NEW, Reasoning(budget_tokens=0), {"type": "adaptive"}, "low", ["budget_tokens"]),
        (NEW, Reasoning(), {"type": "adaptive"}, None, []),
        ("claude-sonnet-4.6", Reasoning(effort=Effort.XHIGH), {"type": "adaptive"}, "high", []),
        ("claude-fable-5", Reasoning(effort=Effort.NONE), {"type": "adaptive"}, "low", ["reasoning"]),
        (OLD, Reasoning(effort=Effort.HIGH), block("enabled", budget_tokens=6400), None, []),
        (OLD, Reasoning(effort=Effort.LOW), block("enabled", budget_tokens=2048), None, []),
        (OLD, Reasoning(), block("enabled", budget_tokens=6400), None, []),
        (
            OLD,
            Reasoning(budget_tokens=10, shown=False),
            block("enabled", budget_tokens=1024, display="omitted"),
            None,
            ["budget_tokens"],
        ),
        (FIRST, Reasoning(effort=Effort.HIGH), None, None, ["reasoning"]),
        (FIRST, Reasoning(effort=Effort.NONE), None, None, []),
    ],
)
def test_each_line_of_models_is_told_to_think_in_its_own_words(
    model: str, reasoning: Reasoning, thinking: Any, effort: str | None, dropped: list[str]
) -> None:
    body, told = write(Ask(turns=(USER,), reasoning=reasoning), model)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert told == dropped


def loop(*thoughts: Thought) -> tuple[Turn, ...]:
    return (
        USER,
        Turn(Role.ASSISTANT, (*thoughts, ToolCall("a", "look", "{}"))),
        Turn(Role.USER, (ToolResult("a", (Text("r"),)),)),
    )


@pytest.mark.parametrize(
    ("model", "turns", "kind"),
    [
        (OLD, loop(), "disabled"),
        (OLD, loop(Thought("t", "s", Maker.OPENAI)), "disabled"),
        (OLD, loop(Thought("t", "s", Maker.ANTHROPIC)), "enabled"),
        (OLD, loop(Thought("", "s", Maker.ANTHROPIC, redacted=True)), "enabled"),
        (OLD, (*loop(), Turn(Role.ASSISTANT, (Text("Done."),)), USER), "enabled"),
        (NEW, loop(), "adaptive"),
    ],
)
def test_thinking_by_budget_stops_where_a_call_of_tools_lacks_its_signed_thought(
    model: str, turns: tuple[Turn, ...], kind: str
) -> None:
    ask = Ask(turns=turns, tools=(LOOK,), reasoning=Reasoning(effort=Effort.LOW))
    body, dropped = write(ask, model)
    assert body["thinking"]["type"] == kind
    assert ("reasoning" in dropped) == (kind == "disabled")


def test_a_forced_tool_or_too_small_an_answer_stops_thinking() -> None:
    forced = Ask(turns=(USER,), tools=(LOOK,), choice=Choice(Use.ANY), reasoning=Reasoning(effort=Effort.LOW))
    assert write(forced)[0]["thinking"] == {"type": "disabled"}
    small = Ask(turns=(USER,), max_output=1000, reasoning=Reasoning(effort=Effort.LOW))
    assert write(small, OLD) == (
        write(Ask(turns=(USER,), max_output=1000, reasoning=Reasoning(effort=Effort.NONE)), OLD)[0],
        ["reasoning"],
    )


@given(st.integers(0, 100_000), st.integers(0, 100_000))
def test_a_budget_is_at_least_1024_and_below_the_answers_tokens(wanted: int, most: int) -> None:
    budget = fitting_budget(wanted, most)
    assert (budget is None) == (most <= 1024)
    assert budget is None or 1024 <= budget < most


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("effort", [effort for effort in Effort if effort is not Effort.NONE])
def test_an_effort_is_one_that_the_line_knows(model: str, effort: Effort) -> None:
    line = line_of(model)
    assert not line.efforts or nearest_effort(effort, line) in line.efforts


@pytest.mark.parametrize(
    ("model", "fields", "written", "dropped"),
    [
        (OLD, {"temperature": 1.5}, {"temperature": 1.0}, ["temperature"]),
        (OLD, {"temperature": -1.0}, {"temperature": 0.0}, ["temperature"]),
        (OLD, {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}, ["top_p"]),
        (OLD, {"temperature": 0.5, "top_p": 1.0}, {"temperature": 0.5}, []),
        (FIRST, {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "top_p": 0.5}, []),
        (NEW, {"temperature": 1.0, "top_p": 1.0}, {}, []),
        (NEW, {"temperature": 0.5, "top_p": 0.5, "top_k": 3}, {}, ["temperature", "top_k", "top_p"]),
        (OLD, {"reasoning": Reasoning(effort=Effort.LOW), "top_p": 0.96}, {"top_p": 0.96}, []),
        (OLD, {"reasoning": Reasoning(effort=Effort.LOW), "top_p": 0.5, "temperature": 1.0}, {}, ["top_p"]),
        (OLD, {"reasoning": Reasoning(effort=Effort.LOW), "temperature": 0.0}, {}, ["temperature"]),
        ("claude-mythos-5", {"temperature": 0.2}, {}, ["temperature"]),
    ],
)
def test_sampling_is_written_as_far_as_the_model_and_its_thinking_allow(
    model: str, fields: dict[str, Any], written: dict[str, Any], dropped: list[str]
) -> None:
    body, told = write(Ask(turns=(USER,), **fields), model)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == written
    assert told == dropped


def test_json_without_a_schema_is_asked_for_in_words() -> None:
    body, dropped = write(Ask(system=(Text("s"),), turns=(USER,), format=Format()))
    assert len(body["system"]) == 2
    assert "JSON" in body["system"][1]["text"]
    assert dropped == ["format"]


def test_an_old_model_is_shown_the_schema() -> None:
    schema = {"type": "object", "properties": {"\u2028": {}}}
    body, dropped = write(Ask(turns=(USER,), format=Format(schema)), FIRST)
    assert body["system"][0]["text"].endswith(orjson.dumps(schema).decode())
    assert dropped == ["format"]


def test_a_schema_is_closed_and_its_bounds_are_told() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "minimum": 1, "description": "A."},
            "b": {"maxLength": 2},
            "c": True,
        },
        "$defs": {"c": {"type": "object", "additionalProperties": {"type": "object"}}},
    }
    body, dropped = write(Ask(turns=(USER,), format=Format(schema)))
    assert body["output_config"]["format"]["schema"] == {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "description": "A. (minimum: 1)"},
            "b": {"description": "maxLength: 2"},
            "c": True,
        },
        "$defs": {
            "c": {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": False}}
        },
        "additionalProperties": False,
    }
    assert dropped == ["schema_bounds"]
    assert "minimum" in schema["properties"]["a"]  # type: ignore[index]


def deep_schema() -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(300):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("ask", "model", "feature"),
    [
        (Ask(turns=(Turn(Role.USER, (Sound("wav", "eA=="),)),)), NEW, "audio"),
        (Ask(turns=(Turn(Role.USER, (File(media_type="a/b", data="eA=="),)),)), NEW, "file_type"),
        (Ask(turns=(Turn(Role.USER, (File(media_type="text/csv", data="!"),)),)), NEW, "file_type"),
        (Ask(turns=(Turn(Role.USER, (File(media_type="text/csv", data="/w=="),)),)), NEW, "file_type"),
        (Ask(turns=(USER,), tools=(Tool("a.b"),)), NEW, "tool_name"),
        (Ask(turns=(USER,), format=Format(deep_schema())), NEW, "format_depth"),
        (Ask(turns=(USER,), format=Format(deep_schema())), FIRST, "format_depth"),
    ],
)
def test_what_cannot_be_said_at_all_is_refused(ask: Ask, model: str, feature: str) -> None:
    with pytest.raises(CallerError) as caught:
        write(ask, model)
    assert (caught.value.code, caught.value.about) == ("cannot_translate", feature)
    assert losses_of(tongue, tongue)[Slug(feature)] is Loss.REFUSED


def test_files_of_text_are_sent_as_text() -> None:
    data = b64encode("a,ü".encode()).decode()
    parts = (File(media_type="text/csv; charset=utf-8", data=data, name="t.csv"), File(url="https://e.org/f"))
    blocks = write(Ask(turns=(Turn(Role.USER, parts),)))[0]["messages"][0]["content"]
    assert blocks[0] == block(
        "document", source=block("text", media_type="text/plain", data="a,ü"), title="t.csv"
    )
    assert blocks[1] == block("document", source=block("url", url="https://e.org/f"))


def test_a_wrongly_named_jpeg_is_named_rightly() -> None:
    parts = (Image(media_type="image/jpg", data="eA=="),)
    source = write(Ask(turns=(Turn(Role.USER, parts),)))[0]["messages"][0]["content"][0]["source"]
    assert source == {"type": "base64", "media_type": "image/jpeg", "data": "eA=="}


@pytest.mark.parametrize(
    ("model", "thinks", "schemas"),
    [
        ("claude-2.1", "never", False),
        ("claude-instant-1", "never", False),
        ("claude-3-5-sonnet-latest", "never", False),
        ("claude-3-7-sonnet-latest", "budget", False),
        ("claude-sonnet-4", "budget", False),
        ("claude-opus-4-0", "budget", False),
        ("claude-opus-4@20250514", "budget", False),
        ("claude-4-opus-20250514", "budget", False),
        ("claude-opus-4-1-20250805", "budget", False),
        ("claude-haiku-4-5-20251001", "budget", True),
        ("anthropic/claude-opus-4.5", "budget", True),
        ("claude-sonnet-4-6", "adaptive", True),
        ("claude-opus-4-7", "adaptive", True),
        ("claude-opus-4-12", "adaptive", True),
        ("claude-haiku-5-5", "adaptive", True),
        ("claude-mythos-preview", "always", True),
        ("claude-fable-5-2", "always", True),
        ("someone-else", "budget", True),
    ],
)
def test_models_are_known_by_their_names(model: str, thinks: str, schemas: bool) -> None:
    line = line_of(model)
    assert (line.thinks, line.schemas) == (thinks, schemas)


def test_pictures_of_the_assistant_are_dropped() -> None:
    ask = Ask(turns=(USER, Turn(Role.ASSISTANT, (Image(url="u"), Text("See.")))))
    body, dropped = write(ask)
    assert [part["type"] for part in body["messages"][1]["content"]] == ["text"]
    assert dropped == ["assistant_media"]


def test_parts_on_the_wrong_side_are_left_out() -> None:
    ask = Ask(
        turns=(
            Turn(Role.USER, (Text("x"), ToolCall("a", "f", "{}"), Thought("t", "s", Maker.ANTHROPIC))),
            Turn(Role.ASSISTANT, (ToolResult("a", ()), Text("y"))),
        )
    )
    assert [len(message["content"]) for message in write(ask)[0]["messages"]] == [1, 1]


def test_strict_tools_of_old_models_are_told() -> None:
    body, dropped = write(Ask(turns=(USER,), tools=(Tool("a", strict=True),)), FIRST)
    assert body["tools"] == [{"name": "a", "input_schema": {"type": "object", "properties": {}}}]
    assert dropped == ["strict"]


def test_the_call_has_the_headers_and_numbers_that_go_with_it() -> None:
    original = call_of({"model": "gpt"})
    ask = Ask(turns=(USER,), stream=True)
    aim = Aim(model=NEW, max_output=77)
    body = tongue.write_ask(ask, aim, Losses())
    call = tongue.call(ask, aim, original, body)
    assert (call.dialect, call.kind, call.model, call.stream) == (tongue.NAME, PathKind.MESSAGES, NEW, True)
    assert call.headers == (("anthropic-version", "2023-06-01"),)
    assert call.shape == Shape(body_bytes=100, turns=1, max_output=77)
    assert isinstance(call.body, Document)
    assert call.body.open(Purpose.READ) is body
