"""Tests that may be looked at after every call: how sure it is by now that one arm is worse than another.

Each answers with the logarithm of an e-value: a number whose mean is at most 1 as long as the arm is not
worse, however often it is looked at. To stop at 1/alpha is therefore wrong with a chance of at most alpha,
over all looks together.

Sources: Ville's inequality; Robbins, "Statistical methods related to the law of the iterated logarithm"
(mixtures); Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
sequences"; Waudby-Smith et al., "Time-uniform central limit theory and asymptotic confidence sequences".
"""

from dataclasses import dataclass
from math import erfc, exp, lgamma, log, log1p, sqrt
from typing import Final

PRIOR: Final = (1.0, 30.0)
"""Of the mixture over error rates: the mass lies where error rates do, near 0. Any choice is valid."""

WIDTH: Final = 0.25
"""Of the mixture over means, as a share of what the limit allows. Any fixed choice is valid."""

_STEPS: Final = 50
_GOLDEN: Final = (sqrt(5) - 1) / 2
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Means:
    """Numbers of one arm, added up."""

    count: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """The mean; count must not be 0."""
        return self.total / self.count

    @property
    def variance(self) -> float:
        """Of one number; count must be at least 2."""
        return max(self.squares - self.total * self.mean, 0.0) / (self.count - 1)


def rate_evidence(errors: int, calls: int, other_errors: int, other_calls: int, margin: float) -> float:
    """How sure it is that an arm's error rate is above the other's by more than margin.

    The product of two beta mixtures, one for each arm, at the rates that fit best and are not worse. Exact:
    it holds from the first call on.
    """
    if not calls or not other_calls or errors / calls - other_errors / other_calls <= margin:
        return 0.0

    def at(rate: float) -> float:
        return _rate(errors, calls, rate + margin) + _rate(other_errors, other_calls, rate)

    low, high = 0.0, 1.0 - margin
    for _ in range(_STEPS):  # both parts are convex, so their sum has one lowest point
        width = (high - low) * _GOLDEN
        one, other = high - width, low + width
        if at(one) < at(other):
            high = other
        else:
            low = one
    return at((low + high) / 2)


def _rate(errors: int, calls: int, rate: float) -> float:
    """The logarithm of a beta mixture by the likelihood of one rate."""
    rate = min(max(rate, _TINY), 1 - _TINY)
    left, right = PRIOR
    mixed = _log_beta(errors + left, calls - errors + right) - _log_beta(left, right)
    return mixed - errors * log(rate) - (calls - errors) * log1p(-rate)


def _log_beta(left: float, right: float) -> float:
    return lgamma(left) + lgamma(right) - lgamma(left + right)


def mean_evidence(arm: Means, other: Means, ratio: float) -> float:
    """How sure it is that an arm's mean is more than ratio times the other's.

    A one-sided normal mixture over the difference, with the variances as measured. Asymptotic: it holds from
    some hundred calls of both arms on, which the caller sees to.
    """
    if min(arm.count, other.count) < 2:
        return 0.0
    allowed = ratio * other.mean
    difference = arm.mean - allowed
    variance = arm.variance / arm.count + ratio * ratio * other.variance / other.count
    if difference <= 0 or allowed <= 0:
        return 0.0
    spread = (WIDTH * allowed) ** 2
    variance = max(variance, spread * _TINY)
    share = spread / (variance + spread)
    signal = difference * difference / variance * share / 2
    # Twice the normal distribution's share below: the half of the mixture on the worse side.
    below = erfc(-sqrt(signal))
    return log(variance / (variance + spread)) / 2 + signal + log(below)


def chance(evidence: float) -> float:
    """The chance at most with which so much evidence comes about without cause."""
    return min(1.0, exp(-evidence))
