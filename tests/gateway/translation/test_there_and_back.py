"""A → B → A: what two dialects both can say survives the way there and back, in every pair."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contracts import Call
from gateway.names import Slug
from gateway.translation import TONGUES
from gateway.translation.canonical import (
    Ask,
    Choice,
    Format,
    Image,
    Part,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    Use,
)
from gateway.translation.losses import Losses
from gateway.translation.tongue import Aim
from tests.gateway.translation.test_bridge import body, read

MODELS = {
    "openai_chat": "gpt-4o",
    "openai_responses": "gpt-4o",
    "anthropic_messages": "claude-sonnet-4-5",
    "gemini_generate": "gemini-2.5-pro",
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}

words = st.text(st.sampled_from('aé\u2028\u2029\u0085"\\{}[]:<>&\n 漢😀'), min_size=1, max_size=12).filter(
    lambda text: text.strip() == text and bool(text)
)
texts = words.map(Text)
pictures = st.sampled_from([Image(media_type="image/png", data="iVBORw0KGgo=")])


@st.composite
def loops(draw: st.DrawFn, first: int) -> list[Turn]:
    """The user asks, the model calls tools, the results come."""
    ids = [f"call_{first}_{number}" for number in range(draw(st.integers(1, 3)))]
    calls: list[Part] = [ToolCall(id, "weather", orjson.dumps({"city": draw(words)}).decode()) for id in ids]
    results: list[Part] = [ToolResult(id, (draw(texts),), "weather") for id in ids]
    said: list[Part] = [draw(texts)] if draw(st.booleans()) else []
    return [
        Turn(Role.USER, (draw(texts),)),
        Turn(Role.ASSISTANT, (*said, *calls)),
        Turn(Role.USER, tuple(results)),
        Turn(Role.ASSISTANT, (draw(texts),)),
    ]


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    turns: list[Turn] = []
    tools = (Tool("weather", "Tells it.", SCHEMA),) if draw(st.booleans()) else ()
    for number in range(draw(st.integers(0, 2))):
        if tools:
            turns += draw(loops(number))
        else:
            turns += [Turn(Role.USER, (draw(texts),)), Turn(Role.ASSISTANT, (draw(texts),))]
    last: tuple[Part, ...] = (draw(texts), *draw(st.lists(pictures, max_size=2)))
    turns.append(Turn(Role.USER, last))
    choices = st.sampled_from([None, Choice(Use.AUTO), Choice(Use.ANY), Choice(Use.NAMED, ("weather",))])
    return Ask(
        system=tuple(draw(st.lists(texts, max_size=1))),
        turns=tuple(turns),
        tools=tools,
        choice=draw(choices) if tools else None,
        max_output=draw(st.integers(16, 4000)),
        temperature=draw(st.none() | st.sampled_from([0.0, 0.5, 1.0])),
        stop=tuple(draw(st.lists(st.sampled_from(["END", "###"]), max_size=2, unique=True))),
        format=None if tools else draw(st.none() | st.just(Format(SCHEMA, "report", "", True))),
        stream=draw(st.booleans()),
    )


def spoken(dialect: str, ask: Ask, losses: Losses) -> Call:
    """The ask, as a client of that dialect would send it."""
    aim = Aim(model=MODELS[dialect], max_output=4096)
    tree = TONGUES[Slug(dialect)].write_ask(ask, aim, losses)
    call = read(dialect, body(dialect, "x", False), ask.stream)
    return TONGUES[Slug(dialect)].call(ask, aim, call, tree)


def heard(dialect: str, call: Call, losses: Losses) -> Ask:
    return TONGUES[Slug(dialect)].read_ask(call, losses)


def comparable(ask: Ask, lost: set[str]) -> Any:
    """What must be the same: all but names that a dialect does not repeat, and what was declared lost.

    Gemini has no name for a schema: it becomes the schema's title.
    """

    def part(one: Part) -> Any:
        if isinstance(one, ToolCall):
            return ("call", one.id, one.name, orjson.loads(one.arguments))
        if isinstance(one, ToolResult):
            return ("result", one.id, tuple(part(inner) for inner in one.parts))
        if isinstance(one, Image):
            return ("picture", one.media_type, one.data)
        assert isinstance(one, Text)
        return one.text

    form, choice = ask.format, ask.choice
    return {
        "system": [one.text for one in ask.system],
        "turns": [(turn.role, [part(one) for one in turn.parts]) for turn in ask.turns],
        "tools": [(tool.name, tool.description, tool.schema) for tool in ask.tools],
        "choice": None if choice is None or choice.use is Use.AUTO else (choice.use, choice.names),
        "max_output": ask.max_output,
        "temperature": None if "temperature" in lost else ask.temperature,
        "stop": () if "stop" in lost else ask.stop,
        "format": None if form is None or "format" in lost else {**(form.schema or {}), "title": ""},
        "stream": ask.stream,
    }


@pytest.mark.parametrize(("one", "other"), list(permutations(TONGUES, 2)))
@given(ask=asks())
@settings(max_examples=60, deadline=None)
def test_there_and_back_it_is_the_same(one: str, other: str, ask: Ask) -> None:
    losses = Losses()
    first = heard(one, spoken(one, ask, losses), losses)
    there = heard(other, spoken(other, first, losses), losses)
    back = heard(one, spoken(one, there, losses), losses)
    lost = set(losses.dropped)
    assert lost <= {"temperature", "stop", "format", "strict", "schema_bounds", "reasoning"}
    assert comparable(back, lost) == comparable(first, lost)
    assert comparable(first, lost) == comparable(replace(ask), lost)
