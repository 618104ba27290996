"""The hostile server: each of its faults does what its name says, on a raw connection."""

import asyncio
import gzip

import pytest

from tests import hostile
from tests.hostile import FAULTS, Hostile

REQUEST = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody"


async def ask(server: Hostile, first_s: float = 1.0) -> bytes:
    """What the server says until it closes, is silent for a moment, or has said it for long enough."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 20)
    data, wait_s, end_s = b"", first_s, asyncio.get_running_loop().time() + 1.0
    try:
        writer.write(REQUEST)
        while len(data) < 4 << 20 and asyncio.get_running_loop().time() < end_s:
            async with asyncio.timeout(wait_s):
                piece = await reader.read(1 << 20)
            if not piece:
                break
            data += piece
            wait_s, end_s = 0.03, min(end_s, asyncio.get_running_loop().time() + 0.05)
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.transport.abort()
    return data


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_each_fault_runs_and_lets_go_of_its_connection(name: str) -> None:
    async with Hostile(FAULTS[name]) as server:
        data = await ask(server, 0.03 if name in SPEECHLESS else 1.0)
        if name != "never_reads":
            await server.quiet()
        assert server.connections == 1
        assert bool(data) is (name not in SPEECHLESS)


SPEECHLESS = {
    "never_answers", "never_reads", "reset_on_accept", "close_on_accept", "reset_before_head",
    "close_before_head", "half_close_before_head",
}  # fmt: skip


async def test_faults_are_played_in_turn_and_requests_are_kept() -> None:
    async with Hostile(hostile.redirect(307, "http://127.0.0.1:1/"), hostile.fine) as server:
        first, second = await ask(server), await ask(server)
    assert first.startswith(b"HTTP/1.1 307 ")
    assert b"location: http://127.0.0.1:1/" in first
    assert second.startswith(b"HTTP/1.1 200 ")
    assert [heard.body for heard in server.requests] == [b"body", b"body"]
    assert server.requests[0].field("Host") == "a"
    assert server.requests[0].field("x-none") is None


async def test_a_chunked_request_is_put_together() -> None:
    async with Hostile(hostile.fine) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
    assert server.requests[0].body == b"abcde"


async def test_a_drip_sends_each_byte_as_a_chunk() -> None:
    async with Hostile(hostile.slow_drip(0.0, b"ab")) as server:
        assert b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n" in await ask(server)


async def test_a_pause_is_sent_as_it_was_given() -> None:
    async with Hostile(hostile.retry_after("NaN")) as server:
        assert b"retry-after: NaN\r\n" in await ask(server)


def test_the_bomb_is_small_and_unpacks_to_a_hundred_megabytes() -> None:
    packed = hostile._bomb()
    assert len(packed) < 200_000
    assert len(gzip.decompress(packed)) == 100 << 20  # which also checks the sum at its end
