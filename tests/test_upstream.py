"""The test provider: what it records, scripts and adds."""

import asyncio

import aiohttp
import pytest

from tests.upstream import CUT, NOISE, Scripted, Upstream

CHAT = {"model": "echo-1", "messages": [{"role": "user", "content": "Hello"}]}


async def test_a_request_is_kept_as_it_came() -> None:
    async with Upstream() as upstream, aiohttp.ClientSession() as session:
        async with session.post(
            upstream.openai + "/chat/completions?x=%20a", json=CHAT, headers={"X-Odd-Case": "one"}
        ) as answer:
            assert answer.status == 200
            assert (await answer.json())["choices"][0]["message"]["content"] == "Hello"
        received = upstream.last
    assert received.target == "/v1/chat/completions?x=%20a"
    assert ("X-Odd-Case", "one") in received.headers
    assert received.header("x-odd-case") == "one"
    assert received.header("x-none") is None
    assert received.json == CHAT
    assert received.finished
    assert received.closed_s is None


async def test_a_script_is_played_by_the_letter_once() -> None:
    scripted = Scripted(418, [("content-type", "text/odd")], [b"one", 0.001, b"two"])
    async with Upstream() as upstream, aiohttp.ClientSession() as session:
        upstream.script(scripted)
        async with session.post(upstream.url + "/v1/chat/completions", json=CHAT) as answer:
            assert answer.status == 418
            assert answer.headers["content-type"] == "text/odd"
            assert await answer.read() == b"onetwo"
        async with session.post(upstream.url + "/v1/chat/completions", json=CHAT) as answer:
            assert answer.status == 200


async def test_a_script_can_break_off() -> None:
    async with Upstream() as upstream, aiohttp.ClientSession() as session:
        upstream.script(Scripted(200, [("content-type", "text/event-stream")], [b"one", CUT, b"two"]))
        async with session.post(upstream.url + "/v1/chat/completions", json=CHAT) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/messages", "/v1/models/echo-1:generateContent"]
)
async def test_a_wrong_key_is_refused_and_the_right_one_is_not(path: str) -> None:
    async with Upstream() as upstream, aiohttp.ClientSession() as session:
        upstream.require_key("right")
        async with session.post(upstream.url + path, json=CHAT | {"max_tokens": 9}) as answer:
            assert answer.status in (400, 401)
            assert "error" in await answer.json()
        for name, value in (
            ("authorization", "Bearer right"),
            ("x-api-key", "right"),
            ("x-goog-api-key", "right"),
        ):
            body = CHAT | {"max_tokens": 9, "contents": []}
            async with session.post(upstream.url + path, json=body, headers={name: value}) as answer:
                assert answer.status == 200


async def test_more_fields_are_put_on_answers() -> None:
    async with Upstream() as upstream, aiohttp.ClientSession() as session:
        upstream.add_headers(NOISE)
        async with session.post(upstream.openai + "/chat/completions", json=CHAT) as answer:
            assert answer.headers.getall("set-cookie") == ["session=canary; Path=/", "other=canary"]
            assert answer.headers["server"] == "canary/1.0"
            assert answer.headers.getall("x-request-id") == ["req_noise"]
    assert len(NOISE) >= 40


async def test_a_client_that_leaves_is_noticed() -> None:
    async with Upstream("delay=0.02,tokens=1000") as upstream, aiohttp.ClientSession() as session:
        answer = await session.post(upstream.openai + "/chat/completions", json=CHAT | {"stream": True})
        await answer.content.readany()
        answer.close()
        async with asyncio.timeout(2):
            while upstream.last.closed_s is None:  # noqa: ASYNC110 - polled, as it comes from the server's task
                await asyncio.sleep(0.005)
        assert not upstream.last.finished
        assert upstream.echo.in_flight == 0


@pytest.mark.parametrize("tail", ["", ",torn=1"])
async def test_ordered_breaks_reach_the_wire(tail: str) -> None:
    async with Upstream(f"cut=2{tail}") as upstream, aiohttp.ClientSession() as session:
        answer = await session.post(upstream.openai + "/chat/completions", json=CHAT | {"stream": True})
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    async with Upstream(f"cut=1{tail}") as upstream, aiohttp.ClientSession() as session:
        answer = await session.post(upstream.openai + "/chat/completions", json=CHAT)
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_provider_that_cannot_be_reached_is_a_broken_connection() -> None:
    async with Upstream("fault=unreachable") as upstream, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.post(upstream.openai + "/chat/completions", json=CHAT)


async def test_lists_of_models_are_in_the_shape_of_the_asker() -> None:
    async with Upstream() as upstream, aiohttp.ClientSession() as session:
        shapes = []
        for headers in ({}, {"anthropic-version": "2023-06-01"}, {"x-goog-api-key": "k"}):
            async with session.get(upstream.url + "/v1/models", headers=headers) as answer:
                shapes.append(set(await answer.json()))
        async with session.post(upstream.url + "/v1/nothing") as answer:
            assert answer.status == 404
    assert shapes == [{"object", "data"}, {"data", "has_more", "first_id", "last_id"}, {"models"}]


async def test_waiting_for_requests_ends_when_they_came() -> None:
    async with Upstream() as upstream, aiohttp.ClientSession() as session:
        waiting = asyncio.ensure_future(upstream.until(1))
        async with session.get(upstream.url + "/v1/models"):
            await waiting
        with pytest.raises(TimeoutError):
            await upstream.until(2, 0.01)
