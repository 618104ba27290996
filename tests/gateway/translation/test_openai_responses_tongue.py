"""Responses, read and written: what a table of fields and the official library say."""

from typing import Any

import orjson
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.errors import CallerError
from gateway.translation.bridge import losses_of
from gateway.translation.canonical import (
    Ask,
    Begin,
    Broken,
    Choice,
    Complaint,
    Effort,
    End,
    Event,
    File,
    Format,
    Image,
    Maker,
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
from gateway.translation.losses import Loss
from gateway.translation.openai_seal import seal_of, thought_of
from gateway.usage import Usage
from tests.gateway.translation.openai_samples import (
    LEAST,
    RESPONSES,
    cut_everywhere,
    event,
    events_in,
    heard,
    read,
    refused,
    reply,
    said,
    write,
    written,
)

KNOWN: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def turns(*items: Any) -> tuple[Turn, ...]:
    return read(RESPONSES, {"input": list(items)})[0].turns


def items(*turns: Turn, **fields: Any) -> list[Any]:
    items: list[Any] = write(RESPONSES, Ask(turns=turns, **fields))[0]["input"]
    return items


# --- calls -----------------------------------------------------------------------------------------


def test_a_text_is_a_turn_and_instructions_are_the_first_system_text() -> None:
    assert said(RESPONSES).turns == (Turn(Role.USER, (Text("hello"),)),)
    ask, dropped = read(
        RESPONSES,
        {
            "instructions": "one",
            "input": [
                {"role": "developer", "content": "two"},
                {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "three"}]},
                {"role": "user", "content": "hi"},
                {"role": "developer", "content": "late"},
            ],
        },
    )
    assert ask.system == (Text("one"), Text("two"), Text("three"), Text("late"))
    assert dropped == ["system_place"]
    assert read(RESPONSES, {"instructions": "x"})[0].turns == ()


def test_a_conversation_with_tools_and_thoughts_is_read() -> None:
    assert turns(
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "a"},
                                                      {"type": "summary_text", "text": "b"}],
         "encrypted_content": "gAAAA"},
        {"type": "reasoning", "summary": [], "encrypted_content": "anthropic:redacted:SEAL"},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "open"}]},
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "content": [
            {"type": "output_text", "text": "let me see", "annotations": []},
            {"type": "refusal", "refusal": "no"}, {"type": "output_text", "text": ""}]},
        {"type": "function_call", "call_id": "c1__sig__AA-e", "name": "f", "arguments": "{}", "id": "fc_1"},
        {"type": "function_call_output", "call_id": "c1__sig__AA-e", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "name": "g", "output": [
            {"type": "input_text", "text": "x"},
            {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "high"},
            {"type": "input_file", "file_url": "https://example.com/a.pdf"}]},
    ) == (
        Turn(Role.USER, (Text("hi"),)),
        Turn(Role.ASSISTANT, (
            Thought("a\n\nb", "gAAAA", Maker.OPENAI),
            Thought("", "SEAL", Maker.ANTHROPIC, True),
            Thought("open"),
            Text("let me see"), Text("no"),
            ToolCall("c1", "f", "{}", "AA="),
        )),
        Turn(Role.USER, (
            ToolResult("c1", (Text("1"),)),
            ToolResult("c2", (Text("x"), Image(url="https://example.com/a.png", detail="high"),
                              File(url="https://example.com/a.pdf")), "g"),
        )),
    )  # fmt: skip


def test_all_kinds_of_parts_are_read() -> None:
    parts = [
        {"type": "input_image", "image_url": "data:image/png;base64,QUJD"},
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}},
        {"type": "input_file", "file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf"},
    ]
    assert turns({"role": "user", "content": parts})[0].parts == (
        Image(media_type="image/png", data="QUJD"),
        Sound("mp3", "QQ=="),
        File(media_type="application/pdf", data="QQ==", name="a.pdf"),
    )


FUNCTION = {"type": "function", "name": "f", "description": "d", "parameters": {"a": 1}, "strict": True}


