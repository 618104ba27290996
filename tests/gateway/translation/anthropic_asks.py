"""Generated calls of the middle form, for the tests of Anthropic's tongue."""

from base64 import b64encode
from dataclasses import replace
from typing import Any

import orjson
from hypothesis import strategies as st

from gateway.translation import anthropic_messages_schema as schemas
from gateway.translation.anthropic_messages_models import Thinks, line_of
from gateway.translation.anthropic_messages_seals import plain_id
from gateway.translation.canonical import (
    Ask,
    Choice,
    Effort,
    File,
    Format,
    Image,
    Maker,
    Part,
    Reasoning,
    Role,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    Use,
    turns_of,
)
from gateway.translation.losses import Losses

MODELS = (
    "claude-3-haiku-20240307", "claude-3-7-sonnet-20250219", "claude-sonnet-4-20250514", "claude-opus-4-1",
    "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-4-8", "claude-sonnet-5-5", "claude-fable-5",
    "another/model",
)  # fmt: skip

WORDS = st.text(min_size=1, max_size=12).filter(lambda text: text.strip() == text != "")
NAMES = st.text("abcXYZ012_-", min_size=1, max_size=8)
IDS = st.text("abc012_-.|é", min_size=1, max_size=6)
URLS = st.sampled_from(["https://example.com/a.png", "http://example.org/b"])
DATA = st.binary(min_size=1, max_size=9).map(lambda data: b64encode(data).decode())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=4), JSON, max_size=3)
ARGUMENTS = OBJECTS.map(lambda tree: orjson.dumps(tree).decode()) | st.sampled_from(["", "[1]", "{", "nul"])

TEXTS = st.builds(Text, WORDS)
IMAGES = st.builds(Image, url=URLS, detail=st.sampled_from(["", "auto", "low", "high"])) | st.builds(
    Image, media_type=st.just("image/png"), data=DATA
)
FILES = (
    st.builds(File, media_type=st.just("text/plain"), text=WORDS, name=st.just("") | WORDS)
    | st.builds(File, media_type=st.just("application/pdf"), data=DATA, name=st.just("") | WORDS)
    | st.builds(File, media_type=st.just("application/pdf"), url=URLS)
)
RESULTS = st.builds(
    ToolResult,
    IDS,
    st.lists(TEXTS | IMAGES | FILES, max_size=2).map(tuple),
    name=st.just("") | NAMES,
    is_error=st.booleans(),
)
SEALS = st.text("abcABC+/=", min_size=1, max_size=8)
THOUGHTS = (
    st.builds(Thought, WORDS)
    | st.builds(Thought, st.just("") | WORDS, SEALS, st.sampled_from(list(Maker)))
    | st.builds(Thought, st.just(""), SEALS, st.sampled_from(list(Maker)), st.just(True))
)
CALLS = st.builds(ToolCall, IDS, NAMES, ARGUMENTS, st.just("") | SEALS)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Turns that begin with a user's."""
    turns = [Turn(Role.USER, (draw(TEXTS),))]
    for _ in range(draw(st.integers(0, 3))):
        turns.append(Turn(Role.ASSISTANT, tuple(draw(st.lists(TEXTS | THOUGHTS | CALLS, max_size=3)))))
        results = draw(st.lists(RESULTS, max_size=2))
        turns.append(Turn(Role.USER, (*results, *draw(st.lists(TEXTS | IMAGES | FILES, max_size=2)))))
    return turns_of(turns)


SCHEMAS = st.sampled_from([
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "description": "A."}}},
    {"type": "object", "properties": {}, "additionalProperties": False},
    {"oneOf": [{"type": "object", "properties": {"minimum": {"type": "string", "maxLength": 3}}}]},
    {"type": "array", "minItems": 2, "items": {"type": "object"}},
])  # fmt: skip

TOOLS = st.lists(
    st.builds(
        Tool, NAMES, st.just("") | WORDS, st.none() | SCHEMAS.filter(lambda s: s.get("type") == "object"),
        st.sampled_from([None, True, False]),
    ),
    max_size=3,
    unique_by=lambda tool: tool.name,
)  # fmt: skip


