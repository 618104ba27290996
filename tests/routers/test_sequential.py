"""Evidence against an arm: what is known in closed form, and that it does not lie when looked at often."""

from math import exp, log, sqrt
from random import Random

import pytest

from gateway.routers.sequential import Means, chance, mean_evidence, rate_evidence


def test_an_arm_that_is_no_worse_has_no_evidence_against_it() -> None:
    assert rate_evidence(1, 100, 1, 100, 0.0) == 0.0
    assert rate_evidence(3, 100, 1, 100, 0.02) == 0.0
    assert rate_evidence(0, 0, 1, 100, 0.0) == rate_evidence(9, 9, 0, 0, 0.0) == 0.0
    same = Means(100, 200.0, 500.0)
    assert mean_evidence(same, same, 1.0) == 0.0
    assert mean_evidence(Means(1, 9.0, 81.0), same, 1.0) == 0.0
    assert mean_evidence(same, Means(100, 0.0, 0.0), 1.0) == 0.0


def test_a_single_error_proves_nothing_and_many_do() -> None:
    assert rate_evidence(1, 1, 0, 1000, 0.01) < log(20)
    assert rate_evidence(20, 100, 10, 1000, 0.01) > log(1000)
    assert rate_evidence(40, 200, 10, 1000, 0.01) > rate_evidence(20, 100, 10, 1000, 0.01)


def test_the_evidence_of_means_is_the_mixture_worked_out_by_hand() -> None:
    # 100 numbers of mean 2 and variance 1 against as many of mean 1 and variance 1, at most 1.2 times.
    arm, other = Means(100, 200.0, 99.0 + 400.0), Means(100, 100.0, 99.0 + 100.0)
    variance, spread = (1 + 1.44) / 100, 0.3**2
    signal = 0.8**2 * spread / (2 * variance * (variance + spread))
    z = sqrt(2 * signal)
    below = 1 - exp(-z * z / 2) / (z * sqrt(2 * 3.141592653589793))  # nearly: the tail beyond z is small
    expected = log(2 * sqrt(variance / (variance + spread)) * below) + signal
    assert mean_evidence(arm, other, 1.2) == pytest.approx(expected, abs=1e-4)
    assert mean_evidence(Means(100, 200.0, 400.0), Means(100, 100.0, 100.0), 1.2) > 1000  # no variance at all


def test_evidence_is_a_chance_of_a_false_alarm() -> None:
    assert (chance(0.0), chance(-3.0)) == (1.0, 1.0)
    assert chance(log(20)) == pytest.approx(0.05)


def test_looked_at_after_every_call_the_false_alarms_stay_below_what_was_promised() -> None:
    # Both arms at the limit exactly: the trial's rate is 2 points above the stable one's.
    random, alarms = Random(7), 0
    for _ in range(40):
        errors = other_errors = 0
        for calls in range(1, 151):
            errors += random.random() < 0.07
            other_errors += random.random() < 0.05
            if rate_evidence(errors, calls, other_errors, calls, 0.02) >= log(10):
                alarms += 1
                break
    assert alarms <= 4  # alpha is 10 %
