"""Deadlines, sizes and counts: what one client may take from the others."""

import asyncio
import socket
from ipaddress import ip_network

import pytest
from edge_fakes import ANSWER, Bench, Client, FakeClock, post, running, status_of, until

from gateway.edge.limits import EdgeLimits
from gateway.edge.listener import place_of

CHAT = "/v1/chat/completions"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


async def settled(bench: Bench) -> None:
    """Let what was written arrive at the server."""
    await asyncio.sleep(0.005)


async def later(bench: Bench, seconds: float) -> None:
    """Let time pass on the fake clock, and deadlines be looked at."""
    bench.clock.pass_s(seconds)
    bench.plane.sweep()
    await asyncio.sleep(0.005)


async def closed(client: Client) -> bool:
    """Whether the server closed the connection; what it said before that is dropped."""
    try:
        await asyncio.wait_for(client.reader.read(), 0.03)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


# --- B1: heads ---


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with running(clock=FakeClock()) as bench:
        client = await bench.connect()
        await settled(bench)
        await later(bench, 14)
        assert bench.plane.connections == 1
        await later(bench, 2)
        assert await client.rest() == b""
        assert bench.plane.connections == 0


async def test_a_head_that_drips_is_cut_at_its_deadline() -> None:
    async with running(clock=FakeClock()) as bench:
        client = await bench.connect()
        for octet in range(16):
            client.writer.write(HEALTH[octet : octet + 1])
            await settled(bench)
            await later(bench, 1)
        answer = await client.rest()
        assert status_of(answer) == 408
        assert b"connection: close" in answer


async def test_a_head_that_drips_on_a_used_connection_is_cut_too() -> None:
    async with running(clock=FakeClock()) as bench:
        client = await bench.connect()
        await client.send(HEALTH)
        assert (await client.answer())[0] == 200
        await later(bench, 70)
        await client.send(b"GET /heal")
        await settled(bench)
        await later(bench, 14)
        assert bench.plane.connections == 1
        await client.send(b"thz HTTP/1.1\r\n")
        await settled(bench)
        await later(bench, 2)
        assert status_of(await client.rest()) == 408


async def test_the_rest_of_a_head_that_came_with_a_call_has_its_deadline() -> None:
    async with running(clock=FakeClock()) as bench:
        bench.pipeline.hold = asyncio.Event()
        client = await bench.connect()
        await client.send(post())
        await settled(bench)
        await client.send(b"GET /heal")
        await settled(bench)
        bench.pipeline.hold.set()
        assert (await client.answer())[0] == 200
        await settled(bench)
        await later(bench, 16)
        assert status_of(await client.rest()) == 408


async def test_a_head_in_crumbs_may_not_grow_beyond_its_limit() -> None:
    async with running(EdgeLimits(max_head_bytes=2000, max_line_bytes=8000)) as bench:
        client = await bench.connect()
        for i in range(30):
            client.writer.write(
                b"GET / HTTP/1.1\r\nHost: a\r\n" if not i else b"x-%d: " % i + b"y" * 100 + b"\r\n"
            )
            await client.turn()
        assert status_of(await client.rest()) == 431


# --- idle connections ---


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    async with running(clock=FakeClock()) as bench:
        client = await bench.connect()
        for _ in range(2):
            await client.send(HEALTH)
            assert (await client.answer())[0] == 200
            await settled(bench)
            await later(bench, 74)
            assert bench.plane.connections == 1
        await later(bench, 2)
        assert await client.rest() == b""


async def test_a_call_has_no_deadline_of_the_edge() -> None:
    async with running(clock=FakeClock()) as bench:
        bench.pipeline.hold = asyncio.Event()
        client = await bench.connect()
        await client.send(post())
        await settled(bench)
        await later(bench, 3600)
        bench.pipeline.hold.set()
        assert (await client.answer())[0] == 200


# --- B2, B5: bodies ---


async def test_a_body_that_drips_is_cut() -> None:
    async with running(clock=FakeClock()) as bench:
        client = await bench.connect()
        data = post(CHAT, b"x" * 1000)
        await client.send(data[:-1000])
        for _ in range(11):
            await client.send(b"x")
            await settled(bench)
            await later(bench, 1)
        status, fields, body = await client.answer()
        assert (status, fields["connection"]) == (408, "close")
        assert b"request_timeout" in body
        assert bench.pipeline.errors == ["request_timeout"]


