"""One database file: a connection that writes, two that read, and what their errors mean.

Each connection is a thread of its own (aiosqlite). Writes are short transactions that take the write
lock first, one after the other in this process; other processes on the same file are waited for, in
small steps, so that closing never has to wait long. Thanks to the write-ahead log, reading never
waits for writing. Quick look-ups and long reports have a connection each, so that a report over a
year does not delay a revocation. The threads are daemons: one that hangs in a dead disk must not keep
the process from ending.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, Final

import aiosqlite

from gateway.contracts import StoreError
from gateway.tasks import Tasks

Row = tuple[Any, ...]

STEP_MS: Final = 100
"""How long SQLite itself waits for a lock; the rest of the wait is repeated from here."""

CLOSE_S: Final = 0.45
"""How long a transaction under way may still take, and how long closing; then threads are left behind."""

OPS_PER_CHECK: Final = 20_000
"""Steps of SQLite's machine between two looks at the clock, a millisecond or so."""

_SETTINGS: Final = (
    "pragma foreign_keys = on",
    "pragma temp_store = memory",
    "pragma secure_delete = on",
    "pragma trusted_schema = off",
    "pragma cell_size_check = on",
    "pragma wal_autocheckpoint = 1000",
    "pragma journal_size_limit = 16777216",
)

_MEANINGS: Final = {
    sqlite3.SQLITE_BUSY: "is locked by another process; end what holds it, or raise busy_timeout_s",
    sqlite3.SQLITE_LOCKED: "is locked by another process; end what holds it, or raise busy_timeout_s",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full; make room",
    sqlite3.SQLITE_READONLY: "cannot be written; check the owner and mode of the file and its folder",
    sqlite3.SQLITE_PERM: "cannot be written; check the owner and mode of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check the path, and the owner and mode of its folder",
    sqlite3.SQLITE_CORRUPT: "is damaged; stop the gateway, keep a copy, and restore a backup",
    sqlite3.SQLITE_NOTADB: "is no SQLite database; check the path, or move the file away",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
    sqlite3.SQLITE_INTERRUPT: "took too long over a query; ask for a shorter time, or raise query_timeout_s",
}