@pytest.mark.parametrize(
    ("wish", "choice", "tools"),
    [
        ("required", Choice(Use.ANY, (), False), 2),
        ({"type": "function", "name": "f"}, Choice(Use.NAMED, ("f",), False), 2),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
            Choice(Use.NAMED, ("f",), False),
            2,
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
            Choice(Use.AUTO, (), False),
            1,
        ),
    ],
)
def test_tools_and_choices_are_read(wish: Any, choice: Choice, tools: int) -> None:
    ask = said(
        RESPONSES,
        tools=[FUNCTION, {"type": "function", "name": "g"}],
        tool_choice=wish,
        parallel_tool_calls=False,
    )
    assert ask.choice == choice
    assert ask.tools == (Tool("f", "d", {"a": 1}, True), Tool("g"))[:tools]


def test_the_other_fields_are_read() -> None:
    ask, dropped = read(
        RESPONSES,
        {
            "input": "x",
            "max_output_tokens": 20,
            "temperature": 0.5,
            "top_p": 1,
            "user": "u",
            "service_tier": "flex",
            "stream": True,
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "truncation": "disabled",
            "reasoning": {"effort": "xhigh", "summary": "auto"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": False}},
        },
    )
    assert (ask.max_output, ask.temperature, ask.top_p, ask.user, ask.tier) == (20, 0.5, 1.0, "u", "flex")
    assert ask.reasoning == Reasoning(effort=Effort.XHIGH, shown=True)
    assert ask.format == Format({"a": 1}, "n", "", False)
    assert ask.stream
    assert not dropped


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"store": True}, ["store"]),
        ({"metadata": {"a": "b"}, "prompt_cache_key": "k"}, ["metadata", "prompt_cache_key"]),
        ({"include": ["file_search_call.results"]}, ["include"]),
        ({"include": ["message.output_text.logprobs"]}, ["logprobs"]),
        ({"top_logprobs": 3}, ["logprobs"]),
        ({"truncation": "auto"}, ["truncation"]),
        ({"text": {"verbosity": "low"}}, ["verbosity"]),
        ({"reasoning": {"mode": "pro"}}, ["reasoning.mode"]),
        ({"service_tier": "ultrafast"}, ["tier"]),
        ({"made_up": 1}, ["unknown_field"]),
        ({"background": False, "max_tool_calls": None, "tools": [], "reasoning": {}}, []),
        (
            {"input": [{"role": "user", "content": [
                {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}
            ]}]},
            ["prompt_cache_breakpoint"],
        ),
    ],
)  # fmt: skip
def test_what_is_dropped_is_told(fields: dict[str, Any], names: list[str]) -> None:
    _, dropped = read(RESPONSES, LEAST[RESPONSES.NAME] | fields)
    assert dropped == names
    assert all(losses_of(RESPONSES, RESPONSES)[name] is Loss.DROPPED for name in dropped)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "mcp"),
        ({"tools": [{"type": "custom", "name": "x"}]}, "custom"),
        ({"tools": [{"type": ["odd"]}]}, "unknown_tool"),
        ({"tools": [{"type": "made_up"}]}, "unknown_tool"),
        ({"tool_choice": {"type": "file_search"}}, "unknown_tool"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "item_reference"),
        ({"input": [{"type": "file_search_call", "id": "x"}]}, "file_search_call"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "file_id"),
        ({"input": [{"role": "user", "content": [{"type": "made_up"}]}]}, "unknown_part"),
        (
            {"input": [{"type": "function_call_output", "call_id": "c", "output": [
                {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
            ]}]},
            "unknown_part",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_translated_is_refused(fields: dict[str, Any], name: str) -> None:
    assert refused(RESPONSES, LEAST[RESPONSES.NAME] | fields) == ("cannot_translate", name)
    assert losses_of(RESPONSES, RESPONSES)[name] is Loss.REFUSED  # type: ignore[index]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"input": ["x"]}, "input"),
        ({"input": [{"type": "made_up"}]}, "input"),
        ({"input": [{"type": ["odd"]}]}, "input"),
        ({"input": [{"role": "nobody", "content": "x"}]}, "input"),
        ({"input": [{"role": "user", "content": 1}]}, "input"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input"),
        ({"input": [{"type": "function_call", "call_id": 1}]}, "input"),
        ({"input": [{"type": "reasoning", "summary": ["x"]}]}, "input"),
        ({"instructions": ["x"]}, "instructions"),
        ({"tools": ["f"]}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"text": {"format": {"type": "xml"}}}, "text"),
        ({"text": {"format": {"type": "json_schema", "strict": 1}}}, "text"),
        ({"reasoning": {"effort": 1}}, "reasoning"),
        ({"include": "x"}, "include"),
    ],
)
def test_what_has_the_wrong_shape_is_a_bad_request(fields: dict[str, Any], name: str) -> None:
    assert refused(RESPONSES, LEAST[RESPONSES.NAME] | fields) == ("bad_request", name)


