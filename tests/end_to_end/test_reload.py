"""A hundred reloads while calls go on: none fails, each keeps what it began with, mistakes change nothing."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway import flow
from gateway.ledger.charges import dollars
from gateway.usage import Nanos
from tests.installation import Installation
from tests.process import toml
from tests.upstream import Scripted, Upstream

RELOADS = 100
WORDS = 4
"""Tokens that echo counts for the answer."""


class Reloading:
    """A gateway whose configuration is a file that changes."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        self.file = folder / "gateway.toml"
        self.upstream = upstream
        self.folder = folder

    def tree(self, number: int) -> dict[str, Any]:
        """Configuration number: its price, its route and its transport's limits tell it from the others."""
        provider = {"base_url": self.upstream.openai, "api_key": "sk-test", "allow_private": True}
        return {
            "providers": {"openai": provider},
            "models": {"mine": {"provider": "openai", "model": "echo-1", "price": price(number)}},
            "routes": {"auto": {"use": "fixed", "target": "mine"}},
            "upstream": {"gap_timeout": f"{30 + number % 3}s"},
        }

    async def start(self) -> Installation:
        self.gateway = Installation(self.folder, self.tree(0))
        await self.gateway.start()
        self.gateway.app._path = self.file
        return self.gateway

    async def reload(self, number: int) -> bool:
        """Write configuration number to the file and reload."""
        self.write(toml(self.tree(number)))
        return await self.gateway.app.reload()

    def write(self, text: str) -> None:
        self.file.write_text(text)


def price(number: int) -> dict[str, str]:
    """Dollars per million tokens."""
    return {"input": "0", "output": str(number + 1)}


async def ask(gateway: Installation, session: aiohttp.ClientSession, **more: Any) -> tuple[int, bytes, str]:
    body = {"model": "auto", "messages": [{"role": "user", "content": "one two three"}], **more}
    fields = {"authorization": f"Bearer {gateway.key}"}
    async with session.post(f"{gateway.url}/v1/chat/completions", json=body, headers=fields) as answer:
        return answer.status, await answer.read(), answer.headers.get("x-gateway-cost-usd", "")


async def test_a_hundred_reloads_under_load_fail_no_call(tmp_path: Path) -> None:
    async with Upstream() as upstream, aiohttp.ClientSession() as session:
        stand = Reloading(tmp_path, upstream)
        gateway = await stand.start()
        over = asyncio.Event()
        outcomes: Counter[object] = Counter()

        async def client(stream: bool) -> None:
            while not over.is_set():
                status, body, _ = await ask(gateway, session, stream=stream)
                outcomes[status if not stream or body.endswith(b"[DONE]\n\n") else "cut"] += 1
                await asyncio.sleep(0.01)

        async def open_stream() -> bool:
            """A stream that lasts through many reloads."""
            pieces: list[bytes | float | str] = [EVENT, 0.05]
            upstream.script(Scripted(200, SSE, [*pieces * 10, b"data: [DONE]\n\n"]))
            status, body, _ = await ask(gateway, session, stream=True)
            return status == 200 and body.count(EVENT) == 10 and body.endswith(b"[DONE]\n\n")

        streams = [asyncio.ensure_future(open_stream()) for _ in range(5)]
        await asyncio.sleep(0.05)
        clients = [asyncio.ensure_future(client(number % 2 == 0)) for number in range(6)]
        for number in range(1, RELOADS + 1):
            assert await stand.reload(number)
            await asyncio.sleep(0.005)
        over.set()
        await asyncio.gather(*clients)
        assert await asyncio.gather(*streams) == [True] * 5
        assert set(outcomes) == {200}
        assert outcomes[200] > RELOADS
        status, _, cost = await ask(gateway, session)
        assert (status, cost) == (200, dollars(Nanos(WORDS * 1000 * (RELOADS + 1))))
        assert len(await gateway.records(outcomes[200] + 6)) == outcomes[200] + 6
        assert gateway.app._ledger.open_holds == 0
        await gateway.stop()


EVENT = (
    b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
)
SSE = [("content-type", "text/event-stream")]


async def test_a_call_keeps_the_prices_it_began_with(tmp_path: Path) -> None:
    async with Upstream() as upstream, aiohttp.ClientSession() as session:
        stand = Reloading(tmp_path, upstream)
        gateway = await stand.start()
        upstream.script(Scripted(200, SSE, [EVENT, 0.3, USED, b"data: [DONE]\n\n"]))
        old = asyncio.ensure_future(ask(gateway, session, stream=True))
        await asyncio.sleep(0.1)
        assert await stand.reload(9)
        new = await ask(gateway, session)
        assert (await old)[0] == 200
        costs = {record.stream: record.cost_nanos for record in await gateway.records(2)}
        await gateway.stop()
    assert costs == {True: 1000 * 1000, False: WORDS * 10 * 1000}
    assert new[2] == dollars(Nanos(WORDS * 10 * 1000))


USED = (
    b'data: {"id":"c","object":"chat.completion.chunk","choices":[],'
    b'"usage":{"prompt_tokens":7,"completion_tokens":1000,"total_tokens":1007}}\n\n'
)


@pytest.mark.parametrize(
    "text",
    [
        "[server\n",
        '[providers.openai]\nbase_url = "http',
        "[serverr]\n",
        '[routes.auto]\nuse = "fixed"\ntarget = "no-such-model"\n',
        '[providers.x]\nuse = "no-such-plugin"\n',
        '[upstream]\nca_file = "/no/such/file"\n',
        "\x00",
    ],
)
async def test_a_file_with_a_mistake_leaves_everything_as_it_is(tmp_path: Path, text: str) -> None:
    async with Upstream() as upstream, aiohttp.ClientSession() as session:
        stand = Reloading(tmp_path, upstream)
        gateway = await stand.start()
        before = gateway.app._flow
        stand.write(text)
        assert not await gateway.app.reload()
        stand.file.unlink()
        assert not await gateway.app.reload()
        assert gateway.app._flow is before
        assert (await ask(gateway, session))[0] == 200
        assert await stand.reload(3)
        assert (await ask(gateway, session))[2] == dollars(Nanos(WORDS * 4 * 1000))
        await gateway.stop()


async def test_a_reload_lets_go_of_nothing_that_lasts(tmp_path: Path) -> None:
    async with Upstream() as upstream:
        stand = Reloading(tmp_path, upstream)
        gateway = await stand.start()
        store, port, journal = gateway.app.store, gateway.port, gateway.app._journal
        assert await stand.reload(1)
        assert (gateway.app.store, gateway.port, gateway.app._journal) == (store, port, journal)
        assert isinstance(gateway.app._flow, flow.Flow)
        assert gateway.app._flow.config.models["mine"].price == price(1)
        assert gateway.app._flow.config.upstream.gap_timeout == 31
        await gateway.stop()
