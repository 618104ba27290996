"""How soon the canary stops a worse trial, and how often it stops one that is not worse: simulated.

    python bench/canary.py [--runs 1000] [--calls 5000] [--every 50]

Calls are drawn at random: errors at a rate, times and costs log-normal (sigma 1, as those of language models
are), the trial's with its own rate and means. The rules are looked at after every so many calls, as the
running gateway does. For each case: how many runs were stopped, and after how many calls of both arms.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from statistics import median, quantiles

from gateway.contracts import Arm
from gateway.routers.canary import STABLE, TRIAL, Rollback, judge

SIGMA = 1.0
LATENCY_US = 2_000_000.0
COST_NANOS = 3_000_000.0


@dataclass(frozen=True, slots=True)
class Case:
    """What is simulated. latency and cost: the trial's means as multiples of the stable one's."""

    name: str
    null: bool = False
    share: float = 0.1
    errors: float = 0.01
    trial_errors: float = 0.01
    latency: float = 1.0
    cost: float = 1.0


CASES = (
    Case("the same", null=True),
    Case("the same, half of all calls", null=True, share=0.5),
    Case("the same, no errors", null=True, errors=0.0, trial_errors=0.0),
    Case(
        "at every limit: errors 2 %, 1.2x time, 1.2x cost",
        null=True,
        trial_errors=0.02,
        latency=1.2,
        cost=1.2,
    ),
    Case(
        "the same at the limits, half of all calls",
        null=True,
        share=0.5,
        trial_errors=0.02,
        latency=1.2,
        cost=1.2,
    ),
    Case("errors 1 % -> 6 %", trial_errors=0.06),
    Case("errors 1 % -> 20 %", trial_errors=0.2),
    Case("time 1.5x", latency=1.5),
    Case("cost 2x", cost=2.0),
    Case("errors 1 % -> 6 %, half of all calls", share=0.5, trial_errors=0.06),
    Case("time 1.5x, half of all calls", share=0.5, latency=1.5),
    Case("cost 2x, half of all calls", share=0.5, cost=2.0),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of all runs of a case: how many were stopped, by which rule, and after how many calls."""

    case: Case
    runs: int
    stopped: tuple[int, ...]
    rules: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Share of the runs that were stopped."""
        return len(self.stopped) / self.runs


def simulate(case: Case, runs: int, calls: int, every: int, rules: Rollback, seed: int) -> Outcome:
    """Run a case."""
    ended = [run(case, calls, every, rules, Random(f"{seed}/{number}")) for number in range(runs)]
    found = [one for one in ended if one is not None]
    return Outcome(case, runs, tuple(number for number, _ in found), tuple(rule for _, rule in found))


def run(case: Case, calls: int, every: int, rules: Rollback, random: Random) -> tuple[int, str] | None:
    """One run: after how many calls it was stopped, and by which rule; None: it was not."""
    trial, stable = Arm(reason=TRIAL), Arm(reason=STABLE)
    for number in range(every, calls + 1, every):
        tried = sum(random.random() < case.share for _ in range(every))
        trial = drawn(trial, tried, case.trial_errors, case.latency, case.cost, random)
        stable = drawn(stable, every - tried, case.errors, 1.0, 1.0, random)
        for one in judge(trial, stable, rules):
            if one.evidence >= one.needed:
                return number, one.rule
    return None


def drawn(arm: Arm, count: int, errors: float, latency: float, cost: float, random: Random) -> Arm:
    """An arm with so many calls more."""
    failed = sum(random.random() < errors for _ in range(count))
    times = [LATENCY_US * latency * draw for draw in lognormal(count - failed, random)]
    costs = [COST_NANOS * cost * draw for draw in lognormal(count - failed, random)]
    return replace(
        arm,
        calls=arm.calls + count,
        errors=arm.errors + failed,
        timed=arm.timed + count - failed,
        time_us=arm.time_us + round(sum(times)),
        time_squares=arm.time_squares + sum(time * time for time in times),
        priced=arm.priced + count - failed,
        cost_nanos=arm.cost_nanos + round(sum(costs)),
        cost_squares=arm.cost_squares + sum(one * one for one in costs),
    )


def lognormal(count: int, random: Random) -> Iterator[float]:
    """Draws with a mean of 1."""
    return (random.lognormvariate(-SIGMA * SIGMA / 2, SIGMA) for _ in range(count))


def line(found: Outcome) -> str:
    """A row of the table in docs/canary.md."""
    when = "-"
    if found.stopped:
        tenth = quantiles(found.stopped, n=10)[-1] if len(found.stopped) > 1 else found.stopped[0]
        when = f"{median(found.stopped):.0f} | {tenth:.0f}"
    else:
        when = "- | -"
    return f"| {found.case.name} | {found.rate:.1%} | {when} |"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Simulate the canary.")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rules = Rollback()
    print("| trial | runs stopped | calls until then, median | 9 of 10 runs |")
    print("|---|---|---|---|")
    for case in CASES:
        found = simulate(case, arguments.runs, arguments.calls, arguments.every, rules, arguments.seed)
        print(line(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
