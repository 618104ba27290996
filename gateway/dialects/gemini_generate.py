"""Gemini's generateContent and streamGenerateContent: the model and the stream are in the path.

Source: Gemini API reference, models.generateContent; Google API design guide, Errors.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Envelope, Filter, Meter, Shape
from gateway.dialects import gemini_wire
from gateway.dialects.gemini_usage import AnswerReader
from gateway.dialects.gemini_wire import either, modality, parts_of, whole_number
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stream.json_array import Elements
from gateway.stream.json_body import check_content_type, check_model, read_object, refuse, write_object
from gateway.stream.tap import BodyMeter, EventMeter

NAME: Final = Slug("gemini_generate")
FAMILY: Final = gemini_wire.FAMILY

STREAM: Final = "streamGenerateContent"
VERBS: Final = ("generateContent", STREAM)

MOST_OUTPUT: Final = 10_000_000
"""Tokens that a caller may allow at most. Far above any model's limit, far below an overflow."""

MOST_CHOICES: Final = 128

path = gemini_wire.path
error_body = gemini_wire.error_body
error_event = gemini_wire.error_event


def read_call(envelope: Envelope) -> Call:
    """Understand a request for content.

    Raises:
        CallerError: bad_request, naming the field.
    """
    check_content_type(envelope.content_type)
    if envelope.verb not in VERBS:
        refuse("verb")
    document = read_object(envelope.body)
    return Call(
        dialect=NAME,
        kind=PathKind.GENERATE,
        model=check_model(envelope.path_model),
        stream=envelope.verb == STREAM,
        body=document,
        query=gemini_wire.passed_query(envelope),
        verb=envelope.verb,
        version=envelope.version,
        shape=shape_of(document.open(Purpose.READ), document.size),
    )


def with_model(call: Call, model: str, ask_usage: bool) -> Content:
    """The body as it was: the path names the model. A model in the body, too, is made the same."""
    assert isinstance(call.body, Document)
    return write_object(gemini_wire.renamed(call.body.open(Purpose.SEND), model))


def meter(call: Call) -> Meter:
    """Of events, of an array's elements, or of the body."""
    reader = AnswerReader(call.stream)
    if not call.stream:
        return BodyMeter(reader)
    return EventMeter(reader) if gemini_wire.in_events(call) else EventMeter(reader, cutter=Elements())


def filter(call: Call, ask_usage: bool) -> Filter | None:
    """Nothing is added, so nothing is taken out."""
    return None


def shape_of(tree: Mapping[str, Any], body_bytes: int) -> Shape:
    """The numbers of a request. Google takes each name in camelCase and in snake_case, so both are read.

    Raises:
        CallerError: a field that is needed here has the wrong type, or is there under both names.
    """
    contents = tree.get("contents")
    turns = contents if type(contents) is list else [contents] if contents is not None else []
    settings = either(tree, "generationConfig", "generation_config")
    config = settings if type(settings) is dict else {}
    parts = [part for turn in turns for part in parts_of(turn)]
    kinds = [modality(part) for part in parts]
    return Shape(
        body_bytes=body_bytes,
        max_output=whole_number(config, MOST_OUTPUT, "maxOutputTokens", "max_output_tokens"),
        choices=whole_number(config, MOST_CHOICES, "candidateCount", "candidate_count") or 1,
        turns=len(turns),
        tools=_tools(tree.get("tools")),
        tool_results=sum("functionResponse" in part or "function_response" in part for part in parts),
        images=kinds.count("image"),
        audio=kinds.count("audio"),
        files=kinds.count("file"),
        has_system=bool(either(tree, "systemInstruction", "system_instruction")),
        structured=_structured(config),
    )


def _tools(tools: Any) -> int:
    """Functions declared, and each tool of the provider's own."""
    total = 0
    for tool in tools if type(tools) is list else [tools] if tools else []:
        fields = tool if type(tool) is dict else {}
        declared = either(fields, "functionDeclarations", "function_declarations")
        total += len(declared) if type(declared) is list else 1
    return total


def _structured(config: Mapping[str, Any]) -> bool:
    kind = either(config, "responseMimeType", "response_mime_type")
    schemas = ("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema")
    return kind == "application/json" or any(config.get(name) for name in schemas)
