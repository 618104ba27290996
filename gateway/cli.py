"""The command line: one parser, one function per command, exit codes 0 good, 1 failed, 2 wrong usage."""

import argparse
import os
import sys
from pathlib import Path

from gateway import __version__
from gateway.accounts.master_key import MasterKeyError
from gateway.commands import adders
from gateway.commands.setting import FAILED, GOOD, WRONG
from gateway.config import ConfigError
from gateway.contracts import StoreError
from gateway.ledger.journal import JournalError
from gateway.plugins import PluginError


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    parser = argparse.ArgumentParser(prog="gateway", description="A self-hosted LLM gateway.")
    parser.add_argument("--version", action="version", version=__version__)
    # Both may stand before the command, too: what a command's parser does not meet, it leaves as it was.
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    for one in (parser, shared):
        one.add_argument(
            "--config", type=Path, help="configuration file (default: $GATEWAY_CONFIG, gateway.toml)"
        )
        one.add_argument("--json", action="store_true", help="print data as JSON")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(metavar="COMMAND")
    words = (sys.argv[1:] if argv is None else argv) or ["serve"]
    for add in adders(words):
        add(commands, shared)
    arguments = parser.parse_args(words)
    if arguments.run is None:
        arguments = parser.parse_args([*words, "serve"])
    try:
        result: int = arguments.run(arguments)
        return result
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return WRONG
    except (MasterKeyError, PluginError, StoreError, JournalError) as error:
        print(error, file=sys.stderr)
        return WRONG if isinstance(error, MasterKeyError | PluginError) else FAILED
    except OSError as error:
        return _failed(error)
    except KeyboardInterrupt:
        return 130


def _failed(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        # The reader of our output left: point it elsewhere so that Python's own flush stays quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD
    about = f"{error.filename}: " if error.filename else ""
    print(f"{about}{error.strerror or type(error).__name__}", file=sys.stderr)
    return FAILED
