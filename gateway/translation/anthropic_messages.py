"""Anthropic's Messages API as translation speaks it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from gateway.content import Document
from gateway.contracts import Call, Headers
from gateway.dialects.anthropic_messages import NAME, TYPES
from gateway.names import Slug
from gateway.records import PathKind
from gateway.translation.anthropic_messages_read import read_ask
from gateway.translation.anthropic_messages_reader import StreamReader, WholeReader
from gateway.translation.anthropic_messages_write import write_ask
from gateway.translation.anthropic_messages_writer import StreamWriter, WholeWriter
from gateway.translation.canonical import Ask, Complaint
from gateway.translation.losses import Loss
from gateway.translation.tongue import Aim, Reader, Reply, Writer

__all__ = [
    "AS_CALLER", "AS_PROVIDER", "NAME", "call", "headers", "read_ask", "read_complaint", "reader",
    "write_ask", "write_complaint", "writer",
]  # fmt: skip

VERSION: Final = "2023-06-01"
"""The version of the API that requests are written for: later ones refuse temperature, top_p and top_k."""

COMPLAINT_BYTES: Final = 65_536
"""Of an error's body, the most that is read."""

AS_PROVIDER: Final[Mapping[Slug, Loss]] = {
    Slug("arguments"): Loss.DROPPED,  # of a tool call, where they are no JSON object: sent as {}
    Slug("assistant_media"): Loss.DROPPED,  # pictures and files in turns of the assistant
    Slug("audio"): Loss.REFUSED,
    Slug("budget_tokens"): Loss.DROPPED,  # of thinking: told as an effort, or fitted into max_tokens
    Slug("detail"): Loss.DROPPED,  # of pictures
    Slug("file_type"): Loss.REFUSED,  # neither PDF nor text
    Slug("format"): Loss.DROPPED,  # JSON without a schema, or an old model: asked for in words
    Slug("format_depth"): Loss.REFUSED,  # a schema of more levels than can be sent
    Slug("frequency_penalty"): Loss.DROPPED,
    Slug("logprobs"): Loss.DROPPED,
    Slug("presence_penalty"): Loss.DROPPED,
    Slug("reasoning"): Loss.DROPPED,  # the model, a forced tool, an unsigned history or max_tokens forbid it
    Slug("schema_bounds"): Loss.DROPPED,  # limits of numbers, texts and lists: told in the description
    Slug("seed"): Loss.DROPPED,
    Slug("stop"): Loss.DROPPED,  # sequences of white space
    Slug("strict"): Loss.DROPPED,  # of tools, for old models
    Slug("temperature"): Loss.DROPPED,  # above 1: sent as 1; new models take none, nor does thinking
    Slug("thoughts"): Loss.DROPPED,  # without a signature of Anthropic's
    Slug("tier"): Loss.DROPPED,
    Slug("tool_name"): Loss.REFUSED,  # with letters that are not taken
    Slug("top_k"): Loss.DROPPED,
    Slug("top_p"): Loss.DROPPED,
    Slug("user"): Loss.DROPPED,  # longer than is taken
}
"""What the middle form can say and this dialect cannot."""

AS_CALLER: Final[Mapping[Slug, Loss]] = {
    Slug("allowed_callers"): Loss.DROPPED,
    Slug("cache_control"): Loss.DROPPED,
    Slug("citations"): Loss.DROPPED,
    Slug("context"): Loss.DROPPED,  # of documents
    Slug("context_clearing"): Loss.DROPPED,  # context_management that only clears
    Slug("defer_loading"): Loss.DROPPED,
    Slug("diagnostics"): Loss.DROPPED,
    Slug("eager_input_streaming"): Loss.DROPPED,
    Slug("effort"): Loss.DROPPED,  # beside thinking that is disabled
    Slug("input_examples"): Loss.DROPPED,
    Slug("output_config"): Loss.DROPPED,  # its other fields
    Slug("search_result"): Loss.DROPPED,  # where it was found; its text stays
    Slug("speed"): Loss.DROPPED,
    Slug("system_place"): Loss.DROPPED,  # of system messages between turns
    Slug("transformations"): Loss.DROPPED,  # of pictures
    Slug("unknown_field"): Loss.DROPPED,
    Slug("user_profile_id"): Loss.DROPPED,
    Slug("workspace_id"): Loss.DROPPED,
    Slug("advisor"): Loss.REFUSED,
    Slug("bash"): Loss.REFUSED,
    Slug("browser"): Loss.REFUSED,
    Slug("code_execution"): Loss.REFUSED,
    Slug("compaction"): Loss.REFUSED,
    Slug("computer"): Loss.REFUSED,
    Slug("container"): Loss.REFUSED,
    Slug("container_upload"): Loss.REFUSED,
    Slug("context_management"): Loss.REFUSED,
    Slug("file_id"): Loss.REFUSED,
    Slug("inference_geo"): Loss.REFUSED,
    Slug("mcp_servers"): Loss.REFUSED,
    Slug("mcp_toolset"): Loss.REFUSED,
    Slug("memory"): Loss.REFUSED,
    Slug("server_tool"): Loss.REFUSED,
    Slug("text_editor"): Loss.REFUSED,
    Slug("tool_search"): Loss.REFUSED,
    Slug("unknown_block"): Loss.REFUSED,
    Slug("web_fetch"): Loss.REFUSED,
    Slug("web_search"): Loss.REFUSED,
}
"""What of this dialect the middle form cannot hold."""


def call(ask: Ask, aim: Aim, original: Call, body: dict[str, Any]) -> Call:
    """The call of this dialect that carries the body."""
    return replace(
        original,
        dialect=NAME,
        kind=PathKind.MESSAGES,
        model=aim.model,
        stream=ask.stream,
        body=Document(body, original.body.size),
        content_type="application/json",
        headers=(("anthropic-version", VERSION),),
        query=(),
        verb="",
        version="",
        shape=replace(original.shape, max_output=body["max_tokens"]),
    )


def reader(stream: bool) -> Reader:
    """A reader for one answer."""
    return StreamReader() if stream else WholeReader()


def writer(reply: Reply) -> Writer:
    """A writer for one answer."""
    return StreamWriter(reply) if reply.call.stream else WholeWriter(reply)


def headers(reply: Reply) -> Headers:
    """The content type."""
    kind = "text/event-stream; charset=utf-8" if reply.call.stream else "application/json"
    return (("content-type", kind),)


def read_complaint(status: int, body: bytes) -> Complaint:
    """The sentence of an error."""
    try:
        tree = orjson.loads(body[:COMPLAINT_BYTES])
    except orjson.JSONDecodeError:
        tree = None
    error = tree.get("error") if type(tree) is dict else None
    message = error.get("message") if type(error) is dict else None
    return Complaint(status, message if type(message) is str else "")


def write_complaint(complaint: Complaint) -> bytes:
    """An error of the type that goes with its status."""
    kind = TYPES.get(complaint.status, "api_error" if complaint.status >= 500 else "invalid_request_error")
    return orjson.dumps({
        "type": "error",
        "error": {"type": kind, "message": complaint.message},
        "request_id": None,
    })  # fmt: skip
