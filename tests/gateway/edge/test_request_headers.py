"""What a header field is to us, on the way in and on the way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import Purpose
from gateway.contracts import NO_TAGS
from gateway.edge.request_headers import Head, HeaderReader, is_plain, pass_back, read_query


def read(*fields: tuple[str, str], features: tuple[str, ...] = ()) -> Head:
    return HeaderReader(features).read(
        tuple((name.encode(), value.encode("latin-1")) for name, value in fields)
    )


def test_a_usual_head() -> None:
    head = read(
        ("Host", "localhost:8080"),
        ("Authorization", "Bearer tg-1"),
        ("Content-Type", "application/json"),
        ("Anthropic-Version", "2023-06-01"),
        ("X-Stainless-Lang", "python"),
        ("X-Unknown", "1"),
        ("Cookie", "a=b"),
    )
    assert head.fields == {
        "authorization": "",
        "anthropic-version": "2023-06-01",
        "x-stainless-lang": "python",
    }
    assert head.tags is NO_TAGS
    assert (head.hosts, head.odd_host, head.fault, head.conflict) == (1, False, None, None)
    presented = head.presented()
    assert presented is not None
    assert presented.open(Purpose.AUTH) == "tg-1"


def test_no_key_is_no_secret() -> None:
    assert read(("Host", "a")).presented() is None


def test_fields_that_are_lists_are_joined_and_single_ones_may_not_double() -> None:
    head = read(("anthropic-beta", "a"), ("anthropic-beta", "b"), ("user-agent", "a"), ("user-agent", "b"))
    assert head.fields == {"anthropic-beta": "a, b", "user-agent": "a"}
    assert head.fault is None
    for name in ("anthropic-version", "idempotency-key"):
        doubled = read((name, "a"), (name, "a"))
        assert doubled.fault is not None
        assert doubled.fault.about == name


def test_fields_about_the_body_that_double_fit_nothing() -> None:
    head = read(
        ("content-encoding", "gzip"), ("content-encoding", "gzip"), ("expect", "a"), ("expect", "b"),
        ("transfer-encoding", "Chunked"), ("transfer-encoding", "chunked"),
        ("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2"),
    )  # fmt: skip
    assert head.content_encoding == "gzip,gzip"
    assert head.expect == "a,b"
    assert head.transfer_encoding == "chunked,chunked"
    assert head.forwarded_for == "1.1.1.1,2.2.2.2"


def test_octets_beyond_ascii_are_a_fault_where_we_read_and_nothing_elsewhere() -> None:
    for name in ("x-api-key", "anthropic-beta", "x-gateway-feature", "content-type"):
        fault = read((name, "caf\u00e9")).fault
        assert fault is not None
        assert fault.about == name
    for name in ("user-agent", "x-other", "cookie"):
        head = read((name, "caf\u00e9"))
        assert (head.fault, head.fields) == (None, {})


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=20))
def test_no_bytes_break_the_reader_and_none_that_are_odd_come_through(raw: list[tuple[bytes, bytes]]) -> None:
    head = HeaderReader(("x-a",)).read(tuple(raw))
    for name, value in head.fields.items():
        assert name == name.lower()
        assert value.isascii()


@given(st.text(max_size=60))
def test_no_text_breaks_the_query(text: str) -> None:
    head = Head()
    pairs = read_query(text, head)
    assert all(name != "key" for name, _ in pairs)


def test_the_table_of_names_does_not_grow_without_end() -> None:
    reader = HeaderReader()
    for i in range(2000):
        reader.read(((b"x-%d" % i, b"y"), (b"z" * 65, b"y")))
    assert len(reader._seen) <= 512
    assert reader.read(((b"anthropic-late", b"1"),)).fields == {"anthropic-late": "1"}


QUERIES = {
    "": ((), []),
    "alt=sse": ((("alt", "sse"),), []),
    "key=k": ((), ["k"]),
    "key=": ((), []),
    "a=1&a=2": ((("a", "1"), ("a", "2")), []),
    "a=%2B+b": ((("a", "+ b"),), []),
    "%6Bey=k": ((), ["k"]),
    "KEY=k": ((("KEY", "k"),), []),
}


@pytest.mark.parametrize("text", QUERIES)
def test_the_key_is_taken_off_the_query(text: str) -> None:
    head = Head()
    assert (read_query(text, head), head.keys) == QUERIES[text]
    assert ("x-goog-api-key" in head.fields) is ("ey=" in text)


BACK = {
    "content-type": True,
    "Content-Type": True,
    "x-request-id": True,
    "request-id": True,
    "retry-after": True,
    "retry-after-ms": True,
    "x-should-retry": True,
    "openai-processing-ms": True,
    "openai-version": True,
    "openai-organization": False,
    "openai-project": False,
    "anthropic-ratelimit-requests-limit": True,
    "anthropic-organization-id": False,
    "x-ratelimit-remaining-tokens": True,
    "cache-control": True,
    "set-cookie": False,
    "Set-Cookie": False,
    "server": False,
    "location": False,
    "alt-svc": False,
    "strict-transport-security": False,
    "access-control-allow-origin": False,
    "connection": False,
    "keep-alive": False,
    "proxy-authenticate": False,
    "transfer-encoding": False,
    "trailer": False,
    "upgrade": False,
    "te": False,
    "via": False,
    "content-length": False,
    "content-encoding": False,
    "date": False,
    "cf-ray": False,
    "x-gateway-request-id": False,
    "x-powered-by": False,
    "www-authenticate": False,
    "content-security-policy": False,
    "y" * 100: False,
}


@pytest.mark.parametrize("name", BACK)
def test_what_of_a_providers_fields_a_caller_may_see(name: str) -> None:
    for _ in range(2):
        assert bool(pass_back(((name, "v"),))) is BACK[name]


@given(st.text(max_size=30))
def test_a_plain_value_has_no_control_characters(text: str) -> None:
    assert is_plain(text) == (text.isascii() and not any(ord(one) < 32 or ord(one) == 127 for one in text))
