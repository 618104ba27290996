"""Rows of records: added in batches, summed, exported."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Final

import aiosqlite
import orjson

from gateway.contracts import Arm, Span, StoreError
from gateway.names import Slug
from gateway.records import NAMES, VALUES, Record, restore, restore_field
from gateway.store.memory import MOST_GROUPS, SUMMED, checked_groups
from gateway.store.sqlite.connection import Database, Row
from gateway.usage import Nanos

PAGE: Final = 1_000

_COLUMNS: Final = ", ".join(NAMES)

RARE: Final = (
    "feature", "environment", "customer", "session", "tier", "error_code",
    "tokens_cache_write_5m", "tokens_cache_write_1h", "tokens_input_audio", "tokens_cached_audio",
    "tokens_input_image", "tokens_output_audio", "tokens_output_image",
    "units_searches", "units_tools", "units_characters", "units_audio_ms", "units_images",
    "saved_routing_nanos", "saved_downgrade_nanos", "saved_cache_nanos", "saved_estimated", "queue_us",
)  # fmt: skip
"""Columns that most records leave at their default, which the schema has too: to bind them costs as much
as to bind the others."""

_rare: Final[Callable[[Record], tuple[Any, ...]]] = attrgetter(*RARE)
_DEFAULTS: Final = _rare(Record(id=Slug("none"), at=0))
_USUAL: Final = tuple(name for name in NAMES if name not in RARE)
_usual: Final[Callable[[Record], tuple[Any, ...]]] = attrgetter(*_USUAL)

_AT_ONCE: Final = (100, 10, 1)
"""Rows of one statement: between two statements SQLite's module gives other threads a turn, and to get
the turn back costs as much as a row."""


def _insert(columns: Sequence[str], rows: int) -> str:
    # Only a repeated id is passed over in silence; "or ignore" would also swallow what the schema refuses.
    places = ", ".join([f"({', '.join('?' * len(columns))})"] * rows)
    return f"insert into records ({', '.join(columns)}) values {places} on conflict (id) do nothing"  # noqa: S608


_ADD_USUAL: Final = tuple((rows, _insert(_USUAL, rows)) for rows in _AT_ONCE)
_ADD: Final = tuple((rows, _insert(NAMES, rows)) for rows in _AT_ONCE)
_LAST: Final = "select coalesce(max(rowid), 0) from records"
_SPEND: Final = (
    "insert into spent select key_id, sum(cost_nanos) from records"
    " where rowid > ? and key_id is not null and cost_nanos is not null group by key_id"
    " on conflict (key_id) do update set nanos = nanos + excluded.nanos"
)
_SUMS: Final = ", ".join(f"coalesce(sum({name}), 0)" for name in SUMMED)
_COUNTS: Final = (
    "count(*) as calls, coalesce(sum(1 - priced), 0) as unpriced,"
    " coalesce(sum(baseline_nanos is null), 0) as unmeasured"
)
ARMS_PAGE: Final = 100_000
_ARMS: Final = (
    "select route_reason, count(*),"
    " sum(attempts > 1 or (outcome <> 'ok' and outcome <> 'client_closed')),"
    " sum(outcome = 'ok'), coalesce(sum(total_us) filter (where outcome = 'ok'), 0),"
    " total(1.0 * total_us * total_us) filter (where outcome = 'ok'),"
    " count(cost_nanos) filter (where outcome = 'ok'),"
    " coalesce(sum(cost_nanos) filter (where outcome = 'ok'), 0),"
    " total(1.0 * cost_nanos * cost_nanos) filter (where outcome = 'ok')"
    " from records where rowid > ? and rowid <= ? and model_requested = ? and at >= ?"
    " and attempts > 0 and outcome <> 'interrupted' and route_reason is not null"
    " group by route_reason order by route_reason"
)
_SPENT: Final = "select key_id, nanos from spent order by key_id"


class SqliteRecords:
    """Records in one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, records: Sequence[Record]) -> int:
        """Store a batch in one transaction.

        Raises:
            StoreError: the work cannot be done now. ValueError: the schema refuses a row.
        """
        async with self._database.transaction() as db:
            ((last,),) = await db.execute_fetchall(_LAST)
            usual: list[Record] = []
            others: list[Record] = []
            for record in records:
                (usual if _rare(record) == _DEFAULTS else others).append(record)
            added = await _add(db, usual, _ADD_USUAL, _usual) + await _add(db, others, _ADD, VALUES)
            if added:
                # New rows come behind the last one: nobody else writes in between.
                await db.execute(_SPEND, (last,))
            return added

    async def sums(self, span: Span, by: Sequence[str]) -> list[dict[str, Any]]:
        """Sums over records, dearest group first, at most MOST_GROUPS.

        Raises:
            StoreError: it took too long, or a sum has more than 64 bits. ValueError: by has no such column.
        """
        groups = checked_groups(by)
        where, values = _within(span)
        chosen = "".join(f"{name}, " for name in groups)
        order = ", ".join(str(number + 1) for number in range(len(groups))) or "1"
        query = (
            f"select {chosen}{_COUNTS}, {_SUMS}"  # noqa: S608
            f" from records where {where} {'group by ' + ', '.join(groups) if groups else ''}"
            f" order by coalesce(sum(cost_nanos), 0) desc, calls desc, {order} limit {MOST_GROUPS}"
        )
        rows = await self._database.report(query, values)
        return [_sum_row(groups, row) for row in rows]

    async def export(self, span: Span) -> AsyncIterator[Record]:
        """Records in order of time, read in pages of PAGE, so that no reading lasts long.

        Raises:
            StoreError: the file cannot be read, or a row in it was changed by another hand.
        """
        where, values = _within(span)
        query = (
            f"select {_COLUMNS} from records where {where} and (at, id) > (?, ?)"  # noqa: S608
            f" order by at, id limit {PAGE}"
        )
        after: tuple[int, str] = (span.since_us, "")
        while rows := await self._database.report(query, (*values, *after)):
            for place, row in enumerate(rows):
                if place % 100 == 0:  # making a hundred records takes a few milliseconds
                    await asyncio.sleep(0)
                yield _record(row)
            after = rows[-1][NAMES.index("at")], rows[-1][NAMES.index("id")]
            if len(rows) < PAGE:
                return

    async def spent(self) -> dict[Slug, Nanos]:
        """What each key has cost so far, from sums that are kept with the records."""
        (rows,) = await self._database.look(_SPENT)
        return {Slug(key_id): Nanos(nanos) for key_id, nanos in rows}

    async def arms(self, route: Slug, since_us: int, after: int) -> tuple[int, list[Arm]]:
        """Records of a route by reason, in pages of ARMS_PAGE rows.

        Raises:
            StoreError: the file cannot be read, or a row in it was changed by another hand.
        """
        ((last,),) = await self._database.report(_LAST, ())
        mark = min(after + ARMS_PAGE, int(last))
        rows = await self._database.report(_ARMS, (after, mark, route, since_us)) if mark > after else []
        try:
            return max(mark, after), [_arm(row) for row in rows]
        except ValueError:
            raise StoreError("a record is not valid; the database was changed by another hand") from None

    async def find(self, ids: Sequence[Slug]) -> list[Record]:
        """The records of these ids.

        Raises:
            StoreError: the file cannot be read, or a row in it was changed by another hand.
        """
        found: list[Record] = []
        names = tuple(dict.fromkeys(ids))
        for start in range(0, len(names), PAGE):
            page = names[start : start + PAGE]
            query = f"select {_COLUMNS} from records where id in ({', '.join('?' * len(page))})"  # noqa: S608
            found += [_record(row) for row in await self._database.report(query, page)]
        return found


