"""The admin listener: who may ask, what is answered, and what never is."""

import io
from typing import Any

import aiohttp
import pytest

from tests.conftest import Start
from tests.installation import Installation

GUARDED = ("/metrics", "/admin/usage", "/admin/keys", "/admin/config")


async def get(
    gateway: Installation, path: str, token: str | None = None, **options: Any
) -> tuple[int, str, Any]:
    """Status, text and headers; token None: the right one."""
    headers = (
        {"authorization": f"Bearer {gateway.admin_token if token is None else token}"} if token != "" else {}
    )
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            options.pop("method", "GET"), gateway.admin_url + path, headers=headers, **options
        ) as answer,
    ):
        return answer.status, await answer.text(), answer.headers


async def call(gateway: Installation, **fields: str) -> None:
    body = {"model": "echo-1", "messages": [{"role": "user", "content": "canary"}]}
    headers = {"authorization": f"Bearer {gateway.key}", **fields}
    async with (
        aiohttp.ClientSession() as session,
        session.post(gateway.url + "/v1/chat/completions", json=body, headers=headers) as answer,
    ):
        assert answer.status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_needs_no_token(gateway: Installation, path: str) -> None:
    assert (await get(gateway, path, ""))[0] == 200


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize("token", ["", "wrong", "\udcff", "Bearer", "x" * 5000, "callers"])
async def test_all_else_needs_the_token_and_a_callers_key_is_none(
    gateway: Installation, path: str, token: str
) -> None:
    if token == "\udcff":
        token = "ÿ"
    status, text, headers = await get(gateway, path, gateway.key if token == "callers" else token)
    assert (status, text) == (401, '{"error":"invalid_token"}')
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", GUARDED)
async def test_the_token_opens_them_and_no_answer_can_be_framed_or_cached(
    gateway: Installation, path: str
) -> None:
    status, _, headers = await get(gateway, path)
    assert status == 200
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["server"] == "tollgate"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin"),
        ("GET", "/"),
        ("GET", "/admin/../admin/keys%2f"),
        ("POST", "/admin/keys"),
        ("DELETE", "/admin/usage"),
    ],
)
async def test_what_is_not_offered_is_not_found_with_or_without_a_token(
    gateway: Installation, method: str, path: str
) -> None:
    for token in (None, ""):
        status, text, _ = await get(gateway, path, token, method=method)
        assert (status, text) == (404, '{"error":"not_found"}')


async def test_usage_is_summed_by_what_is_asked(gateway: Installation) -> None:
    for feature in ("search", "search", "chat"):
        await call(gateway, **{"x-gateway-feature": feature})
    await gateway.records(3)
    status, text, _ = await get(gateway, "/admin/usage?hours=1&by=feature,model_routed")
    assert status == 200
    assert '"feature":"search"' in text
    assert '"calls":2' in text
    assert "canary" not in text


@pytest.mark.parametrize(
    "query",
    [
        "hours=0",
        "hours=-1",
        "hours=x",
        "hours=99999999",
        "by=prompt",
        "by=id",
        "by=1;drop table keys",
        "hours=1.5",
    ],
)
async def test_a_question_that_makes_no_sense_is_refused_without_quoting_it(
    gateway: Installation, query: str
) -> None:
    status, text, _ = await get(gateway, f"/admin/usage?{query}")
    assert (status, text) == (400, '{"error":"bad_request"}')


async def test_metrics_count_calls_and_hold_no_word(gateway: Installation) -> None:
    await call(gateway)
    await gateway.records(1)
    status, text, headers = await get(gateway, "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    line = 'gateway_calls_total{provider="echo",model="echo/echo-1",kind="chat",outcome="ok"} 1\n'
    assert line in text
    assert "gateway_open_calls 0\n" in text
    assert "canary" not in text
    for one in text.splitlines():
        assert one.startswith("#") or len(one.rsplit(" ", 1)) == 2


async def test_the_configuration_is_shown_without_secrets(start: Start) -> None:
    providers = {
        "openai": {"api_key": "sk-canary-literal"},
        "groq": {"api_key": {"env": "CANARY_VARIABLE"}},
        "echo": {"use": "echo", "needs_key": False},
    }
    gateway = await start({"providers": providers, "admin": {"token": "canary-token-of-the-admin"}})
    status, text, _ = await get(gateway, "/admin/config")
    assert status == 200
    assert "canary-literal" not in text
    assert "canary-token" not in text
    assert "CANARY_VARIABLE" in text  # where it is, not what it is
    assert '"openai"' in text


async def test_a_dry_run_tells_candidates_and_sends_nothing(gateway: Installation) -> None:
    body = {"model": "echo-1", "messages": [{"role": "user", "content": "canary"}]}
    status, text, _ = await get(gateway, "/admin/explain", method="POST", json=body)
    assert status == 200
    assert '"model":"echo/echo-1"' in text
    assert "canary" not in text
    assert await gateway.records(0) == []


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000])
async def test_a_dry_run_of_what_is_no_request_is_refused(gateway: Installation, data: bytes) -> None:
    status, text, _ = await get(gateway, "/admin/explain", method="POST", data=data)
    assert (status, text) == (400, '{"error":"bad_request"}')


async def test_a_body_that_is_too_large_is_refused(gateway: Installation) -> None:
    status, text, _ = await get(gateway, "/admin/explain", method="POST", data=io.BytesIO(b"x" * (2 << 20)))
    assert status in (400, 413)
    assert "x" * 100 not in text


async def test_only_the_first_process_has_an_admin_listener(start: Start) -> None:
    second = await start(worker=1)
    assert not hasattr(second.app, "_admin")
    assert second.app.ready()
