"""Providers that break the rules, and what the transport makes of each: one table, on both event loops."""

import asyncio
import re
import time
from dataclasses import dataclass

import pytest

from gateway.errors import UpstreamError
from tests import hostile
from tests.gateway.edge.upstream_calls import HOLD, both_loops, request, transport_to
from tests.hostile import BODY, DONE, EVENT, FAULTS, Hostile, Peer


@dataclass(frozen=True)
class Outcome:
    """How a call ends: where, with which error, after which body; and whether its connection is kept."""

    where: str  # "head", "body" or "end"
    code: str = ""
    status: int = 0
    body: bytes = b""
    kept: bool = False


def head(code: str) -> Outcome:
    return Outcome("head", code)


def body(code: str, got: bytes = b"") -> Outcome:
    return Outcome("body", code, 200, got)


def end(status: int, got: bytes, kept: bool = True) -> Outcome:
    return Outcome("end", "", status, got, kept)


CUT = head("upstream_cut")
GARBLED = head("upstream_garbled")
LATE = head("upstream_timeout")
ANY = b"..."  # a body that is not compared

OUTCOMES: dict[str, Outcome] = {
    # no head
    "reset_on_accept": CUT,
    "close_on_accept": CUT,
    "reset_before_head": CUT,
    "close_before_head": CUT,
    "half_close_before_head": CUT,
    "half_a_head": CUT,
    "not_http": GARBLED,
    "http_09": GARBLED,
    "bad_status_line": GARBLED,
    "status_000": GARBLED,
    "status_999": GARBLED,
    "bad_version": GARBLED,
    "obs_fold": GARBLED,
    "nul_in_header": GARBLED,
    "bare_cr_in_header": GARBLED,
    "bare_line_feeds": GARBLED,
    "space_before_colon": GARBLED,
    "header_without_colon": GARBLED,
    "two_lengths": GARBLED,
    "length_not_a_number": GARBLED,
    "negative_length": GARBLED,
    "length_and_chunked": GARBLED,
    "huge_header": GARBLED,
    "many_fields": GARBLED,
    "huge_status_line": GARBLED,
    "informational_flood": GARBLED,
    "switching_protocols": GARBLED,
    "gzip_garbled": GARBLED,
    "gzip_cut": GARBLED,
    "gzip_bomb": GARBLED,
    "gzip_unasked": GARBLED,
    "deflate_unasked": GARBLED,
    "brotli_claimed": GARBLED,
    # nothing comes any more
    "never_answers": LATE,
    "never_reads": LATE,
    "head_drip": LATE,
    "endless_informational": GARBLED,
    "head_then_silence": body("upstream_timeout"),
    "event_then_silence": body("upstream_timeout", EVENT),
    "endless_pings": body("upstream_timeout", ANY),
    # the body breaks
    "reset_after_head": body("upstream_cut"),
    "close_after_head": body("upstream_cut"),
    "half_close_after_head": body("upstream_cut"),
    "reset_mid_event": body("upstream_cut", (EVENT * 2)[: len(EVENT) + 30]),
    "close_mid_event": body("upstream_cut", (EVENT * 2)[: len(EVENT) + 30]),
    "half_close_mid_event": body("upstream_cut", (EVENT * 2)[: len(EVENT) + 30]),
    "reset_between_events": body("upstream_cut", EVENT),
    "close_between_events": body("upstream_cut", EVENT),
    "length_too_long": body("upstream_cut", EVENT),
    "bad_chunk_size": body("upstream_garbled", b"{}"),
    "negative_chunk_size": body("upstream_garbled", b"{}"),
    "huge_chunk_size": body("upstream_garbled", b"{}"),
    "chunk_without_line_end": body("upstream_garbled", b"{}"),
    # too much
    "endless_line": body("upstream_too_large", ANY),
    "endless_body": body("upstream_too_large", ANY),
    "html_error": end(502, ANY),
    "chunk_extension_flood": body("upstream_garbled"),
    "trailer_flood": body("upstream_garbled", b"{}"),
    # odd, and to be survived
    "one_byte_chunks": end(200, EVENT * 100 + DONE),
    "one_byte_writes": end(200, BODY),
    "empty_ok": end(200, b""),
    "no_content_with_body": end(204, b"", kept=False),
    "not_modified_with_body": end(304, b"", kept=False),
    "json_error_with_200": end(200, ANY),
    "wrong_content_type": end(200, BODY),
    "no_content_type": end(200, BODY),
    "ended_by_close": end(200, BODY, kept=False),
    "silent_truncation": end(200, EVENT * 2),
    "leftover_bytes": end(200, b"{}", kept=False),
    "leftover_answer": end(200, b"{}", kept=False),
    "answers_before_body": end(413, ANY, kept=False),
    "one_informational": end(200, b"{}"),
}
TOO_LARGE_BYTES = 8_000_000


def test_the_table_knows_every_fault() -> None:
    assert set(OUTCOMES) == set(FAULTS)


