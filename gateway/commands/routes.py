"""routes report and routes fit: what outcomes say of the routes, and models of prompts made from them."""

import argparse
import asyncio
import math
import os
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gateway import flow, opening, rehearsal
from gateway.commands import canary, setting
from gateway.commands.desk import CommandError, as_json
from gateway.commands.route_eval import Row, lines_of, read_rows
from gateway.config import Config, ConfigError
from gateway.contracts import Verdict
from gateway.names import Slug, is_name
from gateway.quality.contest import Contest, compete
from gateway.quality.fitted import Fitted, dump
from gateway.quality.fitting import Feedback, Fit, fit

LEAST: Final = 500
"""Rows that a pair must have before a model of prompts is tried."""
COLUMNS: Final = ("route", "task", "requested", "candidate", "n", "kept", "at_least", "decision", "saving")
_INPUT, _OUTPUT = 3, 1
"""Tokens of a usual call, in proportion: for the saving by list prices."""


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the commands."""
    family = commands.add_parser("routes", help="what outcomes say of routes")
    members = family.add_subparsers(metavar="COMMAND", required=True)
    report = members.add_parser(
        "report", help="show the table that a quality route goes by", parents=[shared]
    )
    report.add_argument("--route", help="only this one")
    report.set_defaults(run=run_report)
    fitting = members.add_parser("fit", help="fit a model of prompts from a labelled file", parents=[shared])
    fitting.add_argument("--data", type=Path, required=True, help="JSON lines with both models' outcomes")
    fitting.add_argument("--out", type=Path, default=Path("gateway-data/fitted.json"))
    fitting.add_argument("--route", help="take floor and confidence from this route")
    fitting.add_argument("--requested", default="", help="the model asked for, where rows do not say")
    fitting.add_argument("--candidate", default="", help="the cheaper one")
    fitting.add_argument("--floor", type=float, help="least share of the quality kept (default: 0.99)")
    fitting.add_argument("--confidence", type=float, help="how sure that must be (default: 0.9)")
    fitting.set_defaults(run=run_fit)
    canary.add(members, shared)


# --- report


def run_report(arguments: argparse.Namespace) -> int:
    """Print what the outcomes in the store say."""
    config = setting.load_config(arguments)
    rows = asyncio.run(_report(config, arguments.route))
    if arguments.json:
        print(as_json({"rows": rows}))
        return setting.GOOD
    table = [COLUMNS, *(tuple(_cell(row[name]) for name in COLUMNS) for row in rows)]
    widths = [max(len(line[number]) for line in table) for number in range(len(COLUMNS))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    return setting.GOOD


async def _report(config: Config, route: str | None) -> list[dict[str, Any]]:
    built = rehearsal.build(config)
    if route is not None and route not in built.routes:
        raise ConfigError([f"--route: no route is called {route}"])
    store = await opening.open_store(config)
    try:
        flow.teach(built, await store.outcomes.cells())
    finally:
        await store.close()
    return [
        _shown(built, name, verdict)
        for name, policy in built.routes.items()
        if route in (None, name)
        for verdict in _verdicts(policy.router)
    ]


def _verdicts(router: Any) -> Iterable[Verdict]:
    ask = getattr(router, "verdicts", None)
    return ask() if callable(ask) else ()


def _shown(built: flow.Flow, name: Slug, verdict: Verdict) -> dict[str, Any]:
    return {
        "route": name,
        "task": verdict.task,
        "requested": verdict.requested,
        "candidate": verdict.candidate,
        "n": verdict.count,
        "kept": None if verdict.kept is None else verdict.kept / 1000,
        "at_least": verdict.bound / 1000,
        "decision": "moves" if verdict.moves else verdict.reason,
        "saving": _saving(built, verdict),
    }


def _saving(built: flow.Flow, verdict: Verdict) -> float | None:
    """By list prices and the same lengths: what a call costs less, as a share."""
    costs = []
    for name in (verdict.candidate, verdict.requested):
        found = built.catalogue.resolve(name)
        price = found[0].price if found else None
        if price is None or price.input_rate is None or price.output_rate is None:
            return None
        costs.append(_INPUT * price.input_rate + _OUTPUT * price.output_rate)
    return round(1 - costs[0] / costs[1], 3) if costs[1] else None


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


# --- fit


def run_fit(arguments: argparse.Namespace) -> int:
    """Fit each pair of the file; write those that win."""
    floor, confidence = _demands(arguments)
    try:
        rows = read_rows(lines_of(arguments.data), (arguments.candidate, arguments.requested))
        pairs = _pairs(rows)
    except CommandError as refusal:
        print(refusal, file=sys.stderr)
        return refusal.code
    key, won, told = secrets.token_bytes(16), [], []
    for (candidate, requested), mine in sorted(pairs.items()):
        facts, fitted = _fit_pair(Slug(requested), Slug(candidate), mine, key, floor, confidence)
        told.append(facts)
        if fitted is not None:
            won.append(fitted)
    if won:
        _write(arguments.out, dump(won))
    for facts in told:
        print(as_json(facts) if arguments.json else _sentence(facts))
    if not arguments.json:
        print(f"written to {arguments.out}" if won else "nothing was written: the per-prompt model stays off")
    return setting.GOOD


def _demands(arguments: argparse.Namespace) -> tuple[float, float]:
    """Floor and confidence: of the command line, of the route, or the defaults."""
    options: Mapping[str, Any] = {}
    if arguments.route is not None:
        config = setting.load_config(arguments)
        if arguments.route not in config.routes:
            raise ConfigError([f"--route: no route is called {arguments.route}"])
        options = config.routes[arguments.route].model_extra or {}
    floor = float(arguments.floor or options.get("floor", 0.99))
    confidence = float(arguments.confidence or options.get("confidence", 0.9))
    if not 0 < floor <= 1 or not 0.5 <= confidence < 1:
        raise ConfigError(["--floor is above 0 and at most 1; --confidence is at least 0.5 and below 1"])
    return floor, confidence


def _pairs(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.outcomes is None:
            raise CommandError("each row needs the outcomes of both models")
        if not all(map(is_name, row.pair)):
            raise CommandError("name the models: in each row, or by --requested and --candidate")
        found.setdefault(row.pair, []).append(row)
    if not found:
        raise CommandError("the file has no rows")
    return found


def _fit_pair(
    requested: Slug, candidate: Slug, rows: Sequence[Row], key: bytes, floor: float, confidence: float
) -> tuple[dict[str, Any], Fitted | None]:
    facts: dict[str, Any] = {"requested": requested, "candidate": candidate, "rows": len(rows)}
    feedback = [
        Feedback(prompt=row.prompt, group="", cheap=row.outcomes[0], requested=row.outcomes[1])
        for row in rows
        if row.outcomes is not None
    ]
    found = fit(feedback, key, floor, confidence) if len(rows) >= LEAST else None
    if found is None:
        return {**facts, "decision": "few_outcomes", "least": LEAST}, None
    contest = compete(feedback, [row.group for row in rows], found)
    facts |= _measured(found, contest)
    if not contest.won:
        return {**facts, "decision": "off"}, None
    fitted = Fitted(
        requested=requested,
        candidate=candidate,
        model=found.model,
        curve=found.curve,
        threshold=min(1000, math.ceil(found.curve.probability(found.cut.score) * 1000)),
        facts={name: value for name, value in facts.items() if isinstance(value, int | float)},
    )
    return {**facts, "decision": "on", "threshold": fitted.threshold}, fitted


def _measured(found: Fit, contest: Contest) -> dict[str, float]:
    return {
        "moved": round(contest.share, 4),
        "kept": round(contest.model, 4),
        "at_least": round(found.cut.bound, 4),
        "kept_by_table": round(contest.table, 4),
        "error": round(contest.error, 4),
    }


def _sentence(facts: Mapping[str, Any]) -> str:
    names = f"{facts['candidate']} for {facts['requested']}: {facts['rows']} rows"
    if facts["decision"] == "few_outcomes":
        return f"{names}; at least {facts['least']} are needed"
    if not facts["moved"]:
        return f"{names}; no share of calls is proven to keep the floor: stays off"
    measured = (
        f"moving {facts['moved']:.1%} of calls keeps {facts['kept']:.2%} of the quality"
        f" (at least {facts['at_least']:.2%}); the table of tasks keeps {facts['kept_by_table']:.2%}"
        f" (difference +- {facts['error']:.2%})"
    )
    return f"{names}; {measured}: {facts['decision']}"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
