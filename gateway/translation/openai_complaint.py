"""Errors of OpenAI's family: answers with a status of 400 and above, and those inside a 200.

Source: OpenAI API reference, "Error codes"; Groq API reference, "Errors".
"""

from typing import Any, Final

import orjson

from gateway.stream.tap import child
from gateway.translation.canonical import Broken, Complaint

_BUSY: Final = frozenset(
    {
        "rate_limit_exceeded", "rate_limit_error", "overloaded_error", "server_is_overloaded", "slow_down",
        "capacity_exceeded", "too_many_requests", 429, 498, 503, 529,
    }
)  # fmt: skip
_KINDS: Final = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}


def broken_of(error: object) -> Broken:
    """What an error inside an answer means: whether to come back later."""
    shape = error if type(error) is dict else {}
    signs = [shape.get(name) for name in ("code", "type", "status_code", "status")]
    return Broken(busy=any(type(sign) in (str, int) and sign in _BUSY for sign in signs))


def read_complaint(status: int, body: bytes) -> Complaint:
    """As the Tongue says; some servers leave the outer object out, or give a bare text."""
    try:
        tree: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Complaint(status, "")
    if type(tree) is list and tree:
        tree = tree[0]
    error = child(tree, "error") or tree
    if type(error) is not dict:
        return Complaint(status, "")
    for name in ("message", "error", "detail"):
        if type(error.get(name)) is str:
            return Complaint(status, error[name])
    return Complaint(status, "")


def write_complaint(complaint: Complaint) -> bytes:
    """As the Tongue says."""
    status = complaint.status
    kind = _KINDS.get(status) or ("invalid_request_error" if status < 500 else "server_error")
    error = {"message": complaint.message, "type": kind, "param": None, "code": None}
    return orjson.dumps({"error": error})
