"""Another process holds the database's write lock for a minute: do calls go on, and is all stored afterwards?

python tests/campaigns/locked.py --lock-s 60 [--queue 1000] [--kill]

With a small --queue records wait in the journal alone, beside the queue. With --kill the gateway is
killed while the database is locked, and started when it is free again. Exits with 1 when anything is
lost or wrong, when calls fail or take much longer, or when memory grows by more than the records
that wait can explain.
"""

import argparse
import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.campaigns.judge import Verdict, judge, names
from tests.campaigns.kill import await_quiet
from tests.campaigns.processes import Site
from tests.campaigns.traffic import End, Note, Traffic, settle
from tests.upstream import Upstream

RECORD_BYTES: Final = 4 << 10
"""Most that one waiting record may take of memory."""
MARGIN_BYTES: Final = 8 << 20

HOLDER: Final = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
db.execute("begin immediate")
print("held", flush=True)
sys.stdin.read()
"""


class Lock:
    """The write lock of a database, held by a process of its own."""

    def __init__(self, database: Path) -> None:
        self._database = database

    async def __aenter__(self) -> "Lock":
        self._holder = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            HOLDER,
            str(self._database),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert await self._holder.stdout.readline() == b"held\n"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        await self._holder.wait()


async def campaign(
    folder: Path, lock_s: float, *, users: int = 16, seed: int = 1, queue: int = 100_000, kill: bool = False
) -> Verdict:
    """Lock the database for so long, then compare clients, provider and store."""
    async with Upstream() as upstream:
        site = Site(folder, upstream.url, records=f'interval = "20ms"\nqueue = {queue}')
        try:
            site.start()
            await site.ready()
            traffic = Traffic(site.port, site.key, users=users, seed=seed)
            run = asyncio.ensure_future(traffic.run())
            verdict = Verdict()
            await asyncio.sleep(max(0.5, min(5.0, lock_s / 6)))
            before, began_s = site.resources(), time.monotonic()
            async with Lock(site.database):
                await asyncio.sleep(lock_s)
                waiting = (await site.gauges())["gateway_records_waiting"]
                after, end_s = site.resources(), time.monotonic()
                stored = _stored(site.database)
                if kill:
                    site.kill()
            if kill:
                site.start()
                await site.ready()
            await asyncio.sleep(0.5)
            await settle(traffic, run)
            await await_quiet(site, verdict)
            verdict.figures["seconds to end"] = round(await site.stop(), 2)
            found = judge(site.database, traffic.notes, names(one.body for one in upstream.requests))
            verdict.findings += found.findings
            verdict.figures |= found.figures
            verdict.figures["stored while locked"] = stored
            _judge_calls(verdict, traffic.notes, began_s, end_s)
            grown = after.rss_bytes - before.rss_bytes
            verdict.figures["waiting at the end of the lock"] = int(waiting)
            verdict.figures["memory grown, in KB"] = grown // 1024
            bound = MARGIN_BYTES + int(min(waiting, queue)) * RECORD_BYTES
            verdict.need(grown < bound, f"memory grew by {grown} bytes, {bound} are allowed")
            return verdict
        finally:
            site.clear()


def _stored(database: Path) -> int:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        return int(db.execute("select count(*) from records").fetchone()[0])


def _judge_calls(verdict: Verdict, notes: list[Note], began_s: float, end_s: float) -> None:
    before = [note for note in notes if note.ended_s < began_s]
    during = [note for note in notes if began_s <= note.ended_s < end_s]
    bad = [note for note in during if note.end in (End.BROKEN, End.REFUSED)]
    verdict.need(not bad, f"{len(bad)} calls failed while the database was locked")
    for name, notes in (("before", before), ("while locked", during)):
        took = sorted(note.ended_s - note.began_s for note in notes if note.end is End.COMPLETE)
        verdict.need(len(took) > 1, f"no calls {name}")
        if len(took) > 1:
            text = (
                f"median {statistics.median(took) * 1000:.0f}, p99 {took[len(took) * 99 // 100] * 1000:.0f}"
            )
            verdict.figures[f"milliseconds {name}"] = f"{text}, of {len(took)} calls"


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="lock the database under load")
    parser.add_argument("--lock-s", type=float, default=60.0)
    parser.add_argument("--users", type=int, default=16)
    parser.add_argument("--queue", type=int, default=100_000)
    parser.add_argument("--kill", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="campaign-") as temporary:
        verdict = asyncio.run(
            campaign(
                Path(temporary), given.lock_s, users=given.users, queue=given.queue, kill=given.kill
            )
        )  # fmt: skip
    print(verdict)
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    sys.exit(main())