@st.composite
def asks(draw: st.DrawFn, model: str) -> Ask:
    """Calls with every field."""
    turns = draw(histories())
    tools = tuple(draw(TOOLS))
    if not tools:  # a history with calls of tools needs tools
        turns = turns_of([
            Turn(turn.role, tuple(part for part in turn.parts if not isinstance(part, ToolCall | ToolResult)))
            for turn in turns
        ])  # fmt: skip
    maximum = draw(st.none() | st.integers(2000, 9000))
    return Ask(
        system=tuple(draw(st.lists(TEXTS, max_size=2))),
        turns=turns,
        tools=tools,
        choice=draw(choices(tools)) if tools else None,
        max_output=maximum,
        temperature=draw(st.none() | st.floats(-1, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        top_k=draw(st.none() | st.integers(1, 50)),
        stop=tuple(draw(st.lists(WORDS | st.just(" \n"), max_size=2))),
        seed=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        presence_penalty=draw(st.sampled_from([None, 0.5])),
        frequency_penalty=draw(st.sampled_from([None, -1.0])),
        logprobs=draw(st.none() | st.integers(0, 5)),
        format=draw(st.none() | st.builds(Format, st.none() | SCHEMAS)),
        reasoning=draw(st.none() | reasonings(model)),
        user=draw(st.none() | WORDS | st.just("u" * 300)),
        tier=draw(st.sampled_from([None, "auto", "default", "flex", "priority"])),
        stream=draw(st.booleans()),
    )


def choices(tools: tuple[Tool, ...]) -> st.SearchStrategy[Choice | None]:
    names = st.sampled_from([tool.name for tool in tools])
    free = st.builds(
        Choice, st.sampled_from([Use.AUTO, Use.ANY]), st.just(()), st.sampled_from([None, True, False])
    )
    named = st.builds(
        Choice, st.just(Use.NAMED), names.map(lambda name: (name,)), st.sampled_from([None, True])
    )
    return st.none() | st.just(Choice(Use.NONE)) | free | named


def reasonings(model: str) -> st.SearchStrategy[Reasoning]:
    """Ways to think that the model's line has words for."""
    shown = st.sampled_from([None, True, False])
    line = line_of(model)
    efforts = line.efforts
    none = st.nothing() if line.thinks is Thinks.NEVER else st.just(Reasoning(effort=Effort.NONE))
    if efforts:
        return none | st.builds(Reasoning, effort=st.none() | st.sampled_from(efforts), shown=shown)
    return none | st.builds(Reasoning, budget_tokens=st.integers(1024, 1999), shown=shown)


# --- what stays the same -------------------------------------------------------------------------------


def normal(ask: Ask, dropped: set[str], max_output: int, back: bool) -> Ask:
    """A call without what was dropped, and with one spelling of what has several.

    Args:
        back: the call has been written and read.
    """

    def kept(name: str, value: Any, neutral: Any = None) -> Any:
        return None if name in dropped or value == neutral else value

    system = ask.system[:-1] if back and "format" in dropped else ask.system
    form = kept("format", ask.format)
    return replace(
        ask,
        system=system,
        turns=tuple(
            Turn(turn.role, tuple(sorted(turn.parts, key=lambda part: not isinstance(part, ToolResult))))
            for turn in turns_of([Turn(turn.role, _parts(turn.parts)) for turn in ask.turns])
        ),
        tools=tuple(_tool(tool, dropped) for tool in ask.tools),
        max_output=max_output if ask.max_output is None else ask.max_output,
        temperature=kept("temperature", ask.temperature, 1),
        top_p=kept("top_p", ask.top_p, 1),
        top_k=kept("top_k", ask.top_k),
        stop=tuple(stop for stop in ask.stop if stop.strip()),
        seed=kept("seed", ask.seed),
        presence_penalty=kept("presence_penalty", ask.presence_penalty),
        frequency_penalty=kept("frequency_penalty", ask.frequency_penalty),
        logprobs=kept("logprobs", ask.logprobs),
        format=None if form is None else replace(form, schema=_closed(form.schema)),
        reasoning=kept("reasoning", ask.reasoning),
        user=kept("user", ask.user),
        tier=kept("tier", ask.tier),
    )


def _closed(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if schema is None else schemas.closed_schema(schema, Losses())


def _tool(tool: Tool, dropped: set[str]) -> Tool:
    schema = tool.schema or {"type": "object", "properties": {}}
    closed = _closed(schema) if tool.strict else schema
    return replace(
        tool,
        schema=schema if "strict" in dropped else closed,
        strict=None if "strict" in dropped else tool.strict or None,
    )


def _parts(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    return tuple(new for part in parts for new in _part(part))


def _part(part: Part) -> list[Part]:
    if isinstance(part, Thought):
        return [part] if part.maker is Maker.ANTHROPIC else []
    if isinstance(part, ToolCall):
        return [ToolCall(plain_id(part.id), part.name, _object(part.arguments))]
    if isinstance(part, ToolResult):
        inner = tuple(_part(shown)[0] for shown in part.parts)
        return [replace(part, id=plain_id(part.id), name="", parts=inner)]
    if isinstance(part, Image):
        return [replace(part, detail="")]
    return [part]


def _object(text: str) -> str:
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError:
        return "{}"
    return orjson.dumps(tree).decode() if isinstance(tree, dict) else "{}"
