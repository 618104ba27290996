"""Routing policies, nested in each other: asked inside out, in bounded time, and never trusted.

A policy that raises, answers rubbish or takes too long costs its choice, never a call: the model that the
caller named is asked, else the declared baseline, else the targets in the order of the configuration.
"""

import time
from asyncio import CancelledError
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from operator import attrgetter
from types import MappingProxyType
from typing import Final
from zlib import crc32

from gateway import log
from gateway.clock import Clock
from gateway.contracts import Candidate, Choice, Question, Router
from gateway.errors import Failure
from gateway.names import MAX_LENGTH, Slug

POLICY_FAILED: Final = Slug("policy_failed")
NO_CHOICE: Final = Slug("NoChoice")
"""The error that is logged of a policy that chose none of its candidates."""

STRIKES: Final = 3
"""Failures in a row after which a policy rests."""
REST_NS: Final = 60 * 10**9
PATIENCE: Final = 50
"""A policy that had the processor for less than its time, but took this many times as long, is late too:
one that sleeps. Less than that may be the machine's doing: a busy one takes the processor away for 10 ms."""

LONGEST_ORDER: Final = 1000
"""Names that are read of a policy's order, which may have no end."""


@dataclass(slots=True)
class Troubles:
    """How often policies were not heard, since the process began.

    Attributes:
        failed: they raised, or answered rubbish. late: they took too long. rests: they were set aside.
    """

    failed: int = 0
    late: int = 0
    rests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A route of the configuration, or a policy inside one.

    Attributes:
        targets: what its router chooses among, in order: models, and the names of the policies inside it.
        parts: those policies.
        baseline: what savings are measured against where the caller names no model.
        on: the targets that follow after a failure of that kind.
        by_prompt: its router, or one inside it, wants to know which calls begin with the same words. A router
            says so by an attribute of that name.
        keeps_order: what its router puts before a first target that is down is a fallback from that. A router
            says so in the same way.
        usual: the model that calls went to if its router did not choose another, where it names one; savings
            are measured against it where nothing else is declared.
    """

    name: Slug
    router: Router
    targets: tuple[Slug, ...] = ()
    parts: Mapping[Slug, "Policy"] = field(default_factory=lambda: MappingProxyType({}))
    baseline: Slug | None = None
    allow_costlier: bool = False
    on: Mapping[Failure, tuple[Slug, ...]] = field(default_factory=lambda: MappingProxyType({}))
    by_prompt: bool = False
    keeps_order: bool = False
    usual: Slug | None = None

    def leaves(self) -> Iterator[Slug]:
        """Every model that it can choose, its parts' included; a name may come twice."""
        for name in self.targets:
            part = self.parts.get(name)
            if part is None:
                yield name
            else:
                yield from part.leaves()


