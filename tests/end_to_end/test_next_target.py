"""Targets that fail before the first byte: the next one of the route answers, and attempts are counted."""

from typing import Any

import pytest

from gateway.records import Outcome
from tests import hostile
from tests.end_to_end.conftest import Raise
from tests.end_to_end.stand import STREAMS, Place, Stand, connected
from tests.hostile import BEFORE_HEAD, Hostile

PRICE = {"input": "1.00", "output": "2.00"}
USES = {"chat": "openai", "responses": "openai", "messages": "anthropic", "gemini": "gemini", "groq": "groq"}


def first_bad(url: str, **upstream: Any) -> dict[str, Any]:
    """Routes "auto-DIALECT", each with a target at that address before the good one."""
    upstream = {"breaker": False, **upstream}
    tree: dict[str, Any] = {"providers": {}, "models": {}, "routes": {}, "upstream": upstream}
    for place in STREAMS:
        base = url + {"messages": "", "gemini": ""}.get(place.name, "/v1")
        tree["providers"][f"bad-{place.name}"] = {
            "use": USES[place.name], "base_url": base, "api_key": "sk-bad", "allow_private": True,
        }  # fmt: skip
        tree["models"][f"bad-{place.name}"] = {
            "provider": f"bad-{place.name}", "model": place.model, "price": PRICE,
        }  # fmt: skip
        good = f"groq/{place.model}" if place.name == "groq" else place.model
        tree["routes"][f"auto-{place.name}"] = {
            "use": "fallback", "targets": [f"bad-{place.name}", good], "allow_costlier": True,
        }  # fmt: skip
    return tree


async def ask_route(stand: Stand, place: Place, text: str = "hello") -> Any:
    """A streamed call to the dialect's route."""
    path = place.path.replace(place.model, f"auto-{place.name}")
    body = place.body(text)
    if "model" in body:
        body["model"] = f"auto-{place.name}"
    return await stand.ask(path, body)


AFTER_HEAD = ("reset_after_head", "close_after_head", "half_close_after_head")
FAULTS = {**BEFORE_HEAD, **{name: hostile.IN_BODY[name] for name in AFTER_HEAD}}


@pytest.mark.parametrize("place", STREAMS, ids=lambda place: place.name)
async def test_before_the_first_byte_the_next_target_answers(put_up: Raise, place: Place) -> None:
    async with Hostile(*FAULTS.values()) as bad:
        stand = await put_up(first_bad(bad.url, attempts=2))
        for number, name in enumerate(FAULTS, 1):
            answer = await ask_route(stand, place)
            assert (name, answer.status) == (name, 200)
            assert place.done in answer.body, name
            assert answer.headers["x-gateway-attempts"] == "2", name
            assert bad.connections == number, name
        records = await stand.gateway.records(len(FAULTS))
    assert len(records) == len(FAULTS)
    assert stand.held == (0, 0)
    for record in records:
        assert (record.outcome, record.attempts, record.route_reason) == (Outcome.OK, 2, "fallback")
        assert record.provider == USES[place.name]
        assert record.model_requested == f"auto-{place.name}"
    assert "canary" not in str(records)


@pytest.mark.parametrize("place", STREAMS, ids=lambda place: place.name)
async def test_a_silent_target_is_left_for_the_next_one_in_time(put_up: Raise, place: Place) -> None:
    async with Hostile(hostile.never_answers, hostile.head_then_silence) as bad:
        limits = {"first_byte_timeout": "150ms", "gap_timeout": "150ms"}
        stand = await put_up(first_bad(bad.url, **limits))
        for _ in range(2):
            answer = await ask_route(stand, place)
            assert (answer.status, answer.headers["x-gateway-attempts"]) == (200, "2")
        await bad.quiet()
        records = await stand.gateway.records(2)
    assert all(100_000 <= record.total_us < 3_000_000 for record in records)


@pytest.mark.parametrize("place", STREAMS, ids=lambda place: place.name)
async def test_a_target_that_refuses_connections_is_left_for_the_next_one(
    put_up: Raise, place: Place
) -> None:
    async with Hostile() as closed:
        url = closed.url
    stand = await put_up(first_bad(url))
    answer = await ask_route(stand, place)
    assert (answer.status, answer.headers["x-gateway-attempts"]) == (200, "2")
    record = await stand.record()
    assert (record.outcome, record.attempts) == (Outcome.OK, 2)


async def test_attempts_stop_where_the_configuration_says(put_up: Raise) -> None:
    async with Hostile(hostile.reset_before_head) as bad:
        stand = await put_up(first_bad(bad.url, attempts=1))
        answer = await ask_route(stand, STREAMS[0])
        assert (answer.status, bad.connections) == (502, 1)
    assert answer.headers["x-gateway-model"].startswith("bad-")
    assert (answer.headers["x-gateway-route"], answer.headers["x-gateway-attempts"]) == ("fallback", "1")
    assert stand.upstream.requests == []
    record = await stand.record()
    assert (record.outcome, record.attempts, record.status) == (Outcome.UPSTREAM_ERROR, 1, 502)


async def test_a_call_that_is_at_fault_itself_is_not_tried_elsewhere(put_up: Raise) -> None:
    async with Hostile(hostile.answer(422, body=b'{"error":{"message":"canary","code":"odd"}}')) as bad:
        stand = await put_up(first_bad(bad.url))
        answer = await ask_route(stand, STREAMS[0])
        assert (answer.status, answer.json["error"]["code"]) == (422, "odd")
    assert stand.upstream.requests == []
    assert (await stand.record()).attempts == 1


async def test_after_the_first_byte_there_is_no_other_target(put_up: Raise) -> None:
    async with Hostile(hostile.reset_between_events) as bad:
        stand = await put_up(first_bad(bad.url))
        path, body = STREAMS[0].path, {**STREAMS[0].body("x"), "model": "auto-chat"}
        async with connected(stand, path, body) as client:
            assert await client.read_head() == 200
            await client.read_all()
    assert client.ended == "broken"
    assert client.body.startswith(hostile.EVENT)
    assert b'"code":"upstream_failed"' in client.body
    assert stand.upstream.requests == []
    assert (await stand.record()).attempts == 1
