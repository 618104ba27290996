"""What a provider's error answer means."""

from email.utils import formatdate
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import Content
from gateway.errors import (
    CredentialDead,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.providers.failures import LONGEST_WAIT_S, READ_BYTES, classify, message_of

CANARY = "canary-7f3a"


class FixedClock:
    def __init__(self, now_s: float) -> None:
        self._now_s = now_s

    def now_us(self) -> int:
        return int(self._now_s * 1e6)

    def tick_ns(self) -> int:
        return 0


NOW = FixedClock(1_800_000_000)


def failed(status: int, body: Any = b"", **headers: str) -> UpstreamError:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return classify(status, fields, Content(data), NOW)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (300, UpstreamError, "upstream_redirect"),
        (302, UpstreamError, "upstream_redirect"),
        (400, UpstreamRefused, "upstream_refused"),
        (401, CredentialDead, "upstream_credential"),
        (402, CredentialDead, "upstream_credential"),
        (403, CredentialDead, "upstream_credential"),
        (404, UpstreamRefused, "upstream_refused"),
        (408, UpstreamTimeout, "upstream_timeout"),
        (409, UpstreamRefused, "upstream_refused"),
        (413, UpstreamRefused, "upstream_refused"),
        (422, UpstreamRefused, "upstream_refused"),
        (424, UpstreamRefused, "upstream_refused"),
        (429, UpstreamBusy, "upstream_busy"),
        (498, UpstreamBusy, "upstream_busy"),
        (499, UpstreamRefused, "upstream_refused"),
        (500, UpstreamError, "upstream_failed"),
        (502, UpstreamError, "upstream_failed"),
        (503, UpstreamError, "upstream_failed"),
        (504, UpstreamError, "upstream_failed"),
        (529, UpstreamBusy, "upstream_busy"),
        (599, UpstreamError, "upstream_failed"),
        (101, UpstreamError, "upstream_failed"),
    ],
)
def test_each_status_has_its_class(status: int, kind: type[UpstreamError], code: str) -> None:
    for body in (
        b"",
        b"<html>" + b"x" * 500_000,
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b'{"error":5}',
        b"[]",
        b"7",
    ):
        error = failed(status, body)
        assert type(error) is kind
        assert error.code == code


def test_an_overload_that_names_a_pause_is_busy() -> None:
    assert type(failed(503, retry_after="3")) is UpstreamBusy
    assert type(failed(503, retry_after_ms="30")) is UpstreamBusy