class Database:
    """The connections of one process to one file."""

    def __init__(self, path: Path, *, durable: bool, busy_timeout_s: float, query_timeout_s: float) -> None:
        self.path = path
        self._durable = durable
        self._busy_timeout_s = busy_timeout_s
        self._query_timeout_s = query_timeout_s
        self._writing = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._reporting = asyncio.Lock()
        self._deadline: float | None = None
        self._closing = False
        self._open: list[aiosqlite.Connection] = []

    async def open(self) -> None:
        """Open the writing connection and switch the write-ahead log on.

        Raises:
            StoreError: with the reason, and what to do.
        """
        try:
            _prepare(self.path)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be opened: {error.strerror}") from None
        self._writer = await self._connect()
        level = "full" if self._durable else "normal"
        mode = await self._patiently(self._writer, "pragma journal_mode = wal")
        if mode != [("wal",)]:
            raise StoreError(f"{self.path} cannot have a write-ahead log there; use a local disk")
        await self._patiently(self._writer, f"pragma synchronous = {level}")

    async def open_readers(self) -> None:
        """Open the reading connections, once the schema is there.

        Raises:
            StoreError: see open().
        """
        self._reader = await self._connect()
        self._reporter = await self._connect()
        for connection in (self._reader, self._reporter):
            await self._patiently(connection, "pragma query_only = on")
        await self._reporter.set_progress_handler(self._overdue, OPS_PER_CHECK)

    async def close(self) -> None:
        """Close all connections, in two seconds at most, whatever they are doing."""
        closing = self._open[::-1]  # the writer last: it writes the log back
        try:
            async with asyncio.timeout(CLOSE_S), self._writing:
                idle = self._open[:1]  # and would not, once interrupted
        except TimeoutError:
            idle = []
        self._closing = True
        self._open = []
        for connection in closing:
            if connection not in idle:
                with suppress(ValueError):
                    await connection.interrupt()
        tasks = Tasks()
        tasks.start("sqlite.close", _close_all(closing))
        await tasks.close(CLOSE_S)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """A transaction that holds the write lock from its start; all of it is done, or nothing.

        Raises:
            StoreError: the work cannot be done now.
            ValueError: the schema refuses a row.
        """
        async with self._writing:
            try:
                await self._patiently(self._writer, "begin immediate")
                yield self._writer
                await self._writer.commit()
            except BaseException as error:
                # The rollback is queued at once, before anything else can be, even when cancelled.
                with suppress(sqlite3.Error, ValueError):
                    await self._writer.rollback()
                if isinstance(error, sqlite3.Error | OverflowError | TypeError | ValueError):
                    raise self._meaning(error) from None
                raise

    async def look(self, *queries: str) -> list[list[Row]]:
        """The rows of quick queries, all of one moment.

        Raises:
            StoreError: the file cannot be read.
        """
        async with self._looking:
            try:
                await self._patiently(self._reader, "begin")
                rows = [list(await self._reader.execute_fetchall(query)) for query in queries]
                await self._reader.commit()
            except BaseException as error:
                with suppress(sqlite3.Error, ValueError):
                    await self._reader.rollback()
                if isinstance(error, sqlite3.Error | ValueError):
                    raise self._meaning(error) from None
                raise
        return rows  # type: ignore[return-value]

    async def report(self, query: str, values: Sequence[object]) -> list[Row]:
        """The rows of a query that may take long; it is broken off after the time for queries.

        Raises:
            StoreError: it took too long, or the file cannot be read.
        """
        async with self._reporting:
            self._deadline = time.monotonic() + self._query_timeout_s
            return await self._patiently(self._reporter, query, values)

    async def empty_log(self) -> bool:
        """Write the log back and cut it to nothing; False when somebody kept reading from it."""
        ends = time.monotonic() + self._busy_timeout_s
        async with self._writing:
            while (await self._patiently(self._writer, "pragma wal_checkpoint(truncate)"))[0][0]:
                if self._closing or time.monotonic() > ends:
                    return False
                await asyncio.sleep(0.02)
            return True

    async def _connect(self) -> aiosqlite.Connection:
        connection = aiosqlite.connect(
            self.path, timeout=STEP_MS / 1000, isolation_level=None, cached_statements=64
        )
        thread: Thread = connection._thread
        thread.daemon = True
        try:
            await connection
        except sqlite3.Error as error:
            await asyncio.to_thread(thread.join)  # it has a last word for this loop, which must be there
            raise self._meaning(error) from None
        self._open.append(connection)
        for setting in _SETTINGS:
            await self._patiently(connection, setting)
        return connection

    async def _patiently(
        self, connection: aiosqlite.Connection, query: str, values: Sequence[object] = ()
    ) -> list[Row]:
        ends = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                return list(await connection.execute_fetchall(query, values))  # type: ignore[arg-type]
            except (sqlite3.Error, ValueError) as error:
                if self._closing or time.monotonic() > ends or _code(error) != sqlite3.SQLITE_BUSY:
                    raise self._meaning(error) from None
            await asyncio.sleep(0.01)

    def _overdue(self) -> bool:
        return self._closing or (self._deadline is not None and time.monotonic() > self._deadline)

    def _meaning(self, error: Exception) -> Exception:
        if self._closing:
            return StoreError(f"{self.path} is closed")
        code = _code(error)
        if code == sqlite3.SQLITE_CONSTRAINT or isinstance(
            error, sqlite3.DataError | OverflowError | TypeError | ValueError
        ):
            return ValueError("the schema refuses a row")
        return StoreError(f"{self.path} {_MEANINGS.get(code, f'failed with code {code}')}")


async def _close_all(connections: Sequence[aiosqlite.Connection]) -> None:
    for connection in connections:
        with suppress(sqlite3.Error):
            await connection.close()


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _prepare(path: Path) -> None:
    # SQLite gives its log and shared-memory files the mode of the database.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise StoreError(f"{path} {_MEANINGS[sqlite3.SQLITE_READONLY]}")
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
