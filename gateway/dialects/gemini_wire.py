"""What all calls of Gemini's API share: path, names of fields, errors.

Source: Gemini API reference; Google API design guide, Errors; google.rpc error details.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

import orjson

from gateway.contracts import Call, Envelope
from gateway.errors import GatewayError
from gateway.names import Slug
from gateway.stream.json_body import refuse

FAMILY: Final = Slug("gemini")

EVENTS: Final = ("alt", "sse")
"""The query that asks for a stream as events; without it a stream is one JSON array."""

STATUS_NAMES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""Other statuses: INVALID_ARGUMENT below 500, INTERNAL above."""

_TYPE: Final = "type.googleapis.com/google.rpc."


def passed_query(envelope: Envelope) -> tuple[tuple[str, str], ...]:
    """alt=sse, if asked for. A key in the query never goes on."""
    return (EVENTS,) if EVENTS in envelope.query else ()


def in_events(call: Call) -> bool:
    """Whether a stream comes as server-sent events."""
    return EVENTS in call.query


def path(call: Call, model: str) -> str:
    """/v1beta/models/MODEL:verb; the model's name cannot leave its place in the path."""
    folder, name = "models", model.removeprefix("models/")
    if name.startswith("tunedModels/"):
        folder, name = "tunedModels", name.removeprefix("tunedModels/")
    query = "?alt=sse" if in_events(call) else ""
    return f"/{call.version or 'v1beta'}/{folder}/{quote(name, safe='')}:{call.verb}{query}"


def renamed(tree: dict[str, Any], model: str) -> dict[str, Any]:
    """A body, or a request inside a body, with its own model, if it names one, replaced."""
    if "model" not in tree:
        return tree
    return {**tree, "model": model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"}


# --- fields -----------------------------------------------------------------------------------------


def either(tree: Mapping[str, Any], name: str, other: str) -> Any:
    """A field that has two spellings.

    Raises:
        CallerError: both are there, so that it is not certain which one counts.
    """
    if name in tree and other in tree:
        refuse(name)
    return tree.get(name, tree.get(other))


def whole_number(tree: Mapping[str, Any], most: int, name: str, other: str) -> int | None:
    """A count of 1 to most, or its digits as text, which Google takes as well; None when missing.

    Raises:
        CallerError: it is something else.
    """
    value = either(tree, name, other)
    if value is None:
        return None
    if type(value) is str and len(value) <= 9 and value.isascii() and value.isdecimal():
        value = int(value)
    if type(value) is not int or not 1 <= value <= most:
        refuse(name)
    return value


def parts_of(turn: Any) -> Iterable[Mapping[str, Any]]:
    """The parts of one turn, whatever else may be in their place left out."""
    parts = turn.get("parts") if type(turn) is dict else None
    listed = parts if type(parts) is list else [parts]
    return [part for part in listed if type(part) is dict]


def modality(part: Mapping[str, Any]) -> str:
    """text, image, audio or file."""
    for name in ("inlineData", "inline_data", "fileData", "file_data"):
        data = part.get(name)
        if type(data) is dict:
            kind = str(data.get("mimeType") or data.get("mime_type") or "").partition("/")[0]
            return kind if kind in ("image", "audio") else "file"
    return "text"


# --- errors -----------------------------------------------------------------------------------------


def error_body(error: GatewayError, request_id: Slug) -> bytes:
    """The shape of Google's errors; our code is the reason of an ErrorInfo."""
    return orjson.dumps({"error": _error(error, request_id)})


def error_event(error: GatewayError, request_id: Slug, call: Call) -> bytes:
    """One last event, or the array's last element; nothing for a whole answer, which has no place for it."""
    if not call.stream:
        return b""
    body = error_body(error, request_id)
    return b"data: " + body + b"\r\n\r\n" if in_events(call) else b"," + body + b"]"


def _error(error: GatewayError, request_id: Slug) -> dict[str, Any]:
    details: list[dict[str, str]] = [
        {"@type": _TYPE + "ErrorInfo", "reason": error.public, "domain": "gateway"},
        {"@type": _TYPE + "RequestInfo", "requestId": request_id},
    ]
    if error.after_s is not None:
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": f"{max(1, round(error.after_s))}s"})
    fallback = "INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT"
    return {
        "code": error.status,
        "message": error.message,
        "status": STATUS_NAMES.get(error.status, fallback),
        "details": details,
    }
