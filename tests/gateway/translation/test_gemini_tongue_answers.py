"""Answers in Gemini's dialect, read from a provider and written for a caller, one feature at a time."""

import base64
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from google import genai
from google.genai import types

from gateway.dialects import gemini_generate as dialect
from gateway.dialects import gemini_wire
from gateway.names import Slug
from gateway.translation import gemini_generate as tongue
from gateway.translation.canonical import (
    Ask,
    Begin,
    Broken,
    Complaint,
    End,
    Event,
    Maker,
    Refusal,
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
)
from gateway.translation.gemini_generate_reader import StreamReader, WholeReader
from gateway.translation.gemini_generate_signature import UNSEALED
from gateway.translation.gemini_generate_writer import CALL_LIMIT, STAND_IN
from gateway.translation.losses import Losses
from gateway.usage import Usage
from tests.gateway.translation.gemini_samples import SSE, call_of, events_in, read, reply, told, written

WIRE = Path(__file__).parents[2] / "data" / "wire"
SEAL = base64.b64encode(b"\x0a\xff\xfe\xfb").decode()


def answer(*parts: dict[str, Any], reason: str | None = "STOP", **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "responseId": "r", **more}


def whole(tree: Any) -> list[Event]:
    return events_in(orjson.dumps(tree), False)


def streamed(*trees: Any) -> list[Event]:
    return events_in(b"".join(b"data: " + orjson.dumps(tree) + b"\r\n\r\n" for tree in trees), True)


def chunks(events: list[Event], query: tuple[tuple[str, str], ...] = SSE) -> list[dict[str, Any]]:
    """What a stream's caller is sent when every event comes alone."""
    body = written(events, reply(True, query), range(len(events)))
    if not query:
        return orjson.loads(body)  # type: ignore[no-any-return]
    return [orjson.loads(line.removeprefix(b"data: ")) for line in body.split(b"\r\n\r\n")[:-1]]


def parts_in(tree: dict[str, Any]) -> list[dict[str, Any]]:
    return tree["candidates"][0]["content"]["parts"]  # type: ignore[no-any-return]


# --- read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gemini_stream.sse", "gemini_stream.json", "gemini_whole.json"])
def test_a_recorded_answer_tells_the_usage_that_is_billed(name: str) -> None:
    body = (WIRE / name).read_bytes()
    stream = "stream" in name
    meter = dialect.meter(call_of({}, stream=stream, query=SSE if name.endswith("sse") else ()))
    meter.feed(body)
    again = events_in(body, stream)
    assert isinstance(again[0], Begin)
    assert isinstance(again[-1], End)
    assert told(again)[-1] == meter.finish().usage
    assert events_in(body, stream, range(len(body))) == again


def test_a_blocked_prompt_is_filtered() -> None:
    body = (WIRE / "gemini_blocked.json").read_bytes()
    assert told(events_in(body, False)) == [End(Stop.FILTERED), Usage(input=9)]


