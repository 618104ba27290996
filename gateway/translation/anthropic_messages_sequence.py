"""Orders the events of an answer into content blocks of Anthropic's dialect: one open at a time."""

from typing import Any

from gateway.translation.anthropic_messages_arguments import object_of
from gateway.translation.anthropic_messages_seals import plain_id, sealed
from gateway.translation.canonical import (
    Event,
    Refusal,
    TextDelta,
    ThoughtDelta,
    ToolBegin,
    ToolDelta,
    carried_id,
)

# Other dialects may tell of several tool calls in turns. Here a call that begins while the one before
# it has not got all its arguments waits, until those are a whole object or anything else follows.

Wire = dict[str, Any]


class Blocks:
    """Makes the events content_block_start, content_block_delta and content_block_stop.

    Args:
        name: what ids are made of for tool calls that have none.
    """

    __slots__ = (
        "_arguments",
        "_changed",
        "_index",
        "_kind",
        "_known",
        "_name",
        "_tool",
        "_waiting",
        "refused",
    )

    def __init__(self, name: str) -> None:
        self._name = name
        self._index = -1
        self._kind = ""  # the open block's; empty: none is open
        self._tool = -1  # the open block's call
        self._arguments: list[str] = []  # the open call's so far
        self._changed = True  # they have grown since they were looked at
        self._known: set[int] = set()
        self._waiting: dict[int, tuple[ToolBegin, list[str]]] = {}
        self.refused = False

    def take(self, event: Event) -> list[Wire]:
        """The wire events that an event stands for; none for events that are not content."""
        if isinstance(event, TextDelta | Refusal):
            self.refused = self.refused or isinstance(event, Refusal)
            return self._say(event.text)
        if isinstance(event, ThoughtDelta):
            return self._think(event)
        if isinstance(event, ToolBegin):
            return self._begin_tool(event)
        if isinstance(event, ToolDelta):
            return self._add_arguments(event)
        return []

    def close(self) -> list[Wire]:
        """The end of all blocks; calls that waited come out."""
        wires = self._stop()
        while self._waiting:
            wires += self._next_tool() + self._stop()
        return wires

    def _say(self, text: str) -> list[Wire]:
        if not text:
            return []
        wires: list[Wire] = []
        if self._kind != "text":
            wires = self.close() + self._open({"type": "text", "text": ""})
        return [*wires, self._delta({"type": "text_delta", "text": text})]

    def _think(self, thought: ThoughtDelta) -> list[Wire]:
        signature = sealed(thought.signature, thought.maker)
        wires: list[Wire] = []
        if thought.redacted and signature:
            return self.close() + self._open({"type": "redacted_thinking", "data": signature}) + self._stop()
        if not thought.text and not signature:
            return []
        if self._kind != "thinking":
            wires = self.close() + self._open({"type": "thinking", "thinking": "", "signature": ""})
        if thought.text:
            wires.append(self._delta({"type": "thinking_delta", "thinking": thought.text}))
        if signature:
            wires.append(self._delta({"type": "signature_delta", "signature": signature}))
            wires += self._stop()
        return wires

    # --- tools ----------------------------------------------------------------------------------------

    def _begin_tool(self, begin: ToolBegin) -> list[Wire]:
        if begin.index in self._known:
            return []
        self._known.add(begin.index)
        self._waiting[begin.index] = (begin, [])
        if self._kind != "tool_use":
            return self._stop() + self._next_tool()
        return self._advance()

    def _add_arguments(self, delta: ToolDelta) -> list[Wire]:
        if not delta.arguments:
            return []
        if self._kind == "tool_use" and delta.index == self._tool:
            self._arguments.append(delta.arguments)
            self._changed = True
            return [self._delta({"type": "input_json_delta", "partial_json": delta.arguments})]
        if delta.index not in self._waiting:
            return []
        self._waiting[delta.index][1].append(delta.arguments)
        return self._advance()

    def _advance(self) -> list[Wire]:
        """Go on to the next call if the open one is whole."""
        if not self._changed or object_of("".join(self._arguments)) is None:
            self._changed = False
            return []
        return self._stop() + self._next_tool()

    def _next_tool(self) -> list[Wire]:
        index = next(iter(self._waiting))
        begin, arguments = self._waiting.pop(index)
        self._tool = index
        self._arguments = arguments
        self._changed = True
        block = {
            "type": "tool_use",
            "id": carried_id(plain_id(begin.id or f"{self._name}.{index}"), begin.signature),
            "name": begin.name,
            "input": {},
        }
        wires = self._open(block)
        if arguments:
            wires.append(self._delta({"type": "input_json_delta", "partial_json": "".join(arguments)}))
        return wires

    # --- blocks ---------------------------------------------------------------------------------------

    def _open(self, block: Wire) -> list[Wire]:
        self._index += 1
        self._kind = block["type"]
        return [{"type": "content_block_start", "index": self._index, "content_block": block}]

    def _delta(self, delta: Wire) -> Wire:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _stop(self) -> list[Wire]:
        if not self._kind:
            return []
        self._kind = ""
        return [{"type": "content_block_stop", "index": self._index}]
