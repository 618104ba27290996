"""The data plane: from a path to its dialect and back, and the life of its listener."""

import asyncio
import logging
import ssl
import subprocess
from ipaddress import ip_network
from pathlib import Path

import pytest
from edge_fakes import ANSWER, GOOD_KEY, FakeClock, post, running, status_of, until

from gateway import log
from gateway.content import Content
from gateway.contracts import Headers
from gateway.edge.limits import EdgeLimits
from gateway.edge.quiet import silence
from gateway.errors import (
    ClientGone,
    CredentialDead,
    GatewayError,
    OurError,
    OverLimit,
    UpstreamAnswer,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
)
from gateway.exchange import Exchange
from gateway.records import PathKind

CHAT = b'{"model":"m","messages":[{"role":"user","content":"a"}]}'
CALLS = {
    "/v1/chat/completions": ("openai_chat", PathKind.CHAT, CHAT),
    "/openai/v1/chat/completions": ("openai_chat", PathKind.CHAT, CHAT),
    "/v1/messages": ("anthropic_messages", PathKind.MESSAGES, CHAT.replace(b"{", b'{"max_tokens":5,', 1)),
    "/v1/messages?beta=true": (
        "anthropic_messages",
        PathKind.MESSAGES,
        CHAT.replace(b"{", b'{"max_tokens":5,', 1),
    ),
    "/v1beta/models/m:generateContent": (
        "gemini_generate",
        PathKind.GENERATE,
        b'{"contents":[{"role":"user","parts":[{"text":"a"}]}]}',
    ),
}


@pytest.mark.parametrize("path", CALLS)
async def test_a_path_leads_to_its_dialect(path: str) -> None:
    dialect, kind, body = CALLS[path]
    async with running() as bench:
        client = await bench.connect()
        await client.send(post(path, body))
        assert (await client.answer())[::2] == (200, ANSWER)
        call = bench.pipeline.calls[0]
        assert (call.dialect, call.kind, call.model) == (dialect, kind, "m")


async def test_groqs_own_paths_prefer_groq() -> None:
    async with running() as bench:
        preferred = []

        async def pipeline(exchange: Exchange, read: object) -> None:
            preferred.append(exchange.prefers)
            exchange.error = OurError("unavailable")

        bench.plane._pipeline = pipeline
        for path in ("/openai/v1/chat/completions", "/v1/chat/completions"):
            assert status_of(await bench.ask_one(post(path))) == 503
        assert preferred == ["groq", None]


async def test_a_list_of_models_is_a_call_without_a_body() -> None:
    async with running() as bench:
        for method in ("GET", "HEAD"):
            head = f"{method} /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {GOOD_KEY}\r\n\r\n"
            answer = await bench.ask_one(head.encode())
            assert status_of(answer) == 200
        assert [call.kind for call in bench.pipeline.calls] == [PathKind.MODELS] * 2


