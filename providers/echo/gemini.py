"""Gemini's generateContent, embeddings and count of tokens, answered by echo."""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from orjson import dumps

from gateway.providers.echo.ask import (
    IMAGE_TOKENS,
    Ask,
    Composed,
    Tally,
    Tool,
    Usage,
    compose,
    heed,
    pieces,
    to_tokens,
    weigh,
)
from gateway.providers.echo.orders import Orders
from gateway.providers.echo.reply import JSON, Reply, whole
from gateway.providers.echo.vectors import check, vector

SSE: Final = (("content-type", "text/event-stream"),)

_FINISH: Final = {"stop": "STOP", "length": "MAX_TOKENS", "tools": "STOP"}
_SIGNATURE: Final = "ZWNobyBzaWduYXR1cmU="
_BROKEN: Final = b'{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}'


def read(tree: dict[str, Any], orders: Orders, path: str) -> Ask:
    """Understand a request to generate or to count; the path names model, verb and way of streaming."""
    model, verb, query = _place(path)
    body = _pick(tree, "generateContentRequest") or tree
    tally = Tally()
    _count(_pick(body, "systemInstruction") or {}, tally)
    contents = body.get("contents") or []
    for content in contents:
        text = _count(content, tally)
        if content.get("role", "user") == "user" and text is not None:
            tally.last = text
    tools = tuple(
        Tool(name=one["name"], schema=_pick(one, "parametersJsonSchema") or one.get("parameters"))
        for tool in body.get("tools") or ()
        for one in _pick(tool, "functionDeclarations") or ()
    )
    if tools:
        tally.text(str(dumps(body["tools"]), "utf-8"))
    settings = _pick(body, "generationConfig") or {}
    text, orders = heed(tally.last, orders)
    return Ask(
        model=model,
        text=text,
        input_tokens=tally.tokens,
        orders=orders,
        stream=verb == "streamGenerateContent",
        usage_wanted="alt=sse" in query,
        max_output=_pick(settings, "maxOutputTokens"),
        choices=min(max(int(_pick(settings, "candidateCount") or 1), 1), 8),
        tools=tools,
        forced=_forced(_pick(body, "toolConfig") or {}),
        schema=_schema(settings),
        answered=bool(contents) and any(map(_is_tool, contents[-1].get("parts") or ())),
        turns=len(contents),
        others=tally.others,
    )


def count(ask: Ask) -> Reply:
    """The answer to a question for the number of tokens."""
    tokens = ask.input_tokens if ask.orders.input is None else ask.orders.input
    return whole(dumps({"totalTokens": tokens, "promptTokensDetails": _modalities(tokens, ask.others)}))


def answer(ask: Ask) -> Reply:
    """The answer: whole, as events, or as one JSON array that comes in parts."""
    composed = compose(ask, dumps)
    if not ask.stream:
        body = _chunk(ask, _parts(ask, composed), _finish(ask, composed))
        if composed.usage is not None:
            body["usageMetadata"] = usage_of(composed.usage, ask)
        return whole(dumps(body))
    chunks = _chunks(ask, composed)
    if ask.usage_wanted:
        broken = b"data: " + _BROKEN + b"\r\n\r\n"
        return Reply(headers=SSE, events=_sse(chunks), broken=broken)
    return Reply(headers=JSON, events=_array(chunks, ask.orders), broken=b",\r\n" + _BROKEN + b"]")


def usage_of(usage: Usage, ask: Ask) -> dict[str, Any]:
    """Usage in the shape of usageMetadata: thoughts stand beside the candidates' tokens."""
    output = (usage.output - usage.reasoning) * ask.choices
    counts: dict[str, Any] = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": output,
        "totalTokenCount": usage.input + output + usage.reasoning,
        "promptTokensDetails": _modalities(usage.input, ask.others),
    }
    if usage.cached:
        counts["cachedContentTokenCount"] = usage.cached
        counts["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.cached}]
    if usage.reasoning:
        counts["thoughtsTokenCount"] = usage.reasoning
    if ask.orders.tier:
        counts["serviceTier"] = ask.orders.tier
    return counts


def read_embed(tree: dict[str, Any], orders: Orders, path: str) -> Ask:
    """Understand a request for one or several embeddings."""
    model = _place(path)[0]
    requests = tree.get("requests", [tree])
    tally = Tally()
    wanted = tuple(
        (_count(one["content"], tally) or "", _pick(one, "outputDimensionality")) for one in requests
    )
    check(len(wanted), max((size or 0 for _, size in wanted), default=0))
    text, orders = heed(wanted[0][0] if wanted else "", orders)
    return Ask(
        model=model,
        text=text,
        input_tokens=tally.tokens,
        orders=orders,
        extra={"wanted": wanted, "several": "requests" in tree},
    )


def embed(ask: Ask) -> Reply:
    """Embeddings, one for each text."""
    vectors = [{"values": vector(text, size)} for text, size in ask.extra["wanted"]]
    body: dict[str, Any] = {"embeddings": vectors} if ask.extra["several"] else {"embedding": vectors[0]}
    if not ask.orders.no_usage:
        tokens = ask.input_tokens if ask.orders.input is None else ask.orders.input
        body["usageMetadata"] = {"promptTokenCount": 0 if ask.orders.zero_usage else tokens}
    return whole(dumps(body))


def _pick(tree: dict[str, Any], name: str) -> Any:
    """A field by its name, or by the same name with underscores, which Google also takes."""
    value = tree.get(name)
    return value if value is not None else tree.get(_SNAKE[name])


_SNAKE: Final = {
    name: re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)
    for name in (
        "allowedFunctionNames", "candidateCount", "functionCallingConfig", "functionDeclarations",
        "generateContentRequest", "generationConfig", "maxOutputTokens", "outputDimensionality",
        "parametersJsonSchema", "responseJsonSchema", "responseMimeType", "responseSchema",
        "systemInstruction", "toolConfig",
    )
}  # fmt: skip


