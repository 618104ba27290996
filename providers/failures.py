"""What a provider's error answer means, in the few classes that the flow acts on."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from gateway.clock import Clock, SystemClock
from gateway.content import Content, Purpose
from gateway.contracts import Headers
from gateway.errors import CredentialDead, UpstreamBusy, UpstreamError, UpstreamRefused, UpstreamTimeout

LONGEST_WAIT_S: Final = 300.0
"""Seconds. A provider that names a longer pause is asked again after this one."""

READ_BYTES: Final = 65536
"""Of an error's body, the most that is looked at."""

BUSY: Final = frozenset({429, 498, 529})
"""429 everywhere; 498 is Groq's exhausted flex tier, 529 Anthropic's overload. Source: their documents."""

DEAD_STATUS: Final = frozenset({401, 402, 403})

DEAD_CODES: Final = frozenset({
    "insufficient_quota",
    "billing_not_active",
    "billing_hard_limit_reached",
    "account_deactivated",
    "invalid_api_key",
    "enforced_spend_limit_reached",
    "contract_spend_limit_reached",
    "API_KEY_INVALID",
    "API_KEY_EXPIRED",
})  # fmt: skip
"""Codes that stand for a key no retry will revive, whatever 4xx they come with."""

CONTEXT_CODES: Final = frozenset({"context_length_exceeded", "exceed_context_size_error"})
"""Source: OpenAI's and Groq's error codes; llama.cpp's server."""

TOO_LONG: Final = (
    "maximum context length",  # OpenAI, and most compatible servers
    "exceeds the context window",  # OpenAI, Responses
    "prompt is too long",  # Anthropic
    "exceed context limit",  # Anthropic, with max_tokens
    "exceeds the maximum number of tokens",  # Gemini
    "maximum prompt length",  # xAI
    "reduce the length of the messages",  # Groq
)
"""Parts of sentences in which providers say that a call is too long, where they have no code for it."""

POLICY_CODES: Final = frozenset({
    "content_policy_violation",
    "content_filter",
    "invalid_prompt",
    "moderation_blocked",
    "ResponsibleAIPolicyViolation",
})  # fmt: skip
"""Source: OpenAI's error codes, images and Azure included."""

REFUSING: Final = (
    "output blocked by content filtering policy",  # Anthropic
    "violates our usage policy",  # OpenAI
    "violating our usage policy",  # OpenAI
    "prohibited content",  # Gemini
)
"""Parts of sentences in which providers say that their content policy refuses a call."""

_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|h|m|s))+").fullmatch
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)").findall
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_CLOCK: Final = SystemClock()


def classify(status: int, headers: Headers, body: Content, clock: Clock = _CLOCK) -> UpstreamError:
    """The error that an answer which is no success stands for.

    Args:
        status: of the answer: 300 to 599, and whatever else is no success.
        headers: the answer's, names in lower case.
        body: opened to find the provider's own code, of a fixed list, and a pause; nothing of it is kept.
        clock: to turn a date into a pause.
    """
    if 300 <= status < 400:
        return UpstreamError("upstream_redirect")
    if status == 408:
        return UpstreamTimeout("upstream_timeout")
    error = _error_object(body)
    if status in DEAD_STATUS or (400 <= status < 500 and not DEAD_CODES.isdisjoint(_codes(error))):
        return CredentialDead("upstream_credential")
    fields = dict(headers)
    if status in BUSY or (status == 503 and ("retry-after" in fields or "retry-after-ms" in fields)):
        return UpstreamBusy("upstream_busy", after_s=_pause(fields, error, clock))
    if 400 <= status < 500:
        return UpstreamRefused(_refusal(error))
    return UpstreamError("upstream_failed")


def _refusal(error: dict[str, Any]) -> str:
    """The code of a refusal: upstream_context, upstream_policy or upstream_refused."""
    codes, message = _codes(error), error.get("message")
    text = message.lower() if isinstance(message, str) else ""
    if not CONTEXT_CODES.isdisjoint(codes) or any(part in text for part in TOO_LONG):
        return "upstream_context"
    if not POLICY_CODES.isdisjoint(codes) or any(part in text for part in REFUSING):
        return "upstream_policy"
    return "upstream_refused"


def message_of(body: Content) -> str:
    """The error's own sentence, for a provider that says in words what others say in codes; never kept."""
    message = _error_object(body).get("message")
    return message if isinstance(message, str) else ""


def _error_object(body: Content) -> dict[str, Any]:
    try:
        tree = orjson.loads(body.open(Purpose.FAILURE)[:READ_BYTES])
    except orjson.JSONDecodeError:
        return {}
    if isinstance(tree, list) and tree:
        tree = tree[-1]  # a stream that is a JSON array has its error as an element
    error = tree.get("error") if isinstance(tree, dict) else None
    return error if isinstance(error, dict) else {}


def _details(error: dict[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")  # Anthropic has one object here, Google a list of them
    listed = details if isinstance(details, list) else [details]
    return [detail for detail in listed if isinstance(detail, dict)]


def _codes(error: dict[str, Any]) -> set[str]:
    found = [error.get("code"), error.get("type"), error.get("status")]
    for detail in _details(error):
        found += [detail.get("error_code"), detail.get("reason")]
    return {code for code in found if isinstance(code, str)}


# --- how long to wait ------------------------------------------------------------------------------


def _pause(fields: Mapping[str, str], error: dict[str, Any], clock: Clock) -> float | None:
    """Seconds, 0 to LONGEST_WAIT_S; None when the provider does not say, or not in a readable way."""
    now_s = clock.now_us() / 1e6
    waits = (
        _number(fields.get("retry-after-ms", ""), 0.001),
        _number(fields.get("retry-after", ""), 1.0),
        _until(_http_date(fields.get("retry-after", "")), _http_date(fields.get("date", "")) or now_s),
        *(_duration(detail.get("retryDelay")) for detail in _details(error)),
        _reset(fields, now_s),
    )
    known = next((wait for wait in waits if wait is not None), None)
    return None if known is None else min(max(known, 0.0), LONGEST_WAIT_S)


def _number(text: str, unit_s: float) -> float | None:
    try:
        value = float(text[:32])
    except ValueError:
        return None
    return None if math.isnan(value) else value * unit_s


def _http_date(text: str) -> float | None:
    """Unix time of "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7: the one form servers may send)."""
    try:
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _until(then_s: float | None, now_s: float) -> float | None:
    return None if then_s is None else then_s - now_s


def _duration(text: object) -> float | None:
    """Seconds of "7s", "1.5s", "6m0s", "20ms" (Google's RetryInfo; OpenAI's and Groq's rate headers)."""
    if not isinstance(text, str) or _DURATION(text) is None:
        return None
    return sum(float(count) * _SECONDS[unit] for count, unit in _PARTS(text))


def _reset(fields: Mapping[str, str], now_s: float) -> float | None:
    """Seconds until the last of the used-up rate limits starts anew, by the rate headers."""
    waits = []
    for name, value in fields.items():
        if value == "0" and "ratelimit" in name and "remaining" in name:
            text = fields.get(name.replace("remaining", "reset"), "")
            wait = _duration(text)
            waits.append(_until(_rfc3339(text), now_s) if wait is None else wait)
    return max((wait for wait in waits if wait is not None), default=None)


def _rfc3339(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None
