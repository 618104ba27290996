"""Targets by chance, each as often as its weight says."""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.contracts import Choice, Question, Router
from gateway.names import Slug

REASON = Slug("weighted")


class Weighted:
    """Draws the first target by weight; the others follow, heaviest first, in case it fails."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """weights: a whole number for each model or provider/model; 0 is only ever a fallback."""

        weights: dict[str, int]

    def __init__(self, config: Config) -> None:
        if not config.weights or min(config.weights.values()) < 0 or sum(config.weights.values()) == 0:
            raise ValueError("weights: whole numbers of at least 0, one of them above 0")
        self._weights = {Slug(name): weight for name, weight in config.weights.items()}

    def targets(self) -> tuple[str, ...]:
        """All targets."""
        return tuple(self._weights)

    def plan(self, question: Question) -> Choice:
        """The drawn target, then the others. The same seed draws the same target."""
        known = [name for name in self._weights if name in question.candidates]
        healthy = [name for name in known if question.candidates[name].healthy and self._weights[name]]
        order = sorted(known, key=lambda name: -self._weights[name])
        if healthy:
            weights = [self._weights[name] for name in healthy]
            drawn = random.Random(question.seed).choices(healthy, weights)[0]  # noqa: S311 - spreads load
            order = [drawn, *(name for name in order if name != drawn)]
        return Choice(order=tuple(order), reason=REASON)


if TYPE_CHECKING:
    _: type[Router] = Weighted
