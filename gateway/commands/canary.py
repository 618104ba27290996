"""canary: how the trials of the configuration's routes stand, by the records."""

import argparse
import asyncio
from typing import Any

import orjson

from gateway import opening, rehearsal
from gateway.commands import setting
from gateway.config import Config
from gateway.contracts import Arm, Finding, Standing
from gateway.ledger.charges import dollars
from gateway.names import Slug
from gateway.upstreams.trials import Trials, trials

Found = list[tuple[Slug, Standing]]


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("canary", parents=[shared], help="how the trials of routes stand")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print both arms of each canary, and how each rule stands."""
    found = asyncio.run(_look(setting.load_config(arguments)))
    if arguments.json:
        print(orjson.dumps({"canaries": [as_json(route, one) for route, one in found]}).decode())
        return setting.GOOD
    for route, standing in found:
        print(as_text(route, standing))
    if not found:
        print("no route of the configuration has a canary")
    return setting.GOOD


async def _look(config: Config) -> Found:
    built = rehearsal.build(config)
    store = await opening.open_store(config)
    try:
        await Trials(store.records).look(built.routes)
    finally:
        await store.close()
    return [(route, trial.standing()) for route, trial in trials(built.routes)]


def as_json(route: Slug, standing: Standing) -> dict[str, Any]:
    """One canary."""
    return {
        "route": route,
        "state": "running" if standing.stopped is None else "stopped",
        "stopped_by": standing.stopped,
        "trial": _arm(standing.trial),
        "stable": _arm(standing.stable),
        "rules": [
            {
                "rule": one.rule,
                "limit": one.limit,
                "measured": one.measured,
                "evidence": round(one.evidence, 3),
                "needed": round(one.needed, 3),
            }
            for one in standing.findings
        ],
    }


def _arm(arm: Arm) -> dict[str, Any]:
    return {
        "calls": arm.calls,
        "errors": arm.errors,
        "mean_us": arm.time_us // arm.timed if arm.timed else None,
        "mean_usd": dollars(arm.cost_nanos // arm.priced) if arm.priced else None,
    }


def as_text(route: Slug, standing: Standing) -> str:
    """The same for people."""
    state = "running" if standing.stopped is None else f"stopped by {standing.stopped}"
    arms = [
        (name, *(_shown(value) for value in _arm(arm).values()))
        for name, arm in (("trial", standing.trial), ("stable", standing.stable))
    ]
    rules = [("rule", "measured", "limit", "evidence", "needed"), *map(_rule, standing.findings)]
    return "\n".join(
        (
            f"{route}: {state}",
            *(
                f"  {line}"
                for line in setting.columns([("arm", "calls", "errors", "mean_us", "mean_usd"), *arms])
            ),
            *(f"  {line}" for line in setting.columns(rules)),
        )
    )


def _rule(one: Finding) -> tuple[str, ...]:
    measured = "-" if one.measured is None else f"{one.measured:.4f}"
    return one.rule, measured, f"{one.limit:g}", f"{one.evidence:.3g}", f"{one.needed:.3g}"


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)
