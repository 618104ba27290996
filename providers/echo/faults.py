"""Errors as each provider words them: with the prompt quoted, as the unkind ones do."""

from typing import Any, Final

from orjson import dumps

from gateway.contracts import Headers
from gateway.providers.echo.ask import Ask
from gateway.providers.echo.reply import JSON, Reply, whole

QUOTED: Final = 1000
"""Characters of the prompt that an error repeats."""

_OPENAI: Final[dict[int, tuple[str, str | None]]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
_ANTHROPIC: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_GEMINI: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def refusal(family: str, status: int, ask: Ask | None) -> Reply:
    """An error answer of that family: openai, anthropic or gemini."""
    quoted = "" if ask is None else ask.text[:QUOTED]
    after = None if ask is None else ask.orders.retry_after
    message = f"Echo refuses with {status}: {quoted}"
    pause: Headers = () if after is None else (("retry-after", str(after)),)
    if family == "anthropic":
        kind = _ANTHROPIC.get(status, "api_error")
        error = {"type": kind, "message": message}
        body = dumps({"type": "error", "error": error, "request_id": "req_echo"})
        return whole(body, JSON + pause)
    if family == "gemini":
        return whole(dumps(_google(status, message, after, ask is not None and _as_array(ask))))
    kind, code = _OPENAI.get(status, ("server_error", None))
    problem = {"message": message, "type": kind, "param": None, "code": code}
    return whole(dumps({"error": problem}), JSON + pause)


def _as_array(ask: Ask) -> bool:
    return ask.stream and not ask.usage_wanted


def _google(status: int, message: str, after: int | None, array: bool) -> Any:
    error: dict[str, Any] = {"code": status, "message": message, "status": _GEMINI.get(status, "UNKNOWN")}
    if after is not None:
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{after}s"}]
    return [{"error": error}] if array else {"error": error}
