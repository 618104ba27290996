"""Writes an answer as a response, whole or streamed, with all events in the API's order."""

from collections.abc import Iterable
from typing import Any, Final

import orjson

from gateway.content import Document, Purpose
from gateway.translation.canonical import (
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
from gateway.translation.openai_seal import seal_of
from gateway.translation.tongue import Reply
from gateway.usage import Usage

_REASONS: Final = {Stop.LENGTH: "max_output_tokens", Stop.FILTERED: "content_filter"}

_TOLD: Final[tuple[tuple[str, Any], ...]] = (
    ("background", False), ("instructions", None), ("max_output_tokens", None), ("max_tool_calls", None),
    ("metadata", {}), ("parallel_tool_calls", True), ("previous_response_id", None),
    ("prompt_cache_key", None), ("reasoning", {"effort": None, "summary": None}),
    ("safety_identifier", None), ("temperature", 1.0), ("text", {"format": {"type": "text"}}),
    ("tool_choice", "auto"), ("tools", []), ("top_logprobs", 0), ("top_p", 1.0), ("truncation", "disabled"),
    ("user", None),
)  # fmt: skip
"""What a response repeats of its call, and what it says where the call was silent."""


def usage_shape(usage: Usage) -> dict[str, Any]:
    """Usage in the words of Responses."""
    read: dict[str, Any] = {
        "cached_tokens": usage.cached,
        "cache_write_tokens": usage.write_5m + usage.write_1h,
    }
    made = {"reasoning_tokens": usage.reasoning}
    if usage.write_1h:
        ttls = {"ttl_30m_tokens": usage.write_5m, "ttl_12h_tokens": usage.write_1h}
        read["cache_write_tokens_details"] = ttls
    for shape, name, tokens in (
        (read, "audio_tokens", usage.input_audio),
        (read, "image_tokens", usage.input_image),
        (made, "audio_tokens", usage.output_audio),
        (made, "image_tokens", usage.output_image),
    ):
        if tokens:
            shape[name] = tokens
    return {
        "input_tokens": usage.input,
        "input_tokens_details": read,
        "output_tokens": usage.output,
        "output_tokens_details": made,
        "total_tokens": usage.input + usage.output,
    }


class ResponseWriter:
    """Writes one answer; see Writer. The items are made alike for both, a stream also tells of each step."""

    __slots__ = (
        "_begun", "_bits", "_call", "_item", "_out", "_output", "_part", "_reply", "_sequence", "_stop",
        "_stream", "_usage",
    )  # fmt: skip

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._stream = reply.call.stream
        self._out = bytearray()
        self._sequence = 0
        self._begun = False
        self._output: list[dict[str, Any]] = []
        self._item: dict[str, Any] | None = None  # the item under way, the last of _output
        self._part: dict[str, Any] | None = None  # the part of it under way
        self._bits: list[str] = []  # text of that part, or arguments
        self._call = -1  # index of the tool call under way
        self._usage: Usage | None = None
        self._stop = Stop.END

    def write(self, events: Iterable[Event]) -> bytes:
        for event in events:
            if not isinstance(event, Tally | Broken):
                self._begin()
            self._write(event)
        out = bytes(self._out)
        self._out.clear()
        return out

    def finish(self) -> bytes:
        self._begin()
        self._close_item()
        status = "incomplete" if self._stop in _REASONS else "completed"
        response = self._response(status)
        if not self._stream:
            return orjson.dumps(response)
        self._tell(f"response.{status}", response=response)
        return bytes(self._out)

    def _write(self, event: Event) -> None:
        match event:
            case TextDelta() if event.text:
                self._say("output_text", event.text)
            case Refusal() if event.text:
                self._say("refusal", event.text)
            case ThoughtDelta():
                self._think(event)
            case ToolBegin():
                self._begin_call(event)
            case ToolDelta() if event.index == self._call:
                self._add_arguments(event.arguments)
            case Tally():
                self._usage = event.usage
            case End():
                self._stop = event.stop
                self._close_item()
            case _:
                pass

    # --- the response -------------------------------------------------------------------------------

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            for kind in ("response.created", "response.in_progress"):
                self._tell(kind, response=self._response("in_progress") if self._stream else None)

    def _response(self, status: str) -> dict[str, Any]:
        body = self._reply.call.body
        call = body.open(Purpose.TRANSLATE) if isinstance(body, Document) else {}
        reason = _REASONS.get(self._stop)
        return {
            "id": f"resp_{self._reply.id}",
            "object": "response",
            "created_at": self._reply.created_s,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": reason} if status == "incomplete" else None,
            "model": self._reply.model,
            "output": self._output,
            "store": False,
            "usage": usage_shape(self._usage) if self._usage is not None else None,
            **{name: silent if call.get(name) is None else call[name] for name, silent in _TOLD},
        }

    def _tell(self, kind: str, **fields: Any) -> None:
        if self._stream:
            data = {"type": kind, "sequence_number": self._sequence, **fields}
            self._out += b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(data))
            self._sequence += 1

    # --- items --------------------------------------------------------------------------------------

    @property
    def _place(self) -> dict[str, Any]:
        assert self._item is not None
        return {"item_id": self._item["id"], "output_index": len(self._output) - 1}

    def _open_item(self, prefix: str, shape: dict[str, Any]) -> dict[str, Any]:
        self._close_item()
        item = {"id": f"{prefix}_{self._reply.id}_{len(self._output)}", **shape}
        self._item = item
        self._output.append(item)
        self._tell("response.output_item.added", output_index=len(self._output) - 1, item=item)
        return item

    def _close_item(self) -> None:
        item = self._item
        if item is None:
            return
        if item["type"] == "function_call":
            self._close_call(item)
        else:
            self._close_part()
        if "status" in item:
            item["status"] = "incomplete" if self._stop in _REASONS else "completed"
        self._tell("response.output_item.done", output_index=len(self._output) - 1, item=item)
        self._item = None
        self._call = -1

    # --- messages -----------------------------------------------------------------------------------

    def _say(self, kind: str, text: str) -> None:
        item = self._item
        if item is None or item["type"] != "message":
            shape = {"type": "message", "status": "in_progress", "role": "assistant", "content": []}
            item = self._open_item("msg", shape)
        if self._part is None or self._part["type"] != kind:
            self._close_part()
            self._part = (
                {"type": "refusal", "refusal": ""}
                if kind == "refusal"
                else {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
            )
            place = {**self._place, "content_index": len(item["content"])}
            self._tell("response.content_part.added", **place, part=self._part)
            item["content"].append(self._part)
        self._bits.append(text)
        place = {**self._place, "content_index": len(item["content"]) - 1}
        more: dict[str, Any] = {} if kind == "refusal" else {"logprobs": []}
        self._tell(f"response.{kind}.delta", **place, delta=text, **more)

    def _close_part(self) -> None:
        part, item = self._part, self._item
        if part is None or item is None:
            return
        text = "".join(self._bits)
        self._bits.clear()
        self._part = None
        if part["type"] == "summary_text":
            part["text"] = text
            place = {**self._place, "summary_index": len(item["summary"]) - 1}
            self._tell("response.reasoning_summary_text.done", **place, text=text)
            self._tell("response.reasoning_summary_part.done", **place, part=part)
            return
        place = {**self._place, "content_index": len(item["content"]) - 1}
        if part["type"] == "refusal":
            part["refusal"] = text
            self._tell("response.refusal.done", **place, refusal=text)
        else:
            part["text"] = text
            self._tell("response.output_text.done", **place, text=text, logprobs=[])
        self._tell("response.content_part.done", **place, part=part)

    # --- reasoning ----------------------------------------------------------------------------------

    def _think(self, event: ThoughtDelta) -> None:
        """Words go into a summary; a seal closes the thought, so that it is one item with its words.

        A redacted thought has none: it is an item of its own.
        """
        if not event.text and not event.signature:
            return
        item = self._item
        if item is None or item["type"] != "reasoning" or event.redacted:
            item = self._open_item("rs", {"type": "reasoning", "summary": []})
        if event.text:
            place = {**self._place, "summary_index": 0}
            if self._part is None:
                self._part = {"type": "summary_text", "text": ""}
                item["summary"].append(self._part)
                self._tell("response.reasoning_summary_part.added", **place, part=self._part)
            self._bits.append(event.text)
            self._tell("response.reasoning_summary_text.delta", **place, delta=event.text)
        if event.signature:
            item["encrypted_content"] = seal_of(event)
            self._close_item()

    # --- tool calls ---------------------------------------------------------------------------------

    def _begin_call(self, event: ToolBegin) -> None:
        self._open_item(
            "fc",
            {
                "type": "function_call",
                "status": "in_progress",
                "arguments": "",
                "call_id": carried_id(event.id, event.signature),
                "name": event.name,
            },
        )
        self._call = event.index

    def _add_arguments(self, arguments: str) -> None:
        if arguments:
            self._bits.append(arguments)
            self._tell("response.function_call_arguments.delta", **self._place, delta=arguments)

    def _close_call(self, item: dict[str, Any]) -> None:
        if not self._bits:
            self._add_arguments("{}")
        item["arguments"] = "".join(self._bits)
        self._bits.clear()
        done = {**self._place, "arguments": item["arguments"], "name": item["name"]}
        self._tell("response.function_call_arguments.done", **done)