def test_what_was_written_asks_the_provider_to_keep_nothing() -> None:
    ask = Ask(
        system=(Text("be kind"),),
        turns=(Turn(Role.USER, (Text("hi"),)),),
        tools=(Tool("f"),),
        choice=Choice(Use.NAMED, ("f", "g"), True),
        reasoning=Reasoning(effort=Effort.LOW, shown=True),
        max_output=3,
        stream=True,
    )
    assert write(RESPONSES, ask) == (
        {
            "model": "gpt-x",
            "store": False,
            "instructions": "be kind",
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
            "tools": [{"type": "function", "name": "f", "parameters": None, "strict": False}],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
            },
            "parallel_tool_calls": True,
            "max_output_tokens": 16,
            "reasoning": {"effort": "low", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
            "stream": True,
        },
        ["max_output"],
    )


def test_thoughts_that_are_switched_off_have_no_seal_to_ask_for() -> None:
    body, _ = write(RESPONSES, Ask(reasoning=Reasoning(effort=Effort.NONE)))
    assert (body["reasoning"], "include" in body) == ({"effort": "none"}, False)


def test_thoughts_go_back_to_their_maker_only() -> None:
    ask = Ask(
        turns=(
            Turn(
                Role.ASSISTANT,
                (
                    Thought("a", "gAAAA", Maker.OPENAI),
                    Thought("", "gBBBB", Maker.OPENAI, True),
                    Thought("b", "SEAL", Maker.ANTHROPIC),
                    Thought("c"),
                    ToolCall("x" * 80, "f", "", "SIGNATURE"),
                ),
            ),
        )
    )
    body, dropped = write(RESPONSES, ask)
    assert body["input"][:2] == [
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "a"}],
            "encrypted_content": "gAAAA",
        },
        {"type": "reasoning", "summary": [], "encrypted_content": "gBBBB"},
    ]
    assert body["input"][2]["arguments"] == "{}"
    assert len(body["input"][2]["call_id"]) <= 64
    assert dropped == ["thoughts"]
    assert b"SEAL" not in orjson.dumps(body)
    assert b"SIGNATURE" not in orjson.dumps(body)


def test_results_and_words_of_the_user_keep_their_order() -> None:
    result = ToolResult("c", (Text("a"), Image(media_type="image/png", data="QQ==")))
    file = File(url="https://example.com/a.pdf", name="a.pdf")
    assert items(Turn(Role.USER, (Text("x"), ToolResult("b", ()), result, file))) == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]},
        {"type": "function_call_output", "call_id": "b", "output": ""},
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [
                {"type": "input_text", "text": "a"},
                {"type": "input_image", "image_url": "data:image/png;base64,QQ==", "detail": "auto"},
            ],
        },
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_file", "file_url": "https://example.com/a.pdf"}],
        },
    ]


def test_what_only_the_other_side_can_say_is_passed_over() -> None:
    odd = (Thought("hm"), ToolCall("a", "f", "{}"), Text(""))
    assert items(Turn(Role.USER, odd), Turn(Role.ASSISTANT, (Text(""),))) == []
    assert turns({"role": "user"}, {"role": "user", "content": ""}) == ()


