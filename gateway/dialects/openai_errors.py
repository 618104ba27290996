"""What all dialects of OpenAI's family share: the shape of errors, and the headers that go on.

Source: OpenAI API reference, "Error codes" and "Debugging requests".
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from gateway.contracts import Call, Headers
from gateway.errors import GatewayError
from gateway.names import Slug

FAMILY: Final = Slug("openai")

# Headers go on by permission, one by one. openai-beta changes what an answer looks like, so it must.
# Left out on purpose: openai-organization and openai-project (they choose who pays, and the account
# is the operator's), authorization (ours), idempotency-key (a client's text, and a second attempt
# goes to another target), x-stainless-* and user-agent (they describe the client's machine), accept
# and accept-encoding (the transport's), traceparent and baggage (they tie calls of a user together).
FORWARDED: Final = ("openai-beta",)

_TYPES: Final = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}


def forwarded(headers: Mapping[str, str]) -> Headers:
    """The request headers that a provider of this family gets to see."""
    return tuple((name, headers[name]) for name in FORWARDED if name in headers)


def error_body(error: GatewayError, request_id: Slug) -> bytes:
    """An error before the first byte."""
    return orjson.dumps({"error": _error(error)})


def chunk_error_event(error: GatewayError, request_id: Slug, call: Call) -> bytes:
    """An error that ends a stream of nameless events. No [DONE] follows, or a client took it for whole.

    Empty for an answer that is no stream: nothing can be added to half of a JSON body.
    """
    return b"data: " + orjson.dumps({"error": _error(error)}) + b"\n\n" if call.stream else b""


def named_error_event(error: GatewayError, request_id: Slug, call: Call) -> bytes:
    """An error that ends a stream of named events: flat, with the event's name repeated as type.

    The number in the sequence is 0: the stream's own numbers are not followed.
    """
    if not call.stream:
        return b""
    shape = _error(error)
    event = {
        "type": "error",
        "code": shape["code"],
        "message": shape["message"],
        "param": shape["param"],
        "sequence_number": 0,
    }
    return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"


def _error(error: GatewayError) -> dict[str, Any]:
    kind = _TYPES.get(error.status) or ("invalid_request_error" if error.status < 500 else "server_error")
    param = str(error.about) if error.about is not None and error.code == "bad_request" else None
    return {"message": error.message, "type": kind, "param": param, "code": str(error.public)}
