"""Policies inside each other, and policies that are not to be trusted: a call is served all the same."""

import io
import time
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from itertools import count, repeat
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import log
from gateway.contracts import Choice, Question
from gateway.names import MAX_LENGTH, Slug
from gateway.routers.weighted import Weighted
from gateway.upstreams.policy import POLICY_FAILED, REST_NS, STRIKES, Policies, Policy, Troubles
from tests.routers.questions import among, candidate, question

MS = 10**6
A, B, C, X, Y = (Slug(name) for name in ("a", "b", "c", "x", "y"))


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """What is logged during a test."""
    out = io.StringIO()
    log.configure(out=out)
    yield out
    log.configure()


class MovedClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.ns = 1

    def now_us(self) -> int:
        return self.ns // 1000

    def tick_ns(self) -> int:
        return self.ns


class Scripted:
    """A router that does what it is told, and keeps what it was asked."""

    def __init__(self, act: Callable[[Question], Any]) -> None:
        self.act = act
        self.asked: list[Question] = []

    def targets(self) -> tuple[str, ...]:
        return ()

    def plan(self, question: Question) -> Any:
        self.asked.append(question)
        return self.act(question)


def policy(name: str, act: Callable[[Question], Any], *targets: Slug | Policy, **facts: Any) -> Policy:
    parts = {one.name: one for one in targets if isinstance(one, Policy)}
    names = tuple(one.name if isinstance(one, Policy) else one for one in targets)
    return Policy(name=Slug(name), router=Scripted(act), targets=names, parts=parts, **facts)


def says(*names: Any, reason: Any = "said") -> Callable[[Question], Any]:
    return lambda question: Choice(order=names, reason=reason)


def last_first(question: Question) -> Choice:
    return Choice(order=tuple(reversed(question.candidates)), reason=Slug("backwards"))


def policies(
    clock: MovedClock | None = None, troubles: Troubles | None = None, time_ns: int = 10**9
) -> Policies:
    return Policies(clock or MovedClock(), time_ns, troubles)


def asked_of(one: Policy) -> Question:
    router: Any = one.router
    asked: Question = router.asked[-1]
    return asked


# --- nested


def test_a_part_is_asked_first_and_its_order_stands_where_its_name_was() -> None:
    part = policy("auto.1", says(C, B, reason="inside"), B, C)
    whole = policy("auto", says(X, "auto.1", A, reason="outside"), A, part, X)
    choice = policies().choose(whole, question(among("a", "b", "c", "x")))
    assert (choice.order, choice.reason) == (("x", "c", "b", "a"), "outside")
    seen = asked_of(whole).candidates
    assert list(seen) == ["a", "auto.1", "x"]
    assert seen[Slug("auto.1")].name == "p/c"
    assert set(asked_of(part).candidates) == {"b", "c"}


def test_reasons_are_joined_along_the_way_to_the_first_target() -> None:
    deepest = policy("three", says(A, reason="cheapest"), A)
    middle = policy("two", says("three", reason="rule-1"), deepest, B)
    whole = policy("one", says("two", reason="sticky"), middle, C)
    assert policies().choose(whole, question(among("a", "b", "c"))).reason == "sticky/rule-1/cheapest"


def test_a_reason_is_cut_where_it_becomes_too_long() -> None:
    part = policy("two", says(A, reason="i" * MAX_LENGTH), A)
    reason = policies().choose(policy("one", says("two", reason="out"), part), question(among("a"))).reason
    assert reason == ("out/" + "i" * MAX_LENGTH)[:MAX_LENGTH]


def test_a_model_that_several_parts_name_comes_once() -> None:
    one, two = policy("p.1", says(A, B), A, B), policy("p.2", says(B, C), B, C)
    choice = policies().choose(policy("p", says("p.1", "p.2"), one, two), question(among("a", "b", "c")))
    assert choice.order == ("a", "b", "c")


def test_a_part_without_candidates_is_not_among_those_of_the_whole() -> None:
    part = policy("p.1", says(B), B)
    whole = policy("p", last_first, part, A)
    assert policies().choose(whole, question(among("a"))).order == ("a",)
    assert list(asked_of(whole).candidates) == ["a"]
    assert not part.router.asked  # type: ignore[attr-defined]


def test_without_any_candidate_there_is_no_order_and_nobody_is_asked() -> None:
    whole = policy("p", says(A), A, policy("p.1", says(B), B))
    assert policies().choose(whole, question({})) == Choice(order=(), reason=POLICY_FAILED)
    assert not whole.router.asked  # type: ignore[attr-defined]


def test_the_requested_model_is_told_only_to_a_policy_that_names_it() -> None:
    part = policy("p.1", says(B), A, B)
    whole = policy("p", says("p.1"), part, C)
    policies().choose(whole, question(among("a", "b", "c"), requested=A))
    assert asked_of(part).requested == A
    assert asked_of(whole).requested is None


