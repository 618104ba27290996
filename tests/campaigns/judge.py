"""Judge: what the clients noted, what the provider received and what the store holds must be one story."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.campaigns.traffic import End, Note

_NAME: Final = re.compile(rb"call (c\d{8})")


@dataclass(slots=True)
class Verdict:
    """Findings are mistakes; figures are counts."""

    findings: list[str] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)

    def need(self, good: bool, text: str) -> None:
        """A finding, unless good."""
        if not good:
            self.findings.append(text)

    def __str__(self) -> str:
        lines = [f"{name:>28}  {value}" for name, value in self.figures.items()]
        return "\n".join([*lines, *(f"WRONG: {one}" for one in self.findings[:40])])


@dataclass(frozen=True, slots=True)
class Row:
    """A record, as far as it is judged."""

    id: str
    session: str
    outcome: str
    status: int
    attempts: int
    cost: int | None
    held: int
    key: str | None


def rows(database: Path) -> list[Row]:
    """All records."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        found = db.execute(
            "select id, session, outcome, status, attempts, cost_nanos, held_nanos, key_id from records"
        )
        return [Row(*row) for row in found]


def spent(database: Path) -> int:
    """What all keys have spent, by the sums that are kept."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        return int(db.execute("select coalesce(sum(nanos), 0) from spent").fetchone()[0])


def names(bodies: Iterable[bytes]) -> list[str]:
    """The calls that a provider received, by the names in their texts."""
    return [found[1].decode() for body in bodies if (found := _NAME.search(body))]


def judge(database: Path, notes: Sequence[Note], received: Sequence[str], forgiving: bool = False) -> Verdict:
    """Compare.

    Every call that the provider received has one record; no call has two; a call whose client saw the
    whole answer is "ok" at the cost that its usage comes to; one that was cut off is counted at what
    was held; the sums of the records are the sums that are kept; the file is sound.

    Args:
        forgiving: a complete call may be recorded as interrupted: the process was killed while nothing
            at all could be written.
    """
    verdict = Verdict()
    held = rows(database)
    by_name = Counter(row.session for row in held)
    of = {row.session: row for row in held}
    noted = {note.name: note for note in notes}
    times = Counter(received)

    for name in times:
        count = by_name[name]
        verdict.need(count == 1, f"{name} was received by the provider and has {count} records")
        row = of.get(name)
        verdict.need(
            row is None or row.outcome == "interrupted" or row.attempts >= times[name],
            f"{name} was received {times[name]} times and its record knows of fewer attempts",
        )
    for name, count in by_name.items():
        verdict.need(count == 1, f"{name} has {count} records")
        verdict.need(name in noted, f"{name} has a record, and no client called")
    for note in notes:
        row = of.get(note.name)
        if forgiving and note.end is End.COMPLETE and row is not None and row.outcome == "interrupted":
            continue
        _judge_note(verdict, note, row, note.name in times)
    for row in held:
        counted = row.outcome != "interrupted" or row.cost == row.held
        verdict.need(counted, f"{row.session} was interrupted, and is not counted at its hold")
    verdict.need(len({row.id for row in held}) == len(held), "an id stands twice")
    _judge_sums(verdict, database, held)
    verdict.figures |= {
        "calls begun": len(notes),
        **{f"… {end}": count for end, count in sorted(Counter(note.end for note in notes).items())},
        "received by the provider": len(times),
        "records": len(held),
        **{f"… {outcome}": count for outcome, count in sorted(Counter(row.outcome for row in held).items())},
        "interrupted with a grown hold": _grown(held, noted),
        "spent, in nano-dollars": sum(row.cost or 0 for row in held),
    }
    return verdict


def _judge_note(verdict: Verdict, note: Note, row: Row | None, sent: bool) -> None:
    if note.end is End.COMPLETE:
        if row is None:
            verdict.need(False, f"{note.name} was complete and has no record")
            return
        verdict.need(row.outcome == "ok", f"{note.name} was complete and its record says {row.outcome}")
        paid = row.cost == note.cost if note.kind.exact else note.cost <= (row.cost or 0) <= row.held
        verdict.need(paid, f"{note.name} cost {note.cost} and its record says {row.cost}")
    elif note.end is End.REFUSED and note.status == 503:
        verdict.need(not sent, f"{note.name} was refused and yet sent to the provider")
        verdict.need(row is None or not row.cost, f"{note.name} was refused and yet charged")
    verdict.need(note.end is not End.STARTED, f"{note.name} never ended")


def _grown(held: Sequence[Row], noted: Mapping[str, Note]) -> int:
    """Interrupted calls of a route whose first target had failed: more was held than for the others."""
    amounts = [
        row.held
        for row in held
        if row.outcome == "interrupted" and (note := noted.get(row.session)) and not note.kind.exact
    ]
    return sum(amount > min(amounts) * 1.2 for amount in amounts)


def _judge_sums(verdict: Verdict, database: Path, held: Sequence[Row]) -> None:
    sums: Counter[str] = Counter()
    for row in held:
        if row.key is not None and row.cost is not None:
            sums[row.key] += row.cost
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        spent = dict(db.execute("select key_id, nanos from spent"))
        [(sound,)] = db.execute("pragma integrity_check")
    verdict.need(dict(sums) == spent, f"the records sum up to {dict(sums)}, the sums kept are {spent}")
    verdict.need(sound == "ok", f"the database says: {sound}")