def test_sound_is_refused_and_what_an_assistant_cannot_say_is_dropped() -> None:
    with pytest.raises(CallerError) as caught:
        items(Turn(Role.USER, (Sound("wav", "QQ=="),)))
    assert (caught.value.code, caught.value.about) == ("cannot_translate", "audio")
    ask = Ask(turns=(Turn(Role.ASSISTANT, (Image(url="https://example.com/a"),)),))
    assert write(RESPONSES, ask)[1] == ["assistant_media"]


@pytest.mark.parametrize(
    ("thought", "seal"),
    [
        (Thought("a"), ""),
        (Thought("a", "gAAA", Maker.OPENAI), "gAAA"),
        (Thought("", "gAAA", Maker.OPENAI, True), "gAAA"),
        (Thought("a", "S+/=", Maker.ANTHROPIC), "anthropic:S+/="),
        (Thought("", "S", Maker.ANTHROPIC, True), "anthropic:redacted:S"),
        (Thought("", "S", Maker.GEMINI), "gemini:S"),
    ],
)
def test_seals_of_all_makers_are_told_apart(thought: Thought, seal: str) -> None:
    assert seal_of(thought) == seal
    assert thought_of(thought.text, seal) == thought


# --- answers: what comes in ------------------------------------------------------------------------

USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {
        "cached_tokens": 2,
        "cache_write_tokens": 3,
        "cache_write_tokens_details": {"ttl_30m_tokens": 1, "ttl_12h_tokens": 2},
    },
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 14,
}
TOLD = Usage(input=9, cached=2, write_5m=1, write_1h=2, output=5, reasoning=1)

REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "encrypted_content": "gAAAA",
    "summary": [{"type": "summary_text", "text": "ab"}, {"type": "summary_text", "text": "c"}],
}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [
        {"type": "output_text", "text": "x\u2028y", "annotations": []},
        {"type": "refusal", "refusal": "no"},
    ],
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
OUTPUT = [REASONING, SEARCH, MESSAGE, CALL]  # fmt: skip


def response(status: str = "completed", output: Any = OUTPUT, **more: Any) -> dict[str, Any]:
    return {"id": "resp_9", "object": "response", "status": status, "error": None, "output": output,
            "usage": USAGE, **more}  # fmt: skip


DELTA = "response.reasoning_summary_text.delta"
STORY = [
    event("response.created", response={"id": "resp_9", "status": "in_progress", "output": []}),
    event("response.in_progress", response={"id": "resp_9"}),
    event("response.output_item.added", output_index=0, item={"type": "reasoning", "id": "rs_1"}),
    event("response.reasoning_summary_part.added", output_index=0, summary_index=0),
    event(DELTA, output_index=0, item_id="rs_1", summary_index=0, delta="a"),
    event(DELTA, output_index=0, item_id="rs_1", summary_index=0, delta="b"),
    event(DELTA, output_index=0, item_id="rs_1", summary_index=1, delta="c"),
    event("response.output_item.done", output_index=0, item=REASONING),
    event("response.output_item.added", output_index=1, item=SEARCH),
    event("response.web_search_call.searching", output_index=1, item_id="ws_1"),
    event("response.output_item.done", output_index=1, item=SEARCH),
    event("response.output_item.added", output_index=2, item={"type": "message", "id": "msg_1"}),
    event("response.output_text.delta", output_index=2, item_id="msg_1", delta="x\u2028"),
    event("response.output_text.delta", output_index=2, item_id="msg_1", delta="y", obfuscation="aaa"),
    event("response.output_text.done", output_index=2, item_id="msg_1", text="x\u2028y"),
    event("response.refusal.delta", output_index=2, item_id="msg_1", delta="no"),
    event("response.output_item.done", output_index=2, item=MESSAGE),
    event("response.output_item.added", output_index=3, item={**CALL, "arguments": ""}),
    event("response.function_call_arguments.delta", output_index=3, item_id="fc_1", delta='{"a'),
    event("response.function_call_arguments.delta", output_index=3, item_id="fc_1", delta='":1}'),
    event("response.function_call_arguments.done", output_index=3, item_id="fc_1", arguments='{"a":1}'),
    event("response.output_item.done", output_index=3, item=CALL),
    event("response.made_up", output_index="x"),
    event("response.completed", response=response()),
]