def test_all_else_of_the_question_reaches_every_part() -> None:
    part = policy("p.1", says(A), A)
    whole = policy("p", says("p.1"), part)
    given_ = question(among("a"), tokens=7, session=3, affinity=9, spent=1, at_us=5, key=Slug("k"))
    policies().choose(whole, given_)
    for one in (part, whole):
        told = asked_of(one)
        assert (told.tokens, told.session, told.affinity, told.spent, told.at_us, told.key) == (
            7,
            3,
            9,
            1,
            5,
            "k",
        )


def test_policies_in_each_other_do_not_draw_alike() -> None:
    router = Weighted(Weighted.Config(weights={"a": 1, "b": 1}))
    part = Policy(name=Slug("p.1"), router=router, targets=(A, B))
    outer = Weighted(Weighted.Config(weights={"p.1": 1, "c": 1}))
    whole = Policy(name=Slug("p"), router=outer, targets=(part.name, C), parts={part.name: part})
    asked = among("a", "b", "c")
    first = [policies().choose(whole, question(asked, seed=seed)).order[0] for seed in range(2000)]
    shares = {name: first.count(name) / 2000 for name in (A, B, C)}
    assert abs(shares[C] - 0.5) < 0.05
    assert abs(shares[A] - 0.25) < 0.05
    assert abs(shares[B] - 0.25) < 0.05


def test_the_leaves_are_told_in_order() -> None:
    whole = policy("p", says(), A, policy("p.1", says(), B, policy("p.1.1", says(), C)), X)
    assert list(whole.leaves()) == ["a", "b", "c", "x"]


# --- not to be trusted


def raises(error: BaseException) -> Callable[[Question], Any]:
    def act(question: Question) -> Any:
        raise error

    return act


class Lying:
    """Not a Choice at all."""

    reason = "said"

    @property
    def order(self) -> Any:
        raise RuntimeError("canary text")


RUBBISH: dict[str, Callable[[Question], Any]] = {
    "raises": raises(RuntimeError("canary text")),
    "leaves": raises(SystemExit("canary text")),
    "is cancelled": raises(CancelledError("canary text")),
    "does not end": lambda question: recurse(),
    "nothing": lambda question: None,
    "a text": lambda question: "canary text",
    "a number": lambda question: 7,
    "no choice": lambda question: Lying(),
    "an order of nothing": says(),
    "no order": lambda question: Choice(order=None, reason=Slug("x")),  # type: ignore[arg-type]
    "an order that is a number": lambda question: Choice(order=5, reason=Slug("x")),  # type: ignore[arg-type]
    "names it may not choose": says("z", "canary text", "p"),
    "what is no name": says(None, 7, A.encode()),
    "what cannot be looked up": says([], A),
    "an endless order of strangers": lambda question: Choice(order=(f"n{n}" for n in count()), reason=X),  # type: ignore[arg-type]
    "a sentence for a reason": says(A, reason="canary text"),
    "no reason": says(A, reason=None),
}


def recurse() -> Any:
    return recurse()


@pytest.mark.parametrize("how", RUBBISH)
def test_rubbish_costs_the_choice_and_never_the_call(how: str, logged: io.StringIO) -> None:
    troubles = Troubles()
    whole = policy("p", RUBBISH[how], A, B, C)
    choice = policies(troubles=troubles).choose(whole, question(among("a", "b", "c")))
    assert choice == Choice(order=(A, B, C), reason=POLICY_FAILED)
    assert (troubles.failed, troubles.late) == (1, 0)
    [line] = logged.getvalue().splitlines()
    told = orjson.loads(line)
    assert (told["event"], told["route"]) == ("route.failed", "p")
    assert "canary" not in line


def test_without_its_policy_a_call_goes_to_the_model_it_named_or_else_to_the_baseline() -> None:
    whole = policy("p", says(), A, B, C, baseline=C)
    asked = among("a", "b", "c")
    assert policies().choose(whole, question(asked, requested=B)).order == ("b",)
    assert policies().choose(whole, question(asked)).order == ("c",)
    assert policies().choose(whole, question(among("a", "b"), requested=C)).order == ("a", "b")


def test_both_are_found_inside_its_parts_too() -> None:
    whole = policy("p", says(), policy("p.1", says(A, B), A, B), C, baseline=B)
    asked = among("a", "b", "c")
    assert policies().choose(whole, question(asked)).order == ("b",)
    assert policies().choose(whole, question(asked, requested=A)).order == ("a",)


def test_without_its_policy_the_configurations_order_holds_with_that_of_the_parts() -> None:
    whole = policy("p", says(), policy("p.1", says(B, A), A, B), C)
    assert policies().choose(whole, question(among("a", "b", "c"))).order == ("b", "a", "c")


def test_a_part_that_fails_is_one_of_the_choices_all_the_same() -> None:
    part = policy("p.1", says(), A, B)
    choice = policies().choose(
        policy("p", says("p.1", C, reason="out"), part, C), question(among("a", "b", "c"))
    )
    assert (choice.order, choice.reason) == (("a", "b", "c"), "out/policy_failed")


def test_names_that_are_none_of_its_candidates_are_left_out_and_the_rest_is_heard() -> None:
    choice = policies().choose(policy("p", says("z", B, X, B, A), A, B), question(among("a", "b", "x")))
    assert (choice.order, choice.reason) == (("b", "a"), "said")


