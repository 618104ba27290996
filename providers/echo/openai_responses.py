"""OpenAI's Responses, answered by echo."""

from collections.abc import Iterator
from itertools import count
from typing import Any, Final

from orjson import dumps

from gateway.providers.echo.ask import CREATED, Ask, Composed, Tally, Tool, Usage, compose, heed, pieces
from gateway.providers.echo.orders import Orders
from gateway.providers.echo.reply import EVENTS, Reply, whole

BROKEN: Final = (
    b'event: error\ndata: {"type":"error","code":"server_error","message":"The server had an error while '
    b'processing your request.","param":null,"sequence_number":999}\n\n'
)

_STATUS: Final = {"stop": "completed", "length": "incomplete", "tools": "completed"}
_TOLD: Final[tuple[tuple[str, Any], ...]] = (
    ("instructions", None), ("max_output_tokens", None), ("metadata", {}), ("parallel_tool_calls", True),
    ("previous_response_id", None), ("reasoning", {"effort": None, "summary": None}), ("store", True),
    ("temperature", 1.0), ("text", {"format": {"type": "text"}}), ("tool_choice", "auto"), ("tools", []),
    ("top_p", 1.0), ("truncation", "disabled"), ("user", None), ("background", False),
)  # fmt: skip
"""What an answer repeats of its request, and what it says when the request was silent."""


def read(tree: dict[str, Any], orders: Orders, path: str) -> Ask:
    """Understand a request."""
    tally = Tally()
    tally.text(tree.get("instructions") or "")
    items = tree.get("input") or []
    if isinstance(items, str):
        tally.text(items)
        tally.last = items
        items = []
    for item in items:
        _count(item, tally)
    tools = tuple(
        Tool(name=tool["name"], schema=tool.get("parameters"))
        for tool in tree.get("tools") or ()
        if tool.get("type") == "function"
    )
    if tools:
        tally.text(str(dumps(tree["tools"]), "utf-8"))
    text, orders = heed(tally.last, orders)
    form = (tree.get("text") or {}).get("format") or {}
    return Ask(
        model=tree.get("model") or "echo-1",
        text=text,
        input_tokens=tally.tokens,
        orders=orders,
        stream=tree.get("stream") is True,
        max_output=tree.get("max_output_tokens"),
        tools=tools,
        forced=_forced(tree.get("tool_choice")),
        schema=(form.get("schema") or {}) if form.get("type") in ("json_schema", "json_object") else None,
        answered=bool(items) and items[-1].get("type") == "function_call_output",
        turns=len(items) or 1,
        extra=tree,
    )


def answer(ask: Ask) -> Reply:
    """The answer, whole or streamed."""
    composed = compose(ask, dumps)
    status = ask.orders.finish or _STATUS[composed.ended]
    output = _output(ask, composed, status)
    if ask.stream:
        return Reply(headers=EVENTS, events=_events(ask, composed, output, status), broken=BROKEN)
    return whole(dumps(_response(ask, status, output, composed.usage)))


def usage_of(usage: Usage) -> dict[str, Any]:
    """Usage in the shape of Responses."""
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.write_5m + usage.write_1h,
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def _count(item: dict[str, Any], tally: Tally) -> None:
    content = item.get("content")
    texts = []
    for part in [{"type": "input_text", "text": content}] if isinstance(content, str) else content or ():
        if isinstance(part.get("text"), str):
            tally.text(part["text"])
            texts.append(part["text"])
        else:
            tally.others += 1
    for name in ("arguments", "output"):
        value = item.get(name)
        if value is not None:
            tally.text(value if isinstance(value, str) else str(dumps(value), "utf-8"))
    if item.get("role") == "user":
        tally.last = "\n".join(texts)


def _forced(choice: Any) -> str:
    if isinstance(choice, dict):
        return str(choice.get("name") or "*")
    return "*" if choice == "required" else ""


