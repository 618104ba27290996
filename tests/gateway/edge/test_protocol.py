"""A connection without a network: what the transport may do to it, one thing at a time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestPayloadError
from edge_fakes import ANSWER, FakeClock, StubLocal, StubPipeline, post

from gateway.edge.limits import EdgeLimits
from gateway.edge.listener import EdgeListener
from gateway.edge.phases import Phase
from gateway.edge.protocol import Connection
from gateway.edge.request_headers import with_one_agent
from gateway.edge.server import DataPlane
from gateway.errors import CallerError, ClientGone


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.state = "open"
        self.paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def write(self, data: Any) -> None:
        self.data += data

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.state != "open"

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Lab:
    """A plane that listens to nothing, with one connection."""

    def __init__(self, limits: EdgeLimits | None = None) -> None:
        self.clock = FakeClock()
        self.pipeline = StubPipeline()
        self.plane = DataPlane(self.pipeline, limits or EdgeLimits(), self.clock, StubLocal())
        loop = asyncio.get_running_loop()
        self.plane._loop = loop
        self.listener = self.plane._listener = EdgeListener(self.plane, loop)

    def connect(self) -> tuple[Connection, Wire]:
        connection, wire = self.listener(), Wire()
        connection.connection_made(wire)
        return connection, wire

    async def turn(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    one = Lab()
    yield one
    for connection in list(one.listener.open):
        connection.connection_lost(None)
    await one.turn()


async def test_a_call_and_its_answer(lab: Lab) -> None:
    connection, wire = lab.connect()
    connection.data_received(post())
    await lab.turn()
    assert wire.data.endswith(ANSWER)
    assert connection.phase is Phase.IDLE
    assert wire.high == EdgeLimits().max_buffer_bytes


async def test_a_connection_that_gets_a_call_before_its_first_turn_is_not_idle(lab: Lab) -> None:
    connection, _ = lab.connect()
    lab.pipeline.hold = asyncio.Event()
    connection.data_received(post())
    assert connection not in lab.listener._idle
    await lab.turn()
    lab.pipeline.hold.set()
    await lab.turn()
    assert connection in lab.listener._idle


async def test_a_connection_that_was_closed_for_another_does_not_count_again(lab: Lab) -> None:
    connection, wire = lab.connect()
    await lab.turn()
    lab.listener._evict(connection)
    assert wire.state == "aborted"
    connection.data_received(post())
    await lab.turn()
    assert lab.listener._places == {}
    connection.connection_lost(None)
    connection.connection_lost(None)
    await lab.turn()


async def test_a_transport_that_is_closing_gets_nothing_more(lab: Lab) -> None:
    connection, wire = lab.connect()
    connection.send(b"a")
    wire.state = "closed"
    await lab.turn()
    assert wire.data == b""
    connection._part()
    assert connection.phase is Phase.CLOSING


async def test_waiting_for_a_client_ends_when_it_leaves(lab: Lab) -> None:
    connection, _ = lab.connect()
    await connection.drain()
    connection.pause_writing()
    waiting = asyncio.ensure_future(connection.drain())
    await lab.turn()
    assert connection.phase is Phase.DRAIN
    connection.connection_lost(OSError())
    with pytest.raises(ClientGone, match="client_closed"):
        await waiting
    with pytest.raises(ClientGone, match="client_closed"):
        await connection.drain()


async def test_waiting_for_a_client_ends_when_it_reads(lab: Lab) -> None:
    connection, _ = lab.connect()
    connection.pause_writing()
    waiting = asyncio.ensure_future(connection.drain())
    await lab.turn()
    connection.resume_writing()
    await waiting
    assert connection.due_ns == 0


async def test_a_deadline_that_comes_with_the_client_reading_again_is_harmless(lab: Lab) -> None:
    connection, _ = lab.connect()
    connection.phase = Phase.DRAIN
    connection.expire()
    connection._drain_waiter = asyncio.get_running_loop().create_future()
    connection._drain_waiter.set_result(None)
    connection.phase = Phase.DRAIN
    connection.expire()
    assert connection.due_ns == 0
    connection.phase = Phase.HEAD


async def test_a_body_that_the_parser_gives_up_is_bad_framing(lab: Lab) -> None:
    connection, _ = lab.connect()
    payload = StreamReader(connection, 1024, loop=asyncio.get_running_loop())
    payload.set_exception(RequestPayloadError())

    class Message:
        headers: dict[str, str] = {}  # noqa: RUF012

    with pytest.raises(CallerError, match="bad_framing"):
        await connection.read_body(Message(), payload, False)  # type: ignore[arg-type]


async def test_a_refused_caller_with_a_large_body_is_read_past_until_the_limit(lab: Lab) -> None:
    connection, wire = lab.connect()
    data = post("/v1/chat/completions", b"x" * 10_000_000, key="wrong")
    connection.data_received(data[:300_000])
    assert wire.paused
    await lab.turn()
    assert b" 401 " in wire.data
    assert connection.phase is Phase.LINGER
    assert not wire.paused
    connection.data_received(data[300_000:1_300_000])
    assert wire.state == "open"
    connection.data_received(data[1_300_000:1_500_000])
    assert wire.state == "aborted"


async def test_a_plane_that_closes_lets_a_body_come_to_its_end(lab: Lab) -> None:
    connection, wire = lab.connect()
    data = post()
    connection.data_received(data[:-10])
    await lab.turn()
    connection.retire()
    connection.data_received(data[-10:])
    await lab.turn()
    assert wire.data.endswith(ANSWER)
    assert wire.state == "closed"
    connection.data_received(b"more")
    assert len(lab.pipeline.calls) == 1


async def test_interrupting_a_connection_whose_life_is_over_does_nothing(lab: Lab) -> None:
    connection, _ = lab.connect()
    connection.connection_lost(None)
    connection.interrupt()
    connection.drop()
    connection.close_softly()
    await lab.turn()


async def test_a_doubled_agent_while_a_call_runs_is_refused(lab: Lab) -> None:
    connection, wire = lab.connect()
    lab.pipeline.hold = asyncio.Event()
    connection.data_received(post())
    await lab.turn()
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: a\r\nUser-Agent: b\r\n\r\n")
    lab.pipeline.hold.set()
    await lab.turn()
    assert wire.data.count(b"HTTP/1.1 200 ") == 1
    assert wire.data.count(b"HTTP/1.1 400 ") == 1


AGENTS = {
    b"GET / HTTP/1.1\r\nUser-Agent: a\r\nUser-Agent: b\r\n\r\nUser-Agent: c\r\n": (
        b"GET / HTTP/1.1\r\nUser-Agent: a\r\n\r\nUser-Agent: c\r\n"
    ),
    b"GET / HTTP/1.1\r\nA: b\r\nuser-agent:a\r\nUSER-AGENT:b\r\nC": (
        b"GET / HTTP/1.1\r\nA: b\r\nuser-agent:a\r\nC"
    ),
    b"rest of a value\r\nUser-Agent: a\r\nUser-Agent: b\r\n\r\n": b"",
    b"": b"",
}


@pytest.mark.parametrize("data", AGENTS)
def test_the_first_agent_stays_and_the_rest_is_untouched(data: bytes) -> None:
    assert with_one_agent(data) == AGENTS[data]


async def test_a_head_that_does_not_begin_with_a_request_is_not_read_again(lab: Lab) -> None:
    connection, wire = lab.connect()
    await lab.turn()
    connection._head.clear()
    connection.data_received(b"\r\nGET / HTTP/1.1\r\nHost: a\r\nUser-Agent: a\r\nUser-Agent: b\r\n\r\n")
    await lab.turn()
    assert b" 400 " in wire.data
