"""Fixtures of all tests: a running gateway on a free port, with its own folder."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.installation import Installation

Start = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts installations of the gateway and stops them after the test.

    await start({"upstream": {"attempts": 1}}) takes a configuration as a parsed TOML tree.
    """
    running: list[Installation] = []

    async def begin(tree: dict[str, Any] | None = None, folder: str = "one", **options: Any) -> Installation:
        installation = Installation(tmp_path / folder, tree or {}, **options)
        await installation.start()
        running.append(installation)
        return installation

    yield begin
    for installation in running:
        await installation.stop()


@pytest.fixture
async def gateway(start: Start) -> Installation:
    """A gateway with the built-in configuration: echo behind, SQLite below, one key."""
    installation: Installation = await start()
    return installation
