"""Calls to echo in the four dialects that talk, and what was said in the answers to them."""

import re
from typing import Any

import orjson

from gateway.content import Content
from gateway.contracts import Answer, Call, Envelope
from gateway.dialects import DIALECTS
from gateway.names import Slug
from gateway.providers.echo import Echo
from gateway.providers.echo.answer import EchoAnswer
from gateway.records import PathKind
from tests.upstream import PERMIT


def call_of(dialect: str, text: str, stream: bool) -> Call:
    """A call as the dialect reads it; gemini_array is gemini_generate without alt=sse."""
    body: dict[str, Any] = {"model": "echo-1"}
    more: dict[str, Any] = {}
    if dialect.startswith("gemini"):
        body = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
        verb = "streamGenerateContent" if stream else "generateContent"
        query = (("alt", "sse"),) if stream and dialect == "gemini_generate" else ()
        more = {"verb": verb, "version": "v1beta", "path_model": "echo-1", "query": query}
        dialect = "gemini_generate"
    elif dialect == "openai_responses":
        body["input"] = text
    else:
        body |= {"messages": [{"role": "user", "content": text}]}
        if dialect == "anthropic_messages":
            body["max_tokens"] = 1_000_000
    if stream and "contents" not in body:
        body["stream"] = True
    envelope = Envelope(kind=PathKind.CHAT, body=Content(orjson.dumps(body)), **more)
    return DIALECTS[Slug(dialect)].read_call(envelope)


async def ask(
    dialect: str, text: str, stream: bool, config: Echo.Config | None = None
) -> tuple[Echo, EchoAnswer]:
    """An answer to be read, and who gave it."""
    echo = Echo(config or Echo.Config())
    request = echo.request(call_of(dialect, text, stream), "echo-1", None)
    return echo, await echo.open(request, PERMIT)


async def talk(
    dialect: str, text: str, stream: bool, config: Echo.Config | None = None
) -> tuple[Call, list[bytes]]:
    """The call, and all pieces of its answer."""
    _, answer = await ask(dialect, text, stream, config)
    pieces = []
    while piece := await answer.read():
        pieces.append(piece)
    return call_of(dialect, text, stream), pieces


async def everything(answer: Answer) -> bytes:
    """The body to its end."""
    body = b""
    while piece := await answer.read():
        body += piece
    return body


def said(dialect: str, stream: bool, pieces: list[bytes]) -> str:
    """The text of an answer, put together from its deltas."""
    body = b"".join(pieces)
    if dialect == "gemini_array":
        trees = orjson.loads(body if body.endswith(b"]") else body + b"]")
    elif stream:
        trees = [orjson.loads(data) for data in re.findall(rb"(?m)^data: (\{.*\})", body)]
    else:
        trees = [orjson.loads(body)]
    return "".join(_text(dialect, tree) for tree in trees)


def _text(dialect: str, tree: Any) -> str:
    if dialect == "openai_chat":
        message = [choice.get("delta") or choice.get("message") or {} for choice in tree["choices"]]
        return "".join(one.get("content") or "" for one in message)
    if dialect == "openai_responses":
        if "output" in tree:
            return "".join(part["text"] for item in tree["output"] for part in item.get("content") or ())
        return str(tree["delta"]) if tree["type"] == "response.output_text.delta" else ""
    if dialect == "anthropic_messages":
        if tree["type"] == "message":
            return "".join(block.get("text") or "" for block in tree["content"])
        return str(tree.get("delta", {}).get("text") or "")
    parts = tree["candidates"][0]["content"]["parts"]
    return "".join(part["text"] for part in parts)