async def test_a_large_body_has_time_in_proportion_to_what_came() -> None:
    async with running(clock=FakeClock()) as bench:
        client = await bench.connect()
        body = b'{"model":"m","messages":[{"role":"user","content":"' + b"x" * 512 * 1024 + b'"}]}'
        data = post(CHAT, body)
        for start in range(0, len(data), 64 * 1024):
            await client.send(data[start : start + 64 * 1024])
            await settled(bench)
            await later(bench, 4)
        assert (await client.answer())[0] == 200


@pytest.mark.parametrize("how", ["declared", "undeclared", "huge", "at once"])
async def test_a_body_above_the_limit_is_refused_before_much_of_it_is_read(how: str) -> None:
    limits = EdgeLimits(max_body_bytes=100_000)
    async with running(limits) as bench:
        client = await bench.connect()
        head = post(CHAT, b"")[: -len("Content-Length: 0\r\n\r\n")]
        if how == "declared":
            await client.send(head + b"Content-Length: 100001\r\n\r\n")
        elif how == "huge":
            await client.send(head + b"Content-Length: " + b"9" * 19 + b"\r\n\r\n")
        elif how == "at once":
            await client.send(post(CHAT, b"x" * 100_001))
        else:
            await client.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(100):
                client.writer.write(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
                await client.turn()
        status, fields, body = await client.answer()
        assert status == 413
        assert ("connection" in fields) is (how != "at once")  # that body is read already
        assert b"body_too_large" in body
        assert bench.pipeline.calls == []


async def test_a_body_of_exactly_the_limit_is_taken() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"a"}]}'
    async with running(EdgeLimits(max_body_bytes=len(body))) as bench:
        assert status_of(await bench.ask_one(post(CHAT, body))) == 200
        assert status_of(await bench.ask_one(post(CHAT, body + b" "))) == 413


async def test_what_is_thrown_away_after_a_refusal_is_limited() -> None:
    async with running(EdgeLimits(linger_bytes=100_000)) as bench:
        client = await bench.connect()
        client.writer.write(post(CHAT, b"x" * 50_000_000, key="wrong"))
        answer = await client.rest()
        assert status_of(answer) in (401, 0)  # 0: our reset overtook the answer
        await until(lambda: bench.plane.connections == 0)


async def test_a_client_that_never_closes_after_a_refusal_is_closed() -> None:
    async with running(clock=FakeClock()) as bench:
        client = await bench.connect()
        await client.send(b"garbage\r\n\r\n")
        assert status_of(await client.rest()) == 400
        assert bench.plane.connections == 1  # ours is half closed, waiting for the other half
        await client.send(b"more garbage")
        await later(bench, 3)
        await until(lambda: bench.plane.connections == 0)


# --- B4: clients that do not read ---


