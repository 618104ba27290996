"""Requests that are no proper HTTP, byte for byte: refused in fixed words, the connection closed."""

import pytest
from edge_fakes import ANSWER, GOOD_KEY, Bench, post, running, status_of

from gateway.errors import CODES

CANARY = "c4n4ry0xdeadbeef"
BODY = b'{"model":"m","messages":[{"role":"user","content":"' + CANARY.encode() + b'"}]}'
LENGTH = f"Content-Length: {len(BODY)}"
JSON = "Content-Type: application/json"
AUTH = f"Authorization: Bearer {GOOD_KEY}"


def head(*fields: str, line: str = "POST /v1/chat/completions HTTP/1.1") -> bytes:
    """A head with the usual fields and these."""
    return "\r\n".join([line, "Host: localhost", JSON, AUTH, f"X-Note: {CANARY}", *fields, "", ""]).encode(
        "latin-1"
    )


CHUNKED = "Transfer-Encoding: chunked"

REFUSED: dict[str, tuple[bytes, int]] = {
    # A1: two framings at once
    "length then chunked": (head(LENGTH, CHUNKED) + BODY, 400),
    "chunked then length": (head(CHUNKED, LENGTH) + BODY, 400),
    # A2: content-length that is not one number
    "two lengths, equal": (head(LENGTH, LENGTH) + BODY, 400),
    "two lengths, different": (head(LENGTH, "Content-Length: 3") + BODY, 400),
    "length with plus": (head("Content-Length: +3") + BODY, 400),
    "negative length": (head("Content-Length: -1") + BODY, 400),
    "hexadecimal length": (head("Content-Length: 0x3") + BODY, 400),
    "length beyond 64 bits": (head(f"Content-Length: {2**70}") + BODY, 400),
    "length as a list": (head("Content-Length: 3, 3") + BODY, 400),
    "empty length": (head("Content-Length: ") + BODY, 400),
    # A3: transfer-encoding that is not chunked
    "identity": (head("Transfer-Encoding: identity") + BODY, 400),
    "xchunked": (head("Transfer-Encoding: xchunked") + BODY, 400),
    "chunked, identity": (head("Transfer-Encoding: chunked, identity") + BODY, 400),
    "transfer-encoding twice": (head(CHUNKED, CHUNKED) + BODY, 400),
    "space before the colon": (head("Transfer-Encoding : chunked") + BODY, 400),
    # A4, A5
    "gzip, chunked": (head("Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 501),
    "chunked on HTTP/1.0": (
        head(CHUNKED, line="POST /v1/chat/completions HTTP/1.0") + b"0\r\n\r\n",
        400,
    ),
    # A6
    "HTTP/0.9": (b"GET /healthz\r\n\r\n", 400),
    "HTTP/0.9 with a number": (b"GET /healthz HTTP/0.9\r\nHost: a\r\n\r\n", 400),
    "HTTP/1.0 on a call": (head(LENGTH, line="POST /v1/chat/completions HTTP/1.0") + BODY, 400),
    "HTTP/1.2": (b"GET /healthz HTTP/1.2\r\nHost: a\r\n\r\n", 400),
    "HTTP/2.0": (b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", 400),
    # A7: chunks
    "chunk extension with a bare line feed": (head(CHUNKED) + b"3;a\nb\r\nabc\r\n0\r\n\r\n", 400),
    "chunk size 0x3": (head(CHUNKED) + b"0x3\r\nabc\r\n0\r\n\r\n", 400),
    "chunk size too large": (head(CHUNKED) + b"f" * 20 + b"\r\nabc\r\n0\r\n\r\n", 400),
    "chunk longer than its size": (head(CHUNKED) + b"3\r\nabcdef\r\n0\r\n\r\n", 400),
    "chunks with bare line feeds": (head(CHUNKED) + b"3\nabc\n0\n\n", 400),
    "negative chunk size": (head(CHUNKED) + b"-3\r\nabc\r\n0\r\n\r\n", 400),
    "empty chunk size": (head(CHUNKED) + b"\r\nabc\r\n0\r\n\r\n", 400),
    # A8: trailers
    "10,000 trailers": (
        head(CHUNKED) + b"3\r\nabc\r\n0\r\n" + b"".join(b"x-%d: y\r\n" % i for i in range(10_000)) + b"\r\n",
        431,
    ),
    "content-length as a trailer": (
        head(CHUNKED) + b"3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n",
        400,
    ),
    # A9: octets that do not belong into heads
    "bare line feeds": (head(LENGTH).replace(b"\r\n", b"\n") + BODY, 400),
    "bare carriage return": (head("X-A: a\rX-B: b", LENGTH) + BODY, 400),
    "NUL in a value": (head("X-A: a\0b", LENGTH) + BODY, 400),
    "ESC in a value": (head("X-A: a\x1bb", LENGTH) + BODY, 400),
    "folded value": (head("X-A: a\r\n b", LENGTH) + BODY, 400),
    "folded with a tab": (head("X-A: a\r\n\tb", LENGTH) + BODY, 400),
    "NUL in a name": (head("X-\0A: a", LENGTH) + BODY, 400),
    "space in a name": (head("X A: a", LENGTH) + BODY, 400),
    "empty name": (head(": a", LENGTH) + BODY, 400),
    "no colon": (head("just words " + CANARY, LENGTH) + BODY, 400),
    "leading space": (head(" X-A: a", LENGTH) + BODY, 400),
    # A11: authority
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "empty host": (b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "two hosts": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "absolute form": (b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "absolute form, other host": (b"GET http://evil/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "no slash": (b"GET healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "fragment": (b"GET /healthz#a HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "fragment in the query": (b"GET /healthz?a#b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    # A13
    "CONNECT": (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "unknown method": (b"BREW /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "lower-case method": (b"get /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + CANARY.encode(), 400),
    "noise": (CANARY.encode() * 5 + b"\r\n\r\n", 400),
    # A17
    "unknown expectation": (head("Expect: 200-ok", LENGTH), 417),
    "two expectations": (head("Expect: 100-continue", "Expect: 100-continue", LENGTH), 417),
    # B8
    "a URL of 9 KB": (head(line="POST /v1/" + CANARY * 600 + " HTTP/1.1"), 431),
    "a field of 9 KB": (head("X-A: " + CANARY * 600), 431),
    "a name of 9 KB": (head(CANARY * 600 + ": a"), 431),
    "200 fields": (head(*[f"x-{i}: {CANARY}" for i in range(200)]), 431),
    "20,000 fields": (head(*[f"x-{i}: {CANARY}" for i in range(20_000)]), 431),
    "200 fields of 8 KB": (head(*[f"x-{i}: " + CANARY * 500 for i in range(200)]), 431),
    # F1
    "a malformed line with a key": (head("Authorization Bearer " + CANARY, LENGTH), 400),
} | {
    f"host {bad!r}": (b"GET /healthz HTTP/1.1\r\nHost: " + bad + b"\r\n\r\n", 400)
    for bad in b"a/b|a@b|a?b|a#b|a b|a\\b|a,b|a:b|a:1:2|[::1|\xc3\xa4|\xff|a%41|a..b/|.".split(b"|")[:-1]
}  # fmt: skip


async def assert_well(bench: Bench) -> None:
    """The next usual call succeeds, and nothing was told or logged that came from the outside."""
    client = await bench.connect()
    await client.send(post())
    assert (await client.answer())[::2] == (200, ANSWER)
    logged = bench.logged.getvalue()
    assert CANARY not in logged
    assert "Traceback" not in logged


@pytest.mark.parametrize("name", REFUSED)
async def test_a_request_that_is_no_proper_http_is_refused_and_the_connection_closed(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data, status = REFUSED[name]
    async with running() as bench:
        answer = await bench.ask(data)
        assert status_of(answer) == status
        assert b"connection: close" in answer
        assert CANARY.encode() not in answer
        body = answer.partition(b"\r\n\r\n")[2]
        assert any(text.encode() in body for _, text in CODES.values())
        assert bench.pipeline.calls == []
        await assert_well(bench)
    told = capfd.readouterr()
    assert CANARY not in told.err + told.out
    assert told.err == ""


@pytest.mark.parametrize("name", REFUSED)
async def test_it_is_refused_the_same_when_it_comes_byte_by_byte_after_a_good_call(name: str) -> None:
    data, status = REFUSED[name]
    if len(data) > 3000:
        data = data[:3000]  # too large to be sent in crumbs; cut, it never becomes complete
        status = 0
    async with running() as bench:
        client = await bench.connect()
        await client.send(post())
        assert (await client.answer())[0] == 200
        for start in range(0, len(data), 1 if len(data) < 700 else 50):
            client.writer.write(data[start : start + (1 if len(data) < 700 else 50)])
            await client.turn()
        if status:
            answer = await client.rest()
            assert status_of(answer) == status
            assert CANARY.encode() not in answer
        assert CANARY not in bench.logged.getvalue()


LEFTOVERS = {
    "text": CANARY.encode() * 3,
    "a line": CANARY.encode() + b"\r\n\r\n",
    "a request line": b"POST /" + CANARY.encode() + b" HTTP/1.1\r\nbroken line\r\n\r\n",
    "JSON": b'{"content":"' + CANARY.encode() + b'"}\r\n',
    "binary": b"\x00\xff" + CANARY.encode(),
}


@pytest.mark.parametrize("name", LEFTOVERS)
@pytest.mark.parametrize("together", [True, False])
async def test_what_follows_a_body_that_is_longer_than_announced_is_never_told(
    name: str, together: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    async with running() as bench:
        client = await bench.connect()
        await client.send(post(body=BODY) + LEFTOVERS[name] if together else post(body=BODY))
        if not together:
            await client.answer()
            await client.send(LEFTOVERS[name])
        answer = await client.rest()
        assert status_of(answer) == 400 or answer.count(b" 400 ") == 1
        assert CANARY.encode() not in answer
        await assert_well(bench)
    told = capfd.readouterr()
    assert CANARY not in told.err + told.out


async def test_trailers_are_dropped_and_never_become_headers() -> None:
    async with running() as bench:
        client = await bench.connect()
        trailers = b"Authorization: Bearer other\r\nx-gateway-feature: sneaked\r\nHost: evil\r\n\r\n"
        await client.send(head(CHUNKED) + b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY) + trailers)
        assert (await client.answer())[0] == 200
        assert bench.pipeline.calls[0].tags.feature is None


async def test_three_calls_in_one_write_are_answered_in_order_and_run_once_each() -> None:
    async with running() as bench:
        client = await bench.connect()
        await client.send(b"".join(post(body=b'{"model":"m%d","messages":[{}]}' % i) for i in range(3)))
        for _ in range(3):
            assert (await client.answer())[0] == 200
        assert [call.model for call in bench.pipeline.calls] == ["m0", "m1", "m2"]


async def test_more_calls_than_may_be_read_ahead_still_are_all_answered() -> None:
    async with running() as bench:
        client = await bench.connect()
        await client.send(b"".join(post(body=b'{"model":"m%d","messages":[{}]}' % i) for i in range(60)))
        for _ in range(60):
            assert (await client.answer())[0] == 200
        assert len(bench.pipeline.calls) == 60


async def test_a_good_call_before_garbage_in_a_later_packet_is_answered_first() -> None:
    async with running() as bench:
        bench.pipeline.hold = None
        client = await bench.connect()
        await client.send(post())
        await client.turn()
        await client.send(b"garbage\r\n\r\n")
        assert (await client.answer())[0] == 200
        assert (await client.answer())[0] == 400
        assert await client.rest() == b""


async def test_a_body_on_a_get_is_dropped_and_the_next_call_framed_alone() -> None:
    async with running() as bench:
        client = await bench.connect()
        await client.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + post())
        assert (await client.answer())[0] == 200
        assert (await client.answer())[2] == ANSWER


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.2"])
async def test_an_upgrade_is_ignored_and_the_call_answered(protocol: str) -> None:
    async with running() as bench:
        client = await bench.connect()
        await client.send(post("/v1/chat/completions", BODY, f"Upgrade: {protocol}", "Connection: Upgrade"))
        status, fields, _ = await client.answer()
        assert (status, fields["connection"]) == (200, "close")
        assert dict(bench.pipeline.calls[0].headers).keys().isdisjoint({"upgrade", "connection"})
        assert await client.rest() == b""
