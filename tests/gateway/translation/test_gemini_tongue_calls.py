"""Calls in Gemini's dialect, read from a caller and written for a provider, one feature at a time."""

import base64
from typing import Any

import orjson
import pytest

from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Shape, Tags
from gateway.dialects import gemini_wire
from gateway.errors import CallerError
from gateway.names import Slug
from gateway.records import PathKind
from gateway.translation import gemini_generate as tongue
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
)
from gateway.translation.gemini_generate_schema import to_json_schema
from gateway.translation.gemini_generate_signature import UNSEALED, pack
from gateway.translation.tongue import Aim
from tests.gateway.translation.gemini_samples import read, write

HELLO = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
SEAL = base64.b64encode(b"\x0a\xff\xfe\xfb").decode()


def parts_read(*parts: dict[str, Any], role: str = "user") -> tuple[Any, ...]:
    (turn,) = read({"contents": [{"role": role, "parts": list(parts)}]})[0].turns
    return turn.parts


def parts_written(*parts: Any, role: Role = Role.USER, model: str = "gemini-3-flash") -> list[dict[str, Any]]:
    (content,) = write(Ask(turns=(Turn(role, parts),)), model)[0]["contents"]
    return content["parts"]  # type: ignore[no-any-return]


def config_read(**config: Any) -> Ask:
    return read({**HELLO, "generationConfig": config})[0]


def config_written(model: str = "gemini-3-flash", **fields: Any) -> dict[str, Any]:
    ask = Ask(turns=(Turn(Role.USER, (Text("x"),)),), **fields)
    return write(ask, model)[0].get("generationConfig", {})  # type: ignore[no-any-return]


def refused(tree: dict[str, Any]) -> tuple[str, str | None]:
    with pytest.raises(CallerError) as error:
        read(tree)
    return error.value.code, error.value.about


# --- what is said --------------------------------------------------------------------------------------


def test_a_call_is_read_in_both_spellings() -> None:
    ask, dropped = read(
        {
            "contents": {"parts": {"text": "hello"}},
            "system_instruction": {"parts": [{"text": "be"}, {"text": "kind"}, {"text": ""}]},
            "tools": {"function_declarations": {"name": "f", "parameters_json_schema": {"type": "object"}}},
            "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
            "generation_config": {
                "max_output_tokens": "12",
                "temperature": "0.5",
                "top_p": 1,
                "top_k": 40.0,
                "stop_sequences": ["a"],
                "seed": "-7",
                "presence_penalty": 0.1,
                "frequency_penalty": "1e-1",
                "response_logprobs": True,
                "logprobs": 3,
                "response_mime_type": "application/json",
                "response_modalities": ["Text"],
                "candidate_count": 1,
                "thinking_config": {"thinking_level": "low", "include_thoughts": True},
            },
            "service_tier": "SERVICE_TIER_FLEX",
        }
    )
    assert dropped == []
    assert ask == Ask(
        system=(Text("be"), Text("kind")),
        turns=(Turn(Role.USER, (Text("hello"),)),),
        tools=(Tool("f", schema={"type": "object"}),),
        choice=Choice(Use.NAMED, ("f",)),
        max_output=12,
        temperature=0.5,
        top_p=1,
        top_k=40,
        stop=("a",),
        seed=-7,
        presence_penalty=0.1,
        frequency_penalty=0.1,
        logprobs=3,
        format=Format(),
        reasoning=Reasoning(effort=Effort.LOW, shown=True),
        tier="flex",
    )


def test_a_call_goes_out_with_what_its_path_needs() -> None:
    tags = Tags(feature=Slug("chat"))
    original = Call(
        dialect=Slug("openai_chat"),
        kind=PathKind.CHAT,
        model="m",
        stream=True,
        body=Content(b"12345"),
        headers=(("openai-beta", "x"),),
        shape=Shape(turns=3),
        tags=tags,
    )
    aim = Aim(model="gemini-3-flash", max_output=10)
    for stream, path in (
        (True, "/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse"),
        (False, "/v1beta/models/gemini-3-flash:generateContent"),
    ):
        made = tongue.call(Ask(stream=stream), aim, original, {"contents": []})
        assert gemini_wire.path(made, aim.model) == path
        assert (made.dialect, made.kind, made.model) == (tongue.NAME, PathKind.GENERATE, "gemini-3-flash")
        assert (made.stream, made.headers, made.tags, made.shape) == (stream, (), tags, Shape(turns=3))
        assert isinstance(made.body, Document)
        assert made.body.open(Purpose.READ) == {"contents": []}
        assert made.body.size == 5


