"""How each target is doing: breakers, latency, calls under way. Outlives a reload."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from gateway.clock import Clock
from gateway.exchange import Target
from gateway.names import Slug
from gateway.upstreams.breaker import Breaker, Rules, State

K = TypeVar("K")
V = TypeVar("V")

MANY: Final = 10_000
"""Targets that are watched; beyond that all are forgotten and begin anew."""

PEAK_NS: Final = 10 * 10**9
"""Half-life of a peak of latency."""

USUAL_NS: Final = 300 * 10**9
"""Half-life of the usual latency of a target that nobody asks."""

WEIGHT: Final = 0.1
"""Of a new sample in the usual latency."""

PENALTY_US: Final = 1_000_000
"""What a failure adds to the time it took."""

UNREACHABLE: Final = 3
"""A provider that cannot be connected to is left alone after so many failures, whatever its models did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What is known of a target.

    Attributes:
        healthy: it may be asked now.
        latency_us: to the first byte; None as long as nothing was asked there.
        in_flight: calls under way there, of this process.
    """

    healthy: bool = True
    latency_us: int | None = None
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """A breaker, for people and metrics.

    Attributes:
        target: "provider/model"; of a provider's own breaker, and of one held by hand, just that name.
        after_s: until it may be asked again, where it is open.
    """

    target: Slug
    credential: Slug | None
    state: State
    after_s: float = 0.0


class Latency:
    """A moving average that jumps up at once, sinks quickly to what is usual, and that slowly (peak-EWMA)."""

    __slots__ = ("_at_ns", "_peak", "_usual")

    def __init__(self) -> None:
        self._peak = self._usual = 0.0
        self._at_ns: int | None = None

    def add(self, now_ns: int, sample_us: int) -> None:
        """Take in a sample."""
        if self._at_ns is None:
            self._peak = self._usual = float(sample_us)
        else:
            peak, usual = self._now(now_ns)
            self._usual = usual + WEIGHT * (sample_us - usual)
            self._peak = max(float(sample_us), peak)
        self._at_ns = now_ns

    def penalise(self, now_ns: int, sample_us: int) -> None:
        """Take in a failure: it changes the peak, and not what is usual."""
        peak, usual = self._now(now_ns)
        self._peak, self._usual, self._at_ns = max(float(sample_us), peak), usual, now_ns

    def read(self, now_ns: int) -> int | None:
        """Microseconds; None as long as there was no sample."""
        return None if self._at_ns is None else round(max(self._now(now_ns)))

    def _now(self, now_ns: int) -> tuple[float, float]:
        past_ns = max(0, now_ns - (self._at_ns or now_ns))
        usual = self._usual * 0.5 ** (past_ns / USUAL_NS)
        return usual + max(0.0, self._peak - self._usual) * 0.5 ** (past_ns / PEAK_NS), usual


class Watched:
    """What is counted of one target."""

    __slots__ = ("in_flight", "latency")

    def __init__(self) -> None:
        self.in_flight = 0
        self.latency = Latency()


class Health:
    """Watches targets. Belongs to the process, not to a configuration.

    Args:
        uniform: a random number between two others, for tests to replace.
    """

    def __init__(self, clock: Clock, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._clock = clock
        self._uniform = uniform
        self._targets: dict[Slug, Watched] = {}
        self._breakers: dict[tuple[Slug, Slug | None], Breaker] = {}
        self._hosts: dict[Slug, Breaker] = {}
        self._held: set[Slug] = set()

    def hold(self, name: Slug) -> None:
        """Ask a target ("provider/model") or a whole provider no more, until it is released."""
        self._held.add(name)

    def release(self, name: Slug) -> None:
        """Take back a hold."""
        self._held.discard(name)

    def held(self, target: Target) -> bool:
        """Whether somebody holds it."""
        return bool(self._held) and (target.name in self._held or target.provider_name in self._held)

    def breaker(self, target: Target, credential: Slug | None) -> Breaker:
        """Of a target with one credential."""
        key = (target.name, credential)
        if (found := self._breakers.get(key)) is None:
            _bound(self._breakers)
            found = self._breakers[key] = Breaker()
        return found

    def host(self, target: Target) -> Breaker:
        """Of a target's provider as a place to connect to."""
        if (found := self._hosts.get(target.provider_name)) is None:
            _bound(self._hosts)
            found = self._hosts[target.provider_name] = Breaker()
        return found

    def watched(self, target: Target) -> Watched:
        """The counts of a target."""
        if (found := self._targets.get(target.name)) is None:
            _bound(self._targets)
            found = self._targets[target.name] = Watched()
        return found

    def look(self, target: Target) -> Vitals:
        """Latency and calls under way; a Gate knows whether it may be asked."""
        watched = self._targets.get(target.name)
        if watched is None:
            return Vitals()
        latency_us = watched.latency.read(self._clock.tick_ns())
        return Vitals(latency_us=latency_us, in_flight=watched.in_flight)

    def jitter(self) -> float:
        """What a breaker's rest is multiplied with."""
        return self._uniform(0.75, 1.25)

    def states(self) -> Iterator[Standing]:
        """Every breaker there is, and what is held by hand."""
        now_ns = self._clock.tick_ns()
        for name in sorted(self._held):
            yield Standing(name, None, State.HELD)
        for name, breaker in list(self._hosts.items()):
            yield _standing(name, None, breaker, now_ns)
        for (name, credential), breaker in list(self._breakers.items()):
            yield _standing(name, credential, breaker, now_ns)

    def in_flight(self) -> Iterator[tuple[Slug, int]]:
        """Calls under way, by target."""
        for name, watched in list(self._targets.items()):
            yield name, watched.in_flight


def connecting(rules: Rules) -> Rules:
    """The rules of a provider as a place to connect to."""
    return Rules(
        failures=min(UNREACHABLE, rules.failures),
        window_ns=rules.window_ns,
        rest_ns=rules.rest_ns,
        longest_ns=rules.longest_ns,
    )


def _standing(name: Slug, credential: Slug | None, breaker: Breaker, now_ns: int) -> Standing:
    after_s = max(0.0, (breaker.until_ns - now_ns) / 1e9) if breaker.until_ns else 0.0
    return Standing(name, credential, breaker.state(), after_s)


def _bound(table: dict[K, V]) -> None:
    if len(table) >= MANY:
        table.clear()
