"""Attempts of one call: what follows which kind of failure, and the bounds of number, time and money."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.contracts import Rights, Tags
from gateway.errors import UpstreamError, UpstreamTimeout
from gateway.ledger.replay import replay
from gateway.names import Slug
from gateway.records import Outcome
from gateway.usage import Nanos
from tests.fakes.flow import BUSY, CALLER, DEAD, FAILED, REFUSED, UNREACHABLE, Stand, run, stand, whole

URL = {"use": "compatible", "needs_key": False}
PRICES = {"a": "1", "b": "1", "c": "1", "dear": "9"}
GOOD = (200, [whole()])
TIMEOUT = UpstreamTimeout("upstream_timeout")
TOO_LONG = (400, [b'{"error":{"code":"context_length_exceeded","message":"canary"}}'])
POLICY = (400, [b'{"error":{"code":"content_policy_violation","message":"canary"}}'])
EMPTY = (200, [whole("", (5, 0))])
HIDDEN = (200, [b'{"error":{"message":"canary","type":"server_error"}}'])
GARBLED = (200, [b"<html>canary</html>"])


def tree(**more: Any) -> dict[str, Any]:
    """Models a, b, c and the dear one, each at a provider of its own, and a route over the first three."""
    made: dict[str, Any] = {
        "providers": {name: {**URL, "base_url": f"https://{name}.example/v1"} for name in PRICES},
        "models": {
            name: {"provider": name, "price": {"input": price, "output": price}}
            for name, price in PRICES.items()
        },
        "routes": {"r": {"use": "fallback", "targets": ["a", "b", "c"]}},
        "upstream": {"attempts": 6, "retry_pause": "1ms"},
    }
    for key, value in more.items():
        made[key] = {**made.get(key, {}), **value}
    return made


def route(*targets: str, **keys: Any) -> dict[str, Any]:
    return {"r": {"use": "fallback", "targets": list(targets), **keys}}


def asked(one: Stand) -> list[str]:
    """The hosts that were asked, in order."""
    return [request.url.split("/")[2].split(".")[0] for request in one.exit.requests]


def settled(one: Stand) -> None:
    assert len(one.records) == 1
    assert (one.ledger.held, one.ledger.open_holds) == (0, 0)


NEXT = {
    "rate": BUSY, "server": FAILED, "unreachable": UNREACHABLE, "timeout": TIMEOUT, "auth": DEAD,
    "empty": EMPTY, "hidden": HIDDEN, "garbled": GARBLED,
    "cut": (200, [b'{"half":', UpstreamError("upstream_cut")]),
}  # fmt: skip


@pytest.mark.parametrize("script", NEXT.values(), ids=NEXT)
async def test_most_failures_go_on_with_the_next_target(tmp_path: Path, script: Any) -> None:
    one = stand(tmp_path, script, GOOD, tree=tree())
    _, client = await one.call({"model": "r"})
    assert (client.status, asked(one)) == (200, ["a", "b"])
    assert b"canary" not in client.body
    settled(one)


@pytest.mark.parametrize(("script", "status", "code"), [
    (TOO_LONG, 400, "upstream_context"), (POLICY, 400, "upstream_policy"), (REFUSED, 400, "upstream_refused"),
])  # fmt: skip
async def test_a_call_that_is_at_fault_is_not_tried_elsewhere(
    tmp_path: Path, script: Any, status: int, code: str
) -> None:
    one = stand(tmp_path, script, tree=tree())
    exchange, _ = await one.call({"model": "r"})
    assert asked(one) == ["a"]
    assert exchange.error is not None
    assert (exchange.error.code, one.records[0].status) == (code, status)
    settled(one)


async def test_a_call_that_is_too_long_goes_on_with_a_model_that_takes_more(tmp_path: Path) -> None:
    models = {"gpt-4": {"provider": "a"}, "gpt-4o-mini": {"provider": "b"}}
    made = tree(models=models, routes=route("gpt-4", "c", "gpt-4o-mini"))
    made["providers"]["a"] = {"use": "openai", "needs_key": False, "base_url": "https://a.example/v1"}
    made["providers"]["b"] = {"use": "openai", "needs_key": False, "base_url": "https://b.example/v1"}
    one = stand(tmp_path, TOO_LONG, GOOD, tree=made)
    _, client = await one.call({"model": "r", "max_tokens": 10})
    assert client.status == 200
    assert asked(one) == ["a", "b"]  # c's size is not known


KINDS = {
    "rate": BUSY, "server": FAILED, "timeout": TIMEOUT, "context": TOO_LONG, "policy": POLICY, "auth": DEAD,
    "empty": EMPTY,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chained", KINDS)
async def test_each_kind_follows_its_own_chain_and_no_other(tmp_path: Path, kind: str, chained: str) -> None:
    made = tree(routes=route("a", "b", on={chained: ["c"]}))
    one = stand(tmp_path, KINDS[kind], GOOD, tree=made)
    _, client = await one.call({"model": "r"})
    if kind == chained:
        assert (client.status, asked(one)) == (200, ["a", "c"])
    elif kind in ("context", "policy"):
        assert asked(one) == ["a"]
    else:
        assert asked(one) == ["a", "b"]
    settled(one)


async def test_a_chain_is_entered_once_and_may_lead_to_another(tmp_path: Path) -> None:
    made = tree(routes=route("a", on={"server": ["b", "c"], "timeout": ["a"]}))
    made["upstream"]["attempts"] = 4
    one = stand(tmp_path, FAILED, TIMEOUT, FAILED, FAILED, tree=made)
    exchange, _ = await one.call({"model": "r"})
    assert asked(one)[:3] == ["a", "b", "a"]
    assert len(exchange.attempts) <= 4
    settled(one)


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_dearer_target_is_asked_only_where_that_is_allowed(tmp_path: Path, allowed: bool) -> None:
    made = tree(routes=route("a", "dear", on={"timeout": ["dear"]}, allow_costlier=allowed))
    one = stand(tmp_path, BUSY, GOOD, tree=made)
    await one.call({"model": "r"})
    assert asked(one) == (["a", "dear"] if allowed else ["a"])
    two = stand(tmp_path / "chain", TIMEOUT, GOOD, tree=made)
    await two.call({"model": "r"})
    assert asked(two) == (["a", "dear"] if allowed else ["a"])
    settled(two)


async def test_a_dearer_target_does_not_count_in_the_hold_unless_it_may_be_asked(tmp_path: Path) -> None:
    held = []
    for allowed in (False, True):
        made = tree(routes=route("a", "dear", allow_costlier=allowed))
        one = stand(tmp_path / str(allowed), GOOD, tree=made)
        await one.call({"model": "r", "max_tokens": 100})
        held.append(one.records[0].held_nanos)
    assert held[1] == 9 * held[0]


async def test_the_model_that_the_caller_named_follows_a_cheaper_one_that_stood_in(tmp_path: Path) -> None:
    made = tree(routes={"dear": {"use": "fallback", "targets": ["a", "dear"]}})
    one = stand(tmp_path, BUSY, GOOD, tree=made)
    await one.call({"model": "dear"})
    assert asked(one) == ["a", "dear"]
    settled(one)


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_target_at_rest_is_no_leave_to_ask_a_dearer_one(tmp_path: Path, allowed: bool) -> None:
    made = tree(
        routes=route("a", "dear", "b", allow_costlier=allowed),
        upstream={"breaker_failures": 1, "attempts": 1},
    )
    one = stand(tmp_path, FAILED, GOOD, FAILED, GOOD, tree=made)
    await one.call({"model": "r"})
    exchange, _ = await one.call({"model": "r"})
    assert asked(one) == (["a", "dear"] if allowed else ["a", "b"])
    assert exchange.error is None


async def test_where_only_a_dearer_target_is_well_the_call_waits_for_the_declared_one(tmp_path: Path) -> None:
    made = tree(routes=route("a", "dear"), upstream={"breaker_failures": 1, "attempts": 1})
    one = stand(tmp_path, FAILED, tree=made)
    await one.call({"model": "r"})
    exchange, _ = await one.call({"model": "r"})
    assert asked(one) == ["a"]
    assert exchange.error is not None
    assert exchange.error.code == "upstream_resting"


async def test_a_fallback_beyond_the_most_that_a_call_may_cost_refuses_only_itself(tmp_path: Path) -> None:
    made = tree(routes=route("a", "dear", allow_costlier=True))
    single = stand(tmp_path / "one", GOOD, tree=made)
    await single.call({"model": "a", "max_tokens": 100})
    tags = Tags(max_cost=Nanos(2 * (single.records[0].held_nanos or 0)))
    for script, outcome in ((GOOD, Outcome.OK), (BUSY, Outcome.UPSTREAM_ERROR)):
        two = stand(tmp_path / outcome, script, GOOD, tree=made)
        await two.call({"model": "r", "max_tokens": 100}, tags=tags)
        assert asked(two) == ["a"]
        assert two.records[0].outcome == outcome
        settled(two)


# --- number, time and money ---------------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
@pytest.mark.parametrize("script", [FAILED, TIMEOUT, BUSY])
async def test_however_many_targets_fail_attempts_and_money_are_bounded(
    tmp_path: Path, attempts: int, script: Any
) -> None:
    single = stand(tmp_path / "one", GOOD, tree=tree())
    await single.call({"model": "a", "max_tokens": 100})
    most = single.records[0].held_nanos
    made = tree(upstream={"attempts": attempts})
    one = stand(tmp_path / "all", *[script] * 9, tree=made)
    exchange, _ = await one.call({"model": "r", "max_tokens": 100})
    assert len(exchange.attempts) == len(one.exit.requests) == min(attempts, 5 if script is FAILED else 3)
    record = one.records[0]
    assert record.cost_nanos is not None
    assert record.cost_nanos <= record.held_nanos <= attempts * most
    if script is TIMEOUT:
        assert record.held_nanos == min(attempts, 3) * most  # each may have been computed and billed
    else:
        assert record.held_nanos == most  # the provider said that it was not
    settled(one)


async def test_no_further_attempt_is_made_where_the_cap_does_not_cover_it(tmp_path: Path) -> None:
    single = stand(tmp_path / "one", GOOD, tree=tree())
    await single.call({"model": "a", "max_tokens": 100})
    most = single.records[0].held_nanos
    caller = replace(CALLER, cap=Nanos(2 * most - 1))
    one = stand(tmp_path / "two", TIMEOUT, GOOD, tree=tree(), caller=caller)
    exchange, _ = await one.call({"model": "r", "max_tokens": 100})
    assert asked(one) == ["a"]
    assert exchange.error is not None
    assert exchange.error.code == "upstream_timeout"  # what the provider did, not what we could not pay
    settled(one)
    other = stand(tmp_path / "three", FAILED, GOOD, tree=tree(), caller=caller)
    await other.call({"model": "r", "max_tokens": 100})
    assert asked(other) == ["a", "b"]  # a refused call costs nothing


@pytest.mark.parametrize("of_key", [False, True])
async def test_the_most_a_call_may_cost_bounds_all_its_attempts_together(
    tmp_path: Path, of_key: bool
) -> None:
    single = stand(tmp_path / "one", GOOD, tree=tree())
    await single.call({"model": "a", "max_tokens": 100})
    most = Nanos(single.records[0].held_nanos * 2)
    caller = replace(CALLER, rights=Rights(max_cost=most)) if of_key else CALLER
    tags = Tags() if of_key else Tags(max_cost=most)
    one = stand(tmp_path / "two", TIMEOUT, TIMEOUT, GOOD, tree=tree(), caller=caller)
    await run(one.flow, {"model": "r", "max_tokens": 100}, tags=tags)
    assert asked(one) == ["a", "b"]
    settled(one)


async def test_a_process_that_is_killed_counts_what_the_hold_had_grown_to(tmp_path: Path) -> None:
    one = stand(tmp_path, TIMEOUT, (200, [asyncio.CancelledError]), tree=tree())
    opened: list[int] = []
    note = one.journal.open

    def open_(id: Slug, opening: Any) -> None:
        opened.append(opening.held_nanos)
        note(id, opening)

    one.journal.open = open_  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await one.call({"model": "r", "max_tokens": 100})
    assert opened == [one.records[0].held_nanos // 2, one.records[0].held_nanos]
    # The journal of a process that was killed before the closing line.
    lines = (next(one.journal.folder.glob("*.log"))).read_bytes().splitlines(keepends=True)
    left = tmp_path / "left" / "worker-0-dead"
    left.mkdir(parents=True)
    (left / "lock").touch()
    (left / "000001.log").write_bytes(b"".join(line for line in lines if line[8:9] != b"c"))
    [record] = replay(tmp_path / "left")
    assert (record.outcome, record.cost_nanos) == (Outcome.INTERRUPTED, opened[1])
    settled(one)


async def test_no_attempt_begins_after_the_calls_time(tmp_path: Path) -> None:
    made = tree(upstream={"call_timeout": "50ms", "retry_pause": "100ms", "attempts": 20})
    one = stand(tmp_path, *[FAILED] * 20, tree=made)
    began = asyncio.get_running_loop().time()
    await one.call({"model": "a"})
    assert asyncio.get_running_loop().time() - began < 0.5
    assert len(one.exit.requests) <= 2
    settled(one)


class Slow:
    """An exit that never answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def open(self, request: Any, permit: Any) -> Any:
        self.asked += 1
        await asyncio.sleep(60)

    def release(self, answer: Any) -> None:
        raise AssertionError("nothing was opened")


