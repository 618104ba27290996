"""Fits a model of prompts from outcomes of both models, and measures it on rows it was not fitted on."""

import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from typing import Final

from gateway.quality import features
from gateway.quality.calibration import Curve, fit_curve
from gateway.quality.sparse import Matrix, matrix, ridge
from gateway.quality.threshold import Cut, find_cut

FOLDS: Final = 8
PENALTIES: Final = (2.0, 5.0, 12.0, 30.0, 80.0)
SHAPE_WEIGHT: Final = 0.06
MARK_WEIGHT: Final = 0.2
GROUP_WEIGHT: Final = 0.45
"""Of the features beside words, whose squares add up to 1."""
OUTPUT_TOKENS: Final = 100
LOSS_WEIGHT: Final = 0.5
STRANGERS: Final = 0.01
LEAST: Final = 60
"""Rows below which nothing is fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """A prompt with the outcomes of both models, from 0 to 1. group: what kind of task it is, if known."""

    prompt: str
    group: str
    cheap: float
    requested: float


class Reader:
    """The numbers of one prompt, for any number of models. Lives as long as the look."""

    __slots__ = ("_text", "_words", "marks", "shape")

    def __init__(self, text: str) -> None:
        self._text = text
        self._words: dict[bytes, tuple[Collection[int], Collection[int]]] = {}
        self.shape = features.shape(text)
        self.marks = features.marks(text)

    def words(self, key: bytes) -> tuple[Collection[int], Collection[int]]:
        """Columns of words and pairs, and the words' own numbers, by the key of a model."""
        found = self._words.get(key)
        if found is None:
            found = self._words[key] = features.words(self._text, key)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What was fitted: a score for each prompt, above all a matter of order.

    Attributes:
        key: of the hash.
        weights: by column; the groups' columns come last.
        means, scales: of the shapes, over the rows it was fitted on.
        groups: the groups that have a column.
        base: the score of a prompt without features.
        known: numbers of the words it was fitted on.
        least_known: share of a prompt's words that must be among them.
    """

    key: bytes
    weights: Sequence[float]
    means: Sequence[float]
    scales: Sequence[float]
    groups: Mapping[str, int]
    base: float
    known: Set[int] = frozenset()
    least_known: float = 0.0

    def knows(self, reader: "Reader") -> bool:
        """Whether the prompt is of the kind that it learnt from: elsewhere its scores mean nothing."""
        numbers = reader.words(self.key)[1]
        return sum(map(self.known.__contains__, numbers)) >= self.least_known * len(numbers)

    def score(self, reader: "Reader", group: str = "") -> float:
        """What the cheaper model gains over the requested one less what it loses: mostly below 0."""
        weights = self.weights
        line = list(map(weights.__getitem__, reader.words(self.key)[0]))
        total = self.base + sum(line) / math.sqrt(len(line) or 1)
        shapes = zip(reader.shape, self.means, self.scales, strict=True)
        for column, (one, mean, scale) in enumerate(shapes, features.BUCKETS):
            total += weights[column] * SHAPE_WEIGHT * max(-3.0, min(3.0, (one - mean) / scale))
        total += MARK_WEIGHT * sum(map(weights.__getitem__, reader.marks))
        if group in self.groups:
            total += GROUP_WEIGHT * weights[self.groups[group]]
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A model with all that was measured out of fold.

    cut: on scores. worth_cut: on worths, which moves the same quality but saves more.
    scores: of the rows, by models that did not see them.
    """

    model: Model
    curve: Curve
    cut: Cut
    worth_cut: Cut
    scores: Sequence[float]


def worth(score: float, prompt: str) -> float:
    """A score by what the call costs: at the same loss, a long prompt saves more than a short one.

    Lengths of answers are not known beforehand, so each counts as OUTPUT_TOKENS of input.
    """
    tokens = len(prompt) / 4 + OUTPUT_TOKENS
    return score * tokens if score > 0 else score / tokens


def fit(rows: Sequence[Feedback], key: bytes, floor: float, confidence: float) -> Fit | None:
    """Fit a model; None when there are too few rows."""
    if len(rows) < LEAST:
        return None
    gains = [row.cheap - row.requested for row in rows]
    blank = _blank(rows, key)
    readers = [Reader(row.prompt) for row in rows]
    table = [_row(reader, row.group, blank) for reader, row in zip(readers, rows, strict=True)]
    known, least_known = _familiar([reader.words(key)[1] for reader in readers])
    width = features.WIDTH + len(blank.groups)
    parts = folds(len(rows), FOLDS)
    # What is lost is told more surely than what is won, so it counts more.
    losses = [max(-gain, 0.0) for gain in gains]
    gained = _learn(table, gains, width, parts, PENALTIES)
    lost = _learn(table, losses, width, parts, (gained.penalty,))
    scores = [one - LOSS_WEIGHT * two for one, two in zip(gained.scores, lost.scores, strict=True)]
    weights = [one - LOSS_WEIGHT * two for one, two in zip(gained.weights, lost.weights, strict=True)]
    curve = fit_curve(scores, [gain >= 0 for gain in gains])
    requested = sum(row.requested for row in rows) / len(rows)
    worths = [worth(score, row.prompt) for score, row in zip(scores, rows, strict=True)]
    cut, worth_cut = (find_cut(line, gains, requested, floor, confidence) for line in (scores, worths))
    model = Model(
        key=key,
        weights=weights,
        means=blank.means,
        scales=blank.scales,
        groups=blank.groups,
        base=gained.base - LOSS_WEIGHT * lost.base,
        known=known,
        least_known=least_known,
    )
    return Fit(model=model, curve=curve, cut=cut, worth_cut=worth_cut, scores=scores)


