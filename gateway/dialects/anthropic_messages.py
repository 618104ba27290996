"""Anthropic's Messages API: POST /v1/messages."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from gateway.content import Content, Document, Purpose
from gateway.contracts import Call, Envelope, Filter, Headers, Meter, Shape
from gateway.dialects.anthropic_usage import MessageReader
from gateway.errors import GatewayError
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stream.json_body import (
    check_content_type,
    count_in,
    flag_in,
    list_in,
    model_in,
    object_in,
    read_object,
    write_object,
)
from gateway.stream.tap import BodyMeter, EventMeter

NAME: Final = Slug("anthropic_messages")
FAMILY: Final = Slug("anthropic")

PASSED: Final = ("anthropic-version", "anthropic-beta")
"""Header fields that go on to the provider, unchanged: the version decides what a request may hold."""

MOST_OUTPUT: Final = 10_000_000
"""Tokens that a caller may allow at most. Far above any model's limit, far below an overflow."""

TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Other statuses: invalid_request_error below 500, api_error above.

Source: Anthropic's API reference, Errors.
"""


def read_call(envelope: Envelope) -> Call:
    """Understand a request for a message.

    Raises:
        CallerError: bad_request, naming the field.
    """
    check_content_type(envelope.content_type)
    document = read_object(envelope.body)
    tree = document.open(Purpose.READ)
    return Call(
        dialect=NAME,
        kind=PathKind.MESSAGES,
        model=model_in(tree),
        stream=flag_in(tree, "stream"),
        body=document,
        headers=passed_headers(envelope),
        query=passed_query(envelope),
        shape=shape_of(tree, document.size),
    )


def path(call: Call, model: str) -> str:
    """The model is in the body."""
    return "/v1/messages" + query_text(call)


def with_model(call: Call, model: str, ask_usage: bool) -> Content:
    """The body with nothing changed but the model; usage is always reported."""
    assert isinstance(call.body, Document)
    return write_object({**call.body.open(Purpose.SEND), "model": model})


def meter(call: Call) -> Meter:
    """Of events for a stream, of the body otherwise."""
    reader = MessageReader(call.model)
    return EventMeter(reader) if call.stream else BodyMeter(reader)


def filter(call: Call, ask_usage: bool) -> Filter | None:
    """Nothing is added, so nothing is taken out."""
    return None


def error_body(error: GatewayError, request_id: Slug) -> bytes:
    """The shape of Anthropic's errors; our code is in details.error_code, where its libraries keep it."""
    status = error.status
    return orjson.dumps({
        "type": "error",
        "error": {
            "type": TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error"),
            "message": error.message,
            "code": error.public,
            "details": {"error_code": error.public},
        },
        "request_id": request_id,
    })  # fmt: skip


def error_event(error: GatewayError, request_id: Slug, call: Call) -> bytes:
    """An error event; nothing for a whole answer, whose broken connection must say it."""
    if not call.stream:
        return b""
    return b"event: error\ndata: " + error_body(error, request_id) + b"\n\n"


# --- shared with the counting of tokens ------------------------------------------------------------


def passed_headers(envelope: Envelope) -> Headers:
    """What of the headers goes on."""
    fields = ((name, envelope.headers.get(name)) for name in PASSED)
    return tuple((name, value) for name, value in fields if value is not None)


def passed_query(envelope: Envelope) -> tuple[tuple[str, str], ...]:
    """beta=true, with which some clients mark every request."""
    return tuple(pair for pair in envelope.query if pair == ("beta", "true"))[:1]


def query_text(call: Call) -> str:
    """The query with its question mark, or nothing."""
    return "?" + urlencode(call.query) if call.query else ""


def shape_of(tree: Mapping[str, Any], body_bytes: int) -> Shape:
    """The numbers of a request.

    Raises:
        CallerError: a field that is needed here has the wrong type.
    """
    messages = list_in(tree, "messages")
    kinds = [kind for message in messages for kind in _blocks(message)]
    return Shape(
        body_bytes=body_bytes,
        max_output=count_in(tree, "max_tokens", MOST_OUTPUT, least=0),
        turns=len(messages),
        tools=len(list_in(tree, "tools")),
        tool_results=kinds.count("tool_result"),
        images=kinds.count("image"),
        files=kinds.count("document") + kinds.count("container_upload"),
        has_system=bool(tree.get("system")) or any(_is_system(message) for message in messages),
        structured=bool(object_in(tree, "output_config").get("format") or tree.get("output_format")),
    )


def _blocks(message: Any) -> list[str]:
    """The kinds of a message's blocks, and of the blocks in its tool results."""
    content = message.get("content") if type(message) is dict else None
    kinds: list[str] = []
    for block in content if type(content) is list else []:
        if type(block) is dict:
            kinds.append(str(block.get("type")))
            inner = block.get("content") if block.get("type") == "tool_result" else None
            for part in inner if type(inner) is list else []:
                kinds.append(str(part.get("type")) if type(part) is dict else "")
    return kinds


def _is_system(message: Any) -> bool:
    return type(message) is dict and message.get("role") == "system"
