"""The quicker of two targets drawn by chance, by a latency that remembers its peaks."""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.contracts import Candidate, Choice, Question, Router
from gateway.names import Slug

REASON = Slug("fastest")


class Fastest:
    """Two choices: of two healthy targets drawn by chance, the one that will likely answer first.

    To ask the quickest of all would send every caller to it at once, as long as all know the same figures;
    two choices spread them and still avoid the slow. What is weighed is latency times the calls that are
    under way there and this one. A target that nothing was asked of yet counts as quick, so that it is tried.

    Source: Mitzenmacher, "The power of two choices in randomized load balancing"; Finagle's peak-EWMA.
    """

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """targets: models, or provider/model, of about the same worth."""

        targets: tuple[str, ...]

    def __init__(self, config: Config) -> None:
        self._targets = tuple(Slug(target) for target in config.targets)

    def targets(self) -> tuple[str, ...]:
        """All targets."""
        return self._targets

    def plan(self, question: Question) -> Choice:
        """The better of the drawn two, then all others by the same weight, the sick ones last."""
        candidates = question.candidates
        order = sorted(candidates, key=lambda name: _load(candidates[name]))
        healthy = [name for name in self._targets if name in candidates and candidates[name].healthy]
        if len(healthy) > 2:
            drawn = random.Random(question.seed).sample(healthy, 2)  # noqa: S311 - spreads load
            first = min(drawn, key=lambda name: _load(candidates[name]))
            order = [first, *(name for name in order if name != first)]
        return Choice(order=tuple(order), reason=REASON)


def _load(candidate: Candidate) -> tuple[bool, int]:
    return (not candidate.healthy, (candidate.latency_us or 0) * (candidate.in_flight + 1))


if TYPE_CHECKING:
    _: type[Router] = Fastest
