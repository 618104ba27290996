"""The journal: two lines a call, what is deleted when, and what a full or failing disk does."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import orjson
import pytest

from gateway.ledger import journal as journal_file
from gateway.ledger import lines, replay
from gateway.ledger.journal import Journal, JournalError
from gateway.names import Slug
from gateway.records import NAMES, OPENING_NAMES, OPENING_VALUES, VALUES, Outcome, Record
from gateway.usage import Nanos, Source
from tests.sample_records import a_record, an_opening

OWNER = Slug("worker-1")
LINE = len(lines.write(lines.OPENED, a_record(1)))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal", OWNER, segment_bytes=6 * LINE, reserve_bytes=4096)
    yield made
    made.stop()


def skeleton(number: int) -> Record:
    return a_record(number, outcome=Outcome.INTERRUPTED, status=0, cost_nanos=None, usage_source=Source.NONE)


def opened(journal: Journal, *numbers: int) -> None:
    for number in numbers:
        journal.open(a_record(number).id, an_opening(number))


def left(journal: Journal) -> dict[Slug, Record]:
    """What a later process finds, had this one died now."""
    journal._opened[Slug("never-ended")] = (journal._current, b"")  # so that stop() keeps the folder
    journal.stop()
    return {record.id: record for record in replay.replay(journal.directory)}


def fill(journal: Journal) -> int:
    """Open calls until that is refused; returns how many."""
    for number in range(100_000):
        try:
            opened(journal, number)
        except JournalError:
            return number
    raise AssertionError("never refused")


def files(journal: Journal) -> list[str]:
    return sorted(path.name for path in journal.folder.glob("*.log"))


# --- lines


def test_a_line_comes_back_as_the_record_it_was() -> None:
    record = a_record(7, cost_nanos=None, priced=False)
    kind, values = lines.split(lines.write(lines.CLOSED, record))
    assert kind == lines.CLOSED
    assert lines.record(values) == record


def test_a_spoilt_byte_anywhere_is_noticed() -> None:
    line = lines.write(lines.OPENED, a_record(7))
    for place in range(len(line) - 1):
        spoilt = bytearray(line)
        spoilt[place] ^= 0x04
        with pytest.raises(lines.DamagedLineError):
            lines.split(bytes(spoilt))


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"x", b"00000000", b"00000000o[]", b"zzzzzzzzo[]", b"\xff" * 50]
)
def test_what_is_no_line_is_damaged(text: bytes) -> None:
    with pytest.raises(lines.DamagedLineError):
        lines.split(text)


def test_a_line_that_holds_no_list_or_no_record_is_damaged() -> None:
    for text in (b"o{}", b"o1", b"o"):
        with pytest.raises(lines.DamagedLineError):
            lines.split(b"%08x%b\n" % (crc32(text), text))
    good = lines.split(lines.write(lines.CLOSED, a_record()))[1]
    for values in (
        [],
        good[:-1],
        [*good, 1],
        ["two words", *good[1:]],
        [None, *good[1:]],
        [*good[:-1], "told"],
    ):
        with pytest.raises(lines.DamagedLineError):
            lines.record(values)


def test_a_line_of_an_opening_comes_back_as_a_record() -> None:
    opening = an_opening(7, feature=Slug("search"))
    kind, values = lines.split(lines.opened(opening))
    assert kind == lines.BEGUN
    record = lines.record(values, OPENING_NAMES)
    assert {name: getattr(record, name) for name in OPENING_NAMES} == dict(
        zip(OPENING_NAMES, OPENING_VALUES(opening), strict=True)
    )
    for spoilt in (values[:-1], [*values, 1], ["two words", *values[1:]], [None, *values[1:]]):
        with pytest.raises(lines.DamagedLineError):
            lines.record(spoilt, OPENING_NAMES)


@pytest.mark.parametrize("begun", [["id", "colour", "held_nanos", "at", "price_version"], None])
def test_an_opening_with_other_columns_or_of_the_former_format_is_still_read(
    tmp_path: Path, begun: list[str] | None
) -> None:
    folder = tmp_path / "worker-1-aa"
    folder.mkdir()
    (folder / replay.LOCK).touch()
    if begun is None:
        texts = [lines.HEAD + orjson.dumps(NAMES), lines.OPENED + orjson.dumps(VALUES(skeleton(1)))]
    else:
        values = [skeleton(1).id, "blue", 5001, 1000, "2026-11"]
        texts = [lines.BEGUN_HEAD + orjson.dumps(begun), lines.BEGUN + orjson.dumps(values)]
    (folder / "000001.log").write_bytes(b"".join(b"%08x%b\n" % (crc32(text), text) for text in texts))
    (record,) = replay.replay(tmp_path)
    assert (record.id, record.at, record.outcome) == (skeleton(1).id, 1000, Outcome.INTERRUPTED)
    assert record.cost_nanos == record.held_nanos == 5001
    assert record.baseline_nanos is None  # it is not known what it used
    assert record.key_id == (None if begun else "key-1")


def test_an_opening_without_a_price_is_replayed_as_unpriced(journal: Journal) -> None:
    journal.open(a_record(1).id, an_opening(1, price_version=None))
    record = left(journal)[a_record(1).id]
    assert (record.cost_nanos, record.baseline_nanos, record.priced) == (None, None, False)


def test_a_file_with_other_columns_is_still_read() -> None:
    names = ("colour", "at", "id", "cost_nanos")
    record = lines.record(["blue", 5, "call-1", 77], names)
    assert (record.id, record.at, record.cost_nanos, record.tokens_input) == ("call-1", 5, 77, 0)
    with pytest.raises(lines.DamagedLineError):
        lines.record(["blue", 5], ("colour", "at"))


# --- what is replayed


def test_a_closed_call_is_found_as_it_ended_and_an_open_one_as_interrupted(journal: Journal) -> None:
    opened(journal, 1, 2)
    journal.close(a_record(1))
    found = left(journal)
    assert found[a_record(1).id] == a_record(1)
    lost = found[a_record(2).id]
    assert (lost.outcome, lost.usage_source) == (Outcome.INTERRUPTED, Source.ESTIMATED)
    assert lost.cost_nanos == lost.held_nanos == 5002
    assert lost.priced


def test_an_interrupted_call_without_a_known_price_stays_unpriced() -> None:
    for changes in ({"price_version": None}, {"priced": False}):
        record = replay.interrupted(replace(skeleton(1), **changes))
        assert (record.cost_nanos, record.priced) == (None, False)


def test_a_call_opened_again_counts_at_what_was_held_last(journal: Journal) -> None:
    opened(journal, 1)
    journal.open(a_record(1).id, an_opening(1, held_nanos=Nanos(9000)))
    assert left(journal)[a_record(1).id].cost_nanos == 9000


def test_the_journal_of_a_living_process_is_not_replayed(journal: Journal) -> None:
    opened(journal, 1)
    assert replay.replay(journal.directory) == []


def test_two_readers_do_not_replay_the_same_folder(journal: Journal) -> None:
    opened(journal, 1)
    journal.stop()
    (first,) = replay.dead(journal.directory)
    assert list(replay.dead(journal.directory)) == []
    first.release()
    (second,) = replay.dead(journal.directory)
    assert [[record.id for record in page] for page in second.pages(1)] == [[a_record(1).id]]
    assert (second.interrupted, second.damaged) == (1, 0)
    second.remove()
    second.release()
    assert list(journal.directory.iterdir()) == []


def test_a_line_torn_anywhere_costs_only_itself(tmp_path: Path) -> None:
    whole = lines.head() + lines.write(lines.OPENED, skeleton(1)) + lines.write(lines.CLOSED, a_record(1))
    last = lines.write(lines.CLOSED, a_record(2))
    folder = tmp_path / "worker-1-aa"
    folder.mkdir()
    (folder / replay.LOCK).touch()
    for cut in (*range(0, 40), *range(40, len(last), 5), len(last) - 1, len(last)):
        (folder / "000001.log").write_bytes(whole + last[:cut])
        found = {record.id: record for record in replay.replay(tmp_path)}
        assert found.pop(a_record(1).id) == a_record(1)
        assert list(found.values()) == ([a_record(2)] if cut >= len(last) - 1 else [])


def test_spoilt_bytes_in_the_middle_cost_only_their_lines(tmp_path: Path) -> None:
    folder = tmp_path / "worker-1-aa"
    folder.mkdir()
    (folder / replay.LOCK).touch()
    data = lines.head() + b"".join(lines.write(lines.CLOSED, a_record(number)) for number in range(20))
    for place in range(0, len(data), 97):
        spoilt = bytearray(data)
        spoilt[place : place + 3] = b"\0\xff\n"
        (folder / "000001.log").write_bytes(spoilt)
        (remains,) = replay.dead(tmp_path)
        found = list(remains.records())
        assert len(found) >= 18
        assert remains.damaged >= 1
        assert all(record == a_record(record.at // 1000) for record in found)
        remains.release()


def test_a_line_that_is_whole_and_still_no_record_is_counted_as_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "worker-1-aa"
    folder.mkdir()
    (folder / replay.LOCK).touch()
    texts = (b'o["a"]', b"o[]", b"c[7]", b"o[7]")
    (folder / "000001.log").write_bytes(b"".join(b"%08x%b\n" % (crc32(text), text) for text in texts))
    (remains,) = replay.dead(tmp_path)
    assert list(remains.records()) == []
    assert remains.damaged == 3  # the two opened lines without an id are one call
    remains.release()


def test_folders_without_a_lock_or_without_a_name_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / ".new-worker").mkdir()
    (tmp_path / ".new-worker" / replay.LOCK).touch()
    (tmp_path / "file").touch()
    assert list(replay.dead(tmp_path)) == []
    assert list(replay.dead(tmp_path / "nowhere")) == []


def test_a_name_with_slashes_is_one_folder_and_files_are_for_the_owner_only(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "journal", Slug("a/../../b"), reserve_bytes=4096)
    assert journal.folder.parent == tmp_path / "deep" / "journal"
    assert {path.stat().st_mode & 0o777 for path in journal.folder.iterdir()} == {0o600}
    assert journal.folder.stat().st_mode & 0o777 == 0o700
    journal.stop()


# --- what is deleted


def test_a_file_goes_when_its_calls_are_closed_and_its_records_stored(journal: Journal) -> None:
    opened(journal, *range(1, 13))
    *old, _ = files(journal)
    assert len(old) > 1
    for number in range(1, 13):
        segment = journal.close(a_record(number))
        assert segment is not None
    gone = [path.name for path in journal.finished()]
    assert gone[: len(old)] == old  # all that holds nothing but opened calls
    size = journal.total_bytes
    for one in list(journal._segments.values()):
        journal.stored(one, [skeleton(0).id] * one.pending)
    assert len(journal.finished()) > 1
    assert len(journal._segments) == 1  # the newest stays
    assert journal.total_bytes < size


def test_what_was_deleted_is_never_needed_again(journal: Journal) -> None:
    # Any order of closing and storing: whoever is not stored is always found in the files that are left.
    stored: set[Slug] = set()
    waiting: list[tuple[object, Slug]] = []
    for number in range(200):
        opened(journal, number)
        if number >= 7:
            record = a_record(number - (3 if number % 3 else 7))
            if record.id in journal._opened:
                waiting.append((journal.close(record), record.id))
        if number % 5 == 4:
            for segment, id in waiting:
                journal.stored(segment, [id])  # type: ignore[arg-type]
                stored.add(id)
            waiting.clear()
        for path in journal.finished():
            path.unlink()
    assert len(files(journal)) < 60
    found = left(journal)
    assert {skeleton(number).id for number in range(200)} <= stored | set(found)
    for _, id in waiting:
        assert found[id].outcome is Outcome.OK


def test_long_calls_do_not_pin_old_files(journal: Journal) -> None:
    opened(journal, 0)
    for number in range(1, 100):
        opened(journal, number)
        if number % 6:
            journal.stored(journal.close(a_record(number)), [a_record(number).id])
        for path in journal.finished():
            path.unlink()
    assert len(files(journal)) < 16
    assert journal.open_calls == 17
    assert {a_record(number).id for number in (0, 6, 96)} <= set(left(journal))


def test_with_everything_stored_the_folder_goes(journal: Journal) -> None:
    opened(journal, 1)
    journal.stored(journal.close(a_record(1)), [a_record(1).id])
    journal.stop()
    journal.stop()
    assert list(journal.directory.iterdir()) == []
    with pytest.raises(JournalError):
        journal.open(a_record(2).id, an_opening(2))
    assert journal.close(a_record(2)) is None


@pytest.mark.parametrize("close", [True, False])
def test_with_anything_left_the_folder_stays(journal: Journal, close: bool) -> None:
    opened(journal, 1)
    if close:
        journal.close(a_record(1))
    journal.stop()
    assert [record.id for record in replay.replay(journal.directory)] == [a_record(1).id]


def test_a_mark_finds_what_was_closed_behind_it(journal: Journal) -> None:
    opened(journal, *range(10))
    mark = journal.mark()
    assert journal.behind(mark) is None
    for number in range(10):
        journal.close(a_record(number))
    found: list[Record] = []
    while (part := journal.behind(mark)) is not None:
        segment, place, end = part
        records, place = replay.read(segment.path, place, end, 3)
        found += records
        mark = segment.number, place
    assert found == [a_record(number) for number in range(10)]


def test_a_file_that_somebody_cut_has_nothing_more_behind_the_cut(journal: Journal) -> None:
    journal.close(a_record(1))
    segment = journal._current
    os.truncate(segment.path, 10)
    assert replay.read(segment.path, 0, segment.size, 9) == ([], segment.size)


def test_a_number_of_more_than_64_bits_refuses_the_call(journal: Journal) -> None:
    with pytest.raises(JournalError):
        journal.open(a_record(1).id, an_opening(1, held_nanos=Nanos(1 << 64)))
    opened(journal, 1)


# --- a disk that is full, and one that fails


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "none", str(place)], capture_output=True
    )
    if done.returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_on_a_full_disk_opening_refuses_and_closing_still_fits(small_disk: Path) -> None:
    journal = Journal(small_disk / "journal", OWNER, reserve_bytes=40 << 10)
    number = fill(journal)
    assert number > 100
    assert journal.blocked
    with pytest.raises(JournalError):
        opened(journal, number)
    closed = [journal.close(a_record(one)) for one in range(60)]
    assert None not in closed
    assert not journal.retry()  # no room yet for the reserve
    rest = [journal.close(a_record(one)) for one in range(60, number)]
    kept = rest.count(None)
    assert kept > 0
    assert len(journal._unwritten) == kept
    assert journal.close(a_record(77_777)) is None  # a refused call has no claim on what is left
    (small_disk / "journal" / journal.folder.name / "000001.log").touch()
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    while not journal.retry():
        assert kept > 0
        kept -= journal_file.REWRITTEN
    assert not journal.blocked
    opened(journal, 50_000)
    found = left(journal)
    assert found[a_record(50_000).id].outcome is Outcome.INTERRUPTED
    assert {found[a_record(one).id].outcome for one in range(number)} == {Outcome.OK}
    assert found[a_record(77_777).id].outcome is Outcome.OK


def test_records_written_late_stay_until_they_are_stored(small_disk: Path) -> None:
    journal = Journal(small_disk / "journal", OWNER, reserve_bytes=4096, segment_bytes=8192)
    number = fill(journal)
    late = [a_record(one).id for one in range(number) if journal.close(a_record(one)) is None]
    journal.stored(None, late[:1])  # the store was quicker than the disk
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    while not journal.retry():
        assert journal._unwritten
    journal.stored(None, late[1:-1])
    journal.stored(None, [Slug("nobody")])
    assert late[-1] in left(journal)


def test_a_disk_that_is_full_at_the_start_is_said(small_disk: Path) -> None:
    (small_disk / "big").write_bytes(bytes(190 << 10))
    with pytest.raises(JournalError, match="No space left"):
        Journal(small_disk / "journal", OWNER)
    assert list(replay.dead(small_disk / "journal")) == []


LIMITED = """
import resource, signal, sys
from pathlib import Path
from gateway.ledger.journal import Journal, JournalError
from gateway.names import Slug
from tests.sample_records import a_record, an_opening
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(Path(sys.argv[1]), Slug("w"), reserve_bytes=4096)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
numbers = 0
try:
    while True:
        journal.open(a_record(numbers).id, an_opening(numbers))
        numbers += 1
