"""replay: what a period would have cost under a route, from its records alone."""

import argparse
import asyncio
from typing import Any

import orjson

from gateway import flow, opening, rehearsal
from gateway.clock import SystemClock
from gateway.commands import setting
from gateway.commands.records import read_span
from gateway.config import Config, ConfigError
from gateway.content import EMPTY
from gateway.contracts import Call, Span
from gateway.exchange import Target
from gateway.flow import Flow
from gateway.ledger.charges import dollars
from gateway.names import Slug
from gateway.records import Record
from gateway.translation.bridge import bridge
from gateway.upstreams.habits import Habits
from gateway.upstreams.hindsight import RUNS, Forecast, Hindsight
from gateway.upstreams.policy import Policies
from gateway.upstreams.trials import trials
from gateway.usage import Price

PATIENCE_NS = 10**9
"""A policy may take its time here: nobody waits."""


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "replay", parents=[shared], help="what a period would have cost under a route"
    )
    parser.add_argument("--route", required=True, help="a route of the configuration")
    parser.add_argument("--since", default="30d", help="how far back: 24h, 30d, or a date (default 30d)")
    parser.add_argument("--until", help="up to when (default: now)")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"decisions on each call (default {RUNS})")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the forecast."""
    config, span = setting.load_config(arguments), read_span(arguments)
    if arguments.route not in config.routes:
        raise ConfigError(["--route: takes the name of a route of the configuration"])
    if not 1 <= arguments.runs <= 1000:
        raise ConfigError(["--runs: takes a number from 1 to 1000"])
    found = asyncio.run(_replay(config, Slug(arguments.route), span, arguments.runs))
    if arguments.json:
        print(orjson.dumps(as_json(found)).decode())
    else:
        print(as_text(found, arguments.route))
    return setting.GOOD


async def _replay(config: Config, route: Slug, span: Span, runs: int) -> Forecast:
    built = rehearsal.build(config)
    store = await opening.open_store(config)
    try:
        flow.teach(built, await store.outcomes.cells())
        for _, trial in trials(built.routes):
            trial.learn_arms([])  # as if it began with the period
        habits = Habits()
        async for record in store.records.export(span):
            habits.saw(record)
        hindsight = over(built, route, habits, runs)
        async for record in store.records.export(span):
            hindsight.add(record)
    finally:
        await store.close()
    return hindsight.forecast


def over(built: Flow, route: Slug, habits: Habits, runs: int) -> Hindsight:
    """A replay under a route of a configuration."""

    def resolve(name: str) -> Target | None:
        found = built.catalogue.resolve(name)
        return found[0] if found is not None else None

    def price_at(target: Target, at_us: int) -> Price | None:
        return built.book.find(target.provider_name, target.model, at_us)

    return Hindsight(
        built.routes[route],
        Policies(SystemClock(), PATIENCE_NS),
        habits,
        resolve=resolve,
        price_at=price_at,
        serves=serves,
        runs=runs,
    )


def serves(record: Record, target: Target) -> bool:
    """Whether a target can be asked in a record's dialect."""
    if record.dialect is None:
        return False
    call = Call(dialect=record.dialect, kind=record.path_kind, model="", stream=record.stream, body=EMPTY)
    return bridge(call, target.provider.speaks) is not None


def as_json(found: Forecast) -> dict[str, Any]:
    """A forecast: counts, and money in dollars."""
    runs = len(found.totals)
    return {
        "calls": found.calls,
        "unpriced": found.unpriced,
        "moved": found.moved,
        "guessed_length": found.guessed,
        "policy_failed": found.failed,
        "as_they_were": {str(reason): count for reason, count in found.kept.most_common()},
        "paid_usd": dollars(found.paid),
        "would_have_cost_usd": dollars(found.cost),
        "margin_usd": dollars(found.margin),
        "margins_usd": {
            "length": dollars(-(-found.length // runs)),
            "cache": dollars(-(-found.cache // runs)),
            "chance": dollars(found.chance),
        },
        "models": {str(model): count for model, count in found.models.most_common()},
    }


def as_text(found: Forecast, route: str) -> str:
    """The same for people."""
    shown = as_json(found)
    margins = shown["margins_usd"]
    lines = [
        f"{found.calls} calls cost {shown['paid_usd']} dollars",
        f"under {route} they would have cost {shown['would_have_cost_usd']} ± {shown['margin_usd']}",
        f"  margins: {margins['length']} for the length of answers, {margins['cache']} for prompt caches,"
        f" {margins['chance']} for chance",
        f"  {found.moved} calls would have gone to another model than the one that answered; for"
        f" {found.guessed} of them it is not known how long its answers are",
    ]
    lines += [f"  {count} would have gone to {model}" for model, count in found.models.most_common()]
    lines += [f"  {count} count as they were: {WHY[reason]}" for reason, count in found.kept.most_common()]
    if found.unpriced:
        lines.append(f"  {found.unpriced} are left out: it is not known what they cost")
    if found.failed:
        lines.append(f"  {found.failed} times the policy had no choice")
    lines.append("  not known of any call: its words, its tools, and what its key may use")
    return "\n".join(lines)


WHY = {
    "other_kind": "no chat of any dialect",
    "no_answer": "they got no answer",
    "other_units": "they used images, sound or tools of the provider",
    "no_candidate": "no model of the route can serve or price them",
    "no_price": "the model has no price for what they used",
}
"""Why calls are not replayed."""
