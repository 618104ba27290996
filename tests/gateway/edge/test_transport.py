"""The transport against local servers, on both event loops: pool, deadlines, cancellation, TLS."""

import asyncio
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.contracts import Answer
from gateway.edge.timers import Wheel
from gateway.edge.transport import Transport, TransportLimits
from gateway.errors import OurError, UpstreamBusy, UpstreamError, UpstreamTimeout
from tests import hostile
from tests.gateway.edge.upstream_calls import (
    HOLD,
    Certificates,
    Hold,
    both_loops,
    call,
    plain_context,
    request,
    transport_to,
    whole,
)
from tests.hostile import BODY, Hostile, Peer


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool], longest_s: float = 2.0) -> None:
    async with asyncio.timeout(longest_s):
        while not condition():  # noqa: ASYNC110 - a test may poll
            await asyncio.sleep(0.002)


async def read_all(answer: Answer, into: list[bytes]) -> None:
    while piece := await answer.read():
        into.append(piece)


# --- a call ---------------------------------------------------------------------------------------


@both_loops
async def test_an_answer_arrives_with_its_status_its_headers_and_its_body() -> None:
    async with Hostile() as server, transport_to(server.port) as transport:
        answer = await transport.open(request(server.url), HOLD)
        assert answer.status == 200
        assert answer.headers == (("content-type", "application/json"), ("content-length", str(len(BODY))))
        assert await whole(answer) == BODY
        assert await answer.read() == b""
        transport.release(answer)


@both_loops
async def test_a_request_goes_out_with_the_transports_own_fields_first() -> None:
    async with Hostile() as server, transport_to(server.port) as transport:
        await call(transport, request(server.url, b"{}", "/v1/x?alt=sse"))
        head = (
            f"POST /v1/x?alt=sse HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n"
            "accept-encoding: identity\r\nconnection: keep-alive\r\ncontent-length: 2\r\n"
            "authorization: Bearer sk-canary\r\ncontent-type: application/json\r\n\r\n"
        )
        assert server.requests[0].head == head.encode()
        assert server.requests[0].body == b"{}"


@both_loops
async def test_calls_one_after_the_other_share_a_connection() -> None:
    async with Hostile() as server, transport_to(server.port) as transport:
        for _ in range(10):
            assert await call(transport, request(server.url)) == (200, BODY)
        assert server.connections == 1
        assert (transport.open_connections, transport.resting_connections) == (1, 1)


@both_loops
async def test_calls_at_once_have_a_connection_each_and_the_last_one_used_is_used_first() -> None:
    async with Hostile() as server, transport_to(server.port) as transport:
        await asyncio.gather(*[call(transport, request(server.url)) for _ in range(8)])
        assert server.connections == 8
        for _ in range(20):
            await call(transport, request(server.url))
        assert server.connections == 8
        assert transport.resting_connections == 8


@both_loops
async def test_without_a_permit_nothing_is_sent() -> None:
    class Odd:
        id = "plain text"
        amount = 1

    async with Hostile() as server, transport_to(server.port) as transport:
        for permit in (None, object(), Odd(), Hold(amount=True), "permit"):  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                await transport.open(request(server.url), permit)  # type: ignore[arg-type]
        assert server.connections == 0


@both_loops
async def test_what_cannot_stand_in_a_request_is_a_bug_of_ours_and_is_not_sent() -> None:
    async with Hostile() as server, transport_to(server.port) as transport:
        with pytest.raises(OurError):
            await transport.open(request(server.url, path="/v1/x?a=b c"), HOLD)
        assert transport.open_connections == 0


@both_loops
async def test_a_stream_is_handed_on_piece_by_piece() -> None:
    go = asyncio.Event()

    async def two_events(peer: Peer) -> None:
        await peer.send(hostile.STREAM_HEAD)
        await peer.chunk(b"one")
        await go.wait()
        await peer.send(b"3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n")

    async with Hostile(two_events) as server, transport_to(server.port) as transport:
        answer = await transport.open(request(server.url), HOLD)
        assert await answer.read() == b"one"
        go.set()
        assert await answer.read() == b"twothree"
        assert await answer.read() == b""
        transport.release(answer)
        assert transport.resting_connections == 1


