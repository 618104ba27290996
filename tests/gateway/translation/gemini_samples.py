"""Calls, answers and ways of cutting them, for the tests of Gemini's tongue."""

import base64
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson
from hypothesis import strategies as st

from gateway.content import Document
from gateway.contracts import Call
from gateway.names import Slug
from gateway.records import PathKind
from gateway.translation import gemini_generate as tongue
from gateway.translation.canonical import (
    Ask,
    Begin,
    Choice,
    Effort,
    End,
    Event,
    File,
    Format,
    Image,
    Maker,
    Part,
    Reasoning,
    Refusal,
    Role,
    Sound,
    Stop,
    Tally,
    Text,
    TextDelta,
    Thought,
    ThoughtDelta,
    Tool,
    ToolBegin,
    ToolCall,
    ToolDelta,
    ToolResult,
    Turn,
    Use,
    turns_of,
)
from gateway.translation.losses import Losses
from gateway.translation.tongue import Aim, Reply
from gateway.usage import Usage

SSE = (("alt", "sse"),)
MODEL = "gemini-3-flash-preview"


def call_of(tree: dict[str, Any], *, stream: bool = False, query: tuple[tuple[str, str], ...] = ()) -> Call:
    """A caller's call with this body."""
    return Call(
        dialect=tongue.NAME,
        kind=PathKind.GENERATE,
        model="m",
        stream=stream,
        body=Document(tree, 100),
        query=query,
        verb="streamGenerateContent" if stream else "generateContent",
    )


def read(tree: dict[str, Any], strict: bool = False) -> tuple[Ask, list[Slug]]:
    """The call with this body, and what was dropped of it."""
    losses = Losses(strict)
    return tongue.read_ask(call_of(tree), losses), losses.dropped


def write(ask: Ask, model: str = MODEL, strict: bool = False) -> tuple[dict[str, Any], list[Slug]]:
    """The body for this call, as it goes on the wire, and what was dropped."""
    losses = Losses(strict)
    body = tongue.write_ask(ask, Aim(model=model, max_output=1000), losses)
    return orjson.loads(orjson.dumps(body)), losses.dropped


def reply(stream: bool, query: tuple[tuple[str, str], ...] = ()) -> Reply:
    call = call_of({}, stream=stream, query=query)
    return Reply(id=Slug("call-1"), model="asked/for", created_s=1_700_000_000, call=call)


# --- calls ---------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["a\u2028b\u2029c\u0085d", 'quote " and \\ and \r\n', "<tag>\x00"]
)
WORDS = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
DATA = st.binary(min_size=1, max_size=12).map(lambda data: base64.b64encode(data).decode())
SEALS = st.binary(min_size=1, max_size=12).map(lambda data: base64.b64encode(b"\x0a\xff" + data).decode())
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(WORDS.filter(lambda key: key != "_raw"), JSON, max_size=3)
ARGUMENTS = OBJECTS.map(lambda tree: orjson.dumps(tree).decode()) | st.sampled_from(
    ["", "[1]", '{"a":', "nonsense"]
)
GOOGLE = st.sampled_from(["gs://bucket/a.png", "https://generativelanguage.googleapis.com/v1beta/files/abc"])

IMAGES = st.builds(
    Image,
    media_type=st.sampled_from(["image/png", "image/jpeg", "image/webp"]),
    data=DATA,
    detail=st.sampled_from(["", "low", "high", "auto"]),
) | st.builds(Image, media_type=st.just("image/png"), url=GOOGLE)
FILES = (
    st.builds(File, media_type=st.just("application/pdf"), data=DATA, name=st.sampled_from(["", "a.pdf"]))
    | st.builds(File, media_type=st.just("application/pdf"), url=GOOGLE)
    | st.builds(File, media_type=st.just("text/plain"), text=TEXTS.filter(bool))
)
SOUNDS = st.builds(Sound, st.sampled_from(["wav", "mp3"]), DATA)
MAKERS = st.sampled_from(list(Maker))
THOUGHTS = (
    st.builds(Thought, TEXTS)
    | st.builds(Thought, TEXTS, SEALS, MAKERS)
    | st.builds(Thought, st.just(""), SEALS, st.just(Maker.ANTHROPIC), st.just(True))
)
SHOWN = st.builds(Text, TEXTS) | IMAGES | FILES

