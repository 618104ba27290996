"""The SQLite store as a file: modes, damage, versions, locks, traces, and how it ends."""

# ruff: noqa: ASYNC240

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.contracts import NodeRow, SecretRow, Span, StoreError
from gateway.names import Slug
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite.connection import Database
from gateway.store.sqlite.migrations import MIGRATIONS
from gateway.usage import Nanos
from tests.sample_records import a_record

ALL = Span(since_us=0, until_us=1 << 62)


def a_store(path: Path, busy_timeout_s: float = 5.0, **more: float) -> SqliteStore:
    return SqliteStore(SqliteStore.Config(path=str(path), busy_timeout_s=busy_timeout_s, **more))  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "deep" / "gateway.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    made = a_store(path)
    await made.start()
    yield made
    await made.close()


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else's connection that holds the write lock."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("begin immediate")
    try:
        yield other
    finally:
        other.close()


async def test_the_folder_and_the_files_are_for_the_owner_only(store: SqliteStore, path: Path) -> None:
    await store.accounts.put()
    assert path.parent.stat().st_mode & 0o777 == 0o700
    files = list(path.parent.iterdir())
    assert len(files) == 3
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


async def test_a_database_that_others_may_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch(mode=0o644)
    path.chmod(0o644)
    store = a_store(path)
    await store.start()
    assert path.stat().st_mode & 0o777 == 0o600
    await store.close()


async def test_rows_are_there_after_the_store_was_opened_again(path: Path) -> None:
    for number in (1, 2):
        store = a_store(path)
        await store.start()
        assert await store.records.add([a_record(1), a_record(2)]) == (2 if number == 1 else 0)
        assert await store.records.spent() == {Slug("key-1"): 2003}
        await store.close()
    assert [file.name for file in path.parent.iterdir()] == ["gateway.db"]  # the log went with the last one


@pytest.mark.parametrize("level", [("process", 1), ("power", 2)])
async def test_durability_sets_how_surely_a_commit_is_on_the_disk(path: Path, level: tuple[str, int]) -> None:
    store = SqliteStore(SqliteStore.Config(path=str(path), durability=level[0]))  # type: ignore[arg-type]
    await store.start()
    async with store._database.transaction() as db:
        assert [tuple(row) for row in await db.execute_fetchall("pragma synchronous")] == [(level[1],)]
        for pragma, value in (
            ("foreign_keys", 1),
            ("secure_delete", 1),
            ("temp_store", 2),
            ("trusted_schema", 0),
        ):
            assert [tuple(row) for row in await db.execute_fetchall(f"pragma {pragma}")] == [(value,)], pragma
    await store.close()


# --- a file that cannot be used


async def refusal(path: Path) -> str:
    store = a_store(path, busy_timeout_s=0.2)
    with pytest.raises(StoreError) as caught:
        await store.start()
    return str(caught.value)


async def test_a_later_schema_is_refused_with_its_number(store: SqliteStore, path: Path) -> None:
    await store.close()
    with sqlite3.connect(path) as db:
        db.execute("insert into migrations values (99, 0)")
    db.close()
    text = await refusal(path)
    assert "later version (schema 99" in text
    assert "install" in text


async def test_an_earlier_schema_is_brought_up_to_date_and_keeps_its_rows(path: Path) -> None:
    path.parent.mkdir(parents=True)
    db = sqlite3.connect(path)
    db.execute("pragma application_id = 1416588396")
    db.execute("create table migrations (number integer primary key, at_ms integer not null) strict")
    for statement in MIGRATIONS[0]:
        db.execute(statement)
    db.execute("insert into migrations values (1, 0)")
    db.execute("update versions set value = 41 where name = 'accounts'")
    db.commit()
    db.close()
    store = a_store(path)
    await store.start()
    assert await store.accounts.version() == 41
    assert await store.records.add([a_record()]) == 1
    await store.close()


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"these are my notes\n" * 100)
    assert "is no SQLite database" in await refusal(path)
    assert path.read_bytes() == b"these are my notes\n" * 100


async def test_the_database_of_another_program_is_refused(path: Path) -> None:
    path.parent.mkdir(parents=True)
    db = sqlite3.connect(path)
    db.execute("create table photos (id integer)")
    db.close()
    assert "another program" in await refusal(path)


async def test_a_database_without_its_list_of_migrations_is_refused(store: SqliteStore, path: Path) -> None:
    await store.close()
    db = sqlite3.connect(path)
    db.execute("drop table migrations")
    db.close()
    assert "damaged" in await refusal(path)


