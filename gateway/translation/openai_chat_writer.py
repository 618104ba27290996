"""Writes an answer as a chat completion, whole or streamed."""

from collections.abc import Iterable
from typing import Any, Final

import orjson

from gateway.translation.canonical import (
    Begin,
    Broken,
    End,
    Event,
    Refusal,
    Stop,
    Tally,
    TextDelta,
    ThoughtDelta,
    ToolBegin,
    ToolDelta,
    carried_id,
)
from gateway.translation.tongue import Reply
from gateway.usage import Usage

_FINISH: Final = {
    Stop.END: "stop",
    Stop.LENGTH: "length",
    Stop.TOOLS: "tool_calls",
    Stop.STOP_SEQUENCE: "stop",
    Stop.FILTERED: "content_filter",
    Stop.PAUSED: "stop",
}


def usage_shape(usage: Usage) -> dict[str, Any]:
    """Usage in the words of chat completions."""
    read = {"cached_tokens": usage.cached, "audio_tokens": usage.input_audio}
    made = {
        "reasoning_tokens": usage.reasoning,
        "audio_tokens": usage.output_audio,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    }
    written = usage.write_5m + usage.write_1h
    read |= {"cache_write_tokens": written} if written else {}
    read |= {"image_tokens": usage.input_image} if usage.input_image else {}
    made |= {"image_tokens": usage.output_image} if usage.output_image else {}
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": read,
        "completion_tokens_details": made,
    }


class StreamWriter:
    """Writes chunks as the events come; see Writer."""

    __slots__ = ("_asked", "_begun", "_empty", "_head", "_tail", "_usage")

    def __init__(self, reply: Reply) -> None:
        self._asked = reply.call.shape.wants_usage
        stem = {
            "id": f"chatcmpl-{reply.id}",
            "object": "chat.completion.chunk",
            "created": reply.created_s,
            "model": reply.model,
        }
        self._head = b"data: " + orjson.dumps(stem)[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if self._asked else b"]}\n\n"
        self._begun = False
        self._empty: list[int] = []  # tool calls without arguments so far
        self._usage: Usage | None = None

    def write(self, events: Iterable[Event]) -> bytes:
        return b"".join([self._chunks(event) for event in events])

    def finish(self) -> bytes:
        told = b""
        if self._asked and self._usage is not None:
            told = self._head + b'],"usage":' + orjson.dumps(usage_shape(self._usage)) + b"}\n\n"
        return told + b"data: [DONE]\n\n"

    def _chunks(self, event: Event) -> bytes:
        if isinstance(event, Tally):
            self._usage = event.usage
            return b""
        if isinstance(event, Broken):
            return b""
        first = b""
        if not self._begun:
            self._begun = True
            first = self._chunk({"role": "assistant", "content": "", "refusal": None})
        return first + self._said(event)

    def _said(self, event: Event) -> bytes:
        match event:
            case TextDelta() if event.text:
                return self._chunk({"content": event.text})
            case ThoughtDelta() if event.text:
                return self._chunk({"reasoning_content": event.text})
            case Refusal() if event.text:
                return self._chunk({"refusal": event.text})
            case ToolBegin():
                self._empty.append(event.index)
                function = {"name": event.name, "arguments": ""}
                id = carried_id(event.id, event.signature)
                call = {"index": event.index, "id": id, "type": "function", "function": function}
                return self._chunk({"tool_calls": [call]})
            case ToolDelta() if event.arguments:
                return self._arguments(event.index, event.arguments)
            case End():
                last = b"".join([self._arguments(index, "{}") for index in tuple(self._empty)])
                return last + self._chunk({}, _FINISH[event.stop])
            case _:
                return b""

    def _arguments(self, index: int, arguments: str) -> bytes:
        if index in self._empty:
            self._empty.remove(index)
        return self._chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._head + orjson.dumps(choice) + self._tail


class WholeWriter:
    """Collects the events and writes one body; see Writer."""

    __slots__ = ("_calls", "_refusals", "_reply", "_stop", "_texts", "_thoughts", "_usage")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._refusals: list[str] = []
        self._calls: dict[int, tuple[ToolBegin, list[str]]] = {}
        self._stop = Stop.END
        self._usage: Usage | None = None

    def write(self, events: Iterable[Event]) -> bytes:
        for event in events:
            match event:
                case TextDelta():
                    self._texts.append(event.text)
                case ThoughtDelta():
                    self._thoughts.append(event.text)
                case Refusal():
                    self._refusals.append(event.text)
                case ToolBegin():
                    self._calls[event.index] = (event, [])
                case ToolDelta() if event.index in self._calls:
                    self._calls[event.index][1].append(event.arguments)
                case Tally():
                    self._usage = event.usage
                case End():
                    self._stop = event.stop
                case Begin() | Broken() | ToolDelta():
                    pass
        return b""

    def finish(self) -> bytes:
        choice = {
            "index": 0,
            "message": self._message(),
            "logprobs": None,
            "finish_reason": _FINISH[self._stop],
        }
        body = {
            "id": f"chatcmpl-{self._reply.id}",
            "object": "chat.completion",
            "created": self._reply.created_s,
            "model": self._reply.model,
            "choices": [choice],
            "usage": usage_shape(self._usage) if self._usage is not None else None,
        }
        return orjson.dumps(body)

    def _message(self) -> dict[str, Any]:
        text, thought = "".join(self._texts), "".join(self._thoughts)
        silent = not text and (self._calls or self._refusals)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if silent else text,
            "refusal": "".join(self._refusals) or None,
            "annotations": [],
        }
        if thought:
            message["reasoning_content"] = thought
        if self._calls:
            message["tool_calls"] = [
                {
                    "id": carried_id(begin.id, begin.signature),
                    "type": "function",
                    "function": {"name": begin.name, "arguments": "".join(arguments) or "{}"},
                }
                for begin, arguments in self._calls.values()
            ]
        return message
