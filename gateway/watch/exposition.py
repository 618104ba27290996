"""Counters of several processes on one page: each leaves its own in a folder, one is scraped.

Each process has a file of its own, and a lock beside it for as long as it lives. What a process that
has ended left behind stays on the page, so that no counter goes back, but without its gauges: nothing
is under way there any more. The next process to start takes such files over.
"""

import asyncio
import fcntl
import os
import secrets
from pathlib import Path
from typing import Final

from gateway import log
from gateway.watch import metrics
from gateway.watch.metrics import HELP, Metrics, Series

_FILES: Final = "worker-*.json"


class Exposition:
    """This process's place in the folder of counters.

    Args:
        worker: number of this process, for whoever looks at the folder.
    """

    def __init__(self, folder: Path, worker: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._own = folder / f"worker-{worker}-{secrets.token_hex(4)}.json"
        # Nobody looks for a lock by the name it has until it is locked.
        new = self._own.with_suffix(".new-lock")
        self._lock = _lock(new)
        new.replace(_lock_of(self._own))

    def before(self) -> Series:
        """The counters of processes that have ended: they are this one's from now on."""
        claimed = [(path, lock) for path in self._others() if (lock := _claim(path)) >= 0]
        total = metrics.merge(_counters(_read(path)) for path, _ in claimed)
        if claimed:
            self.leave(total)
        for path, lock in claimed:
            path.unlink(missing_ok=True)
            _lock_of(path).unlink(missing_ok=True)
            os.close(lock)
        self._forget_silent()
        return total

    def _forget_silent(self) -> None:
        # Locks of processes that were killed before they left anything.
        for path in self._folder.glob("worker-*.lock"):
            own = path.with_suffix(".json")
            if not own.exists() and own != self._own and (lock := _claim(own)) >= 0:
                own.with_suffix(".new").unlink(missing_ok=True)
                path.unlink(missing_ok=True)
                os.close(lock)

    def leave(self, series: Series) -> None:
        """Leave the counters of this process."""
        new = self._own.with_suffix(".new")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(metrics.pack(series))
        new.replace(self._own)

    def page(self, own: Metrics) -> str:
        """The page of all processes."""
        total = metrics.merge([own.series(), *map(_of_other, self._others())])
        return metrics.render(total, {name: text for name, (text, _) in own.gauges.items()})

    async def run(self, own: Metrics, interval_s: float) -> None:
        """Leave the counters every now and then, until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await asyncio.to_thread(self.leave, own.series())
            except OSError as error:
                log.fact("metrics.failed", log.Level.WARNING, error=log.kind(error))

    def close(self, series: Series | None) -> None:
        """Leave the last counters, and let others take them over. A disk that fails costs the last ones.

        Args:
            series: None leaves what was left before.
        """
        if self._lock < 0:
            return
        try:
            if series is not None:
                self.leave(series)
        except OSError as error:
            log.fact("metrics.failed", log.Level.WARNING, error=log.kind(error))
        os.close(self._lock)
        self._lock = -1

    def _others(self) -> list[Path]:
        return [path for path in sorted(self._folder.glob(_FILES)) if path != self._own]


def _of_other(path: Path) -> Series:
    series = _read(path)
    lock = _claim(path)
    if lock < 0:
        return series
    os.close(lock)
    return _counters(series)


def _counters(series: Series) -> Series:
    return {
        key: value for key, value in series.items() if key[0] in HELP or key[0].rpartition("_")[0] in HELP
    }


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return -1
    return handle


def _claim(path: Path) -> int:
    """The lock of a process that has ended; -1 while it lives, or while another looks."""
    try:
        return _lock(_lock_of(path))
    except OSError:
        return -1


def _read(path: Path) -> Series:
    try:
        return metrics.unpack(path.read_bytes())
    except (OSError, ValueError):
        return {}
