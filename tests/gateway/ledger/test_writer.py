"""Records on their way from the journal to the store: each exactly once, whatever happens between."""

# ruff: noqa: ASYNC220, ASYNC240

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.contracts import Span, StoreError
from gateway.ledger import replay
from gateway.ledger.journal import Journal
from gateway.ledger.writer import RecordWriter
from gateway.names import Slug
from gateway.records import Outcome, Record
from gateway.store.memory import MemoryStore
from gateway.store.sqlite import SqliteStore
from gateway.usage import Nanos
from tests.sample_records import a_record, an_opening

ALL = Span(since_us=0, until_us=1 << 62)


class FailingRecords:
    """A record store that fails as often as it is told, before or after it has stored."""

    def __init__(self) -> None:
        self.inner = MemoryStore().records
        self.failures = 0
        self.after = False
        self.batches: list[int] = []

    async def add(self, records: Sequence[Record]) -> int:
        if self.failures and not self.after:
            self.failures -= 1
            raise StoreError("the store fails for a test")
        new = await self.inner.add(records)
        self.batches.append(len(records))
        if self.failures:
            self.failures -= 1
            raise StoreError("the answer was lost")
        return new

    async def sums(self, span: Span, by: Sequence[str]) -> list[dict[str, Any]]:
        return await self.inner.sums(span, by)

    def export(self, span: Span) -> AsyncIterator[Record]:
        return self.inner.export(span)

    async def spent(self) -> dict[Slug, Nanos]:
        return await self.inner.spent()


