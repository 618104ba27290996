"""The bytes of an answer, down to the last."""

import asyncio

import pytest
from edge_fakes import running

from gateway.contracts import Headers
from gateway.edge.sink import ClientSink
from gateway.errors import ClientGone


class Wire:
    """Stands for a connection: keeps what it is given."""

    def __init__(self) -> None:
        self.data = b""
        self.transport: object | None = object()
        self.writing_paused = False
        self.drains = 0
        self.softly_closed = 0

    def send(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None:
        self.drains += 1

    def close_softly(self) -> None:
        self.softly_closed += 1


class Body:
    """Stands for a request's body, read to its end or not."""

    def __init__(self, read: bool = True) -> None:
        self._read = read

    def is_eof(self) -> bool:
        return self._read


def sink(wire: Wire, keep: bool = True, bodyless: bool = False, read: bool = True) -> ClientSink:
    return ClientSink(wire, Body(read), "date: now\r\n", keep, bodyless)  # type: ignore[arg-type]


TYPE: Headers = (("content-type", "text/plain"),)


async def test_an_answer_of_known_length() -> None:
    wire = Wire()
    one = sink(wire)
    assert not one.started
    one.extra.append(("x-gateway-model", "a/b"))
    await one.start(200, TYPE, 5)
    assert one.started
    await one.write(b"he")
    await one.write(b"")
    await one.write(b"llo")
    await one.finish()
    await one.finish()
    assert wire.data == (
        b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-type: text/plain\r\nx-gateway-model: a/b\r\n"
        b"content-length: 5\r\n\r\nhello"
    )
    assert (one.keep, one.finished, one.status, one.sent_bytes) == (True, True, 200, 5)


async def test_an_answer_in_chunks_has_each_piece_whole_and_an_end() -> None:
    wire = Wire()
    one = sink(wire)
    await one.start(200, TYPE, None)
    await one.write(b"data: 1\n\n")
    await one.write(b"x" * 16)
    await one.finish()
    head, _, body = wire.data.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert b"content-length" not in head
    assert body == b"9\r\ndata: 1\n\n\r\n10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n"


async def test_a_broken_answer_has_no_end() -> None:
    wire = Wire()
    one = sink(wire)
    await one.start(200, TYPE, None)
    await one.write(b"data: 1\n\n")
    one.abort()
    assert wire.data.endswith(b"data: 1\n\n\r\n")
    assert wire.softly_closed == 1
    assert not one.keep
    await one.finish()
    assert wire.data.endswith(b"data: 1\n\n\r\n")


async def test_an_answer_shorter_than_announced_is_broken_off() -> None:
    wire = Wire()
    one = sink(wire)
    await one.start(200, TYPE, 10)
    await one.write(b"short")
    await one.finish()
    assert wire.softly_closed == 1
    assert not one.keep


async def test_an_answer_longer_than_announced_is_a_mistake() -> None:
    one = sink(Wire())
    await one.start(200, TYPE, 3)
    with pytest.raises(RuntimeError, match="longer"):
        await one.write(b"much")


async def test_an_answer_starts_once() -> None:
    one = sink(Wire())
    await one.start(200, TYPE, 0)
    with pytest.raises(RuntimeError, match="before"):
        await one.start(200, TYPE, 0)


@pytest.mark.parametrize("length", [5, None])
async def test_a_head_request_gets_no_body(length: int | None) -> None:
    wire = Wire()
    one = sink(wire, bodyless=True)
    await one.start(200, TYPE, length)
    await one.write(b"hello")
    await one.finish()
    assert wire.data.endswith(b"\r\n\r\n")
    assert (b"content-length: 5" in wire.data) is (length == 5)
    assert b"chunked" not in wire.data
    assert wire.softly_closed == 0


@pytest.mark.parametrize("status", [204, 304])
async def test_statuses_without_a_body_get_none(status: int) -> None:
    wire = Wire()
    one = sink(wire)
    await one.start(status, TYPE, None)
    await one.write(b"hello")
    await one.finish()
    assert wire.data.endswith(b"\r\n\r\n")
    assert b"chunked" not in wire.data


async def test_a_status_nobody_named_is_sent_as_a_number() -> None:
    wire = Wire()
    await sink(wire).start(529, TYPE, 0)
    assert wire.data.startswith(b"HTTP/1.1 529 \r\n")


@pytest.mark.parametrize(("keep", "read"), [(False, True), (True, False)])
async def test_the_client_is_told_when_the_connection_will_be_closed(keep: bool, read: bool) -> None:
    wire = Wire()
    one = sink(wire, keep=keep, read=read)
    await one.start(200, TYPE, 0)
    assert wire.data.endswith(b"content-length: 0\r\nconnection: close\r\n\r\n")
    assert not one.keep


async def test_a_lost_connection_is_noticed() -> None:
    wire = Wire()
    one = sink(wire)
    await one.start(200, TYPE, None)
    wire.transport = None
    with pytest.raises(ClientGone, match="client_closed"):
        await one.write(b"x")
    with pytest.raises(ClientGone, match="client_closed"):
        await sink(wire).start(200, TYPE, None)


async def test_a_full_buffer_is_waited_for_and_a_large_piece_cut() -> None:
    wire = Wire()
    one = sink(wire)
    await one.start(200, TYPE, None)
    wire.writing_paused = True
    await one.write(b"x" * 600_000)
    assert wire.drains == 3
    assert wire.data.count(b"40000\r\n") == 2


HOSTILE = ("a\r\nset-cookie: b=c", "a\nb", "a\rb", "a\0b", "caf\u00e9", "\u2028", "a\x7fb", "\r\n\r\nbody")


@pytest.mark.parametrize("value", HOSTILE)
async def test_no_value_can_end_its_line(value: str) -> None:
    wire = Wire()
    one = sink(wire)
    one.extra.append(("x-gateway-model", value))
    await one.start(200, (("x-request-id", value), ("content-type", "a/b")), 0)
    assert wire.data == b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-type: a/b\r\ncontent-length: 0\r\n\r\n"


async def test_what_is_written_in_one_turn_goes_out_in_one_piece_and_no_later() -> None:
    async with running() as bench:
        client = await bench.connect()
        sent: list[int] = []

        async def pipeline(exchange: object, read: object) -> None:
            (connection,) = bench.plane._listener.open  # type: ignore[union-attr]
            transport = connection.transport
            real = connection.flush

            one = exchange.client  # type: ignore[attr-defined]
            await one.start(200, TYPE, None)
            await one.write(b"first")
            await one.write(b"second")
            sent.append(len(connection._out))
            await asyncio.sleep(0)
            sent.append(len(connection._out))
            await one.write(b"x" * 70_000)  # more than is held
            sent.append(len(connection._out))
            assert (transport, real) != (None, None)
            await one.finish()

        bench.plane._pipeline = pipeline
        await client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert (await client.answer())[2] == b"firstsecond" + b"x" * 70_000
        assert sent == [3, 0, 0]
