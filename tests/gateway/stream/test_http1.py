"""The answer reader and the request writer: strict, and the same however the bytes are cut."""

from dataclasses import dataclass

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.errors import OurError
from gateway.stream import http1
from gateway.stream.http1 import Reader, Stage, write_request

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Outcome:
    """Everything that a reader says of one answer."""

    status: int
    headers: http1.Fields
    body: bytes
    stage: Stage
    failed: str
    clean: bool


def read(*pieces: bytes, end: bool = False, method: str = "POST") -> Outcome:
    reader = Reader()
    reader.begin(method)
    body = b"".join([reader.feed(piece) for piece in pieces])
    if end:
        reader.end()
    return Outcome(reader.status, reader.headers, body, reader.stage, reader.failed, reader.clean)


def one_by_one(data: bytes, size: int = 1) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


ANSWERS: dict[str, bytes] = {
    "counted": OK + b"Content-Type: application/json\r\nContent-Length: 12\r\n\r\n" + b"hello, world",
    "counted, empty": OK + b"content-length: 0\r\n\r\n",
    "length said twice": OK + b"content-length: 2\r\ncontent-length: 2\r\n\r\nhi",
    "chunked": CHUNKED + b"5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n",
    "chunked, upper case": OK
    + b"Transfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
    "chunk extensions": CHUNKED + b'5;a=b;c="d"\r\nhello\r\n2;x\r\nhi\r\n0;last\r\n\r\n',
    "trailers": CHUNKED + b"5\r\nhello\r\n0\r\ncontent-length: 9\r\nauthorization: x\r\n\r\n",
    "line ends in the data": CHUNKED + b"6\r\n\r\n0\r\n\r\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n",
    "until close": OK + b"connection: close\r\n\r\neverything that comes",
    "old version": b"HTTP/1.0 200 OK\r\n\r\neverything",
    "old version with length": b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    "hints before": b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 \r\n\r\n"
    + OK
    + b"content-length: 2\r\n\r\nhi",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "no content, with length": b"HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\nabc",
    "not modified": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 300\r\n\r\n",
    "no reason": b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi",
    "odd bytes in a field": OK + b"x-odd: caf\xe9\r\nx-even: \t yes \t\r\nContent-Length: 2\r\n\r\nhi",
    "leftover": OK + b"content-length: 2\r\n\r\nhi and more",
    "leftover answer": OK + b"content-length: 2\r\n\r\nhi" + OK + b"content-length: 1\r\n\r\nx",
    "leftover behind chunks": CHUNKED + b"2\r\nhi\r\n0\r\n\r\nx",
    "leftover behind trailers": CHUNKED + b"2\r\nhi\r\n0\r\na: b\r\n\r\nx",
    "closes": OK + b"connection: x, Close\r\ncontent-length: 2\r\n\r\nhi",
    "identity": OK + b"content-encoding: identity\r\ncontent-length: 2\r\n\r\nhi",
    "length and chunks": OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "bad chunk size": CHUNKED + b"2\r\nhi\r\nxyz\r\nhi\r\n",
    "no line end behind a chunk": CHUNKED + b"2\r\nhixx0\r\n\r\n",
    "line feed behind a chunk": CHUNKED + b"2\r\nhi\n0\r\n\r\n",
    "bad trailer": CHUNKED + b"2\r\nhi\r\n0\r\nbad name: x\r\n\r\n",
    "line feeds": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nhi",
    "cut head": OK + b"content-le",
    "cut body": OK + b"content-length: 20\r\n\r\nhi",
    "cut chunk": CHUNKED + b"5\r\nhe",
    "cut line end": CHUNKED + b"2\r\nhi\r",
    "cut size": CHUNKED + b"2\r\nhi\r\n1",
    "cut trailer": CHUNKED + b"2\r\nhi\r\n0\r\na: ",
    "nothing": b"",
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("end", [False, True])
def test_every_cut_gives_the_same_outcome(name: str, end: bool) -> None:
    data = ANSWERS[name]
    whole = read(data, end=end)
    for at in range(len(data) + 1):
        assert read(data[:at], data[at:], end=end) == whole, at
    for size in (1, 2, 3, 7):
        assert read(*one_by_one(data, size), end=end) == whole, size


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_cuts_of_any_recorded_or_damaged_answer_give_the_same_outcome(data: st.DataObject) -> None:
    answer = bytearray(data.draw(st.sampled_from(list(ANSWERS.values()))))
    for at in data.draw(st.lists(st.integers(0, max(0, len(answer) - 1)), max_size=3)):
        if answer:
            answer[at : at + 1] = data.draw(
                st.sampled_from([b"", b"\r", b"\n", b"\0", b"7", b" ", b"\r\n", b";"])
            )
    raw = bytes(answer)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)), max_size=8)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert read(*pieces, end=True) == read(raw, end=True)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12), st.integers(1, 50), st.booleans())