@pytest.mark.parametrize("name", OUTCOMES)
@both_loops
async def test_a_fault_ends_as_it_should_and_the_next_call_is_well(name: str) -> None:
    expected = OUTCOMES[name]
    slow = expected.code == "upstream_timeout"
    async with (
        Hostile(FAULTS[name], hostile.fine) as server,
        transport_to(
            server.port,
            first_byte_timeout_s=0.05 if slow else 5,
            gap_timeout_s=0.05 if slow else 5,
            total_timeout_s=0.1 if slow else 5,
            answer_bytes=TOO_LARGE_BYTES,
        ) as transport,
    ):
        where, code, said, status, pieces = "head", "", "", 0, []
        try:
            answer = await transport.open(request(server.url), HOLD)
            where, status = "body", answer.status
            try:
                while piece := await answer.read():
                    pieces.append(piece)
                where = "end"
            finally:
                transport.release(answer)
        except UpstreamError as error:
            code = error.code
            said = f"{error!r} {error.message} {error.__cause__!r} {error.__context__!r}"
        assert "canary" not in said
        got = b"".join(pieces)
        assert (where, code, status) == (expected.where, expected.code, expected.status)
        assert len(got) < TOO_LARGE_BYTES + 1_000_000
        if expected.body is not ANY:
            assert got == expected.body
        assert transport.open_connections == transport.resting_connections == int(expected.kept)
        if not expected.kept and name != "never_reads":
            await server.quiet(0.3)
        answer = await transport.open(request(server.url, path="/next"), HOLD)
        assert await answer.read() == BODY
        transport.release(answer)


@pytest.mark.parametrize("how", ["reset", "close", "half_close", "silence"])
@both_loops
async def test_a_stream_cut_at_any_byte_is_never_taken_for_whole(how: str) -> None:
    text = EVENT + DONE
    for chunked in (True, False):
        for count in (0, 1, len(EVENT) - 1, len(EVENT), len(text) - 1)[:: 2 if how == "silence" else 1]:
            async with (
                Hostile(hostile.cut_at(how, count, text, chunked)) as server,
                transport_to(server.port, gap_timeout_s=0.01 if how == "silence" else 2) as transport,
            ):
                answer = await transport.open(request(server.url), HOLD)
                got = b""
                if count:
                    got = await answer.read()
                with pytest.raises(UpstreamError) as caught:
                    await answer.read()
                assert caught.value.code == ("upstream_timeout" if how == "silence" else "upstream_cut")
                assert got == text[:count]
                transport.release(answer)
                assert transport.open_connections == 0


@both_loops
async def test_a_flood_of_informational_answers_costs_little_time() -> None:
    async with Hostile(hostile.informational_flood) as server, transport_to(server.port) as transport:
        began = time.perf_counter()
        with pytest.raises(UpstreamError):
            await transport.open(request(server.url), HOLD)
        assert time.perf_counter() - began < 0.3


@both_loops
async def test_answers_are_never_mixed_up_by_aborts_leftovers_and_reuse() -> None:
    """A thousand calls, most of them spoiled in some way, each with a marker of its own."""

    async def echo(peer: Peer) -> None:
        marker = re.search(rb"marker-\d+", peer.heard.body)
        assert marker is not None
        text = marker[0] * 3
        answer = hostile.head(200, ("content-length", str(len(text)))) + text
        kind = int(marker[0].split(b"-")[1]) % 7
        if kind == 1:  # more than was announced
            await peer.send(answer + b"poison")
        elif kind == 2:  # a whole answer more
            await peer.send(answer + hostile.head(200, ("content-length", "6")) + b"poison")
        elif kind == 3:  # the rest comes when the caller has gone
            await peer.send(answer[:-5])
            await asyncio.sleep(0.001)
            await peer.send(answer[-5:] + b"poison")
        elif kind == 4:  # in a second piece, right behind
            await peer.send(answer)
            await peer.send(hostile.head(200, ("content-length", "6")) + b"poison")
        elif kind == 5:
            await peer.send(hostile.STREAM_HEAD)
            for byte in text:
                await peer.chunk(bytes((byte,)))
            await peer.send(b"0\r\n\r\n")
        else:
            await peer.send(answer)

    wrong: list[bytes] = []
    good = 0

    async def caller(first: int) -> None:
        nonlocal good
        for at in range(first, 1000, 10):
            marker = b"marker-%d" % at
            answer = await transport.open(request(server.url, b"[" + marker + b"]"), HOLD)
            if at % 7 == 3 or at % 11 == 0:
                await asyncio.sleep(0)
                transport.release(answer)
                continue
            got = b""
            while piece := await answer.read():
                got += piece
            transport.release(answer)
            good += 1
            if got != marker * 3:
                wrong.append(got)

    async with Hostile(echo) as server, transport_to(server.port) as transport:
        await asyncio.gather(*[caller(first) for first in range(10)])
        assert wrong == []
        assert good > 700
        assert server.connections < 1000  # some were used again, or this proves nothing