EVENTS: list[Event] = [
    Begin("resp_9"),
    ThoughtDelta("a"),
    ThoughtDelta("b"),
    ThoughtDelta("\n\nc"),
    ThoughtDelta("", "gAAAA", Maker.OPENAI),
    TextDelta("x\u2028"),
    TextDelta("y"),
    Refusal("no"),
    ToolBegin(0, "c1", "f"),
    ToolDelta(0, '{"a'),
    ToolDelta(0, '":1}'),
    Tally(TOLD),
    End(Stop.TOOLS),
]
WHOLE: list[Event] = [
    Begin("resp_9"),
    ThoughtDelta("ab\n\nc"),
    ThoughtDelta("", "gAAAA", Maker.OPENAI),
    TextDelta("x\u2028y"),
    Refusal("no"),
    ToolBegin(0, "c1", "f"),
    ToolDelta(0, '{"a":1}'),
    Tally(TOLD),
    End(Stop.TOOLS),
]


def test_a_stream_gives_the_same_events_wherever_it_is_cut() -> None:
    body = b"".join(STORY[:1] + STORY[4:])
    for chunks in cut_everywhere(body):
        assert heard(RESPONSES, chunks, True) == EVENTS
    assert heard(RESPONSES, STORY, True) == EVENTS
    assert heard(RESPONSES, [*STORY, b"data: [DONE]\n\n"], True) == EVENTS
    assert not any(isinstance(one, End) for one in heard(RESPONSES, STORY[:-1], True))


def test_a_whole_answer_is_read() -> None:
    body = orjson.dumps(response())
    assert heard(RESPONSES, [body], False) == WHOLE
    assert heard(RESPONSES, [body], True) == WHOLE  # from a server that does not stream
    assert heard(RESPONSES, [STORY[0], STORY[-1]], True) == WHOLE  # from one that streams the end alone


def test_items_that_come_without_deltas_are_read_when_they_are_done() -> None:
    done = [event("response.output_item.done", output_index=at, item=item) for at, item in enumerate(OUTPUT)]
    assert heard(RESPONSES, [*done, STORY[-1]], True) == [Begin(), *WHOLE[1:]]


@pytest.mark.parametrize(
    ("status", "details", "stop"),
    [
        ("completed", None, Stop.END),
        ("incomplete", {"reason": "max_output_tokens"}, Stop.LENGTH),
        ("incomplete", {"reason": "content_filter"}, Stop.FILTERED),
        ("incomplete", None, Stop.LENGTH),
    ],
)
def test_the_reason_of_the_end_is_read(status: str, details: Any, stop: Stop) -> None:
    tree = response(status, [], incomplete_details=details)
    assert heard(RESPONSES, [orjson.dumps(tree)], False)[-1] == End(stop)
    assert heard(RESPONSES, [event(f"response.{status}", response=tree)], True)[-1] == End(stop)


def test_open_reasoning_is_read() -> None:
    body = [
        event("response.reasoning_text.delta", item_id="rs_1", content_index=0, delta="a"),
        event("response.output_text.delta", item_id="msg_1", delta=""),
        event("response.output_text.delta", delta="nobody's"),
        event("response.audio.delta", item_id="x", delta="QQ=="),
        event("response.output_item.done", item={"type": "message", "id": "m", "content": [{"type": "x"}]}),
        event("response.completed", response={"status": "completed"}),
    ]
    assert heard(RESPONSES, body, True) == [Begin(), ThoughtDelta("a"), End(Stop.END)]


def test_a_hidden_thought_is_a_redacted_one() -> None:
    hidden = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    events = heard(RESPONSES, [orjson.dumps(response(output=[hidden, 1]))], False)
    assert events[1] == ThoughtDelta("", "gAAAA", Maker.OPENAI, True)