def _place(path: str) -> tuple[str, str, str]:
    place, _, query = path.partition("?")
    model, _, verb = place.partition("/models/")[2].rpartition(":")
    return unquote(model), verb, query


def _count(content: dict[str, Any], tally: Tally) -> str | None:
    texts = []
    for part in content.get("parts") or ():
        if "text" in part:
            tally.text(part["text"])
            texts.append(part["text"])
        elif _is_tool(part):
            tally.text(str(dumps(part), "utf-8"))
        else:
            tally.others += 1
    return "\n".join(texts) if texts else None


def _is_tool(part: dict[str, Any]) -> bool:
    """Whether a part is the call of a tool or its result; after either, the tool was asked already."""
    return any(
        name in part for name in ("functionCall", "functionResponse", "function_call", "function_response")
    )


def _forced(config: dict[str, Any]) -> str:
    calling = _pick(config, "functionCallingConfig") or {}
    if str(calling.get("mode", "")).upper() != "ANY":
        return ""
    return str((_pick(calling, "allowedFunctionNames") or ["*"])[0])


def _schema(settings: dict[str, Any]) -> Any:
    schema = _pick(settings, "responseJsonSchema") or _pick(settings, "responseSchema")
    if schema is None and _pick(settings, "responseMimeType") == "application/json":
        return {}
    return schema


def _modalities(tokens: int, others: int) -> list[dict[str, Any]]:
    images = min(tokens, others * IMAGE_TOKENS)
    shares = [{"modality": "TEXT", "tokenCount": tokens - images}]
    return [*shares, {"modality": "IMAGE", "tokenCount": images}] if images else shares


def _finish(ask: Ask, composed: Composed) -> str:
    return ask.orders.finish or _FINISH[composed.ended]


def _parts(ask: Ask, composed: Composed) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for at, call in enumerate(composed.calls):
        made = {"id": f"echo{ask.seed}{at}", "name": call.name, "args": call.arguments}
        parts.append({"functionCall": made} | ({} if at else {"thoughtSignature": _SIGNATURE}))
    return parts or [{"text": composed.text}]


def _chunk(ask: Ask, parts: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
    named = {"modelVersion": ask.model, "responseId": f"echo{ask.seed}"}
    if ask.orders.finish == "blocked":
        return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **named}
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [{**candidate, "index": at} for at in range(ask.choices)], **named}


def _chunks(ask: Ask, composed: Composed) -> Iterator[bytes]:
    """Objects of the stream as JSON. Each says the usage so far, the last one the usage that counts."""
    usage = composed.usage
    if not composed.calls and ask.orders.finish != "blocked":
        stem = dumps(_chunk(ask, [{"text": ""}], None))
        head, tail = stem.split(b'""', 1) if ask.choices == 1 else (b"", b"")
        done = 0
        for piece in pieces(composed.text, ask.orders):
            done += weigh(piece)
            if not head:
                yield dumps(_chunk(ask, [{"text": piece}], None))
            elif usage is None:
                yield head + dumps(piece) + tail
            else:
                output = to_tokens(done)
                sums = (usage.input, output, usage.input + output)
                yield head + dumps(piece) + tail[:-1] + _SO_FAR % sums
    if ask.orders.no_end:
        return
    last = _chunk(ask, _parts(ask, composed) if composed.calls else [{"text": ""}], _finish(ask, composed))
    if usage is not None:
        last["usageMetadata"] = usage_of(usage, ask)
    yield dumps(last)


_SO_FAR: Final = b',"usageMetadata":{"promptTokenCount":%d,"candidatesTokenCount":%d,"totalTokenCount":%d}}'


def _sse(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return (b"data: " + chunk + b"\r\n\r\n" for chunk in chunks)


def _array(chunks: Iterator[bytes], orders: Orders) -> Iterator[bytes]:
    begin = b"["
    for chunk in chunks:
        yield begin + chunk
        begin = b",\r\n"
    if not orders.no_end:
        yield b"]"
