"""Targets by chance, each as often as its weight says."""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.contracts import Choice, Question, Router
from gateway.names import Slug
from gateway.routers import declared

REASON = Slug("weighted")

HEAVIEST: Final = 1_000_000


class Weighted:
    """Draws the first target by weight; the others follow, heaviest first and the sick last."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """weights: a whole number for each model or provider/model; 0 is only ever a fallback."""

        weights: dict[str, int]

    def __init__(self, config: Config) -> None:
        names = declared.targets(config.weights, "weights")
        for name, weight in zip(names, config.weights.values(), strict=True):
            if not 0 <= weight <= HEAVIEST:
                raise ValueError(f"weights.{name}: a weight is a whole number from 0 to {HEAVIEST}")
        if not any(config.weights.values()):
            raise ValueError("weights: one of them must be above 0")
        self._weights = dict(zip(names, config.weights.values(), strict=True))

    def targets(self) -> tuple[str, ...]:
        """All targets."""
        return tuple(self._weights)

    def plan(self, question: Question) -> Choice:
        """The drawn target, then the others. The same seed draws the same target."""
        candidates = question.candidates
        known = [name for name in self._weights if name in candidates]
        order = sorted(known, key=lambda name: (not candidates[name].healthy, -self._weights[name]))
        drawable = [name for name in known if candidates[name].healthy and self._weights[name]]
        if drawable:
            weights = [self._weights[name] for name in drawable]
            drawn = random.Random(question.seed).choices(drawable, weights)[0]  # noqa: S311 - spreads load
            order = [drawn, *(name for name in order if name != drawn)]
        return Choice(order=tuple(order), reason=REASON)


if TYPE_CHECKING:
    _: type[Router] = Weighted