@both_loops
async def test_pieces_that_came_meanwhile_are_joined() -> None:
    async with (
        Hostile(hostile.stream([b"one", b"two", b"three"], 0.005)) as server,
        transport_to(server.port) as transport,
    ):
        answer = await transport.open(request(server.url), HOLD)
        await asyncio.sleep(0.1)
        assert await answer.read() == b"onetwothree"
        transport.release(answer)


@both_loops
async def test_a_large_request_goes_out_whole() -> None:
    async with Hostile() as server, transport_to(server.port) as transport:
        body = os.urandom(3_000_000)
        assert (await call(transport, request(server.url, body)))[0] == 200
        assert server.requests[0].body == body


@both_loops
async def test_a_redirect_is_an_answer_and_the_thief_gets_nothing() -> None:
    async with Hostile() as thief:
        for status in hostile.REDIRECTS:
            fault = hostile.redirect(status, thief.url)
            async with Hostile(fault) as server, transport_to(server.port, thief.port) as transport:
                assert await call(transport, request(server.url)) == (status, b"")
                assert len(server.requests) == 1
        assert (thief.connections, thief.requests) == (0, [])


@both_loops
async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Hostile() as thief, Hostile() as server, transport_to(server.port) as transport:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, thief.url)
        assert await call(transport, request(server.url)) == (200, BODY)
        assert thief.connections == 0


# --- release --------------------------------------------------------------------------------------


@both_loops
async def test_released_before_its_end_an_answer_closes_its_connection_at_once() -> None:
    async with Hostile(hostile.endless_pings) as server, transport_to(server.port) as transport:
        answer = await transport.open(request(server.url), HOLD)
        await answer.read()
        transport.release(answer)
        await server.quiet(0.1)
        assert transport.open_connections == 0


@both_loops
async def test_a_released_answer_reads_no_more_and_may_be_released_again() -> None:
    async with Hostile() as server, transport_to(server.port) as transport:
        answer = await transport.open(request(server.url), HOLD)
        await whole(answer)
        transport.release(answer)
        transport.release(answer)
        assert transport.resting_connections == 1
        with pytest.raises(RuntimeError):
            await answer.read()


@both_loops
async def test_the_answer_of_another_exit_is_refused() -> None:
    class Other:
        status = 200
        headers = ()

        async def read(self) -> bytes:
            return b""

    with pytest.raises(TypeError):
        Transport(tls=plain_context()).release(Other())


@both_loops
async def test_an_answer_that_came_whole_need_not_be_read_to_keep_the_connection() -> None:
    async with Hostile() as server, transport_to(server.port) as transport:
        for _ in range(3):
            transport.release(await transport.open(request(server.url), HOLD))
        assert server.connections == 1


