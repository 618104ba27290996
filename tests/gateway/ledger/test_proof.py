"""Savings by group, each with what is known of the quality that was kept."""

from typing import Any

from gateway.contracts import Cell
from gateway.ledger.proof import Saved, prove
from gateway.names import Slug

DEAR, CHEAP, CODE = Slug("p/dear"), Slug("p/cheap"), Slug("code")


def row(calls: int = 1, **changes: Any) -> dict[str, Any]:
    known = {
        "feature": "chat", "task": CODE, "model_routed": CHEAP, "baseline_model": DEAR, "calls": calls,
        "unmeasured": 0, "cost_nanos": 40, "baseline_nanos": 100, "saved_routing_nanos": 50,
        "saved_downgrade_nanos": 7, "saved_cache_nanos": 3, "saved_estimated": calls,
    }  # fmt: skip
    return known | changes


def cell(model: Slug, count: int, mean: int, against: Slug | None = None, task: Slug = CODE) -> Cell:
    return Cell(task=task, model=model, against=against, count=count, total=count * mean, squares=0)


def test_rows_of_a_group_are_added_up_and_the_dearest_baseline_comes_first() -> None:
    rows = [row(), row(2, feature="search", baseline_nanos=900), row(model_routed=DEAR, saved_estimated=0)]
    found = prove(rows, ["feature"], [])
    assert list(found) == [("search",), ("chat",)]
    chat = found["chat",]
    assert (chat.calls, chat.cost, chat.baseline, chat.saved, chat.moved) == (2, 80, 200, 120, 1)
    assert (chat.share, chat.saved) == (600_000, chat.baseline - chat.cost)


def test_without_outcomes_the_quality_is_unknown() -> None:
    [found] = prove([row()], [], []).values()
    assert (found.quality, found.outcomes, found.judged) == (None, 0, 0)
    [one] = found.kept
    assert (one.task, one.model, one.baseline, one.calls, one.kept) == (CODE, CHEAP, DEAR, 1, None)
    only_ours = [cell(CHEAP, 50, 900)]
    assert next(iter(prove([row()], [], only_ours).values())).quality is None
    theirs_are_all_bad = [cell(CHEAP, 50, 900), cell(DEAR, 9, 0)]
    assert next(iter(prove([row()], [], theirs_are_all_bad).values())).quality is None


def test_the_mean_scores_of_both_models_tell_what_was_kept() -> None:
    [found] = prove([row()], [], [cell(CHEAP, 50, 900), cell(DEAR, 30, 950)]).values()
    assert (found.quality, found.outcomes) == (947, 30)
    assert (found.kept[0].score, found.kept[0].other_score) == (900, 950)


def test_judged_pairs_tell_more_than_means() -> None:
    cells = [cell(CHEAP, 50, 500), cell(DEAR, 50, 900), cell(CHEAP, 20, 980, DEAR)]
    [found] = prove([row()], [], cells).values()
    assert (found.quality, found.outcomes) == (980, 20)


def test_the_quality_of_a_group_is_that_of_its_moved_calls_that_are_known() -> None:
    rows = [row(30), row(10, task=Slug("prose")), row(60, task=Slug("maths"))]
    cells = [cell(CHEAP, 20, 1000, DEAR), cell(CHEAP, 5, 800, DEAR, Slug("prose"))]
    [found] = prove(rows, [], cells).values()
    assert (found.quality, found.judged, found.moved, found.outcomes) == (950, 40, 100, 25)


def test_a_group_that_nothing_is_known_of_has_no_share() -> None:
    assert Saved().share is None
