"""check: validates the configuration and tells every mistake at once, with file, place and a hint."""

import argparse
import asyncio
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import orjson

from gateway import config as configuration
from gateway import flow, opening, rehearsal
from gateway.accounts.master_key import MasterKeyError
from gateway.commands import advice, setting
from gateway.config import Config, ConfigError, LiteralSecret, SecretRef

_ROUNDS: Final = 4
"""How often what is wrong is left out, until the rest can be looked at."""


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    check = commands.add_parser(
        "check", parents=[shared], help="validate the configuration: every error at once"
    )
    check.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every problem; 2 if there is one."""
    path = setting.config_path(arguments)
    config, problems = _read(path)
    if config is not None:
        try:
            asyncio.run(rehearsal.try_out(config))
        except ConfigError as error:
            problems += [setting.in_file(path, problem) for problem in error.problems]
        told = [*flow.blocked_places(config), *_master_key(config)]
        problems += [setting.in_file(path, problem) for problem in told]
    warnings = _warnings(config) if config is not None else []
    if config is not None and not problems:
        warnings += advice.on_routes(rehearsal.build(config))
    file = str(path) if path else None
    if arguments.json:
        shown = {"ok": not problems, "file": file, "problems": problems, "warnings": warnings}
        print(orjson.dumps(shown).decode())
    else:
        for line in (*problems, *(f"warning: {warning}" for warning in warnings)):
            print(line, file=sys.stderr)
        if not problems:
            print(f"{file or 'built-in defaults'}: good")
    return setting.WRONG if problems else setting.GOOD


def _read(path: Path | None) -> tuple[Config | None, list[str]]:
    """The configuration, or as much of it as can be used, and what is wrong with the rest."""
    try:
        return configuration.read(path), []
    except ConfigError as error:
        first = error
    if path is None or not first.places:
        return None, first.problems
    tree, wrong = tomllib.loads(path.read_text("utf-8")), first
    for _ in range(_ROUNDS):
        for place in wrong.places:
            _leave_out(tree, place)
        try:
            found = {} if "providers" in tree else configuration.found_providers()
            return configuration.parse(tree, str(path), found), first.problems
        except ConfigError as error:
            wrong = error
    return None, first.problems


def _leave_out(tree: Any, place: tuple[int | str, ...]) -> None:
    """Take the deepest part of a place out of the tree."""
    holder, name = None, None
    for part in place:
        if not isinstance(tree, dict) or part not in tree:
            break
        holder, name, tree = tree, part, tree[part]
    if holder is not None and name is not None:
        del holder[name]


def _master_key(config: Config) -> list[str]:
    """What is wrong with a master key that is there."""
    source = config.secrets.master_key
    if isinstance(source, LiteralSecret) or source.read() is None:
        return []
    try:
        opening.load_master_key(config)
    except MasterKeyError as error:
        return [f"secrets.master_key: {error}"]
    return []


def _warnings(config: Config) -> list[str]:
    warnings = []
    master_key = config.secrets.master_key
    if isinstance(master_key, SecretRef) and master_key.env is not None and master_key.read() is None:
        warnings.append("secrets.master_key: the variable it names is not set here")
    for name, table in config.providers.items():
        sources = [source for source in (table.api_key, *table.api_keys) if source is not None]
        if any(source.read() is None for source in sources):  # a name could be a key by mistake: not quoted
            warnings.append(f"providers.{name}.api_key: what it names is not set or not there")
        if any(isinstance(source, LiteralSecret) for source in sources):
            warnings.append(f'providers.{name}.api_key: stands in the file itself; use {{ env = "NAME" }}')
    if not config.server.admin_listen.startswith(("127.", "localhost:", "[::1]")):
        warnings.append("server.admin_listen: is not on loopback")
    return warnings
