"""Names the task of a call from its words: one small logistic model, a fraction of a millisecond."""

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import repeat
from math import exp
from typing import TYPE_CHECKING, Final

from gateway.content import Document, Purpose
from gateway.contracts import Call, Classifier, Labels
from gateway.names import Slug
from gateway.routers.classifiers.features import GROUPS, SINGLE, VERSION, features
from gateway.routers.classifiers.reading import Prompt, read
from gateway.routers.classifiers.weights import Weights, WeightsError, parse, unpack

NAME: Final = Slug("linear-1")
FILE: Final = "tasks-1.bin"
OTHER: Final = Slug("other")

_THOUSAND: Final = 1000
_FINE: Final = 1 << 18
"""What a score of 1 is counted as. Scores stay below 2**13, the most that a label's field can hold."""


class Linear:
    """Knows what is asked for in words: code, a summary, a translation, ..."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Nothing to set."""

    def __init__(self, config: Config) -> None:
        self._model = model()
        self._labels = tuple(map(Slug, self._model.labels))

    def labels(self, call: Call) -> Labels:
        """The likeliest task; "other" when it is not likely enough, confidence 0 without any text."""
        chances = self._chances(call)
        if chances is None:
            return Labels(classifier=NAME)
        best = max(chances)
        task = self._labels[chances.index(best)] if best >= self._model.threshold else OTHER
        return Labels(task=task, confidence=max(1, round(best * _THOUSAND)), classifier=NAME)

    def scores(self, call: Call) -> dict[Slug, float]:
        """The probability of each task; nothing without any text."""
        chances = self._chances(call)
        return {} if chances is None else dict(zip(self._labels, chances, strict=True))

    def _chances(self, call: Call) -> list[float] | None:
        if not isinstance(call.body, Document):
            return None
        prompt = read(call.dialect, call.body.open(Purpose.CLASSIFY))
        return None if prompt is None else probabilities(self._model, prompt)


def probabilities(weights: Weights, prompt: Prompt) -> list[float]:
    """How likely each label is."""
    zeros = repeat(0)
    packed = 0
    for group, seen in zip(weights.groups, features(prompt), strict=True):
        if seen:
            # Whole numbers stand for the groups' factors, so that labels are taken apart once, at the end.
            factor = round(group.step * _FINE / len(seen) ** group.power)
            packed += sum(map(group.table.get, seen, zeros)) * factor
    totals = [one / _FINE for one in unpack(packed, len(weights.labels))]
    most = max(totals)
    raised = [exp((total - most) / weights.temperature) for total in totals]
    whole = sum(raised)
    return [one / whole for one in raised]


@lru_cache(maxsize=1)
def model() -> Weights:
    """The weights that are shipped, read once.

    Raises:
        WeightsError: the file is damaged, or made for other features.
    """
    data = resources.files(__package__).joinpath(FILE).read_bytes()
    weights = parse(data, [name in SINGLE for name in GROUPS])
    if weights.features != VERSION:
        raise WeightsError("the weights are for another version")
    return weights


if TYPE_CHECKING:
    _: type[Classifier] = Linear
