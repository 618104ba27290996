"""The journal: one line when a call is about to be forwarded, one when it has ended.

Each is a single plain write before the call goes on, so the operating system has it whatever becomes
of this process; durability "power" adds a grouped fsync that is waited for before a call is sent.

Each process writes to a folder of its own, journal/OWNER-RANDOM/NNNNNN.log, and holds a lock in it
for as long as it lives; replay.py reads the folders whose lock is free. A file (segment) is needed
while a call that was opened in it has no closing line anywhere, or a closing line in it is not in the
store yet; then it is deleted. When long calls pin many files, their opening lines are written again
to the newest one, so that the journal stays small.

Disk full: opening refuses, so nothing is sent that could not be counted. Closing gives up a reserve
kept for it; if even that does not help, the record waits in memory and is written later, or goes
straight to the store. The journal itself is bounded too: past max_bytes, opening refuses.
"""

import asyncio
import fcntl
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from gateway.ledger import lines
from gateway.ledger.replay import LOCK, UNNAMED, remove
from gateway.names import Slug
from gateway.records import Opening, Record

Durability = Literal["process", "power"]

SEGMENT_BYTES: Final = 2 << 20
"""About 7,000 lines: what a killed process leaves at least is read in a third of a second."""
MAX_BYTES: Final = 1 << 30
RESERVE_BYTES: Final = 1 << 20
UNWRITTEN: Final = 10_000
"""Most records that wait in memory for the disk to have room."""
PINNED: Final = 4
"""More files than this, and the open calls of the oldest are written again."""
REWRITTEN: Final = 200
"""Most lines written again in one go: about a millisecond."""

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class JournalError(Exception):
    """Nothing can be written now: the disk is full or failing, or the store is too far behind."""


class Segment:
    """One file. pending counts the lines in it that are still needed."""

    __slots__ = ("number", "path", "pending", "size")

    def __init__(self, number: int, path: Path) -> None:
        self.number = number
        self.path = path
        self.pending = 0
        self.size = 0