def test_an_answer_is_read() -> None:
    tree = answer(
        {"text": "hm", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": SEAL},
        {"text": "a\u2028b"},
        {"text": ""},
        {"functionCall": {"id": "1", "name": "f", "args": {"a": [1]}}, "thoughtSignature": SEAL},
        {"functionCall": {"name": "g"}},
        usageMetadata={
            "promptTokenCount": 3,
            "toolUsePromptTokenCount": 2,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 4,
        },
    )
    events = whole(tree)
    made = events[6]
    assert isinstance(made, ToolBegin)
    assert events == [
        Begin("r"),
        ThoughtDelta("hm"),
        ThoughtDelta("", SEAL, Maker.GEMINI),
        TextDelta("a\u2028b"),
        ToolBegin(0, "1", "f", SEAL),
        ToolDelta(0, '{"a":[1]}'),
        ToolBegin(1, made.id, "g"),
        ToolDelta(1, "{}"),
        Tally(Usage(input=5, output=9, reasoning=4)),
        End(Stop.TOOLS),
    ]
    assert streamed(tree) == events == whole([tree])
    assert made.id.startswith("call_")
    other = whole({**tree, "responseId": "s"})[6]
    assert isinstance(other, ToolBegin)
    assert other.id != made.id  # ids differ between answers


def test_a_seal_on_a_text_follows_it() -> None:
    events = whole(answer({"text": "a", "thoughtSignature": SEAL}, {"text": "b"}))
    assert events == [
        Begin("r"),
        TextDelta("a"),
        ThoughtDelta("", SEAL, Maker.GEMINI),
        TextDelta("b"),
        End(Stop.END),
    ]
    assert told(whole(answer({"text": "a", "thoughtSignature": UNSEALED}))) == [
        TextDelta("a"),
        End(Stop.END),
        None,
    ]


@pytest.mark.parametrize(
    ("reason", "end"),
    [
        ("STOP", End(Stop.END)),
        ("MAX_TOKENS", End(Stop.LENGTH)),
        ("SAFETY", End(Stop.FILTERED)),
        ("RECITATION", End(Stop.FILTERED)),
        ("BLOCKLIST", End(Stop.FILTERED)),
        ("PROHIBITED_CONTENT", End(Stop.FILTERED)),
        ("SPII", End(Stop.FILTERED)),
        ("IMAGE_SAFETY", End(Stop.FILTERED)),
        ("MALFORMED_FUNCTION_CALL", Broken()),
        ("OTHER", Broken()),
        ("SOMETHING_NEW", Broken()),
        ("FINISH_REASON_UNSPECIFIED", Broken()),
    ],
)
def test_reasons_to_end(reason: str, end: Event) -> None:
    tree = answer({"text": "a"}, reason=reason, usageMetadata={"promptTokenCount": 1})
    assert whole(tree) == [Begin("r"), TextDelta("a"), Tally(Usage(input=1)), end]
    call = answer({"functionCall": {"name": "f"}}, reason=reason)
    assert whole(call)[-1] == (End(Stop.TOOLS) if reason == "STOP" else end)


def test_every_reason_that_google_knows_ends_an_answer() -> None:
    for reason in types.FinishReason:
        assert isinstance(whole(answer(reason=reason.value))[-1], End | Broken)


def test_the_last_usage_counts_even_after_the_reason() -> None:
    events = streamed(
        answer({"text": "a"}, reason=None, usageMetadata={"promptTokenCount": 9, "thoughtsTokenCount": 9}),
        answer(usageMetadata={"promptTokenCount": 8}),
        {"usageMetadata": {"promptTokenCount": 7}},
        {"usageMetadata": {"promptTokenCount": -1}},
        {"usageMetadata": 1},
    )
    assert [event.usage for event in events if isinstance(event, Tally)][-1] == Usage(input=7)
    assert events[-1] == End(Stop.END)


@pytest.mark.parametrize(
    ("error", "busy"),
    [
        ({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "later"}, True),
        ({"code": 503}, True),
        ({"status": "UNAVAILABLE"}, True),
        ({"code": 500, "status": "INTERNAL"}, False),
        ({"code": [], "status": {}}, False),
        ("text", False),
    ],
)
def test_an_error_inside_an_answer_breaks_it(error: Any, busy: bool) -> None:
    first = answer({"text": "a"}, reason=None)
    broken = [Begin("r"), TextDelta("a"), Broken(busy)]
    assert streamed(first, {"error": error}, answer({"text": "late"})) == broken
    assert streamed(first, [{"error": error}]) == broken
    assert events_in(orjson.dumps([first, {"error": error}]), True) == broken
    assert events_in(orjson.dumps({"error": error}), True) == [Broken(busy)]
    assert whole([{"error": error}, first]) == [Broken(busy)]


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        {"functionCall": []},
        {"functionCall": {"args": {}}},
        {"functionCall": {"name": 1}},
        {"functionCall": {"name": "f", "args": "{}"}},
    ],
)
def test_parts_that_make_no_sense_break_an_answer(part: dict[str, Any]) -> None:
    assert whole(answer({"text": "a"}, part, {"text": "b"})) == [Begin("r"), TextDelta("a"), Broken()]


