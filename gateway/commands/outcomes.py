"""outcomes import: judgements of calls, or an evaluation of two models, from a file into the store."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from gateway import opening
from gateway.clock import SystemClock
from gateway.commands import setting
from gateway.commands.desk import CommandError, as_json, read_name
from gateway.config import Config
from gateway.names import Slug
from gateway.outcomes import MOST_ROWS, OutcomeError, Taken, read_judgements, read_pairs, take


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the commands."""
    family = commands.add_parser("outcomes", help="how well calls were served, as somebody judged it")
    members = family.add_subparsers(metavar="COMMAND", required=True)
    parser = members.add_parser("import", help="take in a file of outcomes (JSON lines)", parents=[shared])
    parser.add_argument("file", type=Path)
    parser.add_argument("--source", default="import", help="who judged (default: import)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read the file as a whole, then store it."""
    try:
        source = read_name(arguments.source, "--source")
        data = arguments.file.read_bytes()
        rows = _rows(data)
        taken = asyncio.run(_take(setting.load_config(arguments), rows, source, data))
    except CommandError as refusal:
        print(refusal, file=sys.stderr)
        return refusal.code
    except OutcomeError as error:
        print(f"row {error.place}: {error.field} is missing or not valid", file=sys.stderr)
        return setting.FAILED
    facts = {"added": taken.added, "known": taken.known, "unknown": taken.unknown}
    print(as_json(facts) if arguments.json else "  ".join(f"{name} {value}" for name, value in facts.items()))
    return setting.GOOD


async def _take(config: Config, rows: Sequence[Any], source: Slug, data: bytes) -> Taken:
    now_ms = SystemClock().now_us() // 1000
    of_calls = [row for row in rows if isinstance(row, dict) and "request_id" in row]
    if of_calls and len(of_calls) < len(rows):
        raise CommandError("rows with request_id and rows without belong into two files")
    # The same file again has the same ids, so nothing is counted twice.
    batch = Slug(f"import-{sha256(data).hexdigest()[:16]}")
    judgements = read_judgements([{"source": source, **row} for row in of_calls])
    outcomes = [] if of_calls else read_pairs(rows, source, batch, now_ms)
    store = await opening.open_store(config)
    try:
        added = unknown = 0
        for start in range(0, len(judgements), MOST_ROWS):
            part = await take(store, judgements[start : start + MOST_ROWS], now_ms)
            added, unknown = added + part.added, unknown + part.unknown
        for start in range(0, len(outcomes), MOST_ROWS):
            added += await store.outcomes.add(outcomes[start : start + MOST_ROWS])
    finally:
        await store.close()
    return Taken(added, len(judgements) + len(outcomes) - unknown - added, unknown)


def _rows(data: bytes) -> list[Any]:
    rows = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            try:
                rows.append(orjson.loads(line))
            except orjson.JSONDecodeError:
                raise CommandError(f"line {number}: is not JSON") from None
    return rows