class Policies:
    """Asks policies.

    Args:
        time_ns: how long one of them may take.
        troubles: where it is counted that one was not heard.
    """

    def __init__(self, clock: Clock, time_ns: int, troubles: Troubles | None = None) -> None:
        self._clock = clock
        self._time_ns = time_ns
        self._troubles = troubles if troubles is not None else Troubles()
        self._strikes: dict[Slug, int] = {}
        self._resting: dict[Slug, int] = {}

    def choose(self, policy: Policy, question: Question) -> Choice:
        """The order of a policy's models; empty only where none of them is a candidate. Never raises.

        Args:
            question: its candidates are the models of the policy and of all its parts.
        """
        candidates: dict[Slug, Candidate] = {}
        inner: dict[Slug, Choice] = {}
        for name in policy.targets:
            part = policy.parts.get(name)
            if part is None:
                if name in question.candidates:
                    candidates[name] = question.candidates[name]
                continue
            choice = self.choose(part, question)
            if choice.order:
                inner[name] = choice
                candidates[name] = question.candidates[choice.order[0]]
        if not candidates:
            return Choice(order=(), reason=POLICY_FAILED)
        asked = self._ask(policy, _narrowed(policy, question, candidates, inner))
        if asked is None:
            return _without(policy, question, _models(tuple(candidates), inner))
        first = inner.get(asked.order[0])
        reason = asked.reason if first is None else Slug(f"{asked.reason}/{first.reason}"[:MAX_LENGTH])
        return Choice(order=_models(asked.order, inner), reason=reason)

    def _ask(self, policy: Policy, question: Question) -> Choice | None:
        """What the policy's router chooses; None: it is not heard."""
        if self._resting and self._resting.get(policy.name, 0) > self._clock.tick_ns():
            return None
        began_ns, worked_ns = time.monotonic_ns(), time.thread_time_ns()
        try:
            choice = _heard(policy.router.plan(question), question)
        except Exception as failure:  # a plugin's mistake costs its choice, never a call
            self._failed(policy, log.kind(failure), log.place(failure))
            return None
        except (SystemExit, CancelledError) as failure:  # nobody but the plugin can have raised these
            self._failed(policy, log.kind(failure), log.place(failure))
            return None
        took_ns = time.monotonic_ns() - began_ns
        if took_ns > self._time_ns and (
            took_ns > self._time_ns * PATIENCE or time.thread_time_ns() - worked_ns > self._time_ns
        ):
            self._troubles.late += 1
            log.fact("route.late", log.Level.WARNING, route=policy.name, took_us=took_ns // 1000)
            self._strike(policy)
            return None
        if choice is None:
            self._failed(policy, NO_CHOICE, None)
        elif self._strikes:
            self._strikes.pop(policy.name, None)
        return choice

    def _failed(self, policy: Policy, error: Slug, place: Slug | None) -> None:
        self._troubles.failed += 1
        log.fact("route.failed", log.Level.WARNING, route=policy.name, error=error, place=place)
        self._strike(policy)

    def _strike(self, policy: Policy) -> None:
        strikes = self._strikes.get(policy.name, 0) + 1
        if strikes >= STRIKES:
            strikes = 0
            self._troubles.rests += 1
            self._resting[policy.name] = self._clock.tick_ns() + REST_NS
            log.fact("route.resting", log.Level.ERROR, route=policy.name, rest_s=REST_NS // 10**9)
        self._strikes[policy.name] = strikes


def _narrowed(
    policy: Policy,
    question: Question,
    candidates: Mapping[Slug, Candidate],
    inner: Mapping[Slug, Choice],
) -> Question:
    """The question for one router: its own candidates, and chance of its own, since policies that are
    nested in each other would else all draw alike."""
    requested = question.requested
    values = dict(zip(_FACTS, _facts(question), strict=True))
    values["candidates"] = MappingProxyType(candidates)
    values["requested"] = requested if requested in candidates and requested not in inner else None
    values["seed"] = question.seed ^ crc32(policy.name.encode("ascii"))
    return Question(**values)


_FACTS: Final = tuple(field.name for field in fields(Question))
_facts: Final = attrgetter(*_FACTS)


def _heard(choice: Choice, question: Question) -> Choice | None:
    """A router's answer, made of names it was given; None: it has none of them. Raises whatever it likes."""
    names = islice(choice.order, LONGEST_ORDER)
    order = tuple(dict.fromkeys(Slug(name) for name in names if name in question.candidates))
    reason = Slug(choice.reason)
    return Choice(order=order, reason=reason) if order else None


def _models(names: tuple[Slug, ...], inner: Mapping[Slug, Choice]) -> tuple[Slug, ...]:
    """The same with the order of a policy in the place of its name."""
    if not inner:
        return names
    models: list[Slug] = []
    for name in names:
        models += inner[name].order if name in inner else (name,)
    return tuple(dict.fromkeys(models))


def _without(policy: Policy, question: Question, models: tuple[Slug, ...]) -> Choice:
    """What is done without the policy's help."""
    for name in (question.requested, policy.baseline):
        if name is not None and name in models:
            return Choice(order=(name,), reason=POLICY_FAILED)
    return Choice(order=models, reason=POLICY_FAILED)
