"""Calls, answers and ways of cutting them, for the tests of OpenAI's two tongues."""

import base64
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from hypothesis import strategies as st

from gateway.content import Content
from gateway.contracts import Call, Envelope
from gateway.dialects import DIALECTS
from gateway.errors import CallerError
from gateway.names import Slug
from gateway.records import PathKind
from gateway.translation import openai_chat, openai_responses
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
)
from gateway.translation.losses import Losses
from gateway.translation.tongue import Aim, Reply, Tongue
from gateway.usage import Usage

CHAT: Tongue = openai_chat
RESPONSES: Tongue = openai_responses
BOTH = (CHAT, RESPONSES)

KINDS = {CHAT.NAME: PathKind.CHAT, RESPONSES.NAME: PathKind.RESPONSES}
AIM = Aim(model="gpt-x", max_output=1000)
LEAST = {
    CHAT.NAME: {"model": "m", "messages": [{"role": "user", "content": "hello"}]},
    RESPONSES.NAME: {"model": "m", "input": "hello"},
}


def call_of(tongue: Tongue, tree: dict[str, Any]) -> Call:
    """A caller's call with this body, as its dialect reads it."""
    body = Content(orjson.dumps({"model": "m", **tree}))
    return DIALECTS[tongue.NAME].read_call(Envelope(kind=KINDS[tongue.NAME], body=body))


def read(tongue: Tongue, tree: dict[str, Any], strict: bool = False) -> tuple[Ask, list[Slug]]:
    """The call with this body, and what was dropped of it."""
    losses = Losses(strict)
    return tongue.read_ask(call_of(tongue, tree), losses), losses.dropped


def write(tongue: Tongue, ask: Ask, strict: bool = False) -> tuple[dict[str, Any], list[Slug]]:
    """The body for this call, as it goes on the wire, and what was dropped."""
    losses = Losses(strict)
    body = tongue.write_ask(ask, AIM, losses)
    return orjson.loads(orjson.dumps(body)), losses.dropped


def said(tongue: Tongue, **fields: Any) -> Ask:
    """The smallest call with these fields more, read."""
    return read(tongue, LEAST[tongue.NAME] | fields)[0]


def refused(tongue: Tongue, tree: dict[str, Any]) -> tuple[str, str | None]:
    """Code and field of the refusal of a call."""
    try:
        read(tongue, tree)
    except CallerError as error:
        return str(error.code), error.about
    return "", None


def reply(tongue: Tongue, stream: bool, **fields: Any) -> Reply:
    tree = {**LEAST[tongue.NAME], "stream": stream, **fields}
    if tongue is CHAT and stream:
        tree.setdefault("stream_options", {"include_usage": True})
    call = call_of(tongue, tree)
    return Reply(id=Slug("call-1f-2"), model="asked/for", created_s=1_700_000_000, call=call)


def written(tongue: Tongue, events: Iterable[Event], stream: bool, **fields: Any) -> bytes:
    """An answer of these events, handed over one by one."""
    writer = tongue.writer(reply(tongue, stream, **fields))
    return b"".join(writer.write([event]) for event in events) + writer.finish()


def heard(tongue: Tongue, chunks: Iterable[bytes], stream: bool) -> list[Event]:
    """The events of an answer that comes in these chunks."""
    reader = tongue.reader(stream)
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return events + reader.finish()


def events_in(body: bytes) -> Iterator[dict[str, Any]]:
    """The objects in a stream's events."""
    for block in body.split(b"\n\n"):
        data = block.partition(b"data: ")[2]
        if data and data != b"[DONE]":
            yield orjson.loads(data)


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """A chunk of a chat stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    tree = {"id": "chatcmpl-9", "object": "chat.completion.chunk", "choices": choices, **more}
    return b"data: " + orjson.dumps(tree) + b"\n\n"


def event(kind: str, **fields: Any) -> bytes:
    """An event of a response's stream."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