def deaf(bench: Bench) -> socket.socket:
    """A client with a small window that never reads."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", bench.port))
    one.setblocking(False)
    return one


async def test_a_client_that_does_not_read_pauses_the_answer_and_is_cut() -> None:
    async with running(clock=FakeClock()) as bench:
        bench.pipeline.length = None
        bench.pipeline.parts = [b"x" * 16 * 1024] * 4000
        client = deaf(bench)
        client.sendall(post())
        await until(lambda: bench.pipeline.running == 1)
        await asyncio.sleep(0.05)
        (connection,) = bench.plane._listener.open  # type: ignore[union-attr]
        assert connection.transport is not None
        assert 0 < connection.transport.get_write_buffer_size() <= 1024 * 1024
        await later(bench, 29)
        assert bench.pipeline.running == 1
        await later(bench, 2)
        await until(lambda: bench.pipeline.running == 0)
        assert bench.pipeline.errors == ["client_too_slow"]
        await later(bench, 31)
        await until(lambda: bench.plane.connections == 0)
        client.close()


async def test_a_client_that_reads_again_gets_all_of_it() -> None:
    async with running() as bench:
        bench.pipeline.length = None
        bench.pipeline.parts = [bytes([65 + i % 26]) * 64 * 1024 for i in range(150)]
        client = deaf(bench)
        client.sendall(post())
        await until(lambda: bench.pipeline.running == 1)
        await until(lambda: any(one.writing_paused for one in bench.plane._listener.open))  # type: ignore[union-attr]
        loop = asyncio.get_running_loop()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        body = bytearray()
        while not body.endswith(b"\r\n0\r\n\r\n"):
            body += await loop.sock_recv(client, 1024 * 1024)
        client.close()
        for part in bench.pipeline.parts:
            assert part in body
        assert bench.pipeline.errors == []


async def test_a_client_that_leaves_while_it_is_waited_for_ends_its_call() -> None:
    async with running() as bench:
        bench.pipeline.length = None
        bench.pipeline.parts = [b"x" * 16 * 1024] * 4000
        client = deaf(bench)
        client.sendall(post())
        await until(lambda: bench.pipeline.running == 1)
        await asyncio.sleep(0.03)
        client.close()
        await until(lambda: bench.pipeline.running == 0)
        await until(lambda: bench.plane.connections == 0)


async def test_one_large_answer_is_handed_over_in_pieces() -> None:
    async with running() as bench:
        bench.pipeline.parts = [b"y" * 3_000_000]
        bench.pipeline.length = 3_000_000
        client = await bench.connect()
        await client.send(post())
        assert (await client.answer())[2] == b"y" * 3_000_000


# --- B3: connections ---


async def test_of_too_many_connections_the_one_that_idles_longest_is_closed() -> None:
    async with running(EdgeLimits(max_connections=3)) as bench:
        clients = [await bench.connect() for _ in range(3)]
        for client in (clients[1], clients[0]):  # now the third has been idle longest, then the second
            await client.send(HEALTH)
            assert (await client.answer())[0] == 200
        more = [await bench.connect() for _ in range(2)]
        await settled(bench)
        assert await closed(clients[2])
        assert await closed(clients[1])
        for client in (clients[0], *more):
            await client.send(HEALTH)
            assert (await client.answer())[0] == 200
        assert bench.plane.connections == 3


async def test_from_one_address_come_only_so_many() -> None:
    async with running(EdgeLimits(max_connections_per_address=2)) as bench:
        clients = [await bench.connect() for _ in range(5)]
        await settled(bench)
        assert bench.plane.connections == 2
        assert [await closed(client) for client in clients] == [True, True, True, False, False]


@pytest.mark.parametrize("limits", [EdgeLimits(max_connections=2), EdgeLimits(max_connections_per_address=2)])
async def test_when_all_connections_are_busy_a_new_one_is_turned_away(limits: EdgeLimits) -> None:
    async with running(limits) as bench:
        bench.pipeline.hold = asyncio.Event()
        busy = [await bench.connect() for _ in range(2)]
        for client in busy:
            await client.send(post())
        await until(lambda: bench.pipeline.running == 2)
        answer = await (await bench.connect()).rest()
        assert status_of(answer) == 503
        assert b"overloaded" in answer
        assert bench.plane.connections == 2
        bench.pipeline.hold.set()
        for client in busy:
            assert (await client.answer())[0] == 200
        assert status_of(await bench.ask_one(HEALTH)) == 200


async def test_of_too_many_calls_the_last_are_turned_away() -> None:
    async with running(EdgeLimits(max_open_calls=1)) as bench:
        bench.pipeline.hold = asyncio.Event()
        first, second = await bench.connect(), await bench.connect()
        await first.send(post())
        await until(lambda: bench.pipeline.running == 1)
        await second.send(post())
        status, _, body = await second.answer()
        assert status == 503
        assert b"unavailable" in body
        assert status_of(await bench.ask_one(HEALTH)) == 200
        bench.pipeline.hold.set()
        assert (await first.answer())[2] == ANSWER


async def test_five_hundred_connections_come_and_go_and_leave_nothing() -> None:
    async with running(EdgeLimits(max_connections=100)) as bench:
        for _ in range(5):
            clients = [await bench.connect() for _ in range(100)]
            assert status_of(await bench.ask_one(HEALTH)) == 200
            for client in clients:
                await client.close()
        await until(lambda: bench.plane.connections == 0)
        listener = bench.plane._listener
        assert listener is not None
        assert (listener._places, listener._idle) == ({}, {})


PLACES = {
    "127.0.0.1": "127.0.0.1",
    "::ffff:127.0.0.1": "127.0.0.1",
    "2001:db8:1:2:3:4:5:6": "2001:0db8:0001:0002",
    "2001:db8:1:2::9": "2001:0db8:0001:0002",
    "fe80::1%eth0": "fe80:0000:0000:0000",
    "10.0.0.1": "",
    "::ffff:10.0.0.1": "",
    "fd00::1": "",
    "": "unknown",
}


@pytest.mark.parametrize("address", PLACES)
def test_connections_are_counted_by_address_or_network_and_proxies_are_not(address: str) -> None:
    limits = EdgeLimits(trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
    assert place_of(address, limits) == PLACES[address]