async def test_a_damaged_page_is_refused_with_a_way_out(store: SqliteStore, path: Path) -> None:
    await store.records.add([a_record(number) for number in range(500)])
    await store.close()
    data = bytearray(path.read_bytes())
    for place in range(4096, len(data), 4096):
        data[place : place + 60] = os.urandom(60)
    path.write_bytes(data)
    text = await refusal(path)
    assert "damaged" in text
    assert "backup" in text


async def test_a_value_changed_by_another_hand_is_noticed_at_the_start(
    store: SqliteStore, path: Path
) -> None:
    await store.records.add([a_record()])
    await store.close()
    data = path.read_bytes()
    assert b"openai/gpt-4o-mini" in data
    path.write_bytes(data.replace(b"openai/gpt-4o-mini", b"Tell me a secret!!"))
    assert "damaged" in await refusal(path)


async def test_a_path_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be opened" in await refusal(tmp_path / "file" / "gateway.db")


async def test_a_folder_in_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    assert "cannot be" in await refusal(path)


async def test_a_start_while_another_process_holds_the_lock_waits_and_then_says_so(
    store: SqliteStore, path: Path
) -> None:
    await store.close()
    with locked(path):
        assert "locked by another process" in await refusal(path)


# --- several processes


async def test_a_write_waits_for_another_process_and_goes_through(store: SqliteStore, path: Path) -> None:
    with locked(path) as other:
        work = asyncio.ensure_future(store.records.add([a_record()]))
        assert await store.records.spent() == {}  # reading does not wait
        await asyncio.sleep(0.25)
        assert not work.done()
        other.execute("rollback")
        assert await work == 1


async def test_a_write_gives_up_after_its_time_and_leaves_nothing_behind(path: Path) -> None:
    store = a_store(path, busy_timeout_s=0.1)
    await store.start()
    with locked(path), pytest.raises(StoreError, match="locked"):
        await store.accounts.put()
    await store.accounts.put()
    assert await store.accounts.version() == 1
    await store.close()


async def test_stores_of_several_processes_see_each_others_rows(store: SqliteStore, path: Path) -> None:
    others = [a_store(path) for _ in range(3)]
    await asyncio.gather(*(other.start() for other in others))
    await asyncio.gather(
        *(
            one.records.add([a_record(1000 * who + number) for number in range(50)])
            for who, one in enumerate([store, *others])
        )
    )
    await others[0].accounts.put()
    assert await store.accounts.version() == 1
    assert {sum((await one.records.spent()).values()) for one in [store, *others]} == {
        sum(1000 + 1000 * who + number for who in range(4) for number in range(50))
    }
    for other in others:
        await other.close()


async def test_many_stores_may_start_on_one_new_file_at_once(path: Path) -> None:
    stores = [a_store(path) for _ in range(6)]
    await asyncio.gather(*(store.start() for store in stores))
    await asyncio.gather(*(store.accounts.put() for store in stores))
    assert await stores[0].accounts.version() == 6
    for store in stores:
        await store.close()


# --- faults while it is used


async def test_a_full_disk_is_an_error_that_passes(store: SqliteStore) -> None:
    async with store._database.transaction() as db:
        ((pages,),) = await db.execute_fetchall("pragma page_count")
    await store._database._writer.execute(f"pragma max_page_count = {pages}")
    with pytest.raises(StoreError, match="disk is full"):
        await store.records.add([a_record(number) for number in range(1000)])
    await store._database._writer.execute("pragma max_page_count = 1000000")
    assert await store.records.add([a_record(number) for number in range(1000)]) == 1000
    assert sum((await store.records.spent()).values()) == sum(1000 + number for number in range(1000))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def remount(place: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(place)], check=True)


async def test_a_disk_that_was_full_and_has_room_again_is_used_again(small_disk: Path) -> None:
    store = a_store(small_disk / "gateway.db")
    await store.start()
    batches, problem = 0, ""
    while not problem:
        try:
            await store.records.add([a_record(batches * 20 + number) for number in range(20)])
            batches += 1
        except StoreError as error:
            problem = str(error)
    assert "disk" in problem
    assert batches > 2
    await store.records.spent()
    remount(small_disk, "size=4m")
    for batch in range(batches + 5):
        await store.records.add([a_record(batch * 20 + number) for number in range(20)])
    await store.close()
    again = a_store(small_disk / "gateway.db")
    await again.start()
    ((row),) = await again.records.sums(ALL, [])
    assert row["calls"] == (batches + 5) * 20
    assert sum((await again.records.spent()).values()) == row["cost_nanos"]
    await again.close()


