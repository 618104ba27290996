"""key, provider and master-key: gateway.cli_accounts, given the store and the configuration."""

import argparse
import asyncio
import sys
from typing import Any

from gateway import app, cli_accounts, cli_desk
from gateway.commands import setting
from gateway.names import Slug


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the commands of this module."""
    cli_accounts.add_parsers(commands, shared, run)


def run(arguments: argparse.Namespace) -> int:
    """Run one of them."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    config = setting.load_config(arguments)
    await app.safe_master_key(config)
    store = await app.open_store(config)
    try:
        desk = cli_desk.Desk(
            store=store,
            source=app.master_key_source(config),
            places={
                name: cli_desk.Place(Slug(host), configured)
                for name, host, configured in app.provider_hosts(config)
            },
            say=print,
            complain=lambda text: print(text, file=sys.stderr),
        )
        return await cli_accounts.run(desk, arguments)
    finally:
        await store.close()