def test_neighbours_of_one_role_are_one_turn() -> None:
    contents = [
        {"parts": [{"text": "a"}]},
        {"role": "user", "parts": [{"text": "b"}]},
        {"role": "model", "parts": []},
        {"role": "user"},
        {"role": "model", "parts": [{"text": "c"}, {"text": "d"}]},
    ]
    ask, _ = read({"contents": contents})
    assert ask.turns == (Turn(Role.USER, (Text("a"), Text("b"))), Turn(Role.ASSISTANT, (Text("cd"),)))


def test_turns_of_which_nothing_is_left_do_not_part_their_neighbours() -> None:
    foreign = Thought("t", "x", Maker.OPENAI)
    turns = (Turn(Role.USER, (Text("a"),)), Turn(Role.ASSISTANT, (foreign,)), Turn(Role.USER, (Text("b"),)))
    body, dropped = write(Ask(turns=turns))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}]}
    assert dropped == ["thoughts"]


def test_a_system_text_alone_is_asked_as_a_user_would() -> None:
    assert write(Ask(system=(Text("s"),)))[0] == {"contents": [{"role": "user", "parts": [{"text": "s"}]}]}


def test_line_separators_inside_texts_survive() -> None:
    text = "a\u2028b\u2029c\u0085"
    body, _ = write(Ask(turns=(Turn(Role.USER, (Text(text),)),)))
    assert read(body)[0].turns[0].parts == (Text(text),)


# --- media ---------------------------------------------------------------------------------------------


