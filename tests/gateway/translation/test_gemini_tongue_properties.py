"""Gemini's tongue on generated calls and answers, and on bytes that are neither."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from google.genai import types
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.errors import CallerError
from gateway.names import Slug
from gateway.translation import gemini_generate as tongue
from gateway.translation.bridge import losses_of
from gateway.translation.canonical import (
    Ask,
    Begin,
    Broken,
    End,
    Event,
    File,
    Image,
    Part,
    Role,
    ToolBegin,
    Turn,
)
from gateway.translation.losses import Loss, Losses
from gateway.translation.tongue import Aim
from tests.gateway.translation.gemini_samples import (
    MODEL,
    SSE,
    asks,
    call_of,
    events_in,
    kept,
    read,
    reply,
    stories,
    told,
    write,
    written,
)

WAYS = [(False, ()), (True, SSE), (True, ())]


@settings(max_examples=100, deadline=None)
@given(asks())
def test_a_call_comes_back_as_it_was_but_for_what_was_dropped(ask: Ask) -> None:
    body, dropped = write(ask)
    again, lost = read(body)
    assert lost == []
    assert again == kept(ask)
    assert all(losses_of(tongue, tongue)[name] is Loss.DROPPED for name in dropped)
    if not dropped:
        assert replace(again, turns=(), format=None, reasoning=None) == replace(
            ask,
            turns=(),
            format=None,
            reasoning=None,
            system=again.system,
            tier=again.tier,
            tools=again.tools,
            choice=again.choice,
        )


@settings(max_examples=60, deadline=None)
@given(asks())
def test_a_strict_translation_refuses_exactly_what_would_be_dropped(ask: Ask) -> None:
    _, dropped = write(ask)
    if not dropped:
        assert write(ask, strict=True)[1] == []
        return
    with pytest.raises(CallerError) as refused:
        write(ask, strict=True)
    assert refused.value.code == "cannot_translate"
    assert refused.value.about == dropped[0]


@settings(max_examples=60, deadline=None)
@given(
    asks(),
    st.sampled_from(
        ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.0-flash", "models/gemini-3-pro-preview", "new"]
    ),
)
def test_a_second_translation_of_a_call_changes_nothing_more(ask: Ask, model: str) -> None:
    body, _ = write(ask, model)
    once = write(read(body)[0], model)[0]
    assert write(read(once)[0], model)[0] == once
    assert once.get("generationConfig") == body.get("generationConfig")


MEDIA = st.builds(
    Image,
    url=st.sampled_from(
        ["https://example.org/a.png", "http://[::1", "https://generativelanguage.googleapis.com.example.org/"]
    ),
) | st.builds(File, url=st.sampled_from(["https://example.org/a.pdf", "ftp://x"]))


@given(MEDIA)
def test_what_google_cannot_fetch_is_refused(part: Part) -> None:
    with pytest.raises(CallerError) as refused:
        write(Ask(turns=(Turn(Role.USER, (part,)),)))
    assert refused.value.about in ("image_url", "file_url")
    assert tongue.AS_PROVIDER[Slug(refused.value.about or "")] is Loss.REFUSED


@pytest.mark.parametrize(("stream", "query"), WAYS)
@settings(max_examples=100, deadline=None)
@given(stories(), st.lists(st.integers(0, 30)), st.lists(st.integers(0, 2000)))
def test_an_answer_comes_back_as_it_was(
    stream: bool, query: tuple[tuple[str, str], ...], events: list[Event], batches: list[int], cuts: list[int]
) -> None:
    body = written(events, reply(stream, query), [cut for cut in batches if cut < len(events)])
    again = events_in(body, stream, [cut for cut in cuts if cut < len(body)])
    assert isinstance(again[0], Begin)
    assert again[0].id == "call-1"
    assert isinstance(again[-1], End)
    assert told(again) == told(events)


@pytest.mark.parametrize(("stream", "query"), WAYS)
@settings(max_examples=40, deadline=None)
@given(stories(), st.lists(st.integers(0, 30)))
def test_google_s_own_library_reads_what_is_written(
    stream: bool, query: tuple[tuple[str, str], ...], events: list[Event], batches: list[int]
) -> None:
    body = written(events, reply(stream, query), [cut for cut in batches if cut < len(events)])
    if not stream:
        trees = [orjson.loads(body)]
    elif query:
        assert body.endswith(b"\r\n\r\n")
        trees = [orjson.loads(line.removeprefix(b"data: ")) for line in body.split(b"\r\n\r\n")[:-1]]
    else:
        trees = orjson.loads(body)
    answers = [types.GenerateContentResponse.model_validate(tree) for tree in trees]
    counted = answers[-1].usage_metadata
    tally = told(events)[-1]
    assert counted is not None
    assert counted.total_token_count == tally.input + tally.output
    assert (counted.candidates_token_count or 0) + (counted.thoughts_token_count or 0) == tally.output
    calls = [call for answer in answers for call in answer.function_calls or []]
    assert [call.id for call in calls] == [event.id for event in events if isinstance(event, ToolBegin)]
    assert answers[-1].candidates is not None
    assert answers[-1].candidates[0].finish_reason is not None
    assert all(answer.response_id == "call-1" and answer.model_version == "asked/for" for answer in answers)


@settings(max_examples=12, deadline=None)
@given(stories())
def test_a_stream_that_is_cut_anywhere_tells_the_same(events: list[Event]) -> None:
    for query in (SSE, ()):
        body = written(events, reply(True, query))
        whole = events_in(body, True)
        assert events_in(body, True, range(len(body))) == whole
        step = max(1, len(body) // 40)
        for cut in range(0, len(body), step):
            assert events_in(body, True, [cut]) == whole


@settings(max_examples=20, deadline=None)
@given(stories(), st.data())
def test_a_stream_that_breaks_off_has_no_end_or_all_of_it(events: list[Event], data: st.DataObject) -> None:
    body = written(events, reply(True, SSE), range(len(events)))
    short = body[: data.draw(st.integers(0, len(body) - 1))]
    again = events_in(short, True)
    assert not any(isinstance(event, Broken) for event in again)
    if any(isinstance(event, End) for event in again):
        assert told(again) == told(events)


ALPHABET = st.sampled_from(
    [
        b"data: ",
        b"\r\n",
        b"\n",
        b"[",
        b"]",
        b"{",
        b"}",
        b'"text"',
        b":",
        b",",
        b"null",
        b"1",
        b"\xff",
        b"\\",
        b'{"candidates":[{"content":{"parts":[',
        b'{"functionCall":{"name":"f","args":',
        b'{"usageMetadata":{"promptTokenCount":-1}}',
        b'{"error":[]}',
    ]
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(ALPHABET | st.binary(max_size=6), max_size=12).map(b"".join),
    st.booleans(),
    st.lists(st.integers(0, 60)),
)
@example(b"[" * 5000, True, [])
@example(b'{"a":' * 2000, False, [])
def test_no_bytes_make_a_reader_raise(body: bytes, stream: bool, cuts: list[int]) -> None:
    again = events_in(body, stream, [cut for cut in cuts if cut < len(body)])
    assert sum(isinstance(event, Broken | End) for event in again) <= 1
    assert stream or isinstance(again[-1], Broken | End)
    tongue.read_complaint(500, body)


@settings(max_examples=60, deadline=None)
@given(stories(), st.data(), st.sampled_from(WAYS))
def test_a_damaged_answer_makes_no_reader_raise(
    events: list[Event], data: st.DataObject, way: tuple[bool, tuple[tuple[str, str], ...]]
) -> None:
    body = bytearray(written(events, reply(*way), range(len(events))))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    again = events_in(bytes(body), way[0], [len(body) // 2])
    assert not any(isinstance(event, End | Broken) for event in again[:-1])


NAMES = st.sampled_from(
    [
        "contents",
        "parts",
        "role",
        "text",
        "thought",
        "thoughtSignature",
        "functionCall",
        "functionResponse",
        "name",
        "args",
        "id",
        "response",
        "inlineData",
        "inline_data",
        "mimeType",
        "data",
        "fileData",
        "fileUri",
        "systemInstruction",
        "tools",
        "functionDeclarations",
        "parameters",
        "type",
        "properties",
        "items",
        "toolConfig",
        "functionCallingConfig",
        "mode",
        "allowedFunctionNames",
        "generationConfig",
        "responseSchema",
        "responseJsonSchema",
        "topK",
        "seed",
        "stopSequences",
        "thinkingConfig",
        "thinkingBudget",
        "thinkingLevel",
        "candidateCount",
        "responseModalities",
        "output",
        "error",
        "anyOf",
        "enum",
        "nullable",
        "serviceTier",
        "parametersJsonSchema",
        "parameters_json_schema",
        "responseMimeType",
    ]
)
TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.floats(allow_nan=False)
    | st.sampled_from(
        [
            "user",
            "model",
            "STRING",
            "object",
            "ANY",
            "HIGH",
            "image/png",
            "video/mp4",
            "audio/wav",
            "aGk=",
            "application/json",
            "x",
            "",
        ]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
PARTS = st.dictionaries(NAMES, TREES, max_size=3)
CALLS = st.fixed_dictionaries(
    {},
    optional={
        "contents": TREES
        | st.lists(st.fixed_dictionaries({"parts": st.lists(PARTS, max_size=3)}), max_size=2),
        "generationConfig": TREES,
        "tools": TREES,
        "toolConfig": TREES,
        "systemInstruction": TREES,
        "serviceTier": TREES,
    },
)


@settings(max_examples=200, deadline=None)
@given(CALLS)
def test_odd_calls_are_read_or_refused_with_a_name(tree: dict[str, Any]) -> None:
    losses = Losses()
    refused: CallerError | None = None
    try:
        ask = tongue.read_ask(call_of(tree), losses)
        orjson.dumps(tongue.write_ask(ask, Aim(model=MODEL, max_output=1), losses))
    except CallerError as error:
        refused = error
    if refused is not None and refused.code == "cannot_translate":
        assert losses_of(tongue, tongue)[Slug(refused.about or "")] is Loss.REFUSED
    assert refused is None or refused.code in ("bad_request", "cannot_translate")
    assert all(losses_of(tongue, tongue)[name] is Loss.DROPPED for name in losses.dropped)
