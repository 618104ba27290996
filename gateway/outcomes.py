"""Outcomes on their way in: strict rows of names and numbers, from the admin API or a file, to the store."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.contracts import Cell, Outcome, Store
from gateway.names import Slug, is_name
from gateway.records import Record

MOST_ROWS: Final = 1_000
OTHER: Final = Slug("other")
THUMBS: Final = Slug("thumbs")
SCORE: Final = Slug("score")

_THUMBS: Final = {"up": 1000, "down": 0}
_OF_CALLS: Final = frozenset({"request_id", "source", "score", "thumb", "against"})
_OF_PAIRS: Final = frozenset({
    "id", "task", "requested", "candidate", "served_as_well", "score_requested", "score_candidate",
})  # fmt: skip


class OutcomeError(ValueError):
    """A row is not as it must be. field is one of ours; place counts from 1. Values are not quoted."""

    def __init__(self, place: int, field: str) -> None:
        super().__init__("an outcome is not valid")
        self.place = place
        self.field = field


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judgement of a call of which there should be a record."""

    call: Slug
    source: Slug
    score: int
    against: Slug | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of rows: new ones, ones that were known, ones whose call has no record."""

    added: int
    known: int
    unknown: int


def read_judgements(rows: Sequence[Any]) -> list[Judgement]:
    """Judgements of calls.

    Raises:
        OutcomeError: a row has a field that is not known, or a value that is not valid.
    """
    return [_judgement(row, place) for place, row in enumerate(rows, 1)]


def read_pairs(rows: Iterable[Any], source: Slug, batch: Slug, at_ms: int) -> list[Outcome]:
    """Outcomes of an evaluation of two models on the same prompts.

    Args:
        batch: stands before the place of a row, for rows without an id.

    Raises:
        OutcomeError: see read_judgements().
    """
    return [one for place, row in enumerate(rows, 1) for one in _pair(row, place, source, batch, at_ms)]


def renamed(cells: Iterable[Cell], names: Mapping[Slug, Slug]) -> list[Cell]:
    """Cells by other names of their models; what then has one name is added up."""
    sums: dict[tuple[Slug, Slug, Slug | None], tuple[int, int, int]] = {}
    for cell in cells:
        against = None if cell.against is None else names.get(cell.against, cell.against)
        key = (cell.task, names.get(cell.model, cell.model), against)
        count, total, squares = sums.get(key, (0, 0, 0))
        sums[key] = (count + cell.count, total + cell.total, squares + cell.squares)
    return [
        Cell(task=task, model=model, against=against, count=count, total=total, squares=squares)
        for (task, model, against), (count, total, squares) in sums.items()
    ]


async def take(store: Store, judgements: Sequence[Judgement], at_ms: int, key: Slug | None = None) -> Taken:
    """Store judgements, each with the task and the model of its record.

    Args:
        key: only records of this key count as known.

    Raises:
        StoreError: it cannot be done now.
    """
    found = await store.records.find([one.call for one in judgements])
    records = {record.id: record for record in found if key is None or record.key_id == key}
    outcomes = [
        outcome for one in judgements if (outcome := _outcome(one, records.get(one.call), at_ms)) is not None
    ]
    added = await store.outcomes.add(outcomes)
    return Taken(added, len(outcomes) - added, len(judgements) - len(outcomes))


def _outcome(one: Judgement, record: Record | None, at_ms: int) -> Outcome | None:
    if record is None or record.model_routed is None:
        return None
    return Outcome(
        call=one.call,
        source=one.source,
        at_ms=at_ms,
        task=record.task or OTHER,
        model=record.model_routed,
        against=one.against,
        score=one.score,
    )


def _judgement(row: Any, place: int) -> Judgement:
    if not isinstance(row, dict) or not _OF_CALLS.issuperset(row):
        raise OutcomeError(place, "unknown_field")
    thumb = row.get("thumb")
    if ("score" in row) == ("thumb" in row) or not (thumb is None or thumb in tuple(_THUMBS)):
        raise OutcomeError(place, "score_or_thumb")
    usual = SCORE if thumb is None else THUMBS
    return Judgement(
        call=_name(row, "request_id", place),
        source=_name(row, "source", place) if "source" in row else usual,
        score=_score(row, "score", place) if thumb is None else _THUMBS[thumb],
        against=_name(row, "against", place) if row.get("against") is not None else None,
    )


def _pair(row: Any, place: int, source: Slug, batch: Slug, at_ms: int) -> Iterable[Outcome]:
    if not isinstance(row, dict) or not _OF_PAIRS.issuperset(row):
        raise OutcomeError(place, "unknown_field")
    call = _name(row, "id", place) if "id" in row else Slug(f"{batch}:{place}")
    task = _name(row, "task", place)
    requested, candidate = _name(row, "requested", place), _name(row, "candidate", place)

    def outcome(part: str, model: Slug, against: Slug | None, score: int) -> Outcome:
        from_ = Slug(f"{source}{part}")
        return Outcome(
            call=call, source=from_, at_ms=at_ms, task=task, model=model, against=against, score=score
        )

    if "served_as_well" in row:
        if "score_requested" in row or "score_candidate" in row:
            raise OutcomeError(place, "served_as_well_or_scores")
        yield outcome("", candidate, requested, _score(row, "served_as_well", place))
        return
    ours, theirs = _score(row, "score_candidate", place), _score(row, "score_requested", place)
    # Both say something: how often the candidate does as well, and what it gains where it does better.
    yield outcome("", candidate, requested, 1000 if ours >= theirs else 0)
    yield outcome("/candidate", candidate, None, ours)
    yield outcome("/requested", requested, None, theirs)


def _name(row: dict[str, Any], field: str, place: int) -> Slug:
    value = row.get(field)
    if not isinstance(value, str) or not is_name(value):
        raise OutcomeError(place, field)
    return Slug(value)


def _score(row: dict[str, Any], field: str, place: int) -> int:
    value = row.get(field)
    if not isinstance(value, int | float) or not 0 <= value <= 1:  # NaN fails, too
        raise OutcomeError(place, field)
    return round(value * 1000)