SCHEMAS = st.just({"type": "object", "properties": {"a": {"type": "string"}}}) | st.just(
    {"type": "array", "title": "T"}
)
TOOLS = st.builds(Tool, WORDS, TEXTS, st.none() | SCHEMAS, st.sampled_from([None, True, False]))
CHOICES = st.builds(
    Choice,
    st.sampled_from([Use.AUTO, Use.ANY, Use.NONE]),
    parallel=st.sampled_from([None, True, False]),
) | st.builds(Choice, st.just(Use.NAMED), st.lists(WORDS, min_size=1, max_size=2).map(tuple))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Turns in which every result belongs to a call."""
    turns: list[Turn] = [
        Turn(Role.USER, tuple(draw(st.lists(st.builds(Text, TEXTS.filter(bool)), min_size=1, max_size=2))))
    ]
    for at in range(draw(st.integers(0, 2))):
        words: list[Part] = draw(st.lists(st.builds(Text, TEXTS) | THOUGHTS, max_size=4))
        calls = [
            ToolCall(f"id-{at}-{nth}", draw(WORDS), draw(ARGUMENTS), draw(st.just("") | SEALS))
            for nth in range(draw(st.integers(0, 3)))
        ]
        turns.append(Turn(Role.ASSISTANT, (*words, *calls)))
        results: list[Part] = [
            ToolResult(
                one.id,
                tuple(draw(st.lists(SHOWN, max_size=3))),
                draw(st.sampled_from(["", one.name])),
                draw(st.booleans()),
            )
            for one in calls
        ]
        media = draw(st.lists(st.builds(Text, TEXTS) | IMAGES | FILES | SOUNDS, max_size=3))
        turns.append(Turn(Role.USER, (*results, *media)))
    return tuple(turns)


NUMBERS = st.none() | st.floats(0, 2) | st.just(1)
COUNTS = st.none() | st.integers(1, 1000)
REASONINGS = st.builds(
    Reasoning, effort=st.none() | st.sampled_from(list(Effort)), shown=st.sampled_from([None, True, False])
) | st.builds(Reasoning, budget_tokens=st.integers(0, 40_000), shown=st.sampled_from([None, True, False]))


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    tools = tuple(draw(st.lists(TOOLS, max_size=2)))
    return Ask(
        system=tuple(draw(st.lists(st.builds(Text, TEXTS), max_size=2))),
        turns=draw(conversations()),
        tools=tools,
        choice=draw(st.none() | CHOICES) if tools else None,
        max_output=draw(COUNTS),
        temperature=draw(NUMBERS),
        top_p=draw(NUMBERS),
        top_k=draw(COUNTS),
        stop=tuple(draw(st.lists(TEXTS.filter(bool), max_size=7))),
        seed=draw(st.none() | st.integers(-(2**40), 2**40)),
        presence_penalty=draw(NUMBERS),
        frequency_penalty=draw(NUMBERS),
        logprobs=draw(st.none() | st.integers(0, 5)),
        format=draw(
            st.none()
            | st.builds(Format, st.none() | SCHEMAS, WORDS | st.just(""), TEXTS, st.none() | st.booleans())
        ),
        reasoning=draw(st.none() | REASONINGS),
        user=draw(st.none() | st.just("u")),
        tier=draw(st.sampled_from([None, "auto", "default", "flex", "priority", "scale"])),
    )


# --- what is left of a call ----------------------------------------------------------------------------


def kept(ask: Ask) -> Ask:
    """What a call that is written for MODEL, and read again, must be."""
    form = ask.format
    if form is not None and form.schema is not None:
        said = {"title": form.name, "description": form.description}
        schema = form.schema | {key: text for key, text in said.items() if text and key not in form.schema}
        form = Format(schema=schema)
    elif form is not None:
        form = Format()
    seed = ask.seed if ask.seed is not None and -(2**31) <= ask.seed < 2**31 else None
    return replace(
        ask,
        system=tuple(text for text in ask.system if text.text),
        turns=_kept_turns(ask),
        tools=tuple(replace(tool, strict=None) for tool in ask.tools),
        choice=ask.choice and replace(ask.choice, parallel=None),
        stop=ask.stop[:5],
        seed=seed,
        logprobs=None,
        format=form,
        reasoning=_kept_reasoning(ask.reasoning),
        user=None,
        tier=ask.tier if ask.tier in ("default", "flex", "priority") else None,
    )


def _kept_turns(ask: Ask) -> tuple[Turn, ...]:
    names = {part.id: part.name for turn in ask.turns for part in turn.parts if isinstance(part, ToolCall)}
    turns = [Turn(turn.role, tuple(_kept_parts(turn.parts, names))) for turn in ask.turns]
    merged = turns_of(turns)
    return tuple(
        turn if turn.role is Role.USER else Turn(turn.role, tuple(joined(turn.parts))) for turn in merged
    )


def _kept_parts(parts: Iterable[Part], names: dict[str, str]) -> Iterable[Part]:
    for part in parts:
        match part:
            case Text() if not part.text:
                continue
            case Thought() if part.redacted or part.maker not in (None, Maker.GEMINI):
                continue
            case Thought() if not part.text and not part.signature:
                continue
            case ToolCall() if part.arguments == "":
                yield replace(part, arguments="{}")
            case ToolResult():
                yield _kept_result(part, names)
            case _:
                yield _kept_media(part)


def _kept_media(part: Any) -> Any:
    if isinstance(part, Image):
        return replace(part, detail="")
    return replace(part, name="") if isinstance(part, File) else part


def _kept_result(result: ToolResult, names: dict[str, str]) -> ToolResult:
    text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
    others = [_kept_media(part) for part in result.parts if not isinstance(part, Text)]
    return replace(result, name=names[result.id], parts=(*([Text(text)] if text else []), *others))


def joined(parts: Iterable[Part]) -> list[Part]:
    """An assistant's parts, with pieces of one text or thought put together."""
    made: list[Part] = []
    for part in parts:
        last = made[-1] if made else None
        if isinstance(last, Text) and isinstance(part, Text):
            made[-1] = Text(last.text + part.text)
        elif isinstance(last, Thought) and isinstance(part, Thought) and not last.signature:
            made[-1] = Thought(last.text + part.text, part.signature, part.maker)
        else:
            made.append(part)
    return made


