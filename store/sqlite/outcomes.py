"""Rows of outcomes: added in batches, read as sums."""

from collections.abc import Sequence
from typing import Final

from gateway.contracts import Cell, Outcome, StoreError
from gateway.names import Slug
from gateway.store.memory import checked_score
from gateway.store.sqlite.connection import Database

_ADD: Final = (
    "insert into outcomes (call, source, at_ms, task, model, against, score) values (?, ?, ?, ?, ?, ?, ?)"
    " on conflict (call, source) do nothing"
)
_CELLS: Final = (
    "select task, model, against, count(*), sum(score), sum(score * score) from outcomes"
    " group by task, model, against order by task, model, against"
)


class SqliteOutcomes:
    """Outcomes in one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, outcomes: Sequence[Outcome]) -> int:
        """Store what is new, in one transaction.

        Raises:
            StoreError: the work cannot be done now. ValueError: a row is not valid.
        """
        rows = [
            (one.call, one.source, one.at_ms, one.task, one.model, one.against, checked_score(one).score)
            for one in outcomes
        ]
        async with self._database.transaction() as db:
            return (await db.executemany(_ADD, rows)).rowcount if rows else 0

    async def cells(self) -> list[Cell]:
        """All outcomes, added up.

        Raises:
            StoreError: the file cannot be read, or a row in it was changed by another hand.
        """
        rows = await self._database.report(_CELLS, ())
        try:
            return [
                Cell(
                    task=Slug(task),
                    model=Slug(model),
                    against=None if against is None else Slug(against),
                    count=count,
                    total=total,
                    squares=squares,
                )
                for task, model, against, count, total, squares in rows
            ]
        except ValueError:
            raise StoreError("an outcome is not valid; the database was changed by another hand") from None
