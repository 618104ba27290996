"""Stage 2: what kind of task a call is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from gateway import log
from gateway.clock import Clock, SystemClock
from gateway.contracts import Call, Classifier, Labels
from gateway.exchange import Exchange
from gateway.names import UNKNOWN, Slug

HEADER = Slug("header")
SURE = 1000

TIME_S: Final = 0.005
"""How long a classifier may take, where nothing else is configured."""

MOST_LATE: Final = 3
REST_S: Final = 60
"""A classifier that was late so often in a row is left out for so long."""


class Classify:
    """Asks the classifiers in turn; the first that is not at a loss is believed.

    Scores are gathered from all that are asked. A classifier whose attribute always is True is asked even
    where the task is known.

    Args:
        time_s: how long each may take. A classifier runs on the loop and cannot be stopped, so a late
            one is still believed; but one that is late again and again is given a rest.
    """

    def __init__(
        self, classifiers: Sequence[Classifier], clock: Clock | None = None, time_s: float = TIME_S
    ) -> None:
        self._classifiers = tuple(classifiers)
        self._scoring = [getattr(one, "always", False) is True for one in self._classifiers]
        self._clock = clock or SystemClock()
        self._allowed_ns = int(time_s * 10**9)
        self._late = [0] * len(self._classifiers)  # times in a row
        self._rests_until_ns = [0] * len(self._classifiers)

    async def __call__(self, exchange: Exchange) -> None:
        """Reads call. Fills labels, when they are first read. The caller's own label always wins.

        Raises nothing.
        """
        exchange.labelling = self.labels

    def labels(self, call: Call) -> Labels:
        """What is believed of a call. Raises nothing."""
        task = call.tags.task
        found = None if task is None else Labels(task=task, confidence=SURE, classifier=HEADER)
        scores: dict[Slug, int] = {}
        begun_ns = self._clock.tick_ns()
        for place in range(len(self._classifiers)):
            if begun_ns < self._rests_until_ns[place] or (found is not None and not self._scoring[place]):
                continue
            labels = self._ask(place, call)
            ended_ns = self._clock.tick_ns()
            if ended_ns - begun_ns > self._allowed_ns:
                self._tell_late(place, labels, ended_ns - begun_ns, ended_ns)
            else:
                self._late[place] = 0
            begun_ns = ended_ns
            if labels is not None:
                if labels.scores:
                    scores.update(labels.scores)
                if found is None and labels.confidence > 0:
                    found = labels
        if found is None:
            found = Labels()
        return replace(found, scores=scores) if scores else found

    def _ask(self, place: int, call: Call) -> Labels | None:
        try:
            return _checked(self._classifiers[place].labels(call))
        except Exception as failure:  # a plugin's mistake costs a label, never a call
            log.fact("classify.failed", log.Level.WARNING, error=log.kind(failure), place=log.place(failure))
            return None

    def _tell_late(self, place: int, labels: Labels | None, taken_ns: int, now_ns: int) -> None:
        self._late[place] += 1
        rests = self._late[place] >= MOST_LATE
        if rests:
            self._late[place] = 0
            self._rests_until_ns[place] = now_ns + REST_S * 10**9
        log.fact(
            "classify.late",
            log.Level.WARNING,
            classifier=UNKNOWN if labels is None else labels.classifier,
            number=place + 1,
            microseconds=taken_ns // 1000,
            rests=rests,
        )


def _checked(labels: Labels) -> Labels:
    """What a classifier said, made of names and numbers: a sentence would end up in the record.

    Raises:
        ValueError: it is something else.
    """
    confidence = labels.confidence
    if type(confidence) is not int or not 0 <= confidence <= SURE:
        raise ValueError("confidence is a number from 0 to 1000")
    scores = labels.scores
    if scores:
        scores = _checked_scores(scores)
    elif type(labels) is Labels and type(labels.task) is type(labels.classifier) is Slug:
        return labels
    return Labels(
        task=Slug(labels.task), confidence=confidence, classifier=Slug(labels.classifier), scores=scores
    )


def _checked_scores(scores: Mapping[Slug, int]) -> dict[Slug, int]:
    """The same, made of names and thousandths.

    Raises:
        ValueError: it is something else.
    """
    if any(type(score) is not int or not 0 <= score <= SURE for score in scores.values()):
        raise ValueError("a score is a number from 0 to 1000")
    return {Slug(name): score for name, score in scores.items()}
