"""Scores to probabilities: Platt's logistic curve, fitted on scores of rows that were not trained on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_STEPS: Final = 100
_LEAST_SLOPE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Curve:
    """p = 1 / (1 + exp(-(offset + slope * score))). The slope is above 0, so that the order stays."""

    offset: float
    slope: float

    def probability(self, score: float) -> float:
        """From 0 to 1."""
        return logistic(self.offset + self.slope * score)


def logistic(value: float) -> float:
    """1 / (1 + exp(-value)), for any value."""
    return 1 / (1 + math.exp(-value)) if value >= 0 else 1 - 1 / (1 + math.exp(value))


def fit_curve(scores: Sequence[float], happened: Sequence[bool]) -> Curve:
    """The curve under which what happened is likeliest, by Newton's method.

    Platt's targets, one made-up case of each kind, keep it finite where all cases are alike.
    """
    count = sum(happened)
    high, low = (count + 1) / (count + 2), 1 / (len(happened) - count + 2)
    wanted = [high if one else low for one in happened]
    offset, slope = math.log((count + 1) / (len(happened) - count + 1)), 0.0
    for _ in range(_STEPS):
        g0 = g1 = h01 = 0.0
        h00 = h11 = 1e-9
        for score, target in zip(scores, wanted, strict=True):
            p = logistic(offset + slope * score)
            weight, gap = p * (1 - p), target - p
            g0 += gap
            g1 += gap * score
            h00 += weight
            h01 += weight * score
            h11 += weight * score * score
        bottom = h00 * h11 - h01 * h01
        if bottom <= 0:
            break
        a, b = (h11 * g0 - h01 * g1) / bottom, (h00 * g1 - h01 * g0) / bottom
        shrink = min(1.0, 5 / max(abs(a), abs(b) / 10, 1e-12))
        offset, slope = offset + shrink * a, slope + shrink * b
        if abs(a) + abs(b) < 1e-7:
            break
    if slope >= _LEAST_SLOPE:
        return Curve(offset, slope)
    return Curve(math.log((count + 1) / (len(happened) - count + 1)), _LEAST_SLOPE)


def calibration_error(probabilities: Sequence[float], happened: Sequence[bool], bins: int = 10) -> float:
    """How far probabilities are from what happened: the mean gap over bins of equal width, by their rows."""
    sums = [[0, 0.0, 0] for _ in range(bins)]
    for probability, one in zip(probabilities, happened, strict=True):
        held = sums[min(int(probability * bins), bins - 1)]
        held[0] += 1
        held[1] += probability
        held[2] += one
    return sum(abs(total - hits) for _, total, hits in sums) / (len(probabilities) or 1)
