"""What is left in the journals of processes that have ended.

A process that lives holds a lock on its journal's folder, so whoever gets the lock knows that the
owner is gone, and that no second reader replays the same folder. Calls that were closed come back as
their records. Calls that were opened and never closed come back as interrupted, counted at what was
held for them: that is the most they can have cost, so a cap is never passed by what a crash hid.
Replaying twice is harmless: the store takes each id once.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gateway.clock import SystemClock
from gateway.ledger import lines
from gateway.names import Slug
from gateway.records import NAMES, OPENING_NAMES, Outcome, Record
from gateway.usage import Source

LOCK: Final = "lock"
UNNAMED: Final = ".new-"
"""How the name of a folder begins until its owner has locked it."""
REMOVED: Final = ".old-"
"""How the name of a folder begins from when it is not needed until it is gone."""
LEFT_US: Final = 60 * 10**6
"""A folder with such a name that has not changed for so long was left by a crash."""
PATTERN: Final = "*.log"
PAGE: Final = 500


class Remains:
    """The journal of a process that has ended, locked for this process alone until it is let go.

    Attributes:
        damaged: lines that were torn or spoilt, as far as records() has read. One torn line at a
            file's end is what a crash leaves and costs nothing: its call had not gone on.
        interrupted: calls that were opened and never closed.
    """

    def __init__(self, folder: Path, lock: int) -> None:
        self._folder = folder
        self._lock = lock
        self.damaged = 0
        self.interrupted = 0

    def records(self) -> Iterator[Record]:
        """Every record, closed ones first. Memory holds only what was opened and not closed.

        Raises:
            OSError: a file cannot be read.
        """
        self.damaged = self.interrupted = 0
        opened: dict[Any, tuple[Sequence[Any], Sequence[str]]] = {}
        for path in sorted(self._folder.glob(PATTERN)):
            names: Sequence[str] = NAMES
            begun: Sequence[str] = OPENING_NAMES
            for kind, values in self._lines(path):
                if kind == lines.HEAD:
                    names = tuple(values)
                elif kind == lines.BEGUN_HEAD:
                    begun = tuple(values)
                elif kind == lines.BEGUN:
                    opened[_id(values, begun)] = (values, begun)
                elif kind == lines.OPENED:
                    opened[_id(values, names)] = (values, names)
                elif (record := self._record(values, names)) is not None:
                    opened.pop(record.id, None)
                    yield record
        for kept, layout in opened.values():
            if (record := self._record(kept, layout)) is not None:
                self.interrupted += 1
                yield interrupted(record)

    def pages(self, size: int = PAGE) -> Iterator[list[Record]]:
        """The records, in lists of at most size."""
        page: list[Record] = []
        for record in self.records():
            page.append(record)
            if len(page) == size:
                yield page
                page = []
        if page:
            yield page

    def remove(self) -> None:
        """The store has it all: delete the folder and let go.

        Raises:
            OSError: it cannot be deleted. It is then replayed again, which is harmless.
        """
        try:
            remove(self._folder)
        finally:
            self.release()

    def release(self) -> None:
        """Let go, and leave the folder to whoever comes next."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _lines(self, path: Path) -> Iterator[tuple[bytes, list[Any]]]:
        with path.open("rb") as file:
            while line := file.readline(lines.MAX_BYTES):
                try:
                    yield lines.split(line)
                except lines.DamagedLineError:
                    self.damaged += 1

    def _record(self, values: Sequence[Any], names: Sequence[str]) -> Record | None:
        try:
            return lines.record(values, names)
        except lines.DamagedLineError:
            self.damaged += 1
            return None


def interrupted(opened: Record) -> Record:
    """The record of a call whose process died: it cost what was held; no price known stays unknown."""
    known = opened.priced and opened.price_version is not None
    cost = opened.held_nanos if known else None
    return replace(
        opened,
        outcome=Outcome.INTERRUPTED,
        usage_source=Source.ESTIMATED,
        cost_nanos=cost,
        priced=known,
    )


def dead(directory: Path) -> Iterator[Remains]:
    """The journals in a directory whose owners have ended, each locked as its turn comes.

    Raises:
        OSError: the directory cannot be read.
    """
    if directory.is_dir():
        for folder in sorted(directory.iterdir()):
            if folder.name.startswith("."):
                _clear(folder)
            elif (remains := claim(folder)) is not None:
                yield remains


def remove(folder: Path) -> None:
    """Delete a journal that is not needed. What a crash in the midst leaves is taken for none.

    Raises:
        OSError: it cannot be deleted.
    """
    gone = folder.with_name(REMOVED + folder.name)
    folder.rename(gone)
    shutil.rmtree(gone)


def _clear(folder: Path) -> None:
    with suppress(OSError):
        if SystemClock().now_us() - folder.stat().st_mtime_ns // 1000 > LEFT_US:
            shutil.rmtree(folder)


def read(path: Path, place: int, end: int, most: int) -> tuple[list[Record], int]:
    """Closed records of a live journal's file between two places; and the place behind them.

    Raises:
        OSError: the file cannot be read.
    """
    records: list[Record] = []
    with path.open("rb") as file:
        file.seek(place)
        while place < end and len(records) < most:
            line = file.readline(lines.MAX_BYTES)
            if not line:  # somebody cut the file
                return records, end
            place += len(line)
            with suppress(lines.DamagedLineError):
                kind, values = lines.split(line)
                if kind == lines.CLOSED:
                    records.append(lines.record(values))
    return records, place


def claim(folder: Path) -> Remains | None:
    """The journal in a folder; None while its owner, or another reader, holds it."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # no journal, or removed just now
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(folder / LOCK).st_ino == os.fstat(lock).st_ino:
            return Remains(folder, lock)
    except OSError:
        pass
    os.close(lock)
    return None


def replay(directory: Path) -> list[Record]:
    """All records of all ended processes, at once and without removing anything: to look at.

    Raises:
        OSError: a file cannot be read.
    """
    found: list[Record] = []
    for remains in dead(directory):
        try:
            found += remains.records()
        finally:
            remains.release()
    return found


def _id(values: Sequence[Any], names: Sequence[str]) -> Slug | None:
    place = names.index("id") if "id" in names else 0
    return values[place] if place < len(values) and isinstance(values[place], str) else None
