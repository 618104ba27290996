"""The simulator of bad days: what breakers, fallbacks and policies are worth, on a clock of its own."""

import pytest

from bench.bad_day import DAYS, ROUTERS, Day, Tally, outage


def day(policy: str, which: str, calls: int = 3000) -> Tally:
    return Day(ROUTERS[policy](), DAYS[which]()).run(calls, 50.0)


@pytest.mark.parametrize("which", ["a down", "a flaky", "a slow", "a throttled"])
@pytest.mark.parametrize("policy", ["fallback", "weighted", "fastest", "least_busy"])
def test_one_bad_target_of_three_costs_hardly_a_call(policy: str, which: str) -> None:
    tally = day(policy, which)
    assert len(tally.took_s) + tally.failed == 3000
    assert tally.share() >= 0.999


def test_no_more_than_probes_reach_a_target_that_is_down() -> None:
    tally = day("fallback", "a down")  # 60 seconds
    assert tally.requests["a"] < 15


def test_policies_that_watch_beat_chance_where_one_target_is_slow() -> None:
    chance, watching = day("weighted", "a slow"), day("fastest", "a slow")
    assert watching.percentile(0.99) < chance.percentile(0.99) / 2
    assert watching.requests["a"] < chance.requests["a"] / 5


def test_when_all_targets_are_down_calls_are_refused_at_once_and_probes_come_one_at_a_time() -> None:
    one = Day(ROUTERS["fallback"](), (outage, outage, outage))
    tally = one.run(6000, 50.0)  # 120 seconds, of which the second half is the outage
    during = 3000
    assert tally.fast_failed > 0.8 * during
    assert all(count < during * 1.1 for count in tally.requests.values())


def test_the_same_seed_is_the_same_day() -> None:
    assert day("weighted", "a flaky").took_s == day("weighted", "a flaky").took_s
