"""What OpenAI's two text dialects have around a body: the call that carries it, an answer's header fields."""

from dataclasses import replace
from typing import Any

from gateway.content import Document
from gateway.contracts import Call, Headers
from gateway.names import Slug
from gateway.records import PathKind
from gateway.translation.canonical import Ask
from gateway.translation.tongue import Aim, Reply


def made_call(
    dialect: Slug, kind: PathKind, ask: Ask, aim: Aim, original: Call, body: dict[str, Any]
) -> Call:
    """The call that carries a body. It asks for nothing to be kept; usage is asked for when it is sent."""
    return Call(
        dialect=dialect,
        kind=kind,
        model=aim.model,
        stream=ask.stream,
        body=Document(body, original.body.size),
        shape=replace(original.shape, wants_usage=False, wants_store=False),
        tags=original.tags,
    )


def headers(reply: Reply) -> Headers:
    """Of an answer: its content type, and for a stream that nobody may keep it."""
    if reply.call.stream:
        return (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
    return (("content-type", "application/json"),)
