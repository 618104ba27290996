"""Background tasks: the only call of create_task, references kept, bounded shutdown."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from gateway import log
from gateway.names import Slug


class Tasks:
    """The background tasks of one owner.

    A task that ends with an exception is reported by its type only: the text of an exception could
    hold anything.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._running: set[asyncio.Task[Any]] = set()

    def start(
        self, name: str, work: Coroutine[Any, Any, Any], done: Callable[[], None] | None = None
    ) -> bool:
        """Start work; False (and the work closed) when as many tasks as the limit run already."""
        if len(self._running) >= self._limit:
            work.close()
            return False
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        if done is not None:
            task.add_done_callback(lambda _: done())
        return True

    def __len__(self) -> int:
        return len(self._running)

    async def close(self, wait_s: float) -> None:
        """Wait for the tasks, at most wait_s seconds, then cancel what is left."""
        if self._running:
            await asyncio.wait(self._running, timeout=wait_s)
        left = list(self._running)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=1)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.fact("task.failed", task=Slug(task.get_name()), error=log.kind(error))