@pytest.mark.parametrize(
    ("error", "busy"),
    [({"code": "server_error", "message": "x"}, False), ({"code": "rate_limit_exceeded"}, True)],
)
def test_an_error_inside_an_answer_breaks_it(error: Any, busy: bool) -> None:
    failed = {**response("failed", []), "error": error}
    for body in (
        event("error", **error, sequence_number=3),
        event("error", error=error),
        b"data: " + orjson.dumps({"error": error}) + b"\n\n",
        event("response.failed", response=failed),
    ):
        assert heard(RESPONSES, [STORY[0], body, *STORY[1:]], True) == [Begin("resp_9"), Broken(busy)]
    for tree in (failed, {"error": error}):
        assert heard(RESPONSES, [orjson.dumps(tree)], False) == [Broken(busy)]


@pytest.mark.parametrize("body", [b"{}", b"{", b"[]", b'{"output":1}', b'{"output":[],"status":"queued"}'])
def test_what_is_no_answer_is_broken(body: bytes) -> None:
    assert heard(RESPONSES, [body], False) == [Broken()]


def test_what_is_no_event_breaks_the_answer() -> None:
    assert heard(RESPONSES, [STORY[0], b"data: {\n\n", *STORY[1:]], True) == [Begin("resp_9"), Broken()]


def test_more_of_a_call_that_has_ended_and_too_many_items_break_the_answer() -> None:
    begun = [
        event("response.output_item.added", output_index=at, item={**CALL, "call_id": f"c{at}"})
        for at in range(2)
    ]
    late = event("response.function_call_arguments.delta", output_index=0, delta="x")
    assert heard(RESPONSES, [*begun, late, STORY[-1]], True)[-1] == Broken()
    items = [{"type": "made_up"}] * 5000
    assert heard(RESPONSES, [orjson.dumps(response(output=items))], False)[-1] == Broken()


# --- answers: what goes out ------------------------------------------------------------------------

ANSWER: list[Event] = [
    Begin("x"),
    ThoughtDelta("h"),
    ThoughtDelta("m"),
    ThoughtDelta("", "SEAL", Maker.ANTHROPIC),
    ThoughtDelta("", "DATA", Maker.ANTHROPIC, True),
    ThoughtDelta(),
    TextDelta("a\u2028"),
    TextDelta("b"),
    TextDelta(""),
    Refusal("no"),
    ToolBegin(0, "c1", "f", "si+/="),
    ToolDelta(0, '{"a'),
    ToolDelta(0, '":1}'),
    ToolBegin(1, "c2", "g"),
    ToolDelta(1, ""),
    Tally(TOLD),
    End(Stop.TOOLS),
]
ITEM = "call-1f-2"
FINAL = [
    {"id": f"rs_{ITEM}_0", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}],
     "encrypted_content": "anthropic:SEAL"},
    {"id": f"rs_{ITEM}_1", "type": "reasoning", "summary": [],
     "encrypted_content": "anthropic:redacted:DATA"},
    {"id": f"msg_{ITEM}_2", "type": "message", "status": "completed", "role": "assistant", "content": [
        {"type": "output_text", "annotations": [], "logprobs": [], "text": "a\u2028b"},
        {"type": "refusal", "refusal": "no"}]},
    {"id": f"fc_{ITEM}_3", "type": "function_call", "status": "completed", "arguments": '{"a":1}',
     "call_id": "c1__sig__si-p-s-e", "name": "f"},
    {"id": f"fc_{ITEM}_4", "type": "function_call", "status": "completed", "arguments": "{}",
     "call_id": "c2", "name": "g"},
]  # fmt: skip


def test_a_whole_answer_is_a_response() -> None:
    tools = [{"type": "function", "name": "f", "parameters": {}, "strict": False}]
    body = written(
        RESPONSES, ANSWER, False, tools=tools, instructions="be kind", metadata={"a": "b"}, temperature=0.5
    )
    Response.model_validate_json(body, strict=True)
    tree = orjson.loads(body)
    assert tree["output"] == FINAL
    assert tree["usage"] == USAGE
    assert (tree["id"], tree["model"], tree["created_at"]) == (f"resp_{ITEM}", "asked/for", 1_700_000_000)
    assert (tree["status"], tree["error"], tree["incomplete_details"]) == ("completed", None, None)
    assert (tree["tools"], tree["instructions"], tree["metadata"]) == (tools, "be kind", {"a": "b"})
    assert (tree["temperature"], tree["top_p"], tree["store"]) == (0.5, 1.0, False)


