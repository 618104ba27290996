"""How much may go to the cheaper model: as much as out-of-fold outcomes prove to keep the quality."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Cut:
    """Scores of at least this go to the cheaper model.

    Attributes:
        share: of the rows, so many.
        kept, bound: of the quality, as measured out of fold, and at least.
    """

    score: float
    share: float
    kept: float
    bound: float


NOTHING = Cut(NEVER, 0.0, 1.0, 1.0)


def find_cut(
    scores: Sequence[float],
    gains: Sequence[float],
    requested: float,
    floor: float,
    confidence: float,
) -> Cut:
    """The lowest score whose bound keeps the floor.

    Args:
        scores: of rows that were not trained on.
        gains: quality of the cheaper model less that of the requested one, per row.
        requested: mean quality of the requested model.
    """
    size = len(scores)
    if size == 0 or requested <= 0:
        return NOTHING
    reach = NormalDist().inv_cdf(confidence)
    order = sorted(range(size), key=lambda row: -scores[row])
    best, total, squares = NOTHING, 0.0, 0.0
    for place, row in enumerate(order, 1):
        total += gains[row]
        squares += gains[row] * gains[row]
        if place < size and scores[order[place]] == scores[row]:
            continue  # equals go together
        mean = total / size
        # One made-up loss: a run of rows without any is not proof that there is none.
        spread = math.sqrt(max((squares + 1) / size - mean * mean, 0.0) / size)
        bound = 1 + (mean - reach * spread) / requested
        if bound >= floor:
            best = Cut(_between(scores, order, place), place / size, 1 + mean / requested, bound)
    return best


def _between(scores: Sequence[float], order: Sequence[int], place: int) -> float:
    if place == len(order):
        return -NEVER
    return (scores[order[place - 1]] + scores[order[place]]) / 2
