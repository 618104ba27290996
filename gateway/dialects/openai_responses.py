"""OpenAI Responses, kept stateless: the provider stores an answer only when the caller says so.

Source: OpenAI API reference, "Create a model response" and "Streaming events".
"""

import re
from dataclasses import replace
from typing import Any, Final

from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Envelope, Filter, Meter, Shape
from gateway.dialects import openai_errors
from gateway.dialects.openai_usage import tier_of, token_usage
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stream.json_body import (
    MOST_OUTPUT,
    check_content_type,
    count_in,
    flag_in,
    list_in,
    model_in,
    object_in,
    read_object,
    refuse,
    write_object,
)
from gateway.stream.tap import BodyMeter, EventMeter, child, find_object
from gateway.usage import Reading, ServiceTier, Source, Usage

NAME: Final = Slug("openai_responses")
FAMILY: Final = openai_errors.FAMILY

error_body = openai_errors.error_body
error_event = openai_errors.named_error_event

_FINAL: Final = (b"response.completed", b"response.incomplete", b"response.failed")


def read_call(envelope: Envelope) -> Call:
    check_content_type(envelope.content_type)
    document = read_object(envelope.body)
    tree = document.open(Purpose.READ)
    if flag_in(tree, "background"):
        refuse("background")  # its usage would arrive outside of this call
    return Call(
        dialect=NAME,
        kind=PathKind.RESPONSES,
        model=model_in(tree),
        stream=flag_in(tree, "stream"),
        body=document,
        headers=openai_errors.forwarded(envelope.headers),
        shape=_shape(tree, document.size),
    )


def path(call: Call, model: str) -> str:
    return "/responses"


def with_model(call: Call, model: str, ask_usage: bool) -> Content:
    """As the contract says; store, which providers switch on by default, is off unless asked for."""
    assert isinstance(call.body, Document)
    return write_object({**call.body.open(Purpose.SEND), "model": model, "store": call.shape.wants_store})


def meter(call: Call) -> Meter:
    assert isinstance(call.body, Document)
    asked = call.body.open(Purpose.METER).get("service_tier")
    reader = ResponseReader(call.stream, tier_of(asked))
    return EventMeter(reader) if call.stream else BodyMeter(reader)


def filter(call: Call, ask_usage: bool) -> Filter | None:
    return None


class ResponseReader:
    """Reads the usage of the final event's response, or of a whole response.

    Uses of the provider's own tools are counted from the output items: searches of the web that
    were really made, and searches of files. A code interpreter is billed by its container and time,
    which an answer does not tell.

    Args:
        stream: it comes in events.
        tier: as asked for; taken when a final event is too large to be held and does not show its own.
    """

    __slots__ = ("_complete", "_reading", "_tier", "texts")

    marks = tuple(b'"' + name + b'"' for name in _FINAL)

    def __init__(self, stream: bool, tier: ServiceTier = ServiceTier.STANDARD) -> None:
        self._tier = tier
        self.texts: tuple[bytes, ...] = (b'"delta":',) if stream else (b'"text":', b'"arguments":')
        self._complete = False
        self._reading: Reading | None = None

    def read(self, name: bytes | None, tree: Any) -> None:
        if type(tree) is not dict:
            return
        if type(tree.get("type")) is str:
            if tree["type"].encode() not in _FINAL:
                return
            tree = child(tree, "response")
        self._complete = True
        reported = child(tree, "usage")
        usage = token_usage(reported) if reported else None
        if usage is not None:
            searches, others = _tools(tree.get("output"))
            self._reading = Reading(
                usage=_with_tools(usage, searches, others),
                source=Source.REPORTED,
                tier=tier_of(tree.get("service_tier")),
            )

    def close(self, data: bytes) -> bool:
        return False

    def salvage(self, name: bytes | None, head: bytes, tail: bytes) -> None:
        if name is not None and name not in _FINAL:
            return
        if self._reading is None:
            found = find_object(tail, b'"usage"')
            usage = token_usage(found) if found else None
            if usage is not None:
                self._reading = Reading(
                    usage=usage, source=Source.SALVAGED, tier=_tier_in(tail) or self._tier
                )
        self._complete = self._complete or name is not None

    def reading(self, seen: int) -> Reading | None:
        return self._reading

    @property
    def complete(self) -> bool:
        return self._complete


def _with_tools(usage: Usage, searches: int, others: int) -> Usage:
    return replace(usage, searches=searches, tool_units=others) if searches or others else usage


def _tools(output: object) -> tuple[int, int]:
    searches = others = 0
    for item in output if type(output) is list else ():
        kind = item.get("type") if type(item) is dict else None
        if kind == "web_search_call":
            searches += child(item, "action").get("type", "search") == "search"
        elif kind == "file_search_call":
            others += 1
    return searches, others


def _tier_in(text: bytes) -> ServiceTier | None:
    """The tier named in a piece of an answer; None when the piece does not show it."""
    found = _TIER.findall(text)
    return tier_of(found[-1].decode()) if found else None


_TIER: Final = re.compile(rb'"service_tier"\s*:\s*"([a-z_]{1,32})"')


def _shape(tree: dict[str, Any], size: int) -> Shape:
    asked = tree.get("input")
    if asked is not None and type(asked) not in (str, list):
        refuse("input")
    items = asked if type(asked) is list else [asked]
    found = _items(items)
    text = object_in(object_in(tree, "text"), "format")
    return Shape(
        body_bytes=size,
        max_output=count_in(tree, "max_output_tokens", MOST_OUTPUT),
        turns=len(items),
        tools=len(list_in(tree, "tools")),
        tool_results=found["results"],
        images=found["input_image"],
        audio=found["input_audio"],
        files=found["input_file"],
        has_system=tree.get("instructions") is not None or found["system"] > 0,
        structured=text.get("type") in ("json_schema", "json_object"),
        wants_store=flag_in(tree, "store"),
    )


_PRICED: Final = ("input_image", "input_audio", "input_file")
_RESULTS: Final = ("function_call_output", "custom_tool_call_output")


def _items(items: list[Any]) -> dict[str, int]:
    """How many parts of the kinds that have a price of their own, system items and tools' results."""
    found = {"input_image": 0, "input_audio": 0, "input_file": 0, "system": 0, "results": 0}
    for item in items:
        if type(item) is not dict:
            continue
        if item.get("role") in ("system", "developer"):
            found["system"] += 1
        if item.get("type") in _RESULTS:
            found["results"] += 1
        content = item.get("content")
        output = item.get("output")
        for part in (
            *(content if type(content) is list else ()),
            *(output if type(output) is list else ()),
        ):
            kind = part.get("type") if type(part) is dict else None
            if type(kind) is str and kind in _PRICED:
                found[kind] += 1
    return found