class Journal:
    """The journal of this process. All methods belong to one thread, that of the event loop."""

    def __init__(
        self,
        directory: Path,
        owner: Slug,
        durability: Durability = "process",
        segment_bytes: int = SEGMENT_BYTES,
        max_bytes: int = MAX_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        """Make the folder and lock it.

        Raises:
            JournalError: it cannot be made; the text says why.
        """
        self.directory = directory
        self.power = durability == "power"
        self._segment_bytes = segment_bytes
        self._max_bytes = max_bytes
        self._reserve_bytes = reserve_bytes
        self._opened: dict[Slug, tuple[Segment, bytes]] = {}
        self._unwritten: dict[Slug, Record] = {}
        self._late: dict[Slug, Segment] = {}
        self._segments: dict[int, Segment] = {}
        self._file = self._lock = -1
        self._total = 0
        self._blocked = self._torn = False
        self._writes = self._synced = self._unsafe = 0
        self._retired: list[int] = []
        self._syncing: asyncio.Future[None] | None = None
        self.folder = directory / f"{owner.replace('/', '-')}-{secrets.token_hex(6)}"
        try:
            self._lock = _make_folder(self.folder)
            self._keep_reserve()
            self._rotate()
        except OSError as error:
            self.stop()
            raise JournalError(f"{directory}: the journal cannot be written ({error.strerror})") from None

    # --- the two lines of a call

    def open(self, id: Slug, opening: Opening) -> None:
        """Note that a call is about to be forwarded.

        Args:
            opening: what its record is made of if the process dies; it is then counted at held_nanos.

        Raises:
            JournalError: the call must not be forwarded.
        """
        if self.refuses:
            raise JournalError("the journal is full")
        try:
            line = lines.opened(opening)
            segment = self._append(line)
        except OSError:
            self._blocked = True
            raise JournalError("the journal cannot be written") from None
        except TypeError:
            raise JournalError("a number has more than 64 bits") from None
        if (before := self._opened.get(id)) is not None:  # asked again, with more held: the later line counts
            before[0].pending -= 1
        self._opened[id] = (segment, line)

    def close(self, record: Record) -> Segment | None:
        """Note how a call ended. A full or failing disk raises nothing.

        Returns:
            The file that holds the record, for stored(); None while only this process's memory does.

        Raises:
            orjson.JSONEncodeError: a number has more than 64 bits.
        """
        line = lines.write(lines.CLOSED, record)
        # Once space is short, what is left of it belongs to calls that were forwarded.
        if not self._blocked or record.id in self._opened:
            try:
                return self._closed(record.id, self._append(line))
            except OSError:
                self._blocked = True
            if self._give_reserve():
                with suppress(OSError):
                    return self._closed(record.id, self._append(line))
        if len(self._unwritten) < UNWRITTEN:
            self._unwritten[record.id] = record
        return None

    def stored(self, segment: Segment | None, ids: Sequence[Slug]) -> None:
        """The store has these records, for all of which close() returned this segment."""
        if segment is not None:
            segment.pending -= len(ids)
            return
        for id in ids:
            if (late := self._late.pop(id, None)) is not None:
                late.pending -= 1
            elif self._unwritten.pop(id, None) is not None and (opened := self._opened.pop(id, None)):
                opened[0].pending -= 1

    async def flushed(self) -> None:
        """Wait until all that was written is on the disk. One fsync serves all who wait.

        Raises:
            JournalError: the disk failed; what was written may be lost with the power.
        """
        goal = self._writes
        while self._synced < goal:
            if goal <= self._unsafe:
                raise JournalError("the disk failed")
            if self._syncing is None:
                self._sync()
            else:
                await asyncio.shield(self._syncing)

    # --- housekeeping, called by the writer

    @property
    def blocked(self) -> bool:
        """Whether opening is refused because a write failed."""
        return self._blocked

    @property
    def refuses(self) -> bool:
        """Whether opening is refused now: a write failed, or the store is too far behind."""
        return self._blocked or self._total >= self._max_bytes

    @property
    def total_bytes(self) -> int:
        """Size of all files."""
        return self._total

    @property
    def open_calls(self) -> int:
        """Calls opened and not closed."""
        return len(self._opened)

    def retry(self) -> bool:
        """After a failed write: try again what is missing; True when calls can be opened again."""
        if self._blocked:
            try:
                self._keep_reserve()
                self._rotate()
                for id in list(self._unwritten)[:REWRITTEN]:
                    line = lines.write(lines.LATE, self._unwritten[id])
                    self._late[id] = self._closed(id, self._append(line))
                    del self._unwritten[id]
            except OSError:
                return False
            self._blocked = bool(self._unwritten)
        return not self._blocked

    def finished(self) -> list[Path]:
        """Files that are no longer needed, forgotten here: delete them."""
        if len(self._segments) > PINNED:
            self._carry()
        done = [one for one in self._segments.values() if one.pending == 0 and one is not self._current]
        for segment in done:
            self._total -= segment.size
            del self._segments[segment.number]
        return [segment.path for segment in done]

    def mark(self) -> tuple[int, int]:
        """The end of the journal as it is now: number of the file, bytes in it."""
        return self._current.number, self._current.size

    def behind(self, mark: tuple[int, int]) -> tuple[Segment, int, int] | None:
        """The next file with anything behind a mark, and from where to where; None at the end."""
        for number in sorted(self._segments):
            segment = self._segments[number]
            place = mark[1] if number == mark[0] else 0
            if number >= mark[0] and place < segment.size:
                return segment, place, segment.size
        return None

    def stop(self) -> None:
        """Let go of the folder; with nothing left to replay, delete it."""
        if self._lock < 0:
            return
        self._blocked = True
        for file in (self._file, *self._retired):
            if file >= 0:
                os.close(file)
        self._file, self._retired = -1, []
        if not (self._opened or self._unwritten or any(one.pending for one in self._segments.values())):
            with suppress(OSError):
                remove(self.folder)
        os.close(self._lock)
        self._lock = -1

    # --- writing

    def _append(self, line: bytes) -> Segment:
        if self._current.size + len(line) > self._segment_bytes and self._current.size > self._head_bytes:
            with suppress(OSError):  # a file that grows too long does no harm
                self._rotate()
        segment = self._current
        if self._torn:  # the rest of a line could not be taken back: end it
            line = b"\n" + line
        written = os.write(self._file, line)
        self._writes += 1
        if written != len(line):
            self._take_back(segment, written)
            raise OSError("short write")
        self._torn = False
        segment.size += written
        segment.pending += 1
        self._total += written
        return segment

    def _take_back(self, segment: Segment, written: int) -> None:
        try:
            os.ftruncate(self._file, segment.size)
        except OSError:
            segment.size += written
            self._total += written
            self._torn = True

    def _closed(self, id: Slug, segment: Segment) -> Segment:
        if (opened := self._opened.pop(id, None)) is not None:
            opened[0].pending -= 1
        return segment

    def _rotate(self) -> None:
        number = max(self._segments, default=0) + 1
        segment = Segment(number, self.folder / f"{number:06}.log")
        head = lines.head()
        file = os.open(segment.path, _FLAGS, 0o600)
        try:
            if os.write(file, head) != len(head):
                raise OSError("short write")
        except OSError:
            os.close(file)
            segment.path.unlink()
            raise
        if self._file >= 0 and self.power and self._writes > self._synced:
            self._retired.append(self._file)
        elif self._file >= 0:
            os.close(self._file)
        segment.size = self._head_bytes = len(head)
        self._total += len(head)
        self._segments[number] = self._current = segment
        self._file = file
        self._torn = False

    def _carry(self) -> None:
        oldest = self._segments[min(self._segments)]
        pinned = [id for id, (segment, _) in self._opened.items() if segment is oldest]
        if oldest.pending > len(pinned) or self._blocked:
            return  # it also holds what the store does not have yet: nothing is gained
        with suppress(OSError):
            for id in pinned[:REWRITTEN]:
                line = self._opened[id][1]
                self._opened[id] = (self._append(line), line)
                oldest.pending -= 1

    def _keep_reserve(self) -> None:
        file = os.open(self.folder / "reserve", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, self._reserve_bytes)
        finally:
            os.close(file)

    def _give_reserve(self) -> bool:
        try:
            os.unlink(self.folder / "reserve")
        except OSError:
            return False
        return True

    def _sync(self) -> None:
        # Works on descriptors of its own, so that nothing here can close them under the thread.
        try:
            files, self._retired = [*self._retired, os.dup(self._file)], []
        except OSError:
            self._synced_to(self._writes, safe=False)
            return
        loop = asyncio.get_running_loop()
        self._syncing = loop.create_future()
        work = loop.run_in_executor(None, _sync_all, files, self.folder)
        writes = self._writes
        work.add_done_callback(
            lambda work: self._synced_to(writes, safe=not work.cancelled() and work.exception() is None)
        )

    def _synced_to(self, writes: int, safe: bool) -> None:
        if safe:
            self._synced = writes
        else:
            self._unsafe = writes
            self._blocked = True
        if self._syncing is not None:
            self._syncing.set_result(None)
            self._syncing = None


def _make_folder(folder: Path) -> int:
    # Locked before it gets its name, so that nobody takes it for the folder of a dead process.
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = folder.with_name(UNNAMED + folder.name)
    new.mkdir(mode=0o700)
    lock = os.open(new / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    new.rename(folder)
    return lock


def _sync_all(files: Sequence[int], folder: Path) -> None:
    try:
        for file in files:
            os.fdatasync(file)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    finally:
        for file in files:
            os.close(file)
