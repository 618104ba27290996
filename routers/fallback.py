"""Targets in a fixed order: the next one when the one before fails."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gateway.contracts import Choice, Question, Router
from gateway.names import Slug
from gateway.routers import declared

REASON = Slug("fallback")


class Fallback:
    """Keeps the declared order; targets that are known to be down come last.

    Attributes:
        keeps_order: what stands in place of a target that is down follows it, and may be dearer only where
            the route allows that.
    """

    keeps_order: ClassVar[bool] = True

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """targets: models, or provider/model, the best first."""

        targets: tuple[str, ...]

    def __init__(self, config: Config) -> None:
        self._targets = declared.targets(config.targets)

    def targets(self) -> tuple[str, ...]:
        """All targets, the best first."""
        return self._targets

    def follows(self) -> Iterable[tuple[Slug, Slug]]:
        """What can follow what: the first target is the measure of all."""
        return [(self._targets[0], name) for name in self._targets[1:]]

    def plan(self, question: Question) -> Choice:
        """The declared order, healthy targets first."""
        known = [name for name in self._targets if name in question.candidates]
        order = sorted(known, key=lambda name: not question.candidates[name].healthy)
        return Choice(order=tuple(order), reason=REASON)


if TYPE_CHECKING:
    _: type[Router] = Fallback
