"""The target with the fewest calls under way."""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.contracts import Choice, Question, Router
from gateway.names import Slug
from gateway.routers import declared

REASON = Slug("least_busy")


class LeastBusy:
    """Orders targets by the calls of this process that are under way there; chance decides between equals."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """targets: models, or provider/model, of about the same worth."""

        targets: tuple[str, ...]

    def __init__(self, config: Config) -> None:
        self._targets = declared.targets(config.targets)

    def targets(self) -> tuple[str, ...]:
        """All targets."""
        return self._targets

    def plan(self, question: Question) -> Choice:
        """The least busy first, the sick last."""
        candidates = question.candidates
        order = [name for name in self._targets if name in candidates]
        random.Random(question.seed).shuffle(order)  # noqa: S311 - spreads load
        order.sort(key=lambda name: (not candidates[name].healthy, candidates[name].in_flight))
        return Choice(order=tuple(order), reason=REASON)


if TYPE_CHECKING:
    _: type[Router] = LeastBusy
