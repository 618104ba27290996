"""What Tollgate costs beside a bare pass-through, nginx and LiteLLM: `python bench/overhead.py [--quick]`.

All contenders run side by side and are measured in turn, round after round; what is shown is the
median of the rounds. The proxy has one core, load and mock the other. Every call made to Tollgate
must be in its store at the end, or the result is not valid. docs/performance.md explains the figures.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import contenders
import machine
from contenders import Contender

Figures = dict[str, float]
PATH = "/v1/chat/completions"
SHOWN = {
    "calls_per_s": "calls/s",
    "call_us": "core µs per call",
    "calls_per_core_s": "calls per core second",
    "streams_per_s": "streams/s (20 chunks)",
    "stream_us": "core µs per stream",
    "streams_per_core_s": "streams per core second",
    "latency_p50_us": "call at a given rate, p50 µs",
    "latency_p99_us": "call at a given rate, p99 µs",
    "first_p50_us": "time to first byte, p50 µs",
    "first_p99_us": "time to first byte, p99 µs",
    "chunk_p50_us": "streamed chunk, p50 µs",
    "chunk_p99_us": "streamed chunk, p99 µs",
    "beside_p50_us": "small call beside 1 MB prompts, p50 µs",
    "beside_p99_us": "small call beside 1 MB prompts, p99 µs",
    "large_per_s": "1 MB prompts/s meanwhile",
    "open_stream_kb": "KB per open stream",
    "rest_mb": "MB at rest",
    "start_s": "start to ready, s",
}
ADDED = ("latency_p50_us", "latency_p99_us", "first_p50_us", "first_p99_us", "chunk_p50_us", "chunk_p99_us")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how much is measured. connections: of the closed loop; rate: calls a second."""

    rounds: int = 7
    seconds: float = 3.0
    latency_s: float = 8.0
    rate: int = 200
    connections: int = 64
    open_streams: int = 1000
    starts: int = 5


