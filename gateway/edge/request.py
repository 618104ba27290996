"""A request on its way: what must be right about its framing, and how its call is read."""

import re
from dataclasses import replace
from typing import Final

from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import HttpVersion10, HttpVersion11
from aiohttp.streams import StreamReader

from gateway.content import EMPTY, Content
from gateway.contracts import NO_TAGS, Call, Dialect, Envelope
from gateway.dialects import Endpoint
from gateway.edge.protocol import Connection
from gateway.edge.request_headers import Head, Query
from gateway.errors import CallerError
from gateway.records import PathKind

HEALTH: Final = frozenset({"/", "/healthz", "/readyz"})
"""Paths that need no key, and may be asked in HTTP/1.0."""

_FORM: Final = PathKind.TRANSCRIPTION
_json_type = re.compile(r'application/json(?: *; *charset="?utf-8"?)?', re.IGNORECASE).fullmatch
_form_type = re.compile(
    r"multipart/form-data *; *boundary=(?:[0-9A-Za-z'()+_,./:=?-]{1,70}|\"[0-9A-Za-z'()+_,./:=? -]{1,70}\")",
    re.IGNORECASE,
).fullmatch


class Request:
    """A request on its way; awaited for its call, it reads the body, and not before.

    Attributes:
        endpoint: what the path said.
    """

    __slots__ = ("_dialect", "connection", "endpoint", "head", "message", "path", "payload", "query")

    def __init__(
        self,
        connection: Connection,
        message: RawRequestMessage,
        payload: StreamReader,
        head: Head,
        path: str,
        query: Query,
    ) -> None:
        self.connection = connection
        self.message = message
        self.payload = payload
        self.head = head
        self.path = path
        self.query = query

    def bind(self, endpoint: Endpoint, dialect: Dialect) -> None:
        """Say how the body is to be read."""
        self.endpoint = endpoint
        self._dialect = dialect

    async def __call__(self) -> Call:
        """The call.

        Raises:
            CallerError: it cannot be accepted or understood.
            ClientGone: the connection was lost.
        """
        head, endpoint = self.head, self.endpoint
        if head.fault is not None:
            raise head.fault
        if endpoint.kind is PathKind.MODELS:
            model = endpoint.path_model or ""
            return Call(dialect=endpoint.dialect, kind=endpoint.kind, model=model, stream=False, body=EMPTY)
        body = await self.body(endpoint.kind)
        call = self._dialect.read_call(
            Envelope(
                kind=endpoint.kind,
                verb=endpoint.verb,
                version=endpoint.version,
                headers=head.fields,
                query=self.query,
                path_model=endpoint.path_model,
                content_type=head.content_type or "application/json",
                body=body,
            )
        )
        return call if head.tags is NO_TAGS else replace(call, tags=head.tags)

    async def body(self, kind: PathKind = PathKind.OTHER) -> Content:
        """The request's body, within the limits of size and time.

        Raises:
            CallerError: unsupported_media_type, body_too_large, request_timeout.
            ClientGone: the connection was lost.
        """
        _check_type(self.head, kind)
        return Content(await self.connection.read_body(self.message, self.payload, self.head.expect != ""))


def unacceptable(message: RawRequestMessage, head: Head, path: str) -> str | None:
    """The code of what is wrong with a request's framing."""
    if message.version != HttpVersion11:
        if message.version != HttpVersion10 or path not in HEALTH or head.transfer_encoding:
            return "bad_framing"
        if head.hosts > 1 or head.odd_host:
            return "bad_framing"
    elif head.hosts != 1 or head.odd_host:
        return "bad_framing"
    if head.transfer_encoding and head.transfer_encoding != "chunked":
        return "not_implemented"
    if message.method == "CONNECT":
        return "method_not_allowed"
    if not path.startswith("/") or "#" in message.path:
        return "bad_framing"
    if head.expect and head.expect != "100-continue":
        return "expectation_failed"
    return None


def _check_type(head: Head, kind: PathKind) -> None:
    if head.content_type == "application/json" and not head.content_encoding and kind is not _FORM:
        return
    allowed = _form_type if kind is _FORM else _json_type
    if head.content_encoding not in ("", "identity") or allowed(head.content_type) is None:
        raise CallerError("unsupported_media_type")
