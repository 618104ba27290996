"""Whatever is put into OpenAI's dialects comes out again, but for what they declare to lose."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import CallerError
from gateway.translation.bridge import losses_of
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
    ToolBegin,
    ToolCall,
    ToolDelta,
    ToolResult,
    Turn,
    carried_id,
    turns_of,
)
from gateway.translation.losses import Loss, Losses
from gateway.translation.openai_fields import FAILED, FORMAT_NAME, JSON_WISH
from gateway.translation.tongue import Tongue
from tests.gateway.translation.openai_samples import (
    AIM,
    BOTH,
    CHAT,
    SOUNDS,
    asks,
    call_of,
    heard,
    read,
    stories,
    told,
    write,
    written,
)

# --- what is left of a call ------------------------------------------------------------------------


def kept(tongue: Tongue, ask: Ask) -> Ask:
    """What a call that is written and read again must be."""
    chat = tongue is CHAT
    lost: dict[str, Any] = {"top_k": None, "logprobs": None}
    if not chat:
        lost |= {"seed": None, "presence_penalty": None, "frequency_penalty": None}
    most = ask.max_output
    return replace(
        ask,
        system=_system(ask),
        turns=turns_of([Turn(turn.role, tuple(_parts(chat, turn))) for turn in ask.turns]),
        tools=ask.tools if chat else tuple(replace(tool, strict=bool(tool.strict)) for tool in ask.tools),
        stop=ask.stop[:4] if chat else (),
        max_output=most if chat or most is None else max(16, most),
        format=_format(ask.format),
        reasoning=_reasoning(chat, ask.reasoning),
        **lost,
    )


def _system(ask: Ask) -> tuple[Text, ...]:
    texts = [*ask.system, *(part for turn in ask.turns for part in turn.parts if isinstance(part, Text))]
    plain = ask.format == Format() and not any("json" in text.text.lower() for text in texts)
    return (*ask.system, Text(JSON_WISH)) if plain else ask.system


def _format(form: Format | None) -> Format | None:
    return replace(form, name=form.name or FORMAT_NAME) if form and form.schema is not None else form


def _reasoning(chat: bool, reasoning: Reasoning | None) -> Reasoning | None:
    if reasoning is None:
        return None
    effort = reasoning.effort
    budget = reasoning.budget_tokens
    if budget is not None and budget >= 0:
        bounds = ((0, Effort.NONE), (4096, Effort.LOW), (16384, Effort.MEDIUM), (10**9, Effort.HIGH))
        effort = next(effort for most, effort in bounds if budget <= most)
    shown = True if reasoning.shown and not chat else None
    return None if effort is None and shown is None else Reasoning(effort=effort, shown=shown)


def _parts(chat: bool, turn: Turn) -> list[Part]:
    parts: list[Part] = []
    for part in turn.parts:
        match part:
            case Thought() if chat or not part.signature or part.maker is not Maker.OPENAI:
                continue
            case ToolResult():
                texts = [one.text for one in part.parts if isinstance(one, Text)]
                if part.is_error:
                    texts = [FAILED + "".join(texts[:1]), *texts[1:]]
                parts.append(ToolResult(part.id, tuple(Text(text) for text in texts)))
            case File() if part.text:
                parts.append(Text(f"{part.name}\n\n{part.text}" if part.name else part.text))
            case File():
                endings = {"application/pdf": ".pdf", "text/csv": ".csv"}
                parts.append(replace(part, name=part.name or "document" + endings.get(part.media_type, "")))
            case Image() if not chat:
                parts.append(replace(part, detail=part.detail or "auto"))
            case _:
                parts.append(part)
    return parts


@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
@given(ask=asks())
@settings(max_examples=50, deadline=None)
def test_a_call_that_is_written_and_read_again_is_the_same_but_for_declared_losses(
    tongue: Tongue, ask: Ask
) -> None:
    body, dropped = write(tongue, ask)
    again, more = read(tongue, body)
    assert again == kept(tongue, ask)
    assert not more
    assert all(losses_of(tongue, tongue)[name] is Loss.DROPPED for name in dropped)


@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
@given(ask=asks())
@settings(max_examples=25, deadline=None)
def test_a_strict_call_is_refused_for_the_first_thing_that_would_be_dropped(tongue: Tongue, ask: Ask) -> None:
    _, dropped = write(tongue, ask)
    if not dropped:
        write(tongue, ask, strict=True)
        return
    with pytest.raises(CallerError) as caught:
        write(tongue, ask, strict=True)
    assert caught.value.about == dropped[0]


@given(sound=SOUNDS)
@settings(max_examples=20, deadline=None)
def test_sound_is_said_in_chat(sound: Sound) -> None:
    ask = Ask(turns=(Turn(Role.USER, (Text("listen"), sound)),))
    assert read(CHAT, write(CHAT, ask)[0])[0] == ask


@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
@given(ask=asks())
@settings(max_examples=30, deadline=None)
def test_the_call_that_goes_out_is_one_that_its_dialect_reads(tongue: Tongue, ask: Ask) -> None:
    original = call_of(CHAT, {"messages": [{"role": "user", "content": "x"}]})
    body = tongue.write_ask(ask, AIM, Losses())
    call = tongue.call(ask, AIM, original, body)
    assert (call.dialect, call.model, call.stream) == (tongue.NAME, AIM.model, ask.stream)
    assert not call.shape.wants_store
    assert call_of(tongue, body).stream == ask.stream


# --- what is left of an answer -----------------------------------------------------------------------


def expected(tongue: Tongue, events: list[Event], stream: bool) -> list[Event]:
    """What an answer that is written and read again must say."""
    tools = any(isinstance(one, ToolBegin) for one in events)
    bare = {one.index for one in events if isinstance(one, ToolBegin)}
    bare -= {one.index for one in events if isinstance(one, ToolDelta) and one.arguments}
    made: list[Event] = []
    for one in events:
        match one:
            case ThoughtDelta() if tongue is CHAT:
                made.append(ThoughtDelta(one.text))
            case ToolBegin():
                made.append(ToolBegin(one.index, carried_id(one.id, one.signature), one.name))
                made += [ToolDelta(one.index, "{}")] if one.index in bare else []
            case End():
                plain = one.stop in (Stop.END, Stop.STOP_SEQUENCE, Stop.PAUSED)
                made.append(End((Stop.TOOLS if tools else Stop.END) if plain else one.stop))
            case _:
                made.append(one)
    kept = [one for one in told(made) if one != ThoughtDelta()]
    return kept if stream or tongue is not CHAT else sorted(kept, key=_rank)


def _rank(one: Event) -> int:
    """Where a whole chat completion has it."""
    kinds = (Begin, ThoughtDelta, TextDelta, Refusal, (ToolBegin, ToolDelta), Tally, End)
    return next(at for at, kind in enumerate(kinds) if isinstance(one, kind))


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
@given(events=stories())
@settings(max_examples=30, deadline=None)
def test_an_answer_that_is_written_and_read_again_says_the_same(
    tongue: Tongue, stream: bool, events: list[Event]
) -> None:
    body = written(tongue, events, stream)
    assert told(heard(tongue, [body], stream)) == expected(tongue, events, stream)


@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
@given(events=stories(), data=st.data())
@settings(max_examples=30, deadline=None)
def test_an_answer_may_be_cut_anywhere(tongue: Tongue, events: list[Event], data: st.DataObject) -> None:
    body = written(tongue, events, True)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    chunks = [body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert heard(tongue, chunks, True) == heard(tongue, [body], True)


@given(events=stories())
@settings(max_examples=30, deadline=None)
def test_calls_of_a_conversation_come_back_with_their_signatures(events: list[Event]) -> None:
    """What a client was given as an answer, it sends again with its next call."""
    signatures = {one.id: one.signature for one in events if isinstance(one, ToolBegin)}
    for tongue in BOTH:
        items = _history(tongue, events)
        calls = [part for turn in read(tongue, items)[0].turns for part in turn.parts]
        found = {part.id: part.signature for part in calls if isinstance(part, ToolCall)}
        results = {part.id for part in calls if isinstance(part, ToolResult)}
        assert found == signatures
        assert results == set(signatures)


def _history(tongue: Tongue, events: list[Event]) -> dict[str, Any]:
    import orjson

    answer = orjson.loads(written(tongue, events, False))
    if tongue is CHAT:
        message = answer["choices"][0]["message"]
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": "done"}
            for call in message.get("tool_calls", ())
        ]
        return {"messages": [{"role": "user", "content": "x"}, message, *results]}
    outputs = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "done"}
        for item in answer["output"]
        if item["type"] == "function_call"
    ]
    return {"input": [{"role": "user", "content": "x"}, *answer["output"], *outputs]}


@given(events=stories())
@settings(max_examples=25, deadline=None)
def test_thoughts_of_all_makers_come_back_through_responses(events: list[Event]) -> None:
    tongue = BOTH[1]
    given_ = [one for one in told(events) if isinstance(one, ThoughtDelta)]
    parts = [part for turn in read(tongue, _history(tongue, events))[0].turns for part in turn.parts]
    found = [part for part in parts if isinstance(part, Thought)]
    seals = [(one.signature, one.maker) for one in given_ if one.signature]
    assert [(part.signature, part.maker) for part in found if part.signature] == seals
    assert "".join(part.text for part in found) == "".join(one.text for one in given_)


def test_an_unused_choice_is_left_out() -> None:
    for tongue in BOTH:
        ask = Ask(turns=(Turn(Role.USER, (Text("x"),)),), choice=Choice())
        assert "tool_choice" not in write(tongue, ask)[0]
