"""The policies as pure functions: the same question has the same answer."""

from collections import Counter

import pytest

from gateway.contracts import NO_TAGS, Candidate, Labels, Question, Shape
from gateway.names import Slug
from gateway.records import PathKind
from gateway.routers.cheapest import Cheapest
from gateway.routers.fallback import Fallback
from gateway.routers.fixed import Fixed
from gateway.routers.weighted import Weighted
from gateway.usage import Nanos


def candidate(name: str, estimate: int | None = 1, *, healthy: bool = True) -> tuple[Slug, Candidate]:
    return Slug(name), Candidate(
        name=Slug(f"p/{name}"),
        healthy=healthy,
        input_price=1,
        output_price=1,
        estimate=None if estimate is None else Nanos(estimate),
    )


def question(*candidates: tuple[Slug, Candidate], seed: int = 0) -> Question:
    return Question(
        kind=PathKind.CHAT,
        shape=Shape(),
        labels=Labels(),
        tags=NO_TAGS,
        key=Slug("key"),
        candidates=dict(candidates),
        seed=seed,
    )


def test_fixed_names_its_one_target() -> None:
    router = Fixed(Fixed.Config(target="a"))
    assert router.targets() == ("a",)
    assert router.plan(question(candidate("a"))).order == ("a",)


def test_fallback_keeps_its_order_and_puts_the_sick_last() -> None:
    router = Fallback(Fallback.Config(targets=("a", "b", "c")))
    assert router.targets() == ("a", "b", "c")
    sick = question(candidate("a", healthy=False), candidate("b"), candidate("c"))
    assert router.plan(sick).order == ("b", "c", "a")
    assert router.plan(question(candidate("c"))).order == ("c",)


def test_cheapest_puts_unknown_prices_and_the_sick_last() -> None:
    router = Cheapest(Cheapest.Config(targets=("a", "b", "c", "d")))
    asked = question(
        candidate("a", 5), candidate("b", None), candidate("c", 3), candidate("d", 1, healthy=False)
    )
    assert router.plan(asked).order == ("c", "a", "b", "d")
    assert router.targets() == ("a", "b", "c", "d")


def test_weighted_draws_as_often_as_the_weights_say_and_keeps_the_rest_as_fallback() -> None:
    router = Weighted(Weighted.Config(weights={"a": 3, "b": 1, "c": 0}))
    candidates = [candidate("a"), candidate("b"), candidate("c")]
    orders = [router.plan(question(*candidates, seed=seed)).order for seed in range(4000)]
    first = Counter(order[0] for order in orders)
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert 2800 < first["a"] < 3200
    assert first["c"] == 0
    assert router.targets() == ("a", "b", "c")


def test_weighted_with_nobody_healthy_keeps_the_heaviest_first() -> None:
    router = Weighted(Weighted.Config(weights={"a": 1, "b": 3}))
    sick = question(candidate("a", healthy=False), candidate("b", healthy=False))
    assert router.plan(sick).order == ("b", "a")


@pytest.mark.parametrize("weights", [{}, {"a": -1, "b": 3}, {"a": 0}])
def test_weights_that_draw_nothing_are_refused(weights: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        Weighted(Weighted.Config(weights=weights))
