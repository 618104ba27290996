"""A provider that breaks the rules: a raw TCP server, and each fault as a named function.

How to use it:

    async with Hostile(never_answers) as server:
        ...  # connect to server.url ("http://127.0.0.1:PORT")
        server.requests      # what came: a list of Heard(head, body), bytes as they were sent
        server.connections   # how many connections were accepted
        await server.quiet() # wait until every connection is closed by both sides

A fault is `async def fault(peer: Peer) -> None`. It is called once for each request on a connection, after
the request was read (unless it is marked with @at_once: then on accept, before anything is read). When it
returns without closing, the next request of the connection is waited for. `Hostile(a, b, c)` plays a for the
first request, b for the second, and c for all that follow, whatever connection they come on.

Faults without parameters are in FAULTS (name: function), sorted into groups by where a client notices:

  BEFORE_HEAD   no answer head that could be used: reset_on_accept, close_on_accept, reset_before_head,
                close_before_head, half_close_before_head, half_a_head, not_http, http_09, bad_status_line,
                status_000, status_999, bad_version, obs_fold, nul_in_header, bare_cr_in_header,
                space_before_colon, header_without_colon, two_lengths, length_not_a_number,
                negative_length, length_and_chunked, huge_header, many_fields, huge_status_line,
                informational_flood, switching_protocols
  SILENT        nothing comes any more: never_answers, never_reads, head_drip, head_then_silence,
                event_then_silence, endless_pings, endless_informational
  IN_BODY       the head is fine, the body is not: reset_after_head, close_after_head,
                half_close_after_head, reset_mid_event, close_mid_event, half_close_mid_event,
                reset_between_events, close_between_events, length_too_long, bad_chunk_size,
                negative_chunk_size, huge_chunk_size, chunk_without_line_end, gzip_garbled, gzip_cut
  OVERSIZE      more than anybody should hold: endless_line, endless_body, gzip_bomb, html_error,
                chunk_extension_flood, trailer_flood
  ENCODED       content-encoding although identity was asked for: gzip_unasked, deflate_unasked,
                brotli_claimed
  ODD           odd, and to be survived: one_byte_chunks, one_byte_writes, empty_ok, no_content_with_body,
                not_modified_with_body, json_error_with_200, wrong_content_type, no_content_type,
                ended_by_close, silent_truncation, leftover_bytes, leftover_answer, answers_before_body,
                bare_line_feeds, one_informational

Faults with parameters: answer(status, fields, body), stream(events, …), cut_at(how, count),
redirect(status, location), slow_drip(interval_s), pings(interval_s), retry_after(value, status),
header_field(name, value), raw(bytes).

`REDIRECTS` are 301, 302, 303, 307, 308; a thief is `Hostile(fine)`: its requests must stay empty.
"""

import asyncio
import gzip
import struct
import zlib
from collections.abc import Iterable
from functools import cache
from typing import Final

from tests.hostile_server import BODY, MEGABYTE, Fault, Heard, Hostile, Peer, at_once

__all__ = ["BODY", "Fault", "Heard", "Hostile", "Peer", "at_once"]

EVENT: Final = (
    b'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"echo-1","choices":[{"index":0,'
    b'"delta":{"content":"canary"},"logprobs":null,"finish_reason":null}]}\n\n'
)
DONE: Final = b"data: [DONE]\n\n"
CANARY: Final = b"canary"
"""Stands in every body and in every odd field: no log line or error may show it."""

REDIRECTS: Final = (301, 302, 303, 307, 308)


# --- heads and whole answers -------------------------------------------------------------------------


def head(status: int = 200, *fields: tuple[str, str]) -> bytes:
    """An answer's head with its empty line."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode("latin-1")


STREAM_HEAD: Final = head(200, ("content-type", "text/event-stream"), ("transfer-encoding", "chunked"))
JSON: Final = ("content-type", "application/json")


def answer(status: int, fields: Iterable[tuple[str, str]] = (JSON,), body: bytes = BODY) -> Fault:
    """An answer with a right content-length."""

    async def fault(peer: Peer) -> None:
        await peer.send(head(status, *fields, ("content-length", str(len(body)))) + body)

    return fault


def stream(events: Iterable[bytes], interval_s: float = 0.0) -> Fault:
    """A chunked stream, one chunk for each event, ended as it should."""

    async def fault(peer: Peer) -> None:
        await peer.send(STREAM_HEAD)
        for event in events:
            await asyncio.sleep(interval_s)
            await peer.chunk(event)
        await peer.send(b"0\r\n\r\n")

    return fault


def raw(data: bytes, close: bool = True) -> Fault:
    """These bytes as the answer, then the end of the connection."""

    async def fault(peer: Peer) -> None:
        await peer.send(data)
        if close:
            peer.close()

    return fault


def header_field(name: str, value: str) -> Fault:
    """A good answer with one more field."""
    return answer(200, (JSON, (name, value)))


def redirect(status: int, location: str) -> Fault:
    """A redirect; the thief's URL is the location."""
    return answer(status, (("location", location),), b"")


