"""One-sided bounds: what a share or a ratio of means is at least, as far as a sample tells."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

_STEPS: Final = 200
_TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Kept:
    """A share of quality: as measured, and at least. 1 is all of it."""

    measured: float
    bound: float


@dataclass(frozen=True, slots=True)
class Sample:
    """Scores from 0 to 1, added up."""

    count: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """0 for an empty sample."""
        return self.total / self.count if self.count else 0.0

    @property
    def mean_variance(self) -> float:
        """Of the mean. One made-up score at each end keeps a sample of equals from looking certain."""
        count = self.count + 2
        mean = (self.total + 1) / count
        return max((self.squares + 1) / count - mean * mean, 0.0) / count


def share_kept(successes: float, count: int, confidence: float) -> Kept:
    """What share of all cases succeeds.

    The posterior is Beta(successes, failures + 1): before the first case it says that none does.

    Args:
        successes: how many did; half a success counts half.
        confidence: how sure the bound is to be, above 0.5 and below 1.
    """
    if count <= 0:
        return Kept(0.0, 0.0)
    return Kept(successes / count, beta_quantile(successes, count - successes + 1.0, 1.0 - confidence))


def ratio_kept(candidate: Sample, requested: Sample, confidence: float) -> Kept:
    """The ratio of two means that were measured apart from each other.

    The bound is Fieller's: the least ratio that the two samples do not rule out.
    """
    if not candidate.count or not requested.count or requested.mean <= 0:
        return Kept(0.0, 0.0)
    reach = NormalDist().inv_cdf(confidence) ** 2
    above, below = candidate.mean, requested.mean
    a = below * below - reach * requested.mean_variance
    b = above * below
    c = above * above - reach * candidate.mean_variance
    if a <= 0 or (root := b * b - a * c) < 0:
        return Kept(above / below, 0.0)
    return Kept(above / below, max((b - math.sqrt(root)) / a, 0.0))


def beta_quantile(a: float, b: float, share: float) -> float:
    """The point below which a share of Beta(a, b) lies, to nine digits; 0 for a = 0, 1 for b = 0."""
    if a <= 0 or b <= 0:
        return 0.0 if a <= 0 else 1.0
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        if beta_share(a, b, middle) < share:
            low = middle
        else:
            high = middle
    return low


def beta_share(a: float, b: float, x: float) -> float:
    """How much of Beta(a, b) lies below x: the regularised incomplete beta function."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1.0 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for step in range(1, _STEPS):
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        d, c = 1.0 / _away(1.0 + even * d), _away(1.0 + even / c)
        value *= d * c
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        d, c = 1.0 / _away(1.0 + odd * d), _away(1.0 + odd / c)
        value *= d * c
        if abs(d * c - 1.0) < 1e-12:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