@example([b"\r\n", b"0\r\n\r\n"], 1, True)
def test_chunks_give_back_what_was_put_in(parts: list[bytes], size: int, extended: bool) -> None:
    mark = b";x=1" if extended else b""
    coded = b"".join(b"%X%b\r\n%b\r\n" % (len(part), mark, part) for part in parts) + b"0\r\n\r\n"
    outcome = read(*one_by_one(CHUNKED + coded, size))
    assert (outcome.body, outcome.stage, outcome.clean) == (b"".join(parts), Stage.DONE, True)


def h11_reading(data: bytes) -> tuple[int, bytes] | None:
    """Status and body as another reader sees them; None when it refuses."""
    connection = h11.Connection(our_role=h11.CLIENT)
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "a"), ("content-length", "0")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    connection.receive_data(b"")
    status, body = 0, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return status, body
            elif event in (h11.NEED_DATA, h11.PAUSED):
                return None
    except h11.RemoteProtocolError:
        return None


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_read_is_what_another_reader_reads(name: str) -> None:
    outcome = read(ANSWERS[name], end=True)
    if outcome.stage is Stage.DONE and "leftover" not in name:
        assert h11_reading(ANSWERS[name]) == (outcome.status, outcome.body)


GOOD = {
    "counted": b"hello, world",
    "chunked": b"hello, world",
    "chunked, upper case": b"01234567890123456789",
    "chunk extensions": b"hellohi",
    "trailers": b"hello",
    "line ends in the data": b"\r\n0\r\n\r\r\n\r\n",
    "length said twice": b"hi",
    "hints before": b"hi",
    "no reason": b"hi",
    "identity": b"hi",
    "odd bytes in a field": b"hi",
    "counted, empty": b"",
    "no content": b"",
    "not modified": b"",
}


@pytest.mark.parametrize(("name", "body"), GOOD.items())
def test_a_good_answer_leaves_the_connection_clean(name: str, body: bytes) -> None:
    outcome = read(ANSWERS[name])
    assert (outcome.body, outcome.stage, outcome.failed, outcome.clean) == (body, Stage.DONE, "", True)


@pytest.mark.parametrize(
    "name",
    [
        "leftover",
        "leftover answer",
        "leftover behind chunks",
        "leftover behind trailers",
        "closes",
        "old version with length",
        "no content, with length",
    ],
)
def test_a_connection_with_leftovers_or_said_to_close_is_not_clean(name: str) -> None:
    outcome = read(ANSWERS[name])
    assert outcome.stage is Stage.DONE
    assert outcome.body in (b"hi", b"")
    assert not outcome.clean


def test_bytes_long_after_the_end_are_no_body() -> None:
    reader = Reader()
    assert reader.feed(ANSWERS["counted"]) == b"hello, world"
    assert reader.clean
    assert reader.feed(b"poison") == b""
    assert not reader.clean


@pytest.mark.parametrize("name", ["until close", "old version"])
def test_a_body_may_end_with_the_connection_when_it_says_so(name: str) -> None:
    assert read(ANSWERS[name]).stage is Stage.UNTIL_CLOSE
    assert read(ANSWERS[name], end=True).stage is Stage.DONE
    assert not read(ANSWERS[name], end=True).clean


