"""Several keys of one provider: the dead and the throttled are told apart, and the next one is used."""

import asyncio
import time
from typing import Any

import pytest

from gateway import opening
from gateway.accounts import rotation
from gateway.accounts.vault import host_of
from gateway.content import Secret
from gateway.names import Slug
from gateway.records import Outcome
from tests.end_to_end.conftest import Raise
from tests.end_to_end.stand import OPENAI, STREAMS, Stand, user
from tests.upstream import Scripted

CHAT = "/v1/chat/completions"
BODY = {"model": OPENAI, "messages": user("x")}
JSON = ("content-type", "application/json")
ONE, TWO, THREE = "sk-first", "sk-second", "sk-third"


def refusal(status: int, code: str, *headers: tuple[str, str]) -> Scripted:
    """A provider's error answer that quotes a key."""
    body = b'{"error":{"message":"Incorrect API key sk-canary","type":"x","code":"%b"}}' % code.encode()
    return Scripted(status, [JSON, *headers], [body])


DEAD = refusal(401, "invalid_api_key")
NO_MONEY = refusal(429, "insufficient_quota")


def throttled(after_ms: int) -> Scripted:
    """A refusal that asks to come back after so long."""
    return refusal(429, "rate_limit_exceeded", ("retry-after-ms", str(after_ms)))


async def with_keys(put_up: Raise, *keys: str, **upstream: Any) -> Stand:
    stand: Stand = await put_up({"providers": {"openai": {"api_keys": list(keys)}}, "upstream": upstream})
    return stand


def used(stand: Stand) -> list[str]:
    """The keys of the requests so far, and forget them."""
    keys = [
        (request.header("authorization") or "").removeprefix("Bearer ") for request in stand.upstream.requests
    ]
    stand.upstream.requests.clear()
    return keys


async def test_a_dead_key_and_a_throttled_one_give_way_to_the_next_and_are_told_apart(put_up: Raise) -> None:
    stand = await with_keys(put_up, TWO, THREE)
    first = "sk-openai-of-the-operator"
    stand.upstream.script(DEAD, throttled(150))
    answer = await stand.ask(CHAT, BODY)
    assert (answer.status, answer.headers["x-gateway-attempts"]) == (200, "3")
    assert used(stand) == [first, TWO, THREE]
    for _ in range(3):
        assert (await stand.ask(CHAT, BODY)).status == 200
    assert used(stand) == [THREE] * 3
    limit = time.monotonic() + 2
    keys: set[str] = set()
    while TWO not in keys and time.monotonic() < limit:  # it comes back by itself, the dead one does not
        await stand.ask(CHAT, BODY)
        keys |= set(used(stand))
    assert keys == {TWO, THREE}
    records = await stand.gateway.records(4)
    assert records[0].attempts == 3
    assert (records[0].outcome, records[0].credential) == (Outcome.OK, "openai/3")
    assert "sk-" not in str(records)


async def test_an_account_without_money_is_dead_though_it_says_429(put_up: Raise) -> None:
    stand = await with_keys(put_up, TWO)
    stand.upstream.script(NO_MONEY)
    assert (await stand.ask(CHAT, BODY)).status == 200
    assert used(stand)[1] == TWO
    await stand.ask(CHAT, BODY)
    await stand.ask(CHAT, BODY)
    assert used(stand) == [TWO, TWO]


@pytest.mark.parametrize("stream", [True, False])
async def test_when_all_keys_are_dead_the_caller_learns_so_and_nothing_of_the_keys(
    put_up: Raise, stream: bool
) -> None:
    stand = await with_keys(put_up, TWO)
    stand.upstream.script(DEAD, refusal(403, "x"))
    answer = await stand.ask(CHAT, {**BODY, "stream": stream})
    assert (answer.status, answer.headers["x-gateway-error"]) == (502, "upstream_credential")
    assert b"sk-" not in answer.body
    assert len(used(stand)) == 2
    assert (await stand.ask(CHAT, BODY)).status == 502
    assert used(stand) == []  # a provider is not bothered with keys it refused
    [first, second] = await stand.gateway.records(2)
    assert (first.attempts, second.attempts) == (2, 0)
    assert (first.cost_nanos, second.cost_nanos) == (0, 0)
    assert stand.held == (0, 0)


