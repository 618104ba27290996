"""Fixtures of the end-to-end tests: a gateway with a real HTTP provider behind it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.end_to_end.stand import Stand

Raise = Callable[..., Any]


@pytest.fixture
async def put_up(tmp_path: Path) -> AsyncIterator[Raise]:
    """Puts up stands with a configuration of their own: await put_up({"upstream": {"attempts": 1}})."""
    async with AsyncExitStack() as stack:

        async def begin(tree: dict[str, Any] | None = None, **more: Any) -> Stand:
            return await stack.enter_async_context(Stand(tmp_path / "stand", tree, **more))

        yield begin


@pytest.fixture
async def stand(put_up: Raise) -> Stand:
    """A stand of one test's own."""
    put: Stand = await put_up()
    return put


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    """A stand for all tests of a module, which must mark itself with loop_scope="module"."""
    # One test's failures must not set a target aside for the next one, and must be seen by the client.
    upstream = {"breaker": False, "attempts": 1}
    async with Stand(tmp_path_factory.mktemp("shared"), {"upstream": upstream}) as stand:
        yield stand