async def _add(
    db: aiosqlite.Connection,
    records: Sequence[Record],
    statements: Sequence[tuple[int, str]],
    values: Callable[[Record], tuple[Any, ...]],
) -> int:
    """Add records by statements of so many rows each, largest first; how many were not there before."""
    added = begin = 0
    for rows, statement in statements:
        end = len(records) - (len(records) - begin) % rows
        if end > begin:
            joined = _joined(records[begin:end], rows, values)
            added += (await db.executemany(statement, joined)).rowcount
        begin = end
    return added


def _joined(
    records: Sequence[Record], rows: int, values: Callable[[Record], tuple[Any, ...]]
) -> Iterator[Row]:
    # A generator, so that the rows are made in the connection's thread; and through JSON, which makes
    # plain texts of names, because SQLite's module asks each other type at length how to store it.
    for start in range(0, len(records), rows):
        made = orjson.loads(orjson.dumps([values(record) for record in records[start : start + rows]]))
        yield tuple(chain.from_iterable(made))


def _within(span: Span) -> tuple[str, list[object]]:
    if span.key_id is None:
        return "at >= ? and at < ?", [span.since_us, span.until_us]
    return "key_id = ? and at >= ? and at < ?", [span.key_id, span.since_us, span.until_us]


def _sum_row(groups: Sequence[str], row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in zip(groups, row, strict=False):
        found[name] = restore_field(name, value)
    numbers = row[len(groups) :]
    return {**found, **dict(zip(("calls", "unpriced", "unmeasured", *SUMMED), numbers, strict=True))}


def _arm(row: Row) -> Arm:
    reason, calls, errors, timed, time_us, time_squares, priced, nanos, squares = row
    return Arm(
        reason=Slug(reason),
        calls=calls,
        errors=errors,
        timed=timed,
        time_us=time_us,
        time_squares=time_squares,
        priced=priced,
        cost_nanos=nanos,
        cost_squares=squares,
    )


def _record(row: Row) -> Record:
    try:
        return restore(row)
    except (ValueError, TypeError):
        raise StoreError("a record is not valid; the database was changed by another hand") from None
