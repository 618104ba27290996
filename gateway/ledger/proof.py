"""What was saved by groups of records, each with the quality that was kept: never money alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.contracts import Cell
from gateway.names import Slug

PAIR: Final = ("task", "model_routed", "baseline_model")
"""Columns that records must be grouped by besides those asked for, so that quality can be told."""

Group = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How well a model served in the place of another, for one task, as far as outcomes tell.

    Attributes:
        calls: calls that it served in the other's place.
        kept: share of the other's quality that was kept, in thousandths; None when not known.
        outcomes: how many judgements are behind it: of pairs, or of the one that has fewer.
        score, other_score: mean scores of both, in thousandths; None where only pairs were judged.
    """

    task: Slug | None
    model: Slug | None
    baseline: Slug | None
    calls: int
    kept: int | None = None
    outcomes: int = 0
    score: int | None = None
    other_score: int | None = None


@dataclass(slots=True)
class Saved:
    """One group. Money in nano-dollars.

    Attributes:
        unmeasured: calls whose baseline is not known; they count in calls and cost, and in nothing else.
        baseline: what the measured calls would have cost; it is more than they did by routing + downgrade
            + cache.
        alone: calls that are measured against no other model, as nothing names one.
        moved: calls that another model answered than the baseline: there the baseline is an estimate.
    """

    calls: int = 0
    unmeasured: int = 0
    cost: int = 0
    baseline: int = 0
    routing: int = 0
    downgrade: int = 0
    cache: int = 0
    alone: int = 0
    moved: int = 0
    kept: list[Kept] = field(default_factory=list)

    @property
    def saved(self) -> int:
        """The whole saving."""
        return self.routing + self.downgrade + self.cache

    @property
    def share(self) -> int | None:
        """The saving as a share of the baseline, in millionths; None without one."""
        return _rounded(self.saved * 10**6, self.baseline) if self.baseline else None

    @property
    def judged(self) -> int:
        """Moved calls for which outcomes tell the quality."""
        return sum(one.calls for one in self.kept if one.kept is not None)

    @property
    def quality(self) -> int | None:
        """Quality kept over the moved calls that outcomes tell of, in thousandths; None: nothing is known."""
        known = [(one.calls, one.kept) for one in self.kept if one.kept is not None]
        calls = sum(count for count, _ in known)
        return _rounded(sum(count * kept for count, kept in known), calls) if calls else None

    @property
    def outcomes(self) -> int:
        """Judgements behind quality."""
        return sum(one.outcomes for one in self.kept)


def prove(rows: Iterable[Mapping[str, Any]], by: Sequence[str], cells: Iterable[Cell]) -> dict[Group, Saved]:
    """Groups of sums, dearest baseline first.

    Args:
        rows: of RecordStore.sums, grouped by the columns of by and of PAIR.
        by: the columns to group by.
        cells: of OutcomeStore.cells.
    """
    known = {(cell.task, cell.model, cell.against): cell for cell in cells}
    groups: dict[Group, Saved] = {}
    for row in rows:
        group = groups.setdefault(tuple(row[name] for name in by), Saved())
        group.calls += row["calls"]
        group.unmeasured += row["unmeasured"]
        group.cost += row["cost_nanos"]
        group.baseline += row["baseline_nanos"]
        group.routing += row["saved_routing_nanos"]
        group.downgrade += row["saved_downgrade_nanos"]
        group.cache += row["saved_cache_nanos"]
        group.alone += row["calls"] if row["baseline_model"] is None else 0
        group.moved += row["saved_estimated"]
        if row["saved_estimated"]:
            task, model, baseline = (row[name] for name in PAIR)
            group.kept.append(_kept(known, task, model, baseline, row["saved_estimated"]))
    return dict(sorted(groups.items(), key=lambda item: -item[1].baseline))


def _kept(
    known: Mapping[tuple[Slug, Slug, Slug | None], Cell], task: Slug, model: Slug, baseline: Slug, calls: int
) -> Kept:
    """Judged pairs tell it directly; else the mean scores of both, each judged on calls of its own."""
    ours, theirs = known.get((task, model, None)), known.get((task, baseline, None))
    score, other = _mean(ours), _mean(theirs)
    kept, outcomes = None, 0
    if (pairs := _mean(pair := known.get((task, model, baseline)))) is not None and pair is not None:
        kept, outcomes = pairs, pair.count
    elif ours is not None and theirs is not None and score is not None and other:
        kept, outcomes = _rounded(1000 * score, other), min(ours.count, theirs.count)
    return Kept(
        task=task,
        model=model,
        baseline=baseline,
        calls=calls,
        kept=kept,
        outcomes=outcomes,
        score=score,
        other_score=other,
    )


def _mean(cell: Cell | None) -> int | None:
    return _rounded(cell.total, cell.count) if cell is not None and cell.count else None


def _rounded(part: int, whole: int) -> int:
    """part divided by whole, above 0, to the nearest whole number; half of one goes up."""
    return (2 * part + whole) // (2 * whole)
