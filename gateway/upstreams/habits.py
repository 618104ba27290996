"""What records tell of models: how long their answers are for a task, and how soon they begin."""

from collections import defaultdict
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

from gateway.names import Slug
from gateway.records import Outcome, Record

LEAST: Final = 30
"""Answers of a model and task from which on their mean length is taken for known."""

GUESSED: Final = 250
"""Thousandths by which the length of an answer may differ where nothing is known of it."""

SURE: Final = 1.96
"""Standard errors either side: 95 %."""


@dataclass(slots=True)
class _Sums:
    count: int = 0
    total: int = 0
    squares: int = 0

    def add(self, value: int) -> None:
        self.count += 1
        self.total += value
        self.squares += value * value


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How much longer one model's answers are than another's: over / under.

    Attributes:
        known: it was measured; else it is 1 for want of anything better.
        error: by how many thousandths of itself it may be wrong, either way.
    """

    over: int = 1
    under: int = 1
    known: bool = False
    error: int = GUESSED


@dataclass(slots=True)
class Habits:
    """Means over records, by task and model."""

    _lengths: defaultdict[tuple[Slug | None, Slug | None], _Sums] = field(
        default_factory=lambda: defaultdict(_Sums)
    )
    _waits: defaultdict[Slug | None, _Sums] = field(default_factory=lambda: defaultdict(_Sums))

    def saw(self, record: Record) -> None:
        """Count a record, if its call came to its end."""
        if record.outcome is not Outcome.OK or not record.tokens_output:
            return
        self._lengths[record.task, record.model_routed].add(record.tokens_output)
        if record.first_byte_us is not None:
            self._waits[record.model_routed].add(record.first_byte_us)

    def latency_us(self, model: Slug) -> int | None:
        """The mean time to the first byte; None when nothing was asked there."""
        waits = self._waits.get(model)
        return waits.total // waits.count if waits is not None else None

    def ratio(self, task: Slug | None, model: Slug | None, other: Slug) -> Ratio:
        """The length of other's answers by that of model's, for a task.

        The error is that of a ratio of two means that were measured apart (delta method).
        """
        ours, theirs = self._lengths.get((task, model)), self._lengths.get((task, other))
        if ours is None or theirs is None or min(ours.count, theirs.count) < LEAST:
            return Ratio()
        error = SURE * sqrt(_relative_variance(ours) + _relative_variance(theirs))
        over, under = theirs.total * ours.count, ours.total * theirs.count
        return Ratio(over=over, under=under, known=True, error=round(error * 1000))


def _relative_variance(sums: _Sums) -> float:
    """The variance of a mean, by the square of the mean."""
    variance = (sums.squares - sums.total**2 / sums.count) / (sums.count - 1)
    return max(variance, 0.0) / sums.count / (sums.total / sums.count) ** 2