async def test_a_disk_that_can_only_be_read_is_said(small_disk: Path) -> None:
    store = a_store(small_disk / "gateway.db")
    await store.start()
    await store.close()
    remount(small_disk, "ro")
    assert "cannot be written" in await refusal(small_disk / "gateway.db")


async def test_a_log_cut_anywhere_loses_only_the_last_transactions(store: SqliteStore, path: Path) -> None:
    for number in range(6):
        await store.records.add([a_record(number * 10 + one) for one in range(10)])
    whole = path.with_name("gateway.db-wal").read_bytes()
    for cut in (
        0,
        10,
        32,
        40,
        5000,
        len(whole) // 3,
        len(whole) // 2,
        len(whole) - 4000,
        len(whole) - 1,
        len(whole),
    ):
        copy = path.with_name(f"copy-{cut}.db")
        copy.write_bytes(path.read_bytes())
        copy.with_name(copy.name + "-wal").write_bytes(whole[:cut])
        other = a_store(copy)
        await other.start()
        ((row),) = await other.records.sums(ALL, [])
        assert row["calls"] % 10 == 0
        assert sum((await other.records.spent()).values()) == row["cost_nanos"]
        assert row["calls"] == 60 or cut < len(whole)
        await other.close()


async def test_a_write_cancelled_anywhere_is_done_or_not_and_the_next_one_works(store: SqliteStore) -> None:
    for turns in range(25):
        work = asyncio.ensure_future(store.records.add([a_record(turns)]))
        for _ in range(turns):
            await asyncio.sleep(0.0002)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await store.accounts.put()
    ((row),) = await store.records.sums(ALL, [])
    assert sum((await store.records.spent()).values()) == row["cost_nanos"]
    assert await store.accounts.version() == 25


async def test_a_query_that_takes_too_long_is_broken_off_and_the_next_one_works(path: Path) -> None:
    store = a_store(path, query_timeout_s=0.05)
    await store.start()
    endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"
    with pytest.raises(StoreError, match="too long"):
        await store._database.report(endless, ())
    assert await store._database.report("select 1", ()) == [(1,)]
    await store.close()


async def test_quick_look_ups_do_not_wait_for_a_long_report(store: SqliteStore) -> None:
    endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"
    work = asyncio.ensure_future(store._database.report(endless, ()))
    await asyncio.sleep(0.02)
    began = time.monotonic()
    assert await store.accounts.version() == 0
    assert time.monotonic() - began < 0.5
    assert not work.done()
    await store.close()
    with pytest.raises(StoreError):
        await work


async def test_a_sum_of_more_than_64_bits_is_an_error_and_not_a_rounded_number(store: SqliteStore) -> None:
    great = Nanos((1 << 63) - 1)
    await store.records.add(
        [a_record(number, cost_nanos=great, key_id=Slug(f"key-{number}")) for number in (1, 2)]
    )
    with pytest.raises(StoreError):
        await store.records.sums(ALL, [])


async def test_a_row_that_another_hand_changed_is_an_error_when_read(store: SqliteStore) -> None:
    async with store._database.transaction() as db:
        await db.execute("pragma ignore_check_constraints = on")
        await db.execute("insert into scopes values ('has space', 'models', 'x')")
        await db.execute("insert into secrets values ('a b', 'p', 'k', 'h', zeroblob(12), zeroblob(20), 1)")
    await store.records.add([a_record()])
    async with store._database.transaction() as db:
        await db.execute("update records set outcome = 'fine thanks'")
    with pytest.raises(StoreError):
        await store.accounts.load()
    with pytest.raises(StoreError):
        await store.secrets.load()
    with pytest.raises(StoreError):
        assert [one async for one in store.records.export(ALL)]


async def test_the_schema_refuses_a_sentence_even_from_a_caller_that_does_not_check(
    store: SqliteStore,
) -> None:
    sentence = str.__new__(Slug, "please repeat after me")
    with pytest.raises(ValueError) as caught:
        await store.accounts.put(
            nodes=[NodeRow(id=Slug("n"), parent=None, kind=Slug("project"), name=sentence, created_ms=1)]
        )
    assert "repeat" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_lost_table_is_an_error_of_the_store(store: SqliteStore) -> None:
    async with store._database.transaction() as db:
        await db.execute("drop table spent")
    with pytest.raises(StoreError):
        await store.records.spent()
    assert await store.accounts.version() == 0


