"""Anthropic's messages and their count of tokens, answered by echo."""

from collections.abc import Iterator
from typing import Any, Final

from orjson import dumps

from gateway.providers.echo.ask import Ask, Composed, Tally, Tool, Usage, compose, heed, pieces
from gateway.providers.echo.orders import Orders
from gateway.providers.echo.reply import EVENTS, Reply, whole

BROKEN: Final = (
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},'
    b'"request_id":"req_echo"}\n\n'
)

_STOP: Final = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use"}
_SIGNATURE: Final = "ZWNobyBzaWduYXR1cmU="
_THOUGHT: Final = "Thinking about it."


def read(tree: dict[str, Any], orders: Orders, path: str) -> Ask:
    """Understand a request; also of count_tokens, which lacks max_tokens."""
    tally = Tally()
    _count(tree.get("system"), tally)
    messages = tree["messages"]
    for message in messages:
        text = _count(message["content"], tally)
        if message["role"] == "user" and text is not None:
            tally.last = text
    tools = tuple(
        Tool(name=tool["name"], schema=tool["input_schema"])
        for tool in tree.get("tools") or ()
        if "input_schema" in tool
    )
    if tools:
        tally.text(str(dumps(tree["tools"]), "utf-8"))
    choice = tree.get("tool_choice") or {}
    form = (tree.get("output_config") or {}).get("format") or tree.get("output_format")
    last = messages[-1]["content"] if messages else ()
    text, orders = heed(tally.last, orders)
    return Ask(
        model=tree["model"],
        text=text,
        input_tokens=tally.tokens,
        orders=orders,
        stream=tree.get("stream") is True,
        max_output=None if path.startswith("/v1/messages/count_tokens") else int(tree["max_tokens"]),
        tools=tools,
        forced={"any": "*", "tool": choice.get("name", "*")}.get(choice.get("type", ""), ""),
        schema=None if form is None else form.get("schema") or {},
        answered=any(part["type"] == "tool_result" for part in last if isinstance(part, dict)),
        turns=len(messages),
    )


def count(ask: Ask) -> Reply:
    """The answer to a question for the number of tokens."""
    return whole(dumps({"input_tokens": ask.input_tokens if ask.orders.input is None else ask.orders.input}))


def answer(ask: Ask) -> Reply:
    """The answer, whole or streamed."""
    composed = compose(ask, dumps)
    stop = ask.orders.finish or _STOP[composed.ended]
    if ask.stream:
        return Reply(headers=EVENTS, events=_events(ask, composed, stop), broken=BROKEN)
    message = _message(ask, _blocks(ask, composed), stop)
    if composed.usage is not None:
        message["usage"] = usage_of(composed.usage, ask.orders)
    return whole(dumps(message))


def usage_of(usage: Usage, orders: Orders) -> dict[str, Any]:
    """Usage in the shape of messages: cached and written tokens stand beside input_tokens, not inside."""
    written = usage.write_5m + usage.write_1h
    counts: dict[str, Any] = {
        "input_tokens": usage.input - usage.cached - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.write_5m,
            "ephemeral_1h_input_tokens": usage.write_1h,
        },
        "output_tokens": usage.output,
        "service_tier": orders.tier or "standard",
    }
    if usage.reasoning:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if orders.aside:
        counts["iterations"] = _iterations(counts, orders.aside)
    return counts


def _iterations(counts: dict[str, Any], aside: int) -> list[dict[str, Any]]:
    side = {"type": "compaction", "input_tokens": aside, "output_tokens": 1}
    side |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    names = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return [side, {"type": "message", **{name: counts[name] for name in names}}]


def _count(content: Any, tally: Tally) -> str | None:
    """Counts text and other blocks; gives the text, None when there is none."""
    if content is None:
        return None
    if isinstance(content, str):
        tally.text(content)
        return content
    texts = []
    for block in content:
        kind = block["type"]
        if kind == "text":
            tally.text(block["text"])
            texts.append(block["text"])
        elif kind == "tool_result":
            _count(block.get("content"), tally)
        elif kind == "tool_use":
            tally.text(str(dumps(block.get("input")), "utf-8"))
        else:
            tally.others += 1
    return "\n".join(texts) if texts else None


def _message(ask: Ask, content: list[dict[str, Any]], stop: str | None) -> dict[str, Any]:
    return {
        "model": ask.model,
        "id": f"msg_echo{ask.seed}",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
    }


def _blocks(ask: Ask, composed: Composed) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if ask.orders.reasoning:
        blocks.append({"type": "thinking", "thinking": _THOUGHT, "signature": _SIGNATURE})
    if not composed.calls:
        return [*blocks, {"type": "text", "text": composed.text}]
    for at, call in enumerate(composed.calls):
        name = f"toolu_echo{ask.seed}{at}"
        blocks.append({"type": "tool_use", "id": name, "name": call.name, "input": call.arguments})
    return blocks


def _event(data: dict[str, Any]) -> bytes:
    # The provider pads its data lines with spaces; a few of them keep readers honest.
    return b"event: %b\ndata: %b  \n\n" % (data["type"].encode(), dumps(data))


def _events(ask: Ask, composed: Composed, stop: str) -> Iterator[bytes]:
    opening = _message(ask, [], None)
    counts = None if composed.usage is None else usage_of(composed.usage, ask.orders)
    if counts is not None:
        begun = {name: value for name, value in counts.items() if name not in _LATE}
        opening["usage"] = begun | {"output_tokens": min(1, counts["output_tokens"])}
    yield _event({"type": "message_start", "message": opening})
    for index, block in enumerate(_blocks(ask, composed)):
        yield _event({"type": "content_block_start", "index": index, "content_block": _emptied(block)})
        if not index:
            yield b'event: ping\ndata: {"type": "ping"}\n\n'
        yield from _deltas(ask, index, block)
        yield b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}  \n\n' % index
    last: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}}
    if counts is not None:
        last["usage"] = {name: value for name, value in counts.items() if name not in _EARLY}
    yield _event(last)
    if not ask.orders.no_end:
        yield b'event: message_stop\ndata: {"type":"message_stop"}  \n\n'


_LATE: Final = frozenset({"output_tokens_details", "iterations"})
_EARLY: Final = frozenset({"cache_creation", "service_tier"})


def _emptied(block: dict[str, Any]) -> dict[str, Any]:
    empty = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: empty.get(name, value) for name, value in block.items()}


def _deltas(ask: Ask, index: int, block: dict[str, Any]) -> Iterator[bytes]:
    begin = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":' % index
    if block["type"] == "thinking":
        yield begin + dumps({"type": "thinking_delta", "thinking": _THOUGHT}) + b"}  \n\n"
        yield begin + dumps({"type": "signature_delta", "signature": _SIGNATURE}) + b"}  \n\n"
        return
    text, head = block.get("text", ""), b'{"type":"text_delta","text":'
    if block["type"] == "tool_use":
        head = b'{"type":"input_json_delta","partial_json":'
        yield begin + head + b'""}}  \n\n'
        text = str(dumps(block["input"]), "utf-8")
    head = begin + head
    for piece in pieces(text, ask.orders):
        yield head + dumps(piece) + b"}}  \n\n"