def _response(ask: Ask, status: str, output: list[dict[str, Any]], usage: Usage | None) -> dict[str, Any]:
    tree = ask.extra
    reason = {"reason": "max_output_tokens"} if status == "incomplete" else None
    failure = {"code": "server_error", "message": "The model failed."} if status == "failed" else None
    ended = status not in ("in_progress", "queued")
    return {
        "id": f"resp_echo{ask.seed}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": failure,
        "incomplete_details": reason,
        "model": ask.model,
        "output": output,
        "service_tier": (ask.orders.tier or "default") if ended else tree.get("service_tier") or "auto",
        "usage": usage_of(usage) if ended and usage is not None else None,
        **{name: silent if tree.get(name) is None else tree[name] for name, silent in _TOLD},
    }


def _output(ask: Ask, composed: Composed, status: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if ask.orders.reasoning:
        items.append({"id": f"rs_echo{ask.seed}", "type": "reasoning", "summary": []})
    for at, call in enumerate(composed.calls):
        names = {"id": f"fc_echo{ask.seed}{at}", "type": "function_call", "status": "completed"}
        arguments = str(dumps(call.arguments), "utf-8")
        items.append(
            {**names, "arguments": arguments, "call_id": f"call_echo{ask.seed}{at}", "name": call.name}
        )
    if not composed.calls:
        ended = "incomplete" if status == "incomplete" else "completed"
        items.append({
            "id": f"msg_echo{ask.seed}", "type": "message", "status": ended,
            "content": [_part(composed.text)], "role": "assistant",
        })  # fmt: skip
    return items


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _event(kind: str, number: int, **fields: Any) -> bytes:
    data = {"type": kind, "sequence_number": number, **fields}
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), dumps(data))


def _events(ask: Ask, composed: Composed, output: list[dict[str, Any]], status: str) -> Iterator[bytes]:
    numbers = count()
    begun = _response(ask, "in_progress", [], None)
    yield _event("response.created", next(numbers), response=begun)
    yield _event("response.in_progress", next(numbers), response=begun)
    for index, item in enumerate(output):
        yield from _item(ask, index, item, numbers)
    if not ask.orders.no_end:
        ended = _response(ask, status, output, composed.usage)
        yield _event(f"response.{status}", next(numbers), response=ended)


def _item(ask: Ask, index: int, item: dict[str, Any], numbers: Iterator[int]) -> Iterator[bytes]:
    empty = {"content": [], "arguments": "", "status": "in_progress"}
    begun = {name: empty.get(name, value) for name, value in item.items()}
    yield _event("response.output_item.added", next(numbers), output_index=index, item=begun)
    if item["type"] == "message":
        yield from _text(ask, index, item, numbers)
    elif item["type"] == "function_call":
        name = "response.function_call_arguments"
        where = {"item_id": item["id"], "output_index": index}
        yield from _deltas(ask, name, where, item["arguments"], b"", numbers)
        done = {**where, "arguments": item["arguments"], "name": item["name"]}
        yield _event(name + ".done", next(numbers), **done)
    yield _event("response.output_item.done", next(numbers), output_index=index, item=item)


def _text(ask: Ask, index: int, item: dict[str, Any], numbers: Iterator[int]) -> Iterator[bytes]:
    where = {"item_id": item["id"], "output_index": index, "content_index": 0}
    part = item["content"][0]
    yield _event("response.content_part.added", next(numbers), **where, part=_part(""))
    yield from _deltas(ask, "response.output_text", where, part["text"], b',"logprobs":[]', numbers)
    yield _event("response.output_text.done", next(numbers), **where, text=part["text"], logprobs=[])
    yield _event("response.content_part.done", next(numbers), **where, part=part)


def _deltas(
    ask: Ask, name: str, where: dict[str, Any], text: str, more: bytes, numbers: Iterator[int]
) -> Iterator[bytes]:
    kind = f"{name}.delta".encode()
    head = b'event: %b\ndata: {"type":"%b",%b,"sequence_number":' % (kind, kind, dumps(where)[1:-1])
    tail = more + b"}\n\n"
    for piece in pieces(text, ask.orders):
        yield b'%b%d,"delta":%b%b' % (head, next(numbers), dumps(piece), tail)
