"""The options that give scopes to a key, and how they are read."""

import argparse
from typing import Final

from gateway.accounts import grammar
from gateway.commands.desk import CommandError
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
}


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command."""
    for name, text in LISTS.items():
        parser.add_argument(f"--{name}", metavar="A,B", action="append", help=text)
    for name, text in SINGLES.items():
        parser.add_argument("--" + name.replace("_", "-"), metavar="VALUE", help=text)
    parser.add_argument("--store", action="store_true", help="the provider may be asked to keep answers")


def read(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """The scopes that were given, as pairs, checked.

    Raises:
        CommandError: one is not in the grammar.
    """
    pairs = [
        (name, value.strip())
        for name in LISTS
        for given in getattr(arguments, name) or ()
        for value in given.split(",")
    ]
    pairs += [(name, value) for name in SINGLES if (value := getattr(arguments, name)) is not None]
    pairs += [("store", "allow")] if arguments.store else []
    try:
        grammar.read(pairs)
    except grammar.ScopeError as error:
        option = f"--{error.what.replace('_', '-')}: " if error.what else ""
        raise CommandError(f"{option}{error}", WRONG) from None
    return list(dict.fromkeys(pairs))
