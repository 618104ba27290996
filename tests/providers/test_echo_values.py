"""What echo makes by itself: instances of schemas, vectors, and what it reads from forms."""

from typing import Any

import orjson
import pytest

from gateway.content import Content
from gateway.contracts import UpstreamRequest
from gateway.names import Slug
from gateway.providers.echo import PLACE, Echo
from gateway.providers.echo.ask import to_tokens
from gateway.providers.echo.form import fields
from gateway.providers.echo.instance import instance
from gateway.providers.echo.orders import NO_ORDERS
from gateway.providers.echo.vectors import vector
from gateway.providers.echo.voices import VOICES
from tests.providers.echo_calls import everything
from tests.upstream import PERMIT

CASES: list[tuple[Any, Any]] = [
    ({"type": "string"}, "text"),
    ({"type": "STRING"}, "text"),
    ({"type": "string", "format": "date"}, "2026-01-01"),
    ({"type": "string", "minLength": 6}, "text.."),
    ({"type": "string", "maxLength": 2}, "te"),
    ({"type": "integer"}, 1),
    ({"type": "integer", "minimum": 5}, 5),
    ({"type": "integer", "minimum": 5, "multipleOf": 4}, 8),
    ({"type": "integer", "exclusiveMinimum": 5}, 6),
    ({"type": "integer", "maximum": -5}, -5),
    ({"type": "number", "maximum": 0.5}, 0),
    ({"type": "number", "minimum": -1, "maximum": 3}, 1),
    ({"type": "boolean"}, True),
    ({"type": "null"}, None),
    ({"type": ["integer", "null"]}, 1),
    ({"type": []}, None),
    ({"enum": ["a", "b"]}, "a"),
    ({"const": 7}, 7),
    ({"type": "string", "default": "d"}, "d"),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
    ({"oneOf": [{"type": "null"}]}, None),
    ({"allOf": [{"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
                {"type": "object", "properties": {"b": {"const": 2}}, "required": ["b"]}]}, {"a": 1, "b": 2}),
    ({"allOf": [{"type": "integer"}, {"minimum": 0}]}, 1),
    ({"type": "array", "items": {"type": "integer"}}, []),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
    ({"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"a": 1}),
    ({"type": "object"}, {}),
    ({"$ref": "#/$defs/one", "$defs": {"one": {"const": 1}}}, 1),
    ({"$ref": "#/$defs/none"}, None),
    ({"$ref": "#/$defs/a/b", "$defs": {"a": 5}}, None),
    ({}, None),
    (None, None),
    (True, None),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value"), CASES)
def test_an_instance_fits_its_schema(schema: Any, value: Any) -> None:
    assert instance(schema, "text") == value


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    endless = {"type": "object", "properties": {}, "required": ["a", "b", "c"]}
    endless["properties"] = {name: {"$ref": "#"} for name in "abc"}
    assert len(orjson.dumps(instance(endless, "x"))) < 20_000


def test_strings_of_an_instance_are_bounded() -> None:
    assert instance({"type": "string"}, "x" * 10_000) == "x" * 1000


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "multipleOf": 0},
        {"type": "integer", "minimum": 1, "multipleOf": "a"},
        {"type": "object", "properties": [1], "required": ["a"]},
        {"type": "integer", "minimum": 1e999},
    ],
)
async def test_a_schema_that_makes_no_sense_is_refused(schema: Any) -> None:
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "response_format": form}
    assert await status_of("openai_chat", body) in (200, 400)


async def status_of(dialect: str, body: Any, path: str = "/v1/models/m:x") -> int:
    request = UpstreamRequest(
        method="POST", url=PLACE + dialect + path, headers=(), body=Content(orjson.dumps(body))
    )
    answer = await Echo(Echo.Config()).open(request, PERMIT)
    await everything(answer)
    return answer.status


def test_vectors_have_length_one_and_the_wanted_size() -> None:
    for size in (1, 3, 4096, 10**9, None):
        values = vector("text", size)
        assert len(values) == min(size or 16, 4096)
        assert abs(sum(value * value for value in values) - 1) < 1e-5


async def test_more_numbers_than_are_good_are_refused() -> None:
    assert (
        await status_of("openai_embeddings", {"model": "m", "input": ["a"] * 2000, "dimensions": 4096}) == 400
    )
    part = {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 4096}
    assert await status_of("gemini_embed", {"requests": [part] * 2000}) == 400
    assert await status_of("gemini_embed", {"requests": [part]}) == 200
    assert await status_of("gemini_embed", {"requests": []}) == 200