async def test_an_attempt_waits_no_longer_than_what_is_left_of_the_calls_time(tmp_path: Path) -> None:
    one = stand(tmp_path, tree=tree(upstream={"call_timeout": "80ms"}))
    slow = Slow()
    for target in ("a", "b", "c"):
        found = one.flow.catalogue._pool.get(target)
        assert found is not None
        found.exit = slow  # type: ignore[assignment]
    one.flow.catalogue._found.clear()
    began = asyncio.get_running_loop().time()
    exchange, _ = await one.call({"model": "r"})
    assert 0.05 < asyncio.get_running_loop().time() - began < 1
    assert exchange.error is not None
    assert (exchange.error.code, slow.asked) == ("upstream_timeout", 1)
    settled(one)


async def test_all_targets_at_rest_are_told_at_once(tmp_path: Path) -> None:
    made = tree(upstream={"attempts": 3, "breaker_failures": 1})
    one = stand(tmp_path, FAILED, FAILED, FAILED, tree=made)
    await one.call({"model": "r"})
    assert asked(one) == ["a", "b", "c"]
    exchange, client = await one.call({"model": "r"})
    assert asked(one) == ["a", "b", "c"]
    assert not client.started
    assert exchange.error is not None
    assert (exchange.error.code, exchange.error.public, exchange.error.status) == (
        "upstream_resting", "unavailable", 503,
    )  # fmt: skip
    assert exchange.error.after_s is not None
    assert one.records[1].outcome is Outcome.UPSTREAM_ERROR