@both_loops
async def test_an_answer_before_its_request_was_read_closes_the_connection() -> None:
    async def hasty(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await hostile.fine(peer)
        await asyncio.sleep(10)

    async with (
        Hostile(hostile.at_once(hasty)) as server,
        transport_to(server.port) as transport,
    ):
        assert await call(transport, request(server.url, bytes(20_000_000))) == (200, BODY)
        assert transport.open_connections == 0


@both_loops
async def test_a_slow_reader_loses_nothing_of_an_answer_that_is_complete() -> None:
    async with (
        Hostile() as server,
        transport_to(server.port, gap_timeout_s=0.02, first_byte_timeout_s=0.05) as transport,
    ):
        answer = await transport.open(request(server.url), HOLD)
        await asyncio.sleep(0.15)
        assert await whole(answer) == BODY
        transport.release(answer)
        assert transport.resting_connections == 1


# --- back-pressure --------------------------------------------------------------------------------


@both_loops
async def test_a_slow_reader_stops_the_provider_and_the_gap_does_not_count_meanwhile() -> None:
    sent = 0

    async def torrent(peer: Peer) -> None:
        nonlocal sent
        await peer.send(hostile.STREAM_HEAD)
        for _ in range(300):
            await peer.chunk(bytes(100_000))
            sent += 100_000
        await peer.send(b"0\r\n\r\n")

    async with Hostile(torrent) as server, transport_to(server.port, gap_timeout_s=0.1) as transport:
        answer = await transport.open(request(server.url), HOLD)
        await asyncio.sleep(0.2)
        stopped_at = sent
        await asyncio.sleep(0.1)
        assert sent == stopped_at < 20_000_000  # the rest lies in the sockets' own buffers
        first = await answer.read()
        assert len(first) <= 256 * 1024 * 3
        assert len(first) + len(await whole(answer)) == 30_000_000
        transport.release(answer)
        assert transport.resting_connections == 1


@both_loops
async def test_an_answer_that_is_too_long_is_cut() -> None:
    async with (
        Hostile(hostile.endless_body) as server,
        transport_to(server.port, answer_bytes=1_000_000) as transport,
    ):
        answer = await transport.open(request(server.url), HOLD)
        with pytest.raises(UpstreamError) as caught:
            await whole(answer)
        assert caught.value.code == "upstream_too_large"
        transport.release(answer)
        await server.quiet(0.1)


# --- the pool -------------------------------------------------------------------------------------


@both_loops
async def test_a_call_waits_for_a_connection_when_there_are_as_many_as_allowed() -> None:
    async with (
        Hostile(hostile.stream([b"x"], 0.02)) as server,
        transport_to(server.port, max_connections_per_host=2) as transport,
    ):
        results = await asyncio.gather(*[call(transport, request(server.url)) for _ in range(10)])
        assert results == [(200, b"x")] * 10
        assert server.connections == 2


@both_loops
async def test_a_closed_connection_makes_room_for_who_waits() -> None:
    async with (
        Hostile(hostile.endless_pings, hostile.fine) as server,
        transport_to(server.port, max_connections_per_host=1) as transport,
    ):
        first = await transport.open(request(server.url), HOLD)
        second = asyncio.ensure_future(call(transport, request(server.url)))
        await turns()
        transport.release(first)
        assert await second == (200, BODY)


@both_loops
async def test_who_waits_too_long_or_behind_too_many_is_told_that_it_is_busy() -> None:
    async with (
        Hostile(hostile.endless_pings) as server,
        transport_to(
            server.port, max_connections_per_host=1, max_waiting_per_host=1, wait_timeout_s=0.05
        ) as transport,
    ):
        first = await transport.open(request(server.url), HOLD)
        second = asyncio.ensure_future(transport.open(request(server.url), HOLD))
        await turns()
        with pytest.raises(UpstreamBusy):
            await transport.open(request(server.url), HOLD)
        with pytest.raises(UpstreamBusy):
            await second
        transport.release(first)


@both_loops
async def test_a_call_that_leaves_the_queue_passes_its_turn_on() -> None:
    async with (
        Hostile(hostile.stream([b"x"], 0.02)) as server,
        transport_to(server.port, max_connections_per_host=1) as transport,
    ):
        first = await transport.open(request(server.url), HOLD)
        waiting = [asyncio.ensure_future(call(transport, request(server.url))) for _ in range(3)]
        await turns()
        waiting[1].cancel()
        await whole(first)
        transport.release(first)
        waiting[0].cancel()  # it was woken already
        assert await waiting[2] == (200, b"x")
        assert [one.cancelled() for one in waiting] == [True, True, False]


class HandClock:
    """Time that moves when told."""

    ns = 10**12

    def now_us(self) -> int:
        return self.ns // 1000

    def tick_ns(self) -> int:
        return self.ns


@both_loops
async def test_a_connection_that_comes_free_at_the_last_moment_is_taken() -> None:
    clock = HandClock()
    wheel = Wheel(0.1, clock)
    async with (
        Hostile() as server,
        transport_to(server.port, wheel=wheel, max_connections_per_host=1, wait_timeout_s=0.5) as transport,
    ):
        first = await transport.open(request(server.url), HOLD)
        second = asyncio.ensure_future(call(transport, request(server.url)))
        await turns()
        transport.release(first)
        clock.ns += 10**9
        wheel.turn()  # its time is over, but it was woken before
        assert await second == (200, BODY)


@both_loops
async def test_no_more_connections_rest_than_allowed() -> None:
    async with Hostile() as server, transport_to(server.port, max_idle_per_host=2) as transport:
        await asyncio.gather(*[call(transport, request(server.url)) for _ in range(6)])
        assert transport.resting_connections == transport.open_connections == 2


@both_loops
async def test_a_resting_connection_closes_after_its_time() -> None:
    async with Hostile() as server, transport_to(server.port, idle_timeout_s=0.05) as transport:
        await call(transport, request(server.url))
        assert transport.open_connections == 1
        await server.quiet(1)
        assert transport.open_connections == 0


@pytest.mark.parametrize("how", ["close", "reset", "half_close", "talk"])
@both_loops
async def test_a_resting_connection_that_the_provider_ends_or_talks_on_is_forgotten(how: str) -> None:
    async def then(peer: Peer) -> None:
        await hostile.fine(peer)
        await asyncio.sleep(0.02)
        if how == "talk":
            await peer.send(b"poison")
            await peer.gone()
        else:
            getattr(peer, how)()
            await peer.gone()

    async with Hostile(then, hostile.fine) as server, transport_to(server.port) as transport:
        await call(transport, request(server.url))
        await until(lambda: transport.open_connections == 0)
        assert await call(transport, request(server.url)) == (200, BODY)
        assert server.connections == 2


@pytest.mark.parametrize("rests", [True, False])
@both_loops
async def test_bytes_that_nobody_asked_for_are_seen_before_the_loop_reads_them(rests: bool) -> None:
    peers: list[Peer] = []

    async def keep(peer: Peer) -> None:
        peers.append(peer)
        await hostile.fine(peer)

    async with Hostile(keep) as server, transport_to(server.port) as transport:
        await call(transport, request(server.url))
        channel = peers[0].writer.get_extra_info("socket")
        os.write(channel.fileno(), hostile.head(200, ("content-length", "6")) + b"poison")
        # No turn of the loop lies between the writing and the next call.
        assert await call(transport, request(server.url)) == (200, BODY)
        assert server.connections == 2


# --- stale connections ----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [hostile.close_before_head, hostile.reset_before_head])
@both_loops
async def test_a_rested_connection_that_breaks_without_a_byte_is_tried_once_more(
    ending: hostile.Fault,
) -> None:
    async with Hostile(hostile.fine, ending, hostile.fine) as server, transport_to(server.port) as transport:
        for _ in range(2):
            assert await call(transport, request(server.url)) == (200, BODY)
        assert (server.connections, len(server.requests)) == (2, 3)


@both_loops
async def test_the_second_try_is_the_last() -> None:
    end = hostile.close_before_head
    async with (
        Hostile(hostile.fine, end, end) as server,
        transport_to(server.port) as transport,
    ):
        await call(transport, request(server.url))
        with pytest.raises(UpstreamError) as caught:
            await call(transport, request(server.url))
        assert caught.value.code == "upstream_cut"
        assert len(server.requests) == 3


@both_loops
async def test_the_second_try_makes_room_for_itself() -> None:
    slow = hostile.stream([b"x"], 0.05)
    async with (
        Hostile(slow, slow, hostile.close_before_head, hostile.fine) as server,
        transport_to(server.port, max_connections_per_host=2) as transport,
    ):
        await asyncio.gather(*[call(transport, request(server.url)) for _ in range(2)])
        assert await call(transport, request(server.url)) == (200, BODY)
        assert server.connections == 3
        assert transport.resting_connections == 2
        pool, _ = transport._place(server.url)
        fresh = await transport._obtain(pool, fresh=True)
        assert (transport.open_connections, transport.resting_connections) == (2, 1)
        fresh.abort()


@pytest.mark.parametrize(
    ("before", "fault"),
    [
        ((), hostile.close_before_head),  # a fresh connection: the provider may have seen the request
        ((), hostile.reset_before_head),
        ((hostile.fine,), hostile.half_a_head),  # a byte of the answer came
        ((hostile.fine,), hostile.raw(b"H")),
        ((hostile.fine,), hostile.not_http),
    ],
)
@both_loops
async def test_nothing_else_is_ever_sent_twice(
    before: tuple[hostile.Fault, ...], fault: hostile.Fault
) -> None:
    async with Hostile(*before, fault, hostile.fine) as server, transport_to(server.port) as transport:
        for _ in before:
            await call(transport, request(server.url))
        with pytest.raises(UpstreamError):
            await call(transport, request(server.url))
        await turns()
        assert len(server.requests) == len(before) + 1


@both_loops
async def test_a_connection_that_breaks_long_after_sending_is_not_stale() -> None:
    async def thinks_then_dies(peer: Peer) -> None:
        await asyncio.sleep(0.1)
        peer.close()

    async with (
        Hostile(hostile.fine, thinks_then_dies, hostile.fine) as server,
        transport_to(server.port, stale_window_s=0.03) as transport,
    ):
        await call(transport, request(server.url))
        with pytest.raises(UpstreamError):
            await call(transport, request(server.url))
        assert len(server.requests) == 2


@both_loops
async def test_a_timeout_on_a_rested_connection_is_not_repeated() -> None:
    async with (
        Hostile(hostile.fine, hostile.never_answers, hostile.fine) as server,
        transport_to(server.port, first_byte_timeout_s=0.05) as transport,
    ):
        await call(transport, request(server.url))
        with pytest.raises(UpstreamTimeout):
            await call(transport, request(server.url))
        assert len(server.requests) == 2


# --- deadlines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [hostile.never_answers, hostile.head_drip, hostile.never_reads])
@both_loops
async def test_an_answers_head_must_come_in_time(
    fault: hostile.Fault,
) -> None:
    async with Hostile(fault) as server, transport_to(server.port, first_byte_timeout_s=0.08) as transport:
        with pytest.raises(UpstreamTimeout) as caught:
            await asyncio.wait_for(transport.open(request(server.url), HOLD), 1)
        assert caught.value.code == "upstream_timeout"
        assert transport.open_connections == 0


@both_loops
async def test_a_body_may_not_pause_longer_than_its_gap() -> None:
    async with (
        Hostile(hostile.event_then_silence) as server,
        transport_to(server.port, gap_timeout_s=0.05) as transport,
    ):
        answer = await transport.open(request(server.url), HOLD)
        assert await answer.read() == hostile.EVENT
        with pytest.raises(UpstreamTimeout):
            await answer.read()
        transport.release(answer)
        await server.quiet(0.1)


@both_loops
async def test_a_stream_may_last_longer_than_its_gap_but_not_longer_than_its_whole_time() -> None:
    async with (
        Hostile(hostile.endless_pings) as server,
        transport_to(server.port, gap_timeout_s=0.06, total_timeout_s=0.2) as transport,
    ):
        answer = await transport.open(request(server.url), HOLD)
        pings: list[bytes] = []
        with pytest.raises(UpstreamTimeout):
            await read_all(answer, pings)
        assert len(pings) > 5
        transport.release(answer)


@both_loops
async def test_the_whole_time_counts_also_while_nobody_reads() -> None:
    async with (
        Hostile(hostile.endless_body) as server,
        transport_to(server.port, total_timeout_s=0.1) as transport,
    ):
        answer = await transport.open(request(server.url), HOLD)
        await server.quiet(1)
        assert await answer.read()
        with pytest.raises(UpstreamTimeout):
            await answer.read()
        transport.release(answer)


@both_loops
async def test_a_resolver_that_never_answers_is_cut_off() -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.sleep(60)
        return []

    async with transport_to(443, lookup=never, connect_timeout_s=0.05) as transport:
        with pytest.raises(UpstreamTimeout):
            await transport.open(request("https://api.example.com"), HOLD)


# --- where to -------------------------------------------------------------------------------------


async def names_only_this_machine(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@both_loops
async def test_nothing_inside_is_reached_unless_it_is_listed() -> None:
    async with Hostile() as server:
        transport = Transport(lookup=names_only_this_machine, wheel=Wheel(0.01), tls=plain_context())
        for url in (
            server.url,
            f"https://127.0.0.1:{server.port}",
            f"http://localhost:{server.port}",
            f"https://api.example.com:{server.port}",
            f"http://user@127.0.0.1:{server.port}",
        ):
            with pytest.raises(UpstreamError) as caught:
                await transport.open(request(url), HOLD)
            assert caught.value.code == "upstream_blocked"
        assert (server.connections, transport.open_connections) == (0, 0)
        await transport.close()


@both_loops
async def test_a_name_that_turns_to_the_inside_after_the_check_is_not_followed() -> None:
    answers = iter(["1.1.1.1", "127.0.0.1"])
    asked = []

    async def flips(host: str, port: int) -> list[str]:
        asked.append(host)
        return [next(answers)]

    async with Hostile() as server:
        limits = TransportLimits(connect_timeout_s=0.05)
        transport = Transport(limits, lookup=flips, wheel=Wheel(0.01), tls=plain_context())
        for code in ("upstream_unreachable upstream_timeout", "upstream_blocked"):
            with pytest.raises(UpstreamError) as caught:
                await transport.open(request(f"https://api.example.com:{server.port}"), HOLD)
            assert caught.value.code in code
        assert asked == ["api.example.com"] * 2  # one look-up for each connection, none behind its back
        assert server.connections == 0
        await transport.close()


@both_loops
async def test_of_several_addresses_one_that_answers_is_found() -> None:
    async def several(host: str, port: int) -> list[str]:
        return ["127.0.0.77", "::1", "127.0.0.1"]

    async with Hostile() as server, transport_to(server.port, lookup=several) as transport:
        url = f"http://api.example.test:{server.port}"
        assert await call(transport, request(url)) == (200, BODY)
        assert server.requests[0].field("host") == f"api.example.test:{server.port}"


@both_loops
async def test_a_port_where_nobody_listens_is_unreachable() -> None:
    async with Hostile() as server:
        port = server.port
    async with transport_to(port) as transport:
        with pytest.raises(UpstreamError) as caught:
            await transport.open(request(f"http://127.0.0.1:{port}"), HOLD)
        assert caught.value.code == "upstream_unreachable"
        assert caught.value.__cause__ is None


@both_loops
async def test_the_list_may_change_while_calls_are_under_way() -> None:
    async with Hostile(hostile.stream([b"x"], 0.02)) as server, transport_to(server.port) as transport:
        await asyncio.gather(*[call(transport, request(server.url)) for _ in range(2)])
        answer = await transport.open(request(server.url), HOLD)
        transport.allow(frozenset())
        assert transport.resting_connections == 0
        with pytest.raises(UpstreamError):
            await transport.open(request(server.url), HOLD)
        assert await whole(answer) == b"x"
        transport.release(answer)
        transport.allow(frozenset({("127.0.0.1", server.port)}))
        assert await call(transport, request(server.url)) == (200, b"x")


@both_loops
async def test_the_memory_of_paths_is_bounded_and_holds_no_query() -> None:
    async with transport_to(80) as transport:
        for at in range(5000):
            transport._place(f"http://127.0.0.1/v1/{at}?canary={at}")
        assert len(transport._places) <= 4096
        assert not any("canary" in key for key in transport._places)


# --- the end --------------------------------------------------------------------------------------


@both_loops
async def test_a_retired_transport_finishes_calls_and_keeps_nothing() -> None:
    async with Hostile(hostile.stream([b"x"], 0.01)) as server, transport_to(server.port) as transport:
        await asyncio.gather(*[call(transport, request(server.url)) for _ in range(2)])
        answer = await transport.open(request(server.url), HOLD)
        transport.retire()
        assert await whole(answer) == b"x"
        transport.release(answer)
        assert transport.open_connections == 0
        assert await call(transport, request(server.url)) == (200, b"x")
        assert transport.open_connections == 0
        await server.quiet(0.2)


@both_loops
async def test_closing_breaks_off_calls_wherever_they_are() -> None:
    started = asyncio.Event()

    async def never(host: str, port: int) -> list[str]:
        started.set()
        await asyncio.sleep(60)
        return []

    async with Hostile(hostile.endless_pings, hostile.never_answers) as server:
        async with transport_to(server.port, lookup=never, max_connections_per_host=2) as transport:
            reading = await transport.open(request(server.url), HOLD)
            calls = [asyncio.ensure_future(transport.open(request(server.url), HOLD)) for _ in range(4)]
            await until(lambda: len(server.requests) == 2)
            await transport.close()
            for one, kind in zip(calls, (UpstreamError, OurError, OurError, OurError), strict=True):
                with pytest.raises(kind):
                    await one
            with pytest.raises(UpstreamError):
                await whole(reading)
            with pytest.raises(OurError) as caught:
                await transport.open(request(server.url), HOLD)
            assert caught.value.code == "shutting_down"
            transport.release(reading)
        await server.quiet()


@both_loops
async def test_closing_while_connecting_leaves_no_connection() -> None:
    go = asyncio.Event()

    async def slow(host: str, port: int) -> list[str]:
        await go.wait()
        return ["127.0.0.1"]

    async with Hostile() as server:
        async with transport_to(server.port, lookup=slow) as transport:
            opening = asyncio.ensure_future(
                transport.open(request(f"http://api.example.test:{server.port}"), HOLD)
            )
            await turns()
            await transport.close()
            go.set()
            with pytest.raises(UpstreamError):
                await opening
        await server.quiet()


@both_loops
async def test_a_transport_with_nothing_given_has_a_wheel_of_its_own() -> None:
    async with Hostile() as server:
        transport = Transport(allowed=frozenset({("127.0.0.1", server.port)}))
        assert await call(transport, request(server.url)) == (200, BODY)
        await transport.close()
        assert not transport._wheel.turns


# --- cancellation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [hostile.fine_stream, hostile.slow_drip(0.001), hostile.never_answers])
@both_loops
async def test_cancelled_at_any_moment_a_call_leaves_nothing_behind(
    fault: hostile.Fault,
) -> None:
    async with Hostile(fault) as server, transport_to(server.port, max_connections_per_host=3) as transport:
        for moment in range(40):
            one = asyncio.ensure_future(call(transport, request(server.url)))
            await turns(moment % 20) if moment < 20 else await asyncio.sleep(moment / 10_000)
            one.cancel()
            await asyncio.wait([one])
        assert transport.open_connections == transport.resting_connections <= 3
        transport.retire()
        await server.quiet()


@both_loops
async def test_cancelled_while_it_waits_for_an_answer_it_is_closed_within_a_tenth_of_a_second() -> None:
    async with Hostile(hostile.never_answers) as server, transport_to(server.port) as transport:
        one = asyncio.ensure_future(transport.open(request(server.url), HOLD))
        await until(lambda: len(server.requests) == 1)
        one.cancel()
        await server.quiet(0.1)
        assert one.cancelled()


@both_loops
async def test_no_descriptor_is_left_after_many_calls_of_all_kinds() -> None:
    faults = (hostile.fine, hostile.close_mid_event, hostile.reset_before_head, hostile.bad_chunk_size)
    async with Hostile() as server, transport_to(server.port) as transport:
        before = len(os.listdir("/proc/self/fd"))
        for round_ in range(40):
            server._faults = (faults[round_ % 4],)
            try:
                await call(transport, request(server.url))
            except UpstreamError:
                pass
        transport.retire()
        await server.quiet()
        await turns()
        assert len(os.listdir("/proc/self/fd")) <= before


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


class Secure:
    """A server that answers one request a connection over TLS, and remembers the names asked for."""

    def __init__(self, context: ssl.SSLContext, answer: bytes, end: bool = False) -> None:
        self.names: list[str | None] = []
        self.heard: list[bytes] = []
        self.protocols: list[str | None] = []
        self._answer = answer
        self._end = end
        self._context = context
        context.sni_callback = lambda _, name, __: self.names.append(name)

    async def __aenter__(self) -> "Secure":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.heard.append(await reader.readuntil(b"{}"))
                self.protocols.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
                writer.write(self._answer)
                if self._end:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


def secure_request(port: int) -> Any:
    return request(f"https://api.example.test:{port}", b"{}")


@both_loops
async def test_tls_checks_the_name_and_connects_to_the_checked_address(certificates: Certificates) -> None:
    async with (
        Secure(certificates.server("api.example.test"), PLAIN) as server,
        transport_to(server.port, lookup=names_only_this_machine, ca_file=certificates.file) as transport,
    ):
        for _ in range(3):
            assert await call(transport, secure_request(server.port)) == (200, b"hi")
        assert server.names == ["api.example.test"]
        assert transport.resting_connections == 1


@both_loops
async def test_a_tls_stream_that_ends_with_the_connection_is_whole(certificates: Certificates) -> None:
    answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + bytes(500_000)
    async with (
        Secure(certificates.server("api.example.test"), answer, end=True) as server,
        transport_to(
            server.port, lookup=names_only_this_machine, ca_file=certificates.file, buffer_bytes=1000
        ) as transport,
    ):
        assert await call(transport, secure_request(server.port)) == (200, bytes(500_000))
        assert transport.open_connections == 0


@pytest.mark.parametrize(
    ("names", "days", "trusted"),
    [
        (("other.example.test",), 10, True),
        (("127.0.0.1",), 10, True),
        (("*.test",), 10, True),
        (("api.example.test",), -1, True),
        (("api.example.test",), 10, False),
        ((), 10, True),
    ],
    ids=["other name", "address", "wide", "expired", "self-signed", "no name"],
)
@both_loops
async def test_a_certificate_that_is_not_right_is_unreachable(
    certificates: Certificates, names: tuple[str, ...], days: int, trusted: bool
) -> None:
    context = certificates.server(*names, days=days, trusted=trusted)
    async with (
        Secure(context, PLAIN) as server,
        transport_to(server.port, lookup=names_only_this_machine, ca_file=certificates.file) as transport,
    ):
        with pytest.raises(UpstreamError) as caught:
            await transport.open(secure_request(server.port), HOLD)
        assert caught.value.code == "upstream_unreachable"
        assert server.heard == []
        assert transport.open_connections == 0


@both_loops
async def test_without_the_authority_its_certificates_are_not_trusted(certificates: Certificates) -> None:
    async with (
        Secure(certificates.server("api.example.test"), PLAIN) as server,
        transport_to(server.port, lookup=names_only_this_machine) as transport,
    ):
        with pytest.raises(UpstreamError):
            await transport.open(secure_request(server.port), HOLD)


@both_loops
async def test_a_plain_answer_where_tls_is_expected_is_unreachable() -> None:
    @hostile.at_once
    async def plain(peer: Peer) -> None:
        await peer.send(PLAIN)
        peer.close()

    async with (
        Hostile(plain) as server,
        transport_to(server.port, lookup=names_only_this_machine) as transport,
    ):
        with pytest.raises(UpstreamError) as caught:
            await transport.open(secure_request(server.port), HOLD)
        assert caught.value.code == "upstream_unreachable"
        await server.quiet()


@both_loops
async def test_cancelled_in_the_handshake_nothing_is_left() -> None:
    @hostile.at_once
    async def silent(peer: Peer) -> None:
        await peer.gone()

    async with (
        Hostile(silent) as server,
        transport_to(server.port, lookup=names_only_this_machine, connect_timeout_s=0.1) as transport,
    ):
        one = asyncio.ensure_future(transport.open(secure_request(server.port), HOLD))
        await until(lambda: server.connections == 1)
        one.cancel()
        await server.quiet(0.2)
        with pytest.raises(UpstreamTimeout):
            await transport.open(secure_request(server.port), HOLD)
        await server.quiet(0.2)


@pytest.fixture
def key_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    return tmp_path / "keys"


@both_loops
async def test_session_keys_are_written_to_no_file(certificates: Certificates, key_log: Path) -> None:
    async with (
        Secure(certificates.server("api.example.test"), PLAIN) as server,
        transport_to(server.port, lookup=names_only_this_machine, ca_file=certificates.file) as transport,
    ):
        await call(transport, secure_request(server.port))
        assert not os.path.exists(key_log)  # noqa: ASYNC240
