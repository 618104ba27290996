"""The reference store: everything in this process's memory, gone with it. Also the fake of all tests."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from gateway.contracts import (
    Accounts,
    AccountStore,
    Arm,
    Cell,
    KeyRow,
    NodeRow,
    Outcome,
    OutcomeStore,
    RecordStore,
    ScopeRow,
    SecretRow,
    SecretStore,
    Span,
    Store,
)
from gateway.names import Slug
from gateway.records import NAMES, VALUES, Record
from gateway.records import Outcome as Ended
from gateway.usage import Nanos

SUMMED: Final = tuple(
    name
    for name in NAMES
    if name.startswith(("tokens_", "units_", "saved_")) or name in ("cost_nanos", "baseline_nanos")
)
"""The columns that sums() adds up."""

GROUPABLE: Final = frozenset(NAMES) - {
    *SUMMED,
    *("id", "at", "task_confidence", "held_nanos", "queue_us", "overhead_us", "first_byte_us", "total_us"),
}
"""The columns that sums() groups by: names, and numbers of few values."""

MOST_GROUPS: Final = 10_000
"""Rows of sums() at most, the dearest; the sum without groups is always whole."""

LIMIT: Final = 1 << 63
"""Numbers are kept in 64 bits."""


def checked_groups(by: Sequence[str]) -> tuple[str, ...]:
    """The grouping columns, each once.

    Raises:
        ValueError: one of them is none.
    """
    if not GROUPABLE.issuperset(by):
        raise ValueError("not a column to group by")
    return tuple(dict.fromkeys(by))


class MemoryAccounts:
    """Nodes, keys and scopes in dictionaries."""

    def __init__(self) -> None:
        self._version = 0
        self._nodes: dict[Slug, NodeRow] = {}
        self._keys: dict[Slug, KeyRow] = {}
        self._scopes: dict[Slug, dict[ScopeRow, None]] = {}

    async def version(self) -> int:
        """How often put() was called."""
        return self._version

    async def load(self) -> Accounts:
        """All rows."""
        scopes = tuple(row for rows in self._scopes.values() for row in rows)
        return Accounts(self._version, tuple(self._nodes.values()), tuple(self._keys.values()), scopes)

    async def put(
        self,
        *,
        nodes: Sequence[NodeRow] = (),
        keys: Sequence[KeyRow] = (),
        scopes: Sequence[ScopeRow] = (),
        clear: Sequence[Slug] = (),
    ) -> None:
        """Insert or replace.

        Raises:
            ValueError: two keys would have one digest.
        """
        merged = self._keys | {row.id: row for row in keys}
        if len({row.digest for row in merged.values()}) < len(merged):
            raise ValueError("two keys have one digest")
        self._keys = merged
        self._nodes |= {row.id: row for row in nodes}
        for owner in clear:
            self._scopes.pop(owner, None)
        self._scopes |= {row.owner: {} for row in scopes}
        for row in scopes:
            self._scopes[row.owner][row] = None
        self._version += 1


class MemorySecrets:
    """Sealed provider keys in a dictionary."""

    def __init__(self) -> None:
        self._version = 0
        self._rows: dict[Slug, SecretRow] = {}

    async def version(self) -> int:
        """How often the rows were changed."""
        return self._version

    async def load(self) -> tuple[SecretRow, ...]:
        """All rows, by id."""
        return tuple(self._rows[id] for id in sorted(self._rows))

    async def put(self, rows: Sequence[SecretRow]) -> None:
        """Insert or replace by id."""
        self._rows |= {row.id: row for row in rows}
        self._version += 1

    async def delete(self, ids: Sequence[Slug]) -> None:
        """Forget rows; those that are not there are no error."""
        for id in ids:
            self._rows.pop(id, None)
        self._version += 1


class MemoryRecords:
    """The last records, and what each key has spent in all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows: dict[Slug, Record] = {}
        self._added = 0
        self._spent: dict[Slug, int] = {}

    async def add(self, records: Sequence[Record]) -> int:
        """Keep a batch; the oldest make room.

        Raises:
            ValueError: a number has more than 64 bits.
        """
        for record in records:
            if any(type(value) is int and not -LIMIT <= value < LIMIT for value in VALUES(record)):
                raise ValueError("a number has more than 64 bits")
        new = {record.id: record for record in reversed(records) if record.id not in self._rows}
        self._rows |= dict(reversed(new.items()))
        self._added += len(new)
        for record in new.values():
            if record.key_id is not None and record.cost_nanos is not None:
                self._spent[record.key_id] = self._spent.get(record.key_id, 0) + record.cost_nanos
        while len(self._rows) > self._limit:
            del self._rows[next(iter(self._rows))]
        return len(new)

    async def sums(self, span: Span, by: Sequence[str]) -> list[dict[str, Any]]:
        """Sums over records, dearest group first."""
        groups = checked_groups(by)
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        if not groups:
            found[()] = _blank((), ())
        for record in self._within(span):
            key = tuple(getattr(record, name) for name in groups)
            row = found.setdefault(key, _blank(groups, key))
            row["calls"] += 1
            row["unpriced"] += not record.priced
            row["unmeasured"] += record.baseline_nanos is None
            for name in SUMMED:
                row[name] += getattr(record, name) or 0
        rows = sorted(found.items(), key=lambda item: _rank(*item))
        return [row for _, row in rows[:MOST_GROUPS]]

    async def export(self, span: Span) -> AsyncIterator[Record]:
        """Records in order of time."""
        for place, record in enumerate(sorted(self._within(span), key=lambda record: (record.at, record.id))):
            if place % 100 == 0:
                await asyncio.sleep(0)
            yield record

    async def spent(self) -> dict[Slug, Nanos]:
        """What each key has cost so far."""
        return {key_id: Nanos(nanos) for key_id, nanos in self._spent.items()}

    async def arms(self, route: Slug, since_us: int, after: int) -> tuple[int, list[Arm]]:
        """Records that are still kept and were added after a mark, by reason, all on one page."""
        found: dict[Slug, Arm] = {}
        gone = self._added - len(self._rows)
        for record in islice(self._rows.values(), max(after - gone, 0), None):
            reason = record.route_reason
            if record.model_requested != route or record.at < since_us or reason is None:
                continue
            if record.attempts and record.outcome is not Ended.INTERRUPTED:
                found[reason] = _with(found.get(reason, Arm(reason=reason)), record)
        return self._added, list(found.values())

    async def find(self, ids: Sequence[Slug]) -> list[Record]:
        """The records of these ids that are still kept."""
        return [self._rows[id] for id in dict.fromkeys(ids) if id in self._rows]

    def _within(self, span: Span) -> Iterable[Record]:
        return (
            record
            for record in self._rows.values()
            if span.since_us <= record.at < span.until_us and span.key_id in (None, record.key_id)
        )


