"""A small share of sessions tries another target, until records show that it is worse."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from math import exp, log
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from gateway.contracts import Arm, Choice, Finding, Question, Router, Standing, Trial
from gateway.names import Slug
from gateway.routers import declared
from gateway.routers.sequential import Means, mean_evidence, rate_evidence

TRIAL: Final = Slug("canary-trial")
STABLE: Final = Slug("canary-stable")
STOPPED: Final = Slug("canary-stopped")
UNWELL: Final = Slug("canary-unwell")
"""The trial is set aside by its breaker: the call counts for neither arm."""

ERRORS: Final = Slug("errors")
LATENCY: Final = Slug("latency")
COST: Final = Slug("cost")
WAITING: Final = Slug("canary-waiting")
"""The records were not read yet: nothing is tried before it is known that it was not stopped."""

BEFORE: Final = Slug("before")
"""Records show that it was stopped, by another process or before this one began."""

MOST: Final = 100.0
"""Evidence beyond this, as a logarithm, is not told apart."""

_RANGE: Final = 1 << 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """When to stop. A limit below 0 switches its rule off.

    Attributes:
        errors: most error rate above that of the stable one: 0.01 is one call in a hundred.
        latency, cost: most mean time and mean cost, as a multiple of the stable one's.
        least: calls of both arms before means are compared.
        alpha: the chance of stopping a trial that is not worse than these limits, over all rules and looks.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    errors: float = 0.01
    latency: float = 1.2
    cost: float = 1.2
    least: int = 100
    alpha: float = 0.05


class Canary:
    """Sends a share of sessions to the trial, and all of them back for good once it is proven worse.

    What both arms did is read from the records of the route, so every process comes to the same verdict, and
    so does one that begins later. The reason of each call names its arm.
    """

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """What is tried, on whom and since when.

        Attributes:
            stable, trial: models, provider/model or policies.
            since: from when on records count, as a date or time; to be moved whenever the trial changes.
            share: of sessions that try it, 0 to 1.
            by: what is assigned: whole sessions (of calls without one, whole keys), or each call by chance.
        """

        stable: str
        trial: str
        since: str
        share: float = 0.05
        by: Literal["session", "call"] = "session"
        rollback: Rollback = field(default_factory=Rollback)

    def __init__(self, config: Config) -> None:
        _check(config)
        self._stable, self._trial = declared.targets((config.stable, config.trial))
        self._rules = config.rollback
        self._since_us = _moment_us(config.since)
        self._by_call = config.by == "call"
        self._share = round(config.share * _RANGE)
        self._salt = config.since.encode()
        self._standing = Standing(trial=Arm(reason=TRIAL), stable=Arm(reason=STABLE))
        self._is_taught = False

    @property
    def since_us(self) -> int:
        """From when on records count, in microseconds."""
        return self._since_us

    @property
    def usual(self) -> Slug:
        """Where calls went without the trial."""
        return self._stable

    def targets(self) -> tuple[str, ...]:
        """Both."""
        return self._stable, self._trial

    def follows(self) -> Iterable[tuple[Slug, Slug]]:
        """Only the stable target follows, after the trial."""
        return [(self._trial, self._stable)]

    def plan(self, question: Question) -> Choice:
        """The arm of the call's session. A trial that fails is followed by the stable one."""
        candidates = question.candidates
        if not self._is_taught:
            return _first(question, self._stable, self._trial, WAITING)
        if self._standing.stopped is not None:
            return _first(question, self._stable, self._trial, STOPPED)
        if not self._is_chosen(question):
            return _first(question, self._stable, self._trial, STABLE)
        trial = candidates.get(self._trial)
        if trial is None or not trial.healthy:
            return _first(question, self._stable, self._trial, UNWELL)
        order = tuple(name for name in (self._trial, self._stable) if name in candidates)
        return Choice(order=order, reason=TRIAL)

    def learn_arms(self, arms: Sequence[Arm]) -> None:
        """Take over what both arms did, and judge. A trial that was stopped stays stopped."""
        trial, stable, stopped = (_joined(arms, reason) for reason in (TRIAL, STABLE, STOPPED))
        findings = judge(trial, stable, self._rules)
        rule = self._standing.stopped
        if rule is None:
            rule = next((one.rule for one in findings if one.evidence >= one.needed), None)
        if rule is None and stopped.calls:
            rule = BEFORE
        self._standing = Standing(trial=trial, stable=stable, findings=findings, stopped=rule)
        self._is_taught = True

    def standing(self) -> Standing:
        """What is known by now."""
        return self._standing

    def _is_chosen(self, question: Question) -> bool:
        if self._by_call:
            return question.seed << 32 < self._share
        digest = blake2b(question.session.to_bytes(8, "big"), digest_size=8, key=self._salt).digest()
        return int.from_bytes(digest, "big") < self._share


