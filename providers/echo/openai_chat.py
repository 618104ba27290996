"""OpenAI's chat completions, answered by echo; with the additions of Groq where asked for."""

from collections.abc import Iterator
from typing import Any, Final

from orjson import dumps

from gateway.providers.echo.ask import (
    CREATED,
    Ask,
    Composed,
    Tally,
    Tool,
    ToolCall,
    Usage,
    compose,
    heed,
    pieces,
)
from gateway.providers.echo.orders import Orders
from gateway.providers.echo.reply import EVENTS, Reply, whole

DONE: Final = b"data: [DONE]\n\n"

_FINISH: Final = {"stop": "stop", "length": "length", "tools": "tool_calls"}
_FORCED: Final = {"required": "*", "any": "*"}


def read(tree: dict[str, Any], orders: Orders, path: str) -> Ask:
    """Understand a request.

    Raises:
        TypeError, KeyError, ValueError, AttributeError, IndexError: the tree has not the shape of one.
    """
    tally = Tally()
    messages = tree["messages"]
    for message in messages:
        _count(message, tally)
    tools = tuple(
        Tool(name=tool["function"]["name"], schema=tool["function"].get("parameters"))
        for tool in tree.get("tools") or ()
        if tool.get("type") == "function"
    )
    if tools:
        tally.text(str(dumps(tree["tools"]), "utf-8"))
    text, orders = heed(tally.last, orders)
    limit = tree.get("max_completion_tokens")
    return Ask(
        model=tree["model"],
        text=text,
        input_tokens=tally.tokens,
        orders=orders,
        stream=tree.get("stream") is True,
        usage_wanted=bool((tree.get("stream_options") or {}).get("include_usage")),
        max_output=limit if limit is not None else tree.get("max_tokens"),
        choices=min(max(int(tree.get("n") or 1), 1), 16),
        tools=tools,
        forced=_forced(tree.get("tool_choice")),
        schema=_schema(tree.get("response_format")),
        answered=bool(messages) and messages[-1].get("role") == "tool",
        turns=len(messages),
    )


def answer(ask: Ask) -> Reply:
    """The answer, whole or streamed.

    The order poses=groq gives it as Groq does: with x_groq, and with usage on a stream unasked.
    """
    groq = ask.orders.poses == "groq"
    composed = compose(ask, dumps)
    if ask.stream:
        events = _events(ask, composed, groq)
        return Reply(headers=EVENTS, events=events, broken=BROKEN)
    return whole(_body(ask, composed, groq))


def usage_of(usage: Usage, choices: int, groq: bool = False) -> dict[str, Any]:
    """Usage in the shape of chat completions."""
    output = usage.output * choices
    shape: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": output,
        "total_tokens": usage.input + output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning * choices,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    written = usage.write_5m + usage.write_1h
    if written:
        shape["prompt_tokens_details"]["cache_write_tokens"] = written
    if groq:
        shape |= {"queue_time": 0.001, "prompt_time": 0.001, "completion_time": 0.002, "total_time": 0.003}
    return shape


_BODY: Final = (
    b'{"id":"chatcmpl-echo%b","object":"chat.completion","created":%d,"model":%b,"choices":[%b]%b,'
    b'"service_tier":%b,"system_fingerprint":"fp_echo"%b}'
)
_CHOICE: Final = b'{"index":%d,"message":%b,"logprobs":null,"finish_reason":%b}'
_MESSAGE: Final = b'{"role":"assistant","content":%b%b,"refusal":null,"annotations":[]}'


def _body(ask: Ask, composed: Composed, groq: bool) -> bytes:
    # Put together from parts instead of a tree: a whole answer is what load tests ask for most.
    seed = ask.seed.encode()
    text, calls = dumps(composed.text), b""
    if composed.calls:
        text = b"null"
        calls = b',"tool_calls":' + dumps(
            [_tool_call(ask, at, call) for at, call in enumerate(composed.calls)]
        )
    message = _MESSAGE % (text, calls)
    finish = dumps(ask.orders.finish or _FINISH[composed.ended])
    choices = b",".join([_CHOICE % (at, message, finish) for at in range(ask.choices)])
    usage = b""
    if composed.usage is not None:
        usage = b',"usage":' + dumps(usage_of(composed.usage, ask.choices, groq))
    tier = dumps(ask.orders.tier or "default")
    more = b',"x_groq":{"id":"req_echo%b"}' % seed if groq else b""
    return _BODY % (seed, CREATED, dumps(ask.model), choices, usage, tier, more)


