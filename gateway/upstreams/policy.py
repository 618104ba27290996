"""Routing policies, nested in each other: asked inside out, in bounded time, and never trusted.

A policy that raises, answers rubbish or takes too long costs its choice, never a call: the model that the
caller named is asked, else the declared baseline, else the targets in the order of the configuration.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from gateway import log
from gateway.clock import Clock
from gateway.contracts import Candidate, Choice, Question, Router
from gateway.errors import Failure
from gateway.names import MAX_LENGTH, Slug

POLICY_FAILED: Final = Slug("policy_failed")
STRIKES: Final = 3
"""Failures in a row after which a policy rests."""
REST_NS: Final = 60 * 10**9
PATIENCE: Final = 10
"""A policy that had the processor for less than its time, but took this many times as long, is late too:
one that sleeps. What it takes beyond its time without the processor may be the machine's doing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A route of the configuration, or a policy inside one.

    Attributes:
        parts: the policies inside it, by the names that its router has for them.
        targets: the models it names itself, in order.
        baseline: what savings are measured against where the caller names no model.
        on: the targets that follow after a failure of that kind.
        by_prompt: its router, or one inside it, wants to know which calls begin with the same words. A router
            says so by an attribute of that name.
    """

    name: Slug
    router: Router
    parts: Mapping[Slug, "Policy"] = field(default_factory=lambda: MappingProxyType({}))
    targets: tuple[Slug, ...] = ()
    baseline: Slug | None = None
    allow_costlier: bool = False
    on: Mapping[Failure, tuple[Slug, ...]] = field(default_factory=lambda: MappingProxyType({}))
    by_prompt: bool = False

    def leaves(self) -> Iterator[Slug]:
        """Every model that it can choose, its parts' included; a name may come twice."""
        yield from self.targets
        for part in self.parts.values():
            yield from part.leaves()


class Policies:
    """Asks policies.

    Args:
        time_ns: how long one of them may take.
    """

    def __init__(self, clock: Clock, time_ns: int) -> None:
        self._clock = clock
        self._time_ns = time_ns
        self._strikes: dict[Slug, int] = {}
        self._resting: dict[Slug, int] = {}

    def choose(self, policy: Policy, question: Question) -> Choice:
        """The order of a policy's models. question.candidates holds the models of all its parts."""
        own: dict[Slug, Candidate] = {}
        inner: dict[Slug, Choice] = {}
        for name in policy.targets:
            if name in question.candidates:
                own[name] = question.candidates[name]
        for name, part in policy.parts.items():
            choice = self.choose(part, question)
            if choice.order:
                inner[name] = choice
                own[name] = question.candidates[choice.order[0]]
        if not own:
            return Choice(order=(), reason=POLICY_FAILED)
        requested = question.requested if question.requested in own else None
        choice = self._ask(policy, replace(question, candidates=own, requested=requested))
        order: list[Slug] = []
        for name in choice.order:
            order += inner[name].order if name in inner else (name,)
        reason = choice.reason
        if choice.order[0] in inner:
            reason = Slug(f"{reason}/{inner[choice.order[0]].reason}"[:MAX_LENGTH])
        return Choice(order=tuple(dict.fromkeys(order)), reason=reason)

    def _ask(self, policy: Policy, question: Question) -> Choice:
        if self._resting.get(policy.name, 0) > self._clock.tick_ns():
            return self._without(policy, question)
        began_ns, worked_ns = time.monotonic_ns(), time.thread_time_ns()
        try:
            choice = policy.router.plan(question)
            order = tuple(dict.fromkeys(Slug(name) for name in choice.order if name in question.candidates))
            reason = Slug(choice.reason)
        except Exception as failure:  # a plugin's mistake costs its choice, never a call
            log.fact(
                "route.failed", log.Level.WARNING,
                route=policy.name, error=log.kind(failure), place=log.place(failure),
            )  # fmt: skip
            return self._strike(policy, question)
        took_ns = time.monotonic_ns() - began_ns
        if took_ns > self._time_ns and (
            took_ns > self._time_ns * PATIENCE or time.thread_time_ns() - worked_ns > self._time_ns
        ):
            log.fact("route.late", log.Level.WARNING, route=policy.name, took_us=took_ns // 1000)
            return self._strike(policy, question)
        self._strikes.pop(policy.name, None)
        return Choice(order=order, reason=reason) if order else self._without(policy, question)

    def _strike(self, policy: Policy, question: Question) -> Choice:
        strikes = self._strikes.get(policy.name, 0) + 1
        if strikes >= STRIKES:
            strikes = 0
            self._resting[policy.name] = self._clock.tick_ns() + REST_NS
            log.fact("route.resting", log.Level.ERROR, route=policy.name, rest_s=REST_NS // 10**9)
        self._strikes[policy.name] = strikes
        return self._without(policy, question)

    def _without(self, policy: Policy, question: Question) -> Choice:
        """What is done without the policy's help."""
        for name in (question.requested, policy.baseline):
            if name is not None and name in question.candidates:
                return Choice(order=(name,), reason=POLICY_FAILED)
        return Choice(order=tuple(question.candidates), reason=POLICY_FAILED)
