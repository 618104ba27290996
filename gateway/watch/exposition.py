"""Counters of several processes on one page: each leaves its own in a folder, one is scraped."""

import asyncio
import os
from pathlib import Path

from gateway import log
from gateway.watch import metrics
from gateway.watch.metrics import Metrics, Series


class Exposition:
    """This process's place in the folder of counters.

    Args:
        worker: number of this process; it takes over the counters of the one before with this number.
    """

    def __init__(self, folder: Path, worker: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._own = folder / f"worker-{worker}.json"

    def before(self) -> Series:
        """The counters that a process with this number left behind."""
        return _read(self._own)

    def leave(self, series: Series) -> None:
        """Leave the counters of this process."""
        new = self._own.with_suffix(".new")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(metrics.pack(series))
        new.replace(self._own)

    def page(self, own: Metrics) -> str:
        """The page of all processes."""
        others = [_read(path) for path in sorted(self._folder.glob("worker-*.json")) if path != self._own]
        total = metrics.merge([own.series(), *others])
        return metrics.render(total, {name: text for name, (text, _) in own.gauges.items()})

    async def run(self, own: Metrics, interval_s: float) -> None:
        """Leave the counters every now and then, until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await asyncio.to_thread(self.leave, own.series())
            except OSError as error:
                log.fact("metrics.failed", log.Level.WARNING, error=log.kind(error))


def _read(path: Path) -> Series:
    try:
        return metrics.unpack(path.read_bytes())
    except (OSError, ValueError):
        return {}