def retry_after(value: str, status: int = 429) -> Fault:
    """An error with that pause; the table of odd ones is ODD_PAUSES."""
    return answer(status, (JSON, ("retry-after", value)), b'{"error":{"message":"canary","type":"x"}}')


ODD_PAUSES: Final = (
    "-1",
    "1000000000",
    "NaN",
    "inf",
    "1e400",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "soon",
    "",
    "1.5",
    "٣",
)

fine = answer(200)
"""A good answer; the connection stays open."""

fine_stream = stream((EVENT, EVENT, DONE))


# --- reset, close, half-close (J1) -------------------------------------------------------------------


@at_once
async def reset_on_accept(peer: Peer) -> None:
    peer.reset()


@at_once
async def close_on_accept(peer: Peer) -> None:
    peer.close()


async def reset_before_head(peer: Peer) -> None:
    peer.reset()


async def close_before_head(peer: Peer) -> None:
    peer.close()


async def half_close_before_head(peer: Peer) -> None:
    peer.half_close()
    await peer.gone()


async def half_a_head(peer: Peer) -> None:
    await peer.send(STREAM_HEAD[: len(STREAM_HEAD) // 2])
    peer.close()


def cut_at(how: str, count: int, body: bytes = EVENT + EVENT + DONE, chunked: bool = True) -> Fault:
    """A stream that ends after that many bytes of its body.

    Args:
        how: "reset", "close", "half_close" or "silence".
        chunked: else the body has a content-length that is not reached.
    """

    async def fault(peer: Peer) -> None:
        length = ("content-length", str(len(body)))
        await peer.send(STREAM_HEAD if chunked else head(200, ("content-type", "text/event-stream"), length))
        if count and chunked:
            await peer.chunk(body[:count])
        elif count:
            await peer.send(body[:count])
        await asyncio.sleep(0.005)  # so that a reset does not overtake the bytes
        if how == "silence":
            await peer.gone()
        elif how == "half_close":
            peer.half_close()
            await peer.gone()
        elif how == "reset":
            peer.reset()
        else:
            peer.close()

    return fault


reset_after_head = cut_at("reset", 0)
close_after_head = cut_at("close", 0)
half_close_after_head = cut_at("half_close", 0)
reset_mid_event = cut_at("reset", len(EVENT) + 30)
close_mid_event = cut_at("close", len(EVENT) + 30)
half_close_mid_event = cut_at("half_close", len(EVENT) + 30)
reset_between_events = cut_at("reset", len(EVENT))
close_between_events = cut_at("close", len(EVENT))
length_too_long = cut_at("close", len(EVENT), chunked=False)


# --- slow and endless (J2, J3, J4) ---------------------------------------------------------------------


async def never_answers(peer: Peer) -> None:
    await peer.gone()


@at_once
async def never_reads(peer: Peer) -> None:
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


async def head_drip(peer: Peer) -> None:
    """A head that comes byte by byte, and never ends."""
    await peer.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await peer.send(b"x-more: y\r\n")
        await asyncio.sleep(0.02)


head_then_silence = cut_at("silence", 0)
event_then_silence = cut_at("silence", len(EVENT))


def pings(interval_s: float) -> Fault:
    """Comments for ever, and no answer."""

    async def fault(peer: Peer) -> None:
        await peer.send(STREAM_HEAD)
        while True:
            await peer.chunk(b": ping\n\n")
            await asyncio.sleep(interval_s)

    return fault


endless_pings = pings(0.01)


def slow_drip(interval_s: float, body: bytes = EVENT + DONE) -> Fault:
    """A stream of which each byte takes its time."""

    async def fault(peer: Peer) -> None:
        await peer.send(STREAM_HEAD)
        for at in range(len(body)):
            await peer.chunk(body[at : at + 1])
            await asyncio.sleep(interval_s)
        await peer.send(b"0\r\n\r\n")

    return fault


async def one_byte_chunks(peer: Peer) -> None:
    """A hundred events, each byte a chunk of its own."""
    body = EVENT * 100 + DONE
    await peer.send(STREAM_HEAD)
    await peer.send(b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")


async def one_byte_writes(peer: Peer) -> None:
    """A whole answer, head and all, one byte for each write."""
    for byte in head(200, JSON, ("content-length", str(len(BODY)))) + BODY:
        await peer.send(bytes((byte,)))
        await asyncio.sleep(0)


async def endless_line(peer: Peer) -> None:
    """100 MB of one event without a line end."""
    await peer.send(STREAM_HEAD)
    await peer.chunk(b'data: {"choices":[{"delta":{"content":"')
    for _ in range(100):
        await peer.chunk(CANARY * (MEGABYTE // len(CANARY)))
    await peer.send(b"0\r\n\r\n")


async def endless_body(peer: Peer) -> None:
    """A JSON body that never ends."""
    await peer.send(head(200, JSON, ("transfer-encoding", "chunked")))
    while True:
        await peer.chunk(b'["canary",' * 6000)


# --- encodings (J7) ------------------------------------------------------------------------------------


def _encoded(encoding: str, data: bytes) -> Fault:
    return answer(200, (JSON, ("content-encoding", encoding)), data)


gzip_unasked = _encoded("gzip", gzip.compress(BODY))
deflate_unasked = _encoded("deflate", zlib.compress(BODY))
brotli_claimed = _encoded("br", b"\x0b\x02\x80canary\x03")
gzip_garbled = _encoded("gzip", b"this is not gzip, canary")
gzip_cut = _encoded("gzip", gzip.compress(BODY)[:-12])


@cache
def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(b"\0" * MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    end = struct.pack("<II", 0x4B282398, 100 * MEGABYTE)  # the CRC-32 of that many zeros
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + block * 100 + b"\x03\0" + end


async def gzip_bomb(peer: Peer) -> None:
    """About 100 KB that unpack to 100 MB."""
    await _encoded("gzip", _bomb())(peer)


# --- heads (D8, J8) ------------------------------------------------------------------------------------


async def informational_flood(peer: Peer) -> None:
    """100,000 answers of 1xx before the real one."""
    for _ in range(100):
        await peer.send(b"HTTP/1.1 103 Early Hints\r\nlink: </canary>\r\n\r\n" * 1000)
    await fine(peer)


async def endless_informational(peer: Peer) -> None:
    while True:
        await peer.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        await asyncio.sleep(0.01)


one_informational = raw(
    b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + head(200, JSON, ("content-length", "2")) + b"{}"
)
switching_protocols = raw(
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\ncanary"
)
huge_header = header_field("x-huge", "canary" * (MEGABYTE // 6))
many_fields = answer(200, (JSON, *((f"x-field-{at}", "canary") for at in range(5000))))
huge_status_line = raw(b"HTTP/1.1 200 " + CANARY * (MEGABYTE // 6) + b"\r\ncontent-length: 0\r\n\r\n")
not_http = raw(b"SSH-2.0-OpenSSH_9.9 canary\r\n")
http_09 = raw(b"<html>canary</html>\n")
bad_status_line = raw(b"HTTP/1.1 two-hundred OK canary\r\ncontent-length: 2\r\n\r\n{}")
status_000 = raw(b"HTTP/1.1 000 Canary\r\ncontent-length: 2\r\n\r\n{}")
status_999 = raw(b"HTTP/1.1 9999 Canary\r\ncontent-length: 2\r\n\r\n{}")
bad_version = raw(b"HTTP/canary 200 OK\r\ncontent-length: 2\r\n\r\n{}")
obs_fold = raw(b"HTTP/1.1 200 OK\r\nx-folded: one\r\n canary\r\ncontent-length: 2\r\n\r\n{}")
nul_in_header = raw(b"HTTP/1.1 200 OK\r\nx-odd: can\0ary\r\ncontent-length: 2\r\n\r\n{}")
bare_cr_in_header = raw(b"HTTP/1.1 200 OK\r\nx-odd: can\rary\r\ncontent-length: 2\r\n\r\n{}")
space_before_colon = raw(b"HTTP/1.1 200 OK\r\ncanary : x\r\ncontent-length: 2\r\n\r\n{}")
header_without_colon = raw(b"HTTP/1.1 200 OK\r\ncanary\r\ncontent-length: 2\r\n\r\n{}")
bare_line_feeds = raw(b"HTTP/1.1 200 OK\ncontent-type: application/json\ncontent-length: 2\n\n{}")


# --- framing of bodies (J10) -----------------------------------------------------------------------------

two_lengths = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 9\r\n\r\n{}canary.")
length_not_a_number = raw(b"HTTP/1.1 200 OK\r\ncontent-length: canary\r\n\r\n{}")
negative_length = raw(b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}")
length_and_chunked = raw(
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n8\r\n[canary]\r\n0\r\n\r\n"
)
_CHUNKED: Final = head(200, JSON, ("transfer-encoding", "chunked"))
bad_chunk_size = raw(_CHUNKED + b"2\r\n{}\r\ncanary\r\n{}\r\n0\r\n\r\n")
negative_chunk_size = raw(_CHUNKED + b"2\r\n{}\r\n-2\r\n{}\r\n0\r\n\r\n")
huge_chunk_size = raw(_CHUNKED + b"2\r\n{}\r\n" + b"f" * 40 + b"\r\n{}\r\n0\r\n\r\n")
chunk_without_line_end = raw(_CHUNKED + b"2\r\n{}canary0\r\n\r\n")
leftover_bytes = raw(head(200, JSON, ("content-length", "2")) + b"{}canary", close=False)
leftover_answer = raw(
    head(200, JSON, ("content-length", "2")) + b"{}" + head(200, JSON, ("content-length", "8")) + b'"canary"',
    close=False,
)
"""After a good answer comes a second one that nobody asked for: it must not reach the next call."""


async def chunk_extension_flood(peer: Peer) -> None:
    """50 MB of chunk extension."""
    await peer.send(_CHUNKED + b"2;")
    for _ in range(50):
        await peer.send(CANARY * (MEGABYTE // 6))
    await peer.send(b"\r\n{}\r\n0\r\n\r\n")


async def trailer_flood(peer: Peer) -> None:
    """50 MB of trailer fields."""
    await peer.send(_CHUNKED + b"2\r\n{}\r\n0\r\n")
    for _ in range(50):
        await peer.send(b"x-trailer: canary\r\n" * (MEGABYTE // 19))
    await peer.send(b"\r\n")


# --- contents (J9) -----------------------------------------------------------------------------------------


async def html_error(peer: Peer) -> None:
    """An error page of 5 MB."""
    page = b"<html><h1>502</h1>" + b"<p>canary</p>" * (5 * MEGABYTE // 13)
    await answer(502, (("content-type", "text/html"),), page)(peer)


empty_ok = answer(200, (JSON,), b"")
no_content_with_body = raw(head(204, JSON, ("content-length", "6")) + CANARY, close=False)
not_modified_with_body = raw(head(304, JSON, ("content-length", "6")) + CANARY, close=False)
json_error_with_200 = answer(
    200, (JSON,), b'{"error":{"message":"canary","type":"server_error","code":null}}'
)
wrong_content_type = answer(200, (("content-type", "text/html"),))
no_content_type = answer(200, ())
ended_by_close = raw(head(200, JSON, ("connection", "close")) + BODY)
silent_truncation = stream((EVENT, EVENT))
"""A stream that ends as HTTP wants it, but without its [DONE]."""


@at_once
async def answers_before_body(peer: Peer) -> None:
    """Refuses before the request's body came, and closes."""
    await peer.reader.readuntil(b"\r\n\r\n")
    await answer(413, (JSON, ("connection", "close")), b'{"error":{"message":"canary"}}')(peer)
    peer.close()


def _named(names: str) -> dict[str, Fault]:
    return {name: globals()[name] for name in names.split()}


BEFORE_HEAD: Final = _named("""
    reset_on_accept close_on_accept reset_before_head close_before_head half_close_before_head
    half_a_head not_http http_09 bad_status_line status_000 status_999 bad_version obs_fold
    nul_in_header bare_cr_in_header space_before_colon header_without_colon two_lengths
    length_not_a_number negative_length length_and_chunked huge_header many_fields huge_status_line
    informational_flood switching_protocols
""")
SILENT: Final = _named("""
    never_answers never_reads head_drip head_then_silence event_then_silence endless_pings
    endless_informational
""")
IN_BODY: Final = _named("""
    reset_after_head close_after_head half_close_after_head reset_mid_event close_mid_event
    half_close_mid_event reset_between_events close_between_events length_too_long bad_chunk_size
    negative_chunk_size huge_chunk_size chunk_without_line_end gzip_garbled gzip_cut
""")
OVERSIZE: Final = _named("""
    endless_line endless_body gzip_bomb html_error chunk_extension_flood trailer_flood
""")
ENCODED: Final = _named("""
    gzip_unasked deflate_unasked brotli_claimed
""")
ODD: Final = _named("""
    one_byte_chunks one_byte_writes empty_ok no_content_with_body not_modified_with_body
    json_error_with_200 wrong_content_type no_content_type ended_by_close silent_truncation
    leftover_bytes leftover_answer answers_before_body bare_line_feeds one_informational
""")
FAULTS: Final = BEFORE_HEAD | SILENT | IN_BODY | OVERSIZE | ENCODED | ODD
