"""Scores of classifiers are gathered, also where the task is known, and are numbers or nothing."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.content import EMPTY
from gateway.contracts import Call, Labels, Tags
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stages.classify import Classify

CALL = Call(dialect=Slug("openai_chat"), kind=PathKind.CHAT, model="m", stream=False, body=EMPTY)


class Says:
    """Says what it is told to."""

    def __init__(self, always: bool = False, **labels: Any) -> None:
        self.always = always
        self._labels = Labels(**labels)

    def labels(self, call: Call) -> Labels:
        return self._labels


TASK = Says(task=Slug("chat"), confidence=900, classifier=Slug("words"), scores={Slug("chat"): 900})
SCORES = Says(always=True, scores={Slug("ok:a:b"): 700})


def test_scores_are_gathered_from_all_that_are_asked() -> None:
    for order in ([TASK, SCORES], [SCORES, TASK]):
        labels = Classify(order).labels(CALL)
        assert (labels.task, labels.confidence, labels.classifier) == ("chat", 900, "words")
        assert labels.scores == {"chat": 900, "ok:a:b": 700}


def test_scores_are_asked_for_where_the_caller_tells_the_task() -> None:
    told = replace(CALL, tags=Tags(task=Slug("mine")))
    labels = Classify([TASK, SCORES]).labels(told)
    assert (labels.task, labels.classifier, labels.scores) == ("mine", "header", {"ok:a:b": 700})


def test_a_later_classifier_without_scores_is_not_asked_once_the_task_is_known() -> None:
    late = Says(task=Slug("code"), confidence=1000, scores={Slug("code"): 1000})
    assert Classify([TASK, late]).labels(CALL).scores == {"chat": 900}
    assert Classify([SCORES]).labels(CALL).task == "other"


@pytest.mark.parametrize("scores", [{"ok": 1001}, {"ok": -1}, {"ok": 0.5}, {"two words": 5}])
def test_scores_that_are_none_cost_the_labels(scores: dict[Any, Any]) -> None:
    wrong = Says(task=Slug("chat"), confidence=900, scores=scores)
    assert Classify([wrong]).labels(CALL) == Labels()