def test_media_are_told_apart_by_their_type() -> None:
    data = base64.b64encode(b"\xff\xfe\xfd").decode()
    safe = base64.urlsafe_b64encode(b"\xff\xfe\xfd").decode()
    plain = base64.b64encode("süß".encode()).decode()
    assert parts_read(
        {"inlineData": {"mimeType": "image/PNG", "data": safe}},
        {"inline_data": {"mime_type": "audio/mpeg", "data": data}},
        {"inlineData": {"mimeType": "application/pdf", "data": data, "displayName": "a.pdf"}},
        {"inlineData": {"mimeType": "text/plain", "data": plain}},
        {"inlineData": {"mimeType": "text/plain", "data": data}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://example.org/a.png"}},
        {"fileData": {"fileUri": "gs://b/a.pdf"}},
    ) == (
        Image("image/png", data),
        Sound("mp3", data),
        File("application/pdf", data, name="a.pdf"),
        File("text/plain", text="süß"),
        File("text/plain", data),
        Image("image/png", url="https://example.org/a.png"),
        File(url="gs://b/a.pdf"),
    )


def test_media_are_written_inline_or_as_google_s_own_files() -> None:
    assert parts_written(
        Image(data="aGk="),
        Sound("pcm16", "aGk="),
        File(data="aGk="),
        File(text="hi"),
        Image(url="gs://b/a.png"),
        File("application/pdf", url="https://storage.googleapis.com/b/a.pdf"),
    ) == [
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        {"inlineData": {"mimeType": "audio/pcm", "data": "aGk="}},
        {"inlineData": {"mimeType": "application/pdf", "data": "aGk="}},
        {"inlineData": {"mimeType": "text/plain", "data": "aGk="}},
        {"fileData": {"fileUri": "gs://b/a.png"}},
        {"fileData": {"fileUri": "https://storage.googleapis.com/b/a.pdf", "mimeType": "application/pdf"}},
    ]


@pytest.mark.parametrize(
    ("part", "code", "about"),
    [
        ({"inlineData": {"mimeType": "video/mp4", "data": "aGk="}}, "cannot_translate", "video"),
        ({"fileData": {"mimeType": "audio/wav", "fileUri": "gs://b/a"}}, "cannot_translate", "audio_url"),
        ({"executableCode": {"code": "1"}}, "cannot_translate", "executableCode"),
        ({"tool_call": {"id": "1"}, "text": ""}, "cannot_translate", "toolCall"),
        ({"inlineData": {"data": "aGk="}}, "bad_request", "inlineData"),
        ({"inlineData": {"mimeType": "image/png"}}, "bad_request", "inlineData"),
        ({"fileData": {"mimeType": "image/png"}}, "bad_request", "fileData"),
        ({"inlineData": [], "text": "x"}, "bad_request", "parts"),
        ({"inlineData": 1}, "bad_request", "inlineData"),
        ({"text": 1}, "bad_request", "text"),
        ({"text": "a", "functionCall": {"name": "f"}}, "bad_request", "parts"),
        ({"functionCall": {"name": "f"}}, "bad_request", "functionCall"),
        ({"functionResponse": {"response": {}}}, "bad_request", "functionResponse"),
        ({"functionResponse": {"name": "f", "parts": [{}]}}, "bad_request", "parts"),
        ({}, "bad_request", "parts"),
        ({"text": "a", "thought": "yes"}, "bad_request", "thought"),
    ],
)
def test_odd_parts_are_refused(part: dict[str, Any], code: str, about: str) -> None:
    assert refused({"contents": [{"role": "user", "parts": [part]}]}) == (code, about)


@pytest.mark.parametrize(
    ("tree", "about"),
    [
        ({"contents": "hello"}, "contents"),
        ({"contents": ["hello"]}, "contents"),
        ({"contents": [{"parts": ["hello"]}]}, "parts"),
        ({"contents": [{"role": "system", "parts": []}]}, "role"),
        (
            {"contents": [{"role": "model", "parts": [{"functionResponse": {"name": "f"}}]}]},
            "functionResponse",
        ),
        ({"contents": [], "systemInstruction": {"parts": [{"inlineData": {}}]}}, "systemInstruction"),
        ({"contents": [], "systemInstruction": "x"}, "systemInstruction"),
        (
            {"contents": [], "tools": [{"functionDeclarations": [{"description": "x"}]}]},
            "functionDeclarations",
        ),
        ({"contents": [], "tools": [{"functionDeclarations": [1]}]}, "functionDeclarations"),
        ({"contents": [], "toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}, "mode"),
        ({"contents": [], "generationConfig": {"topK": 1.5}}, "topK"),
        ({"contents": [], "generationConfig": {"topK": True}}, "topK"),
        ({"contents": [], "generationConfig": {"temperature": "hot"}}, "temperature"),
        ({"contents": [], "generationConfig": {"topK": 1, "top_k": 1}}, "topK"),
        ({"contents": [], "generationConfig": {"stopSequences": [1]}}, "stopSequences"),
        (
            {"contents": [], "generationConfig": {"thinkingConfig": {"thinkingLevel": "EXTREME"}}},
            "thinkingLevel",
        ),
        (
            {
                "contents": [],
                "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}},
            },
            "thinkingLevel",
        ),
        (
            {"contents": [], "generationConfig": {"responseSchema": {}, "responseJsonSchema": {}}},
            "responseSchema",
        ),
        (
            {"contents": [], "generationConfig": {"responseSchema": {}, "responseMimeType": "text/plain"}},
            "responseMimeType",
        ),
    ],
)
def test_calls_that_are_wrong_are_refused(tree: dict[str, Any], about: str) -> None:
    assert refused(tree) == ("bad_request", about)


@pytest.mark.parametrize(
    ("tree", "about"),
    [
        ({"cachedContent": "cachedContents/1"}, "cachedContent"),
        ({"generationConfig": {"candidateCount": 2}}, "candidateCount"),
        ({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, "responseModalities"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "responseMimeType"),
        ({"generationConfig": {"continuation_token": "x"}}, "continuationToken"),
        ({"tools": [{"googleSearch": {}}]}, "googleSearch"),
        ({"tools": [{"google_search_retrieval": {}}]}, "googleSearchRetrieval"),
        ({"tools": [{"codeExecution": {}}]}, "codeExecution"),
        ({"tools": [{"url_context": {}}]}, "urlContext"),
        ({"tools": [{"somethingNew": {}}]}, "unknown_tool"),
    ],
)
def test_what_no_other_dialect_has_is_refused_by_name(tree: dict[str, Any], about: str) -> None:
    assert refused({**HELLO, **tree}) == ("cannot_translate", about)


def test_what_can_be_left_out_is_left_out_and_told() -> None:
    ask, dropped = read(
        {
            "contents": [{"parts": [{"text": "a", "mediaResolution": {"level": "LOW"}, "partMetadata": {}}]}],
            "safetySettings": [{"category": "x"}],
            "labels": {"team": "a"},
            "store": False,
            "newField": 1,
            "tools": [{"functionDeclarations": [{"name": "f", "response": {}, "behavior": "BLOCKING"}]}],
            "toolConfig": {
                "retrievalConfig": {},
                "functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
            },
            "generationConfig": {"speechConfig": {}, "mediaResolution": "LOW"},
        }
    )
    assert dropped == [
        "safetySettings",
        "labels",
        "unknown_field",
        "speechConfig",
        "mediaResolution",
        "response",
        "behavior",
        "partMetadata",
        "retrievalConfig",
        "allowedFunctionNames",
    ]
    assert ask.choice == Choice(Use.AUTO)
    assert read({**HELLO, "serviceTier": "economy"})[1] == ["tier"]


# --- tools ---------------------------------------------------------------------------------------------


def test_calls_without_ids_are_found_by_their_results() -> None:
    def call(name: str, **more: Any) -> dict[str, Any]:
        return {"functionCall": {"name": name, "args": {"a": 1}, **more}}

    def result(name: str, output: str, **more: Any) -> dict[str, Any]:
        return {"functionResponse": {"name": name, "response": {"output": output}, **more}}

    tree = {
        "contents": [
            {"role": "model", "parts": [call("f"), call("g"), call("f"), call("f", id="own")]},
            {
                "role": "user",
                "parts": [result("g", "1"), result("f", "2"), result("f", "3"), result("f", "4")],
            },
            {"role": "model", "parts": [call("f")]},
            {"role": "function", "parts": [result("f", "5"), result("h", "6")]},
        ]
    }
    ask, _ = read(tree)
    calls = [part for turn in ask.turns for part in turn.parts if isinstance(part, ToolCall)]
    results = [part for turn in ask.turns for part in turn.parts if isinstance(part, ToolResult)]
    by_text = {part.parts[0].text: part.id for part in results if isinstance(part.parts[0], Text)}
    assert len({one.id for one in calls}) == 5
    assert [by_text[text] for text in "213"] == [one.id for one in calls[:3]]
    assert by_text["4"] == "own"
    assert by_text["5"] == calls[4].id
    assert by_text["6"] not in {one.id for one in calls}
    assert read(tree)[0] == ask  # the same ids each time
    assert all(one.id.replace("_", "").isalnum() and len(one.id) <= 40 for one in calls)
    longer = {"contents": [*tree["contents"], {"role": "user", "parts": [{"text": "more"}]}]}
    assert read(longer)[0].turns[0] == ask.turns[0]


def test_the_results_of_functions_are_read_as_google_says() -> None:
    def shown(response: dict[str, Any]) -> ToolResult:
        (part,) = parts_read({"functionResponse": {"name": "f", "id": "1", "response": response}})
        assert isinstance(part, ToolResult)
        return part

    assert shown({"output": "x"}) == ToolResult("1", (Text("x"),), "f")
    assert shown({"result": "x"}) == ToolResult("1", (Text("x"),), "f")
    assert shown({"error": "x"}) == ToolResult("1", (Text("x"),), "f", is_error=True)
    assert shown({"output": [1]}) == ToolResult("1", (Text("[1]"),), "f")
    assert shown({"a": 1, "b": "é"}) == ToolResult("1", (Text('{"a":1,"b":"é"}'),), "f")
    assert shown({}) == shown({"output": ""}) == ToolResult("1", (), "f")


def test_a_result_may_hold_pictures() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    result = {"id": "1", "name": "f", "response": {"output": "x"}, "parts": [picture]}
    (part,) = parts_read({"functionResponse": result})
    assert part == ToolResult("1", (Text("x"), Image("image/png", "aGk=")), "f")
    assert parts_written(part) == [{"functionResponse": result}]
    alone = {"id": "1", "name": "f", "response": {"output": "x"}}
    assert parts_written(part, model="gemini-2.5-flash") == [{"functionResponse": alone}, picture]
    sound = {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}}
    tree = {"contents": [{"parts": [{"functionResponse": {**result, "parts": [sound]}}]}]}
    assert refused(tree) == ("cannot_translate", "audio_result")


def test_a_result_s_name_is_looked_up_from_its_call() -> None:
    turns = (
        Turn(Role.ASSISTANT, (ToolCall("1", "f", "{}", SEAL),)),
        Turn(Role.USER, (ToolResult("1", (Text("bad"),), is_error=True),)),
    )
    assert write(Ask(turns=turns))[0]["contents"] == [
        {
            "role": "model",
            "parts": [{"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": SEAL}],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": "1", "name": "f", "response": {"error": "bad"}}}],
        },
    ]
    with pytest.raises(CallerError) as error:
        write(Ask(turns=turns[1:]))
    assert (error.value.code, error.value.about) == ("cannot_translate", "tool_result")


def test_arguments_that_are_no_object_are_sent_as_their_text() -> None:
    for text in ("[1]", "{", "7", "{" * 50):
        call = ToolCall("1", "f", text, SEAL)
        (part,) = parts_written(call, role=Role.ASSISTANT)
        assert part["functionCall"]["args"] == {"_raw": text}
        assert parts_read(part, role="model") == (call,)
    (part,) = parts_written(ToolCall("", "f", ""), role=Role.ASSISTANT)
    assert part["functionCall"] == {"name": "f", "args": {}}


def test_arguments_with_too_many_levels_raise_nothing() -> None:
    deep = '{"a":' * 230 + "1" + "}" * 230
    (part,) = parts_written(ToolCall("1", "f", deep), role=Role.ASSISTANT)
    assert part["functionCall"]["args"] == {"_raw": deep}
    wide = '{"a":[' + ",".join(["[]"] * 300) + "]}"
    (part,) = parts_written(ToolCall("1", "f", wide), role=Role.ASSISTANT)
    assert part["functionCall"]["args"] == orjson.loads(wide)
    tree = orjson.loads('{"a":' * 300 + "1" + "}" * 300)
    assert refused(
        {"contents": {"role": "model", "parts": {"functionCall": {"name": "f", "args": tree}}}}
    ) == (
        "bad_request",
        "args",
    )
    assert refused({"contents": {"parts": {"functionResponse": {"name": "f", "response": tree}}}}) == (
        "bad_request",
        "response",
    )


def test_tools_are_written_with_json_schemas() -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "$defs": {}}
    ask = Ask(
        turns=(Turn(Role.USER, (Text("x"),)),),
        tools=(Tool("f", "does", schema, strict=True), Tool("g")),
        choice=Choice(Use.NAMED, ("f",), parallel=False),
    )
    body, dropped = write(ask)
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "description": "does", "parametersJsonSchema": schema},
                {"name": "g"},
            ]
        }
    ]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}
    assert dropped == ["strict", "parallel_tool_calls"]


