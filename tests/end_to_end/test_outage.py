"""A store that is locked or gone for a while: calls go on, nothing is lost, and readiness tells."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from gateway.names import Slug
from gateway.records import Outcome
from tests.installation import Installation


async def ask(gateway: Installation, key: str | None = None) -> int:
    body = {"model": "echo-1", "messages": [{"role": "user", "content": "Hello"}]}
    fields = {"authorization": f"Bearer {key or gateway.key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{gateway.url}/v1/chat/completions", json=body, headers=fields) as answer,
    ):
        await answer.read()
        return answer.status


async def get(url: str, **headers: str) -> int:
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as answer:
        await answer.read()
        return answer.status


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Nobody else can write meanwhile."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("begin immediate")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


async def test_a_locked_store_costs_no_call_and_no_record(tmp_path: Path) -> None:
    tree = {"store": {"path": str(tmp_path / "one" / "data" / "gateway.db"), "busy_timeout_s": 0.05}}
    gateway = Installation(tmp_path / "one", tree)
    await gateway.start()
    with locked(tmp_path / "one" / "data" / "gateway.db"):
        began = asyncio.get_running_loop().time()
        assert [await ask(gateway) for _ in range(20)] == [200] * 20
        assert asyncio.get_running_loop().time() - began < 2
        await asyncio.sleep(0.3)
        assert gateway.app._writer.waiting == 20
        assert await gateway.records(0) == []
        assert await get(f"{gateway.url}/readyz") == 200
        assert await get(f"{gateway.admin_url}/readyz") == 200
    records = await gateway.records(20)
    assert len(records) == len({record.id for record in records}) == 20
    assert gateway.app._writer.lost == 0
    await gateway.stop()


async def test_a_store_that_is_locked_until_the_end_is_caught_up_with_at_the_next_start(
    tmp_path: Path,
) -> None:
    tree = {"store": {"path": str(tmp_path / "one" / "data" / "gateway.db"), "busy_timeout_s": 0.05}}
    gateway = Installation(tmp_path / "one", tree)
    await gateway.start()
    with locked(tmp_path / "one" / "data" / "gateway.db"):
        assert [await ask(gateway) for _ in range(5)] == [200] * 5
        await gateway.stop()
    again = Installation(tmp_path / "one", tree)
    await again.start()
    records = await again.records(5)
    assert [record.outcome for record in records] == [Outcome.OK] * 5
    await again.stop()


async def test_when_the_journal_takes_no_more_nothing_is_forwarded_and_readiness_says_so(
    tmp_path: Path,
) -> None:
    gateway = Installation(tmp_path / "one", {})
    await gateway.start()
    journal = gateway.app._journal
    assert await ask(gateway) == 200
    most, journal._max_bytes = journal._max_bytes, 0
    assert await ask(gateway) == 503
    assert gateway.app._ledger.open_holds == 0
    assert await get(f"{gateway.url}/readyz") == 503
    assert await get(f"{gateway.admin_url}/readyz") == 503
    assert await get(f"{gateway.url}/healthz") == 200
    journal._max_bytes = most
    assert await get(f"{gateway.url}/readyz") == 200
    assert await ask(gateway) == 200
    outcomes = [record.error_code for record in await gateway.records(3)]
    assert outcomes == [None, "unavailable", None]
    await gateway.stop()


async def test_known_keys_are_served_while_the_store_is_away_and_admin_answers_say_so(
    tmp_path: Path,
) -> None:
    gateway = Installation(tmp_path / "one", {})
    await gateway.start()
    other = await gateway.make_key("other")
    await gateway.store.close()
    try:
        assert [await ask(gateway), await ask(gateway, other)] == [200, 200]
        assert await ask(gateway, "tg_" + "x" * 49) == 401
        token = {"authorization": f"Bearer {gateway.admin_token}"}
        assert await get(f"{gateway.admin_url}/admin/usage", **token) == 503
        assert await get(f"{gateway.admin_url}/metrics", **token) == 200
        await asyncio.sleep(0.3)  # several looks at accounts and spending fail meanwhile
        assert await ask(gateway) == 200
        assert gateway.app._directory.by_id(Slug("no-such-key")) is None
    finally:
        await gateway.store.start()
    assert len(await gateway.records(4)) == 4
    await gateway.stop()
