"""What a key may not do is refused before a provider is asked; a revoked key ends within a second."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway import opening
from gateway.accounts import keys
from gateway.clock import SystemClock
from gateway.content import Purpose
from gateway.records import Outcome
from tests.end_to_end.conftest import Raise
from tests.end_to_end.stand import CLAUDE, GEMINI, LLAMA, OPENAI, Answered, Stand, connected, user

CHAT, MESSAGES, EMBEDDINGS = "/v1/chat/completions", "/v1/messages", "/v1/embeddings"
GENERATE = f"/v1beta/models/{GEMINI}:generateContent"
BODIES: dict[str, Any] = {
    CHAT: {"model": OPENAI, "messages": user("x")},
    "/v1/responses": {"model": OPENAI, "input": "x"},
    MESSAGES: {"model": CLAUDE, "max_tokens": 9, "messages": user("x")},
    GENERATE: {"contents": [{"parts": [{"text": "x"}]}]},
    "/openai/v1/chat/completions": {"model": LLAMA, "messages": user("x")},
    EMBEDDINGS: {"model": "text-embedding-3-small", "input": "x"},
}


def window(begin: timedelta, end: timedelta) -> str:
    """A span of the UTC day around now."""
    now = datetime.now(UTC)
    return f"{now + begin:%H:%M}-{now + end:%H:%M}"


HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OPEN, CLOSED = window(-HOUR, HOUR), window(HOUR, 2 * HOUR)
PAST = f"{datetime.now(UTC) - MINUTE:%Y-%m-%dT%H:%M:%SZ}"
SOON = f"{datetime.now(UTC) + HOUR:%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ({"models": OPENAI}, {CHAT, "/v1/responses"}),
        ({"models": "openai/*"}, {CHAT, "/v1/responses", EMBEDDINGS}),
        ({"models": "claude-*"}, {MESSAGES}),
        ({"models": "nothing-*"}, set()),
        ({"providers": "groq"}, {"/openai/v1/chat/completions"}),
        ({"providers": "gemini"}, {GENERATE}),
        ({"paths": "chat"}, {CHAT, "/openai/v1/chat/completions"}),
        ({"paths": "embeddings"}, {EMBEDDINGS}),
        ({"environments": "staging"}, set()),
        ({"networks": "127.0.0.0/8"}, set(BODIES)),
        ({"networks": "10.0.0.0/8"}, set()),
        ({"hours": OPEN}, set(BODIES)),
        ({"hours": CLOSED}, set()),
        ({"expires": SOON}, set(BODIES)),
        ({"models": "claude-*", "providers": "openai"}, set()),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(len(value)),
)
async def test_a_scope_closes_everything_that_it_does_not_name(
    scoped: Any, scopes: dict[str, str], allowed: set[str]
) -> None:
    stand, key = await scoped(scopes)
    for path, body in BODIES.items():
        before = len(stand.upstream.requests)
        answer = await stand.ask(path, body, key=key)
        assert answer.status == (200 if path in allowed else 403), path
        assert len(stand.upstream.requests) - before == (path in allowed)
        if path not in allowed:
            assert b"not_allowed" in answer.body
    records = await stand.gateway.records(len(BODIES))
    refused = [record for record in records if record.outcome is Outcome.REFUSED]
    assert len(refused) == len(BODIES) - len(allowed)
    assert all(record.cost_nanos == 0 and record.key_id for record in refused)


@pytest.fixture
async def scoped(stand: Stand) -> Any:
    """A stand and a key with scopes."""

    async def make(scopes: dict[str, str]) -> tuple[Stand, str]:
        return stand, await stand.gateway.make_key("scoped", **scopes)

    return make


async def test_an_expired_key_is_like_a_wrong_one(stand: Stand) -> None:
    key = await stand.gateway.make_key("late", expires=PAST)
    assert (await stand.ask(CHAT, BODIES[CHAT], key=key)).status == 401


async def test_an_environment_must_be_named_when_a_key_has_some(stand: Stand) -> None:
    key = await stand.gateway.make_key("staged", environments="staging")
    for value, status in (("staging", 200), ("production", 403), ("Staging", 403)):
        answer = await stand.ask(CHAT, BODIES[CHAT], key=key, headers={"x-gateway-environment": value})
        assert answer.status == status
    assert stand.upstream.last.header("x-gateway-environment") is None


async def test_a_forged_address_opens_no_network(stand: Stand) -> None:
    key = await stand.gateway.make_key("inside", networks="10.0.0.0/8")
    for name in ("x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip"):
        answer = await stand.ask(CHAT, BODIES[CHAT], key=key, headers={name: "10.1.2.3"})
        assert answer.status == 403


async def test_behind_a_trusted_proxy_the_address_it_tells_counts(put_up: Raise) -> None:
    stand = await put_up({"server": {"trusted_proxies": ["127.0.0.1"]}})
    key = await stand.gateway.make_key("inside", networks="10.0.0.0/8")
    for address, status in (
        ("10.1.2.3", 200),
        ("192.0.2.1", 403),
        ("10.1.2.3, 192.0.2.1", 403),
        ("192.0.2.1, 10.1.2.3", 200),
        ("10.1.2.3, 127.0.0.1", 200),
        ("nonsense", 403),
    ):
        answer = await stand.ask(CHAT, BODIES[CHAT], key=key, headers={"x-forwarded-for": address})
        assert (address, answer.status) == (address, status)


async def test_a_route_leads_to_no_target_that_the_key_may_not_use(put_up: Raise) -> None:
    routes = {"auto": {"use": "fallback", "targets": [f"groq/{LLAMA}", OPENAI]}}
    stand = await put_up({"routes": routes})
    body = {**BODIES[CHAT], "model": "auto"}
    narrow = await stand.gateway.make_key("narrow", models=OPENAI)
    answer = await stand.ask(CHAT, body, key=narrow)
    assert (answer.status, answer.headers["x-gateway-model"]) == (200, f"openai/{OPENAI}")
    other = await stand.gateway.make_key("other", providers="anthropic")
    assert (await stand.ask(CHAT, body, key=other)).status == 403
    assert len(stand.upstream.requests) == 1


@pytest.mark.parametrize("path", [CHAT, "/v1/responses"])
async def test_storing_at_the_provider_needs_a_right(stand: Stand, path: str) -> None:
    plain, may = await stand.gateway.make_key("plain"), await stand.gateway.make_key("may", store="allow")
    asking = {**BODIES[path], "store": True}
    answer = await stand.ask(path, asking, key=plain)
    assert (answer.status, answer.headers["x-gateway-error"]) == (403, "store_not_allowed")
    assert stand.upstream.requests == []
    assert (await stand.ask(path, asking, key=may)).status == 200
    assert stand.upstream.last.json["store"] is True
    assert (await stand.ask(path, BODIES[path], key=may)).status == 200
    assert stand.upstream.last.json.get("store", False) is False


# --- revocation -------------------------------------------------------------------------------------


async def test_a_revoked_key_ends_within_a_second_and_its_stream_goes_on(stand: Stand) -> None:
    key = await stand.gateway.make_key("leaked")
    body = {**BODIES[CHAT], "messages": user("echo:tokens=80,delay=0.01"), "stream": True}
    async with connected(stand, CHAT, body, key) as client:
        assert await client.read_head() == 200
        began = time.monotonic()
        await revoke(stand, "leaked")
        while (await stand.ask(CHAT, BODIES[CHAT], key=key)).status == 200:
            pass
        took_s = time.monotonic() - began
        await client.read_all()
    print(f"revoked after {took_s * 1000:.0f} ms")
    assert took_s < 1.0
    assert client.ended == "whole"  # a call that began keeps what it began with
    assert (await stand.ask(CHAT, BODIES[CHAT])).status == 200


async def test_a_rotated_key_overlaps_for_its_grace_and_keeps_its_account(stand: Stand) -> None:
    old = await stand.gateway.make_key("turning", cap="1")
    new = await rotate(stand, "turning", 600)
    assert await statuses(stand, old, new) == [200, 200]
    await asyncio.sleep(0.65)
    assert await statuses(stand, old, new) == [401, 200]
    records = await stand.gateway.records(4)
    ids = {record.key_id for record in records if record.key_id is not None}
    assert len(ids) == 1


async def statuses(stand: Stand, *presented: str) -> list[int]:
    """How calls with these keys end."""
    answers: list[Answered] = [await stand.ask(CHAT, BODIES[CHAT], key=key) for key in presented]
    return [answer.status for answer in answers]


async def revoke(stand: Stand, name: str) -> None:
    """As `key revoke` does, over a connection of its own."""
    store = await opening.open_store(stand.gateway.config)
    try:
        rows = (await store.accounts.load()).keys
        row = next(row for row in rows if row.name == name)
        await keys.revoke_key(store, row, rows)
    finally:
        await store.close()


async def rotate(stand: Stand, name: str, grace_ms: int) -> str:
    """As `key rotate` does; the new key in clear."""
    config = stand.gateway.config
    row = next(row for row in (await stand.gateway.store.accounts.load()).keys if row.name == name)
    pepper = opening.load_master_key(config).pepper
    _, clear = await keys.rotate_key(stand.gateway.store, pepper, row, grace_ms, clock=SystemClock())
    await stand.gateway.app.refresh_accounts()
    return clear.open(Purpose.AUTH)