class Bench:
    """A journal, a store that fails on demand, and a writer between them."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.journal = Journal(folder, Slug("w"), segment_bytes=6000, reserve_bytes=4096)
        self.store = FailingRecords()
        self.told: list[Slug] = []
        settings = {"interval_s": 0.002, "sweep_s": 0.05} | options
        self.writer = RecordWriter(self.journal, self.store, stored=self.tell, **settings)

    def tell(self, records: Sequence[Record]) -> None:
        self.told += [record.id for record in records]

    def calls(self, *numbers: int) -> None:
        for number in numbers:
            self.journal.open(a_record(number).id, an_opening(number))
            self.writer.add(a_record(number))

    async def found(self) -> list[Record]:
        return [record async for record in self.store.export(ALL)]

    async def close(self) -> None:
        await self.writer.close()
        self.journal.stop()


async def until(condition: Callable[[], bool], most_s: float = 5.0) -> None:
    ends = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < ends, "it never happened"
        await asyncio.sleep(0.002)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "journal")
    await made.writer.start()
    yield made
    await made.close()


async def test_records_reach_the_store_in_batches_and_their_files_go(bench: Bench) -> None:
    bench.calls(*range(300))
    assert bench.writer.waiting == bench.writer.queued == 300
    assert bench.writer.oldest_us == 0
    await until(lambda: bench.writer.waiting == 0)
    assert await bench.found() == [a_record(number) for number in range(300)]
    assert len(bench.store.batches) < 20
    await until(lambda: len(list(bench.journal.folder.glob("*.log"))) == 1)
    assert sorted(bench.told) == [a_record(number).id for number in range(300)]
    assert (bench.writer.added, bench.writer.stored, bench.writer.lost) == (300, 300, 0)
    assert bench.writer.oldest_us is None
    await bench.close()
    assert list(bench.journal.directory.iterdir()) == []


async def test_a_full_batch_does_not_wait_for_the_interval(tmp_path: Path) -> None:
    bench = Bench(tmp_path, interval_s=60.0, batch=10)
    await bench.writer.start()
    bench.calls(*range(25))
    await until(lambda: bench.writer.stored == 20)
    await bench.close()
    assert bench.writer.stored == 25


async def test_a_store_that_fails_is_asked_again_until_it_works(bench: Bench) -> None:
    bench.store.failures = 4
    bench.calls(1, 2, 3)
    await until(lambda: bench.writer.waiting == 0)
    assert bench.writer.retries == 4
    assert len(await bench.found()) == 3
    assert len(bench.told) == 3


async def test_a_batch_whose_answer_was_lost_is_not_stored_twice(bench: Bench) -> None:
    bench.store.failures, bench.store.after = 2, True
    bench.calls(1, 2, 3)
    await until(lambda: bench.writer.waiting == 0)
    assert len(await bench.found()) == len(bench.told) == 3
    assert await bench.store.spent() == {Slug("key-1"): 3006}


async def test_past_the_limit_of_the_queue_records_wait_in_the_journal(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, queue_limit=20, batch=7)
    bench.store.failures = 3
    bench.calls(*range(150))
    assert bench.writer.spilling
    assert bench.writer.queued == 20
    assert bench.writer.waiting == 150
    await bench.writer.start()
    await until(lambda: bench.writer.waiting == 0)
    await until(lambda: not bench.writer.spilling)
    bench.calls(*range(150, 170))
    await until(lambda: bench.writer.waiting == 0)
    assert await bench.found() == [a_record(number) for number in range(170)]
    assert len(bench.told) == 170
    assert bench.writer.lost == 0
    await bench.close()
    assert list(tmp_path.iterdir()) == []


async def test_records_that_come_while_the_spilled_ones_are_read_follow_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path, queue_limit=5, batch=5)
    bench.calls(*range(50))
    await bench.writer.start()
    for number in range(50, 400):
        bench.calls(number)
        if number % 10 == 0:
            await asyncio.sleep(0)
    await until(lambda: bench.writer.waiting == 0)
    assert [record.at for record in await bench.found()] == [number * 1000 for number in range(400)]
    assert sorted(bench.told) == [a_record(number).id for number in range(400)]
    await bench.close()


async def test_a_spilled_file_that_cannot_be_read_is_tried_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, queue_limit=1, batch=5)
    bench.calls(*range(10))
    part = bench.journal.behind(bench.writer._spill or (0, 0))
    assert part is not None
    away = tmp_path / "away"
    part[0].path.rename(away)
    await bench.writer.start()
    await until(lambda: bench.writer.retries == 1)
    away.rename(part[0].path)
    bench.writer._closing.set()
    await until(lambda: bench.writer.waiting == 0)
    assert len(await bench.found()) == 10
    await bench.close()


async def test_a_record_that_can_never_be_stored_does_not_hold_up_the_others(bench: Bench) -> None:
    bench.calls(1, 2)
    bench.writer.add(a_record(3, cost_nanos=Nanos((1 << 63) + 1)))
    bench.calls(4)
    await until(lambda: bench.writer.waiting == 0)
    assert [record.at for record in await bench.found()] == [1000, 2000, 4000]
    assert (bench.writer.refused, bench.writer.lost) == (1, 0)
    assert len(bench.told) == 3


async def test_a_number_that_no_journal_can_hold_is_counted_as_lost(
    bench: Bench,
) -> None:
    bench.writer.add(a_record(1, cost_nanos=Nanos(1 << 70)))
    assert (bench.writer.lost, bench.writer.waiting) == (1, 0)


async def test_while_the_disk_is_full_records_go_to_the_store_from_memory(bench: Bench) -> None:
    bench.calls(1)
    bench.journal.open(a_record(2).id, an_opening(2))
    os.close(bench.journal._file)
    bench.journal._file = os.open("/dev/full", os.O_WRONLY)
    bench.writer.add(a_record(2))
    bench.writer.add(a_record(3))
    assert bench.journal.blocked
    await until(lambda: bench.writer.waiting == 0)
    assert len(await bench.found()) == 3
    await until(lambda: not bench.journal.blocked)
    bench.calls(4)
    await until(lambda: bench.writer.waiting == 0)
    await bench.close()
    assert list(bench.journal.directory.iterdir()) == []


async def test_records_written_late_while_others_are_spilled_are_stored_and_told_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, queue_limit=4, batch=3)
    bench.calls(*range(10))
    assert bench.writer.spilling
    bench.journal._blocked = True
    bench.writer.add(a_record(10))
    assert bench.writer.queued == 5
    assert bench.journal.retry()
    bench.calls(*range(11, 20))
    await bench.writer.start()
    await until(lambda: bench.writer.waiting == 0)
    assert len(await bench.found()) == bench.writer.stored == 20
    assert sorted(bench.told) == [a_record(number).id for number in range(20)]
    assert {segment.pending for segment in bench.journal._segments.values()} == {0}
    await bench.close()
    assert list(tmp_path.iterdir()) == []


async def test_with_neither_disk_nor_store_the_queue_ends_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, queue_limit=3)
    bench.journal._blocked = True
    for number in range(10):
        bench.writer.add(a_record(number))
    assert (bench.writer.queued, bench.writer.lost) == (6, 4)
    assert not bench.writer.spilling
    bench.journal._unwritten.clear()
    bench.journal.stop()


async def test_the_disk_is_tried_again_while_the_store_is_down(bench: Bench) -> None:
    bench.store.failures = 3
    bench.journal._blocked = True
    bench.writer.add(a_record(1))
    await until(lambda: not bench.journal.blocked)
    await until(lambda: bench.writer.waiting == 0)


async def test_closing_stores_what_is_queued_and_leaves_the_rest_in_the_journal(tmp_path: Path) -> None:
    bench = Bench(tmp_path, batch=10, interval_s=30.0)
    await bench.writer.start()
    bench.calls(*range(35))
    await bench.close()
    assert len(await bench.found()) == 35
    other = Bench(tmp_path)
    other.store.failures = 1 << 30
    await other.writer.start()
    other.calls(50, 51)
    began = time.monotonic()
    await other.writer.close(0.05)
    assert time.monotonic() - began < 1
    other.journal.stop()
    assert [record.at for record in replay.replay(tmp_path)] == [50_000, 51_000]


# --- what dead processes leave behind


async def test_what_a_dead_process_left_is_stored_before_the_writer_starts(tmp_path: Path) -> None:
    dead = Bench(tmp_path)
    dead.calls(*range(10))
    dead.journal.open(a_record(10).id, an_opening(10))
    dead.journal.stop()
    bench = Bench(tmp_path)
    await bench.writer.start()
    found = await bench.found()
    assert [record.outcome for record in found] == [Outcome.OK] * 10 + [Outcome.INTERRUPTED]
    assert found[-1].cost_nanos == found[-1].held_nanos
    assert (bench.writer.replayed, bench.writer.interrupted, bench.writer.damaged) == (11, 1, 0)
    assert bench.told == []
    assert [path.name for path in tmp_path.iterdir()] == [bench.journal.folder.name]
    await bench.close()


async def test_a_start_without_a_working_store_is_refused_and_loses_nothing(tmp_path: Path) -> None:
    dead = Bench(tmp_path)
    dead.calls(1)
    dead.journal.stop()
    bench = Bench(tmp_path)
    bench.store.failures = 1
    with pytest.raises(StoreError):
        await bench.writer.start()
    assert await bench.writer.recover() == 1
    bench.journal.stop()


async def test_a_process_that_dies_later_is_found_by_the_sweep(bench: Bench) -> None:
    dead = Bench(bench.journal.directory)
    dead.calls(1, 2)
    await asyncio.sleep(0.06)
    assert await bench.found() == []
    dead.journal.stop()
    bench.store.failures = 1
    await until(lambda: bench.writer.replayed >= 2)
    await until(lambda: len(list(bench.journal.directory.iterdir())) == 1)
    assert len(await bench.found()) == 2
    assert bench.writer.retries == 1


async def test_a_journal_that_cannot_be_read_is_left_and_told(tmp_path: Path) -> None:
    dead = Bench(tmp_path)
    dead.calls(1)
    dead.journal.stop()
    (dead.journal.folder / "000002.log").mkdir()
    bench = Bench(tmp_path)
    assert await bench.writer.recover() == 0
    assert dead.journal.folder.exists()
    (dead.journal.folder / "000002.log").rmdir()
    assert await bench.writer.recover() == 1
    bench.journal.stop()


# --- with the real store

PROCESS = """
import asyncio, os, sys
from pathlib import Path
from gateway.ledger.journal import Journal
from gateway.ledger.writer import RecordWriter
from gateway.names import Slug
from gateway.store.sqlite import SqliteStore
from tests.sample_records import a_record, an_opening

