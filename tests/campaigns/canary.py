"""The canary suite at length: so many calls as asked for, against a real process, then one search.

    python -m tests.campaigns.canary 100000 [--workers 2]

100,000 calls is what a release needs. Every kind of case comes round again and again; after every tenth
part one process is killed and started again. Exit code 1 on any hit. About 400 calls a second.
"""

import argparse
import asyncio
import signal
import sys
import time
from itertools import chain, islice, repeat
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.end_to_end.proof import Proof, told

PARTS = 10


async def main(count: int, workers: int, folder: Path) -> int:
    """Call, kill, start again, search."""
    began = time.monotonic()
    async with Proof(folder, workers=workers) as proof:
        made = chain.from_iterable(proof.cases.all() for _ in repeat(None))  # a part goes on where one ended
        for part in range(PARTS):
            await proof.calls.run(proof.door, islice(made, -(-count // PARTS)), at_once=16)
            if workers == 1:
                await proof.stop(signal.SIGKILL)
                await proof.start()
            sys.stdout.write(f"{part + 1}/{PARTS}  {proof.calls.outcomes.total():,} calls\n")
            sys.stdout.flush()
        proof.calls.heads = list(dict.fromkeys(proof.calls.heads))
        await proof.settle()
        search = await proof.search()
        search.data("export", await proof.command("export"))
    outcomes = ", ".join(f"{number} {name}" for name, number in sorted(proof.calls.outcomes.items()))
    sys.stdout.write(f"{outcomes}\n{len(search.places)} places, {search.size:,} bytes searched\n")
    sys.stdout.write(f"{len(search.hits)} hits in {time.monotonic() - began:.0f} s{told(search.hits)}\n")
    return 0 if search.clean else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="many canary calls, then a search")
    parser.add_argument("count", type=int, nargs="?", default=100_000)
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    with TemporaryDirectory() as made:
        sys.exit(asyncio.run(main(chosen.count, chosen.workers, Path(made))))