def test_a_form_is_read() -> None:
    body = (
        b'--B\r\ncontent-disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        b'--B\r\ncontent-disposition: form-data; name="image[]"; filename="a"\r\n\r\n12\r\n\r\n'
        b'--B\r\ncontent-disposition: form-data; name="image[]"; filename="b"\r\n\r\n\r\n'
        b'--B\r\ncontent-disposition: form-data; name="image[]"; filename="c"\r\n\r\n1\r\n'
        b"--B\r\ncontent-disposition: form-data\r\n\r\nnameless\r\n--B--\r\n"
    )
    read = fields(body, 'multipart/form-data; boundary="B"')
    assert read == {"model": "whisper-1", "image[]": [{"size": 4}, {"size": 0}, {"size": 1}]}
    with pytest.raises(ValueError, match="boundary"):
        fields(body, "multipart/form-data")


@pytest.mark.parametrize(
    ("choice", "forced"),
    [({"type": "function"}, "*"), ("auto", ""), ("any", "*"), (None, ""), (5, "")],
)
def test_a_forced_tool_is_known(choice: Any, forced: str) -> None:
    body = {"model": "m", "messages": [], "tool_choice": choice}
    assert VOICES[Slug("openai_chat")].read(body, NO_ORDERS, "/").forced == forced


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai_chat", {"model": "m", "messages": [{"role": "user", "content": "x"}]}),
        ("openai_responses", {"model": "m", "input": "x", "tool_choice": {"type": "function", "name": "f"}}),
        (
            "anthropic_messages",
            {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]},
        ),
        (
            "gemini_generate",
            {
                "contents": [{"parts": [{"text": "x"}]}],
                "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
            },
        ),
    ],
)
async def test_tools_may_be_called_that_were_not_sent(dialect: str, body: dict[str, Any]) -> None:
    called = dict(body)
    for name in ("messages", "input", "contents"):
        if name in called:
            called[name] = orjson.loads(orjson.dumps(called[name]).replace(b'"x"', b'"x echo:tool=f"'))
    assert await status_of(dialect, called) == 200
    nothing = orjson.loads(orjson.dumps(called).replace(b"tool=f", b"tool").replace(b'"f"', b'"*"'))
    assert await status_of(dialect, nothing) == 200


@pytest.mark.parametrize(
    ("dialect", "body", "path"),
    [
        ("openai_responses", {"input": "x echo:finish=failed"}, "/responses"),
        ("openai_responses", {"input": "x echo:finish=queued", "stream": True}, "/responses"),
        ("openai_embeddings", {"model": "m", "input": "echo:no_usage"}, "/embeddings"),
        ("openai_embeddings", {"model": "m", "input": []}, "/embeddings"),
        ("openai_images", {"prompt": "echo:no_usage"}, "/images/generations"),
        ("openai_images", {"prompt": "echo:no_usage", "stream": True}, "/images/generations"),
        ("openai_images", {"prompt": "echo:no_end,output=3", "stream": True}, "/images/edits"),
        ("openai_speech", {"model": "m", "input": "echo:tokens=0"}, "/audio/speech"),
        ("openai_speech", {"model": "m", "input": "echo:no_end", "stream_format": "sse"}, "/audio/speech"),
        ("openai_transcription", {"model": "m", "prompt": "echo:no_usage", "file": {"size": 9}}, "/audio/x"),
        (
            "openai_transcription",
            {"model": "m", "prompt": "echo:no_end", "stream": True, "file": {"size": 9}},
            "/",
        ),
        (
            "openai_transcription",
            {"model": "m", "prompt": "echo:no_usage", "stream": True, "file": {"size": 1}},
            "/",
        ),
        ("openai_transcription", {"model": "m", "prompt": "echo:output=7", "file": {"size": 9}}, "/audio/x"),
        ("openai_moderations", {"input": []}, "/moderations"),
        ("gemini_embed", {"content": {"parts": [{"text": "echo:no_usage"}]}}, "/v1/models/m:embedContent"),
        (
            "gemini_generate",
            {"contents": [], "generationConfig": {"responseMimeType": "application/json"}},
            "/v1/models/m:generateContent",
        ),
        (
            "gemini_generate",
            {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"candidateCount": 2}},
            "/v1/models/m:streamGenerateContent",
        ),
        (
            "gemini_generate",
            {"contents": [{"parts": [{"text": "x echo:finish=blocked,tier=flex"}]}]},
            "/v1/models/m:streamGenerateContent",
        ),
    ],
)
async def test_less_usual_calls_are_answered(dialect: str, body: dict[str, Any], path: str) -> None:
    assert await status_of(dialect, body, path) == 200


def test_tokens_are_rounded_up() -> None:
    assert [to_tokens(size) for size in (0, 1, 4, 5)] == [0, 1, 1, 2]