async def test_when_all_keys_are_throttled_the_caller_learns_how_long(put_up: Raise) -> None:
    stand = await with_keys(put_up, TWO)
    stand.upstream.script(throttled(30_000), throttled(20_000))
    answer = await stand.ask(CHAT, BODY)
    assert (answer.status, answer.json["error"]["code"]) == (429, "rate_limit_exceeded")
    again = await stand.ask(CHAT, BODY)
    assert (again.status, again.headers["x-gateway-error"]) == (503, "upstream_busy")
    assert 18 <= int(again.headers["retry-after"]) <= 20
    assert len(used(stand)) == 2


@pytest.mark.parametrize("place", STREAMS[2:], ids=lambda place: place.name)
async def test_the_providers_words_about_a_key_reach_nobody_in_any_dialect(stand: Stand, place: Any) -> None:
    stand.upstream.require_key("another")
    answer = await stand.ask(place.path, place.body("x"))
    assert answer.status == 502
    assert answer.headers["x-gateway-error"] == "upstream_credential"
    assert b"Echo" not in answer.body


async def test_keys_take_turns(put_up: Raise) -> None:
    stand = await with_keys(put_up, TWO, THREE)
    for _ in range(30):
        await stand.ask(CHAT, BODY)
    keys = used(stand)
    assert {key: keys.count(key) for key in set(keys)} == {
        "sk-openai-of-the-operator": 10, TWO: 10, THREE: 10,
    }  # fmt: skip


async def test_without_a_breaker_no_key_is_asked_twice_for_one_call(put_up: Raise) -> None:
    stand = await with_keys(put_up, TWO, breaker=False, attempts=5)
    stand.upstream.script(DEAD, DEAD)
    assert (await stand.ask(CHAT, BODY)).status == 502
    assert sorted(used(stand)) == ["sk-openai-of-the-operator", TWO]
    assert (await stand.ask(CHAT, BODY)).status == 200


@pytest.mark.parametrize("table", [{}, {"api_key": {"env": "NO_VARIABLE_OF_THIS_NAME"}}])
async def test_a_stored_key_is_used_and_replaced_without_a_restart(
    put_up: Raise, table: dict[str, Any]
) -> None:
    stand: Stand = await put_up({"providers": {"openai": {"use": "openai", **table}}}, keys=False)
    answer = await stand.ask(CHAT, BODY)
    assert (answer.status, answer.headers["x-gateway-error"]) == (503, "no_credential")
    for key in (ONE, TWO):
        await store_key(stand, key)
        asked: list[str] = []
        began = time.monotonic()
        while key not in asked:
            await stand.ask(CHAT, BODY)
            asked += used(stand)
            assert time.monotonic() - began < 2.0
    files = [file for file in stand.gateway.folder.rglob("*") if file.is_file()]
    assert not any(key.encode() in file.read_bytes() for key in (ONE, TWO) for file in files)


async def test_a_stored_key_goes_to_no_other_host_than_the_one_it_was_stored_for(put_up: Raise) -> None:
    stand: Stand = await put_up({"providers": {"openai": {"use": "openai"}}}, keys=False)
    await store_key(stand, ONE, "http://127.0.0.1:9/v1")
    await asyncio.sleep(0.7)
    answer = await stand.ask(CHAT, BODY)
    assert (answer.status, answer.headers["x-gateway-error"]) == (503, "no_credential")
    assert stand.upstream.requests == []


async def store_key(stand: Stand, key: str, url: str | None = None) -> None:
    """As `provider set-key` does, over a connection of its own."""
    config = stand.gateway.config
    store = await opening.open_store(config)
    try:
        source = opening.master_key_source(config)
        host = host_of(url or stand.upstream.openai)
        await rotation.set_key(store.secrets, source, Slug("openai"), 1, host, Secret(key))
    finally:
        await store.close()
