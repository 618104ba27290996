"""The healthy target on which the call can cost least."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.contracts import Candidate, Choice, Question, Router
from gateway.names import Slug
from gateway.routers import declared

REASON = Slug("cheapest")


class Cheapest:
    """Orders targets by what the call can cost there; unknown prices and sick targets come last."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """targets: models, or provider/model."""

        targets: tuple[str, ...]

    def __init__(self, config: Config) -> None:
        self._targets = declared.targets(config.targets)

    def targets(self) -> tuple[str, ...]:
        """All targets."""
        return self._targets

    def plan(self, question: Question) -> Choice:
        """Cheapest first."""
        known = [name for name in self._targets if name in question.candidates]
        order = sorted(known, key=lambda name: _rank(question.candidates[name]))
        return Choice(order=tuple(order), reason=REASON)


def _rank(candidate: Candidate) -> tuple[bool, bool, int]:
    unknown = candidate.estimate is None
    return (not candidate.healthy, unknown, candidate.estimate or 0)


if TYPE_CHECKING:
    _: type[Router] = Cheapest
