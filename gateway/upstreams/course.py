"""The course of a call over the targets of its plan: which one follows after which failure."""

from collections.abc import Callable
from typing import Final

from gateway.errors import CallerError, Failure, GatewayError
from gateway.exchange import Plan, Target
from gateway.names import Slug

PASSING: Final = frozenset({Slug("upstream_failed"), Slug("upstream_unreachable"), Slug("upstream_cut")})
"""Failures that may be over a moment later. A timeout is none: the provider may still be at work on it."""

Context = Callable[[Target], int | None]
"""The most tokens that a target's model takes; None when not known."""

Allowed = Callable[[tuple[Target, ...]], tuple[Target, ...]]
"""Those of some targets that the call may cost as much as it can cost there."""

Place = tuple[tuple[Target, ...], int, int, Failure | None]
"""Targets, the index among them, the round over them, and the kind whose chain they are."""


class Course:
    """Goes from target to target.

    By default all kinds go on with the next target, but for: a call that is too long goes on with a
    target that is known to take longer ones, and one that a content policy refused ends. A chain of the
    plan for a kind comes in place of what is left; each chain is entered once. At the end of the
    targets, failures that may pass begin a new round.

    Args:
        rounds: how often the targets may be gone over.
    """

    def __init__(self, plan: Plan, rounds: int, context: Context, allowed: Allowed) -> None:
        self._plan = plan
        self._rounds = rounds
        self._context = context
        self._allowed = allowed
        targets = allowed(plan.targets) if len(plan.targets) > 1 else plan.targets
        self._place: Place = (targets, 0, 0, None)
        self._entered: set[Failure] = set()

    @property
    def target(self) -> Target:
        """The target that is asked now."""
        targets, index, _, _ = self._place
        return targets[index]

    @property
    def round(self) -> int:
        """How often the targets were gone over before."""
        return self._place[2]

    def goes_on(self, error: GatewayError) -> bool:
        """Whether another target follows, if the one that is asked now fails like that."""
        return self._after(error) is not None

    def fail(self, error: GatewayError) -> bool:
        """The target failed: go on to the next one; False at the end."""
        place = self._after(error)
        if place is None:
            return False
        if place[3] is not None:
            self._entered.add(place[3])
        self._place = place
        return True

    @property
    def open(self) -> bool:
        """Whether there is a failure after which another target follows."""
        targets, index, turn, _ = self._place
        return index + 1 < len(targets) or turn + 1 < self._rounds or bool(self._plan.chains)

    def _after(self, error: GatewayError) -> Place | None:
        kind = error.kind
        targets, index, turn, inside = self._place
        if isinstance(error, CallerError):  # this one cannot be told the call; that is no failure of its own
            return (targets, index + 1, turn, inside) if index + 1 < len(targets) else None
        if kind is None:
            return None
        if kind in self._plan.chains and kind not in self._entered:
            now = self.target.name
            chain = tuple(one for one in self._allowed(self._plan.chains[kind]) if one.name != now)
            if chain:
                return chain, 0, 0, kind
        if kind is Failure.POLICY:
            return None
        for further in range(index + 1, len(targets)):
            if kind is not Failure.CONTEXT or inside is Failure.CONTEXT or self._larger(targets[further]):
                return targets, further, turn, inside
        if error.code in PASSING and turn + 1 < self._rounds:
            return targets, 0, turn + 1, inside
        return None

    def _larger(self, target: Target) -> bool:
        here, there = self._context(self.target), self._context(target)
        return here is not None and there is not None and there > here