def test_an_answer_without_an_end_is_refused() -> None:
    assert read(OK + b"content-type: text/html\r\n\r\nx").failed == "upstream_garbled"


@pytest.mark.parametrize("name", [name for name in ANSWERS if name.startswith(("cut", "nothing"))])
def test_an_end_too_early_is_a_cut(name: str) -> None:
    assert read(ANSWERS[name]).failed == ""
    assert read(ANSWERS[name], end=True).failed == "upstream_cut"


def test_an_answer_to_head_has_no_body() -> None:
    outcome = read(OK + b"content-length: 20\r\n\r\n", method="HEAD")
    assert (outcome.stage, outcome.clean) == (Stage.DONE, True)


def test_one_reader_reads_many_answers() -> None:
    reader = Reader()
    for _ in range(3):
        for name, body in GOOD.items():
            reader.begin("POST")
            assert not reader.begun
            assert b"".join([reader.feed(piece) for piece in one_by_one(ANSWERS[name], 5)]) == body
            assert reader.clean


def test_names_are_lower_case_and_values_trimmed_and_ascii() -> None:
    assert read(ANSWERS["odd bytes in a field"]).headers == (("x-even", "yes"), ("content-length", "2"))


HEADS: dict[str, bytes] = {
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "html": b"<html></html>",
    "lower case": b"http/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "version 2": b"HTTP/2 200 OK\r\ncontent-length: 0\r\n\r\n",
    "version 1.2": b"HTTP/1.2 200 OK\r\ncontent-length: 0\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
    "status 000": b"HTTP/1.1 000 OK\r\ncontent-length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 OK\r\ncontent-length: 0\r\n\r\n",
    "two spaces": b"HTTP/1.1  200 OK\r\ncontent-length: 0\r\n\r\n",
    "NUL in the reason": b"HTTP/1.1 200 O\0K\r\ncontent-length: 0\r\n\r\n",
    "empty line first": b"\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "folded": OK + b"a: b\r\n c\r\ncontent-length: 0\r\n\r\n",
    "folded with a tab": OK + b"a: b\r\n\tc\r\ncontent-length: 0\r\n\r\n",
    "folded first": OK + b" a: b\r\ncontent-length: 0\r\n\r\n",
    "NUL": OK + b"a: b\0c\r\ncontent-length: 0\r\n\r\n",
    "escape": OK + b"a: b\x1bc\r\ncontent-length: 0\r\n\r\n",
    "delete": OK + b"a: b\x7fc\r\ncontent-length: 0\r\n\r\n",
    "CR alone": OK + b"a: b\rc\r\ncontent-length: 0\r\n\r\n",
    "LF alone": OK + b"a: b\nc: d\r\ncontent-length: 0\r\n\r\n",
    "CR CR LF": OK + b"a: b\r\r\ncontent-length: 0\r\n\r\n",
    "space before the colon": OK + b"a : b\r\ncontent-length: 0\r\n\r\n",
    "space in a name": OK + b"a b: c\r\ncontent-length: 0\r\n\r\n",
    "name of other letters": OK + b"\xe9: b\r\ncontent-length: 0\r\n\r\n",
    "no name": OK + b": b\r\ncontent-length: 0\r\n\r\n",
    "no colon": OK + b"ab\r\ncontent-length: 0\r\n\r\n",
    "two lengths": OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\n",
    "a list of lengths": OK + b"content-length: 2, 2\r\n\r\n",
    "negative length": OK + b"content-length: -2\r\n\r\n",
    "signed length": OK + b"content-length: +2\r\n\r\n",
    "hexadecimal length": OK + b"content-length: 0x2\r\n\r\n",
    "length with a line": OK + b"content-length: 1_0\r\n\r\n",
    "length of other digits": OK + b"content-length: \xb2\r\n\r\n",
    "empty length": OK + b"content-length: \r\n\r\n",
    "huge length": OK + b"content-length: 1000000000000000000000\r\n\r\n",
    "length and chunks": OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
    "chunks and length": OK + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n",
    "chunks twice": OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
    "gzip, chunked": OK + b"transfer-encoding: gzip, chunked\r\n\r\n",
    "identity transfer": OK + b"transfer-encoding: identity\r\n\r\n",
    "xchunked": OK + b"transfer-encoding: xchunked\r\n\r\n",
    "odd chunked": OK + b"transfer-encoding: chunked\xa0\r\n\r\n",
    "chunked in an old version": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    "gzip": OK + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n",
    "identity, br": OK + b"content-encoding: identity, br\r\ncontent-length: 2\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
    "hints with a body": b"HTTP/1.1 103 Hints\r\ncontent-length: 2\r\n\r\n",
    "chunked hints": b"HTTP/1.1 103 Hints\r\ntransfer-encoding: chunked\r\n\r\n",
    "17 hints": b"HTTP/1.1 103 Hints\r\n\r\n" * 17 + OK + b"content-length: 0\r\n\r\n",
    "257 fields": OK + b"a: b\r\n" * 257 + b"\r\n",
    "a field of 17 KB": OK + b"a: " + b"b" * 17000 + b"\r\ncontent-length: 0\r\n\r\n",
    "a head of 65 KB": OK + (b"a: " + b"b" * 1000 + b"\r\n") * 66 + b"content-length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_bad_head_is_refused_whole_and_in_pieces(name: str) -> None:
    data = HEADS[name]
    for size in (1, 2, 3, 1000, len(data)):
        outcome = read(*one_by_one(data, size), b"more", end=True)
        assert outcome == Outcome(0, (), b"", Stage.FAILED, "upstream_garbled", False), size


def test_limits_of_a_head_are_inclusive() -> None:
    assert read(b"HTTP/1.1 103 Hints\r\n\r\n" * 16 + ANSWERS["counted"]).body == b"hello, world"
    assert read(OK + b"a: b\r\n" * 255 + b"content-length: 0\r\n\r\n").stage is Stage.DONE
    fill = http1.HEAD_BYTES - len(OK + b"content-length: 0\r\n\r\n") - 8 * len(b"a: \r\n")
    fields = b"".join(b"a: " + b"b" * (fill // 8) + b"\r\n" for _ in range(7))
    last = b"a: " + b"b" * (fill - fill // 8 * 7) + b"\r\n"
    head = OK + fields + last + b"content-length: 0\r\n\r\n"
    assert len(head) == http1.HEAD_BYTES
    for size in (len(head), 1, 4096):
        assert read(*one_by_one(head, size)).stage is Stage.DONE
        assert read(*one_by_one(head.replace(b"a:", b"aa:", 1), size)).stage is Stage.FAILED


def test_a_flood_of_informational_answers_costs_no_more_than_sixteen() -> None:
    outcome = read(b"HTTP/1.1 102 Processing\r\n\r\n" * 100_000)
    assert outcome.failed == "upstream_garbled"


CHUNKS: dict[str, bytes] = {
    "signed": b"+2\r\nhi\r\n",
    "negative": b"-2\r\nhi\r\n",
    "with 0x": b"0x2\r\nhi\r\n",
    "with a line": b"1_0\r\nhi\r\n",
    "space before": b" 2\r\nhi\r\n",
    "space behind": b"2 \r\nhi\r\n",
    "empty": b"\r\nhi\r\n",
    "line feed": b"2\nhi\r\n",
    "CR in an extension": b"2;a\rb\r\nhi\r\n",
    "LF in an extension": b"2;a\nb\r\nhi\r\n",
    "NUL in an extension": b"2;\0\r\nhi\r\n",
    "too long an extension": b"2;" + b"a" * 300 + b"\r\nhi\r\n",
    "endless extension": b"2;" + b"a" * 3000,
    "huge": b"1" + b"0" * 15 + b"\r\nhi",
    "data without its end": b"2\r\nhi0\r\n\r\n",
    "trailer of 17 KB": b"0\r\na: " + b"b" * 17000 + b"\r\n\r\n",
    "endless trailer": b"0\r\n" + b"a: b\r\n" * 3000,
    "trailer of 300 fields": b"0\r\n" + b"a: b\r\n" * 300 + b"\r\n",
    "folded trailer": b"0\r\na: b\r\n c\r\n\r\n",
    "trailer with NUL": b"0\r\na: \0\r\n\r\n",
}


@pytest.mark.parametrize("name", CHUNKS)
def test_bad_chunks_end_the_answer_after_what_was_good(name: str) -> None:
    data = CHUNKED + b"4\r\ngood\r\n" + CHUNKS[name]
    for size in (1, 2, 5, len(data)):
        outcome = read(*one_by_one(data, size), b"", b"more")
        assert outcome.failed == "upstream_garbled", size
        assert outcome.body.removesuffix(b"hi") == b"good"
        assert not outcome.clean


def test_a_chunk_extension_may_have_space_before_it() -> None:
    assert read(CHUNKED + b"2 \t;x\r\nhi\r\n0\r\n\r\n").body == b"hi"


def test_one_byte_chunks_are_joined_to_one_piece() -> None:
    reader = Reader()
    reader.feed(CHUNKED)
    assert reader.feed(b"1\r\nx\r\n" * 10_000) == b"x" * 10_000


# --- requests ---------------------------------------------------------------------------------------------

FIELDS = (("authorization", "Bearer key"), ("content-type", "application/json"))


def test_a_request_is_written_in_one_piece() -> None:
    assert write_request("POST", "/v1/x?a=b", "api.example.com", FIELDS, b"{}") == [
        b"POST /v1/x?a=b HTTP/1.1\r\nhost: api.example.com\r\naccept-encoding: identity\r\n"
        b"connection: keep-alive\r\ncontent-length: 2\r\nauthorization: Bearer key\r\n"
        b"content-type: application/json\r\n\r\n{}"
    ]


def test_a_large_body_is_not_copied() -> None:
    body = b"x" * (http1.JOIN_BYTES + 1)
    head, rest = write_request("POST", "/", "a", (), body)
    assert rest is body
    assert head.endswith(b"content-length: 65537\r\n\r\n")


@pytest.mark.parametrize("at", [*range(0x20), *range(0x7F, 0xA1), 0x100, 0x2028, 0xD800])
def test_no_control_character_and_nothing_beyond_ascii_gets_into_a_request(at: int) -> None:
    bad = chr(at)
    attempts: list[tuple[str, str, str, http1.Fields]] = [
        ("POST", f"/{bad}", "a", FIELDS),
        ("POST", "/", f"a{bad}", FIELDS),
        (f"POST{bad}", "/", "a", FIELDS),
        ("POST", "/", "a", ((f"x{bad}", "y"),)),
        ("POST", "/", "a", (("x", f"y{bad}z"),)),
        ("POST", "/", "a", (("x", f"y{bad}"),)),
    ]
    for method, target, host, headers in attempts:
        with pytest.raises(OurError) as caught:
            write_request(method, target, host, headers, b"{}")
        assert caught.value.code == "bug"
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "name",
    [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "accept-encoding",
        "te",
        "expect",
        "upgrade",
        "trailer",
        "keep-alive",
        "proxy-connection",
        "X-Upper",
        "",
        "a b",
        "a:",
        "é",
    ],
)
def test_names_that_are_the_writers_own_or_no_names_are_refused(name: str) -> None:
    with pytest.raises(OurError):
        write_request("POST", "/", "a", ((name, "x"),), b"")


@pytest.mark.parametrize("target", ["", "x", "http://a/", "/a b", "/a#b", "/\x7f"])
def test_targets_are_paths_without_spaces_and_fragments(target: str) -> None:
    with pytest.raises(OurError):
        write_request("POST", target, "a", (), b"")


@pytest.mark.parametrize("method", ["", "post", "PO ST", "P0ST", "ÀÁ"])
def test_methods_are_upper_case_words(method: str) -> None:
    with pytest.raises(OurError):
        write_request(method, "/", "a", (), b"")
