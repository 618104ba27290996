"""The commands, one module for each family. A family is loaded only for a command line that names it."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

FAMILIES: Final = {
    "serve": ("serve", "init"),
    "accounts": ("key", "node", "provider", "master-key"),
    "records": ("usage", "export"),
    "check": ("check",),
    "diagnose": ("plugins", "explain", "prices", "adapter-test"),
    "classify": ("classify",),
    "selfcheck": ("selfcheck",),
    "doctor": ("doctor",),
    "replay": ("replay",),
    "route_eval": ("route-eval",),
    "routes": ("routes",),
    "outcomes": ("outcomes",),
    "savings": ("savings",),
}
"""The commands of each module, in the order of the help text."""

Add = Callable[[Any, Any], None]
"""Adds the commands of a module to a parser, with the options that all share."""


def adders(words: Sequence[str] = ()) -> list[Add]:
    """What adds the commands that a command line may mean: those whose names are in it, else all."""
    named = [module for module, names in FAMILIES.items() if not set(names).isdisjoint(words)]
    return [import_module(f"{__name__}.{module}").add for module in named or FAMILIES]
