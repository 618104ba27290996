"""Reads a provider's response, whole or streamed, into events."""

from typing import Any, Final

from gateway.dialects.openai_usage import token_usage
from gateway.stream.tap import child
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
)
from gateway.translation.openai_complaint import broken_of
from gateway.translation.openai_pieces import Pieces, Sign
from gateway.translation.openai_seal import thought_of

# What an item says is read from its deltas; from the finished item only if no delta of it came, and
# from the final response only if no item came at all.

MOST_ITEMS: Final = 4096
"""Items of one answer."""

_FINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


class _Item:
    """What is known of an item. number: of its tool call, None if it is none or has not begun."""

    __slots__ = ("done", "number", "said", "summary")

    def __init__(self) -> None:
        self.number: int | None = None
        self.said = False  # a delta of it came
        self.done = False
        self.summary: object = 0  # the part of its summary that came last


class ResponseReader:
    """Reads one answer; see Reader.

    Args:
        stream: the call asked for a stream.
    """

    __slots__ = ("_begun", "_count", "_items", "_over", "_pieces")

    def __init__(self, stream: bool) -> None:
        self._pieces = Pieces(stream)
        self._begun = False
        self._over = False
        self._items: dict[int | str, _Item] = {}
        self._count = 0  # tool calls that have begun

    def feed(self, chunk: bytes) -> list[Event]:
        return self._read_all(chunk, False)

    def finish(self) -> list[Event]:
        return self._read_all(b"", True)

    def _read_all(self, chunk: bytes, last: bool) -> list[Event]:
        events: list[Event] = []
        for piece in self._pieces.finish() if last else self._pieces.feed(chunk):
            if self._over:
                break
            if piece is Sign.DONE:  # some servers end this stream so, too
                continue
            if isinstance(piece, Sign):
                self._break(Broken(), events)
            elif self._pieces.whole:
                self._read_response(piece, events)
            else:
                self._read_event(piece, events)
        return events

    def _read_event(self, tree: dict[str, Any], events: list[Event]) -> None:
        kind = tree.get("type")
        if kind == "error" or (kind is None and tree.get("error")):
            self._break(broken_of(tree.get("error") or {**tree, "type": None}), events)
        elif type(kind) is not str or not kind.startswith("response."):
            return
        elif kind in _FINAL:
            self._read_response(child(tree, "response"), events)
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._read_item(tree, child(tree, "item"), kind.endswith("done"), events)
        elif kind == "response.created":
            self._begin(_text(child(tree, "response"), "id"), events)
        elif kind.endswith((".delta", "arguments.done")):
            self._read_delta(kind, tree, events)

    def _read_response(self, tree: dict[str, Any], events: list[Event]) -> None:
        """A whole response: all of it, or the end of what was streamed."""
        output = tree.get("output")
        status = tree.get("status", "completed")
        error = tree.get("error")
        broken = status not in ("completed", "incomplete") or bool(error)
        if broken or (self._pieces.whole and type(output) is not list):
            self._break(broken_of(error), events)
            return
        self._begin(_text(tree, "id"), events)
        if not self._items and type(output) is list:
            for place, item in enumerate(output):
                if type(item) is dict and not self._over:
                    self._read_item({"output_index": place}, item, True, events)
        if self._over:
            return
        usage = token_usage(child(tree, "usage")) if child(tree, "usage") else None
        if usage is not None:
            events.append(Tally(usage))
        self._over = True
        events.append(End(self._stop(tree, status)))

    def _stop(self, tree: dict[str, Any], status: object) -> Stop:
        if status == "incomplete":
            reason = child(tree, "incomplete_details").get("reason")
            return Stop.FILTERED if reason == "content_filter" else Stop.LENGTH
        return Stop.TOOLS if self._count else Stop.END

    # --- items ------------------------------------------------------------------------------------

    def _item(self, tree: dict[str, Any], events: list[Event]) -> _Item | None:
        """The item that an event is about; None when there is no saying which."""
        index = tree.get("output_index")
        name = _text(tree, "item_id") or _text(child(tree, "item"), "id")
        if type(index) is not int and not name:
            return None
        key = index if type(index) is int else name
        if key not in self._items:
            if len(self._items) == MOST_ITEMS:
                self._break(Broken(), events)
                return None
            self._items[key] = _Item()
        return self._items[key]

    def _read_item(
        self, tree: dict[str, Any], shape: dict[str, Any], done: bool, events: list[Event]
    ) -> None:
        item = self._item(tree, events)
        if item is None or item.done:
            return
        kind = shape.get("type")
        if kind == "function_call" and item.number is None and (name := _text(shape, "name")):
            item.number = self._count
            self._count += 1
            self._begin("", events)
            id = _text(shape, "call_id") or _text(shape, "id")
            events.append(ToolBegin(item.number, id, name))
        if not done:
            return
        item.done = True
        if kind == "function_call":
            self._read_arguments(item, _text(shape, "arguments"), True, events)
        elif kind == "message" and not item.said:
            self._read_message(shape, events)
        elif kind == "reasoning":
            self._read_reasoning(item, shape, events)

    def _read_message(self, shape: dict[str, Any], events: list[Event]) -> None:
        self._begin("", events)
        for part in _objects(shape.get("content")):
            if text := _text(part, "text"):
                events.append(TextDelta(text))
            elif refusal := _text(part, "refusal"):
                events.append(Refusal(refusal))

    def _read_reasoning(self, item: _Item, shape: dict[str, Any], events: list[Event]) -> None:
        shown = _objects(shape.get("summary")) or _objects(shape.get("content"))
        text = "\n\n".join(_text(part, "text") for part in shown)
        seal = _text(shape, "encrypted_content")
        if text and not item.said:
            self._begin("", events)
            events.append(ThoughtDelta(text))
        if seal:
            self._begin("", events)
            seen = thought_of("said" if item.said else text, seal)
            events.append(ThoughtDelta("", seen.signature, seen.maker, seen.redacted))

    # --- deltas -----------------------------------------------------------------------------------

    def _read_delta(self, kind: str, tree: dict[str, Any], events: list[Event]) -> None:
        item = self._item(tree, events)
        if item is None or item.done:
            return
        if kind.startswith("response.function_call_arguments."):
            whole = kind.endswith("done")
            self._read_arguments(item, _text(tree, "arguments" if whole else "delta"), whole, events)
            return
        delta = _text(tree, "delta")
        if not delta:
            return
        self._begin("", events)
        if kind == "response.output_text.delta":
            events.append(TextDelta(delta))
        elif kind == "response.refusal.delta":
            events.append(Refusal(delta))
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            part = tree.get("summary_index", tree.get("content_index", 0))
            gap = "\n\n" if item.said and part != item.summary else ""
            item.summary = part
            events.append(ThoughtDelta(gap + delta))
        else:
            return
        item.said = True

    def _read_arguments(self, item: _Item, text: str, whole: bool, events: list[Event]) -> None:
        """More of a call's arguments; or all of them, which counts only if no others came."""
        if not text or item.number is None or (whole and item.said):
            return
        item.said = True
        if item.number != self._count - 1:
            self._break(Broken(), events)  # more of a call that another one has ended
        else:
            events.append(ToolDelta(item.number, text))

    def _begin(self, id: str, events: list[Event]) -> None:
        if not self._begun:
            self._begun = True
            events.append(Begin(id))

    def _break(self, broken: Broken, events: list[Event]) -> None:
        if not self._over:
            self._over = True
            events.append(broken)


def _text(tree: dict[str, Any], key: str) -> str:
    value = tree.get(key)
    return value if type(value) is str else ""


def _objects(value: object) -> list[dict[str, Any]]:
    return [part for part in value if type(part) is dict] if type(value) is list else []
