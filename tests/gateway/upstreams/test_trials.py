"""Records of a route reach the routers that try something out, each record once."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from gateway import log
from gateway.contracts import Arm, Choice, Question, Standing
from gateway.names import Slug
from gateway.store.memory import MemoryStore
from gateway.upstreams.policy import Policy
from gateway.upstreams.trials import Trials, trials
from tests.sample_records import a_record


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """What is logged during a test."""
    out = io.StringIO()
    log.configure(out=out)
    yield out
    log.configure()


A, B = Slug("a"), Slug("b")


class Try:
    """A trial that is stopped at so many calls."""

    def __init__(self, most: int = 100, since_us: int = 0, fails: bool = False) -> None:
        self._most = most
        self._fails = fails
        self.since_us = since_us
        self.heard: list[list[Arm]] = []
        self._standing = Standing(trial=Arm(reason=A), stable=Arm(reason=B))

    def targets(self) -> tuple[str, ...]:
        return ("m",)

    def plan(self, question: Question) -> Choice:
        return Choice(order=(Slug("m"),), reason=A)

    def learn_arms(self, arms: Sequence[Arm]) -> None:
        if self._fails:
            raise KeyError("x")
        self.heard.append(list(arms))
        calls = sum(arm.calls for arm in arms)
        stopped = Slug("errors") if calls >= self._most else None
        self._standing = Standing(trial=Arm(reason=A, calls=calls), stable=Arm(reason=B), stopped=stopped)

    def standing(self) -> Standing:
        return self._standing


class Plain:
    """A router that tries nothing."""

    def targets(self) -> tuple[str, ...]:
        return ("m",)

    def plan(self, question: Question) -> Choice:
        return Choice(order=(Slug("m"),), reason=A)


def a_route(router: Any, **parts: Any) -> Policy:
    inner = {Slug(name): Policy(name=Slug(name), router=part) for name, part in parts.items()}
    return Policy(name=Slug("auto"), router=router, parts=inner)


def a_call(number: int, reason: str = "a", route: str = "auto") -> Any:
    return a_record(number, model_requested=Slug(route), route_reason=Slug(reason))


async def test_what_comes_is_added_to_what_was_read_before() -> None:
    records, one = MemoryStore().records, Try()
    look = Trials(records)
    routes = {Slug("auto"): a_route(one)}
    await look.look(routes)
    await records.add([a_call(1), a_call(2), a_call(3, "b"), a_call(4, route="else")])
    await look.look(routes)
    await records.add([a_call(2), a_call(5), a_call(6, "c")])
    await look.look(routes)
    heard = [{str(arm.reason): arm.calls for arm in arms} for arms in one.heard]
    assert heard == [{}, {"a": 2, "b": 1}, {"a": 3, "b": 1, "c": 1}]
    (arm,) = [arm for arm in one.heard[-1] if arm.reason == A]
    assert (arm.timed, arm.time_us, arm.cost_nanos) == (3, 3 * 1234, 3 * 1000 + 1 + 2 + 5)


async def test_a_trial_that_ends_is_told_once(told: io.StringIO) -> None:
    records, one = MemoryStore().records, Try(most=2)
    look = Trials(records)
    routes = {Slug("auto"): a_route(Plain(), inner=one)}
    await records.add([a_call(1), a_call(2)])
    for _ in range(2):
        await look.look(routes)
    assert look.stopped == 1
    assert told.getvalue().count("canary.stopped") == 1


async def test_after_a_reload_the_new_trials_read_everything_anew() -> None:
    records, one, two = MemoryStore().records, Try(), Try(since_us=2000)
    look = Trials(records)
    await records.add([a_call(1), a_call(2)])
    await look.look({Slug("auto"): a_route(one)})
    await look.look({Slug("auto"): a_route(two)})
    assert [arm.calls for arm in one.heard[-1]] == [2]
    assert [arm.calls for arm in two.heard[-1]] == [1]
    await look.look({})
    assert look.stopped == 0


async def test_a_trial_that_raises_costs_nothing_but_what_it_would_have_learnt(
    told: io.StringIO,
) -> None:
    broken, one = Try(fails=True), Try()
    look = Trials(MemoryStore().records)
    await look.look({Slug("auto"): a_route(broken, inner=one)})
    assert len(one.heard) == 1
    assert "route.unteachable" in told.getvalue()
    assert [route for route, _ in trials({Slug("auto"): a_route(Plain())})] == []
