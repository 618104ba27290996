"""usage and export: what the records say."""

import argparse
import asyncio
import csv
import re
import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway import opening
from gateway.clock import SystemClock
from gateway.commands import setting
from gateway.config import Config, ConfigError
from gateway.contracts import Span
from gateway.ledger.charges import dollars
from gateway.records import Record

_AGO = re.compile(r"(\d{1,6})(m|h|d)")
_SECONDS = {"m": 60, "h": 3600, "d": 86400}


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the commands of this module."""
    usage = commands.add_parser("usage", parents=[shared], help="sums over records")
    usage.add_argument("--since", default="24h", help="how far back: 90m, 24h, 30d, or a date (default 24h)")
    usage.add_argument("--until", help="up to when (default: now)")
    usage.add_argument("--by", default="model_routed", help="columns to group by, such as model,feature")
    usage.set_defaults(run=run_usage)
    export = commands.add_parser("export", parents=[shared], help="records, streamed")
    export.add_argument("--since", default="24h")
    export.add_argument("--until")
    export.add_argument("--format", choices=("jsonl", "csv"), default="jsonl")
    export.set_defaults(run=run_export)


def run_usage(arguments: argparse.Namespace) -> int:
    """Print sums."""
    config, span = setting.load_config(arguments), read_span(arguments)
    by = [SHORT.get(name, name) for name in arguments.by.split(",") if name]
    try:
        rows = asyncio.run(_sums(config, span, by))
    except ValueError:
        raise ConfigError(
            [f"--by: columns that can be grouped by are names of a record, not {arguments.by}"]
        ) from None
    shown = [{**row, "cost_usd": dollars(row["cost_nanos"])} for row in rows]
    if arguments.json:
        print(orjson.dumps({"rows": shown}).decode())
        return setting.GOOD
    columns = [*by, "calls", "tokens_input", "tokens_output", "cost_usd", "unpriced"]
    table = [columns, *([_text(row[name]) for name in columns] for row in shown)]
    for line in setting.columns(table):
        print(line)
    return setting.GOOD


def run_export(arguments: argparse.Namespace) -> int:
    """Stream records to standard output."""
    write = _csv() if arguments.format == "csv" else _jsonl()
    asyncio.run(_export(setting.load_config(arguments), read_span(arguments), write))
    return setting.GOOD


SHORT = {
    "model": "model_routed",
    "requested": "model_requested",
    "key": "key_id",
    "kind": "path_kind",
}
"""Short names of columns for --by."""

NAMES = tuple(field.name for field in fields(Record))


async def _sums(config: Config, span: Span, by: list[str]) -> list[dict[str, Any]]:
    store = await opening.open_store(config)
    try:
        return await store.records.sums(span, by)
    finally:
        await store.close()


async def _export(config: Config, span: Span, write: Callable[[dict[str, Any]], None]) -> None:
    store = await opening.open_store(config)
    try:
        async for record in store.records.export(span):
            write(row(record))
    finally:
        await store.close()


def row(record: Record) -> dict[str, Any]:
    """A record as it is shown: the time in ISO 8601, everything else as kept."""
    shown: dict[str, Any] = {name: getattr(record, name) for name in NAMES}
    shown["at"] = datetime.fromtimestamp(record.at / 10**6, UTC).isoformat(timespec="microseconds")
    return shown


def _jsonl() -> Callable[[dict[str, Any]], None]:
    return lambda shown: print(orjson.dumps(shown).decode())


def _csv() -> Callable[[dict[str, Any]], None]:
    writer = csv.writer(sys.stdout)
    writer.writerow(NAMES)
    return lambda shown: writer.writerow(map(_cell, shown.values()))


def _cell(value: Any) -> Any:
    # No name begins with = + @; one that begins with - would be taken for a formula by spreadsheets.
    if isinstance(value, str) and value.startswith("-"):
        return f"'{value}"
    return "" if value is None else value


def read_span(arguments: argparse.Namespace) -> Span:
    """--since and --until.

    Raises:
        ConfigError: one of them is neither an age nor a date.
    """
    now = SystemClock().now_us()
    return Span(since_us=_moment(arguments.since, now), until_us=_moment(arguments.until or "0m", now + 1))


def _moment(text: str, now_us: int) -> int:
    if match := _AGO.fullmatch(text):
        return now_us - int(match[1]) * _SECONDS[match[2]] * 10**6
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(["--since and --until take 90m, 24h, 30d or a date such as 2026-01-31"]) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 10**6


def _text(value: Any) -> str:
    return "-" if value is None else str(value)