class MemoryOutcomes:
    """The last outcomes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows: dict[tuple[Slug, Slug], Outcome] = {}

    async def add(self, outcomes: Sequence[Outcome]) -> int:
        """Keep what is new; the oldest make room."""
        added = 0
        for outcome in list(map(checked_score, outcomes)):
            added += (outcome.call, outcome.source) not in self._rows
            self._rows.setdefault((outcome.call, outcome.source), outcome)
        while len(self._rows) > self._limit:
            del self._rows[next(iter(self._rows))]
        return added

    async def cells(self) -> list[Cell]:
        """All outcomes, added up."""
        found: dict[tuple[Slug, Slug, Slug | None], list[int]] = {}
        for outcome in self._rows.values():
            scores = found.setdefault((outcome.task, outcome.model, outcome.against), [])
            scores.append(outcome.score)
        return [
            Cell(
                task=task,
                model=model,
                against=against,
                count=len(scores),
                total=sum(scores),
                squares=sum(score * score for score in scores),
            )
            for (task, model, against), scores in found.items()
        ]


def checked_score(outcome: Outcome) -> Outcome:
    """An outcome whose score is in thousandths.

    Raises:
        ValueError: it is not.
    """
    if type(outcome.score) is not int or not 0 <= outcome.score <= 1000:
        raise ValueError("a score is a whole number from 0 to 1000")
    return outcome


class MemoryStore:
    """A store without a file: for tests, and for trying things out."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """records_limit, outcomes_limit: most records and outcomes kept; the oldest make room."""

        records_limit: int = 100_000
        outcomes_limit: int = 100_000

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        self._accounts = MemoryAccounts()
        self._secrets = MemorySecrets()
        self._records = MemoryRecords(config.records_limit)
        self._outcomes = MemoryOutcomes(config.outcomes_limit)

    @property
    def accounts(self) -> AccountStore:
        """Nodes, keys, scopes."""
        return self._accounts

    @property
    def secrets(self) -> SecretStore:
        """Sealed provider keys."""
        return self._secrets

    @property
    def records(self) -> RecordStore:
        """Records."""
        return self._records

    @property
    def outcomes(self) -> OutcomeStore:
        """Outcomes."""
        return self._outcomes

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""


def _with(arm: Arm, record: Record) -> Arm:
    """An arm with one call more."""
    ok, nanos = record.outcome is Ended.OK, record.cost_nanos
    failed = record.attempts > 1 or record.outcome not in (Ended.OK, Ended.CLIENT_CLOSED)
    arm = replace(arm, calls=arm.calls + 1, errors=arm.errors + failed)
    if ok:
        arm = replace(
            arm,
            timed=arm.timed + 1,
            time_us=arm.time_us + record.total_us,
            time_squares=arm.time_squares + float(record.total_us) ** 2,
        )
    if ok and nanos is not None:
        arm = replace(
            arm,
            priced=arm.priced + 1,
            cost_nanos=arm.cost_nanos + nanos,
            cost_squares=arm.cost_squares + float(nanos) ** 2,
        )
    return arm


def _rank(key: Sequence[Any], row: dict[str, Any]) -> tuple[Any, ...]:
    return -row["cost_nanos"], -row["calls"], *((value is not None, value) for value in key)


def _blank(groups: Sequence[str], key: Sequence[Any]) -> dict[str, Any]:
    counts = dict.fromkeys(("calls", "unpriced", "unmeasured", *SUMMED), 0)
    return {**dict(zip(groups, key, strict=True)), **counts}


if TYPE_CHECKING:
    _: type[Store] = MemoryStore
