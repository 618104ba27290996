"""Errors have the shape of the caller's dialect: each code against a golden file, the public ones by a port.

After a change that is meant: python -m tests.end_to_end.test_error_shapes writes the file anew.
"""

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from gateway.dialects import DIALECTS
from gateway.errors import CODES, PUBLIC, OurError
from gateway.names import Slug
from tests.end_to_end.stand import CLAUDE, GEMINI, LLAMA, OPENAI, Stand, key_field, user
from tests.installation import Installation
from tests.upstream import CUT, Scripted, Upstream

GOLDEN: Final = Path(__file__).parents[1] / "data" / "error_shapes.json"
ABOUT: Final = {"bad_request": "messages", "not_allowed": "models", "budget_exceeded": "cap"}
AFTER_S: Final = {"rate_limited": 7.0, "upstream_busy": 0.2}


def rendered() -> dict[str, dict[str, Any]]:
    """Every code in every dialect."""
    return {
        name: {
            code: json.loads(
                dialect.error_body(
                    OurError(code, about=ABOUT.get(code), after_s=AFTER_S.get(code)), Slug("req-1")
                )
            )
            for code in CODES
        }
        for name, dialect in DIALECTS.items()
        if name in ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate")
    }


def test_every_code_looks_as_it_did_in_every_dialect() -> None:
    assert rendered() == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("code", CODES)
def test_a_code_has_one_status_one_sentence_and_its_place_in_each_dialect(code: str) -> None:
    status, sentence = CODES[code]
    told = PUBLIC.get(code, code)
    golden = json.loads(GOLDEN.read_text())
    assert golden["openai_chat"][code]["error"]["code"] == told
    assert golden["openai_responses"][code]["error"]["code"] == told
    assert golden["anthropic_messages"][code]["error"]["code"] == told
    assert golden["gemini_generate"][code]["error"]["code"] == status
    assert golden["gemini_generate"][code]["error"]["details"][0]["reason"] == told
    for shapes in golden.values():
        assert shapes[code]["error"]["message"].startswith(sentence)


# --- over a port ---------------------------------------------------------------------------------

DIALECT_NAMES: Final = ("openai", "responses", "anthropic", "gemini", "groq")
PATHS: Final = {
    "openai": "/v1/chat/completions",
    "responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/{}:generateContent",
    "groq": "/openai/v1/chat/completions",
}
MODELS: Final = {"openai": OPENAI, "responses": OPENAI, "anthropic": CLAUDE, "gemini": GEMINI, "groq": LLAMA}
CONTENT: Final[dict[str, Callable[[str], dict[str, Any]]]] = {
    "openai": lambda model: {"model": model, "messages": user("hi"), "max_tokens": 9},
    "groq": lambda model: {"model": model, "messages": user("hi"), "max_tokens": 9},
    "responses": lambda model: {"model": model, "input": "hi", "max_output_tokens": 16},
    "anthropic": lambda model: {"model": model, "messages": user("hi"), "max_tokens": 9},
    "gemini": lambda model: {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}


def code_of(dialect: str, body: Any) -> str:
    """Our code, where the dialect has it; asserts the dialect's own shape on the way."""
    error = body["error"]
    if dialect == "gemini":
        assert set(error) == {"code", "message", "status", "details"}
        return str(error["details"][0]["reason"])
    if dialect == "anthropic":
        assert body["type"] == "error"
        assert error["type"].endswith("error") or error["type"] == "request_too_large"
        assert body["request_id"].startswith("req-")
    else:
        assert set(error) == {"message", "type", "param", "code"}
    return str(error["code"])


async def ask(stand: Stand, dialect: str, model: str | None = None, **options: Any) -> tuple[int, str, Any]:
    """One call: status, our finer code (the body tells the documented one), and the answer."""
    model = model or MODELS[dialect]
    body = options.pop("body", CONTENT[dialect](model))
    answer = await stand.ask(PATHS[dialect].format(model), body, **options)
    told = code_of(dialect, answer.json)
    code = answer.headers.get("x-gateway-error", told)
    assert told == PUBLIC.get(code, code)
    return answer.status, code, answer


@pytest.fixture
async def small(put_up: Any) -> Stand:
    """A stand with little room and little patience."""
    stand: Stand = await put_up(
        {
            "server": {"max_body": "4KiB", "body_timeout": "100ms", "body_rate": "1MiB"},
            "upstream": {"attempts": 1, "first_byte_timeout": "100ms"},
        }
    )
    return stand


@pytest.mark.parametrize("dialect", DIALECT_NAMES)
async def test_refusals_before_a_provider_is_asked(small: Stand, dialect: str) -> None:
    capped = await small.gateway.make_key("capped", cap="0.000000001")
    narrow = await small.gateway.make_key("narrow", models="no-such-model")
    slow = await small.gateway.make_key("slow", rate="1")
    broken = b'{"model": 5, "messages": 6, "contents": 7'
    assert (await ask(small, dialect, body=broken))[:2] == (400, "bad_request")
    assert (await ask(small, dialect, key="tg_wrong"))[:2] == (401, "invalid_key")
    assert (await ask(small, dialect, key=capped))[:2] == (402, "budget_exceeded")
    free = {"x-gateway-max-cost": "0"}
    assert (await ask(small, dialect, headers=free))[:2] == (402, "budget_exceeded")
    provider = {"responses": "openai"}.get(dialect, dialect)
    assert (await ask(small, dialect, f"{provider}/nobody-knows-the-price"))[:2] == (402, "unpriced_model")
    assert (await ask(small, dialect, key=narrow))[:2] == (403, "not_allowed")
    # A path of Groq's own leads to Groq whatever the model is called, so what is missing is the price.
    unknown = (402, "unpriced_model") if dialect == "groq" else (404, "unknown_model")
    assert (await ask(small, dialect, "no-such-model"))[:2] == unknown
    assert (await ask(small, dialect, body=b" " * 5000))[:2] == (413, "body_too_large")
    await small.ask(PATHS[dialect].format(MODELS[dialect]), CONTENT[dialect](MODELS[dialect]), key=slow)
    status, code, answer = await ask(small, dialect, key=slow)
    assert (status, code) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) >= 1
    assert len(small.upstream.requests) == 1
    for record in await small.gateway.records(10):
        assert record.status in (200, 400, 401, 402, 403, 404, 413, 429)