def test_an_endless_order_is_read_to_its_bound() -> None:
    act = lambda question: Choice(order=repeat(B), reason=Slug("said"))  # type: ignore[arg-type]  # noqa: E731
    assert policies().choose(policy("p", act, A, B), question(among("a", "b"))).order == ("b",)


def test_a_policy_cannot_give_itself_candidates() -> None:
    def act(question: Question) -> Choice:
        question.candidates[X] = candidate()  # type: ignore[index]
        return Choice(order=(X,), reason=Slug("said"))

    whole = policy("p", act, A)
    assert policies().choose(whole, question(among("a"))).order == ("a",)
    assert isinstance(asked_of(whole).candidates, MappingProxyType)


class Busy:
    """Keeps the processor busy for a time."""

    def __init__(self, time_ns: int) -> None:
        self.time_ns = time_ns

    def __call__(self, question: Question) -> Choice:
        until_ns = time.thread_time_ns() + self.time_ns
        while time.thread_time_ns() < until_ns:
            pass
        return last_first(question)


def sleeps(question: Question) -> Choice:
    time.sleep(0.06)
    return last_first(question)


@pytest.mark.parametrize("act", [sleeps, Busy(3 * MS)])
def test_a_policy_that_takes_too_long_is_not_heard(
    act: Callable[[Question], Choice], logged: io.StringIO
) -> None:
    troubles = Troubles()
    choice = policies(troubles=troubles, time_ns=MS).choose(policy("p", act, A, B), question(among("a", "b")))
    assert choice == Choice(order=(A, B), reason=POLICY_FAILED)
    assert (troubles.failed, troubles.late) == (0, 1)
    [line] = logged.getvalue().splitlines()
    told = orjson.loads(line)
    assert (told["event"], told["route"], told["took_us"] >= 3000) == ("route.late", "p", True)


def test_what_the_machine_took_is_not_held_against_a_policy() -> None:
    def waits(question: Question) -> Choice:
        time.sleep(0.003)  # as when another process has the processor: less than fifty times the limit
        return last_first(question)

    choice = policies(time_ns=2 * MS).choose(policy("p", waits, A, B), question(among("a", "b")))
    assert choice.reason == "backwards"


def test_after_three_failures_in_a_row_it_rests_for_a_minute_and_then_recovers(
    logged: io.StringIO,
) -> None:
    clock, troubles = MovedClock(), Troubles()
    whole = policy("p", says(), A, B)
    router: Any = whole.router
    box = policies(clock, troubles)
    asked = question(among("a", "b"))
    for _ in range(STRIKES + 5):
        assert box.choose(whole, asked).reason == POLICY_FAILED
    assert len(router.asked) == STRIKES
    router.act = last_first
    clock.ns += REST_NS - 1
    assert box.choose(whole, asked).reason == POLICY_FAILED
    clock.ns += 1
    assert box.choose(whole, asked).reason == "backwards"
    assert (troubles.failed, troubles.rests) == (STRIKES, 1)
    events = [orjson.loads(line) for line in logged.getvalue().splitlines()]
    assert [one["event"] for one in events] == ["route.failed"] * STRIKES + ["route.resting"]
    assert (events[-1]["level"], events[-1]["rest_s"]) == ("error", 60)


def test_failures_with_a_good_choice_between_them_are_not_in_a_row() -> None:
    acts: Iterator[Callable[[Question], Any]] = iter([says(), says(), last_first] * 4)
    whole = policy("p", lambda question: next(acts)(question), A, B)
    box = policies()
    reasons = [box.choose(whole, question(among("a", "b"))).reason for _ in range(12)]
    assert reasons == [POLICY_FAILED, POLICY_FAILED, "backwards"] * 4


def test_one_policy_that_rests_leaves_the_others_alone() -> None:
    part, box = policy("p.1", says(), A, B), policies()
    whole = policy("p", last_first, part, C)
    for _ in range(STRIKES + 1):
        choice = box.choose(whole, question(among("a", "b", "c")))
        assert (choice.order, choice.reason) == (("c", "a", "b"), "backwards")


@settings(max_examples=200, deadline=None)
@given(
    how=st.sampled_from([*RUBBISH.values(), last_first, says(A), says("p.1", A)]),
    inside=st.sampled_from([*RUBBISH.values(), last_first, says(B)]),
    names=st.sets(st.sampled_from([A, B, C])),
    requested=st.none() | st.sampled_from([A, B, C, X]),
    baseline=st.none() | st.sampled_from([A, B, C, X]),
)
def test_whatever_policies_do_the_order_is_made_of_candidates_and_not_empty(
    how: Callable[[Question], Any],
    inside: Callable[[Question], Any],
    names: set[Slug],
    requested: Slug | None,
    baseline: Slug | None,
) -> None:
    whole = policy("p", how, A, policy("p.1", inside, B, C), baseline=baseline)
    choice = policies().choose(whole, question(among(*names), requested=requested))
    assert set(choice.order) <= names
    assert bool(choice.order) is bool(names)
    assert len(set(choice.order)) == len(choice.order)
    assert type(choice.reason) is Slug
    assert all(type(name) is Slug for name in choice.order)