@dataclass(frozen=True, slots=True)
class _Try:
    penalty: float
    error: float
    scores: Sequence[float]


@dataclass(frozen=True, slots=True)
class _Learnt:
    """base and weights: of all rows. scores: of each row, from the others."""

    penalty: float
    base: float
    weights: Sequence[float]
    scores: Sequence[float]


def _learn(
    table: Sequence[features.Row],
    wanted: Sequence[float],
    width: int,
    parts: Sequence[Sequence[int]],
    penalties: Sequence[float],
) -> _Learnt:
    best = _best(lambda penalty: _out_of_fold(table, wanted, width, parts, penalty), penalties)
    base = sum(wanted) / len(wanted)
    weights = ridge(matrix(table, width), [one - base for one in wanted], best.penalty)
    return _Learnt(best.penalty, base, weights, best.scores)


def _best(attempt: Callable[[float], _Try], penalties: Sequence[float]) -> _Try:
    """The penalty with the least error: from the middle on, as long as it gets better."""
    middle = len(penalties) // 2
    best = attempt(penalties[middle])
    for way in (1, -1):
        place = middle + way
        while 0 <= place < len(penalties):
            other = attempt(penalties[place])
            if other.error >= best.error:
                break
            best, place = other, place + way
        if best.penalty != penalties[middle]:
            break
    return best


def _out_of_fold(
    table: Sequence[features.Row],
    gains: Sequence[float],
    width: int,
    parts: Sequence[Sequence[int]],
    penalty: float,
) -> _Try:
    scores = [0.0] * len(table)
    for fold in parts:
        out = set(fold)
        into = [row for row in range(len(table)) if row not in out]
        base = sum(gains[row] for row in into) / len(into)
        weights = ridge(_part(table, into, width), [gains[row] - base for row in into], penalty)
        for row in fold:
            scores[row] = base + sum(weights[column] * value for column, value in table[row].items())
    error = math.fsum((score - gain) ** 2 for score, gain in zip(scores, gains, strict=True))
    return _Try(penalty, error, scores)


def _part(table: Sequence[features.Row], rows: Sequence[int], width: int) -> Matrix:
    return matrix([table[row] for row in rows], width)


def folds(size: int, count: int) -> list[list[int]]:
    """The rows in parts; the same number of rows is always parted in the same way."""
    order = list(range(size))
    random.Random(size).shuffle(order)  # noqa: S311 - the same rows give the same folds
    return [order[start::count] for start in range(count)]


def _blank(rows: Sequence[Feedback], key: bytes) -> Model:
    """A model without weights, for its way to make rows."""
    shapes = [features.shape(row.prompt) for row in rows]
    columns = list(zip(*shapes, strict=True))
    means = [sum(column) / len(column) for column in columns]
    scales = [
        math.sqrt(sum((one - mean) ** 2 for one in column) / len(column)) or 1.0
        for column, mean in zip(columns, means, strict=True)
    ]
    names = sorted({row.group for row in rows} - {""})
    first = features.WIDTH
    return Model(
        key=key,
        weights=(),
        means=means,
        scales=scales,
        groups={name: first + place for place, name in enumerate(names)},
        base=0.0,
    )


def _familiar(texts: Sequence[Collection[int]]) -> tuple[Set[int], float]:
    """All words, and the share of words that all but STRANGERS of the texts share with the others."""
    counts = Counter(chain.from_iterable(texts))
    shares = sorted(sum(counts[number] > 1 for number in text) / (len(text) or 1) for text in texts)
    return frozenset(counts), shares[int(len(shares) * STRANGERS)]


def _row(reader: Reader, group: str, model: Model) -> features.Row:
    columns = reader.words(model.key)[0]
    row = dict.fromkeys(columns, 1 / math.sqrt(len(columns) or 1))
    shapes = zip(reader.shape, model.means, model.scales, strict=True)
    for place, (one, mean, scale) in enumerate(shapes):
        row[features.BUCKETS + place] = SHAPE_WEIGHT * max(-3.0, min(3.0, (one - mean) / scale))
    for column in reader.marks:
        row[column] = MARK_WEIGHT
    if group in model.groups:
        row[model.groups[group]] = GROUP_WEIGHT
    return row