@pytest.mark.parametrize("dialect", DIALECT_NAMES)
async def test_a_body_that_never_comes(small: Stand, dialect: str) -> None:
    path = PATHS[dialect].format(MODELS[dialect])
    reader, writer = await asyncio.open_connection("127.0.0.1", small.gateway.port)
    fields = {"host": "h", "content-type": "application/json", "content-length": "100"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in (fields | key_field(path, small.key)).items())
    writer.write(f"POST {path} HTTP/1.1\r\n{lines}\r\n{{".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 408 ")
    assert code_of(dialect, json.loads(body)) == "request_timeout"


@pytest.mark.parametrize("dialect", DIALECT_NAMES)
async def test_failures_of_a_provider(small: Stand, dialect: str) -> None:
    small.upstream.script(Scripted(chunks=[b'{"half', CUT]))
    assert (await ask(small, dialect))[:2] == (502, "upstream_cut")
    thief = [("location", small.upstream.url + "/thief"), ("content-type", "text/plain")]
    small.upstream.script(Scripted(307, thief, [b"secret words"]))
    status, code, answer = await ask(small, dialect)
    assert (status, code) == (502, "upstream_redirect")
    assert b"secret" not in answer.body
    assert "location" not in answer.headers
    assert len(small.upstream.requests) == 2
    small.upstream.script(
        Scripted(401, chunks=[b'{"error":{"message":"bad key sk-openai-of-the-operator"}}'])
    )
    status, code, answer = await ask(small, dialect)
    assert (status, code) == (502, "upstream_credential")
    assert b"sk-" not in answer.body


@pytest.mark.parametrize("dialect", DIALECT_NAMES)
async def test_a_provider_that_does_not_answer(put_up: Any, dialect: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections come, and nobody takes them
        stand = await _before(put_up, silent.getsockname()[1])
        assert (await ask(stand, dialect))[:2] == (504, "upstream_timeout")
    record = await stand.record()
    assert (record.status, record.outcome) == (504, "upstream_error")
    assert record.usage_source == "estimated"  # it may well have been at work


async def _before(put_up: Any, port: int) -> Stand:
    stand: Stand = await put_up(
        {
            "providers": {
                name: {"base_url": f"http://127.0.0.1:{port}{'/openai/v1' if name == 'groq' else ''}"}
                for name in ("openai", "anthropic", "gemini", "groq")
            },
            "upstream": {"attempts": 1, "first_byte_timeout": "100ms"},
        }
    )
    return stand


@pytest.mark.parametrize("dialect", DIALECT_NAMES)
@pytest.mark.parametrize("status", [400, 404, 422, 429, 500, 503, 529])
async def test_a_providers_own_error_comes_as_it_is_and_the_record_has_its_status(
    small: Stand, dialect: str, status: int
) -> None:
    words = b'{"error": {"message":  "the provider\'s own words", "code": "theirs"}}'
    small.upstream.script(
        Scripted(status, [("content-type", "application/json"), ("request-id", "p-1")], [words])
    )
    answer = await small.ask(PATHS[dialect].format(MODELS[dialect]), CONTENT[dialect](MODELS[dialect]))
    assert (answer.status, answer.body) == (status, words)
    assert answer.headers["request-id"] == "p-1"
    record = await small.record()
    assert record.status == status
    assert record.outcome == "upstream_error"
    assert record.cost_nanos == 0


@pytest.mark.parametrize("dialect", DIALECT_NAMES)
async def test_a_provider_in_the_private_network_is_not_reached_unless_listed(
    tmp_path: Path, dialect: str
) -> None:
    async with Upstream() as upstream:
        places = {
            "openai": upstream.openai,
            "anthropic": upstream.anthropic,
            "gemini": upstream.gemini,
            "groq": upstream.groq + "/openai/v1",
        }
        tables = {name: {"base_url": place, "api_key": "sk-x"} for name, place in places.items()}
        stand = Stand(tmp_path / "unused")
        stand.upstream = upstream
        stand.gateway = Installation(tmp_path / "one", {"providers": tables, "upstream": {"attempts": 1}})
        await stand.gateway.start()
        try:
            async with aiohttp.ClientSession() as stand.session:
                assert (await ask(stand, dialect))[:2] == (502, "upstream_blocked")
        finally:
            await stand.gateway.stop()
        assert upstream.requests == []


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(rendered(), indent=1) + "\n")
