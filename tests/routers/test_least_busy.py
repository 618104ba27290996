"""least_busy: the fewest calls under way."""

from collections import Counter

from hypothesis import given

from gateway.contracts import Question
from gateway.routers.least_busy import LeastBusy
from tests.routers.questions import NAMES, among, candidate, plan_all, question, questions

ROUTER = LeastBusy(LeastBusy.Config(targets=NAMES))


def test_the_least_busy_comes_first_however_slow() -> None:
    asked = {
        NAMES[0]: candidate(in_flight=2, latency_us=1),
        NAMES[1]: candidate(in_flight=1, latency_us=10**6),
        NAMES[2]: candidate(in_flight=0, healthy=False),
    }
    assert ROUTER.plan(question(asked)).order == ("b", "a", "c")


def test_chance_decides_between_equals() -> None:
    first = Counter(ROUTER.plan(question(among(*NAMES), seed=seed)).order[0] for seed in range(1000))
    assert set(first) == set(NAMES)
    assert all(abs(count - 200) < 60 for count in first.values())


@given(questions())
def test_the_order_is_that_of_the_calls_under_way(asked: Question) -> None:
    choice = plan_all(ROUTER, asked)
    assert choice.reason == "least_busy"
    candidates = asked.candidates
    busy = [(not candidates[name].healthy, candidates[name].in_flight) for name in choice.order]
    assert busy == sorted(busy)
