"""A provider's bad day on a clock of its own: scripted targets; real policies, breakers, order of attempts.

    python bench/bad_day.py [--calls 20000] [--rate 50] [--seed 1]

Nothing is sent anywhere and no time passes: each call is a generator that yields how long it waits. What is
real: the routers, Policies, Gate with its breakers and credentials, and Course. What is not: the network,
money, and the pause before a repetition is not spread by chance.
"""

import argparse
import heapq
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.content import Secret
from gateway.contracts import Candidate, Labels, Question, Router, Shape, Tags
from gateway.errors import GatewayError, UpstreamBusy, UpstreamError, UpstreamTimeout
from gateway.exchange import Attempt, Plan, Target
from gateway.names import Slug
from gateway.records import PathKind
from gateway.routers.cheapest import Cheapest
from gateway.routers.fallback import Fallback
from gateway.routers.fastest import Fastest
from gateway.routers.fixed import Fixed
from gateway.routers.least_busy import LeastBusy
from gateway.routers.weighted import Weighted
from gateway.upstreams.breaker import Rules
from gateway.upstreams.course import Course
from gateway.upstreams.gate import Gate
from gateway.upstreams.health import Health
from gateway.upstreams.policy import Policies, Policy
from gateway.upstreams.pool import Credential, Loaded, Pool
from gateway.usage import Nanos

SECOND_NS: Final = 10**9
NOBODY: Any = None
NAMES: Final = ("a", "b", "c")
PRICES: Final = {"a": 3, "b": 2, "c": 1}

Behaviour = Callable[[float, random.Random], tuple[float, GatewayError | None]]
"""Seconds since the beginning → seconds that a request takes, and how it fails."""


def steady(now_s: float, chance: random.Random) -> tuple[float, GatewayError | None]:
    """200 ms, more or less."""
    return chance.lognormvariate(-1.6, 0.3), None


def slow(now_s: float, chance: random.Random) -> tuple[float, GatewayError | None]:
    """Ten times as long."""
    return 10 * steady(now_s, chance)[0], None


def flaky(now_s: float, chance: random.Random) -> tuple[float, GatewayError | None]:
    """Three of ten fail."""
    if chance.random() < 0.3:
        return 0.1, UpstreamError("upstream_failed")
    return steady(now_s, chance)


def down(now_s: float, chance: random.Random) -> tuple[float, GatewayError | None]:
    """No connection, all the time."""
    return 0.005, UpstreamError("upstream_unreachable")


def recovering(now_s: float, chance: random.Random) -> tuple[float, GatewayError | None]:
    """Well, then a minute of silence, each time until the timeout of 10 s; then well again."""
    if 60 <= now_s < 120:
        return 10.0, UpstreamTimeout("upstream_timeout")
    return steady(now_s, chance)


def throttled(rate: float = 15.0) -> Behaviour:
    """So many calls a second, and 429 with a second's pause for the rest."""
    tokens, last_s = rate, 0.0

    def behave(now_s: float, chance: random.Random) -> tuple[float, GatewayError | None]:
        nonlocal tokens, last_s
        tokens, last_s = min(rate, tokens + (now_s - last_s) * rate), now_s
        if tokens < 1:
            return 0.02, UpstreamBusy("upstream_busy", after_s=1.0)
        tokens -= 1
        return steady(now_s, chance)

    return behave


def outage(now_s: float, chance: random.Random) -> tuple[float, GatewayError | None]:
    """A minute without an answer, at all targets at once."""
    return (0.05, UpstreamError("upstream_failed")) if 60 <= now_s < 120 else steady(now_s, chance)


DAYS: Final[dict[str, Callable[[], tuple[Behaviour, Behaviour, Behaviour]]]] = {
    "all well": lambda: (steady, steady, steady),
    "a slow": lambda: (slow, steady, steady),
    "a flaky": lambda: (flaky, steady, steady),
    "a down": lambda: (down, steady, steady),
    "a silent 60 s": lambda: (recovering, steady, steady),
    "a throttled": lambda: (throttled(), steady, steady),
    "a flaky, b slow": lambda: (flaky, slow, steady),
    "all down 60 s": lambda: (outage, outage, outage),
}

ROUTERS: Final[dict[str, Callable[[], Router]]] = {
    "fixed": lambda: Fixed(Fixed.Config(target="a")),
    "fallback": lambda: Fallback(Fallback.Config(targets=NAMES)),
    "weighted": lambda: Weighted(Weighted.Config(weights=dict.fromkeys(NAMES, 1))),
    "cheapest": lambda: Cheapest(Cheapest.Config(targets=NAMES)),
    "fastest": lambda: Fastest(Fastest.Config(targets=NAMES)),
    "least_busy": lambda: LeastBusy(LeastBusy.Config(targets=NAMES)),
}


class SimulatedClock:
    """Time that is set by the simulation."""

    def __init__(self) -> None:
        self.ns = SECOND_NS

    def now_us(self) -> int:
        return self.ns // 1000

    def tick_ns(self) -> int:
        return self.ns