def _kept_reasoning(reasoning: Reasoning | None) -> Reasoning | None:
    if reasoning is None:
        return None
    effort = reasoning.effort
    if reasoning.budget_tokens is not None:
        bounds = ((0, Effort.NONE), (1024, Effort.LOW), (8192, Effort.MEDIUM), (10**9, Effort.HIGH))
        effort = next(effort for most, effort in bounds if reasoning.budget_tokens <= most)
    if effort is Effort.NONE:
        effort = Effort.MINIMAL
    if effort in (Effort.XHIGH, Effort.MAX):
        effort = Effort.HIGH
    if effort is None and reasoning.shown is None:
        return None
    return Reasoning(effort=effort, shown=reasoning.shown)


# --- answers -------------------------------------------------------------------------------------------


@st.composite
def pieces_of(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """A usage that this dialect can tell."""
    whole, output = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6))
    reasoning = draw(st.integers(0, output))
    cached = draw(st.integers(0, whole))
    audio = draw(st.integers(0, whole // 3))
    return Usage(
        input=whole,
        cached=cached,
        input_audio=audio,
        cached_audio=draw(st.integers(0, min(audio, cached))),
        input_image=draw(st.integers(0, whole // 3)),
        input_video=draw(st.integers(0, whole // 3)),
        output=output,
        reasoning=reasoning,
        output_audio=draw(st.integers(0, (output - reasoning) // 2)),
        output_image=draw(st.integers(0, (output - reasoning) // 2)),
    )


@st.composite
def stories(draw: st.DrawFn) -> list[Event]:
    """The events of an answer, in order."""
    events: list[Event] = [Begin(draw(WORDS))]
    index = 0
    for kind in draw(
        st.lists(st.sampled_from(["text", "thought", "seal", "tool", "refusal", "tally"]), max_size=7)
    ):
        if kind == "text":
            events += [TextDelta(draw(TEXTS)) for _ in range(draw(st.integers(1, 3)))]
        elif kind == "refusal":
            events.append(Refusal(draw(TEXTS)))
        elif kind == "thought":
            events += [ThoughtDelta(draw(TEXTS)) for _ in range(draw(st.integers(1, 3)))]
        elif kind == "seal":
            redacted = draw(st.booleans())
            maker = Maker.ANTHROPIC if redacted else draw(MAKERS)
            events.append(ThoughtDelta("", draw(SEALS), maker, redacted))
        elif kind == "tool":
            events.append(ToolBegin(index, f"id{index}", draw(WORDS), draw(st.just("") | SEALS)))
            text = orjson.dumps(draw(OBJECTS)).decode()
            events += [ToolDelta(index, piece) for piece in draw(pieces_of(text))]
            index += 1
        else:
            events.append(Tally(draw(usages())))
    stop = (
        Stop.TOOLS
        if index
        else draw(st.sampled_from([Stop.END, Stop.LENGTH, Stop.FILTERED, Stop.STOP_SEQUENCE]))
    )
    return [*events, Tally(draw(usages())), End(stop)]


def told(events: Iterable[Event]) -> list[Any]:
    """What events say, however they are cut: neighbours joined, the last report only."""
    made: list[Any] = []
    tally: Usage | None = None
    for event in events:
        last = made[-1] if made else None
        match event:
            case Begin():
                continue
            case Tally():
                tally = event.usage
            case TextDelta() | Refusal():
                if event.text and isinstance(last, TextDelta):
                    made[-1] = TextDelta(last.text + event.text)
                elif event.text:
                    made.append(TextDelta(event.text))
            case ThoughtDelta():
                if not event.text and not event.signature:
                    continue
                if isinstance(last, ThoughtDelta) and not last.signature and not event.redacted:
                    made[-1] = ThoughtDelta(last.text + event.text, event.signature, event.maker)
                else:
                    made.append(event)
            case ToolBegin():
                made.append((event, ""))
            case ToolDelta():
                assert isinstance(last, tuple)
                made[-1] = (last[0], last[1] + event.arguments)
            case End(stop=Stop.STOP_SEQUENCE):
                made.append(End(Stop.END))
            case _:
                made.append(event)
    return [*made, tally]


def written(events: Iterable[Event], to: Reply, cuts: Iterable[int] = ()) -> bytes:
    """An answer of these events, handed over in batches."""
    writer = tongue.writer(to)
    listed = list(events)
    body = b""
    begin = 0
    for cut in sorted({*cuts, len(listed)}):
        body += writer.write(listed[begin:cut])
        begin = cut
    return body + writer.finish()


def events_in(body: bytes, stream: bool, cuts: Iterable[int] = ()) -> list[Event]:
    """The events of an answer that arrives in pieces."""
    reader = tongue.reader(stream)
    events: list[Event] = []
    begin = 0
    for cut in sorted({*cuts, len(body)}):
        events += reader.feed(body[begin:cut])
        begin = cut
    return events + reader.finish()