# --- calls ---------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    ["a\u2028b\u2029c\u0085d", 'quote " and \\ and \r\n', "data: [DONE]\n\n", "json"]
)
WORDS = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
DATA = st.binary(min_size=1, max_size=12).map(lambda data: base64.b64encode(data).decode())
SEALS = st.binary(min_size=1, max_size=12).map(lambda data: base64.b64encode(b"\x0a\xff" + data).decode())
FLAGS = st.sampled_from([None, True, False])
OBJECTS = st.dictionaries(
    WORDS, TEXTS | st.integers(-(2**53), 2**53) | st.lists(TEXTS, max_size=2), max_size=3
)
ARGUMENTS = OBJECTS.map(lambda tree: orjson.dumps(tree).decode()) | st.sampled_from(["[1]", '{"a":', "no"])
URLS = st.sampled_from(["https://example.com/a.png", "http://example.com/b"])

IMAGES = st.builds(
    Image,
    media_type=st.sampled_from(["image/png", "image/jpeg"]),
    data=DATA,
    detail=st.sampled_from(["", "low", "high", "auto"]),
) | st.builds(Image, url=URLS)
FILES = st.builds(
    File,
    media_type=st.sampled_from(["application/pdf", "text/csv", "application/x-odd"]),
    data=DATA,
    name=st.sampled_from(["", "a.pdf"]),
)
TEXT_FILES = st.builds(
    File, media_type=st.just("text/plain"), text=TEXTS, name=st.sampled_from(["", "a.txt"])
)
SOUNDS = st.builds(Sound, st.sampled_from(["wav", "mp3"]), DATA)
WORDY = st.builds(Text, TEXTS)
THOUGHTS = (
    st.builds(Thought, TEXTS)
    | st.builds(Thought, TEXTS, SEALS, st.sampled_from(list(Maker)))
    | st.builds(Thought, st.just(""), SEALS, st.just(Maker.OPENAI), st.just(True))
    | st.builds(Thought, st.just(""), SEALS, st.just(Maker.ANTHROPIC), st.booleans())
)
SCHEMAS = st.sampled_from([{"type": "object", "properties": {"a": {"type": "string"}}}, {}])
TOOLS = st.builds(Tool, WORDS, st.just("") | TEXTS, st.none() | SCHEMAS, FLAGS)
CHOICES = st.builds(Choice, st.sampled_from([Use.AUTO, Use.ANY, Use.NONE]), parallel=FLAGS) | st.builds(
    Choice, st.just(Use.NAMED), st.lists(WORDS, min_size=1, max_size=3).map(tuple), FLAGS
)
NUMBERS = st.none() | st.floats(0, 2)
COUNTS = st.none() | st.integers(1, 1000)
REASONINGS = st.builds(Reasoning, effort=st.none() | st.sampled_from(list(Effort)), shown=FLAGS) | st.builds(
    Reasoning, budget_tokens=st.integers(-1, 40_000), shown=FLAGS
)
FORMATS = st.just(Format()) | st.builds(Format, SCHEMAS, WORDS | st.just(""), st.just("") | TEXTS, FLAGS)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Turns in which every result belongs to a call, in the order that all dialects share."""
    turns = [Turn(Role.USER, tuple(draw(st.lists(WORDY, min_size=1, max_size=2))))]
    for at in range(draw(st.integers(0, 2))):
        thoughts: list[Part] = draw(st.lists(THOUGHTS, max_size=2))
        words: list[Part] = draw(st.lists(WORDY, max_size=2))
        calls = [
            ToolCall(f"id-{at}-{nth}", draw(WORDS), draw(ARGUMENTS)) for nth in range(draw(st.integers(0, 2)))
        ]
        turns.append(Turn(Role.ASSISTANT, (*thoughts, *words, *calls)))
        results: list[Part] = [
            ToolResult(one.id, tuple(draw(st.lists(WORDY, max_size=2))), is_error=draw(st.booleans()))
            for one in calls
        ]
        media = draw(st.lists(WORDY | IMAGES | FILES | TEXT_FILES, max_size=3))
        turns.append(Turn(Role.USER, (*results, *media)))
    return tuple(turns)


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    tools = tuple(draw(st.lists(TOOLS, max_size=2)))
    return Ask(
        system=tuple(draw(st.lists(WORDY, max_size=2))),
        turns=draw(conversations()),
        tools=tools,
        choice=draw(st.none() | CHOICES) if tools else None,
        max_output=draw(COUNTS),
        temperature=draw(NUMBERS),
        top_p=draw(NUMBERS),
        top_k=draw(COUNTS),
        stop=tuple(draw(st.lists(TEXTS, max_size=6))),
        seed=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        presence_penalty=draw(NUMBERS),
        frequency_penalty=draw(NUMBERS),
        logprobs=draw(st.none() | st.integers(0, 5)),
        format=draw(st.none() | FORMATS),
        reasoning=draw(st.none() | REASONINGS),
        user=draw(st.none() | st.just("u")),
        tier=draw(st.sampled_from([None, "auto", "default", "flex", "priority"])),
        stream=draw(st.booleans()),
    )


# --- answers -------------------------------------------------------------------------------------------


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """A usage that both dialects can tell."""
    whole, output = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6))
    cached = draw(st.integers(0, whole))
    return Usage(
        input=whole,
        cached=cached,
        write_5m=draw(st.integers(0, whole - cached)),
        input_audio=draw(st.integers(0, whole)),
        input_image=draw(st.integers(0, whole)),
        output=output,
        reasoning=draw(st.integers(0, output)),
        output_audio=draw(st.integers(0, output)),
        output_image=draw(st.integers(0, output)),
    )


@st.composite
def pieces_of(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@st.composite
def stories(draw: st.DrawFn) -> list[Event]:
    """The events of an answer: thoughts, words, a refusal, calls."""
    events: list[Event] = [Begin("begun")]
    if draw(st.booleans()):
        events += [ThoughtDelta(draw(TEXTS)) for _ in range(draw(st.integers(1, 3)))]
        if draw(st.booleans()):
            events.append(ThoughtDelta("", draw(SEALS), draw(st.sampled_from(list(Maker)))))
    if draw(st.booleans()):
        maker = draw(st.sampled_from([Maker.ANTHROPIC, Maker.OPENAI]))
        events.append(ThoughtDelta("", draw(SEALS), maker, redacted=True))
    events += [TextDelta(draw(TEXTS)) for _ in range(draw(st.integers(0, 3)))]
    events += [Refusal(draw(TEXTS)) for _ in range(draw(st.integers(0, 2)))]
    calls = draw(st.integers(0, 3))
    for index in range(calls):
        events.append(ToolBegin(index, f"id{index}", draw(WORDS), draw(st.just("") | SEALS)))
        events += [ToolDelta(index, piece) for piece in draw(pieces_of(draw(ARGUMENTS)))]
    stops = [Stop.TOOLS] if calls else [Stop.END, Stop.STOP_SEQUENCE, Stop.PAUSED]
    return [*events, Tally(draw(usages())), End(draw(st.sampled_from([*stops, Stop.LENGTH, Stop.FILTERED])))]


def told(events: Iterable[Event]) -> list[Event]:
    """What events say, however they are cut: neighbours joined, empty ones and the provider's id left out."""
    made: list[Event] = []
    for one in events:
        last = made[-1] if made else None
        match one:
            case TextDelta():
                if isinstance(last, TextDelta):
                    made[-1] = TextDelta(last.text + one.text)
                elif one.text:
                    made.append(one)
            case Refusal():
                if isinstance(last, Refusal):
                    made[-1] = Refusal(last.text + one.text)
                else:
                    made.append(one)
            case ThoughtDelta() if one.text and isinstance(last, ThoughtDelta) and not last.signature:
                made[-1] = ThoughtDelta(last.text + one.text)
            case ToolDelta():
                if isinstance(last, ToolDelta) and last.index == one.index:
                    made[-1] = ToolDelta(one.index, last.arguments + one.arguments)
                elif one.arguments:
                    made.append(one)
            case Begin():
                made.append(Begin())
            case _:
                made.append(one)
    return made


def cut_everywhere(body: bytes) -> Iterator[list[bytes]]:
    """The body in two chunks, for each place where it can be cut, and byte by byte."""
    yield [body[at : at + 1] for at in range(len(body))]
    for at in range(len(body) + 1):
        yield [body[:at], body[at:]]