def test_arguments_with_too_many_levels_break_an_answer() -> None:
    deep = (
        b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":'
        + b'{"a":' * 300
        + b"1"
        + b"}" * 305
    )
    assert events_in(deep.replace(b"}" * 305, b"}" * 302 + b"]}}]}"), False)[-1] == Broken()


def test_only_the_first_candidate_is_told() -> None:
    tree = answer({"text": "a"})
    tree["candidates"].append(
        {"content": {"parts": [{"text": "b"}]}, "index": 1, "finishReason": "MAX_TOKENS"}
    )
    assert told(whole(tree)) == [TextDelta("a"), End(Stop.END), None]


def test_what_is_no_answer_is_broken() -> None:
    for body in (b"", b"{", b"1", b"[]", b"{}", b"\xff", b'{"candidates":1}', b'[{"candidates":[[]]},2]'):
        assert isinstance(events_in(body, False)[-1], Broken)
    assert events_in(b"data: {\r\n\r\n", True) == events_in(b"data: 1\n\n", True) == [Broken()]
    assert events_in(b"data: [DONE]\n\n", True) == events_in(b"", True) == events_in(b" \r\n", True) == []


def test_an_unfinished_stream_has_no_end() -> None:
    first = b"data: " + orjson.dumps(answer({"text": "a"}, reason=None)) + b"\r\n\r\n"
    last = b"data: " + orjson.dumps(answer({"text": "b"}))
    assert events_in(first, True) == [Begin("r"), TextDelta("a")]
    assert events_in(first + last[:-1], True) == [Begin("r"), TextDelta("a")]
    assert events_in(first + last, True)[-1] == End(Stop.END)


def test_space_before_a_stream_does_not_matter() -> None:
    body = orjson.dumps([answer({"text": "a"})])
    for space in (b"\r\n", b"   "):
        assert told(events_in(space + body, True, range(10))) == [TextDelta("a"), End(Stop.END), None]


def test_what_is_held_is_bounded() -> None:
    whole_reader, stream_reader, array_reader = WholeReader(100), StreamReader(100), StreamReader(100)
    assert whole_reader.feed(b" " * 60) == []
    assert whole_reader.feed(b" " * 60) == [Broken()]
    assert whole_reader.feed(b" ") == whole_reader.finish() == []
    assert stream_reader.feed(b"data: " + b"x" * 200) == [Broken()]
    assert stream_reader.feed(b"\n\ndata: {}\n\n") == stream_reader.finish() == []
    assert array_reader.feed(b'[{"a":"' + b"x" * 200) == [Broken()]
    assert array_reader.finish() == []
    blank = StreamReader(100)
    assert [blank.feed(b" " * 50) for _ in range(10)] == [[]] * 10


# --- written -------------------------------------------------------------------------------------------

STORY: list[Event] = [
    Begin("msg_1"),
    ThoughtDelta("hm"),
    ThoughtDelta("", "seal+/=", Maker.ANTHROPIC),
    TextDelta("a"),
    TextDelta("b\u2028"),
    ToolBegin(0, "toolu_1", "f"),
    ToolDelta(0, '{"a":'),
    ToolDelta(0, "\n 1}"),
    ToolBegin(1, "toolu_2", "g", SEAL),
    Tally(Usage(input=10, cached=4, output=7, reasoning=3)),
    End(Stop.TOOLS),
]


def test_a_whole_answer_is_written() -> None:
    writer = tongue.writer(reply(False))
    assert writer.write(STORY) == b""
    body = writer.finish()
    assert "\u2028".encode() in body
    packed = base64.b64encode(b"anthropic:seal+/=").decode()
    assert orjson.loads(body) == {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "hm", "thought": True, "thoughtSignature": packed},
                        {"text": "ab\u2028"},
                        {
                            "functionCall": {"id": "toolu_1", "name": "f", "args": {"a": 1}},
                            "thoughtSignature": STAND_IN,
                        },
                        {
                            "functionCall": {"id": "toolu_2", "name": "g", "args": {}},
                            "thoughtSignature": SEAL,
                        },
                    ],
                    "role": "model",
                },
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 10,
            "cachedContentTokenCount": 4,
            "candidatesTokenCount": 4,
            "thoughtsTokenCount": 3,
            "totalTokenCount": 17,
        },
        "modelVersion": "asked/for",
        "responseId": "call-1",
    }


