"""Chat completions, read and written: what a table of fields and the official library say."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.content import Document
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
from gateway.translation.losses import Loss, Losses
from gateway.usage import Usage
from tests.gateway.translation.openai_samples import (
    CHAT,
    LEAST,
    call_of,
    chunk,
    cut_everywhere,
    events_in,
    heard,
    read,
    refused,
    reply,
    said,
    write,
    written,
)

DONE = b"data: [DONE]\n\n"
USER = {"role": "user", "content": "hello"}


def turns(*messages: Any) -> tuple[Turn, ...]:
    return read(CHAT, {"messages": list(messages)})[0].turns


def messages(*turns: Turn, **fields: Any) -> list[Any]:
    messages: list[Any] = write(CHAT, Ask(turns=turns, **fields))[0]["messages"]
    return messages


# --- calls -----------------------------------------------------------------------------------------


def test_system_and_developer_messages_are_system_texts() -> None:
    ask, dropped = read(
        CHAT,
        {
            "messages": [
                {"role": "system", "content": "one"},
                {"role": "developer", "content": [{"type": "text", "text": "two"}]},
                USER,
            ]
        },
    )
    assert ask.system == (Text("one"), Text("two"))
    assert not dropped


def test_a_late_system_message_goes_to_the_front_and_that_is_told() -> None:
    ask, dropped = read(CHAT, {"messages": [USER, {"role": "system", "content": "late"}]})
    assert ask.system == (Text("late"),)
    assert dropped == ["system_place"]


def test_results_of_parallel_tools_are_one_turn_with_what_the_user_says_next() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    other = {"id": "b__sig__AA-e", "type": "function", "function": {"name": "g", "arguments": "{"}}
    assert turns(
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call, other]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b__sig__AA-e", "content": [{"type": "text", "text": "2"}]},
        {"role": "user", "content": "go on"},
    ) == (
        Turn(Role.USER, (Text("hello"),)),
        Turn(Role.ASSISTANT, (ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", "{", "AA="))),
        Turn(
            Role.USER,
            (ToolResult("a", (Text("1"),)), ToolResult("b", (Text("2"),)), Text("go on")),
        ),
    )


def test_all_kinds_of_parts_are_read() -> None:
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD", "detail": "low"}},
        {"type": "image_url", "image_url": "https://example.com/a.png"},
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:text/csv;charset=x;base64,QQ==", "filename": "a.csv"}},
        {"type": "file", "file": {"file_data": "QUJD"}},
    ]
    assert turns({"role": "user", "content": parts}) == (
        Turn(
            Role.USER,
            (
                Text("look"),
                Image(media_type="image/png", data="QUJD", detail="low"),
                Image(url="https://example.com/a.png"),
                Sound("wav", "QQ=="),
                File(media_type="text/csv", data="QQ==", name="a.csv"),
                File(media_type="application/pdf", data="QUJD"),
            ),
        ),
    )


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_and_refusals_of_an_assistant_are_read(field: str) -> None:
    assert turns(USER, {"role": "assistant", field: "hm", "content": "a", "refusal": "no"})[1] == Turn(
        Role.ASSISTANT, (Thought("hm"), Text("a"), Text("no"))
    )


def test_sampling_fields_are_read() -> None:
    ask = said(
        CHAT,
        max_tokens=5, temperature=1, top_p=0.5, top_k=3, stop="x", seed=-1, presence_penalty=0.1,
        frequency_penalty=0.2, user="u", service_tier="fast", reasoning_effort="low",
    )  # fmt: skip
    assert (ask.max_output, ask.temperature, ask.top_p, ask.top_k) == (5, 1.0, 0.5, 3)
    assert (ask.stop, ask.seed, ask.presence_penalty, ask.frequency_penalty) == (("x",), -1, 0.1, 0.2)
    assert (ask.user, ask.tier, ask.reasoning) == ("u", "priority", Reasoning(effort=Effort.LOW))
    assert said(CHAT, max_completion_tokens=7, max_tokens=5).max_output == 7
    assert said(CHAT, stop=["a", "", "b"]).stop == ("a", "b")
    assert said(CHAT, safety_identifier="s").user == "s"


FUNCTION = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}
OTHER = {"type": "function", "function": {"name": "g", "strict": True}}
ALLOWED = {"tools": [{"type": "function", "function": {"name": "g"}}]}


@pytest.mark.parametrize(
    ("wish", "choice"),
    [
        ("auto", Choice()),
        ("none", Choice(Use.NONE)),
        ("required", Choice(Use.ANY)),
        ({"type": "function", "function": {"name": "f"}}, Choice(Use.NAMED, ("f",))),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", **ALLOWED}},
            Choice(Use.NAMED, ("g",)),
        ),
    ],
)
def test_tool_choices_are_read(wish: Any, choice: Choice) -> None:
    ask = said(CHAT, tools=[FUNCTION, OTHER], tool_choice=wish)
    assert ask.choice == choice
    assert ask.tools == (Tool("f", "d", {}), Tool("g", "", None, True))


def test_tools_that_are_only_allowed_are_the_only_ones_there() -> None:
    ask = said(
        CHAT,
        tools=[FUNCTION, OTHER],
        tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "auto", **ALLOWED}},
        parallel_tool_calls=False,
    )
    assert [tool.name for tool in ask.tools] == ["g"]
    assert ask.choice == Choice(parallel=False)


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, Format()),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True}},
            Format({"a": 1}, "n", "", True),
        ),
        ({"type": "json_schema", "json_schema": {"name": "n"}}, Format({}, "n")),
    ],
)
def test_formats_are_read(form: Any, wanted: Format | None) -> None:
    assert said(CHAT, response_format=form).format == wanted


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"logprobs": True, "top_logprobs": 2}, ["logprobs"]),
        ({"logit_bias": {"1": 2}, "metadata": {"a": "b"}}, ["logit_bias", "metadata"]),
        ({"metadata": {}, "store": False, "n": 1, "modalities": ["text"], "user": None}, []),
        ({"store": True}, ["store"]),
        ({"service_tier": "scale"}, ["tier"]),
        ({"user": "a", "safety_identifier": "b"}, ["safety_identifier"]),
        ({"made_up": 1, "made_up_too": 2}, ["unknown_field"]),
        ({"messages": [{**USER, "name": "x"}]}, ["name"]),
        (
            {"messages": [{"role": "user", "content": [
                {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}
            ]}]},
            ["prompt_cache_breakpoint"],
        ),
    ],
)  # fmt: skip
def test_what_is_dropped_is_told(fields: dict[str, Any], names: list[str]) -> None:
    _, dropped = read(CHAT, LEAST[CHAT.NAME] | fields)
    assert dropped == names
    assert all(losses_of(CHAT, CHAT)[name] is Loss.DROPPED for name in dropped)


FILE_AT_PROVIDER = {"type": "file", "file": {"file_id": "f"}}
TOOL_MESSAGE = {"role": "tool", "tool_call_id": "a"}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"n": 2}, "n"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "custom"),
        ({"tools": [{"type": "made_up"}]}, "unknown_tool"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "unknown_tool"),
        ({"messages": [{"role": "user", "content": [{"type": "made_up"}]}]}, "unknown_part"),
        ({"messages": [{"role": "user", "content": [FILE_AT_PROVIDER]}]}, "file_id"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "functions"),
        ({"messages": [{"role": "assistant", "function_call": {"name": "f"}}]}, "functions"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "audio"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"type": "custom"}]}]}, "custom"),
        (
            {"messages": [{**TOOL_MESSAGE, "content": [
                {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
            ]}]},
            "unknown_part",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_translated_is_refused(fields: dict[str, Any], name: str) -> None:
    assert refused(CHAT, LEAST[CHAT.NAME] | fields) == ("cannot_translate", name)
    assert losses_of(CHAT, CHAT)[name] is Loss.REFUSED  # type: ignore[index]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"messages": [{"role": "nobody"}]}, "messages"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "assistant", "tool_calls": [1]}]}, "messages"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "x"}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:,x"}]}]},
            "messages",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages"),
        ({"tools": ["f"]}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}, "tools"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {}}}, "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": 1}}}, "response_format"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"stop": 1}, "stop"),
        ({"stop": [1]}, "stop"),
        ({"seed": 1.5}, "seed"),
        ({"user": 1}, "user"),
    ],
)
def test_what_has_the_wrong_shape_is_a_bad_request(fields: dict[str, Any], name: str) -> None:
    assert refused(CHAT, LEAST[CHAT.NAME] | fields) == ("bad_request", name)


def test_what_was_written_is_a_plain_call() -> None:
    ask = Ask(
        system=(Text("be kind"),),
        turns=(Turn(Role.USER, (Text("hi"),)),),
        tools=(Tool("f"),),
        choice=Choice(Use.NAMED, ("f",), False),
        max_output=9,
        stream=True,
    )
    assert write(CHAT, ask)[0] == {
        "model": "gpt-x",
        "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "max_completion_tokens": 9,
        "stream": True,
    }


def test_pictures_of_a_result_follow_in_a_message_of_the_user() -> None:
    result = ToolResult("a", (Text("see"), Image(url="https://example.com/a.png")), is_error=True)
    assert messages(Turn(Role.USER, (result, Text("well?")))) == [
        {"role": "tool", "tool_call_id": "a", "content": "The tool failed: see"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What the tool call a gave back:"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "text", "text": "well?"},
            ],
        },
    ]


def test_a_failure_without_words_is_told() -> None:
    result = ToolResult("a", (), is_error=True)
    assert messages(Turn(Role.USER, (result,)))[0]["content"] == "The tool failed: "
    assert messages(Turn(Role.USER, (ToolResult("a", ()),)))[0]["content"] == ""


def test_what_only_the_other_side_can_say_is_passed_over() -> None:
    odd = (Thought("hm"), ToolCall("a", "f", "{}"), Text(""))
    assert messages(Turn(Role.USER, odd), Turn(Role.ASSISTANT, (Text(""),))) == []


def test_a_call_without_messages_is_a_bad_request() -> None:
    call = replace(call_of(CHAT, LEAST[CHAT.NAME]), body=Document({"messages": []}, 2))
    with pytest.raises(CallerError) as caught:
        CHAT.read_ask(call, Losses())
    assert (caught.value.code, caught.value.about) == ("bad_request", "messages")


def test_long_ids_are_shortened_alike_for_call_and_result() -> None:
    id = "x" * 100
    sent = messages(
        Turn(Role.ASSISTANT, (ToolCall(id, "f", "", "signature"),)),
        Turn(Role.USER, (ToolResult(id, (Text("1"),)),)),
    )
    call = sent[0]["tool_calls"][0]
    assert call["id"] == sent[1]["tool_call_id"]
    assert len(call["id"]) <= 40
    assert call["function"]["arguments"] == "{}"
    assert "signature" not in str(sent)


def test_what_an_assistant_cannot_say_here_is_dropped() -> None:
    ask = Ask(turns=(Turn(Role.ASSISTANT, (Thought("hm"), Image(url="https://example.com/a"))),))
    assert write(CHAT, ask) == ({"model": "gpt-x", "messages": []}, ["thoughts", "assistant_media"])


def test_a_file_behind_a_url_is_refused() -> None:
    with pytest.raises(CallerError) as caught:
        messages(Turn(Role.USER, (File(url="https://example.com/a.pdf"),)))
    assert (caught.value.code, caught.value.about) == ("cannot_translate", "file_url")


def test_json_is_asked_for_in_words_where_no_text_does() -> None:
    plain = messages(Turn(Role.USER, (Text("hi"),)), format=Format())
    assert plain[0] == {"role": "system", "content": "Answer in JSON."}
    assert messages(Turn(Role.USER, (Text("Json, please"),)), format=Format())[0]["role"] == "user"


# --- answers: what comes in ------------------------------------------------------------------------


STORY = [
    chunk({"role": "assistant", "content": "", "refusal": None}),
    chunk({"content": "a\u2028"}),
    chunk({"content": "é\U0001f600"}),
    chunk({"tool_calls": [{"index": 0, "id": "c1", "type": "function",
                           "function": {"name": "f", "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
    chunk({"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "g", "arguments": "{}"}}]}),
    chunk({}, "tool_calls"),
    chunk(usage={"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12,
                 "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 1, "cache_write_tokens": 2},
                 "completion_tokens_details": {"reasoning_tokens": 4}}),
    DONE,
]  # fmt: skip

EVENTS: list[Event] = [
    Begin("chatcmpl-9"),
    TextDelta("a\u2028"),
    TextDelta("é\U0001f600"),
    ToolBegin(0, "c1", "f"),
    ToolDelta(0, '{"a"'),
    ToolDelta(0, ":1}"),
    ToolBegin(1, "c2", "g"),
    ToolDelta(1, "{}"),
    Tally(Usage(input=7, cached=3, write_5m=2, input_audio=1, output=5, reasoning=4)),
    End(Stop.TOOLS),
]


def test_a_stream_gives_the_same_events_wherever_it_is_cut() -> None:
    body = b"".join(STORY)
    for chunks in cut_everywhere(body):
        assert heard(CHAT, chunks, True) == EVENTS


def test_a_stream_with_other_line_ends_and_comments_is_read() -> None:
    body = b"\xef\xbb\xbf: hello\r\n\r\n" + b"".join(STORY).replace(b"\n", b"\r\n")
    assert heard(CHAT, [body], True) == EVENTS


def test_a_stream_without_done_ends_with_its_body_and_one_without_a_reason_is_cut() -> None:
    assert heard(CHAT, STORY[:-1], True) == EVENTS
    assert not any(isinstance(one, End) for one in heard(CHAT, STORY[:6], True))
    assert heard(CHAT, [*STORY[:2], DONE], True)[-1] == End(Stop.END)
    assert heard(CHAT, [DONE], True) == [Broken()]
    assert heard(CHAT, [], True) == heard(CHAT, [b" \n"], False) == []


def test_a_whole_answer_to_a_call_for_a_stream_is_read() -> None:
    body = orjson.dumps({"id": "x", "choices": [{"message": {"content": "hi"}, "finish_reason": "length"}]})
    events = [Begin("x"), TextDelta("hi"), End(Stop.LENGTH)]
    for chunks in cut_everywhere(b"\n" + body):
        assert heard(CHAT, chunks, True) == events
        assert heard(CHAT, chunks, False) == events


def test_groq_s_thoughts_and_usage_are_read() -> None:
    usage = {"queue_time": 0.1, "prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    body = [
        chunk({"role": "assistant", "content": None, "reasoning": "hm"}, x_groq={"id": "r"}),
        chunk({"content": "hi"}),
        chunk({}, "stop", x_groq={"id": "r", "usage": usage}, usage=usage),
        DONE,
    ]
    assert heard(CHAT, body, True) == [
        Begin("chatcmpl-9"),
        ThoughtDelta("hm"),
        TextDelta("hi"),
        Tally(Usage(input=2, output=3)),
        End(Stop.END),
    ]


def test_only_the_first_choice_is_read() -> None:
    second = {"index": 1, "delta": {"content": "other"}, "finish_reason": "length"}
    body = b"data: " + orjson.dumps({"id": "x", "choices": [second]}) + b"\n\n"
    assert heard(CHAT, [body, chunk({"content": "a"}, "stop"), DONE], True) == [
        Begin("x"),
        TextDelta("a"),
        End(Stop.END),
    ]


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("stop", Stop.END),
        ("length", Stop.LENGTH),
        ("tool_calls", Stop.END),  # without any call
        ("content_filter", Stop.FILTERED),
        ("new", Stop.END),
    ],
)
def test_finish_reasons_are_read(reason: str, stop: Stop) -> None:
    assert heard(CHAT, [chunk({"content": "a"}, reason)], True)[-1] == End(stop)


def test_a_demanded_tool_ends_with_tools_though_the_reason_is_stop() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    assert heard(CHAT, [chunk({"tool_calls": [call]}, "stop"), DONE], True)[-1] == End(Stop.TOOLS)


def test_calls_with_one_index_are_told_apart_by_their_ids() -> None:
    body = [
        chunk({"tool_calls": [{"index": 0, "id": id, "function": {"name": "f", "arguments": "{}"}}]}, "stop")
        for id in ("a", "b")
    ]
    begun = [one for one in heard(CHAT, body, True) if isinstance(one, ToolBegin)]
    assert begun == [ToolBegin(0, "a", "f"), ToolBegin(1, "b", "f")]


def test_a_call_without_an_id_gets_one_and_one_without_a_name_waits_for_it() -> None:
    body = [
        chunk({"tool_calls": [{"index": 10**18, "function": {"arguments": '{"a":'}}]}),
        chunk({"tool_calls": [{"index": 10**18, "function": {"name": "f", "arguments": "1}"}}]}),
        chunk({"tool_calls": [{"index": -1, "function": {"arguments": "never"}}]}, "stop"),
    ]
    events = heard(CHAT, body, True)
    assert isinstance(events[1], ToolBegin)
    assert events[1].id.startswith("call_")
    assert events[2:] == [ToolDelta(0, '{"a":1}'), End(Stop.TOOLS)]


def test_more_of_a_call_that_has_ended_breaks_the_answer() -> None:
    late = chunk({"tool_calls": [{"index": 0, "function": {"arguments": "x"}}]})
    assert heard(CHAT, [*STORY[:7], late, DONE], True)[-1] == Broken()


def test_too_many_calls_break_the_answer() -> None:
    calls = [{"index": at, "id": f"{at}", "function": {"name": "f"}} for at in range(1025)]
    assert heard(CHAT, [chunk({"tool_calls": calls})], True)[-1] == Broken()


def test_odd_contents_of_other_servers_are_read() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "thinking"}, 1]
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    message = {"content": parts, "refusal": "no", "tool_calls": [call, 2]}
    body = orjson.dumps({"choices": [1, {"message": message}]})
    events = heard(CHAT, [body], False)
    assert events[:3] == [Begin(), TextDelta("a"), Refusal("no")]
    assert events[4:] == [ToolDelta(0, '{"a":1}'), End(Stop.TOOLS)]


@pytest.mark.parametrize(
    ("error", "busy"),
    [
        ({"message": "x", "type": "server_error", "code": None}, False),
        ({"message": "x", "code": "rate_limit_exceeded"}, True),
        ({"message": "x", "status_code": 503}, True),
        ({"code": ["odd"]}, False),
        ("bare", False),
    ],
)
def test_an_error_inside_an_answer_breaks_it(error: Any, busy: bool) -> None:
    body = b"event: error\ndata: " + orjson.dumps({"error": error}) + b"\n\n"
    assert heard(CHAT, [*STORY[:2], body, *STORY[2:]], True)[2:] == [Broken(busy)]
    assert heard(CHAT, [orjson.dumps({"error": error})], False) == [Broken(busy)]
    assert heard(CHAT, [chunk(x_groq={"error": error})], True) == [Broken(busy)]


@pytest.mark.parametrize("body", [b"data: {\n\n", b"data: [1]\n\n", b"data: \xff\xfe\n\n", b"data: x\n\n"])
def test_what_is_no_chunk_breaks_the_answer(body: bytes) -> None:
    assert heard(CHAT, [STORY[0], body, *STORY[1:]], True) == [Begin("chatcmpl-9"), Broken()]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"choices":[]}', b"{}", b"{", b'"x"'])
def test_what_is_no_answer_is_broken(body: bytes) -> None:
    assert heard(CHAT, [body], False)[-1] == Broken()


# --- answers: what goes out ------------------------------------------------------------------------

ANSWER: list[Event] = [
    Begin("x"),
    ThoughtDelta("hm"),
    TextDelta("a\u2028b"),
    ToolBegin(0, "c1", "f", "si+/="),
    ToolDelta(0, '{"a'),
    ToolDelta(0, '":1'),
    ToolBegin(1, "c2", "g"),
    Tally(Usage(input=9, cached=2, write_5m=1, write_1h=1, output=5, reasoning=1)),
    End(Stop.TOOLS),
]

USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0, "cache_write_tokens": 2},
    "completion_tokens_details": {
        "reasoning_tokens": 1,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}


def test_a_whole_answer_is_a_chat_completion() -> None:
    body = written(CHAT, ANSWER, False)
    ChatCompletion.model_validate_json(body, strict=True)
    tree = orjson.loads(body)
    assert (tree["id"], tree["model"], tree["created"]) == ("chatcmpl-call-1f-2", "asked/for", 1_700_000_000)
    assert tree["usage"] == USAGE
    choice = tree["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": "a\u2028b",
        "refusal": None,
        "annotations": [],
        "reasoning_content": "hm",
        "tool_calls": [
            {
                "id": "c1__sig__si-p-s-e",
                "type": "function",
                "function": {"name": "f", "arguments": '{"a":1'},
            },
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }


def test_an_answer_of_calls_or_a_refusal_alone_has_no_content() -> None:
    for event in (ToolBegin(0, "c", "f"), Refusal("no")):
        message = orjson.loads(written(CHAT, [Begin(), event, End(Stop.END)], False))["choices"][0]["message"]
        assert message["content"] is None
    empty = orjson.loads(written(CHAT, [Begin(), End(Stop.END)], False))
    assert empty["choices"][0]["message"]["content"] == ""
    assert empty["usage"] is None


def test_every_chunk_is_one_that_the_library_knows() -> None:
    body = written(CHAT, ANSWER, True)
    chunks = list(events_in(body))
    for one in chunks:
        ChatCompletionChunk.model_validate(one, strict=True)
        assert one["id"] == "chatcmpl-call-1f-2"
        assert "usage" in one
    assert body.endswith(b"\n\ndata: [DONE]\n\n")
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [one["index"] for piece in chunks[3:8] for one in piece["choices"][0]["delta"]["tool_calls"]] == [
        0, 0, 0, 1, 1,
    ]  # fmt: skip
    assert [piece["choices"][0]["finish_reason"] for piece in chunks[:-1]] == [None] * 8 + ["tool_calls"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], USAGE)


def test_usage_is_on_a_stream_only_if_it_was_asked_for() -> None:
    body = written(CHAT, ANSWER, True, stream_options={})
    assert b'"usage"' not in body
    assert body.endswith(b"data: [DONE]\n\n")
    assert b'"choices":[]' not in written(CHAT, [Begin(), End(Stop.END)], True)


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_is_left_to_who_writes_errors(stream: bool) -> None:
    writer = CHAT.writer(reply(CHAT, stream))
    assert writer.write([Broken(True)]) == b""


def test_headers_tell_what_an_answer_is() -> None:
    assert dict(CHAT.headers(reply(CHAT, True)))["content-type"] == "text/event-stream; charset=utf-8"
    assert dict(CHAT.headers(reply(CHAT, False)))["content-type"] == "application/json"


# --- errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"no","type":"x"}}', "no"),
        (b'{"error":"no"}', "no"),
        (b'[{"error":{"message":"no"}}]', "no"),
        (b'{"detail":"no"}', "no"),
        (b'{"error":{"code":1}}', ""),
        (b"3", ""),
        (b"<html>", ""),
        (b"\xff", ""),
    ],
)
def test_complaints_are_read(body: bytes, message: str) -> None:
    assert CHAT.read_complaint(418, body) == Complaint(418, message)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (429, "rate_limit_error"), (500, "server_error"), (529, "server_error")],
)
def test_complaints_are_written(status: int, kind: str) -> None:
    assert orjson.loads(CHAT.write_complaint(Complaint(status, "no"))) == {
        "error": {"message": "no", "type": kind, "param": None, "code": None}
    }