def judge(trial: Arm, stable: Arm, rules: Rollback) -> tuple[Finding, ...]:
    """How each rule stands. The chance of a false alarm is shared by the rules that are on."""
    limits = ((ERRORS, rules.errors), (LATENCY, rules.latency), (COST, rules.cost))
    on = [(rule, limit) for rule, limit in limits if limit >= 0]
    needed = log(len(on) / rules.alpha) if on else 0.0
    found = []
    for rule, limit in on:
        measured, evidence = _measure(rule, trial, stable, limit, rules.least)
        found.append(
            Finding(
                rule=rule,
                limit=limit,
                measured=measured,
                evidence=exp(min(evidence, MOST)),
                needed=exp(needed),
            )
        )
    return tuple(found)


def _measure(rule: Slug, trial: Arm, stable: Arm, limit: float, least: int) -> tuple[float | None, float]:
    """The measured difference or ratio, and the logarithm of the evidence that it is above the limit."""
    if rule == ERRORS:
        if not trial.calls or not stable.calls:
            return None, 0.0
        measured = trial.errors / trial.calls - stable.errors / stable.calls
        return measured, rate_evidence(trial.errors, trial.calls, stable.errors, stable.calls, limit)
    one, other = (_means(arm, rule) for arm in (trial, stable))
    if min(one.count, other.count) < max(least, 2) or not other.total:
        return None, 0.0
    return one.mean / other.mean, mean_evidence(one, other, limit)


def _means(arm: Arm, rule: Slug) -> Means:
    if rule == LATENCY:
        return Means(arm.timed, arm.time_us, arm.time_squares)
    return Means(arm.priced, arm.cost_nanos, arm.cost_squares)


def _joined(arms: Sequence[Arm], reason: Slug) -> Arm:
    """All arms of a reason, also where another policy stands around it or inside it."""
    own = [arm for arm in arms if reason in arm.reason.split("/")]
    return Arm(
        reason=reason,
        calls=sum(arm.calls for arm in own),
        errors=sum(arm.errors for arm in own),
        timed=sum(arm.timed for arm in own),
        time_us=sum(arm.time_us for arm in own),
        time_squares=sum(arm.time_squares for arm in own),
        priced=sum(arm.priced for arm in own),
        cost_nanos=sum(arm.cost_nanos for arm in own),
        cost_squares=sum(arm.cost_squares for arm in own),
    )


def _first(question: Question, name: Slug, other: Slug, reason: Slug) -> Choice:
    """That one alone; the other only where it is all there is, and then it counts for neither arm."""
    if name in question.candidates:
        return Choice(order=(name,), reason=reason)
    return Choice(order=(other,), reason=UNWELL)


def _check(config: Canary.Config) -> None:
    rules = config.rollback
    if not 0 <= config.share <= 1:
        raise ValueError("share: from 0 to 1")
    if not 0 < rules.alpha < 1:
        raise ValueError("rollback.alpha: above 0 and below 1")
    if rules.errors >= 1:
        raise ValueError("rollback.errors: below 1")
    if 0 <= rules.latency < 1 or 0 <= rules.cost < 1:
        raise ValueError("rollback: latency and cost are multiples, at least 1; below 0 switches them off")
    if rules.least < 2:
        raise ValueError("rollback.least: at least 2")


def _moment_us(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError('since: a date or time such as "2026-01-31" or "2026-01-31T12:00:00Z"') from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 10**6


if TYPE_CHECKING:
    _: type[Router] = Canary
    _trial: type[Trial] = Canary
