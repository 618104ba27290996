"""plugins, explain, prices, adapter-test: looks at an installation that change nothing."""

import argparse
import asyncio
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson

from gateway import explain, plugins, rehearsal
from gateway.clock import SystemClock
from gateway.commands import setting
from gateway.config import ConfigError
from gateway.dialects import DIALECTS
from gateway.ledger import prices
from gateway.ledger.prices import Change, PriceBook, PriceBookError
from gateway.names import is_name

CONTENT_GROUPS = {"gateway.providers": True, "gateway.classifiers": True}
"""Groups whose plugins are handed content; routers and stores never are."""


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the commands of this module."""
    listing = commands.add_parser("plugins", parents=[shared], help="every plugin found")
    listing.set_defaults(run=run_plugins)
    dry = commands.add_parser(
        "explain", parents=[shared], help="dry run of a call: no upstream call, nothing held"
    )
    dry.add_argument("--key", help="id of the key to explain for (default: one that may do everything)")
    dry.add_argument(
        "--dialect",
        default="openai_chat",
        choices=sorted(DIALECTS),
        metavar="DIALECT",
        help="dialect of the request on standard input: openai_chat (default), anthropic_messages, …",
    )
    dry.set_defaults(run=run_explain)
    book = commands.add_parser("prices", parents=[shared], help="the price book")
    book.add_argument("what", choices=("show", "diff"))
    book.add_argument("name", help="show: PROVIDER/MODEL. diff: a price file to compare with the one in use")
    book.set_defaults(run=run_prices)
    kit = commands.add_parser(
        "adapter-test", parents=[shared], help="run the conformance kit on a provider plugin"
    )
    kit.add_argument("name")
    kit.set_defaults(run=run_adapter_test)


def run_plugins(arguments: argparse.Namespace) -> int:
    """Print every plugin found; none is imported."""
    rows = [
        {
            "group": found.group,
            "name": found.name,
            "package": found.package,
            "version": found.version,
            "opens_content": CONTENT_GROUPS.get(group, False),
        }
        for group in plugins.GROUPS
        for found in plugins.find(group).values()
    ]
    if arguments.json:
        print(orjson.dumps({"plugins": rows}).decode())
        return setting.GOOD
    for row in rows:
        content = "opens content" if row["opens_content"] else "never sees content"
        print(f"{row['group']:<20} {row['name']:<16} {row['package']} {row['version']:<10} {content}")
    return setting.GOOD


def run_explain(arguments: argparse.Namespace) -> int:
    """Print what would become of the request on standard input."""
    try:
        body = orjson.loads(sys.stdin.buffer.read(64 << 20))
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise ConfigError(["standard input: is no JSON object; give the request's body"])
    if arguments.key is not None and not is_name(arguments.key):
        raise ConfigError(["--key: takes the id of a key, not the key itself: see gateway key list"])
    answer = asyncio.run(
        rehearsal.dry_run(setting.load_config(arguments), body, arguments.dialect, arguments.key)
    )
    print(orjson.dumps(answer).decode() if arguments.json else explain.as_text(answer))
    return setting.GOOD


def run_prices(arguments: argparse.Namespace) -> int:
    """Show what is known of one model, or what another price file would change."""
    now, book = SystemClock().now_us(), PriceBook.bundled()
    if arguments.what == "diff":
        try:
            other = PriceBook.parse(Path(arguments.name).read_bytes())
        except (OSError, PriceBookError) as error:
            raise ConfigError([f"{arguments.name}: is no price file ({type(error).__name__})"]) from None
        _print([_change(change) for change in prices.diff(book, other, now)])
        return setting.GOOD
    provider, _, model = arguments.name.partition("/")
    shown = book.show(provider, model, now)
    if shown is None:
        print("no price is known for this; give PROVIDER/MODEL, such as openai/gpt-4o-mini", file=sys.stderr)
        return setting.FAILED
    known = {name: value for name, value in asdict(replace(shown, price=None)).items() if name != "price"}
    _print({**known, "picodollars": dict(prices.rates(shown.price) or {})})
    return setting.GOOD


def _change(change: Change) -> dict[str, object]:
    old, new = (dict(side) if side is not None else None for side in (change.old, change.new))
    return {"provider": change.provider, "model": change.model, "old": old, "new": new}


def _print(data: object) -> None:
    print(orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())


def run_adapter_test(arguments: argparse.Namespace) -> int:
    """Run the conformance kit."""
    from gateway import adapter_kit

    provider = plugins.load("gateway.providers", arguments.name)
    return adapter_kit.run(arguments.name, provider, sys.stdout)
