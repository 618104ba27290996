"""fastest: the better of two, so that the slow are avoided and the quick not flooded."""

from collections import Counter

from hypothesis import given

from gateway.contracts import Candidate, Question
from gateway.names import Slug
from gateway.routers.fastest import Fastest
from tests.routers.questions import NAMES, candidate, plan_all, question, questions

ROUTER = Fastest(Fastest.Config(targets=NAMES))
SEEDS = range(1000)


def firsts(candidates: dict[Slug, Candidate]) -> Counter[Slug]:
    return Counter(ROUTER.plan(question(candidates, seed=seed)).order[0] for seed in SEEDS)


def timed(*latencies_us: int | None) -> dict[Slug, Candidate]:
    return {name: candidate(latency_us=us) for name, us in zip(NAMES, latencies_us, strict=False)}


def test_load_is_spread_over_all_but_the_slowest() -> None:
    first = firsts(timed(1000, 1100, 1200, 1300, 50_000))
    assert first[NAMES[4]] == 0
    # Of ten pairs the quickest wins four, the next three, then two and one.
    for name, share in zip(NAMES, (0.4, 0.3, 0.2, 0.1), strict=False):
        assert abs(first[name] / len(SEEDS) - share) < 0.05


def test_equals_share_alike() -> None:
    assert all(abs(count - 200) < 60 for count in firsts(timed(*[1000] * 5)).values())


def test_of_two_the_slow_one_is_never_asked() -> None:
    assert firsts(timed(900, 1000)) == {NAMES[0]: 1000}


def test_calls_under_way_weigh_as_much_as_latency() -> None:
    busy = {
        NAMES[0]: candidate(latency_us=1000, in_flight=9),
        NAMES[1]: candidate(latency_us=3000, in_flight=1),
        NAMES[2]: candidate(latency_us=90_000, healthy=True),
    }
    assert firsts(busy)[NAMES[1]] > 600
    assert ROUTER.plan(question(busy)).order[-1] == NAMES[2]


def test_a_target_nobody_asked_yet_is_tried_by_one_call_at_a_time() -> None:
    known = timed(1000, 1000, 1000)
    unknown = known | {NAMES[3]: candidate(latency_us=None)}
    on_trial = known | {NAMES[3]: candidate(latency_us=None, in_flight=1)}
    assert firsts(unknown)[NAMES[3]] > 450  # every pair it is in
    assert firsts(on_trial)[NAMES[3]] == 0
    assert ROUTER.plan(question(on_trial)).order[-1] == NAMES[3]


def test_where_none_is_known_the_first_calls_go_to_all() -> None:
    some_busy = {name: candidate(latency_us=None, in_flight=n) for n, name in enumerate(NAMES)}
    assert firsts(timed(*[None] * 5)).keys() == set(NAMES)
    assert NAMES[4] not in firsts(some_busy)


@given(questions())
def test_all_that_can_serve_the_call_come_and_the_sick_last(asked: Question) -> None:
    assert plan_all(ROUTER, asked).reason == "fastest"