@dataclass(slots=True)
class Bench:
    """One run: the programs, and what was counted."""

    plan: Plan
    folder: Path
    loadgen: Path
    begun: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    rounds: dict[str, list[Figures]] = field(default_factory=dict)

    def command(self, one: Contender, body: str, seconds: float, connections: int, *more: str) -> list[str]:
        """The load generator's command line."""
        words = ["-p", str(one.port), "-P", PATH, "-b", str(self.folder / f"{body}.json")]
        words += ["-H", f"Authorization: Bearer {one.key}", "-c", str(connections), "-d", str(seconds)]
        return machine.pinned([str(self.loadgen), *words, *more], False)

    def load(self, one: Contender, body: str, seconds: float, connections: int, *more: str) -> dict[str, Any]:
        """Load a contender, and count."""
        command = self.command(one, body, seconds, connections, *more)
        return self.count(one, subprocess.run(command, check=True, capture_output=True).stdout)

    def count(self, one: Contender, printed: bytes) -> dict[str, Any]:
        """What the load generator printed; its calls are added to the books."""
        found: dict[str, Any] = json.loads(printed)
        bad = found["failed"] + found["unfinished"]
        if bad:
            print(f"  {one.name}: {bad} of {found['begun']} calls failed", file=sys.stderr)
        if one.folder is not None:
            self.begun[one.name] = self.begun.get(one.name, 0) + found["begun"]
            self.failed += bad
        return found

    def throughput(self, one: Contender, body: str, name: str) -> Figures:
        """Calls or streams a second in a closed loop, and the core's time for each."""
        before = machine.cpu_s(one.pid) if one.pid else 0.0
        found = self.load(one, body, self.plan.seconds, self.plan.connections)
        figures = {f"{name}s_per_s": found["done"] / found["seconds"]}
        if one.pid and found["done"]:
            each_us = (machine.cpu_s(one.pid) - before) / found["done"] * 1e6
            figures |= {f"{name}_us": each_us, f"{name}s_per_core_s": 1e6 / max(each_us, 0.1)}
        return figures

    def latency(self, one: Contender) -> Figures:
        """Small calls at a steady rate."""
        times = self.load(one, "small", self.plan.latency_s, 64, "-r", str(self.plan.rate))["call"]
        return {"latency_p50_us": times["p50"], "latency_p99_us": times["p99"]}

    def chunks(self, one: Contender) -> Figures:
        """Eight streams of one chunk each 5 ms."""
        found = self.load(one, "slow", self.plan.latency_s / 2, 8)
        return {f"{what}_{at}_us": found[what][at] for what in ("first", "chunk") for at in ("p50", "p99")}

    def beside(self, one: Contender) -> Figures:
        """Small calls at half the rate, while one prompt of 1 MB follows the other."""
        seconds = self.plan.latency_s / 2
        large = subprocess.Popen(self.command(one, "large", seconds, 1), stdout=subprocess.PIPE)
        small = self.load(one, "small", seconds, 64, "-r", str(self.plan.rate // 2))["call"]
        heavy = self.count(one, large.communicate()[0])
        rate = heavy["done"] / heavy["seconds"]
        return {"beside_p50_us": small["p50"], "beside_p99_us": small["p99"], "large_per_s": rate}

    def open_streams(self, one: Contender) -> Figures:
        """Memory of each of many streams that are open at the same time."""
        streams = self.plan.open_streams
        self.load(one, "stream", 0.5, 64)
        before, highest = machine.resident_kb(one.pid), 0
        done = threading.Event()

        def watch() -> None:
            nonlocal highest
            while not done.wait(0.2):
                highest = max(highest, machine.resident_kb(one.pid))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            self.load(one, "open", 30, streams, "-n", str(streams))
        finally:
            done.set()
            thread.join()
        return {"open_stream_kb": max(0, highest - before) / streams}

    def note(self, one: Contender, figures: Figures) -> None:
        """Keep what was measured."""
        self.rounds.setdefault(one.name, []).append(figures)


def measure(bench: Bench, field_of: list[Contender]) -> None:
    """All rounds over all contenders, then what is measured once."""
    steps: list[Callable[[Contender], Figures]] = [
        lambda one: bench.throughput(one, "small", "call"),
        lambda one: bench.throughput(one, "stream", "stream"),
        bench.latency,
        bench.chunks,
        bench.beside,
    ]
    for one in field_of:
        bench.load(one, "small", min(1.0, bench.plan.seconds), bench.plan.connections)  # warm
    for number in range(bench.plan.rounds):
        print(f"round {number + 1} of {bench.plan.rounds}, load {os.getloadavg()[0]:.1f}", flush=True)
        for step in steps:
            for one in field_of:
                bench.note(one, step(one))
    for one in field_of:
        if one.pid:
            bench.note(one, bench.open_streams(one))


def idle(bench: Bench) -> Figures:
    """Tollgate with nothing configured: how soon it is ready, and its memory then."""
    ready, memory = [], []
    for number in range(bench.plan.starts):
        one, took_s = contenders.start_tollgate(bench.folder / f"idle-{number}", None)
        time.sleep(0.3)
        memory.append(machine.resident_kb(one.pid) / 1024)
        one.stop()
        ready.append(took_s)
    return {"start_s": median(ready), "rest_mb": median(memory)}


def medians(rounds: dict[str, list[Figures]]) -> dict[str, Figures]:
    """The median of each figure over the rounds in which it was measured."""
    found: dict[str, Figures] = {}
    for name, measured in rounds.items():
        keys = {key for figures in measured for key in figures}
        found[name] = {
            key: median([figures[key] for figures in measured if key in figures]) for key in sorted(keys)
        }
    for name in found:
        for key in ADDED if name != "direct" else ():
            found[name][f"added_{key}"] = found[name][key] - found["direct"][key]
    return found


def table(found: dict[str, Figures]) -> str:
    """The medians as a table in Markdown."""
    names = list(found)
    rows = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    shown = dict(SHOWN)
    shown |= {f"added_{key}": f"added: {SHOWN[key]}" for key in ADDED}
    for key, title in shown.items():
        cells = [_number(found[name].get(key)) for name in names]
        if any(cells):
            rows.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def all_stored(bench: Bench, tollgate: Contender) -> bool:
    """Stop a Tollgate, and compare the calls that were made with the records in its store."""
    due, begun = time.monotonic() + 20, bench.begun.get(tollgate.name, 0)
    while tollgate.stored_records() < begun and time.monotonic() < due:
        time.sleep(0.2)
    tollgate.stop()
    stored = tollgate.stored_records()
    print(f"\n{tollgate.name}: calls made: {begun}, failed: {bench.failed}, records stored: {stored}")
    return stored == begun and not bench.failed


def start_all(
    folder: Path, upstream: int, only: list[str], against: str | None
) -> tuple[list[Contender], dict[str, str]]:
    """Start the contenders; and why some are missing."""
    running = [
        Contender(name="direct", port=upstream),
        contenders.start_tollgate(folder / "tollgate", upstream)[0],
    ]
    if not only or "unlabelled" in only:  # the same without the classifier of words
        place, more = folder / "unlabelled", contenders.UNLABELLED
        running.append(contenders.start_tollgate(place, upstream, name="unlabelled", more=more)[0])
    if against is not None:
        running.append(contenders.start_tollgate(folder / "other", upstream, against, "other")[0])
    missing: dict[str, str] = {}
    makers: dict[str, Callable[[Path, int], Contender | str]] = {
        "passthrough": contenders.start_passthrough,
        "nginx": contenders.start_nginx,
        "litellm": contenders.start_litellm,
    }
    for name, make in makers.items():
        started = make(folder, upstream) if not only or name in only else "left out"
        if isinstance(started, str):
            missing[name] = started
        else:
            running.append(started)
    return running, missing


def run(plan: Plan, results: Path, only: list[str], against: str | None) -> int:
    """The whole run; the exit code is 1 if the result is not valid."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        mock, loadgen = machine.build(folder)
        contenders.write_bodies(folder)
        bench = Bench(plan, folder, loadgen)
        upstream, load_before = machine.free_port(), os.getloadavg()
        provider = subprocess.Popen(machine.pinned([str(mock), str(upstream)], False))
        running: list[Contender] = []
        try:
            time.sleep(0.2)
            alone = idle(bench)
            running, missing = start_all(folder, upstream, only, against)
            bench.note(running[1], alone)
            measure(bench, running)
            stored = [all_stored(bench, one) for one in running if one.folder is not None]
            valid = all(stored)
        finally:
            for one in running:
                one.stop()
            provider.send_signal(signal.SIGKILL)
            provider.wait()
        found = medians(bench.rounds)
        print(f"\n{machine.line()}; load before {load_before[0]:.1f}, after {os.getloadavg()[0]:.1f}\n")
        print(table(found))
        for what, why in missing.items():
            print(f"{what}: {why}")
        report = {
            "machine": machine.line(),
            "load_average": [load_before, os.getloadavg()],
            "valid": valid,
            "calls": bench.begun["tollgate"],
            "missing": missing,
            "medians": found,
            "rounds": bench.rounds,
        }
        results.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y-%m-%dT%H%M%S", time.gmtime())
        (results / f"{stamp}.json").write_text(json.dumps(report, indent=1) + "\n")
    if not valid:
        print("NOT VALID: calls failed, or records are missing", file=sys.stderr)
    return 0 if valid else 1


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, for a smoke test")
    parser.add_argument("--tiny", action="store_true", help="only see whether it works")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--only", action="append", default=[], help="unlabelled, passthrough, nginx, litellm")
    parser.add_argument(
        "--against", metavar="PYTHON", help="another version, in the environment of this interpreter"
    )
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    plan = Plan(rounds=arguments.rounds or 7)
    if arguments.quick:
        plan = Plan(rounds=1, seconds=1, latency_s=2, starts=1, open_streams=300)
    if arguments.tiny:
        plan = Plan(rounds=1, seconds=0.2, latency_s=0.4, rate=50, connections=4, open_streams=8, starts=1)
    return run(plan, arguments.results, arguments.only, arguments.against)


if __name__ == "__main__":
    sys.exit(main())
