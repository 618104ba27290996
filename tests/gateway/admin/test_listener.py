"""What the admin listener cannot read, or fails at, is answered with a fixed text."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from gateway import log
from gateway.admin.listener import AdminListener
from gateway.privacy.calling import Door, send
from gateway.privacy.cases import Case

CANARY = b"canary"


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """A listener with an application that fails."""

    async def fail(request: web.Request) -> web.Response:
        raise ValueError("canary")

    async def fail_late(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        raise ValueError("canary")

    async def good(request: web.Request) -> web.Response:
        return web.Response(text="good")

    application = web.Application()
    application.router.add_get("/fail", fail)
    application.router.add_get("/late", fail_late)
    application.router.add_get("/", good)
    listener = AdminListener(application)
    await listener.start("127.0.0.1", 0)
    yield Door("127.0.0.1", listener.port)
    await listener.close()


async def ask(door: Door, sent: bytes) -> bytes:
    return await send(door, Case(name="admin", sent=sent))


HEAD = b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /canary" + HEAD + b"canary\r\n\r\n",
        b"canary\r\n\r\n",
        b"GET / HTTP/canary\r\n\r\n",
        b"GET /" + HEAD + b"x: " + b"canary" * 3000 + b"\r\n\r\n",
        b"GET /" + HEAD + b"content-length: canary\r\n\r\n",
        b"\x16\x03\x01canary\r\n\r\n",
    ],
)
async def test_a_request_that_cannot_be_read_is_not_quoted(door: Door, sent: bytes) -> None:
    answer = await ask(door, sent)
    assert answer.startswith(b"HTTP/1.0 400 ") or answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b'{"error":"bad_request"}')
    assert CANARY not in answer
    assert b"aiohttp" not in answer


async def test_a_handler_that_fails_is_not_quoted(door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    log.configure()  # to what is standard error now
    answer = await ask(door, b"GET /fail" + HEAD + b"\r\n")
    assert b" 500 " in answer
    assert answer.endswith(b'{"error":"unavailable"}')
    late = await ask(door, b"GET /late" + HEAD + b"\r\n")
    assert b"begun" in late
    assert not late.endswith(b"0\r\n\r\n")  # broken off, so that the client can tell
    printed = "".join(capfd.readouterr())
    assert "canary" not in printed
    assert printed.count('"event":"admin.failed"') == 2
    assert printed.count('"place":"test_listener.py:') == 2


async def test_what_is_in_order_is_answered(door: Door) -> None:
    assert (await ask(door, b"GET /" + HEAD + b"\r\n")).endswith(b"good")


async def test_closing_before_starting_is_fine() -> None:
    await AdminListener(web.Application()).close()
