"""How likely a cheaper model serves a call as well: scores for the quality policy, from a fitted file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.content import Document, Purpose
from gateway.contracts import Call, Classifier, Labels
from gateway.names import Slug
from gateway.quality.fitted import load, score_name
from gateway.quality.fitting import Reader
from gateway.routers.classifiers.reading import read

NAME = Slug("served-1")


class Served:
    """Names no task. Adds a score for each pair of models that the file knows.

    Attributes:
        always: it is asked even where the task is known.
    """

    always = True

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """file: what `gateway routes fit` wrote."""

        file: str

    def __init__(self, config: Config) -> None:
        fitted = load(Path(config.file))
        self._models = [(score_name(one.requested, one.candidate), one) for one in fitted]

    def labels(self, call: Call) -> Labels:
        """p_ok of each pair, in thousandths; no scores without any text."""
        if not isinstance(call.body, Document):
            return Labels(classifier=NAME)
        prompt = read(call.dialect, call.body.open(Purpose.CLASSIFY))
        if prompt is None:
            return Labels(classifier=NAME)
        reader = Reader(prompt.last)  # all models of a file look at the same numbers
        return Labels(classifier=NAME, scores={name: one.p_ok(reader) for name, one in self._models})


if TYPE_CHECKING:
    _: type[Classifier] = Served