# --- streams: a look before the first byte goes out ----------------------------------------------------


def event(**delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return b"data: " + orjson.dumps({"object": "chat.completion.chunk", "choices": [choice]}) + b"\n\n"


ROLE = event(role="assistant", content="")
WORD = event(content="word")
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"canary","type":"server_error"}}\n\n'
SOUND = (200, [ROLE, WORD, STOP, DONE])
STREAM = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize("before", [0, 1])
async def test_an_error_before_any_content_goes_on_with_the_next_target(tmp_path: Path, before: int) -> None:
    one = stand(tmp_path, (200, [*[ROLE] * before, ERROR]), SOUND, tree=tree())
    _, client = await one.call({**STREAM, "model": "r"})
    assert asked(one) == ["a", "b"]
    assert client.body == ROLE + WORD + STOP + DONE  # of the second one only
    assert client.finished
    settled(one)


async def test_an_error_behind_content_is_passed_on_and_nobody_else_is_asked(tmp_path: Path) -> None:
    one = stand(tmp_path, (200, [ROLE, WORD, WORD, WORD, WORD, ERROR]), SOUND, tree=tree())
    _, client = await one.call({**STREAM, "model": "r"})
    assert asked(one) == ["a"]
    assert client.parts[0] == ROLE + WORD  # what was held back goes with the first content
    assert client.parts[1:5] == [WORD, WORD, WORD, ERROR]
    assert client.aborted
    settled(one)


