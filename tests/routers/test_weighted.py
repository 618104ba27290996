"""weighted: by chance, each as often as its weight says."""

from collections import Counter

import pytest
from hypothesis import given

from gateway.contracts import Question
from gateway.names import Slug
from gateway.routers.weighted import HEAVIEST, Weighted
from tests.routers.questions import NAMES, among, plan_all, question, questions

WEIGHTS = {"a": 5, "b": 3, "c": 1, "d": 1, "e": 0}
ROUTER = Weighted(Weighted.Config(weights=WEIGHTS))
DRAWS = 5000


def test_each_is_drawn_as_often_as_its_weight_says() -> None:
    first = Counter(ROUTER.plan(question(among(*NAMES), seed=seed)).order[0] for seed in range(DRAWS))
    expected = {name: DRAWS * weight / 10 for name, weight in WEIGHTS.items() if weight}
    chi_square = sum((first[Slug(name)] - share) ** 2 / share for name, share in expected.items())
    assert chi_square < 16.3  # passed by chance in 999 of 1000 worlds, with 3 degrees of freedom
    assert first[Slug("e")] == 0
    assert ROUTER.targets() == NAMES


def test_the_rest_follows_heaviest_first() -> None:
    orders = {ROUTER.plan(question(among(*NAMES), seed=seed)).order for seed in range(200)}
    assert ("a", "b", "c", "d", "e") in orders
    assert ("b", "a", "c", "d", "e") in orders
    assert all(list(order[1:]) == sorted(order[1:]) for order in orders)


def test_a_sick_target_is_not_drawn_and_its_share_goes_to_the_others() -> None:
    candidates = among("b", "c", "d", "e") | among("a", healthy=False)
    first = Counter(ROUTER.plan(question(candidates, seed=seed)).order[0] for seed in range(DRAWS))
    assert first[Slug("a")] == 0
    assert abs(first[Slug("b")] / DRAWS - 0.6) < 0.03


def test_a_weight_of_0_still_comes_before_the_sick() -> None:
    assert ROUTER.plan(question(among("a", "b", healthy=False) | among("e"))).order == ("e", "a", "b")


def test_with_nobody_healthy_the_heaviest_comes_first() -> None:
    assert ROUTER.plan(question(among("a", "b", "c", healthy=False))).order == ("a", "b", "c")


@given(questions())
def test_all_that_can_serve_the_call_come_and_the_sick_last(asked: Question) -> None:
    assert plan_all(ROUTER, asked).reason == "weighted"


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ({}, "^weights: name at least one"),
        ({"a": -1, "b": 3}, r"^weights\.a: a weight is a whole number from 0 to"),
        ({"a": HEAVIEST + 1}, r"^weights\.a: "),
        ({"a": 0, "b": 0}, "^weights: one of them must be above 0"),
        ({"two words": 1}, r"^weights\.0: a name has letters"),
    ],
)
def test_weights_that_draw_nothing_are_refused(weights: dict[str, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Weighted(Weighted.Config(weights=weights))
