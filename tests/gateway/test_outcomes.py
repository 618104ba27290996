"""Outcomes on their way in: strict rows, joined with their records, counted once."""

from typing import Any

import pytest

from gateway.contracts import Cell
from gateway.names import Slug
from gateway.outcomes import Judgement, OutcomeError, Taken, read_judgements, read_pairs, renamed, take
from gateway.store.memory import MemoryStore
from tests.sample_records import a_record

PAIR: dict[str, Any] = {"task": "chat", "requested": "large", "candidate": "small"}


def test_a_thumb_and_a_score_are_thousandths() -> None:
    rows = [
        {"request_id": "req-1", "thumb": "up"},
        {"request_id": "req-2", "thumb": "down", "source": "users"},
        {"request_id": "req-3", "score": 0.25, "against": "openai/large"},
    ]
    assert read_judgements(rows) == [
        Judgement(Slug("req-1"), Slug("thumbs"), 1000, None),
        Judgement(Slug("req-2"), Slug("users"), 0, None),
        Judgement(Slug("req-3"), Slug("score"), 250, Slug("openai/large")),
    ]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ([], "unknown_field"),
        ({"request_id": "a", "score": 1, "prompt": "hello"}, "unknown_field"),
        ({"request_id": "a"}, "score_or_thumb"),
        ({"request_id": "a", "score": 1, "thumb": "up"}, "score_or_thumb"),
        ({"request_id": "a", "thumb": "sideways"}, "score_or_thumb"),
        ({"request_id": "a", "thumb": ["up"]}, "score_or_thumb"),
        ({"request_id": "a", "thumb": {"up": 1}}, "score_or_thumb"),
        ({"score": 1}, "request_id"),
        ({"request_id": "two words", "score": 1}, "request_id"),
        ({"request_id": "a", "score": 1.5}, "score"),
        ({"request_id": "a", "score": float("nan")}, "score"),
        ({"request_id": "a", "score": "1"}, "score"),
        ({"request_id": "a", "score": 1, "source": ""}, "source"),
        ({"request_id": "a", "score": 1, "against": "two words"}, "against"),
    ],
)
def test_a_row_that_is_not_as_it_must_be_is_refused_by_its_place(row: Any, field: str) -> None:
    with pytest.raises(OutcomeError) as refused:
        read_judgements([{"request_id": "a", "thumb": "up"}, row])
    assert (refused.value.place, refused.value.field) == (2, field)


async def test_a_judgement_is_stored_with_the_task_and_model_of_its_record() -> None:
    store = MemoryStore()
    records = [
        a_record(1, task=Slug("chat"), model_routed=Slug("p/small")),
        a_record(2, task=None, model_routed=Slug("p/small")),
        a_record(3, model_routed=None),
        a_record(4, model_routed=Slug("p/small"), key_id=Slug("key-9")),
    ]
    await store.records.add(records)
    judged = read_judgements([{"request_id": record.id, "thumb": "up"} for record in records])
    judged.append(Judgement(Slug("nobody"), Slug("thumbs"), 0, None))
    own = records[0].key_id
    assert await take(store, judged, 5, own) == Taken(added=2, known=0, unknown=3)
    assert await take(store, judged, 5) == Taken(added=1, known=2, unknown=2)
    cells = await store.outcomes.cells()
    assert {(cell.task, cell.model) for cell in cells} >= {("chat", "p/small"), ("other", "p/small")}


def test_cells_of_one_model_by_two_names_are_added_up() -> None:
    def cell(model: str, against: str | None = None) -> Cell:
        return Cell(
            task=Slug("chat"),
            model=Slug(model),
            against=Slug(against) if against else None,
            count=1,
            total=500,
            squares=250_000,
        )

    names = {Slug("p/small"): Slug("small"), Slug("p/large"): Slug("large")}
    found = renamed([cell("p/small", "p/large"), cell("small", "large"), cell("p/other")], names)
    assert [(one.model, one.against, one.count, one.total, one.squares) for one in found] == [
        ("small", "large", 2, 1000, 500_000),
        ("p/other", None, 1, 500, 250_000),
    ]


def test_an_evaluation_by_verdict_is_one_outcome_a_row() -> None:
    rows = [{**PAIR, "served_as_well": 1}, {**PAIR, "served_as_well": 0, "id": "q-7"}]
    one, two = read_pairs(rows, Slug("eval"), Slug("import-1"), 5)
    assert (one.call, one.source, one.model, one.against, one.score) == (
        "import-1:1", "eval", "small", "large", 1000,
    )  # fmt: skip
    assert (two.call, two.score, two.at_ms, two.task) == ("q-7", 0, 5, "chat")


def test_an_evaluation_by_scores_tells_both_how_often_and_how_much() -> None:
    rows = [{**PAIR, "score_candidate": 0.5, "score_requested": 0.75}]
    found = read_pairs(rows, Slug("eval"), Slug("import-1"), 5)
    assert [(one.source, one.model, one.against, one.score) for one in found] == [
        ("eval", "small", "large", 0),
        ("eval/candidate", "small", None, 500),
        ("eval/requested", "large", None, 750),
    ]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (7, "unknown_field"),
        ({**PAIR, "served_as_well": 1, "answer": "text"}, "unknown_field"),
        ({**PAIR, "served_as_well": 1, "score_candidate": 1}, "served_as_well_or_scores"),
        (PAIR, "score_candidate"),
        ({**PAIR, "score_candidate": 1}, "score_requested"),
        ({**PAIR, "task": "two words", "served_as_well": 1}, "task"),
        ({**PAIR, "id": "", "served_as_well": 1}, "id"),
    ],
)
def test_an_evaluation_is_as_strict(row: Any, field: str) -> None:
    with pytest.raises(OutcomeError) as refused:
        read_pairs([row], Slug("eval"), Slug("import-1"), 5)
    assert (refused.value.place, refused.value.field) == (1, field)
