"""Many calls, streamed and whole: does memory grow, do descriptors or tasks stay, does the loop stall?

python tests/campaigns/soak.py [CALLS]

The gateway runs in a process of its own, with a probe in its loop that measures how late it wakes up.
Prints figures; exits with 1 when memory grows by more than 10 MB after the warm-up, when anything is
left open, or when a record is missing. How late the loop is depends on what else the machine does.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gateway import app, cli, flow
from gateway.config import Config
from gateway.privacy.calling import Door, send
from gateway.privacy.cases import Case
from tests.campaigns.judge import Verdict
from tests.campaigns.kill import await_quiet
from tests.campaigns.processes import Resources, Site
from tests.campaigns.traffic import End, Traffic
from tests.upstream import Upstream

MOST_BYTES: Final = 10 << 20
WARM: Final = 0.2
"""Part of the calls that warms up."""
TICK_S: Final = 0.005
BUCKET_S: Final = 0.0001
BUCKETS: Final = 20_000
SAMPLE_S: Final = 0.5
UNKNOWN: Final = 10_000
"""Names of models that nobody knows."""
MOST_NAMES: Final = 4096
"""What the catalogue remembers of them."""


# --- inside the gateway's process ------------------------------------------------------------------


async def probe(place: Path) -> None:
    """Measure how late the loop wakes up, and leave what was found in a file twice a second."""
    late = [0] * BUCKETS
    due_s = 0.0
    while True:
        began_s = time.perf_counter()
        await asyncio.sleep(TICK_S)
        ended_s = time.perf_counter()
        late[max(0, min(BUCKETS - 1, int((ended_s - began_s - TICK_S) / BUCKET_S)))] += 1
        if ended_s > due_s:
            due_s = ended_s + SAMPLE_S
            new = place.with_suffix(".new")
            found = {"tasks": len(asyncio.all_tasks()), "late_ms": quantiles(late), "maps": maps()}
            new.write_text(json.dumps(found))
            new.replace(place)


def quantiles(late: Sequence[int]) -> list[float]:
    """Median, p99, p99.9 and longest, in milliseconds."""
    total, seen, found = sum(late), 0, []
    wanted = [0.5, 0.99, 0.999, 1.0]
    for bucket, count in enumerate(late):
        seen += count
        while wanted and count and seen >= total * wanted[0]:
            found.append(round((bucket + 1) * BUCKET_S * 1000, 1))
            wanted.pop(0)
    return found


BUILT: Final[list[flow.Flow]] = []


def maps() -> dict[str, int]:
    """How many entries there are in what the newest flow remembers."""
    if not BUILT:
        return {}
    built: Any = BUILT[-1]
    health, policies = built.route._gate._health, built.route._policies
    return {
        "catalogue": len(built.catalogue._places),
        "targets": len(health._targets),
        "breakers": len(health._breakers),
        "hosts": len(health._hosts),
        "policies": len(policies._strikes) + len(policies._resting),
    }


def serve_probed(path: Path) -> int:
    """The gateway as its command starts it, with the probe beside it."""
    start, build = app.serve, flow.build

    def noted(config: Config, lasting: flow.Lasting) -> flow.Flow:
        BUILT[:] = [build(config, lasting)]
        return BUILT[0]

    flow.build = noted

    async def both(*arguments: Any) -> int:
        watching = asyncio.ensure_future(probe(path.with_name("probe.json")))
        try:
            return await start(*arguments)
        finally:
            watching.cancel()

    app.serve = both
    return cli.main(["serve", "--config", str(path)])


# --- outside ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Watch:
    """Samples of what the gateway's process holds, as calls go by."""

    site: Site
    traffic: Traffic
    upstream: Upstream
    calls: list[int] = field(default_factory=list)
    held: list[Resources] = field(default_factory=list)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SAMPLE_S)
            self.sample()
            self.upstream.requests.clear()

    def sample(self) -> None:
        """Now."""
        self.calls.append(sum(self.traffic.counts.values()))
        self.held.append(self.site.resources())

    def grown(self, warm_calls: int) -> tuple[int, float]:
        """Bytes since the warm-up, and bytes a thousand calls as a straight line through the samples."""
        points = [(n, one.rss_bytes) for n, one in zip(self.calls, self.held, strict=True) if n >= warm_calls]
        part = max(1, len(points) // 10)
        first = statistics.median(rss for _, rss in points[:part])
        last = statistics.median(rss for _, rss in points[-part:])
        many = len({n for n, _ in points}) > 1
        slope = statistics.linear_regression(*zip(*points, strict=True)).slope if many else 0.0
        return int(last - first), slope * 1000


def swift(dice: random.Random) -> str:
    """Answers without any delay."""
    return f"echo:tokens={dice.randint(1, 40)}"


async def ask_for_unknown(site: Site, count: int) -> None:
    """Calls of so many models that nobody knows, each by another name and in another session."""
    door = Door("127.0.0.1", site.port)
    for number in range(count):
        model = f"{('', 'chat/', 'claude/')[number % 3]}nobody-knows-{number}"
        body = orjson.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {site.key}\r\n"
            f"x-gateway-session: unknown-{number}\r\ncontent-type: application/json\r\n"
            f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        answer = await send(door, Case(name=model, sent=head.encode() + body))
        assert answer[9:12] in (b"402", b"404"), answer[:300]


async def campaign(
    folder: Path, calls: int, *, users: int = 24, seed: int = 1, unknown: int = UNKNOWN
) -> Verdict:
    """So many calls, and so many of models that nobody knows."""
    async with Upstream() as upstream:
        site = Site(folder, upstream.url, command=(__file__, "--serve"))
        try:
            site.start()
            await site.ready()
            traffic = Traffic(
                site.port, site.key, users=users, orders=swift, leaving=5, most=calls, seed=seed, keep=False
            )
            watch = Watch(site, traffic, upstream)
            watching = asyncio.ensure_future(watch.run())
            began_s, verdict = time.monotonic(), Verdict()
            asking = asyncio.ensure_future(ask_for_unknown(site, unknown))
            await traffic.run()
            await asking
            verdict.figures["calls a second"] = round(calls / (time.monotonic() - began_s))
            watching.cancel()
            await await_quiet(site, verdict)
            watch.sample()
            await asyncio.sleep(2 * SAMPLE_S)
            found = json.loads((folder / "probe.json").read_text())
            _judge(verdict, watch, found, calls)
            verdict.figures["seconds to end"] = round(await site.stop(), 2)
            _judge_records(verdict, site.database, traffic, calls, unknown)
            return verdict
        finally:
            site.clear()


def _judge(verdict: Verdict, watch: Watch, found: dict[str, Any], calls: int) -> None:
    grown, slope = watch.grown(int(calls * WARM))
    last = watch.held[-1]
    verdict.figures |= {str(end): count for end, count in watch.traffic.counts.items() if count}
    verdict.figures["memory at the end, in MB"] = round(last.rss_bytes / 2**20, 1)
    verdict.figures["grown since the warm-up, in KB"] = grown // 1024
    verdict.figures["slope, bytes a thousand calls"] = round(slope)
    verdict.figures["descriptors"] = f"{watch.held[0].descriptors} under load, {last.descriptors} after it"
    verdict.figures["threads"] = last.threads
    verdict.figures["entries remembered"] = ", ".join(
        f"{count} {name}" for name, count in found["maps"].items()
    )
    verdict.need(found["maps"]["catalogue"] <= MOST_NAMES, "the catalogue remembers too many names")
    others = sum(found["maps"].values()) - found["maps"]["catalogue"]
    verdict.need(others <= 30, f"health and policies remember {others} things")
    verdict.figures["tasks after it"] = found["tasks"]
    verdict.figures["ms the loop is late"] = dict(
        zip(("p50", "p99", "p99.9", "max"), found["late_ms"], strict=True)
    )
    verdict.need(grown <= MOST_BYTES, f"memory grew by {grown} bytes, {MOST_BYTES} are allowed")
    most = watch.held[0].descriptors + 5
    verdict.need(
        last.descriptors <= most, f"{last.descriptors} descriptors are open, at first {most - 5} were"
    )
    verdict.need(found["tasks"] < 30, f"{found['tasks']} tasks are left")
    bad = watch.traffic.counts[End.BROKEN] + watch.traffic.counts[End.REFUSED]
    verdict.need(not bad, f"{bad} calls failed")


def _judge_records(verdict: Verdict, database: Path, traffic: Traffic, calls: int, unknown: int) -> None:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        outcomes = dict(db.execute("select outcome, count(*) from records group by outcome"))
        [(names,)] = db.execute("select count(distinct model_requested) from records")
    verdict.need(names < 20, f"the records name {names} models")
    refused = outcomes.pop("refused", 0)
    verdict.need(refused == unknown, f"{refused} refused calls of {unknown}")
    verdict.figures["records"] = outcomes
    complete, left = traffic.counts[End.COMPLETE], traffic.counts[End.LEFT]
    counted = outcomes.get("ok", 0) >= complete and calls - left <= sum(outcomes.values()) <= calls
    verdict.need(counted, f"{complete} complete and {left} left calls have {outcomes} records")


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="many calls, and what they leave behind")
    parser.add_argument("calls", type=int, nargs="?", default=100_000)
    parser.add_argument("--users", type=int, default=24)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        return serve_probed(given.serve)
    with tempfile.TemporaryDirectory(prefix="campaign-") as temporary:
        verdict = asyncio.run(campaign(Path(temporary), given.calls, users=given.users))
    print(verdict)
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    sys.exit(main())
