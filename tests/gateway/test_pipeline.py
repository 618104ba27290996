"""The life of a call: whatever becomes of it, it ends in exactly one record and no money stays held."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.contracts import Call, Caller, Rights, Tags
from gateway.errors import CallerError, OverLimit, UpstreamError, UpstreamTimeout
from gateway.names import Slug
from gateway.records import Outcome, Record
from gateway.usage import Nanos, Source
from tests.fakes.flow import BUSY, DEAD, FAILED, REFUSED, UNREACHABLE, ListSink, Stand, stand, whole

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
LAST = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}\n\n'
DONE = b"data: [DONE]\n\n"
STREAM = {"stream": True, "stream_options": {"include_usage": True}}


def only(one: Stand) -> Record:
    assert (one.ledger.held, one.ledger.open_holds) == (0, 0)
    assert one.journal.open_calls == 0
    [record] = one.records
    return record


async def test_a_whole_answer_is_passed_on_and_priced(tmp_path: Path) -> None:
    one = stand(tmp_path, (200, [whole()]))
    exchange, client = await one.call()
    assert exchange.error is None
    assert (client.status, client.body, client.finished) == (200, whole(), True)
    assert ("x-gateway-cost-usd", "0.000019") in client.extra
    record = only(one)
    assert (record.outcome, record.status, record.cost_nanos) == (Outcome.OK, 200, 5 * 1000 + 7 * 2000)
    assert (record.provider, record.model_routed, record.model_requested) == ("one", "one/m1", "m1")
    assert record.held_nanos >= (record.cost_nanos or 0)
    assert one.exit.permits[0].id == "req-1"
    assert one.exit.released == 1


async def test_a_stream_is_passed_on_as_it_comes(tmp_path: Path) -> None:
    one = stand(tmp_path, (200, [EVENT, EVENT, LAST, DONE]))
    _, client = await one.call(STREAM)
    assert client.parts == [EVENT, EVENT, LAST, DONE]
    assert only(one).usage_source is Source.REPORTED


async def test_an_answer_too_large_to_hold_is_passed_on_without_its_cost(tmp_path: Path) -> None:
    one = stand(tmp_path, (200, [whole()[:90], whole()[90:]]), tree={"upstream": {"whole_answer": "64B"}})
    _, client = await one.call()
    assert client.body == whole()
    assert not any(name == "x-gateway-cost-usd" for name, _ in client.extra)
    assert only(one).tokens_output == 7


async def test_a_busy_target_is_followed_by_the_next_one(tmp_path: Path) -> None:
    one = stand(tmp_path, BUSY, (200, [whole()]))
    exchange, client = await one.call({"model": "both"})
    assert client.status == 200
    assert [attempt.code for attempt in exchange.attempts] == ["upstream_busy", "ok"]
    record = only(one)
    assert (record.provider, record.attempts, record.route_reason) == ("two", 2, "fallback")
    assert record.cost_nanos == 5 * 10_000 + 7 * 20_000


@pytest.mark.parametrize("stream", [True, False])
async def test_headers_tell_of_the_target_that_answered_and_of_no_other(tmp_path: Path, stream: bool) -> None:
    broken: tuple[int, list[Any]] = (200, [] if stream else [whole()[:20], UpstreamError("upstream_cut")])
    one = stand(tmp_path, broken, (200, [LAST, DONE] if stream else [whole()]))
    _, client = await one.call({**(STREAM if stream else {}), "model": "both"})
    names = [name for name, _ in client.extra]
    assert len(names) == len(set(names))
    assert ("x-gateway-model", "two/m2") in client.extra


async def test_a_dead_key_is_followed_by_the_next_key_of_the_same_provider(tmp_path: Path) -> None:
    one = stand(tmp_path, DEAD, (200, [whole()]), keys=2)
    exchange, client = await one.call()
    assert client.status == 200
    assert [attempt.credential for attempt in exchange.attempts] == ["one/1", "one/2"]


@pytest.mark.parametrize("script", [FAILED, UNREACHABLE])
async def test_a_bad_moment_of_the_only_target_passes(tmp_path: Path, script: Any) -> None:
    one = stand(tmp_path, script, script, (200, [whole()]))
    exchange, client = await one.call()
    assert client.status == 200
    assert [attempt.code for attempt in exchange.attempts][2:] == ["ok"]
    assert only(one).attempts == 3


async def test_all_targets_are_asked_before_one_is_asked_again(tmp_path: Path) -> None:
    one = stand(tmp_path, FAILED, FAILED, (200, [whole()]))
    exchange, _ = await one.call({"model": "both"})
    assert [attempt.target.name for attempt in exchange.attempts] == ["one/m1", "two/m2", "one/m1"]


async def test_what_may_still_be_at_work_is_not_asked_again(tmp_path: Path) -> None:
    one = stand(tmp_path, UpstreamTimeout("upstream_timeout"), (200, [whole()]))
    exchange, _ = await one.call()
    assert exchange.error is not None
    assert exchange.error.code == "upstream_timeout"


@pytest.mark.parametrize("script", [FAILED, UNREACHABLE])
async def test_the_last_failure_is_the_callers_answer(tmp_path: Path, script: Any) -> None:
    one = stand(tmp_path, script, script, script)
    exchange, client = await one.call()
    assert not client.started
    assert isinstance(exchange.error, UpstreamError)
    record = only(one)
    assert (record.outcome, record.cost_nanos, record.usage_source) == (
        Outcome.UPSTREAM_ERROR,
        0,
        Source.NONE,
    )


async def test_a_call_the_provider_finds_at_fault_is_not_repeated(tmp_path: Path) -> None:
    one = stand(tmp_path, REFUSED, (200, [whole()]))
    exchange, _ = await one.call({"model": "both"})
    assert exchange.error is not None
    assert exchange.error.code == "upstream_refused"
    assert len(exchange.attempts) == 1


async def test_attempts_are_bounded_over_targets_and_keys(tmp_path: Path) -> None:
    one = stand(tmp_path, *[DEAD] * 9, keys=4, tree={"upstream": {"attempts": 3}})
    exchange, _ = await one.call({"model": "both"})
    assert len(exchange.attempts) == 3
    assert only(one).attempts == 3


@pytest.mark.parametrize("sent", [0, 1, 3])
async def test_after_the_first_byte_a_failure_breaks_the_stream_off(tmp_path: Path, sent: int) -> None:
    one = stand(tmp_path, (200, [EVENT, *[EVENT] * sent, UpstreamError("upstream_cut")]), (200, [whole()]))
    exchange, client = await one.call({**STREAM, "model": "both"})
    assert len(exchange.attempts) == 1
    assert client.aborted
    assert b'"error"' in client.parts[-1]
    record = only(one)
    assert (record.outcome, record.error_code) == (Outcome.UPSTREAM_ERROR, "upstream_cut")
    assert record.usage_source is Source.ESTIMATED
    assert record.tokens_output >= 1
    assert record.tokens_input >= 1


async def test_a_body_that_ends_without_its_end_is_no_good_answer(tmp_path: Path) -> None:
    one = stand(tmp_path, (200, [EVENT]))
    exchange, client = await one.call(STREAM)
    assert client.aborted
    assert not client.finished
    assert exchange.error is not None
    assert exchange.error.code == "upstream_cut"


@pytest.mark.parametrize("leaves_after", [0, 1, 2])
async def test_a_client_that_leaves_is_recorded_with_what_was_seen(tmp_path: Path, leaves_after: int) -> None:
    one = stand(tmp_path, (200, [EVENT, EVENT, EVENT, LAST, DONE]))
    await one.call(STREAM, client=ListSink(leaves_after))
    record = only(one)
    assert (record.outcome, record.error_code) == (Outcome.CLIENT_CLOSED, "client_closed")
    assert record.usage_source is Source.ESTIMATED
    assert one.exit.released == 1


async def test_a_cancelled_call_is_recorded_and_the_upstream_let_go(tmp_path: Path) -> None:
    one = stand(tmp_path, (200, [EVENT, asyncio.CancelledError]))
    with pytest.raises(asyncio.CancelledError):
        await one.call(STREAM)
    assert only(one).outcome is Outcome.CLIENT_CLOSED
    assert one.exit.released == 1


async def test_a_wrong_key_is_refused_before_the_body_is_read(tmp_path: Path) -> None:
    async def read() -> Call:
        raise AssertionError("the body was read")

    one = stand(tmp_path)
    for key in ("wrong", None):
        exchange, _ = await one.call(key=key, read=read)
        assert exchange.error is not None
        assert exchange.error.code == "invalid_key"
    assert [(record.outcome, record.status, record.key_id) for record in one.records] == [
        (Outcome.REFUSED, 401, None)
    ] * 2


async def test_an_unreadable_call_is_recorded_as_refused(tmp_path: Path) -> None:
    async def read() -> Call:
        raise CallerError("bad_request", about="messages")

    one = stand(tmp_path)
    await one.call(read=read)
    record = only(one)
    assert (record.outcome, record.status, record.key_id) == (Outcome.REFUSED, 400, "key-1")


async def test_a_bug_costs_neither_the_record_nor_the_hold(tmp_path: Path) -> None:
    one = stand(tmp_path, (200, [RuntimeError]))  # type: ignore[list-item]
    exchange, _ = await one.call()
    assert exchange.error is not None
    assert (exchange.error.code, exchange.error.status) == ("bug", 500)
    assert only(one).outcome is Outcome.FAILED


async def test_an_unknown_model_is_never_written_down(tmp_path: Path) -> None:
    one = stand(tmp_path)
    exchange, _ = await one.call({"model": "my-secret-text"})
    assert exchange.error is not None
    assert exchange.error.code == "unknown_model"
    assert only(one).model_requested == "unknown"


async def test_an_unpriced_model_is_refused_or_recorded_as_unpriced(tmp_path: Path) -> None:
    strict = stand(tmp_path / "a")
    exchange, _ = await strict.call({"model": "free"})
    assert isinstance(exchange.error, OverLimit)
    assert (exchange.error.code, exchange.error.status) == ("unpriced_model", 402)
    open_ = stand(tmp_path / "b", (200, [whole()]), tree={"prices": {"unknown": "record"}})
    await open_.call({"model": "free"})
    record = only(open_)
    assert (record.cost_nanos, record.priced, record.tokens_output) == (None, False, 7)


async def test_a_cap_is_held_against_the_most_a_call_can_cost(tmp_path: Path) -> None:
    poor = Caller(key_id=Slug("key-1"), key_name=Slug("k"), cap=Nanos(10))
    one = stand(tmp_path, caller=poor)
    exchange, _ = await one.call()
    assert exchange.error is not None
    assert exchange.error.code == "budget_exceeded"
    assert not one.exit.requests


async def test_a_call_may_not_cost_more_than_its_key_allows(tmp_path: Path) -> None:
    careful = Caller(key_id=Slug("key-1"), key_name=Slug("k"), rights=Rights(max_cost=Nanos(10)))
    one = stand(tmp_path, caller=careful)
    exchange, _ = await one.call()
    assert exchange.error is not None
    assert (exchange.error.code, exchange.error.about) == ("budget_exceeded", "max-cost")


async def test_a_key_may_not_use_what_its_scopes_leave_out(tmp_path: Path) -> None:
    rights = Rights(providers=(frozenset({"two"}),))
    one = stand(
        tmp_path, (200, [whole()]), caller=Caller(key_id=Slug("k"), key_name=Slug("k"), rights=rights)
    )
    exchange, _ = await one.call()
    assert exchange.error is not None
    assert (exchange.error.code, exchange.error.about) == ("not_allowed", "providers")
    _, client = await one.call({"model": "both"})
    assert client.status == 200
    assert one.records[-1].provider == "two"


async def test_a_feature_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    one = stand(tmp_path, (200, [whole()]), (200, [whole()]), tree={"records": {"features": ["search"]}})
    for feature, code in (("search", None), ("other", "bad_request"), (None, None)):
        tags = Tags(feature=None if feature is None else Slug(feature))
        exchange, _ = await one.call(tags=tags)
        assert (exchange.error.code if exchange.error else None) == code


async def test_when_the_journal_cannot_be_written_nothing_is_sent(tmp_path: Path) -> None:
    one = stand(tmp_path, (200, [whole()]))
    one.journal.stop()
    exchange, _ = await one.call()
    assert exchange.error is not None
    assert (exchange.error.code, exchange.error.status) == ("unavailable", 503)
    assert not one.exit.requests
    assert (one.ledger.held, one.ledger.open_holds) == (0, 0)


async def test_a_provider_without_a_key_is_not_asked(tmp_path: Path) -> None:
    one = stand(tmp_path, (200, [whole()]), keys=0)
    exchange, _ = await one.call()
    assert exchange.error is not None
    assert exchange.error.code == "no_credential"
    assert not one.exit.requests