# --- schemas -------------------------------------------------------------------------------------------


def test_google_s_own_schemas_become_json_schemas() -> None:
    assert to_json_schema(
        {
            "type": "OBJECT",
            "title": "T",
            "propertyOrdering": ["b", "a", "nowhere", 1],
            "properties": {
                "a": {
                    "type": "STRING",
                    "nullable": True,
                    "format": "enum",
                    "enum": ["x", "y"],
                    "example": "x",
                },
                "b": {
                    "type": "ARRAY",
                    "items": {"type": "INTEGER", "maximum": 3},
                    "minItems": "1",
                    "max_items": 4,
                },
                "nullable": {"any_of": [{"type": "NUMBER"}, {"type": "NULL"}], "nullable": True},
                "type": {"ref": "#/defs/t", "nullable": True},
                "e": {"type": "TYPE_UNSPECIFIED", "default": None, "description": None},
                "f": {"nullable": True, "description": "anything"},
            },
            "required": ["a"],
            "additional_properties": False,
            "defs": {"t": {"type": ["STRING", "NULL"], "nullable": True}},
        }
    ) == {
        "type": "object",
        "title": "T",
        "properties": {
            "b": {"type": "array", "items": {"type": "integer", "maximum": 3}, "minItems": 1, "maxItems": 4},
            "a": {"type": ["string", "null"], "enum": ["x", "y", None], "examples": ["x"]},
            "nullable": {"anyOf": [{"type": "number"}, {"type": "null"}, {"type": "null"}]},
            "type": {"anyOf": [{"$ref": "#/defs/t"}, {"type": "null"}]},
            "e": {"default": None},
            "f": {"description": "anything"},
        },
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {"t": {"type": ["string", "null"]}},
    }


