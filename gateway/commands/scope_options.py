"""The options that give scopes to a key or a node, and how they are read."""

import argparse
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.accounts import facts, grammar
from gateway.commands.desk import CommandError, Desk, now_ms, read_duration_ms
from gateway.commands.setting import WRONG

LISTS: Final = {
    "models": 'models it may use, such as gpt-4o-mini or "claude-*"',
    "providers": "providers it may use",
    "paths": "kinds of calls it may make, such as chat,embeddings",
    "environments": "values of x-gateway-environment it may carry",
    "networks": "addresses it may be used from, such as 10.0.0.0/8",
    "hours": "spans of the UTC day it may be used in, such as 08:00-18:00",
}
SINGLES: Final = {
    "max_cost": "the most one call may cost, in dollars",
    "cap": "the most it may spend in all, in dollars",
    "rate": "the most calls a minute",
    "floor": "the least data policy of a model: no-training, no-retention or local",
    "baseline": "the model that savings of routed calls are measured against",
}
OF_EACH_KEY: Final = {
    "cap": "the most that each key below it may spend in all, in dollars",
    "rate": "the most calls a minute of each key below it",
}
"""What these mean at a node."""

Pairs = list[tuple[str, str]]


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options that keys and nodes have, and --store."""
    _add_shared(parser, SINGLES)
    parser.add_argument("--store", action="store_true", help="the provider may be asked to keep answers")


def add_for_node(parser: argparse.ArgumentParser) -> None:
    """Add the options that keys and nodes have, and those of a node."""
    _add_shared(parser, SINGLES | OF_EACH_KEY)
    add_end(parser, "when the keys below it end")
    parser.add_argument(
        "--no-store", action="store_true", help="no key below it may have a provider keep answers"
    )


def add_end(parser: argparse.ArgumentParser, text: str) -> None:
    """Add --expires."""
    parser.add_argument(
        "--expires", metavar="AFTER", help=f'{text}: "30d", or a time such as 2030-01-31T00:00Z'
    )


def read(arguments: argparse.Namespace) -> Pairs:
    """The scopes that were given to a key, as pairs, checked.

    Raises:
        CommandError: one is not in the grammar.
    """
    return check(_given(arguments) + ([("store", "allow")] if arguments.store else []))


def read_for_node(desk: Desk, arguments: argparse.Namespace) -> Pairs:
    """The scopes that were given to a node, as pairs, checked.

    Raises:
        CommandError: one is not in the grammar.
    """
    end = facts.moment(read_end(desk, arguments.expires))
    more = [("expires", end)] if end is not None else []
    return check(_given(arguments) + more + ([("store", "deny")] if arguments.no_store else []))


def read_end(desk: Desk, text: str | None) -> int | None:
    """--expires, in Unix milliseconds.

    Raises:
        CommandError: it is neither a duration nor a time, or over.
    """
    if text is None:
        return None
    try:
        ends_ms = grammar.parse("expires", text)
    except grammar.ScopeError:
        ends_ms = now_ms(desk) + read_duration_ms(text, "--expires")
    if not isinstance(ends_ms, int) or ends_ms <= now_ms(desk):
        raise CommandError("--expires: is over already", WRONG)
    return ends_ms


def read_names(given: Sequence[str], option: str) -> set[str]:
    """Names of scopes, several in one word, with _ or -.

    Raises:
        CommandError: one is no scope.
    """
    names = {name.strip().replace("-", "_") for words in given for name in words.split(",")}
    known = (*grammar.MANY, *grammar.ONE)
    if not names.issubset(known):
        raise CommandError(f"{option}: scopes are " + ", ".join(known), WRONG)
    return names


def check(pairs: Iterable[tuple[str, str]]) -> Pairs:
    """The pairs, each once, as one owner may have them.

    Raises:
        CommandError: it may not.
    """
    checked = list(dict.fromkeys(pairs))
    try:
        grammar.read(checked)
    except grammar.ScopeError as error:
        option = f"--{error.what.replace('_', '-')}: " if error.what else ""
        raise CommandError(f"{option}{error}", WRONG) from None
    return checked


def say_what_they_do(desk: Desk, pairs: Pairs) -> None:
    """Point out a floor: it closes every model of which nothing is known."""
    if any(what == "floor" and value != grammar.ANY_POLICY for what, value in pairs):
        desk.complain(
            "note: models with a looser data policy, or of which none is known, are refused; what a contract "
            "promises is said with data_policy in [providers] and [models]"
        )


def _add_shared(parser: argparse.ArgumentParser, singles: dict[str, str]) -> None:
    for name, text in LISTS.items():
        parser.add_argument(f"--{name}", metavar="A,B", action="append", help=text)
    for name, text in singles.items():
        parser.add_argument("--" + name.replace("_", "-"), metavar="VALUE", help=text)


def _given(arguments: argparse.Namespace) -> Pairs:
    pairs = [
        (name, value.strip())
        for name in LISTS
        for given in getattr(arguments, name) or ()
        for value in given.split(",")
    ]
    return pairs + [(name, value) for name in SINGLES if (value := getattr(arguments, name)) is not None]
