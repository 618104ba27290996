"""What all commands share: exit codes, and the configuration a command line names."""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from gateway import config as configuration
from gateway.config import Config, ConfigError

GOOD: Final = 0
FAILED: Final = 1
WRONG: Final = 2


def named_path(arguments: argparse.Namespace) -> Path | None:
    """The configuration file that the command line or GATEWAY_CONFIG names."""
    variable = os.environ.get("GATEWAY_CONFIG")
    named: Path | None = arguments.config or (Path(variable) if variable else None)
    return named


def config_path(arguments: argparse.Namespace) -> Path | None:
    """The configuration file that a command uses; None for the built-in defaults.

    Raises:
        ConfigError: a file was named that does not exist.
    """
    named = named_path(arguments)
    if named is not None:
        if not named.exists():
            raise ConfigError([f"{named}: does not exist"])
        return named
    return Path("gateway.toml") if Path("gateway.toml").exists() else None


def load_config(arguments: argparse.Namespace) -> Config:
    """The configuration that a command uses."""
    return configuration.read(config_path(arguments))


def columns(table: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table, its columns below each other."""
    widths = [max(len(line[number]) for line in table) for number in range(len(table[0]))]
    for line in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def in_file(path: Path | None, problem: str) -> str:
    """A problem with the name of the file that it is in, where it does not tell that itself."""
    return problem if path is None or problem.startswith(f"{path}: ") else f"{path}: {problem}"