except JournalError:
    pass
assert 10 < numbers < 150, numbers
assert all(journal.close(a_record(one)) is None for one in range(numbers))
assert any(journal.retry() for _ in range(3)) and not journal._unwritten  # a file holds half of them
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.open(a_record(9999).id, an_opening(9999))
print(numbers)
"""


def test_a_write_cut_short_leaves_no_half_line(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    (remains,) = replay.dead(tmp_path)
    found = list(remains.records())
    assert remains.damaged == 0
    assert len(found) == int(done.stdout) + 1
    remains.release()


def test_a_half_line_that_cannot_be_taken_back_spoils_no_other(journal: Journal) -> None:
    opened(journal, 1)
    written = os.write(journal._file, b"half a li")
    read_end, pipe = os.pipe()  # what cannot be cut
    file, journal._file = journal._file, pipe
    journal._take_back(journal._current, written)
    journal._file = file
    os.close(pipe)
    os.close(read_end)
    opened(journal, 2)
    assert set(left(journal)) >= {a_record(1).id, a_record(2).id}


def test_what_fails_once_is_tried_again_in_a_new_file(journal: Journal) -> None:
    assert journal.retry()  # nothing to do
    opened(journal, 1, 2)
    os.close(journal._file)
    journal._file = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(JournalError):
        opened(journal, 3)
    assert journal.close(a_record(1)) is None
    assert journal.open_calls == 2
    assert journal.retry()
    opened(journal, 3)
    journal.close(a_record(2))
    found = left(journal)
    assert [found[a_record(number).id].outcome for number in (1, 2, 3)] == [
        Outcome.OK,
        Outcome.OK,
        Outcome.INTERRUPTED,
    ]


def test_a_journal_past_its_limit_refuses_to_open_and_still_closes(tmp_path: Path) -> None:
    journal = Journal(tmp_path, OWNER, segment_bytes=6 * LINE, max_bytes=30 * LINE, reserve_bytes=4096)
    number = fill(journal)
    assert number < 31
    for one in range(number):
        assert journal.close(a_record(one)) is not None
    for segment in list(journal._segments.values()):
        segment.pending = 0
    journal.finished()
    opened(journal, 2000)
    journal._opened.clear()
    journal.stop()


def test_records_wait_in_memory_up_to_a_limit(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_file, "UNWRITTEN", 2)
    journal._blocked = True
    assert [journal.close(a_record(number)) for number in range(4)] == [None] * 4
    assert len(journal._unwritten) == 2
    journal._unwritten.clear()


# --- power


async def test_with_power_an_opened_call_is_synced_before_it_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path, OWNER, "power", segment_bytes=6 * LINE, reserve_bytes=4096)
    assert journal.power
    await journal.flushed()
    for number in range(20):
        opened(journal, number)
    await asyncio.gather(*(journal.flushed() for _ in range(50)))
    assert journal._synced == journal._writes == 20
    opened(journal, 21)
    first = asyncio.ensure_future(journal.flushed())
    await asyncio.sleep(0)
    opened(journal, 22)
    await asyncio.gather(first, journal.flushed())
    assert journal._synced == 22
    assert journal._retired == []
    journal.stop()


async def test_a_waiter_that_is_cancelled_does_not_disturb_the_others(tmp_path: Path) -> None:
    journal = Journal(tmp_path, OWNER, "power", reserve_bytes=4096)
    opened(journal, 1)
    first = asyncio.ensure_future(journal.flushed())
    second = asyncio.ensure_future(journal.flushed())
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()
    journal.stop()


async def test_a_failed_sync_refuses_the_call(tmp_path: Path) -> None:
    journal = Journal(tmp_path, OWNER, "power", reserve_bytes=4096)
    opened(journal, 1)
    os.close(journal._file)
    read_end, journal._file = os.pipe()  # what cannot be synced
    results = await asyncio.gather(journal.flushed(), journal.flushed(), return_exceptions=True)
    assert [type(one) for one in results] == [JournalError, JournalError]
    assert journal.blocked
    os.close(read_end)
    journal.stop()
    opened_before = journal._writes
    journal._writes += 1
    with pytest.raises(JournalError):
        await journal.flushed()
    assert opened_before == 1


async def test_a_failed_sync_says_nothing_of_what_was_written_after_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path, OWNER, "power", reserve_bytes=4096)
    opened(journal, 1)
    file = journal._file
    read_end, journal._file = os.pipe()
    first = asyncio.ensure_future(journal.flushed())
    await asyncio.sleep(0)
    os.close(journal._file)
    journal._file = file
    journal._blocked = False
    opened(journal, 2)
    second = asyncio.ensure_future(journal.flushed())
    assert [type(one) for one in await asyncio.gather(first, second, return_exceptions=True)] == [
        JournalError,
        type(None),
    ]
    os.close(read_end)
    journal.stop()


# --- kills

KILLED = """
import os, sys
from pathlib import Path
from gateway.ledger.journal import Journal
from gateway.names import Slug
from tests.sample_records import a_record, an_opening
journal = Journal(Path(sys.argv[1]), Slug("w"), segment_bytes=4000, reserve_bytes=4096)
number = 0
while True:
    number += 1
    journal.open(a_record(number).id, an_opening(number))
    os.write(1, b"o%d\\n" % number)
    if number > 3:
        journal.close(a_record(number - 3))
        os.write(1, b"c%d\\n" % (number - 3))
"""


def test_a_killed_process_leaves_every_call_it_had_opened(tmp_path: Path) -> None:
    for trial in range(5):
        folder = tmp_path / str(trial)
        with subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            said = b"".join(process.stdout.readline() for _ in range(50 + 37 * trial))
            process.send_signal(signal.SIGKILL)
            said += process.stdout.read()
        words = said.split()
        found = {record.id: record for record in replay.replay(folder)}
        for word in words:
            record = found[a_record(int(word[1:])).id]
            if word[:1] == b"c":
                assert record.outcome is Outcome.OK
        assert len(found) - sum(word[:1] == b"o" for word in words) in (0, 1)


def test_what_a_crash_leaves_of_a_folder_being_made_or_removed_goes_after_a_minute(tmp_path: Path) -> None:
    for name in (".new-worker-0-1", ".old-worker-0-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "000001.log").write_bytes(b"torn")
    assert list(replay.dead(tmp_path)) == []
    assert len(list(tmp_path.iterdir())) == 2  # somebody may be at work on them
    os.utime(tmp_path / ".new-worker-0-1", (1, 1))
    os.utime(tmp_path / ".old-worker-0-2", (1, 1))
    assert list(replay.dead(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []
