"""Stage 2: what kind of task a call is."""

from collections.abc import Sequence

from gateway import log
from gateway.contracts import Classifier, Labels
from gateway.exchange import Exchange
from gateway.names import Slug

HEADER = Slug("header")
SURE = 1000


class Classify:
    """Asks the classifiers in turn; the first that is not at a loss is believed."""

    def __init__(self, classifiers: Sequence[Classifier]) -> None:
        self._classifiers = tuple(classifiers)

    async def __call__(self, exchange: Exchange) -> None:
        """Reads call. Fills labels. The caller's own label always wins. Raises nothing."""
        call = exchange.call
        if call.tags.task is not None:
            exchange.labels = Labels(task=call.tags.task, confidence=SURE, classifier=HEADER)
            return
        for classifier in self._classifiers:
            try:
                labels = _checked(classifier.labels(call))
            except Exception as failure:  # a plugin's mistake costs a label, never a call
                log.fact(
                    "classify.failed", log.Level.WARNING, error=log.kind(failure), place=log.place(failure)
                )
                continue
            if labels.confidence > 0:
                exchange.labels = labels
                return
        exchange.labels = Labels()


def _checked(labels: Labels) -> Labels:
    """What a classifier said, made of names and numbers: a sentence would end up in the record.

    Raises:
        ValueError: it is something else.
    """
    confidence = labels.confidence
    if type(confidence) is not int or not 0 <= confidence <= SURE:
        raise ValueError("confidence is a number from 0 to 1000")
    if type(labels) is Labels and type(labels.task) is type(labels.classifier) is Slug:
        return labels
    return Labels(task=Slug(labels.task), confidence=confidence, classifier=Slug(labels.classifier))
