"""Shop: a desk whose output is kept, over a store in memory, and the parser of its commands."""

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

from gateway.accounts import master_key
from gateway.accounts.directory import Directory
from gateway.accounts.master_key import InFile
from gateway.commands import key, node, provider
from gateway.commands.desk import Desk, Place, perform
from gateway.contracts import Caller
from gateway.names import Slug
from gateway.store.memory import MemoryStore

OPENAI, GROQ = Slug("openai"), Slug("groq")
SECRET = "sk-canary-0123456789"


class FixedClock:
    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def now_us(self) -> int:
        return self.ms * 1000

    def tick_ns(self) -> int:
        return 0


class Shop:
    """A desk whose output is kept."""

    def __init__(self, path: Path) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self.clock = FixedClock()
        self.store = MemoryStore()
        self.environment: dict[str, str] = {}
        self.typed = SECRET
        self.source: master_key.Source = InFile(path)
        self.places = {
            OPENAI: Place(Slug("api.openai.com")),
            GROQ: Place(Slug("api.groq.com"), configured=True),
        }

    def __call__(self, *words: str) -> int:
        return asyncio.run(self.run(*words))

    async def run(self, *words: str) -> int:
        self.out.clear()
        self.err.clear()
        desk = Desk(
            store=self.store,
            source=self.source,
            places=self.places,
            say=self.out.append,
            complain=self.err.append,
            read_secret=lambda: self.typed,
            environment=self.environment,
            clock=self.clock,
        )
        return await perform(desk, parse(*words))

    def json(self, *words: str) -> dict[str, Any]:
        assert self(*words, "--json") == 0
        assert len(self.out) == 1
        shown: dict[str, Any] = json.loads(self.out[0])
        return shown

    def node(self, name: str, kind: str, parent: str, *words: str) -> str:
        """A new node's id."""
        assert self("node", "create", name, "--kind", kind, "--parent", parent, *words) == 0
        return self.out[0]

    def everything(self) -> str:
        async def load() -> str:
            return repr((await self.store.accounts.load(), await self.store.secrets.load()))

        return "\n".join([*self.out, *self.err, asyncio.run(load())])

    def finds(self, text: str) -> Caller | None:
        found = Directory(master_key.load(self.source).pepper, self.clock)
        found.replace(asyncio.run(self.store.accounts.load()))
        return found.find(text)

    def caller(self, text: str) -> Caller:
        found = self.finds(text)
        assert found is not None
        return found


def parse(*words: str) -> argparse.Namespace:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true")
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for family in (key, node, provider):
        family.add_parsers(commands, shared, lambda arguments: 0)
    arguments = parser.parse_args(words)
    assert arguments.run(arguments) == 0
    return arguments
