"""A month whose answer is known: the replay equals the closed form, and tells how unsure it is."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.contracts import Choice, Question
from gateway.exchange import Target
from gateway.names import UNKNOWN, Slug
from gateway.records import Outcome, PathKind, Record
from gateway.upstreams.habits import Habits
from gateway.upstreams.hindsight import Forecast, Hindsight
from gateway.upstreams.policy import Policies, Policy
from gateway.usage import Nanos, Price, Rates, Scheme
from tests.sample_records import a_record

NOTHING: Any = None
DAY_US = 86_400 * 10**6
CODE, PROSE = Slug("code"), Slug("prose")


def price(input: int, output: int, **rates: int) -> Price:
    base = Rates(input=input, output=output, **rates)
    return Price(version=Slug("1"), standard=Scheme(base=base))


DEAR = price(3_000_000, 15_000_000, cached=300_000)
CHEAP = price(100_000, 400_000)
LATER = price(200_000, 800_000)
"""What the cheap one costs from day 15 on."""


def target(name: str) -> Target:
    return Target(
        name=Slug(f"p/{name}"),
        provider_name=Slug("p"),
        provider=NOTHING,
        model=name,
        exit=NOTHING,
        price=None,
    )


TARGETS = {name: target(name) for name in ("dear", "cheap")} | {
    f"p/{name}": target(name) for name in ("dear", "cheap")
}


def price_at(one: Target, at_us: int) -> Price | None:
    if one.model == "dear":
        return DEAR
    return CHEAP if at_us < 15 * DAY_US else LATER


class ByTask:
    """Code to the cheap one, the rest to the dear one."""

    def targets(self) -> tuple[str, ...]:
        return ("dear", "cheap")

    def plan(self, question: Question) -> Choice:
        first = Slug("cheap") if question.labels.task == CODE else Slug("dear")
        return Choice(order=(first,), reason=Slug("by-task"))


class Drawn:
    """One of both, by chance."""

    def targets(self) -> tuple[str, ...]:
        return ("dear", "cheap")

    def plan(self, question: Question) -> Choice:
        first = Slug("cheap") if question.seed % 2 else Slug("dear")
        return Choice(order=(first,), reason=Slug("drawn"))


def a_call(number: int, day: int = 0, **changes: Any) -> Record:
    """A call that the dear model answered: 1,000 tokens in, 100 out."""
    known = {
        "at": day * DAY_US,
        "task": CODE,
        "model_requested": Slug("dear"),
        "model_routed": Slug("p/dear"),
        "tokens_input": 1000,
        "tokens_output": 100,
        "cost_nanos": Nanos(4_500_000),
        "first_byte_us": 1000,
    }
    return a_record(number, **(known | changes))


def replayed(records: list[Record], router: Any = None, runs: int = 5, **others: Any) -> Forecast:
    habits = Habits()
    for record in records:
        habits.saw(record)
    names = (Slug("dear"), Slug("cheap"))
    policy = Policy(name=Slug("auto"), router=router or ByTask(), targets=names)
    known = {"resolve": TARGETS.get, "price_at": price_at, "serves": lambda record, one: True} | others
    return Hindsight(policy, Policies(SystemClock(), 10**9), habits, runs=runs, **known).replay(records)


def test_a_month_costs_what_the_closed_form_says() -> None:
    # 30 days, each with 10 calls for code, which move, and 10 for prose, which stay.
    month = [
        a_call(day * 20 + number, day, task=CODE if number < 10 else PROSE)
        for day in range(30)
        for number in range(20)
    ]
    found = replayed(month)
    stay = 300 * 4_500_000
    first, second = 150 * (1000 * 100 + 100 * 400), 150 * (1000 * 200 + 100 * 800)
    assert (found.paid, found.cost) == (600 * 4_500_000, stay + first + second)
    assert (found.calls, found.moved, found.guessed, found.failed) == (600, 300, 300, 0)
    # What is not known is how long the cheap model's answers are: a quarter of what they cost.
    assert found.margin == (150 * 100 * 400 + 150 * 100 * 800) // 4
    assert (found.cache, found.chance, found.kept.total()) == (0, 0, 0)
    assert found.models == {"p/cheap": 300, "p/dear": 300}


def test_where_both_models_were_seen_at_a_task_the_length_of_answers_is_measured() -> None:
    seen = [
        a_call(1000 + number, model_routed=Slug("p/cheap"), tokens_output=150, cost_nanos=Nanos(160_000))
        for number in range(30)
    ]
    found = replayed([*(a_call(number) for number in range(100)), *seen])
    assert found.cost == 100 * (1000 * 100 + 150 * 400) + 30 * 160_000
    assert (found.moved, found.guessed, found.length) == (100, 0, 0)  # all answers were of one length


def test_answers_of_many_lengths_leave_a_margin() -> None:
    seen = [
        a_call(1000 + number, model_routed=Slug("p/cheap"), tokens_output=50 + 100 * (number % 2))
        for number in range(100)
    ]
    found = replayed([a_call(1), *(a_call(2 + number) for number in range(99)), *seen])
    # The mean is 100 and its standard error 50.25 / 10: 1.96 of these are 98 thousandths of it.
    assert found.length == 5 * 100 * -(-100 * 400 * 98 // 1000)


def test_what_a_prompt_cache_saved_may_be_lost_elsewhere() -> None:
    warm = a_call(1, task=CODE, tokens_cached=400, cost_nanos=Nanos(3_420_000))
    cached = {"dear": DEAR, "cheap": price(100_000, 400_000, cached=50_000)}
    found = replayed([warm], price_at=lambda one, at: cached[one.model])
    assert found.cost == 600 * 100 + 400 * 50 + 100 * 400
    assert found.margin == 400 * 50 + 100 * 400 // 4


def test_chance_is_told_by_several_runs_that_come_out_the_same_each_time() -> None:
    month = [a_call(number) for number in range(400)]
    found, again = (replayed(month, Drawn(), runs=20) for _ in range(2))
    assert found.totals == again.totals
    # Each call costs 4.5 million or 0.14 million, at even chances.
    mean, deviation = 400 * (4_500_000 + 140_000) / 2, 20 * (4_500_000 - 140_000) / 2
    assert abs(found.cost - mean) < 3 * deviation / 20**0.5
    assert deviation < found.chance < 4 * deviation
    assert replayed(month, Drawn(), runs=1).chance == 0


def test_what_cannot_be_replayed_counts_as_it_was() -> None:
    records = [
        a_call(1, path_kind=PathKind.EMBEDDINGS),
        a_call(2, outcome=Outcome.UPSTREAM_ERROR),
        a_call(3, attempts=0),
        a_call(4, units_searches=1),
        a_call(5, dialect=Slug("gemini_generate")),
        a_call(6, outcome=Outcome.CLIENT_CLOSED),
        a_call(7, cost_nanos=None, priced=False),
    ]
    found = replayed(records, serves=lambda record, one: record.dialect != "gemini_generate")
    assert found.kept == {"other_kind": 1, "no_answer": 2, "other_units": 1, "no_candidate": 1}
    assert (found.calls, found.unpriced, found.moved) == (6, 1, 1)
    assert (found.paid, found.cost) == (6 * 4_500_000, 5 * 4_500_000 + 140_000)


def test_a_model_that_has_no_price_is_no_candidate_and_one_without_a_class_leaves_the_call_alone() -> None:
    without = {"dear": None, "cheap": Price(version=Slug("1"), standard=Scheme(base=Rates(input=1)))}
    found = replayed([a_call(1)], price_at=lambda one, at: without[one.model])
    assert (found.kept, found.cost) == ({"no_price": 1}, 4_500_000)
    assert replayed([a_call(1)], price_at=lambda one, at: None).kept == {"no_candidate": 1}


class Curious:
    """Keeps what it is asked."""

    def __init__(self, answer: Choice | None = None) -> None:
        self.asked: list[Question] = []

    def targets(self) -> tuple[str, ...]:
        return ("dear", "cheap")

    def plan(self, question: Question) -> Choice:
        self.asked.append(question)
        return Choice(order=(Slug("dear"),), reason=Slug("curious"))


def test_a_policy_is_asked_with_all_that_a_record_tells() -> None:
    router = Curious()
    full = a_call(
        3, day=20, feature=Slug("f"), environment=Slug("e"), session=Slug("s"), customer=Slug("c"),
        task_confidence=700,
    )  # fmt: skip
    replayed([full, replace(full, id=Slug("b"), session=None, model_requested=UNKNOWN)], router, runs=2)
    first, second, third, _ = router.asked
    assert (first.kind, first.key, first.at_us, first.tokens) == (PathKind.CHAT, "key-1", 20 * DAY_US, 1000)
    assert (first.labels.task, first.labels.confidence, first.requested) == (CODE, 700, "dear")
    assert (first.tags.feature, first.tags.environment, first.tags.session) == ("f", "e", "s")
    assert first.seed != second.seed
    assert (third.requested, third.session == first.session) == (None, False)
    dear, cheap = first.candidates["dear"], first.candidates["cheap"]
    assert (cheap.input_price, cheap.estimate, cheap.latency_us) == (200_000, 280_000, None)
    assert (dear.name, dear.healthy, dear.latency_us) == ("p/dear", True, 1000)


class Broken(Curious):
    """Has no choice."""

    def plan(self, question: Question) -> Choice:
        raise KeyError("x")


def test_a_policy_that_fails_is_told() -> None:
    found = replayed([a_call(1, cost_nanos=Nanos(7))], Broken(), runs=1)
    assert (found.failed, found.cost) == (1, 7)  # the model that was asked for


@pytest.mark.parametrize("task", [CODE, PROSE])
def test_a_ratio_of_lengths_needs_enough_answers_of_both(task: Slug) -> None:
    habits = Habits()
    for number in range(30):
        habits.saw(a_call(number))
        habits.saw(a_call(number, outcome=Outcome.CLIENT_CLOSED, task=PROSE))
        habits.saw(a_call(number, model_routed=Slug("p/cheap"), first_byte_us=None, tokens_output=50))
    found = habits.ratio(task, Slug("p/dear"), Slug("p/cheap"))
    assert (found.known, found.over / found.under) == ((True, 0.5) if task == CODE else (False, 1))
