"""Gemini's generateContent and streamGenerateContent, as translation sees them.

Source: Gemini API reference, models.generateContent; Google API design guide, Errors.
"""

from typing import Any, Final

import orjson

from gateway.content import Document
from gateway.contracts import Call, Headers
from gateway.dialects import gemini_generate as dialect
from gateway.dialects.gemini_wire import EVENTS, STATUS_NAMES, in_events
from gateway.records import PathKind
from gateway.stream.tap import child
from gateway.translation import gemini_generate_ask, gemini_generate_body, gemini_generate_losses
from gateway.translation.canonical import Ask, Complaint
from gateway.translation.gemini_generate_reader import StreamReader, WholeReader
from gateway.translation.gemini_generate_writer import StreamWriter, WholeWriter
from gateway.translation.tongue import Aim, Reader, Reply, Writer

NAME: Final = dialect.NAME
AS_CALLER: Final = gemini_generate_losses.AS_CALLER
AS_PROVIDER: Final = gemini_generate_losses.AS_PROVIDER

VERSION: Final = "v1beta"
"""The version that has thinking, JSON schemas and thought signatures."""

COMPLAINT_LIMIT: Final = 1024 * 1024
"""Bytes of the largest error answer that is read."""

_JSON: Final = (("content-type", "application/json; charset=UTF-8"),)
_SSE: Final = (("content-type", "text/event-stream"),)

read_ask = gemini_generate_ask.read_ask
write_ask = gemini_generate_body.write_ask


def call(ask: Ask, aim: Aim, original: Call, body: dict[str, Any]) -> Call:
    """The call that carries the body. Its path says the model and whether it streams."""
    return Call(
        dialect=NAME,
        kind=PathKind.GENERATE,
        model=aim.model,
        stream=ask.stream,
        body=Document(body, original.body.size),
        query=(EVENTS,) if ask.stream else (),
        verb=dialect.STREAM if ask.stream else dialect.VERBS[0],
        version=VERSION,
        shape=original.shape,
        tags=original.tags,
    )


def reader(stream: bool) -> Reader:
    """A reader for one answer."""
    return StreamReader() if stream else WholeReader()


def writer(reply: Reply) -> Writer:
    """A writer for one answer: streamed as the caller asked for it."""
    return StreamWriter(reply) if reply.call.stream else WholeWriter(reply)


def headers(reply: Reply) -> Headers:
    """JSON, also for a stream that comes as one array."""
    return _SSE if reply.call.stream and in_events(reply.call) else _JSON


def read_complaint(status: int, body: bytes) -> Complaint:
    """A provider's error answer; on a stream that comes as an array it is an array, too."""
    try:
        tree = orjson.loads(body) if len(body) <= COMPLAINT_LIMIT else None
    except orjson.JSONDecodeError:
        tree = None
    if type(tree) is list and tree:
        tree = tree[0]
    message = child(tree, "error").get("message")
    return Complaint(status, message if type(message) is str else "")


def write_complaint(complaint: Complaint) -> bytes:
    """The shape of Google's errors."""
    fallback = "INTERNAL" if complaint.status >= 500 else "INVALID_ARGUMENT"
    status = STATUS_NAMES.get(complaint.status, fallback)
    error = {"code": complaint.status, "message": complaint.message, "status": status}
    return orjson.dumps({"error": error})