async def main(folder, start):
    store = SqliteStore(SqliteStore.Config(path=folder + "/gateway.db"))
    await store.start()
    journal = Journal(Path(folder) / "journal", Slug("w"), segment_bytes=20_000, reserve_bytes=4096)
    writer = RecordWriter(journal, store.records, interval_s=0.001, batch=50, sweep_s=0.01, queue_limit=60)
    await writer.start()
    number = start
    while True:
        for _ in range(13):
            number += 1
            journal.open(a_record(number).id, an_opening(number))
            os.write(1, b"o%d\\n" % number)
            if number > start + 5:
                writer.add(a_record(number - 5))
                os.write(1, b"c%d\\n" % (number - 5))
        await asyncio.sleep(0)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_killed_again_and_again_every_call_is_stored_exactly_once(tmp_path: Path) -> None:
    said: list[bytes] = []
    for trial in range(4):
        command = [sys.executable, "-c", PROCESS, str(tmp_path), str(trial * 1_000_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(random.randrange(1, 1500))]
            process.send_signal(signal.SIGKILL)
            said += b"".join([*lines, process.stdout.read()]).split()
    store = SqliteStore(SqliteStore.Config(path=str(tmp_path / "gateway.db")))
    await store.start()
    journal = Journal(tmp_path / "journal", Slug("last"), reserve_bytes=4096)
    writer = RecordWriter(journal, store.records)
    await writer.recover()
    found = {record.id: record async for record in store.records.export(ALL)}
    for word in said:
        record = found[a_record(int(word[1:])).id]
        assert record.outcome is Outcome.OK or word[:1] == b"o"
    assert len(found) - sum(word[:1] == b"o" for word in said) in range(5)
    assert sum((await store.records.spent()).values()) == sum(
        record.cost_nanos or 0 for record in found.values()
    )
    assert writer.damaged == 0
    journal.stop()
    assert list((tmp_path / "journal").iterdir()) == []
    await store.close()


async def test_a_locked_database_delays_nothing_but_the_storing(tmp_path: Path) -> None:
    store = SqliteStore(SqliteStore.Config(path=str(tmp_path / "gateway.db"), busy_timeout_s=0.05))
    await store.start()
    journal = Journal(tmp_path / "journal", Slug("w"), reserve_bytes=4096)
    writer = RecordWriter(journal, store.records, interval_s=0.005, queue_limit=50)
    await writer.start()
    other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    other.execute("begin immediate")
    slowest = 0.0
    for number in range(200):
        began = time.perf_counter()
        journal.open(a_record(number).id, an_opening(number))
        writer.add(a_record(number))
        slowest = max(slowest, time.perf_counter() - began)
        await asyncio.sleep(0.001)
    assert slowest < 0.05
    assert writer.retries > 0
    assert writer.spilling
    assert writer.waiting == 200
    other.execute("rollback")
    other.close()
    await until(lambda: writer.waiting == 0)
    ((row),) = await store.records.sums(ALL, [])
    assert row["calls"] == 200
    await writer.close()
    journal.stop()
    await store.close()