@pytest.mark.parametrize("query", [SSE, ()])
def test_a_streamed_answer_is_written_piece_by_piece(query: tuple[tuple[str, str], ...]) -> None:
    sent = chunks(STORY, query)
    packed = base64.b64encode(b"anthropic:seal+/=").decode()
    assert [parts_in(tree) for tree in sent] == [
        [{"text": "hm", "thought": True}],
        [{"text": "", "thought": True, "thoughtSignature": packed}],
        [{"text": "a"}],
        [{"text": "b\u2028"}],
        [
            {
                "functionCall": {"id": "toolu_1", "name": "f", "args": {"a": 1}},
                "thoughtSignature": STAND_IN,
            },
            {"functionCall": {"id": "toolu_2", "name": "g", "args": {}}, "thoughtSignature": SEAL},
        ],
    ]
    assert ["finishReason" in tree["candidates"][0] for tree in sent] == [False] * 4 + [True]
    assert sent[-1]["usageMetadata"]["totalTokenCount"] == 17


def test_the_framing_is_the_one_that_the_caller_asked_for() -> None:
    events: list[Event] = [TextDelta("a"), TextDelta("b"), End(Stop.END)]
    writer = tongue.writer(reply(True))
    assert writer.write([Begin("x")]) == b""
    assert writer.write(events[:1]).startswith(b'[{"candidates"')
    assert writer.write(events[1:2]).startswith(b',\r\n{"candidates"')
    assert writer.write(events[2:]).startswith(b",\r\n{")
    assert writer.finish() == b"]"
    assert tongue.writer(reply(True)).finish() == b"[]"
    assert tongue.headers(reply(True, SSE)) == (("content-type", "text/event-stream"),)
    assert (
        tongue.headers(reply(True))
        == tongue.headers(reply(False))
        == (("content-type", "application/json; charset=UTF-8"),)
    )
    writer = tongue.writer(reply(True, SSE))
    assert writer.write([*events, Broken()]).count(b"\r\n\r\n") == 1
    assert writer.finish() == b""


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (Stop.END, "STOP"),
        (Stop.TOOLS, "STOP"),
        (Stop.STOP_SEQUENCE, "STOP"),
        (Stop.PAUSED, "STOP"),
        (Stop.LENGTH, "MAX_TOKENS"),
        (Stop.FILTERED, "SAFETY"),
    ],
)
def test_ends_have_reasons(stop: Stop, reason: str) -> None:
    (candidate,) = orjson.loads(written([End(stop)], reply(False)))["candidates"]
    assert candidate["finishReason"] == reason
    assert candidate.get("content") == (
        None if stop is Stop.FILTERED else {"parts": [{"text": ""}], "role": "model"}
    )
    declined = written([Refusal("no"), End(stop)], reply(False))
    assert parts_in(orjson.loads(declined)) == [{"text": "no"}]


def test_arguments_that_are_no_object_are_written_as_their_text() -> None:
    for text in ('{"a":', "[1]", "nonsense\u2028"):
        events: list[Event] = [
            ToolBegin(0, "1", "f"),
            ToolDelta(0, text),
            ToolDelta(7, "x"),
            End(Stop.LENGTH),
        ]
        tree = orjson.loads(written(events, reply(False)))
        (part,) = parts_in(tree)
        assert part["functionCall"] == {"id": "1", "name": "f", "args": {"_raw": text}}
        assert part["thoughtSignature"] == STAND_IN


