"""cheapest: by the most that the call can cost there."""

from hypothesis import given

from gateway.contracts import Question
from gateway.routers.cheapest import Cheapest
from tests.routers.questions import NAMES, candidate, plan_all, question, questions

ROUTER = Cheapest(Cheapest.Config(targets=NAMES))


def test_unknown_prices_come_last_and_the_sick_after_them() -> None:
    asked = {
        NAMES[0]: candidate(estimate=5),
        NAMES[1]: candidate(estimate=None),
        NAMES[2]: candidate(estimate=3),
        NAMES[3]: candidate(estimate=1, healthy=False),
    }
    assert ROUTER.plan(question(asked)).order == ("c", "a", "b", "d")
    assert ROUTER.plan(question(asked)).reason == "cheapest"
    assert ROUTER.targets() == NAMES


def test_of_equals_the_declared_order_decides_and_nothing_is_not_unknown() -> None:
    asked = {
        NAMES[0]: candidate(estimate=None),
        NAMES[2]: candidate(estimate=0),
        NAMES[1]: candidate(estimate=0),
    }
    assert ROUTER.plan(question(asked)).order == ("b", "c", "a")


@given(questions())
def test_no_healthy_target_costs_less_than_the_first(asked: Question) -> None:
    order = plan_all(ROUTER, asked).order
    healthy = [asked.candidates[name] for name in order if asked.candidates[name].healthy]
    known = [one.estimate for one in healthy if one.estimate is not None]
    assert known == sorted(known)
    assert known == [one.estimate for one in healthy][: len(known)]
