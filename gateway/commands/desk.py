"""What the commands about accounts work with, and how they print and refuse."""

import argparse
import getpass
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway import config as configuration
from gateway.accounts.master_key import Source
from gateway.clock import Clock, SystemClock
from gateway.commands.setting import FAILED, GOOD, WRONG
from gateway.contracts import Store
from gateway.names import Slug, is_name

MAX_KEY_LENGTH: Final = 4096
"""Characters of the longest provider key."""
MAX_DURATION_LENGTH: Final = 6


class CommandError(Exception):
    """A command cannot do what was asked. code is the exit code; the text is ours."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Place:
    """A configured provider. host: where its keys may go. configured: the configuration has its key."""

    host: Slug
    configured: bool = False


def _read_secret() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("Key: ")
    return sys.stdin.readline(MAX_KEY_LENGTH + 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the commands work with.

    Attributes:
        say: prints data; complain: prints what is said about it.
    """

    store: Store
    source: Source
    places: Mapping[Slug, Place]
    say: Callable[[str], None]
    complain: Callable[[str], None]
    read_secret: Callable[[], str] = _read_secret
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Clock = field(default_factory=SystemClock)


Work = Callable[[Desk, argparse.Namespace], Awaitable[None]]
"""What a command does."""

Run = Callable[[argparse.Namespace], int]
"""What the command line runs: it opens a desk and gives the command to it."""


class Family:
    """Commands that share their first word, such as key create and key list.

    Args:
        commands: where the parser takes commands. shared: options of every command.
    """

    def __init__(
        self, commands: Any, shared: argparse.ArgumentParser, run: Run, name: str, text: str
    ) -> None:
        self._members = commands.add_parser(name, help=text).add_subparsers(metavar="COMMAND", required=True)
        self._shared = shared
        self._run = run

    def add(self, name: str, work: Work, text: str) -> argparse.ArgumentParser:
        """The parser of a new member, for its own arguments."""
        added: argparse.ArgumentParser = self._members.add_parser(name, help=text, parents=[self._shared])
        added.set_defaults(run=self._run, work=work)
        return added


async def perform(desk: Desk, arguments: argparse.Namespace) -> int:
    """Do the command that was found on the command line; the exit code.

    Raises:
        StoreError, MasterKeyError: the store or the master key cannot be used.
    """
    work: Work = arguments.work
    try:
        await work(desk, arguments)
    except CommandError as refusal:
        desk.complain(str(refusal))
        return refusal.code
    return GOOD


def read_name(text: str, option: str) -> Slug:
    """A name from the command line.

    Raises:
        CommandError: it is none.
    """
    if not is_name(text):
        raise CommandError(f"{option}: a name has letters, digits and . _ : / @ + - only, at most 128", WRONG)
    return Slug(text)


def read_duration_ms(text: str, option: str) -> int:
    """A duration from the command line, in milliseconds; six characters at most.

    Raises:
        CommandError: it is none.
    """
    try:
        return round(configuration.seconds(text if len(text) <= MAX_DURATION_LENGTH else "") * 1000)
    except ValueError:
        raise CommandError(f'{option}: must be a duration such as "12h" or "30d"', WRONG) from None


def show(desk: Desk, json: bool, name: str, rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
    """Print rows: all of them as one JSON object, or some columns as a table."""
    if json:
        desk.say(as_json({name: rows}))
        return
    table = [tuple(columns), *(tuple(_cell(row[column]) for column in columns) for row in rows)]
    widths = [max(len(line[number]) for line in table) for number in range(len(columns))]
    for line in table:
        desk.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def as_json(value: object) -> str:
    """One line of JSON."""
    return orjson.dumps(value).decode()


def now_ms(desk: Desk) -> int:
    """Unix time in milliseconds."""
    return desk.clock.now_us() // 1000


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_stored(one) for one in value) or "-"
    return "-" if value is None else str(value)


def _stored(facts: dict[str, Any]) -> str:
    return f"{facts['id']} for {facts['host']}{'' if facts['usable'] else ' (not usable)'}"