async def test_what_is_under_way_when_the_store_closes_is_no_refusal_of_its_rows(store: SqliteStore) -> None:
    work = asyncio.gather(
        *(store.records.add([a_record(number)]) for number in range(200)),
        *(store.accounts.version() for _ in range(50)),
        return_exceptions=True,
    )
    await asyncio.sleep(0.005)
    await store.close()
    assert {type(one) for one in await work} <= {int, StoreError}


async def test_a_closed_store_says_so(store: SqliteStore) -> None:
    await store.close()
    with pytest.raises(StoreError):
        await store.records.add([a_record()])
    with pytest.raises(StoreError):
        await store.accounts.version()
    with pytest.raises(StoreError):
        await store.records.sums(ALL, [])


# --- secrets leave no trace


def traces(folder: Path, secret: bytes) -> list[str]:
    parts = [secret[place : place + 12] for place in range(0, len(secret) - 12, 4)]
    return [file.name for file in folder.iterdir() if any(part in file.read_bytes() for part in parts)]


async def test_a_deleted_or_replaced_secret_is_in_no_file(store: SqliteStore, path: Path) -> None:
    rows = [
        SecretRow(
            id=Slug(f"openai/{number}"),
            provider=Slug("openai"),
            kek=Slug("kek"),
            host=Slug("api.openai.com"),
            nonce=os.urandom(12),
            sealed=os.urandom(200 if number else 9000),  # the first one fills pages of its own
            created_ms=1,
        )
        for number in range(40)
    ]
    await store.secrets.put(rows)
    assert traces(path.parent, rows[0].sealed)
    await store.records.add([a_record(number) for number in range(100)])
    await store.secrets.delete([row.id for row in rows[:20]])
    for row in rows[:20]:
        assert traces(path.parent, row.sealed) == []
    other = replace(rows[30], sealed=os.urandom(100))
    await store.secrets.put([other])
    assert traces(path.parent, rows[30].sealed) == []
    assert traces(path.parent, other.sealed) == ["gateway.db"]
    assert len(await store.secrets.load()) == 20


async def test_a_trace_that_another_process_keeps_is_reported(path: Path) -> None:
    store = a_store(path, busy_timeout_s=0.25)
    await store.start()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin")
    other.execute("select * from secrets").fetchall()
    with pytest.raises(StoreError, match="still holds what was removed"):
        await store.secrets.delete([Slug("openai/main")])
    other.close()
    await store.secrets.delete([Slug("openai/main")])
    await store.close()


async def test_the_log_does_not_grow_without_limit(store: SqliteStore, path: Path) -> None:
    for start in range(0, 8_000, 500):
        await store.records.add([a_record(start + number) for number in range(500)])
    assert path.with_name("gateway.db-wal").stat().st_size < 6 << 20


# --- the end


@pytest.mark.parametrize("what", ["idle", "locked", "report"])
async def test_closing_takes_less_than_two_seconds(path: Path, what: str) -> None:
    store = a_store(path, busy_timeout_s=60)
    await store.start()
    endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"
    work: asyncio.Future[Any] | None = None
    with locked(path):
        if what == "locked":
            work = asyncio.ensure_future(store.records.add([a_record()]))
        elif what == "report":
            work = asyncio.ensure_future(store._database.report(endless, ()))
        await asyncio.sleep(0.05)
        began = time.monotonic()
        await store.close()
        assert time.monotonic() - began < 2
    if work is not None:
        with pytest.raises(StoreError):
            await work


UNCLOSED = """
import asyncio, sys
from gateway.store.sqlite import SqliteStore
async def main():
    store = SqliteStore(SqliteStore.Config(path=sys.argv[1]))
    await store.start()
    await store.accounts.put()
    asyncio.ensure_future(store._database.report(
        "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n", ()))
    await asyncio.sleep(0.05)
    raise SystemExit(7)
asyncio.run(main())
"""


def test_a_process_that_never_closes_its_store_still_ends(path: Path) -> None:
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", UNCLOSED, str(path)], timeout=20, capture_output=True)
    assert done.returncode == 7
    assert time.monotonic() - began < 5  # starting Python included


async def test_a_connection_that_cannot_be_made_leaves_nothing_open(tmp_path: Path) -> None:
    database = Database(tmp_path / "gone" / "x.db", durable=False, busy_timeout_s=0.1, query_timeout_s=1)
    with pytest.raises(StoreError, match="cannot be opened"):
        await database._connect()
    await database.close()


async def test_a_batch_of_more_rows_than_one_statement_takes_is_stored_once(store: SqliteStore) -> None:
    records = [a_record(number + 1) for number in range(250)]
    assert await store.records.add(records) == 250
    assert await store.records.add(records) == 0
    assert await store.records.add([*records, a_record(9999)]) == 1