def test_arguments_are_written_as_they_came() -> None:
    text = '{"id": 123456789012345678901234567890,\r\n"deep": ' + "[" * 400 + "]" * 400 + "}"
    body = written([ToolBegin(0, "1", "f"), ToolDelta(0, text), End(Stop.TOOLS)], reply(True, SSE))
    assert text.replace("\r\n", "  ").encode() in body
    assert body.count(b"\n") == 2


def test_calls_may_be_told_interleaved() -> None:
    events: list[Event] = [
        ToolBegin(0, "1", "f"),
        ToolBegin(1, "2", "g"),
        ToolDelta(0, '{"a"'),
        ToolDelta(1, '{"b"'),
        ToolDelta(0, ":1}"),
        ToolDelta(1, ":2}"),
        TextDelta("then"),
        End(Stop.TOOLS),
    ]
    (last,) = [tree for tree in chunks(events) if len(parts_in(tree)) == 3]
    assert [part.get("functionCall", {}).get("args") for part in parts_in(last)] == [{"a": 1}, {"b": 2}, None]


def test_arguments_that_are_too_long_are_not_held() -> None:
    events: list[Event] = [
        ToolBegin(0, "1", "f"),
        *[ToolDelta(0, "x" * (CALL_LIMIT // 4))] * 6,
        End(Stop.TOOLS),
    ]
    body = written(events, reply(False))
    assert len(body) < CALL_LIMIT + 1000
    assert orjson.loads(body)["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"


def test_a_redacted_thought_stands_alone() -> None:
    events: list[Event] = [
        ThoughtDelta("a"),
        ThoughtDelta("", "data", Maker.ANTHROPIC, redacted=True),
        ToolBegin(0, "1", "f"),
        ThoughtDelta("", SEAL, Maker.GEMINI),
        End(Stop.TOOLS),
    ]
    parts = parts_in(orjson.loads(written(events, reply(False))))
    assert [part.get("thought") for part in parts] == [True, True, None, True]
    assert told(events_in(written(events, reply(False)), False))[1] == events[1]


# --- errors --------------------------------------------------------------------------------------------


def test_complaints_are_read_and_written() -> None:
    error = {"error": {"code": 400, "message": "m\u2028", "status": "INVALID_ARGUMENT"}}
    assert tongue.read_complaint(400, orjson.dumps(error)) == Complaint(400, "m\u2028")
    assert tongue.read_complaint(400, orjson.dumps([error])) == Complaint(400, "m\u2028")
    for body in (
        b"",
        b"[]",
        b"{}",
        b"[1]",
        b'{"error":"x"}',
        b'{"error":{"message":1}}',
        b"\xff",
        b" " * 2**21,
    ):
        assert tongue.read_complaint(500, body) == Complaint(500, "")
    assert orjson.loads(tongue.write_complaint(Complaint(429, "later"))) == {
        "error": {"code": 429, "message": "later", "status": "RESOURCE_EXHAUSTED"}
    }
    assert orjson.loads(tongue.write_complaint(Complaint(529, "")))["error"]["status"] == "INTERNAL"
    assert orjson.loads(tongue.write_complaint(Complaint(422, "")))["error"]["status"] == "INVALID_ARGUMENT"


# --- with Google's own library ---------------------------------------------------------------------------


class Play:
    """A server inside the client: each call gets the next of some stories, in Gemini's dialect."""

    def __init__(self, *stories: list[Event]) -> None:
        self._stories = list(stories)
        self.asks: list[Ask] = []
        self.dropped: list[Slug] = []
        self.client = genai.Client(
            api_key="k",
            http_options=types.HttpOptions(
                base_url="http://127.0.0.1:1",
                httpx_client=httpx.Client(transport=httpx.MockTransport(self._serve)),
            ),
        )

    def _serve(self, request: httpx.Request) -> httpx.Response:
        stream = "streamGenerateContent" in request.url.path
        query = SSE if dict(request.url.params).get("alt") == "sse" else ()
        losses = Losses()
        self.asks.append(
            tongue.read_ask(call_of(orjson.loads(request.content), stream=stream, query=query), losses)
        )
        self.dropped += losses.dropped
        events = self._stories.pop(0)
        body = written(events, reply(stream, query), range(len(events)))
        return httpx.Response(200, headers=list(tongue.headers(reply(stream, query))), content=body)


CALLING: list[Event] = [
    Begin("msg_1"),
    ThoughtDelta("let me "),
    ThoughtDelta("see"),
    ThoughtDelta("", "se+al/~==", Maker.ANTHROPIC),
    ThoughtDelta("", "hidden?>", Maker.ANTHROPIC, redacted=True),
    TextDelta("I "),
    TextDelta("look"),
    ToolBegin(0, "toolu_1", "weather"),
    ToolDelta(0, '{"city": "Köln"}'),
    Tally(Usage(input=10, output=7)),
    End(Stop.TOOLS),
]
SAYING: list[Event] = [Begin("msg_2"), TextDelta("sunny"), Tally(Usage(input=20, output=2)), End(Stop.END)]


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_with_tools_keeps_what_the_other_maker_sealed(stream: bool) -> None:
    play = Play(CALLING, SAYING)
    weather = types.FunctionDeclaration(
        name="weather",
        parameters=types.Schema(
            type=types.Type.OBJECT,
            properties={"city": types.Schema(type=types.Type.STRING, nullable=True)},
            property_ordering=["city"],
        ),
    )
    config = types.GenerateContentConfig(
        system_instruction="be brief",
        temperature=0.5,
        top_k=3,
        thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW, include_thoughts=True),
        tools=[types.Tool(function_declarations=[weather])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    chat = play.client.chats.create(model="gemini-3-flash", config=config)
    picture = types.Part.from_bytes(data=b"\xff\xfe\xfd", mime_type="image/png")

    def say(message: Any) -> list[types.GenerateContentResponse]:
        return list(chat.send_message_stream(message)) if stream else [chat.send_message(message)]

    answers = say(["how is it?", picture])
    calls = [call for one in answers for call in one.function_calls or []]
    assert [(call.id, call.name, call.args) for call in calls] == [("toolu_1", "weather", {"city": "Köln"})]
    again = say(types.Part.from_function_response(name="weather", response={"output": "sun"}))
    assert "".join(one.text or "" for one in again) == "sunny"
    first, second = play.asks
    assert play.dropped == []
    assert first.system == (Text("be brief"),)
    assert (first.temperature, first.top_k, first.stream) == (0.5, 3, stream)
    assert first.tools[0].schema == {"type": "object", "properties": {"city": {"type": ["string", "null"]}}}
    assert first.turns[0].parts[1].data == "//79"  # type: ignore[union-attr]
    assert second.turns[1].parts == (
        Thought("let me see", "se+al/~==", Maker.ANTHROPIC),
        Thought("", "hidden?>", Maker.ANTHROPIC, redacted=True),
        Text("I look"),
        ToolCall("toolu_1", "weather", '{"city":"Köln"}'),
    )
    assert second.turns[2].parts == (ToolResult("toolu_1", (Text("sun"),), "weather"),)


def test_the_caller_s_schema_of_the_answer_is_parsed_by_the_library() -> None:
    play = Play([TextDelta('{"a":'), TextDelta(" 1}"), End(Stop.END)])
    config = types.GenerateContentConfig(
        response_mime_type="application/json",
        response_schema={"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}},
        max_output_tokens=7,
        stop_sequences=["x"],
        seed=3,
    )
    made = play.client.models.generate_content(model="gemini-3-flash", contents="x", config=config)
    assert made.parsed == {"a": 1}
    assert play.asks[0].format is not None
    assert play.asks[0].format.schema == {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert (play.asks[0].max_output, play.asks[0].stop, play.asks[0].seed) == (7, ("x",), 3)


def test_a_broken_stream_ends_as_the_dialect_says() -> None:
    body = tongue.writer(reply(True)).write([TextDelta("a")])
    assert gemini_wire.EVENTS in SSE
    assert orjson.loads(body + b",{}]")[0]["responseId"] == "call-1"
    assert read({"contents": []})[0] == Ask()