@pytest.mark.parametrize(
    "schema", [1, {"type": "THING"}, {"type": 1}, {"items": []}, {"properties": {"a": "b"}}, {"type": [1]}]
)
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    tree = {**HELLO, "tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]}
    assert refused(tree) == ("bad_request", "schema")


def test_an_order_of_nothing_changes_nothing() -> None:
    assert to_json_schema({"type": "OBJECT", "property_ordering": ["a"]}) == {"type": "object"}


def test_a_schema_with_too_many_levels_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(500):
        schema = {"items": schema}
    assert refused({**HELLO, "generationConfig": {"responseSchema": schema}}) == ("bad_request", "schema")


def test_the_form_of_an_answer_is_said_in_both_ways() -> None:
    schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
    plain = {"type": "object", "properties": {"a": {"type": "string"}}}
    kind = "application/json"
    assert config_read(responseMimeType=kind, responseSchema=schema).format == Format(schema=plain)
    assert config_read(responseMimeType=kind, responseJsonSchema=plain).format == Format(schema=plain)
    assert config_read(responseMimeType=kind).format == Format()
    assert config_read(responseMimeType="text/plain").format is None
    assert config_written(format=Format()) == {"responseMimeType": kind}
    named = Format(schema={**plain, "title": "own"}, name="n", description="d", strict=True)
    assert config_written(format=named) == {
        "responseMimeType": kind,
        "responseJsonSchema": {**plain, "title": "own", "description": "d"},
    }


# --- thinking ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "reasoning", "config"),
    [
        ("gemini-3-flash-preview", Reasoning(effort=Effort.NONE), {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-flash-preview", Reasoning(effort=Effort.MEDIUM), {"thinkingLevel": "MEDIUM"}),
        (
            "gemini-3-flash-preview",
            Reasoning(effort=Effort.MAX, shown=True),
            {"thinkingLevel": "HIGH", "includeThoughts": True},
        ),
        ("models/gemini-3-pro-preview", Reasoning(effort=Effort.MINIMAL), {"thinkingLevel": "LOW"}),
        ("gemini-3-pro-preview", Reasoning(effort=Effort.MEDIUM), {"thinkingLevel": "HIGH"}),
        ("gemini-3.1-pro-preview", Reasoning(effort=Effort.MEDIUM), {"thinkingLevel": "MEDIUM"}),
        ("gemini-3.5-flash", Reasoning(budget_tokens=0), {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.5-flash", Reasoning(budget_tokens=1024), {"thinkingLevel": "LOW"}),
        ("gemini-3.5-flash", Reasoning(budget_tokens=5000), {"thinkingLevel": "MEDIUM"}),
        ("gemini-3.5-flash", Reasoning(budget_tokens=20000), {"thinkingLevel": "HIGH"}),
        ("gemini-2.5-flash", Reasoning(effort=Effort.NONE), {"thinkingBudget": 0}),
        ("gemini-2.5-flash", Reasoning(effort=Effort.LOW), {"thinkingBudget": 1024}),
        ("gemini-2.5-flash", Reasoning(effort=Effort.MAX), {"thinkingBudget": 24576}),
        ("gemini-2.5-flash-lite", Reasoning(budget_tokens=100), {"thinkingBudget": 512}),
        ("gemini-2.5-pro", Reasoning(effort=Effort.NONE), {"thinkingBudget": 128}),
        ("gemini-2.5-pro", Reasoning(effort=Effort.XHIGH), {"thinkingBudget": 32768}),
        ("gemini-2.5-pro", Reasoning(shown=False), {"includeThoughts": False}),
        ("gemini-2.0-flash", Reasoning(effort=Effort.NONE, shown=True), None),
        ("gemini-2.5-flash-image", Reasoning(shown=True), None),
    ],
)
def test_thinking_is_asked_for_as_the_model_takes_it(
    model: str, reasoning: Reasoning, config: dict[str, Any] | None
) -> None:
    assert config_written(model, reasoning=reasoning).get("thinkingConfig") == config


def test_thinking_is_read() -> None:
    assert config_read(thinkingConfig={}).reasoning is None
    assert config_read(thinkingConfig={"thinkingBudget": -1}).reasoning is None
    assert config_read(thinkingConfig={"thinkingBudget": 0}).reasoning == Reasoning(effort=Effort.NONE)
    assert config_read(thinkingConfig={"thinkingBudget": 9}).reasoning == Reasoning(budget_tokens=9)
    level = "THINKING_LEVEL_UNSPECIFIED"
    assert config_read(thinkingConfig={"thinkingLevel": level}).reasoning is None


def test_what_a_model_does_not_take_is_left_out_and_told() -> None:
    turns = (Turn(Role.USER, (Text("x"),)),)
    think = Ask(turns=turns, reasoning=Reasoning(effort=Effort.HIGH))
    assert write(think, "gemini-2.0-flash") == (
        {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
        ["reasoning"],
    )
    for model, dropped in (("gemini-3-flash", ["budget_tokens"]), ("gemini-2.5-flash", [])):
        assert write(Ask(turns=turns, reasoning=Reasoning(budget_tokens=2000)), model)[1] == dropped
        assert write(Ask(turns=turns, reasoning=Reasoning(budget_tokens=0)), model)[1] == []
    penalties = Ask(turns=turns, presence_penalty=1, frequency_penalty=0)
    assert write(penalties, "gemini-3.5-flash-lite")[1] == ["presence_penalty"]
    assert config_written("gemini-3.5-flash-lite", presence_penalty=1, frequency_penalty=0) == {}
    assert config_written("gemini-3.5-flash", presence_penalty=1) == {"presencePenalty": 1}


# --- seals ---------------------------------------------------------------------------------------------


def test_google_s_seals_go_back_where_they_were() -> None:
    parts = [
        {"text": "think", "thought": True, "thoughtSignature": SEAL},
        {"text": "words", "thoughtSignature": SEAL},
        {"text": "", "thoughtSignature": SEAL},
        {"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": SEAL},
        {"functionCall": {"id": "2", "name": "f", "args": {}}},
    ]
    read_parts = parts_read(*parts, role="model")
    assert read_parts == (
        Thought("think", SEAL, Maker.GEMINI),
        Text("words"),
        Thought("", SEAL, Maker.GEMINI),
        Thought("", SEAL, Maker.GEMINI),
        ToolCall("1", "f", "{}", SEAL),
        ToolCall("2", "f", "{}"),
    )
    assert parts_written(*read_parts, role=Role.ASSISTANT) == parts


def test_the_first_call_of_another_model_gets_a_stand_in_for_a_seal() -> None:
    calls = (ToolCall("1", "f", "{}"), ToolCall("2", "f", "{}"))
    first, second = parts_written(*calls, role=Role.ASSISTANT)
    assert first["thoughtSignature"] == UNSEALED
    assert "thoughtSignature" not in second
    assert parts_read(first, second, role="model") == calls
    assert "thoughtSignature" not in parts_written(*calls, role=Role.ASSISTANT, model="gemini-2.5-pro")[0]
    assert parts_read({"text": "a", "thoughtSignature": UNSEALED}, role="model") == (Text("a"),)


@pytest.mark.parametrize(
    ("maker", "redacted"), [(Maker.ANTHROPIC, False), (Maker.ANTHROPIC, True), (Maker.OPENAI, False)]
)
def test_seals_of_others_come_back_in_either_alphabet(maker: Maker, redacted: bool) -> None:
    seal = "Eq>?~+/ü=="
    packed = pack(seal, maker, redacted)
    safe = packed.replace("+", "-").replace("/", "_")
    text = "" if redacted else "t"
    for signature in (packed, safe):
        parts = parts_read({"text": text, "thought": True, "thoughtSignature": signature}, role="model")
        assert parts == (Thought(text, seal, maker, redacted),)
    assert parts_read({"text": "", "thought_signature": safe}, role="model") == (
        Thought("", seal, maker, redacted),
    )
    call = {"functionCall": {"id": "1", "name": "f"}, "thoughtSignature": safe}
    assert parts_read(call, role="model") == (ToolCall("1", "f", "{}"),)


def test_thoughts_in_a_stream_s_pieces_become_one() -> None:
    pieces = [
        {"text": "a", "thought": True},
        {"text": "b", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": pack("seal", Maker.ANTHROPIC)},
        {"text": "c", "thought": True},
        {"thought": True},
        {"text": "", "thought": True},
    ]
    assert parts_read(*pieces, role="model") == (Thought("ab", "seal", Maker.ANTHROPIC), Thought("c"))


def test_thoughts_of_users_are_left_out() -> None:
    ask, dropped = read({"contents": [{"parts": [{"text": "a", "thought": True}, {"text": "b"}]}]})
    assert ask.turns == (Turn(Role.USER, (Text("b"),)),)
    assert dropped == ["thoughts"]
    assert write(Ask(turns=(Turn(Role.USER, (Thought("a"), Text("b"))),)))[1] == ["thoughts"]
