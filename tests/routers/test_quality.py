"""The quality policy: nothing moves without a declaration, a known task, and outcomes that prove it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.contracts import NO_TAGS, Candidate, Cell, Labels, Question, Shape
from gateway.names import Slug
from gateway.quality.calibration import Curve
from gateway.quality.features import SHAPES, WIDTH
from gateway.quality.fitted import Fitted, dump, score_name
from gateway.quality.fitting import Model
from gateway.records import PathKind
from gateway.routers.quality import Quality
from gateway.usage import Nanos

STAND_INS: dict[str, dict[str, tuple[str, ...]]] = {"large": {"*": ("small", "tiny"), "code": ()}}
TARGETS = ("large", "small", "tiny")
CHAT = Labels(task=Slug("chat"), confidence=900)


def candidate(name: str, estimate: int | None, healthy: bool = True) -> Candidate:
    return Candidate(
        name=Slug(f"p/{name}"),
        healthy=healthy,
        input_price=1,
        output_price=1,
        estimate=None if estimate is None else Nanos(estimate),
    )


POOL = {
    Slug("large"): candidate("large", 100),
    Slug("small"): candidate("small", 10),
    Slug("tiny"): candidate("tiny", 1),
}
QUESTION = Question(
    kind=PathKind.CHAT,
    shape=Shape(),
    labels=CHAT,
    tags=NO_TAGS,
    key=Slug("key"),
    candidates=POOL,
    seed=0,
    requested=Slug("large"),
)


def router(cells: list[Cell] | None = None, **options: Any) -> Quality:
    made = Quality(Quality.Config(**{"targets": TARGETS, "stand_ins": STAND_INS, **options}))
    made.learn(cells or [])
    return made


def paired(model: str, count: int, well: int, task: str = "chat", against: str = "large") -> Cell:
    return Cell(
        task=Slug(task),
        model=Slug(model),
        against=Slug(against),
        count=count,
        total=well * 1000,
        squares=well * 10**6,
    )


def alone(model: str, count: int, mean: float) -> Cell:
    total = round(count * mean * 1000)
    return Cell(
        task=Slug("chat"),
        model=Slug(model),
        against=None,
        count=count,
        total=total,
        squares=round(count * mean * 10**6),
    )


def asked(policy: Quality, question: Question = QUESTION) -> tuple[tuple[str, ...], str]:
    choice = policy.plan(question)
    return choice.order, choice.reason


KEPT = (("large",), "quality_kept")


def test_without_a_declaration_nothing_moves() -> None:
    assert asked(router([paired("small", 1000, 1000)], stand_ins={})) == (("large",), "quality_undeclared")


def test_without_outcomes_nothing_moves() -> None:
    assert asked(router()) == KEPT


def test_enough_good_outcomes_move_a_task() -> None:
    policy = router([paired("small", 1000, 1000)])
    assert asked(policy) == (("small", "large"), "quality_table")
    other = replace(QUESTION, labels=replace(CHAT, task=Slug("writing")))
    assert asked(policy, other) == KEPT


def test_the_floor_is_held_against_the_bound_and_not_against_the_mean() -> None:
    assert asked(router([paired("small", 200, 200)])) == KEPT  # 0.1 ** (1 / 200) = 0.9886
    assert asked(router([paired("small", 240, 240)]))[1] == "quality_table"  # 0.9905
    assert asked(router([paired("small", 1000, 989)])) == KEPT
    assert asked(router([paired("small", 1000, 950)], floor=0.9))[1] == "quality_table"


def test_few_outcomes_are_none() -> None:
    assert asked(router([paired("small", 49, 49)], floor=0.5)) == KEPT
    assert asked(router([paired("small", 50, 50)], floor=0.5))[1] == "quality_table"


def test_scores_that_stand_alone_are_compared_by_their_means() -> None:
    cells = [alone("large", 5000, 0.6), alone("small", 5000, 0.66), alone("tiny", 5000, 0.55)]
    policy = router(cells)
    assert asked(policy) == (("small", "large"), "quality_table")
    told = {(one.requested, one.candidate): one for one in policy.verdicts()}
    assert set(told) == {("large", "small"), ("large", "tiny")}
    assert told[Slug("large"), Slug("small")].kept == 1100
    assert not told[Slug("large"), Slug("tiny")].moves
    assert told[Slug("large"), Slug("tiny")].reason == "below_floor"


def test_both_kinds_of_proof_count_each_with_half_the_error() -> None:
    apart = [alone("large", 60, 0.5), alone("small", 60, 0.5)]
    assert asked(router([paired("small", 240, 240)]))[1] == "quality_table"
    assert asked(router([paired("small", 240, 240), *apart])) == KEPT
    assert asked(router([paired("small", 400, 400), *apart]))[1] == "quality_table"


def test_the_cheapest_that_does_is_asked() -> None:
    both = [paired("small", 1000, 1000), paired("tiny", 1000, 1000)]
    assert asked(router(both)) == (("tiny", "large"), "quality_table")
    sick = replace(QUESTION, candidates={**POOL, Slug("tiny"): candidate("tiny", 1, healthy=False)})
    assert asked(router(both), sick) == (("small", "large"), "quality_table")
    unknown = replace(QUESTION, candidates={**POOL, Slug("tiny"): candidate("tiny", None)})
    assert asked(router(both), unknown) == (("small", "large"), "quality_table")


def test_what_is_not_cheaper_stays_where_it_is() -> None:
    dear = {**POOL, Slug("small"): candidate("small", 100), Slug("tiny"): candidate("tiny", 200)}
    cells = [paired("small", 1000, 1000), paired("tiny", 1000, 1000)]
    assert asked(router(cells), replace(QUESTION, candidates=dear)) == KEPT
    unpriced = {**POOL, Slug("large"): candidate("large", None)}
    assert asked(router(cells), replace(QUESTION, candidates=unpriced)) == KEPT


def test_a_task_with_a_list_of_its_own_does_not_take_that_of_all() -> None:
    policy = router([paired("small", 1000, 1000, task="code")])
    code = replace(QUESTION, labels=replace(CHAT, task=Slug("code")))
    assert asked(policy, code) == (("large",), "quality_undeclared")
    assert policy.verdicts() == []


@pytest.mark.parametrize(
    "labels", [Labels(), replace(CHAT, confidence=499), Labels(task=Slug("other"), confidence=1000)]
)
def test_a_task_that_is_not_sure_moves_nothing(labels: Labels) -> None:
    policy = router([paired("small", 1000, 1000), paired("small", 1000, 1000, task="other")])
    assert asked(policy, replace(QUESTION, labels=labels)) == (("large",), "quality_unsure")


def test_where_the_caller_names_no_model_the_default_is_meant() -> None:
    nobody = replace(QUESTION, requested=None)
    assert asked(router(default="large"), nobody) == KEPT
    assert asked(router(), nobody) == (TARGETS, "quality_unknown")
    gone = replace(nobody, candidates={Slug("tiny"): POOL[Slug("tiny")]})
    assert asked(router(default="large"), gone) == (("tiny",), "quality_unknown")


def test_a_declaration_can_be_taken_for_proof() -> None:
    policy = router(evidence="declared")
    assert asked(policy) == (("tiny", "large"), "quality_declared")
    assert asked(policy, replace(QUESTION, labels=Labels())) == (("large",), "quality_unsure")


def test_each_new_table_replaces_the_one_before() -> None:
    policy = router([paired("small", 1000, 1000)])
    assert policy.verdicts()[0].moves
    policy.learn([])
    assert asked(policy) == KEPT
    assert policy.verdicts() == []


def test_few_outcomes_are_told_as_such() -> None:
    (verdict,) = router([paired("small", 3, 3)]).verdicts()
    assert (verdict.count, verdict.kept, verdict.bound, verdict.reason) == (3, None, 0, "few_outcomes")


def fitted(path: Path, requested: str = "large", threshold: int = 900) -> str:
    model = Model(
        key=b"k",
        weights=[0.0] * WIDTH,
        means=[0.0] * SHAPES,
        scales=[1.0] * SHAPES,
        groups={},
        base=0.0,
    )
    one = Fitted(
        requested=Slug(requested),
        candidate=Slug("small"),
        model=model,
        curve=Curve(0.0, 1.0),
        threshold=threshold,
        facts={},
    )
    path.write_bytes(dump([one]))
    return str(path)


def test_a_fitted_score_decides_in_place_of_the_table(tmp_path: Path) -> None:
    policy = router([paired("small", 1000, 1000)], fitted=fitted(tmp_path / "fitted.json"))
    name = score_name(Slug("large"), Slug("small"))
    high = replace(QUESTION, labels=replace(Labels(), scores={name: 900}))
    assert asked(policy, high) == (("small", "large"), "quality_prompt")
    low = replace(QUESTION, labels=replace(CHAT, scores={name: 899}))
    assert asked(policy, low) == KEPT
    assert asked(policy) == (("small", "large"), "quality_table")  # without a score


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        router(fitted=str(tmp_path / "nothing"))
    (tmp_path / "wrong").write_text("{}")
    with pytest.raises(ValueError, match="not one that routes fit wrote"):
        router(fitted=str(tmp_path / "wrong"))


@pytest.mark.parametrize(
    "options",
    [
        {"floor": 0.0},
        {"floor": 1.1},
        {"confidence": 0.4},
        {"confidence": 1.0},
        {"least": 0},
        {"sure": 2.0},
        {"default": "nobody"},
        {"stand_ins": {"nobody": {"*": ("small",)}}},
        {"stand_ins": {"large": {"*": ("nobody",)}}},
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        router(**options)