@pytest.mark.parametrize(
    ("headers", "after_s"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "-1"}, 0.0),
        ({"retry_after": "1000000000"}, LONGEST_WAIT_S),
        ({"retry_after": "inf"}, LONGEST_WAIT_S),
        ({"retry_after": "NaN"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": ""}, None),
        ({"retry_after": "9" * 5000}, LONGEST_WAIT_S),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
        ({"retry_after_ms": "x", "retry_after": "9"}, 9.0),
        ({"retry_after": formatdate(1_800_000_042, usegmt=True)}, 42.0),
        ({"retry_after": formatdate(1_700_000_000, usegmt=True)}, 0.0),
        ({"retry_after": formatdate(1_900_000_000, usegmt=True)}, LONGEST_WAIT_S),
        ({"retry_after": "Sun, 99 Nov 1994 08:49:37 GMT"}, None),
        (
            {
                "retry_after": formatdate(1_700_000_030, usegmt=True),
                "date": formatdate(1_700_000_000, usegmt=True),
            },
            30.0,
        ),
        ({"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "1m30s"}, 90.0),
        ({"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "20ms"}, 0.02),
        ({"x_ratelimit_remaining_tokens": "5", "x_ratelimit_reset_tokens": "20s"}, None),
        ({"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "later"}, None),
        ({"x_ratelimit_remaining_tokens": "0"}, None),
        (
            {
                "anthropic_ratelimit_tokens_remaining": "0",
                "anthropic_ratelimit_tokens_reset": "2027-01-15T08:00:11Z",
                "anthropic_ratelimit_requests_remaining": "0",
                "anthropic_ratelimit_requests_reset": "2027-01-15T08:00:05Z",
            },
            11.0,
        ),
        (
            {
                "anthropic_ratelimit_tokens_remaining": "0",
                "anthropic_ratelimit_tokens_reset": "2027-01-15T08:00:11",
            },
            None,
        ),
    ],
)
def test_the_pause_is_read_and_kept_within_bounds(headers: dict[str, str], after_s: float | None) -> None:
    assert failed(429, **headers).after_s == (None if after_s is None else pytest.approx(after_s))


@pytest.mark.parametrize(
    ("delay", "after_s"), [("7s", 7.0), ("0.25s", 0.25), ("1h", 300.0), ("x", None), (5, None), ("", None)]
)
def test_googles_pause_is_in_the_body(delay: Any, after_s: float | None) -> None:
    details = [
        {"@type": "x"},
        "odd",
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    ]
    body = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": details}}
    assert failed(429, body).after_s == after_s
    assert failed(429, [body]).after_s == after_s


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, {"code": "insufficient_quota", "type": "insufficient_quota"}),
        (429, {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}}),
        (429, {"type": "rate_limit_error", "details": {"error_code": "contract_spend_limit_reached"}}),
        (400, {"status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}),
        (400, {"code": "billing_hard_limit_reached"}),
    ],
)
def test_a_key_that_no_pause_revives_is_dead(status: int, error: dict[str, Any]) -> None:
    assert type(failed(status, {"error": error})) is CredentialDead
    assert type(failed(500, {"error": error})) is UpstreamError


def test_a_callers_words_cannot_kill_a_key() -> None:
    error = {"message": "insufficient_quota", "param": "API_KEY_INVALID", "code": ["insufficient_quota"]}
    assert type(failed(400, {"error": error})) is UpstreamRefused


def test_no_more_than_the_beginning_of_a_body_is_read() -> None:
    body = orjson.dumps({"error": {"code": "insufficient_quota", "message": "x" * READ_BYTES}})
    assert type(failed(429, body)) is UpstreamBusy


def test_the_message_is_there_to_be_recognised_only() -> None:
    assert message_of(Content(b'{"error":{"message":"abc"}}')) == "abc"
    assert message_of(Content(b'{"error":{"message":5}}')) == ""
    assert message_of(Content(b"x")) == ""


@given(st.integers(100, 599), st.binary(max_size=200), st.text(max_size=30), st.text(max_size=30))
def test_nothing_an_answer_says_raises_or_travels(status: int, garbage: bytes, text: str, other: str) -> None:
    body = b'{"error":{"message":"' + CANARY.encode() + b'","details":' + garbage
    headers = (
        ("retry-after", text),
        ("retry-after-ms", other),
        ("date", other),
        ("x-ratelimit-remaining-a", "0"),
    )
    for content in (
        garbage,
        body,
        orjson.dumps({"error": {"code": CANARY, "details": [{"retryDelay": text}]}}),
    ):
        error = classify(status, headers, Content(content))
        assert CANARY not in repr(error) + error.message
        assert error.after_s is None or 0 <= error.after_s <= LONGEST_WAIT_S


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, {"code": "context_length_exceeded", "message": CANARY}, "upstream_context"),
        (400, {"message": "This model's maximum context length is 4097 tokens."}, "upstream_context"),
        (400, {"message": "Your input exceeds the context window of this model."}, "upstream_context"),
        (
            400,
            {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8 maximum"},
            "upstream_context",
        ),
        (
            400,
            {"message": "input length and `max_tokens` exceed context limit: 1 + 2 > 2"},
            "upstream_context",
        ),
        (
            400,
            {
                "code": 400,
                "message": "The input token count (9) exceeds the maximum number of tokens allowed (8).",
            },
            "upstream_context",
        ),
        (400, {"message": "Please reduce the length of the messages or completion."}, "upstream_context"),
        (413, {"message": "Prompt is too long"}, "upstream_context"),
        (400, {"code": "content_policy_violation"}, "upstream_policy"),
        (400, {"code": "content_filter"}, "upstream_policy"),
        (400, {"code": "invalid_prompt"}, "upstream_policy"),
        (400, {"message": "Output blocked by content filtering policy"}, "upstream_policy"),
        (400, {"message": "the prompt is fine, another field is not"}, "upstream_refused"),
        (500, {"code": "context_length_exceeded"}, "upstream_failed"),
        (429, {"message": "maximum context length"}, "upstream_busy"),
    ],
)
def test_calls_that_are_too_long_or_against_a_policy_are_told_apart(
    status: int, error: dict[str, Any], code: str
) -> None:
    found = failed(status, {"error": error})
    assert found.code == code
    assert CANARY not in repr(found)
