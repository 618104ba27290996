"""Background tasks are kept, bounded, ended, and say no more than a type when they fail."""

import asyncio
import io
import json

from gateway import log
from gateway.log import Level
from gateway.tasks import Tasks


async def wait_forever() -> None:
    await asyncio.Event().wait()


async def test_a_task_runs_and_is_let_go() -> None:
    tasks, ran, told = Tasks(), asyncio.Event(), []

    async def work() -> None:
        ran.set()

    assert tasks.start("test.work", work(), done=lambda: told.append(True))
    assert len(tasks) == 1
    await ran.wait()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(tasks) == 0
    assert told == [True]


async def test_no_more_tasks_than_the_limit() -> None:
    tasks = Tasks(limit=1)
    assert tasks.start("test.one", wait_forever())
    assert not tasks.start("test.two", wait_forever())  # its coroutine is closed: nothing warns
    assert len(tasks) == 1
    await tasks.close(0)
    assert len(tasks) == 0


async def test_closing_waits_then_cancels() -> None:
    tasks, done = Tasks(), []

    async def quick() -> None:
        await asyncio.sleep(0.01)
        done.append("quick")

    tasks.start("test.quick", quick())
    tasks.start("test.slow", wait_forever())
    await tasks.close(0.05)
    assert done == ["quick"]
    assert len(tasks) == 0


async def test_closing_with_nothing_left_is_quick() -> None:
    tasks = Tasks()
    await tasks.close(5)

    async def quick() -> None:
        pass

    tasks.start("test.quick", quick())
    await tasks.close(1)
    assert len(tasks) == 0


async def test_a_task_that_fails_is_told_by_its_type() -> None:
    out = io.StringIO()
    log.configure(Level.INFO, out)

    async def fail() -> None:
        raise ValueError("canary words")

    tasks = Tasks()
    tasks.start("test.failing", fail())
    await tasks.close(1)
    log.configure()
    assert "canary" not in out.getvalue()
    line = json.loads(out.getvalue())
    assert (line["event"], line["task"], line["error"]) == ("task.failed", "test.failing", "ValueError")
