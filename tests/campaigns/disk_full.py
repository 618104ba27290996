"""The disk fills up under load, and is emptied again: is anything lost, corrupt, or sent without a record?

python tests/campaigns/disk_full.py --rounds 5 --full-s 5 [--kill]

As root the store and the journal are on a small memory disk of their own, which is filled to the last
byte. Otherwise the processes may not make any file larger (RLIMIT_FSIZE), which fails in the same places.
With --kill the gateway is killed while the disk is full, and started once there is room.
Exits with 1 when anything is wrong.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.campaigns.judge import Verdict, judge, names
from tests.campaigns.kill import await_quiet
from tests.campaigns.processes import Site
from tests.campaigns.traffic import End, Traffic, settle
from tests.upstream import Upstream

DISK_MB: Final = 16
PAGE: Final = 4096


class Disk(Protocol):
    """Where the store and the journal are."""

    def fill(self, site: Site) -> None:
        """From now on nothing can be written."""
        ...

    def empty(self, site: Site) -> None:
        """There is room again."""
        ...


class MemoryDisk:
    """A tmpfs."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self, site: Site) -> None:
        """To the last byte."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, PAGE, 1):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def empty(self, site: Site) -> None:
        """All but what the gateway wrote."""
        self._ballast.unlink()


class Quota:
    """Limits on the sizes of files."""

    def fill(self, site: Site) -> None:
        """No file may grow."""
        self._limit(site, 0)

    def empty(self, site: Site) -> None:
        """As before."""
        self._limit(site, resource.RLIM_INFINITY)

    def _limit(self, site: Site, size: int) -> None:
        for pid in site.serving():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def memory_disk(folder: Path, megabytes: int = DISK_MB) -> Iterator[Path | None]:
    """A mounted tmpfs; None where that is not allowed."""
    place = folder / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)],
        check=False,
        capture_output=True,
    ) if os.geteuid() == 0 else None  # fmt: skip
    if done is None or done.returncode != 0:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


async def campaign(
    folder: Path, rounds: int, full_s: float, *, users: int = 16, seed: int = 1, kill: bool = False,
    quota: bool = False,
) -> Verdict:  # fmt: skip
    """Fill and empty so many times, then compare clients, provider and store."""
    with memory_disk(folder) as place:
        disk: Disk = Quota() if place is None or quota else MemoryDisk(place)
        async with Upstream() as upstream:
            data = None if isinstance(disk, Quota) else place
            site = Site(folder / "site", upstream.url, data=data, records='interval = "20ms"')
            try:
                site.start()
                await site.ready()
                return await _rounds(site, disk, upstream, rounds, full_s, users, seed, kill)
            finally:
                site.clear()


async def _rounds(
    site: Site, disk: Disk, upstream: Upstream, rounds: int, full_s: float, users: int, seed: int, kill: bool
) -> Verdict:
    verdict = Verdict()
    traffic = Traffic(site.port, site.key, users=users, seed=seed)
    run = asyncio.ensure_future(traffic.run())
    refused: Counter[int] = Counter()
    back_s = []
    for _ in range(rounds):
        await asyncio.sleep(min(1.0, full_s))
        mark = len(traffic.notes)
        disk.fill(site)
        await asyncio.sleep(full_s)
        while_full = traffic.notes[mark + users :]
        refused.update(note.status for note in while_full if note.end is End.REFUSED)
        good = sum(note.end is End.COMPLETE for note in while_full[len(while_full) // 2 :])
        verdict.need(site.alive, "the gateway ended when the disk was full")
        verdict.need(
            bool(refused[503] or good), "calls were neither served nor refused while the disk was full"
        )
        if kill:
            site.kill()
        disk.empty(site)
        if kill:
            site.start()
        back_s.append(await site.ready())
    await asyncio.sleep(min(1.0, full_s))
    last = traffic.notes[-users * 2 : -users]
    verdict.need(any(note.end is End.COMPLETE for note in last), "no calls were served after there was room")
    await settle(traffic, run)
    await await_quiet(site, verdict)
    verdict.figures["seconds to end"] = round(await site.stop(), 2)
    received = names(one.body for one in upstream.requests)
    # A quota leaves no room at all, not even what the journal keeps in reserve.
    found = judge(site.database, traffic.notes, received, forgiving=kill and isinstance(disk, Quota))
    verdict.findings += found.findings
    verdict.figures |= found.figures
    verdict.figures["disk"] = type(disk).__name__
    verdict.figures["refused while full"] = dict(refused)
    verdict.figures["seconds until served again"] = f"longest {max(back_s):.2f}"
    verdict.need(set(refused) <= {503}, f"refused with {dict(refused)}")
    return verdict


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="fill the disk under load, and compare what everybody knows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--full-s", type=float, default=5.0)
    parser.add_argument("--users", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument(
        "--quota", action="store_true", help="limit sizes of files even where tmpfs is possible"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="campaign-") as temporary:
        verdict = asyncio.run(
            campaign(
                Path(temporary), given.rounds, given.full_s, users=given.users, seed=given.seed,
                kill=given.kill, quota=given.quota,
            )
        )  # fmt: skip
    print(verdict)
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    sys.exit(main())