BROKEN: Final = (
    b'data: {"error":{"message":"The server had an error while processing your request.",'
    b'"type":"server_error","param":null,"code":null}}\n\n'
)


def _count(message: dict[str, Any], tally: Tally) -> None:
    content = message.get("content")
    if isinstance(content, str):
        text = content
        tally.text(text)
    else:
        texts = []
        for part in content or ():
            if part.get("type") == "text":
                texts.append(part["text"])
                tally.text(part["text"])
            else:
                tally.others += 1
        text = "\n".join(texts)
    if message["role"] == "user":
        tally.last = text
    for call in message.get("tool_calls") or ():
        tally.text(call.get("function", {}).get("arguments") or "")


def _forced(choice: Any) -> str:
    if isinstance(choice, str):
        return _FORCED.get(choice, "")
    if isinstance(choice, dict):
        return str(choice.get("function", {}).get("name") or "*")
    return ""


def _schema(form: Any) -> Any:
    if not isinstance(form, dict) or form.get("type") not in ("json_schema", "json_object"):
        return None
    return form.get("json_schema", {}).get("schema") or {}


def _tool_call(ask: Ask, at: int, call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": str(dumps(call.arguments), "utf-8")}
    return {"id": f"call_echo{ask.seed}{at}", "type": "function", "function": function}


def _events(ask: Ask, composed: Composed, groq: bool) -> Iterator[bytes]:
    orders = ask.orders
    stem = dumps({
        "id": f"chatcmpl-echo{ask.seed}",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": ask.model,
        "service_tier": orders.tier or "default",
        "system_fingerprint": "fp_echo",
    })  # fmt: skip
    stem = b"data: " + stem[:-1] + b',"choices":['
    told = composed.usage is not None and ask.usage_wanted and not groq
    end = b'],"usage":null}\n\n' if told else b"]}\n\n"
    for at in range(ask.choices):
        head = b'%b{"index":%d,"delta":' % (stem, at)
        tail = b',"logprobs":null,"finish_reason":null}' + end
        extra = b',"x_groq":{"id":"req_echo%b"}}\n\n' % ask.seed.encode() if groq and not at else b"}\n\n"
        first = {"role": "assistant", "content": None if composed.calls else "", "refusal": None}
        yield head + dumps(first) + tail[:-3] + extra
        yield from _deltas(ask, composed, head, tail)
        finish = dumps(orders.finish or _FINISH[composed.ended])
        last = head + b'{},"logprobs":null,"finish_reason":' + finish + b"}" + end
        if groq and composed.usage is not None and at == ask.choices - 1:
            usage = usage_of(composed.usage, ask.choices, groq)
            extra_usage = dumps({"x_groq": {"id": f"req_echo{ask.seed}", "usage": usage}, "usage": usage})
            last = last[:-3] + b"," + extra_usage[1:] + b"\n\n"
        yield last
    if told and composed.usage is not None:
        yield stem + b'],"usage":' + dumps(usage_of(composed.usage, ask.choices)) + b"}\n\n"
    if not orders.no_end:
        yield DONE


def _deltas(ask: Ask, composed: Composed, head: bytes, tail: bytes) -> Iterator[bytes]:
    if composed.calls:
        for at, call in enumerate(composed.calls):
            arguments = str(dumps(call.arguments), "utf-8")
            begun = _tool_call(ask, at, call)
            begun = {"index": at, **begun, "function": {"name": call.name, "arguments": ""}}
            yield head + dumps({"tool_calls": [begun]}) + tail
            for piece in pieces(arguments, ask.orders):
                delta = b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}'
                yield head + delta % (at, dumps(piece)) + tail
        return
    head += b'{"content":'
    tail = b"}" + tail
    for piece in pieces(composed.text, ask.orders):
        yield head + dumps(piece) + tail
