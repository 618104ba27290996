"""Money and pace over HTTP: caps hold under parallel calls, and nothing unpriced slips by."""

import asyncio
from typing import Any

import pytest

from gateway.records import Outcome
from tests.end_to_end.conftest import Raise
from tests.end_to_end.stand import CLAUDE, GEMINI, LLAMA, OPENAI, STREAMS, Answered, Stand, connected, user

CHAT = "/v1/chat/completions"
MINI_INPUT, MINI_OUTPUT = 150, 600
"""Nano-dollars for a token of gpt-4o-mini."""


def dollars(nanos: int) -> str:
    """An amount as a key's scope has it."""
    return f"{nanos // 10**9}.{nanos % 10**9:09}"


def chat(orders: str = "", **more: Any) -> dict[str, Any]:
    """A call that says how long its answer may be."""
    return {"model": OPENAI, "messages": user(f"one two {orders}"), "max_tokens": 10, **more}


async def one_call(stand: Stand, body: Any) -> tuple[int, int]:
    """What a call of that body costs, and what is held for it."""
    await stand.ask(CHAT, body)
    [record] = await stand.gateway.records()
    return record.cost_nanos or 0, record.held_nanos


# --- money ------------------------------------------------------------------------------------------


async def test_a_hundred_calls_at_once_get_exactly_what_the_cap_covers(stand: Stand) -> None:
    """All are held at once, so exactly as many are admitted as there are holds in the cap."""
    body = chat("echo:first=0.3")
    _, held = await one_call(stand, body)
    key = await stand.gateway.make_key("capped", cap=dollars(10 * held + held // 2))
    answers = await together(stand, body, key, 100)
    assert count(answers, 200) == 10
    assert count(answers, 402) == 90
    codes = {answer.json["error"]["code"] for answer in answers if answer.status == 402}
    assert codes == {"budget_exceeded"}
    records = [record for record in await stand.gateway.records(101) if record.key_id != ""][-100:]
    spent = sum(record.cost_nanos or 0 for record in records if record.outcome is Outcome.OK)
    assert spent <= 10 * held
    assert stand.held == (0, 0)
    assert len(stand.upstream.requests) == 11


async def test_settled_money_is_free_again_until_the_cap_is_spent_to_the_last_call(stand: Stand) -> None:
    """One after the other, each call settles at its cost: the last admitted is the last that could fit."""
    body = chat()
    cost, held = await one_call(stand, body)
    assert 0 < cost < held
    cap = held + 20 * cost
    key = await stand.gateway.make_key("capped", cap=dollars(cap))
    statuses = [(await stand.ask(CHAT, body, key=key)).status for _ in range(30)]
    assert statuses == [200] * 21 + [402] * 9  # before the 22nd, 21 costs are spent: one hold is too much
    assert 21 * cost <= cap < 21 * cost + held
    assert stand.held == (0, 0)


async def test_whoever_comes_together_and_again_never_spends_above_the_cap(stand: Stand) -> None:
    body = chat("echo:first=0.005")
    cost, held = await one_call(stand, body)
    cap = 10 * cost + 3 * held
    key = await stand.gateway.make_key("capped", cap=dollars(cap))
    fine = 0
    for _ in range(4):
        fine += count(await together(stand, body, key, 25), 200)
    records = await stand.gateway.records(101)
    spent = sum(record.cost_nanos or 0 for record in records) - cost
    assert spent == fine * cost <= cap
    assert fine >= 12
    assert stand.held == (0, 0)


@pytest.mark.parametrize("place", STREAMS, ids=lambda place: place.name)
async def test_no_dialect_goes_around_a_cap(stand: Stand, place: Any) -> None:
    key = await stand.gateway.make_key("empty", cap="0.000000001")
    answer = await stand.ask(place.path, place.body("x"), key=key)
    assert (answer.status, stand.upstream.requests) == (402, [])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "x"}),
        ("/v1/images/generations", {"model": "gpt-image-1", "prompt": "x"}),
        ("/v1/audio/speech", {"model": "tts-1", "input": "x", "voice": "alloy"}),
        ("/v1/messages", {"model": CLAUDE, "max_tokens": 1, "messages": user("x")}),
        (f"/v1beta/models/{GEMINI}:generateContent", {"contents": [{"parts": [{"text": "x"}]}]}),
        ("/v1beta/models/gemini-embedding-001:embedContent", {"content": {"parts": [{"text": "x"}]}}),
        ("/openai/v1/chat/completions", {"model": LLAMA, "messages": user("x")}),
        ("/v1/responses", {"model": OPENAI, "input": "x"}),
    ],
)
async def test_no_path_goes_around_a_cap(stand: Stand, path: str, body: Any) -> None:
    key = await stand.gateway.make_key("empty", cap="0.000000001")
    answer = await stand.ask(path, body, key=key)
    assert (answer.status, stand.upstream.requests) == (402, [])


async def test_what_a_provider_answers_for_nothing_needs_no_money(stand: Stand) -> None:
    key = await stand.gateway.make_key("empty", cap="0.000000001")
    body = {"model": CLAUDE, "messages": user("x")}
    assert (await stand.ask("/v1/messages/count_tokens", body, key=key)).status == 200
    assert (await stand.record()).cost_nanos == 0


