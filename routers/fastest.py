"""The quicker of two targets drawn by chance, by a latency that remembers its peaks."""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.contracts import Candidate, Choice, Question, Router
from gateway.names import Slug
from gateway.routers import declared

REASON = Slug("fastest")


class Fastest:
    """Two choices: of two healthy targets drawn by chance, the one that will likely answer first.

    To ask the quickest of all would send every caller to it at once, as long as all know the same figures;
    two choices spread them and still avoid the slow. What is weighed is latency times the calls that are
    under way there and this one. A target that nothing was asked of yet counts as quick, so that it is
    tried; as long as that first call is under way, it comes after those whose latency is known.

    Source: Mitzenmacher, "The power of two choices in randomized load balancing"; Finagle's peak-EWMA.
    """

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
        """The better of the drawn two, then all others by the same weight, the sick ones last."""
        candidates = question.candidates
        known = [name for name in self._targets if name in candidates]
        # Chance also decides between equals: the sort that follows keeps their order.
        random.Random(question.seed).shuffle(known)  # noqa: S311 - spreads load
        drawn = [name for name in known if candidates[name].healthy][:2]
        order = sorted(known, key=lambda name: _load(candidates[name]))
        if drawn:
            first = min(drawn, key=lambda name: _load(candidates[name]))
            order = [first, *(name for name in order if name != first)]
        return Choice(order=tuple(order), reason=REASON)


def _load(candidate: Candidate) -> tuple[bool, bool, int, int]:
    """The less, the better. Of a target whose latency is not known yet, one call at a time finds it out."""
    latency_us, under_way = candidate.latency_us, candidate.in_flight
    on_trial = latency_us is None and under_way > 0
    return (not candidate.healthy, on_trial, (latency_us or 0) * (under_way + 1), under_way)


if TYPE_CHECKING:
    _: type[Router] = Fastest
