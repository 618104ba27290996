"""Errors in the family's shape, for every code there is."""

from typing import Any

import httpx2
import openai
import orjson
import pytest

from gateway.content import EMPTY
from gateway.contracts import Call
from gateway.dialects import openai_errors
from gateway.errors import CODES, PUBLIC, GatewayError, OverLimit
from gateway.names import Slug
from gateway.records import PathKind

ID = Slug("req-1")
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}


def call(stream: bool = True) -> Call:
    return Call(dialect=Slug("openai_chat"), kind=PathKind.CHAT, model="m", stream=stream, body=EMPTY)


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_the_familys_shape(code: str) -> None:
    error = GatewayError(code)
    body = orjson.loads(openai_errors.error_body(error, ID))
    kind = TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    assert body == {
        "error": {"message": CODES[code][1], "type": kind, "param": None, "code": PUBLIC.get(code, code)}
    }


def test_a_field_at_fault_is_the_param() -> None:
    body = orjson.loads(openai_errors.error_body(GatewayError("bad_request", about="max_tokens"), ID))
    assert body["error"]["param"] == "max_tokens"
    assert body["error"]["message"] == "The request cannot be read. (max_tokens)"
    other = orjson.loads(openai_errors.error_body(GatewayError("unknown_model", about="gpt-9"), ID))
    assert other["error"]["param"] is None


def test_an_error_in_a_stream_is_one_event_without_done() -> None:
    event = openai_errors.chunk_error_event(GatewayError("upstream_cut"), ID, call())
    assert event == (
        b'data: {"error":{"message":"The provider broke off its answer.",'
        b'"type":"server_error","param":null,"code":"upstream_failed"}}\n\n'
    )
    assert openai_errors.chunk_error_event(GatewayError("upstream_cut"), ID, call(stream=False)) == b""


def test_an_error_among_named_events_is_flat() -> None:
    event = openai_errors.named_error_event(GatewayError("upstream_cut"), ID, call())
    head, _, data = event.partition(b"\ndata: ")
    assert head == b"event: error"
    assert orjson.loads(data) == {
        "type": "error",
        "code": "upstream_failed",
        "message": "The provider broke off its answer.",
        "param": None,
        "sequence_number": 0,
    }
    assert openai_errors.named_error_event(GatewayError("bug"), ID, call(stream=False)) == b""


def client(status: int, body: bytes, kind: str) -> openai.OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=body, headers={"content-type": kind})

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=transport, max_retries=0)


def test_the_official_client_understands_errors_before_and_in_a_stream() -> None:
    error = OverLimit("rate_limited", after_s=3)
    messages: Any = [{"role": "user", "content": "hi"}]
    with (
        client(429, openai_errors.error_body(error, ID), "application/json") as asked,
        pytest.raises(openai.RateLimitError) as caught,
    ):
        asked.chat.completions.create(model="m", messages=messages)
    assert caught.value.code == "rate_limited"
    stream = b'data: {"id":"c","choices":[],"object":"chat.completion.chunk","created":1,"model":"m"}\n\n'
    stream += openai_errors.chunk_error_event(GatewayError("upstream_cut"), ID, call())
    with (
        client(200, stream, "text/event-stream") as asked,
        pytest.raises(openai.APIError, match="broke off"),
    ):
        list(asked.chat.completions.create(model="m", messages=messages, stream=True))
