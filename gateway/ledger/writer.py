"""The way of records from the journal to the store: in batches, in the background, each exactly once.

    add(record) ─ journal ─ queue ─ batch ─ one transaction of the store ─ journal file deleted

A store that is locked, slow or gone costs the calls nothing: the writer tries again, ever more
slowly, and the queue grows to its limit. From there on records stay in the journal only (spilled) and
are read from it again, in order, once the queue is empty. The store takes each id once, so nothing is
doubled by a repeated batch. What processes left behind that died is stored first at the start, and
looked for again from time to time.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import orjson

from gateway import log
from gateway.contracts import RecordStore, StoreError
from gateway.ledger import replay
from gateway.ledger.journal import Journal, Segment
from gateway.ledger.replay import Remains
from gateway.names import Slug
from gateway.records import Record
from gateway.tasks import Tasks

MAX_WAIT_S: Final = 2.0
SWEEP_S: Final = 5.0

Stored = Callable[[Sequence[Record]], None]
"""Told of records of this process that the store has taken, once of each; not of replayed ones."""


class RecordWriter:
    """Stores records in the background.

    Attributes, all for metrics:
        added, stored: records handed over, and taken by the store (replayed ones included).
        retries: failed attempts to store a batch.
        replayed, interrupted: records found in dead journals; and those of them that never ended.
        damaged: lines of dead journals that could not be read.
        refused: records that the store will never take.
        lost: records that are in no journal, no queue and no store. Stays 0.
    """

    def __init__(
        self,
        journal: Journal,
        store: RecordStore,
        *,
        stored: Stored | None = None,
        batch: int = 500,
        interval_s: float = 0.1,
        queue_limit: int = 100_000,
        sweep_s: float = SWEEP_S,
    ) -> None:
        self._journal = journal
        self._store = store
        self._tell = stored
        self._batch = batch
        self._interval_s = interval_s
        self._queue_limit = queue_limit
        self._sweep_s = sweep_s
        self._queue: deque[tuple[Record, Segment | None]] = deque()
        self._spill: tuple[int, int] | None = None
        self._wake = asyncio.Event()
        self._full = asyncio.Event()
        self._closing = asyncio.Event()
        self._tasks = Tasks()
        self.added = self.stored = self.retries = self.replayed = self.interrupted = 0
        self.damaged = self.refused = self.lost = 0

    @property
    def queued(self) -> int:
        """Records in the queue; spilled ones are not counted."""
        return len(self._queue)

    @property
    def waiting(self) -> int:
        """Records handed over and not stored yet, spilled ones included."""
        return self.added + self.replayed - self.stored - self.refused - self.lost

    @property
    def spilling(self) -> bool:
        """Whether records stay in the journal because the queue is full."""
        return self._spill is not None

    @property
    def oldest_us(self) -> int | None:
        """When the oldest record in the queue arrived, in microseconds since 1970; None when empty."""
        return self._queue[0][0].at if self._queue else None

    def add(self, record: Record, opened: bool = True) -> None:
        """Journal a record and queue it. Quick; never waits and never raises.

        Args:
            opened: whether the call was opened in the journal; the journal knows by itself.
        """
        self.added += 1
        queued = len(self._queue)
        mark = self._journal.mark() if queued >= self._queue_limit else None
        try:
            segment = self._journal.close(record)
        except orjson.JSONEncodeError:  # a number of more than 64 bits, which no store could keep
            self._lose(record)
            return
        if segment is None:  # only in memory: the queue has to take it, as far as that is bearable
            if queued >= 2 * self._queue_limit:
                self._lose(record)
                return
            self._queue.append((record, segment))
        elif self._spill is None and mark is None:
            self._queue.append((record, segment))
        elif self._spill is None:
            self._spill = mark
        self._wake.set()
        if len(self._queue) >= self._batch:
            self._full.set()

    async def start(self) -> None:
        """Store what dead processes left behind, then begin to work.

        Raises:
            StoreError: the store does not take it: what was spent is not known then.
        """
        await self.recover()
        self._tasks.start("records.write", self._work())
        self._tasks.start("records.sweep", self._sweep())

    async def recover(self) -> int:
        """Store what dead processes left behind; returns how many records that were.

        Raises:
            StoreError: the store does not take it. What is left is found again next time.
        """
        found = 0
        journals = replay.dead(self._journal.directory)
        while True:
            try:
                remains = await asyncio.to_thread(next, journals, None)
                if remains is None:
                    return found
                found += await self._replay(remains)
            except OSError as error:
                log.fact("journal.unreadable", log.Level.ERROR, error=log.kind(error), number=error.errno)
                return found

    async def close(self, wait_s: float = 2.0) -> None:
        """Store what is queued, for at most wait_s seconds; the rest stays in the journal."""
        self._closing.set()
        self._wake.set()
        self._full.set()
        await self._tasks.close(wait_s)

    # --- background

    async def _work(self) -> None:
        while True:
            if not self._queue and self._spill is None:
                if self._closing.is_set():
                    return
                self._wake.clear()
                await _wait(self._wake, 1.0 if self._journal.blocked else self._sweep_s)
            if not self._closing.is_set() and len(self._queue) < self._batch and self._spill is None:
                self._full.clear()
                await _wait(self._full, self._interval_s)  # let a batch gather
            if self._journal.blocked:
                self._journal.retry()
            if self._queue:
                await self._store_queued()
            elif self._spill is not None:
                await self._store_spilled(self._spill)
            await self._tidy()

    async def _sweep(self) -> None:
        while not await _wait(self._closing, self._sweep_s):
            try:
                await self.recover()
            except StoreError:
                self.retries += 1

    async def _store_queued(self) -> None:
        taken = [self._queue[place] for place in range(min(self._batch, len(self._queue)))]
        await self._store_all([record for record, _ in taken])
        by_segment: dict[Segment | None, list[Slug]] = {}
        for record, segment in taken:
            self._queue.popleft()
            by_segment.setdefault(segment, []).append(record.id)
        for segment, ids in by_segment.items():
            self._journal.stored(segment, ids)

    async def _store_spilled(self, mark: tuple[int, int]) -> None:
        part = self._journal.behind(mark)
        if part is None:
            self._spill = None
            return
        segment, place, end = part
        try:
            records, place = await asyncio.to_thread(replay.read, segment.path, place, end, self._batch)
        except OSError as error:
            self.retries += 1
            log.fact("journal.unreadable", log.Level.ERROR, error=log.kind(error), number=error.errno)
            await _wait(self._closing, self._sweep_s)
            return
        await self._store_all(records)
        self._journal.stored(segment, [record.id for record in records])
        self._spill = segment.number, place

    async def _store_all(self, records: Sequence[Record]) -> None:
        # As often as it takes; close() cuts it off.
        wait_s = self._interval_s
        while True:
            try:
                taken = await self._store_once(records)
                break
            except StoreError:
                self.retries += 1
                if self.retries % 100 == 1:
                    log.fact("records.waiting", log.Level.WARNING, waiting=self.waiting, retries=self.retries)
            if self._journal.blocked:
                self._journal.retry()
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, MAX_WAIT_S)
        if self._tell is not None:
            self._tell(taken)

    async def _store_once(self, records: Sequence[Record]) -> Sequence[Record]:
        try:
            await self._store.add(records)
        except ValueError:
            if len(records) > 1:  # one of them can never be stored: the others must not wait for it
                return [taken for record in records for taken in await self._store_once([record])]
            self.refused += 1
            log.fact("records.refused", log.Level.ERROR, id=records[0].id)
            return ()
        self.stored += len(records)
        return records

    async def _tidy(self) -> None:
        paths = self._journal.finished()
        if paths:
            await asyncio.to_thread(_delete, paths)

    async def _replay(self, remains: Remains) -> int:
        found = 0
        try:
            pages: Iterator[list[Record]] = remains.pages(self._batch)
            while (page := await asyncio.to_thread(next, pages, None)) is not None:
                self.replayed += len(page)
                await self._store_once(page)
                found += len(page)
            self.damaged += remains.damaged
            self.interrupted += remains.interrupted
            await asyncio.to_thread(remains.remove)
        finally:
            remains.release()
        if found or remains.damaged:
            log.fact(
                "journal.replayed", records=found, interrupted=remains.interrupted, damaged=remains.damaged
            )
        return found

    def _lose(self, record: Record) -> None:
        self.lost += 1
        log.fact("records.lost", log.Level.ERROR, id=record.id, lost=self.lost)


async def _wait(event: asyncio.Event, most_s: float) -> bool:
    try:
        async with asyncio.timeout(most_s):
            return await event.wait()
    except TimeoutError:
        return False


def _delete(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
