"""POST /v1/outcomes: a key judges its own calls, and nobody else's."""

import asyncio

from gateway.sdk import Reporter
from tests.end_to_end.stand import OPENAI, Stand, user

PATH = "/v1/outcomes"


async def _asked(stand: Stand) -> str:
    answer = await stand.ask("/v1/chat/completions", {"model": OPENAI, "messages": user("hi")})
    id = answer.headers["x-gateway-request-id"]
    await stand.record_of(id)
    return id


async def test_a_key_judges_its_own_calls_once_for_each_source(stand: Stand) -> None:
    id = await _asked(stand)
    rows = [{"request_id": id, "thumb": "up"}, {"request_id": "req-of-nobody", "thumb": "down"}]
    first = await stand.ask(PATH, rows)
    assert (first.status, first.json) == (200, {"added": 1, "known": 0, "unknown": 1})
    again = await stand.ask(PATH, rows[:1])
    assert again.json == {"added": 0, "known": 1, "unknown": 0}
    assert (await stand.ask(PATH, rows[0])).json == again.json  # one alone needs no list
    cells = await stand.gateway.app.store.outcomes.cells()
    assert [(cell.model, cell.count, cell.total) for cell in cells] == [(f"openai/{OPENAI}", 1, 1000)]


async def test_the_reporter_reaches_the_gateway(stand: Stand) -> None:
    id = await _asked(stand)
    reporter = Reporter(stand.gateway.url, stand.key, interval_s=0.01)
    reporter.outcome(id, score=0.5, source="judge")
    assert await asyncio.to_thread(reporter.flush)
    await asyncio.to_thread(reporter.close)
    assert (reporter.sent, reporter.refused, reporter.dropped) == (1, 0, 0)


async def test_what_is_not_valid_is_refused_in_words_of_ours(stand: Stand) -> None:
    for body in (b"no json", {"request_id": "x"}, [], [{"request_id": "x", "prompt": "secret words"}]):
        answer = await stand.ask(PATH, body)
        assert answer.status == 400, body
        assert b"secret" not in answer.body
    assert (await stand.ask(PATH, [], key="tg_wrong")).status == 401
    assert (await stand.ask(PATH, None, method="GET")).status == 405
    assert (await stand.ask("/v1/me", [], method="POST")).status == 405