async def test_calls_that_fail_cost_nothing_and_free_their_hold(put_up: Raise) -> None:
    stand = await put_up({"upstream": {"breaker": False}})
    body = chat("echo:status=500")
    key = await stand.gateway.make_key("capped", cap="0.01")
    for _ in range(5):
        assert (await stand.ask(CHAT, body, key=key)).status == 500
    records = await stand.gateway.records(5)
    assert [record.cost_nanos for record in records] == [0] * 5
    assert stand.held == (0, 0)


async def test_a_client_that_leaves_pays_and_frees_its_hold(stand: Stand) -> None:
    """Else leaving early would be a way around the cap."""
    body = {**chat("echo:tokens=10,stall=6"), "stream": True}
    _, held = await one_call(stand, chat("echo:tokens=10,delay=0"))
    key = await stand.gateway.make_key("capped", cap=dollars(2 * held))
    admitted = 0
    for _ in range(12):
        async with connected(stand, CHAT, body, key) as client:
            if await client.read_head() == 402:
                break
            while client.body.count(b"\n\n") < 5:
                await client.read_piece()
        admitted += 1
    assert 2 <= admitted < 12
    records = [record for record in await stand.gateway.records(admitted + 2) if record.stream]
    paid = [record.cost_nanos or 0 for record in records if record.outcome is Outcome.CLIENT_CLOSED]
    assert len(paid) == admitted
    assert all(cost > 4 * MINI_OUTPUT for cost in paid)
    assert sum(paid) <= 2 * held
    assert stand.held == (0, 0)


# --- one call's own limit ---------------------------------------------------------------------------


async def test_a_call_may_say_what_it_may_cost_at_most(stand: Stand) -> None:
    body = chat()
    _, held = await one_call(stand, body)
    for nanos, status in ((held, 200), (held - 1, 402)):
        answer = await stand.ask(CHAT, body, headers={"x-gateway-max-cost": dollars(nanos)})
        assert answer.status == status
    for odd in ("-1", "1e3", "0,5", "$1", "1" * 30, "NaN"):
        assert (await stand.ask(CHAT, body, headers={"x-gateway-max-cost": odd})).status == 400


async def test_a_keys_own_limit_for_a_call_counts_besides(stand: Stand) -> None:
    body = chat()
    _, held = await one_call(stand, body)
    key = await stand.gateway.make_key("careful", max_cost=dollars(held))
    generous = {"x-gateway-max-cost": "100"}
    assert (await stand.ask(CHAT, body, key=key, headers=generous)).status == 200
    dearer = {**body, "max_tokens": 11}
    assert (await stand.ask(CHAT, dearer, key=key, headers=generous)).status == 402


# --- prices that nobody knows -----------------------------------------------------------------------


async def test_a_model_without_a_price_is_refused(stand: Stand) -> None:
    answer = await stand.ask(CHAT, chat(model="openai/no-such-model"))
    assert (answer.status, answer.json["error"]["code"]) == (402, "unpriced_model")
    assert stand.upstream.requests == []
    assert (await stand.record()).outcome is Outcome.REFUSED


async def test_a_model_without_a_price_is_let_through_and_recorded_so_where_that_is_wanted(
    put_up: Raise,
) -> None:
    stand = await put_up({"prices": {"unknown": "record"}})
    answer = await stand.ask(CHAT, chat(model="openai/no-such-model"))
    assert answer.status == 200
    assert "x-gateway-cost-usd" not in answer.headers
    record = await stand.record()
    assert (record.priced, record.cost_nanos, record.tokens_output) == (False, None, 2)
    assert "no-such" not in str(record)


async def test_a_limit_for_a_call_cannot_hold_without_a_price(put_up: Raise) -> None:
    stand = await put_up({"prices": {"unknown": "record"}})
    body = chat(model="openai/no-such-model")
    answer = await stand.ask(CHAT, body, headers={"x-gateway-max-cost": "100"})
    assert (answer.status, answer.json["error"]["code"]) == (402, "unpriced_model")
    key = await stand.gateway.make_key("careful", max_cost="100")
    assert (await stand.ask(CHAT, body, key=key)).status == 402
    assert stand.upstream.requests == []


# --- pace -------------------------------------------------------------------------------------------


async def test_a_rate_admits_a_burst_and_names_the_pause(stand: Stand) -> None:
    key = await stand.gateway.make_key("paced", rate="60")
    answers = await together(stand, chat(), key, 40)
    assert 10 <= count(answers, 200) <= 11
    refused = [answer for answer in answers if answer.status == 429]
    assert len(refused) == 40 - count(answers, 200)
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert len(stand.upstream.requests) == count(answers, 200)
    other = await stand.gateway.make_key("other", rate="60")
    assert (await stand.ask(CHAT, chat(), key=other)).status == 200


async def together(stand: Stand, body: Any, key: str, number: int) -> list[Answered]:
    """So many calls at once."""
    return list(await asyncio.gather(*(stand.ask(CHAT, body, key=key) for _ in range(number))))


def count(answers: list[Answered], status: int) -> int:
    """How many have the status."""
    return sum(answer.status == status for answer in answers)
