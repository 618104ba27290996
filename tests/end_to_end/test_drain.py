"""SIGTERM in the middle of streams: they finish in time or are ended visibly, and each has its record."""

import asyncio
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from gateway.records import Outcome
from tests.process import Process

SHORT = "echo:delay=0.05,tokens=12"  # 0.6 s
LONG = "echo:delay=0.1,tokens=600"


async def stream(gateway: Process, text: str, began: asyncio.Event) -> tuple[bytes, bool]:
    """What came of a stream, and whether its end was that of a whole answer."""
    body = {"model": "echo-1", "stream": True, "messages": [{"role": "user", "content": text}]}
    fields = {"authorization": f"Bearer {gateway.key}"}
    received = b""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{gateway.url}/v1/chat/completions", json=body, headers=fields) as answer,
    ):
        try:
            async for piece in answer.content.iter_any():
                received += piece
                began.set()
        except aiohttp.ClientPayloadError:
            return received, False
    return received, True


async def begin(gateway: Process, *texts: str) -> list[asyncio.Task[tuple[bytes, bool]]]:
    """Streams that have begun."""
    began = [asyncio.Event() for _ in texts]
    tasks = [
        asyncio.ensure_future(stream(gateway, text, one)) for text, one in zip(texts, began, strict=True)
    ]
    for one in began:
        await one.wait()
    return tasks


async def test_streams_finish_within_the_drain_and_new_calls_go_elsewhere(tmp_path: Path) -> None:
    async with Process(tmp_path / "one", {"server": {"drain_timeout": "5s"}}) as gateway:
        streams = await begin(gateway, *[SHORT] * 5)
        told = time.monotonic()
        gateway.tell(signal.SIGTERM)
        await gateway.says("gateway.stopping")
        with pytest.raises(aiohttp.ClientConnectionError):
            await gateway.ask()
        answers = await asyncio.gather(*streams)
        assert await gateway.ended(30) == 0
        assert time.monotonic() - told < 5
    for received, whole in answers:
        assert whole
        assert received.endswith(b"data: [DONE]\n\n")
    records = await gateway.records()
    assert [record.outcome for record in records] == [Outcome.OK] * 5
    assert {record.tokens_output for record in records} == {12}


async def test_streams_that_take_too_long_are_ended_visibly_and_recorded(tmp_path: Path) -> None:
    async with Process(tmp_path / "one", {"server": {"drain_timeout": "500ms"}}) as gateway:
        streams = await begin(gateway, LONG, SHORT, LONG)
        told = time.monotonic()
        gateway.tell(signal.SIGTERM)
        answers = await asyncio.gather(*streams)
        assert await gateway.ended(30) == 0
        assert time.monotonic() - told < 0.5 + 2
    assert [whole for _, whole in answers] == [False, answers[1][1], False]
    assert b"[DONE]" not in answers[0][0] + answers[2][0]
    records = await gateway.records()
    assert len(records) == 3
    ended = [record for record in records if record.outcome is not Outcome.OK]
    assert {(record.outcome, record.error_code) for record in ended} == {(Outcome.FAILED, "shutting_down")}
    assert all(record.tokens_output > 0 for record in records)
    assert all(record.cost_nanos for record in records)


async def test_a_second_signal_while_draining_changes_nothing(tmp_path: Path) -> None:
    async with Process(tmp_path / "one", {"server": {"drain_timeout": "5s"}}) as gateway:
        streams = await begin(gateway, SHORT)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGTERM):
            gateway.tell(number)
            await asyncio.sleep(0.02)
        [(received, whole)] = await asyncio.gather(*streams)
        assert whole
        assert b"[DONE]" in received
        assert await gateway.ended(30) == 0
    assert [record.outcome for record in await gateway.records()] == [Outcome.OK]


async def test_what_was_killed_is_found_at_the_next_start(tmp_path: Path) -> None:
    async with Process(tmp_path / "one", {"records": {"interval": "10s"}}) as gateway:
        for _ in range(5):
            assert (await gateway.ask())[0] == 200
        [hanging] = await begin(gateway, LONG)
        gateway.tell(signal.SIGKILL)
        assert await gateway.ended(30) == -signal.SIGKILL
        assert not (await hanging)[1]
        assert await gateway.records() == []
        began = time.monotonic()
        await gateway.start()
        assert time.monotonic() - began < 10
        records = await gateway.records()
        assert sorted(record.outcome for record in records) == [Outcome.INTERRUPTED] + [Outcome.OK] * 5
        [cut] = [record for record in records if record.outcome is Outcome.INTERRUPTED]
        assert cut.cost_nanos == cut.held_nanos > 0


async def test_a_store_in_memory_has_the_key_that_was_printed(tmp_path: Path) -> None:
    async with Process(tmp_path / "one", {"store": {"use": "memory"}}) as gateway:
        assert (await gateway.ask())[0] == 200
        assert not (gateway.data / "gateway.db").exists()
        gateway.tell(signal.SIGTERM)
        assert await gateway.ended(30) == 0
