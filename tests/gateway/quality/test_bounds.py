"""Bounds: against values worked out by hand, and against what they promise."""

import random

import pytest

from gateway.quality.bounds import Kept, Sample, beta_quantile, beta_share, ratio_kept, share_kept


@pytest.mark.parametrize(
    ("a", "b", "x", "share"),
    [(1, 1, 0.3, 0.3), (2, 1, 0.5, 0.25), (1, 2, 0.5, 0.75), (2, 2, 0.5, 0.5), (5, 3, 0.6, 0.419904)],
)
def test_the_beta_distribution_is_right_where_it_can_be_worked_out(
    a: float, b: float, x: float, share: float
) -> None:
    assert beta_share(a, b, x) == pytest.approx(share, abs=1e-9)
    assert beta_quantile(a, b, share) == pytest.approx(x, abs=1e-6)


def test_its_ends_are_its_ends() -> None:
    assert (beta_share(2, 3, 0.0), beta_share(2, 3, 1.0)) == (0.0, 1.0)
    assert (beta_quantile(0, 1, 0.1), beta_quantile(1, 0, 0.1)) == (0.0, 1.0)


def test_large_samples_are_near_the_normal_curve() -> None:
    bound = beta_quantile(9900, 101, 0.1)
    assert bound == pytest.approx(0.9899 - 1.2816 * (0.99 * 0.01 / 10_000) ** 0.5, abs=2e-4)


def test_before_the_first_case_nothing_is_proven() -> None:
    assert share_kept(0, 0, 0.9) == Kept(0.0, 0.0)
    assert share_kept(0, 5, 0.9) == Kept(0.0, 0.0)
    assert share_kept(1, 1, 0.9).bound == pytest.approx(0.1)
    assert share_kept(100, 100, 0.9).bound == pytest.approx(0.1 ** (1 / 100))


def test_a_share_bound_is_broken_as_seldom_as_it_says() -> None:
    chance, broken = random.Random(5), 0
    for _ in range(300):
        hits = sum(chance.random() < 0.95 for _ in range(150))
        broken += share_kept(hits, 150, 0.9).bound > 0.95
    assert broken / 300 < 0.13


def sample(scores: list[float]) -> Sample:
    return Sample(len(scores), sum(scores), sum(score * score for score in scores))


def test_a_ratio_bound_is_broken_as_seldom_as_it_says() -> None:
    chance, broken = random.Random(6), 0
    for _ in range(300):
        one = sample([float(chance.random() < 0.57) for _ in range(200)])
        two = sample([float(chance.random() < 0.6) for _ in range(200)])
        broken += ratio_kept(one, two, 0.9).bound > 0.95
    assert broken / 300 < 0.13


def test_a_ratio_needs_both_samples_and_something_to_keep() -> None:
    some = sample([1.0, 0.0, 1.0])
    assert ratio_kept(Sample(0, 0, 0), some, 0.9) == Kept(0.0, 0.0)
    assert ratio_kept(some, Sample(0, 0, 0), 0.9) == Kept(0.0, 0.0)
    assert ratio_kept(some, sample([0.0, 0.0]), 0.9) == Kept(0.0, 0.0)
    assert Sample(0, 0, 0).mean == 0.0


def test_a_few_scores_prove_no_ratio_even_when_all_are_equal() -> None:
    assert ratio_kept(sample([1.0] * 3), sample([1.0] * 3), 0.9).bound < 0.8
    assert ratio_kept(sample([1.0] * 5000), sample([1.0] * 5000), 0.9).bound > 0.99
    assert ratio_kept(sample([0.1]), sample([0.1]), 0.99).bound == 0.0
