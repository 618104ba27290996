"""Three processes on one port: keys, counters, a killed one, and upgrades while calls go on."""

import asyncio
import collections
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.records import Outcome
from tests.process import Process

WORKERS = 3


@asynccontextmanager
async def running(folder: Path, **server: object) -> AsyncIterator[Process]:
    tree = {"server": {"workers": WORKERS, "drain_timeout": "5s", **server}}
    async with Process(folder, tree) as gateway:
        yield gateway


async def counted(gateway: Process, pattern: str) -> int:
    """The sum of the metrics whose lines match."""
    async with (
        aiohttp.ClientSession(headers=gateway.admin_token) as session,
        session.get(f"{gateway.admin_url}/metrics") as answer,
    ):
        page = await answer.text()
    return sum(int(line.rpartition(" ")[2]) for line in page.splitlines() if re.match(pattern, line))


async def until_counted(gateway: Process, pattern: str, expected: int) -> None:
    """Wait until the metrics say so."""
    for _ in range(600):
        if await counted(gateway, pattern) == expected:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{await counted(gateway, pattern)} instead of {expected}")


@asynccontextmanager
async def load(gateway: Process, clients: int) -> AsyncIterator[collections.Counter[object]]:
    """Clients that call all the time, half of them on a new connection for each call; what came of it."""
    outcomes: collections.Counter[object] = collections.Counter()
    over = asyncio.Event()

    async def client(kept: bool) -> None:
        async with aiohttp.ClientSession() as session:
            while not over.is_set():
                try:
                    status, body, _ = await gateway.ask(
                        "one two three", session=session if kept else None, stream=True
                    )
                    outcomes[status if body.endswith(b"[DONE]\n\n") else "cut"] += 1
                    await asyncio.sleep(0.005)  # the machine has others to serve
                except aiohttp.ClientError as error:
                    outcomes[type(error).__name__] += 1

    tasks = [asyncio.ensure_future(client(number % 2 == 0)) for number in range(clients)]
    try:
        yield outcomes
    finally:
        over.set()
        await asyncio.gather(*tasks)


async def test_a_revoked_key_ends_everywhere_within_a_second_and_counters_add_up(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as gateway:
        for _ in range(40):  # a connection each, so that every process gets some
            assert (await gateway.ask())[0] == 200
        await until_counted(gateway, "gateway_calls_total", 40)
        files = list((gateway.data / "metrics").glob("worker-*.json"))
        assert len(files) == WORKERS
        code, out, _ = await gateway.run("key", "list", "--json")
        assert code == 0
        [key_id] = re.findall(r'"id":"([^"]+)"', out)
        code, _, _ = await gateway.run("key", "revoke", key_id)
        assert code == 0
        due = time.monotonic() + 1
        while time.monotonic() < due:
            await gateway.ask()
        statuses = [(await gateway.ask())[0] for _ in range(30)]
        assert statuses == [401] * 30


async def test_a_killed_process_loses_no_record_and_the_others_serve(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as gateway, load(gateway, 6) as outcomes:
        await asyncio.sleep(0.3)
        before = gateway.workers()
        os.kill(before[1], signal.SIGKILL)
        await asyncio.sleep(0.2)
        good = outcomes[200]
        await asyncio.sleep(0.3)
        assert outcomes[200] > good  # the others serve on
        await gateway.says("workers.died")
        await gateway.ready()
        assert len(set(gateway.workers()) & set(before)) == WORKERS - 1
        await asyncio.sleep(0.2)
    # Only calls that were under way in it may have broken.
    assert set(outcomes) <= {200, "ClientPayloadError", "ServerDisconnectedError", "ClientOSError"}
    assert sum(outcomes.values()) - outcomes[200] <= 6
    await asyncio.sleep(0)
    records = await gateway.records()
    kinds = collections.Counter(record.outcome for record in records)
    assert len({record.id for record in records}) == len(records)
    assert kinds[Outcome.OK] >= outcomes[200]
    assert kinds[Outcome.OK] + kinds[Outcome.INTERRUPTED] + kinds[Outcome.CLIENT_CLOSED] == len(records)
    assert kinds[Outcome.INTERRUPTED] <= 6


async def test_an_upgrade_while_calls_go_on_fails_none_and_counts_all(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as gateway:
        before = gateway.workers()
        async with load(gateway, 6) as outcomes:
            await asyncio.sleep(0.2)
            gateway.tell(signal.SIGUSR2)
            await gateway.says("workers.upgraded")
            await asyncio.sleep(0.2)
        assert set(outcomes) == {200}
        await until_counted(gateway, "gateway_calls_total", outcomes[200])
        for _ in range(600):
            if len(gateway.workers()) == WORKERS:
                break
            await asyncio.sleep(0.05)
        assert not set(before) & set(gateway.workers())
        assert await counted(gateway, "gateway_open_holds") == 0
    records = await gateway.records()
    assert collections.Counter(record.outcome for record in records) == {Outcome.OK: outcomes[200]}


async def test_signals_in_any_order_end_in_an_exit(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as gateway:
        for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP):
            gateway.tell(number)
            await asyncio.sleep(0.05)
        told = time.monotonic()
        gateway.tell(signal.SIGTERM)
        assert await gateway.ended(30) == 0
        assert time.monotonic() - told < 10
        assert gateway.workers() == []


async def test_a_new_version_that_cannot_start_leaves_the_old_one_serving(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as gateway:
        before = gateway.workers()
        gateway.write({**gateway.tree, "records": {"journal": "/proc/nowhere"}})
        gateway.tell(signal.SIGUSR2)
        await gateway.says("workers.upgrade_failed")
        assert gateway.workers() == before
        assert [(await gateway.ask())[0] for _ in range(9)] == [200] * 9


@pytest.mark.parametrize("name", ["listen", "admin_listen"])
async def test_an_address_that_is_taken_is_told_at_once(tmp_path: Path, name: str) -> None:
    async with Process(tmp_path / "one") as first:
        taken = first.port if name == "listen" else first.admin_port
        for workers in (1, 2):
            second = Process(tmp_path / f"two-{workers}", {"server": {"workers": workers}})
            second.tree["server"][name] = f"127.0.0.1:{taken}"
            second.write()
            await second.launch()
            await second.read_all()
            assert await second.ended(30) == 1
            assert f"server.{name}: 127.0.0.1:{taken} cannot be listened on".encode() in second.output
            assert b"first key" not in second.output


async def test_workers_that_can_never_start_are_given_up(tmp_path: Path) -> None:
    gateway = Process(tmp_path / "one", {"server": {"workers": 2}, "records": {"journal": "/proc/nowhere"}})
    gateway.write()
    await gateway.launch()
    assert await gateway.ended(60) == 1
