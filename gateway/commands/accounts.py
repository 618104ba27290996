"""key, node, provider and master-key: their parsers, and the desk they work at."""

import argparse
import asyncio
import sys
from typing import Any

from gateway import opening, rehearsal
from gateway.commands import key, node, provider, setting
from gateway.commands.desk import Desk, Place, perform
from gateway.names import Slug


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the commands that need the store."""
    for family in (key, node, provider):
        family.add_parsers(commands, shared, run)


def run(arguments: argparse.Namespace) -> int:
    """Run one of them."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    config = setting.load_config(arguments)
    await opening.safe_master_key(config)
    store = await opening.open_store(config)
    try:
        desk = Desk(
            store=store,
            source=opening.master_key_source(config),
            places={
                name: Place(Slug(host), configured)
                for name, host, configured in rehearsal.provider_hosts(config)
            },
            say=print,
            complain=lambda text: print(text, file=sys.stderr),
        )
        return await perform(desk, arguments)
    finally:
        await store.close()
