"""The gate before every attempt: which credential may go to a target now, if any may; and how it went."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from gateway.clock import Clock
from gateway.errors import GatewayError, UpstreamError
from gateway.exchange import Attempt, Target
from gateway.names import Slug
from gateway.upstreams.breaker import Breaker, Rules
from gateway.upstreams.health import PENALTY_US, Health, Vitals, Watched, connecting
from gateway.upstreams.pool import Credential, Pool

SECOND_NS: Final = 10**9

FAULTS: Final = frozenset(
    {
        Slug("upstream_failed"),
        Slug("upstream_cut"),
        Slug("upstream_garbled"),
        Slug("upstream_redirect"),
        Slug("upstream_timeout"),
    }
)
"""Codes that tell that a target is not well. A refused call, a pause asked for and a dead key do not."""

UNREACHABLE: Final = Slug("upstream_unreachable")

ALIVE: Final = frozenset({Slug("upstream_refused"), Slug("upstream_context"), Slug("upstream_policy")})
"""Codes that tell that a target is well, and the call is not."""


@dataclass(slots=True)
class Admission:
    """Leave for one attempt. Given back with Gate.leave(), once."""

    target: Target
    watched: Watched
    credential: Credential | None
    breaker: Breaker | None
    host: Breaker | None
    probe: bool
    host_probe: bool
    answered: bool = False


class Gate:
    """Between the plan and the targets. Built with each configuration; what it knows is Health's.

    Args:
        rules: None: no target is ever left alone ([upstream] breaker = false), but those held by hand.
    """

    def __init__(self, pool: Pool, health: Health, clock: Clock, rules: Rules | None) -> None:
        self._pool = pool
        self._health = health
        self._clock = clock
        self._rules = rules
        self._connecting = connecting(rules) if rules is not None else None

    def look(self, target: Target) -> Vitals:
        """How a target is doing, and whether it may be asked now."""
        vitals = self._health.look(target)
        return vitals if self._ready(target) else replace(vitals, healthy=False)

    def enter(self, target: Target, tried: Collection[Slug]) -> Admission:
        """Leave for an attempt.

        Args:
            tried: ids of credentials that this call was refused with.

        Raises:
            UpstreamError: upstream_resting, with the time to wait; what Pool.pick() says.
            OurError: no_credential.
        """
        health, now_ns = self._health, self._clock.tick_ns()
        if health.held(target):
            raise UpstreamError("upstream_resting", about=target.name)
        breaker = host = None
        if self._rules is None:
            credential = self._pool.pick(target.provider_name, tried, target.name)
        else:
            host = health.host(target)
            if host.until_ns and not host.ready(now_ns):
                raise _resting(target, host.until_ns, now_ns)
            credential = self._pick(target, tried, now_ns)
            breaker = health.breaker(target, credential.id if credential is not None else None)
        watched = health.watched(target)
        watched.in_flight += 1
        if credential is not None:
            credential.open += 1
        probe = breaker is not None and breaker.until_ns != 0 and breaker.enter()
        host_probe = host is not None and host.until_ns != 0 and host.enter()
        return Admission(target, watched, credential, breaker, host, probe, host_probe)

    def spare(self, target: Target, tried: Collection[Slug]) -> bool:
        """Whether the target may be asked again at once, with another credential."""
        return self._pool.spare(target.provider_name, tried, target.name)

    def answered(self, admission: Admission, attempt: Attempt) -> None:
        """The first bytes of a good answer are there: that is what a probe is to find out."""
        if admission.answered:
            return
        admission.answered = True
        now_ns = self._clock.tick_ns()
        took_us = ((attempt.first_byte_ns or now_ns) - attempt.sent_ns) // 1000
        admission.watched.latency.add(now_ns, took_us)
        self._well(admission, now_ns)

    def leave(self, admission: Admission, attempt: Attempt | None, error: GatewayError | None) -> None:
        """An attempt ended, or was broken off from this side (no error and never answered).

        Args:
            attempt: None: it came to none.
        """
        target, credential = admission.target, admission.credential
        admission.watched.in_flight -= 1
        if credential is not None:
            credential.open -= 1
            if error is not None or admission.answered:
                self._pool.report(target.provider_name, credential.id, error, target.name)
        if error is not None:
            self._judge(admission, attempt, error.code)
        if admission.breaker is not None and admission.probe:
            admission.breaker.leave()
        if admission.host is not None and admission.host_probe:
            admission.host.leave()

    # --- what the breakers are told

    def _judge(self, admission: Admission, attempt: Attempt | None, code: Slug) -> None:
        now_ns, watched = self._clock.tick_ns(), admission.watched
        if code == UNREACHABLE:
            self._unreachable(admission, now_ns)
        elif code in FAULTS:
            self._failed(admission, now_ns, watched.in_flight)
        elif code in ALIVE and not admission.answered:
            self._well(admission, now_ns)
        if not admission.answered and (code in FAULTS or code == UNREACHABLE) and attempt is not None:
            took_us = (now_ns - attempt.sent_ns) // 1000
            watched.latency.penalise(now_ns, took_us + PENALTY_US)

    def _well(self, admission: Admission, now_ns: int) -> None:
        if admission.breaker is not None:
            admission.breaker.succeed(now_ns, admission.probe)
            admission.probe = False
        self._reached(admission, now_ns)

    def _reached(self, admission: Admission, now_ns: int) -> None:
        if admission.host is not None:
            admission.host.succeed(now_ns, admission.host_probe)
            admission.host_probe = False

    def _failed(self, admission: Admission, now_ns: int, under_way: int) -> None:
        if self._rules is not None and admission.breaker is not None:
            jitter = self._health.jitter()
            admission.breaker.fail(now_ns, self._rules, admission.probe, jitter, under_way)
            admission.probe = False
        if not admission.answered:
            self._reached(admission, now_ns)

    def _unreachable(self, admission: Admission, now_ns: int) -> None:
        if self._connecting is not None and admission.host is not None:
            admission.host.fail(now_ns, self._connecting, admission.host_probe, self._health.jitter())
            admission.host_probe = False

    # --- looking for a credential

    def _ready(self, target: Target) -> bool:
        if self._health.held(target):
            return False
        if self._rules is None:
            return self._pool.ready(target.provider_name, target.name, _always)
        now_ns = self._clock.tick_ns()
        if not self._health.host(target).ready(now_ns):
            return False
        return self._pool.ready(
            target.provider_name,
            target.name,
            lambda credential: self._health.breaker(target, credential).ready(now_ns),
        )

    def _pick(self, target: Target, tried: Collection[Slug], now_ns: int) -> Credential | None:
        waits: list[int] = []

        def fit(credential: Slug | None) -> bool:
            breaker = self._health.breaker(target, credential)
            if breaker.ready(now_ns):
                return True
            waits.append(breaker.until_ns)
            return False

        try:
            return self._pool.pick(target.provider_name, tried, target.name, fit)
        except UpstreamError as error:
            if error.code == "upstream_resting" and waits:
                raise _resting(target, min(waits), now_ns) from None
            raise


def _always(credential: Slug | None) -> bool:
    return True


def _resting(target: Target, until_ns: int, now_ns: int) -> UpstreamError:
    after_s = max(1.0, (until_ns - now_ns) / SECOND_NS)
    return UpstreamError("upstream_resting", after_s=after_s, about=target.name)