@pytest.mark.parametrize(
    ("stop", "reason"), [(Stop.LENGTH, "max_output_tokens"), (Stop.FILTERED, "content_filter")]
)
def test_an_answer_that_was_cut_short_is_incomplete(stop: Stop, reason: str) -> None:
    events: list[Event] = [Begin(), TextDelta("a"), End(stop)]
    tree = orjson.loads(written(RESPONSES, events, False))
    assert (tree["status"], tree["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert tree["output"][0]["status"] == "incomplete"
    assert tree["usage"] is None
    last = list(events_in(written(RESPONSES, events, True)))[-1]
    assert (last["type"], last["response"]["status"]) == ("response.incomplete", "incomplete")


def test_a_stream_has_all_events_in_the_api_s_order() -> None:
    told = list(events_in(written(RESPONSES, ANSWER, True)))
    for one in told:
        KNOWN.validate_python(one, strict=True)
    assert [one["sequence_number"] for one in told] == list(range(len(told)))
    assert [one["type"].removeprefix("response.") for one in told] == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.delta", "reasoning_summary_text.done", "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "content_part.added", "refusal.delta", "refusal.done",
        "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]  # fmt: skip
    assert told[-1]["response"]["output"] == FINAL
    assert told[0]["response"]["output"] == []
    done = [one["item"] for one in told if one["type"] == "response.output_item.done"]
    assert done == FINAL
    assert [one["output_index"] for one in told if "item" in one] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_every_event_is_named_as_its_data_says() -> None:
    for block in written(RESPONSES, ANSWER, True).split(b"\n\n")[:-1]:
        name, _, data = block.partition(b"\ndata: ")
        assert name == b"event: " + orjson.loads(data)["type"].encode()


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_is_left_to_who_writes_errors(stream: bool) -> None:
    writer = RESPONSES.writer(reply(RESPONSES, stream))
    assert writer.write([Broken(True)]) == b""


def test_an_empty_answer_is_a_response() -> None:
    Response.model_validate_json(written(RESPONSES, [], False), strict=True)


def test_headers_tell_what_an_answer_is() -> None:
    stream, whole = (dict(RESPONSES.headers(reply(RESPONSES, flag))) for flag in (True, False))
    assert stream["content-type"] == "text/event-stream; charset=utf-8"
    assert whole["content-type"] == "application/json"


def test_complaints_are_those_of_openai() -> None:
    complaint = RESPONSES.read_complaint(400, RESPONSES.write_complaint(Complaint(400, "no")))
    assert complaint == Complaint(400, "no")


def test_an_agents_hosted_tools_are_left_out_beside_functions() -> None:
    function = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    tools = [function, {"type": "web_search"}, {"type": "namespace", "name": "n", "tools": [function]}]
    ask, dropped = read(RESPONSES, LEAST[RESPONSES.NAME] | {"tools": tools})
    assert [tool.name for tool in ask.tools] == ["f"]
    assert dropped == ["tools.web_search", "tools.namespace"]
    assert refused(RESPONSES, LEAST[RESPONSES.NAME] | {"tools": tools[1:]}) == (
        "cannot_translate",
        "web_search",
    )
    alone = {"tools": [function, {"type": "file_search"}]}
    assert refused(RESPONSES, LEAST[RESPONSES.NAME] | alone) == ("cannot_translate", "file_search")


def test_what_the_provider_searched_before_is_left_out() -> None:
    items = [{"role": "user", "content": "a"}, SEARCH, {"role": "assistant", "content": "b"}]
    ask, dropped = read(RESPONSES, {"input": items})
    assert [turn.role for turn in ask.turns] == [Role.USER, Role.ASSISTANT]
    assert dropped == ["web_search_call"]
