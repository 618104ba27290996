"""savings: what routing, downgrades and prompt caches saved, beside the quality that was kept."""

import argparse
import asyncio
from dataclasses import asdict
from typing import Any, Final

import orjson

from gateway import opening
from gateway.commands import setting
from gateway.commands.records import SHORT, read_span
from gateway.config import Config, ConfigError
from gateway.contracts import Cell, Span
from gateway.ledger.charges import dollars
from gateway.ledger.proof import PAIR, Saved, prove

Rows = list[dict[str, Any]]

HEADS: Final = (
    "calls", "cost_usd", "baseline_usd", "saved_usd", "saved", "routing_usd", "downgrade_usd", "cache_usd",
    "estimated", "quality_kept",
)  # fmt: skip


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "savings", parents=[shared], help="what was saved, by what, and at what quality"
    )
    parser.add_argument("--since", default="30d", help="how far back: 24h, 30d, or a date (default 30d)")
    parser.add_argument("--until", help="up to when (default: now)")
    parser.add_argument("--by", default="task", help="columns to group by, such as task,model,feature")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what was saved."""
    config, span = setting.load_config(arguments), read_span(arguments)
    by = [SHORT.get(name, name) for name in arguments.by.split(",") if name]
    try:
        rows, cells = asyncio.run(_read(config, span, by))
    except ValueError:
        raise ConfigError(["--by: takes names of columns, such as task,model,feature"]) from None
    groups, total = prove(rows, by, cells), prove(rows, (), cells).get((), Saved())
    if arguments.json:
        shown = [{**dict(zip(by, group, strict=True)), **as_json(saved)} for group, saved in groups.items()]
        print(orjson.dumps({"rows": shown, "total": as_json(total)}).decode())
        return setting.GOOD
    lines = [(*map(_text, group), *_cells(saved)) for group, saved in groups.items()]
    if by:
        lines.append(("total", *[""] * (len(by) - 1), *_cells(total)))
    for line in setting.columns([(*by, *HEADS), *lines]):
        print(line)
    if total.unmeasured:
        print(f"{total.unmeasured} calls have no known baseline; nothing is counted as saved by them")
    return setting.GOOD


async def _read(config: Config, span: Span, by: list[str]) -> tuple[Rows, list[Cell]]:
    store = await opening.open_store(config)
    try:
        return await store.records.sums(span, [*by, *PAIR]), await store.outcomes.cells()
    finally:
        await store.close()


def as_json(saved: Saved) -> dict[str, Any]:
    """A group: counts, money in dollars, shares as numbers from 0 to 1; null is not known."""
    return {
        "calls": saved.calls,
        "unmeasured": saved.unmeasured,
        "estimated": saved.moved,
        "cost_usd": dollars(saved.cost),
        "baseline_usd": dollars(saved.baseline),
        "saved_usd": dollars(saved.saved),
        "saved_routing_usd": dollars(saved.routing),
        "saved_downgrade_usd": dollars(saved.downgrade),
        "saved_cache_usd": dollars(saved.cache),
        "saved_share": None if saved.share is None else saved.share / 10**6,
        "quality_kept": None if saved.quality is None else saved.quality / 1000,
        "quality_calls": saved.judged,
        "outcomes": saved.outcomes,
        "quality": [asdict(one) for one in saved.kept],
    }


def _cells(saved: Saved) -> tuple[str, ...]:
    money = (saved.cost, saved.baseline, saved.saved)
    parts = (saved.routing, saved.downgrade, saved.cache)
    return (
        str(saved.calls),
        *map(dollars, money),
        "-" if saved.share is None else f"{saved.share / 10**6:.1%}",
        *map(dollars, parts),
        f"{saved.moved / saved.calls:.0%}" if saved.calls else "-",
        _quality(saved),
    )


def _quality(saved: Saved) -> str:
    if not saved.moved:
        return "-" if not saved.calls else "no baseline" if saved.alone == saved.calls else "same model"
    if saved.quality is None:
        return "unknown"
    told = f"{saved.quality / 10:g}% (n={saved.outcomes})"
    return told if saved.judged == saved.moved else f"{told}, of {saved.judged / saved.moved:.0%} of these"


def _text(value: Any) -> str:
    return "-" if value is None else str(value)
