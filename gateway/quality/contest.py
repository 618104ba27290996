"""A model of prompts against the table of tasks: which keeps more quality when as many rows move?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.quality.fitting import FOLDS, Feedback, Fit, folds

REACH: Final = 1.2816
"""Standard errors, one-sided."""

_SHRINK: Final = 10.0
"""Rows of average gain that each task is given beforehand."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Shares of the quality kept when this share of rows moves, out of fold.

    error: standard error of the difference.
    """

    share: float
    model: float
    table: float
    error: float

    @property
    def won(self) -> bool:
        """The model moves something, and keeps more than the table, by more than chance explains."""
        return self.share > 0 and self.model - self.table > REACH * self.error


def compete(rows: Sequence[Feedback], tasks: Sequence[str], fit: Fit) -> Contest:
    """Compare at the share of rows that the model's cut moves."""
    gains = [row.cheap - row.requested for row in rows]
    requested = sum(row.requested for row in rows)
    moved = round(fit.cut.share * len(rows))
    if not moved or requested <= 0:
        return Contest(0.0, 1.0, 1.0, 0.0)
    by_model = _weights(fit.scores, moved)
    by_table = _weights(_table_scores(gains, tasks), moved)
    differences = [(m - t) * gain for m, t, gain in zip(by_model, by_table, gains, strict=True)]
    mean = sum(differences) / len(rows)
    spread = math.sqrt(sum((one - mean) ** 2 for one in differences) / len(rows))
    return Contest(
        share=fit.cut.share,
        model=1 + sum(m * gain for m, gain in zip(by_model, gains, strict=True)) / requested,
        table=1 + sum(t * gain for t, gain in zip(by_table, gains, strict=True)) / requested,
        error=spread * math.sqrt(len(rows)) / requested,
    )


def _table_scores(gains: Sequence[float], tasks: Sequence[str]) -> list[float]:
    """The mean gain of each row's task, over the rows of other folds."""
    scores = [0.0] * len(gains)
    for fold in folds(len(gains), FOLDS):
        out = set(fold)
        sums: dict[str, list[float]] = {}
        for place, (gain, task) in enumerate(zip(gains, tasks, strict=True)):
            if place not in out:
                held = sums.setdefault(task, [0.0, 0.0])
                held[0] += gain
                held[1] += 1
        mean = sum(total for total, _ in sums.values()) / max(1.0, sum(count for _, count in sums.values()))
        for place in fold:
            total, count = sums.get(tasks[place], (0.0, 0.0))
            scores[place] = (total + _SHRINK * mean) / (count + _SHRINK)
    return scores


def _weights(scores: Sequence[float], moved: int) -> list[float]:
    """How much of each row moves when so many in all do, best first; equals share what is left."""
    order = sorted(scores, reverse=True)
    last = order[moved - 1]
    above = sum(score > last for score in scores)
    equal = sum(score == last for score in scores)
    return [1.0 if score > last else (moved - above) / equal if score == last else 0.0 for score in scores]