async def test_with_nobody_else_to_ask_nothing_is_held_back(tmp_path: Path) -> None:
    made = tree(upstream={"attempts": 1})
    one = stand(tmp_path, (200, [ROLE, ERROR]), tree=made)
    _, client = await one.call({**STREAM, "model": "a"})
    assert client.parts[:2] == [ROLE, ERROR]


@pytest.mark.parametrize(
    "steps", [[ROLE, STOP, DONE], [DONE], [ROLE, UpstreamError("upstream_cut")], [ROLE], [ERROR]]
)
async def test_a_stream_without_content_goes_on_with_the_next_target(
    tmp_path: Path, steps: list[Any]
) -> None:
    one = stand(tmp_path, (200, steps), SOUND, tree=tree())
    _, client = await one.call({**STREAM, "model": "r"})
    assert asked(one) == ["a", "b"]
    assert client.body.count(WORD) == 1
    settled(one)


async def test_the_last_target_may_be_empty(tmp_path: Path) -> None:
    one = stand(tmp_path, EMPTY, EMPTY, EMPTY, tree=tree(upstream={"attempts": 3}))
    _, client = await one.call({"model": "r"})
    assert (client.status, client.body) == (200, EMPTY[1][0])
    settled(one)


async def test_an_answer_is_held_back_no_longer_than_it_may_be(tmp_path: Path) -> None:
    made = tree(upstream={"peek_time": "30ms"})

    class Waiting:
        status, headers = 200, (("content-type", "text/event-stream"),)

        def __init__(self) -> None:
            self.steps = [ROLE, WORD, STOP, DONE]

        async def read(self) -> bytes:
            if len(self.steps) == 3:
                await asyncio.sleep(0.15)
            return self.steps.pop(0) if self.steps else b""

    class Exit:
        released = 0

        async def open(self, request: Any, permit: Any) -> Waiting:
            return Waiting()

        def release(self, answer: Any) -> None:
            self.released += 1

    one, exit = stand(tmp_path, tree=made), Exit()
    found = one.flow.catalogue._pool.get("a")
    assert found is not None
    found.exit = exit
    one.flow.catalogue._found.clear()
    _, client = await one.call({**STREAM, "model": "r"})
    assert client.parts == [ROLE, WORD, STOP, DONE]  # the role went out alone, when its time was up
    assert (client.finished, exit.released) == (True, 1)
    settled(one)


async def test_an_answer_is_held_back_up_to_its_size_only(tmp_path: Path) -> None:
    one = stand(tmp_path, (200, [ROLE, ROLE, ROLE, WORD, STOP, DONE]), tree=tree(upstream={"peek": "64B"}))
    _, client = await one.call({**STREAM, "model": "r"})
    assert client.parts[0] == ROLE
    settled(one)
