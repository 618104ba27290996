"""Rows of sealed provider keys, and their removal without a trace.

SQLite overwrites deleted rows with zeros (secure_delete), but the write-ahead log still holds the
pages as they were. So after each change the log is written back and cut to nothing.
"""

from collections.abc import Sequence
from typing import Final

from gateway.contracts import SecretRow, StoreError
from gateway.names import Slug
from gateway.store.sqlite.connection import Database

_VERSION: Final = "select value from versions where name = 'secrets'"
_RAISE: Final = "update versions set value = value + 1 where name = 'secrets'"
_ALL: Final = "select id, provider, kek, host, nonce, sealed, created_ms from secrets order by id"
_DELETE: Final = "delete from secrets where id = ?"
_PUT: Final = (
    "insert into secrets (id, provider, kek, host, nonce, sealed, created_ms) values (?, ?, ?, ?, ?, ?, ?)"
    " on conflict (id) do update set provider = excluded.provider, kek = excluded.kek, host = excluded.host,"
    " nonce = excluded.nonce, sealed = excluded.sealed, created_ms = excluded.created_ms"
)


class SqliteSecrets:
    """Sealed provider keys in one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self) -> int:
        """How often the rows were changed, by any process."""
        ((row,),) = await self._database.look(_VERSION)
        return int(row[0])

    async def load(self) -> tuple[SecretRow, ...]:
        """All rows, by id.

        Raises:
            StoreError: the file cannot be read, or a row in it was changed by another hand.
        """
        (rows,) = await self._database.look(_ALL)
        try:
            return tuple(
                SecretRow(
                    id=Slug(id),
                    provider=Slug(provider),
                    kek=Slug(kek),
                    host=Slug(host),
                    nonce=nonce,
                    sealed=sealed,
                    created_ms=created_ms,
                )
                for id, provider, kek, host, nonce, sealed, created_ms in rows
            )
        except ValueError:
            raise StoreError("a row of the secrets is not valid; restore a backup") from None

    async def put(self, rows: Sequence[SecretRow]) -> None:
        """Insert or replace by id.

        Raises:
            StoreError: it cannot be done now, or what was replaced may still be in the log.
            ValueError: the schema refuses a row.
        """
        async with self._database.transaction() as db:
            await db.executemany(
                _PUT,
                [
                    (row.id, row.provider, row.kek, row.host, row.nonce, row.sealed, row.created_ms)
                    for row in rows
                ],
            )
            await db.execute(_RAISE)
        await self._leave_no_trace()

    async def delete(self, ids: Sequence[Slug]) -> None:
        """Remove rows; those that are not there are no error.

        Raises:
            StoreError: it cannot be done now, or what was removed may still be in the log.
        """
        async with self._database.transaction() as db:
            await db.executemany(_DELETE, [(id,) for id in ids])
            await db.execute(_RAISE)
        await self._leave_no_trace()

    async def _leave_no_trace(self) -> None:
        if not await self._database.empty_log():
            raise StoreError(
                f"{self._database.path}: the change is stored, but another process keeps the log open, which"
                " still holds what was removed; repeat the command when that process has ended"
            )