async def test_health_needs_no_key_and_speaks_http_1_0_too() -> None:
    async with running() as bench:
        for path in ("/", "/healthz", "/readyz"):
            for line in (
                f"GET {path} HTTP/1.1\r\nHost: a",
                f"HEAD {path} HTTP/1.1\r\nHost: a",
                f"GET {path} HTTP/1.0",
            ):
                assert status_of(await bench.ask_one(line.encode() + b"\r\n\r\n")) == 200
            assert status_of(await bench.ask_one(f"POST {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())) == 405
        for host in (b"Host: a\r\nHost: b", b"Host: a/b"):
            assert status_of(await bench.ask_one(b"GET / HTTP/1.0\r\n" + host + b"\r\n\r\n")) == 400
        bench.local.good = False
        assert status_of(await bench.ask_one(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")) == 503
        assert status_of(await bench.ask_one(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")) == 200


async def test_a_hook_answers_for_the_callers_own_key() -> None:
    async with running() as bench:
        client = await bench.connect()
        for fields, status in (
            ("x-api-key: a", 200),
            ("x-note: b", 401),
            ("x-api-key: a\r\napi-key: b", 400),
            ("x-api-key: a\r\nx-gateway-feature: @", 400),
        ):
            await client.send(f"GET /v1/me?since=1d HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n".encode())
            assert (await client.answer())[0] == status
        await client.send(b"POST /v1/me HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert (await client.answer())[0] == 405


# --- the order of things ---


async def test_a_caller_without_a_key_makes_us_read_nothing() -> None:
    async with running() as bench:
        client = await bench.connect()
        fields = "Expect: 100-continue", "Connection: keep-alive"
        await client.send(post("/v1/chat/completions", b"x" * 100_000, *fields, key="wrong")[:400])
        status, head, _ = await client.answer()
        assert (status, head["connection"]) == (401, "close")
        assert await client.rest() == b""
        assert bench.pipeline.calls == []


async def test_a_client_that_waits_to_be_told_to_go_on_is_told_after_authentication() -> None:
    async with running() as bench:
        client = await bench.connect()
        data = post("/v1/chat/completions", CHAT, "Expect: 100-Continue")
        head, blank, body = data.partition(b"\r\n\r\n")
        await client.send(head + blank)
        assert await client.reader.readexactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(body)
        assert (await client.answer())[0] == 200
        await client.send(data)  # the body came along: nothing to be told
        assert (await client.answer())[0] == 200


async def test_a_wrong_key_with_a_whole_body_keeps_the_connection() -> None:
    async with running() as bench:
        client = await bench.connect()
        await client.send(post(key="wrong"))
        assert (await client.answer())[0] == 401
        await client.send(post())
        assert (await client.answer())[0] == 200


# --- what a pipeline leaves ---


async def test_an_error_is_told_in_the_callers_dialect() -> None:
    async with running() as bench:
        bench.pipeline.refuse = OverLimit("rate_limited", after_s=2.6, about="project")
        client = await bench.connect()
        await client.send(post())
        status, fields, body = await client.answer()
        assert (status, fields["retry-after"]) == (429, "3")
        assert b'"rate_limited"' in body
        assert fields["x-gateway-request-id"].startswith("req-")


async def test_the_request_id_and_the_advice_of_a_stage_are_not_doubled() -> None:
    async with running() as bench:

        async def pipeline(exchange: Exchange, read: object) -> None:
            exchange.client.extra += [("x-gateway-request-id", "req-own"), ("retry-after", "9")]
            exchange.error = OverLimit("rate_limited", after_s=1)

        bench.plane._pipeline = pipeline
        answer = await bench.ask_one(post())
        assert (
            answer.count(b"x-gateway-request-id: req-own\r\n") == answer.count(b"x-gateway-request-id") == 1
        )
        assert answer.count(b"retry-after: 9\r\n") == answer.count(b"retry-after") == 1


async def test_a_pipeline_that_leaves_nothing_is_a_mistake_of_ours() -> None:
    async with running() as bench:

        async def pipeline(exchange: Exchange, read: object) -> None:
            return

        bench.plane._pipeline = pipeline
        answer = await bench.ask_one(post())
        assert status_of(answer) == 500


async def test_an_exception_where_none_may_be_closes_the_connection_and_says_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with running() as bench:

        async def pipeline(exchange: Exchange, read: object) -> None:
            raise ValueError("canary")

        bench.plane._pipeline = pipeline
        assert await bench.ask(post()) == b""
        await asyncio.sleep(0.01)
        assert bench.plane.open_calls == 0
        assert "canary" not in bench.logged.getvalue()
        assert "ValueError" in bench.logged.getvalue()
    assert capfd.readouterr().err == ""


async def test_an_answer_without_its_end_breaks_the_connection() -> None:
    async with running() as bench:
        for length in (None, 1000):
            bench.pipeline.length = length

            async def pipeline(exchange: Exchange, read: object, length: int | None = length) -> None:
                await exchange.client.start(200, (), length)
                await exchange.client.write(b"data: cut")
                exchange.error = UpstreamError("upstream_cut")

            bench.plane._pipeline = pipeline
            answer = await bench.ask(post())
            assert answer.endswith(b"data: cut" if length else b"9\r\ndata: cut\r\n")


async def test_a_client_that_is_gone_gets_no_answer() -> None:
    async with running() as bench:
        bench.pipeline.refuse = ClientGone("client_closed")
        assert await bench.ask(post()) == b""


def failed(error: UpstreamError, status: int, headers: Headers = ()) -> UpstreamError:
    error.answer = UpstreamAnswer(status, headers, Content(b'{"error":{"message":"theirs"}}'))
    return error


FAILURES: dict[str, tuple[GatewayError, int, bool, str | None]] = {
    "refused": (failed(UpstreamRefused("upstream_refused"), 400), 400, True, "false"),
    "unprocessable": (failed(UpstreamRefused("upstream_refused"), 422), 422, True, "false"),
    "failed": (failed(UpstreamError("upstream_failed"), 500), 500, True, "false"),
    "busy": (failed(UpstreamBusy("upstream_busy", after_s=2), 429), 429, True, None),
    "advised": (failed(UpstreamBusy("upstream_busy"), 529, (("x-should-retry", "true"),)), 529, True, "true"),
    "our credential": (failed(CredentialDead("upstream_credential"), 401), 502, False, "false"),
    "redirect": (failed(UpstreamError("upstream_redirect"), 302), 502, False, "false"),
    "unreachable": (UpstreamError("upstream_unreachable"), 502, False, "false"),
    "over limit": (OverLimit("rate_limited"), 429, False, None),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_providers_own_error_reaches_the_caller_unless_it_concerns_our_credential(name: str) -> None:
    error, status, theirs, advice = FAILURES[name]
    async with running() as bench:

        async def pipeline(exchange: Exchange, read: object) -> None:
            exchange.attempts.append(object())  # type: ignore[arg-type]
            exchange.error = error

        bench.plane._pipeline = pipeline
        client = await bench.connect()
        await client.send(post())
        told, fields, body = await client.answer()
        assert told == status
        assert (b"theirs" in body) is theirs
        assert fields.get("x-should-retry") == advice


# --- the client leaves ---


async def test_a_client_that_leaves_cancels_its_call_at_once() -> None:
    async with running() as bench:
        bench.pipeline.hold = asyncio.Event()
        bench.pipeline.length = None
        client = await bench.connect()
        await client.send(post())
        await client.reader.readuntil(b"\r\n\r\n")
        assert bench.pipeline.running == 1
        client.writer.transport.abort()
        began = asyncio.get_running_loop().time()
        await until(lambda: not bench.pipeline.running)
        assert asyncio.get_running_loop().time() - began < 0.1
        assert bench.pipeline.cancelled == 1
        await asyncio.sleep(0.001)
        assert bench.plane.open_calls == 0
        assert bench.plane.connections == 0


async def test_a_client_that_leaves_within_its_body_is_forgotten() -> None:
    async with running() as bench:
        client = await bench.connect()
        await client.send(post()[:-5])
        await until(lambda: bench.pipeline.running > 0)
        await client.close()
        await until(lambda: not bench.pipeline.running)
        assert bench.pipeline.calls == []


# --- the peer's address ---


async def test_the_peer_is_believed_only_when_it_is_listed() -> None:
    forwarded = "X-Forwarded-For: 1.2.3.4, 203.0.113.9, 10.0.0.7"
    async with running() as bench:
        assert status_of(await bench.ask_one(post("/v1/chat/completions", b"{}", forwarded))) == 400
        assert bench.pipeline.peers == ["127.0.0.1"]
    limits = EdgeLimits(trusted_proxies=(ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")))
    async with running(limits) as bench:
        for field, peer in (
            (forwarded, "203.0.113.9"),
            ("X-Forwarded-For: 2001:db8::1", "2001:db8::1"),
            ("X-Forwarded-For: 10.1.1.1", "10.1.1.1"),
            ("X-Forwarded-For: evil, 10.0.0.7", "10.0.0.7"),
            ("X-Forwarded-For: evil", "127.0.0.1"),
            ("X-Forwarded-For: ", "127.0.0.1"),
            ("X-Other: 1", "127.0.0.1"),
            ("X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8", "8.8.8.8"),
        ):
            await bench.ask_one(post("/v1/chat/completions", b"{}", field))
            assert bench.pipeline.peers[-1] == peer


# --- start and end ---


async def test_idle_connections_are_closed_at_the_end_and_running_calls_are_waited_for() -> None:
    async with running() as bench:
        bench.pipeline.hold = asyncio.Event()
        bench.pipeline.length = None
        port = bench.port
        idle, silent, busy = [await bench.connect() for _ in range(3)]
        await idle.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await idle.answer())[0] == 200
        await busy.send(post() + post())
        await busy.reader.readuntil(b"\r\n\r\n")
        closing = asyncio.ensure_future(bench.plane.close(2))
        assert await idle.rest() == b""
        assert await silent.rest() == b""
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        assert not closing.done()
        bench.pipeline.hold.set()
        await closing
        assert (await busy.rest()).startswith(b"29\r\n" + ANSWER + b"\r\n0\r\n\r\n")
        assert bench.pipeline.cancelled == 0


async def test_a_call_that_does_not_end_in_time_is_cancelled() -> None:
    async with running() as bench:
        bench.pipeline.hold = asyncio.Event()
        bench.pipeline.length = None
        client = await bench.connect()
        await client.send(post())
        await client.reader.readuntil(b"\r\n\r\n")
        await bench.plane.close(0.01)
        assert bench.pipeline.cancelled == 1
        assert b"0\r\n\r\n" not in await client.rest()
        assert "edge.calls_left" in bench.logged.getvalue()


async def test_while_closing_a_new_call_is_told_to_go_elsewhere() -> None:
    async with running() as bench:
        bench.plane.closing = True
        client = await bench.connect()
        await client.send(post())
        status, fields, body = await client.answer()
        assert (status, fields["connection"]) == (503, "close")
        assert b"unavailable" in body
        assert status_of(await bench.ask_one(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")) == 503


async def test_a_plane_that_never_started_closes() -> None:
    async with running() as bench:
        plane = type(bench.plane)(bench.pipeline, EdgeLimits(), FakeClock(), bench.local)
        assert (plane.ports, plane.connections) == ((), 0)
        plane.sweep()
        await plane.close(0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-subj", "/CN=localhost", "-days", "2", "-keyout", str(key), "-out", str(cert)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except OSError:
        pytest.skip("openssl is not installed")
    return cert, key


async def test_calls_are_served_over_tls(certificate: tuple[Path, Path]) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.minimum_version = ssl.TLSVersion.TLSv1_2  # which is not every build's default
    server.load_cert_chain(*certificate)
    client = ssl.create_default_context(cafile=str(certificate[0]))
    async with running(tls=server) as bench:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", bench.port, ssl=client, server_hostname="localhost"
        )
        for _ in range(2):
            writer.write(post())
            answer = await reader.readuntil(ANSWER)
            assert status_of(answer) == 200
        writer.write(b"garbage\r\n\r\n")
        assert status_of(await reader.readuntil(b"}}")) == 400
        writer.close()
        await writer.wait_closed()
        assert status_of(await bench.ask(post())) == 0  # plain text on the TLS port


async def test_tls_below_1_2_is_not_offered() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.raises(ValueError, match=r"1\.2"):
        async with running(tls=context):
            pass


async def test_two_processes_may_share_a_port() -> None:
    async with running(reuse_port=True) as one:
        plane = type(one.plane)(one.pipeline, EdgeLimits(), one.clock, one.local)
        await plane.start("127.0.0.1", one.port, reuse_port=True)
        assert plane.ports == one.plane.ports
        await plane.close(0)


# --- what the loop and the library would print ---


async def test_the_loop_and_the_library_print_nothing_that_came_from_outside(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with running() as bench:
        loop = asyncio.get_running_loop()
        silence(loop)
        loop.call_exception_handler({"message": "canary", "exception": ValueError("canary")})
        loop.call_exception_handler({"message": "canary", "task": "canary"})
        for name in ("aiohttp.server", "aiohttp.access", "aiohttp.internal", "aiohttp.web"):
            logging.getLogger(name).error("canary")
        logged = bench.logged.getvalue()
        assert "canary" not in logged
        assert "loop.exception" in logged
        assert "loop.message" in logged
        for _ in range(100):
            loop.call_exception_handler({"message": "canary"})
        assert bench.logged.getvalue().count("loop.message") <= 40  # twenty a second
        loop.set_exception_handler(None)
    told = capfd.readouterr()
    assert "canary" not in told.out + told.err


async def test_of_a_flood_of_bad_requests_the_first_are_logged_and_then_their_number() -> None:
    clock, lost = FakeClock(), log.lost()  # by other tests in this process
    async with running(clock=clock) as bench:
        for _ in range(25):
            await bench.ask_one(b"garbage\r\n\r\n")
        bench.plane.sweep()
        lines = bench.logged.getvalue().splitlines()
        assert sum('"edge.refused"' in line for line in lines) == 20
        assert sum('"requests":5' in line for line in lines) == 1
        assert log.lost() == lost


async def test_the_date_changes_with_the_clock() -> None:
    clock = FakeClock()
    async with running(clock=clock) as bench:
        client = await bench.connect()
        dates = []
        for _ in range(2):
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            dates.append((await client.answer())[1]["date"])
            clock.pass_s(1)
        assert dates == ["Fri, 15 Jan 2027 08:00:00 GMT", "Fri, 15 Jan 2027 08:00:01 GMT"]
