"""The tree in action: commands in one process change what keys may do in the others, within a second."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from gateway import opening
from gateway.commands.desk import Desk, perform
from tests.conftest import Start
from tests.end_to_end.stand import CLAUDE, LLAMA, OPENAI, Answered, Stand, user
from tests.gateway.commands.shop import parse
from tests.installation import Installation

CHAT = "/v1/chat/completions"
SOON_S = 1.0
"""How long a change may take to arrive."""

Office = Callable[..., Awaitable[str]]


@asynccontextmanager
async def office_of(installation: Installation, at_once: bool = True) -> AsyncIterator[Office]:
    """Runs commands on the installation's store over a connection of their own; answers what they print.

    Args:
        at_once: have the installation look at the store after each, rather than at its own time.
    """
    store = await opening.open_store(installation.config)

    async def run(*words: str) -> str:
        said: list[str] = []
        complaints: list[str] = []
        desk = Desk(
            store=store,
            source=opening.master_key_source(installation.config),
            places={},
            say=said.append,
            complain=complaints.append,
        )
        assert await perform(desk, parse(*words)) == 0, complaints
        if at_once:
            await installation.app.refresh_accounts()
        return "".join(said)

    yield run
    await store.close()


async def plant(office: Office, name: str) -> str:
    """A reseller, below it the organisation acme, below that the project web; a clear key of that."""
    reseller = await office("node", "create", name, "--kind", "reseller", "--parent", "platform")
    acme = await office("node", "create", "acme", "--kind", "organisation", "--parent", reseller)
    web = await office("node", "create", "web", "--kind", "project", "--parent", acme)
    return await office("key", "create", f"of-{name}", "--project", web)


async def chat(stand: Stand, key: str, model: str = OPENAI, **headers: str) -> Answered:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await stand.ask(CHAT, {"model": model, "messages": user("Hello")}, key=key, headers=sent)


@pytest.mark.parametrize(
    ("node", "scope", "model", "status", "code", "about"),
    [
        ("north", "--models claude-*", OPENAI, 403, "not_allowed", "models"),
        ("acme", "--providers openai", LLAMA, 403, "not_allowed", "providers"),
        ("web", "--paths embeddings", OPENAI, 403, "not_allowed", "paths"),
        ("north", "--networks 192.0.2.0/24", OPENAI, 403, "not_allowed", "networks"),
        ("acme", "--environments prod", OPENAI, 403, "not_allowed", "environments"),
        ("web", "--floor no-training", OPENAI, 403, "not_allowed", "floor"),
        ("platform", "--max-cost 0", OPENAI, 402, "budget_exceeded", "max-cost"),
        ("north", "--cap 0", OPENAI, 402, "budget_exceeded", None),
    ],
)
async def test_what_a_level_forbids_is_refused_below_it_and_allowed_again_when_it_is_cleared(
    stand: Stand, node: str, scope: str, model: str, status: int, code: str, about: str | None
) -> None:
    async with office_of(stand.gateway) as office:
        key = await plant(office, "north")
        assert (await chat(stand, key, model)).status == 200
        await office("node", "set", node, *scope.split())
        refused = await chat(stand, key, model)
        assert (refused.status, refused.json["error"]["code"]) == (status, code)
        assert about is None or f"({about})" in refused.json["error"]["message"]
        assert (await chat(stand, stand.key, model)).status == (status if node == "platform" else 200)
        await office("node", "set", node, "--clear", scope.split()[0].removeprefix("--"))
        assert (await chat(stand, key, model)).status == 200


async def test_the_rate_of_a_node_is_that_of_each_key_below_it(stand: Stand) -> None:
    async with office_of(stand.gateway) as office:
        first = await plant(office, "north")
        second = await office("key", "create", "second", "--project", "web")
        await office("node", "set", "north", "--rate", "1")
        assert [(await chat(stand, key)).status for key in (first, second)] == [200, 200]
        assert [(await chat(stand, key)).status for key in (first, second, stand.key)] == [429, 429, 200]


async def test_each_level_narrows_what_the_one_above_it_leaves(stand: Stand) -> None:
    async with office_of(stand.gateway) as office:
        await plant(office, "north")
        await office("node", "set", "north", "--providers", "openai,groq")
        await office("node", "set", "acme", "--models", "gpt-4o*,llama-*,claude-*")
        await office("node", "set", "web", "--environments", "prod,test")
        words = f"--project web --models {OPENAI},{CLAUDE} --environments prod"
        key = await office("key", "create", "ci", *words.split())
        assert (await chat(stand, key, x_gateway_environment="prod")).status == 200
        for model, environment, about in (
            (OPENAI, "test", "environments"),  # the project allows it, the key does not
            (LLAMA, "prod", "models"),  # reseller and organisation allow it, the key does not
            (CLAUDE, "prod", "providers"),  # organisation and key allow it, the reseller does not
            ("gpt-4.1", "prod", "models"),  # the organisation does not
        ):
            refused = await chat(stand, key, model, x_gateway_environment=environment)
            assert (refused.status, refused.json["error"]["code"]) == (403, "not_allowed")
            assert f"({about})" in refused.json["error"]["message"]
        me = await stand.ask("/v1/me", key=key, method="GET")
        assert (me.json["name"], me.json["org"], me.json["project"]) == ("ci", "acme", "web")


async def test_a_disabled_reseller_stops_its_keys_in_every_process_and_no_others(start: Start) -> None:
    processes: list[Installation] = [await start(), await start(worker=1)]

    async def status(session: aiohttp.ClientSession, process: Installation, key: str) -> int:
        body = {"model": "echo-1", "messages": user("Hello")}
        fields = {"authorization": f"Bearer {key}"}
        async with session.post(process.url + CHAT, json=body, headers=fields) as answer:
            return answer.status

    async def within_a_second(session: aiohttp.ClientSession, key: str, expected: int) -> None:
        due = time.monotonic() + SOON_S
        for process in processes:
            while await status(session, process, key) != expected:
                assert time.monotonic() < due
                await asyncio.sleep(0.01)

    async with office_of(processes[0], at_once=False) as office, aiohttp.ClientSession() as session:
        north, south = await plant(office, "north"), await plant(office, "south")
        for key in (north, south):
            await within_a_second(session, key, 200)
        others: list[int] = []

        async def keep_asking() -> None:
            while True:
                others.extend([await status(session, process, south) for process in processes])
                await asyncio.sleep(0.01)

        asking = asyncio.ensure_future(keep_asking())
        await office("node", "disable", "north")
        await within_a_second(session, north, 401)
        await office("node", "enable", "north")
        await within_a_second(session, north, 200)
        asking.cancel()
        assert set(others) == {200}
        assert len(others) > 10
