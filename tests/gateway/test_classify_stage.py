"""The classify stage: who is believed, and what a broken or late classifier costs."""

import io
from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest

from gateway import log
from gateway.content import EMPTY
from gateway.contracts import Call, Labels, Tags
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stages.classify import REST_S, Classify

CALL = Call(dialect=Slug("openai_chat"), kind=PathKind.CHAT, model="m", stream=False, body=EMPTY)
FIRST = Labels(task=Slug("writing"), confidence=700, classifier=Slug("first"))
SECOND = Labels(task=Slug("chat"), confidence=300, classifier=Slug("second"))
MS = 10**6


class Watch:
    """A clock that stands until somebody takes time."""

    def __init__(self) -> None:
        self.ns = 10**12

    def now_us(self) -> int:
        return self.ns // 1000

    def tick_ns(self) -> int:
        return self.ns


class Slow:
    """Answers after the next of the given times; the last one stays."""

    def __init__(self, watch: Watch, labels: Labels | None, *ms: int) -> None:
        self.watch, self.answer, self.ms, self.asked = watch, labels, list(ms), 0

    def labels(self, call: Call) -> Labels:
        self.asked += 1
        self.watch.ns += MS * (self.ms.pop(0) if len(self.ms) > 1 else self.ms[0])
        if self.answer is None:
            raise RuntimeError("what a plugin says")
        return self.answer


@pytest.fixture
def lines() -> Sequence[dict[str, object]]:
    class Read(list[dict[str, object]]):
        def __init__(self) -> None:
            super().__init__()
            self.out = io.StringIO()

        def fill(self) -> "Read":
            self[:] = [orjson.loads(line) for line in self.out.getvalue().splitlines()]
            return self

    read = Read()
    log.configure(out=read.out)
    yield read
    log.configure()


def test_the_first_that_is_not_at_a_loss_is_believed() -> None:
    watch = Watch()
    stage = Classify([Slow(watch, Labels(), 0), Slow(watch, SECOND, 0), Slow(watch, FIRST, 0)], watch)
    assert stage.labels(CALL) == SECOND


def test_a_callers_own_label_wins_and_nobody_is_asked() -> None:
    watch = Watch()
    one = Slow(watch, FIRST, 0)
    labels = Classify([one], watch).labels(replace(CALL, tags=Tags(task=Slug("mine"))))
    assert (labels.task, labels.confidence, labels.classifier, one.asked) == ("mine", 1000, "header", 0)


def test_without_an_answer_the_task_is_other() -> None:
    assert Classify([]).labels(CALL) == Labels()


def test_a_late_classifier_is_believed_and_told_of(lines: Sequence[dict[str, object]]) -> None:
    watch = Watch()
    stage = Classify([Slow(watch, FIRST, 6, 0)], watch, 0.005)
    assert stage.labels(CALL) == FIRST
    assert stage.labels(CALL) == FIRST
    told = lines.fill()
    assert [one["event"] for one in told] == ["classify.late"]
    assert (told[0]["classifier"], told[0]["microseconds"], told[0]["rests"]) == ("first", 6000, False)


def test_one_that_is_late_three_times_in_a_row_rests_for_a_minute(lines: Sequence[dict[str, object]]) -> None:
    watch = Watch()
    slow, quick = Slow(watch, FIRST, 6), Slow(watch, SECOND, 1)
    stage = Classify([slow, quick], watch, 0.005)
    assert [stage.labels(CALL).classifier for _ in range(5)] == ["first"] * 3 + ["second"] * 2
    assert slow.asked == 3
    watch.ns += REST_S * 10**9
    assert stage.labels(CALL) == FIRST
    assert [one["rests"] for one in lines.fill()] == [False, False, True, False]


def test_being_in_time_once_forgives_what_was_before() -> None:
    watch = Watch()
    slow = Slow(watch, FIRST, 6, 6, 5, 6, 6, 1)
    stage = Classify([slow, Slow(watch, SECOND, 0)], watch, 0.005)
    assert [stage.labels(CALL).classifier for _ in range(6)] == ["first"] * 6


def test_one_that_fails_late_rests_as_well(lines: Sequence[dict[str, object]]) -> None:
    watch = Watch()
    broken = Slow(watch, None, 9)
    stage = Classify([broken, Slow(watch, SECOND, 0)], watch, 0.005)
    assert [stage.labels(CALL) for _ in range(5)] == [SECOND] * 5
    assert broken.asked == 3
    assert "what a plugin says" not in lines.fill().out.getvalue()  # type: ignore[attr-defined]
    assert {one["event"] for one in lines} == {"classify.failed", "classify.late"}
    assert {one.get("classifier") for one in lines} == {None, "unknown"}
