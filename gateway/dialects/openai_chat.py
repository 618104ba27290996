"""OpenAI Chat Completions, also spoken by Groq and by most compatible servers.

Source: OpenAI API reference, "Create chat completion" and "Streaming"; Groq API reference, "Chat".
"""

from typing import Any, Final

from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Envelope, Filter, Meter, Shape
from gateway.dialects import openai_errors
from gateway.dialects.openai_usage import chat_usage, tier_of
from gateway.dialects.openai_usage_filter import UsageFilter
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

NAME: Final = Slug("openai_chat")
FAMILY: Final = openai_errors.FAMILY

MOST_CHOICES: Final = 128
"""Source: OpenAI API reference, n."""

error_body = openai_errors.error_body
error_event = openai_errors.chunk_error_event


def read_call(envelope: Envelope) -> Call:
    check_content_type(envelope.content_type)
    document = read_object(envelope.body)
    tree = document.open(Purpose.READ)
    return Call(
        dialect=NAME,
        kind=PathKind.CHAT,
        model=model_in(tree),
        stream=flag_in(tree, "stream"),
        body=document,
        headers=openai_errors.forwarded(envelope.headers),
        shape=_shape(tree, document.size),
    )


def path(call: Call, model: str) -> str:
    return "/chat/completions"


def with_model(call: Call, model: str, ask_usage: bool) -> Content:
    assert isinstance(call.body, Document)
    tree = {**call.body.open(Purpose.SEND), "model": model}
    if _must_ask(call, ask_usage):
        tree["stream_options"] = {**(tree.get("stream_options") or {}), "include_usage": True}
    return write_object(tree)


def meter(call: Call) -> Meter:
    reader = ChatReader(call.shape.choices)
    return EventMeter(reader) if call.stream else BodyMeter(reader)


def filter(call: Call, ask_usage: bool) -> Filter | None:
    return UsageFilter() if _must_ask(call, ask_usage) else None


class ChatReader:
    """Reads usage, tier and finish reasons from chunks and from whole answers.

    The last usage counts. Groq's x_groq.usage is looked at only where there is no other in the same
    object, as newer models send the same numbers in both places.

    Args:
        choices: how many answers were asked for; each ends with its own finish reason.
    """

    __slots__ = ("_choices", "_done", "_finished", "_source", "_tier", "_usage")

    # With what follows the key, as every event has both keys with null.
    marks = (b'"usage":{', b'"usage": {', b'"finish_reason":"', b'"finish_reason": "')
    texts = (b'"content":', b'"arguments":', b'"reasoning":', b'"reasoning_content":', b'"refusal":')

    def __init__(self, choices: int = 1) -> None:
        self._choices = choices
        self._finished: set[int] = set()
        self._done = False
        self._usage: Usage | None = None
        self._source = Source.REPORTED
        self._tier = ServiceTier.STANDARD

    def read(self, name: bytes | None, tree: Any) -> None:
        if type(tree) is not dict:
            return
        reported = child(tree, "usage") or child(child(tree, "x_groq"), "usage")
        if reported:
            self._usage = chat_usage(reported) or self._usage
            self._source = Source.REPORTED
        if tree.get("service_tier") is not None:
            self._tier = tier_of(tree["service_tier"])
        choices = tree.get("choices")
        for place, choice in enumerate(choices if type(choices) is list else ()):
            if type(choice) is dict and type(choice.get("finish_reason")) is str:
                index = choice.get("index")
                self._finished.add(index if type(index) is int else place)

    def close(self, data: bytes) -> bool:
        self._done = self._done or data.strip() == b"[DONE]"
        return self._done

    def salvage(self, name: bytes | None, head: bytes, tail: bytes) -> None:
        if self._usage is None:
            found = find_object(tail, b'"usage"') or find_object(head, b'"usage"', last=False)
            self._usage = chat_usage(found) if found else None
            self._source = Source.SALVAGED

    def reading(self, seen: int) -> Reading | None:
        if self._usage is None or (seen and not self._usage.input and not self._usage.output):
            return None
        return Reading(usage=self._usage, source=self._source, tier=self._tier)

    @property
    def complete(self) -> bool:
        return self._done or len(self._finished) >= self._choices


def _must_ask(call: Call, ask_usage: bool) -> bool:
    return ask_usage and call.stream and not call.shape.wants_usage


def _shape(tree: dict[str, Any], size: int) -> Shape:
    messages = list_in(tree, "messages")
    if not messages:
        refuse("messages")
    system, results, images, audio, files = _parts(messages)
    if _SHAPING.isdisjoint(tree):
        return Shape(
            body_bytes=size,
            turns=len(messages),
            tool_results=results,
            images=images,
            audio=audio,
            files=files,
            has_system=system > 0,
        )
    outputs = (
        count_in(tree, "max_completion_tokens", MOST_OUTPUT),
        count_in(tree, "max_tokens", MOST_OUTPUT),
    )
    return Shape(
        body_bytes=size,
        max_output=max((most for most in outputs if most is not None), default=None),
        choices=count_in(tree, "n", MOST_CHOICES) or 1,
        turns=len(messages),
        tools=len(list_in(tree, "tools")) + len(list_in(tree, "functions")),
        tool_results=results,
        images=images,
        audio=audio,
        files=files,
        has_system=system > 0,
        structured=object_in(tree, "response_format").get("type") in _STRUCTURED,
        wants_usage=object_in(tree, "stream_options").get("include_usage") is True,
        wants_store=flag_in(tree, "store"),
    )


_SHAPING: Final = frozenset(
    {
        "max_completion_tokens", "max_tokens", "n", "tools", "functions", "response_format",
        "stream_options", "store",
    }
)  # fmt: skip
"""Fields that say more of a call's shape than its messages."""
_STRUCTURED: Final = ("json_schema", "json_object")
_SYSTEM: Final = ("system", "developer")
_TOOL: Final = ("tool", "function")


def _parts(messages: list[Any]) -> tuple[int, int, int, int, int]:
    """System messages, tools' results, and parts that have a price of their own: images, sound, files."""
    system = results = images = audio = files = 0
    for message in messages:
        if type(message) is not dict:
            refuse("messages")
        role = message.get("role")
        if role in _SYSTEM:
            system += 1
        elif role in _TOOL:
            results += 1
        content = message.get("content")
        if type(content) is list:
            for part in content:
                kind = part.get("type") if type(part) is dict else None
                if kind == "image_url":
                    images += 1
                elif kind == "input_audio":
                    audio += 1
                elif kind == "file":
                    files += 1
    return system, results, images, audio, files
