"""What all commands share: exit codes, and the configuration a command line names."""

import argparse
import os
from pathlib import Path
from typing import Final

from gateway import config as configuration
from gateway.config import Config, ConfigError

GOOD: Final = 0
FAILED: Final = 1
WRONG: Final = 2


def config_path(arguments: argparse.Namespace) -> Path | None:
    """The configuration file that a command uses; None for the built-in defaults.

    Raises:
        ConfigError: a file was named that does not exist.
    """
    variable = os.environ.get("GATEWAY_CONFIG")
    named: Path | None = arguments.config or (Path(variable) if variable else None)
    if named is not None:
        if not named.exists():
            raise ConfigError([f"{named}: does not exist"])
        return named
    return Path("gateway.toml") if Path("gateway.toml").exists() else None


def load_config(arguments: argparse.Namespace) -> Config:
    """The configuration that a command uses."""
    return configuration.read(config_path(arguments))