@dataclass
class Tally:
    """What became of the calls of one run.

    Attributes:
        took_s: of calls that succeeded, from arrival to the answer's end.
        fast_failed: those that failed without a request, as every target was at rest.
        requests: sent to each target.
    """

    took_s: list[float] = field(default_factory=list)
    failed: int = 0
    fast_failed: int = 0
    requests: dict[str, int] = field(default_factory=dict)

    def share(self) -> float:
        return len(self.took_s) / max(1, len(self.took_s) + self.failed)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.took_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


class Day:
    """Runs calls through one policy."""

    def __init__(
        self,
        router: Router,
        behaviours: tuple[Behaviour, ...],
        *,
        attempts: int = 3,
        rules: Rules | None = Rules(),  # noqa: B008 - frozen
        seed: int = 1,
    ) -> None:
        self.clock = SimulatedClock()
        self.chance = random.Random(seed)
        self.health = Health(self.clock, self.chance.uniform)
        loaded = {
            Slug(name): Loaded(
                name=Slug(name), provider=NOBODY, exit=NOBODY, host=name,
                credentials=[Credential(Slug(f"{name}/1"), lambda: Secret("none"))],
            )
            for name in NAMES
        }  # fmt: skip
        self.gate = Gate(Pool(loaded, self.clock, rules is not None), self.health, self.clock, rules)
        self.policies = Policies(self.clock, SECOND_NS)
        self.policy = Policy(name=Slug("day"), router=router, targets=tuple(map(Slug, router.targets())))
        self.behaviours = dict(zip(NAMES, behaviours, strict=True))
        self.attempts = attempts
        self.tally = Tally()
        self.targets = {
            Slug(name): Target(
                name=Slug(f"{name}/m"), provider_name=Slug(name), provider=NOBODY, model=name, exit=NOBODY
            )
            for name in NAMES
        }
        self._began_ns = self.clock.ns

    def run(self, calls: int, rate: float) -> Tally:
        """So many calls, so many a second, at random moments."""
        events: list[tuple[int, int, Generator[float, None, None]]] = []
        at_ns = self.clock.ns
        for number in range(calls):
            at_ns += round(self.chance.expovariate(rate) * SECOND_NS)
            heapq.heappush(events, (at_ns, number, self._call()))
        number = calls
        while events:
            self.clock.ns, _, call = heapq.heappop(events)
            wait_s = next(call, None)
            if wait_s is not None:
                number += 1
                heapq.heappush(events, (self.clock.ns + max(1, round(wait_s * SECOND_NS)), number, call))
        return self.tally

    def _call(self) -> Generator[float, None, None]:
        began_ns = self.clock.ns
        choice = self.policies.choose(self.policy, self._question())
        plan = Plan(targets=tuple(self.targets[name] for name in choice.order), reason=choice.reason)
        course = Course(plan, self.attempts, lambda target: None, lambda targets: targets)
        attempts = 0
        while True:
            try:
                admission = self.gate.enter(course.target, ())
            except GatewayError as error:
                failure: GatewayError | None = error
            else:
                attempts += 1
                name = course.target.model
                self.tally.requests[name] = self.tally.requests.get(name, 0) + 1
                attempt = Attempt(course.target, NOBODY, None, self.clock.ns)
                now_s = (self.clock.ns - self._began_ns) / SECOND_NS
                took_s, failure = self.behaviours[name](now_s, self.chance)
                yield took_s
                if failure is None:
                    attempt.first_byte_ns = self.clock.ns
                    self.gate.answered(admission, attempt)
                self.gate.leave(admission, attempt, failure)
            if failure is None:
                self.tally.took_s.append((self.clock.ns - began_ns) / SECOND_NS)
                return
            turn = course.round
            if attempts >= self.attempts or not course.fail(failure):
                break
            if course.round > turn:
                yield 0.25 * 2 ** (course.round - 1)
        self.tally.failed += 1
        self.tally.fast_failed += not attempts

    def _question(self) -> Question:
        candidates = {}
        for name in self.policy.targets:
            vitals = self.gate.look(self.targets[name])
            candidates[name] = Candidate(
                name=self.targets[name].name, healthy=vitals.healthy, input_price=PRICES[name],
                output_price=PRICES[name], estimate=Nanos(PRICES[name]), latency_us=vitals.latency_us,
                in_flight=vitals.in_flight,
            )  # fmt: skip
        return Question(
            kind=PathKind.CHAT, shape=Shape(), labels=Labels(), tags=Tags(), key=Slug("k"),
            candidates=candidates, seed=self.chance.getrandbits(32),
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(
        f"{'day':18}{'policy':12}{'success':>10}{'p50 ms':>9}{'p99 ms':>9}   requests a/b/c   refused at once"
    )
    for day, behaviours in DAYS.items():
        for name, make in ROUTERS.items():
            tally = Day(make(), behaviours(), seed=options.seed).run(options.calls, options.rate)
            sent = "/".join(str(tally.requests.get(target, 0)) for target in NAMES)
            p50_ms, p99_ms = 1000 * tally.percentile(0.5), 1000 * tally.percentile(0.99)
            print(
                f"{day:18}{name:12}{tally.share():>10.3%}{p50_ms:>9.0f}{p99_ms:>9.0f}   "
                f"{sent:20}{tally.fast_failed}"
            )


if __name__ == "__main__":
    main()
