"""Header fields, queries, paths and content types that try to be read in two ways."""

from typing import Any

import pytest
from edge_fakes import ANSWER, GOOD_KEY, Bench, post, running, status_of

from gateway.content import Purpose

CANARY = "c4n4ry0xfee1dead"
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
CHAT = "/v1/chat/completions"


async def ask(bench: Bench, *fields: str, path: str = CHAT, **more: str | None) -> tuple[int, bytes]:
    client = await bench.connect()
    await client.send(post(path, BODY, *fields, **more))
    status, _, body = await client.answer()
    return status, body


# --- C7, B6, B7: content type and encoding ---

TYPES = {
    "application/json": 200,
    "Application/JSON": 200,
    "application/json; charset=utf-8": 200,
    "application/json;charset=UTF-8": 200,
    'application/json; charset="utf-8"': 200,
    "application/json; charset=utf-7": 415,
    "application/json; charset=utf-16": 415,
    "application/json; charset=utf-8; x=y": 415,
    "application/json, text/plain": 415,
    "application/jsonp": 415,
    "application/problem+json": 415,
    "text/plain": 415,
    "text/json": 415,
    "application/x-www-form-urlencoded": 415,
    "multipart/form-data; boundary=x": 415,
    "": 415,
    None: 415,
}


@pytest.mark.parametrize("content_type", TYPES)
async def test_calls_are_json_in_utf_8(content_type: str | None) -> None:
    async with running() as bench:
        status, _ = await ask(bench, content_type=content_type)
        assert status == TYPES[content_type]
        assert len(bench.pipeline.calls) == (status == 200)


@pytest.mark.parametrize(
    "encoding", ["gzip", "br", "zstd", "deflate", "gzip, gzip", "identity, gzip", "x", "GZIP"]
)
async def test_an_encoded_body_is_refused_unopened(encoding: str) -> None:
    async with running() as bench:
        assert (await ask(bench, f"Content-Encoding: {encoding}"))[0] == 415
        assert (await ask(bench, "Content-Encoding: identity"))[0] == 200


FORMS = {
    "multipart/form-data; boundary=abc": 200,
    'multipart/form-data; boundary="abc"': 200,
    "multipart/form-data": 415,
    "multipart/form-data; boundary=": 415,
    "multipart/form-data; boundary=" + "b" * 71: 415,
    "multipart/form-data; boundary=a b": 415,
    "multipart/form-data; boundary=a; boundary=b": 415,
    "multipart/mixed; boundary=a": 415,
    "application/json": 415,
}


@pytest.mark.parametrize("content_type", FORMS)
async def test_transcriptions_come_as_forms_with_a_short_boundary(content_type: str) -> None:
    async with running() as bench:
        status, _ = await ask(bench, path="/v1/audio/transcriptions", content_type=content_type)
        assert (status == 415) == (FORMS[content_type] == 415)


# --- D3, D4: keys ---

KEYS = {
    "none": ((), "", 401),
    "bearer": (("Authorization: Bearer GOOD",), "", 200),
    "bearer in lower case": (("authorization: bearer GOOD",), "", 200),
    "x-api-key": (("x-api-key: GOOD",), "", 200),
    "x-goog-api-key": (("X-Goog-Api-Key: GOOD",), "", 200),
    "api-key": (("api-key: GOOD",), "", 200),
    "query": ((), "?key=GOOD", 200),
    "query, encoded": ((), "?key=%74g%2Dgood", 200),
    "query after others": ((), "?beta=true&key=GOOD", 200),
    "everywhere the same": (
        ("Authorization: Bearer GOOD", "x-api-key: GOOD", "x-goog-api-key: GOOD", "api-key: GOOD"),
        "?key=GOOD",
        200,
    ),
    "basic": (("Authorization: Basic dGctZ29vZA==",), "", 401),
    "no scheme": (("Authorization: GOOD",), "", 401),
    "empty bearer": (("Authorization: Bearer ",), "", 401),
    "empty x-api-key": (("x-api-key:",), "", 401),
    "empty x-api-key beside a bearer": (("x-api-key:", "Authorization: Bearer GOOD"), "", 200),
    "wrong": (("Authorization: Bearer wrong",), "", 401),
    "two bearers": (("Authorization: Bearer GOOD", "Authorization: Bearer wrong"), "", 400),
    "two bearers, the same": (("Authorization: Bearer GOOD", "Authorization: Bearer GOOD"), "", 400),
    "two schemes": (("Authorization: Basic abc", "Authorization: Bearer GOOD"), "", 400),
    "two x-api-keys": (("x-api-key: GOOD", "x-api-key: GOOD"), "", 400),
    "bearer and x-api-key": (("Authorization: Bearer GOOD", "x-api-key: wrong"), "", 400),
    "x-api-key and x-goog-api-key": (("x-api-key: wrong", "x-goog-api-key: GOOD"), "", 400),
    "bearer and query": (("Authorization: Bearer GOOD",), "?key=wrong", 400),
    "two in the query": ((), "?key=GOOD&key=GOOD", 400),
    "three places": (("Authorization: Bearer GOOD", "x-api-key: GOOD"), "?key=wrong", 400),
    "quotes": (("Authorization: Bearer ' OR 1=1 --",), "", 401),
    "union": (("Authorization: Bearer GOOD' UNION SELECT 1",), "", 401),
    "emoji": (("Authorization: Bearer \u00f0\u009f\u0094\u0091",), "", 400),
    "spaces around": (("Authorization: Bearer   GOOD  ",), "", 200),
}


@pytest.mark.parametrize("name", KEYS)
async def test_a_key_may_stand_anywhere_but_only_one_key_may_come(name: str) -> None:
    fields, query, expected = KEYS[name]
    async with running() as bench:
        fields = tuple(one.replace("GOOD", GOOD_KEY) for one in fields)
        status, body = await ask(bench, *fields, path=CHAT + query.replace("GOOD", GOOD_KEY), key=None)
        # An unreadable key is a bad request, but authentication fails before that is said.
        assert status == (401 if name == "emoji" else expected)
        assert b"good" not in body
        if status == 200:
            call = bench.pipeline.calls[0]
            assert GOOD_KEY not in repr(call.query) + repr(call.headers)
            assert "key" not in dict(call.query)


async def test_the_401_is_the_same_for_every_wrong_key() -> None:
    answers = set()
    async with running() as bench:
        for key in ("a", "b" * 200, "' OR 1", "tg-good2", "tg-goo"):
            client = await bench.connect()
            await client.send(post(key=key))
            status, fields, body = await client.answer()
            answers.add((status, body, tuple(sorted(set(fields) - {"date"}))))
    assert len(answers) == 1


# --- C13: queries ---

QUERIES = {
    "?beta=true": 200,
    "?beta=true&beta=false": 400,
    "?beta=true&beta=true": 400,
    "?alt=sse&alt=json": 400,
    "?alt=sse&%61lt=json": 400,
    "?a=1&a=2": 200,
    "?&&": 200,
    "?": 200,
    "?=x": 200,
    "?beta": 200,
    "?a=%ff": 400,
    "?a=%zz": 200,
    "?a=b+c": 200,
}


@pytest.mark.parametrize("query", QUERIES)
async def test_a_known_name_comes_once_in_a_query(query: str) -> None:
    async with running() as bench:
        assert (await ask(bench, path=CHAT + query))[0] == QUERIES[query]


# --- D6, FEATURES 14: tags ---

TAG_NAMES = ("feature", "environment", "session", "customer", "task")
GOOD_TAGS = ("a", "checkout", "name.surname", "a:b/c", "A_b-9", "x" * 64, "0", "-a", "/a", ".a", "_", ":")
BAD_TAGS = (
    "", " ", "x" * 65, "a b", "me@example.com", "a@b", "a\tb", "a,b", "a;b", "a%20b",
    "a\\b", "a\"b", "<a>", "a'b", "caf\u00c3\u00a9", "\u00ff", "a+b", "a=b", "a?b", "{}", "+49 170 1234567",
)  # fmt: skip


@pytest.mark.parametrize("name", TAG_NAMES)
async def test_tags_are_short_names_and_anything_else_is_refused(name: str) -> None:
    async with running() as bench:
        for good in GOOD_TAGS:
            assert (await ask(bench, f"x-gateway-{name}: {good}"))[0] == 200
            assert getattr(bench.pipeline.calls[-1].tags, name) == good
        for bad in BAD_TAGS:
            status, body = await ask(bench, f"X-Gateway-{name.title()}: {bad}")
            assert status == 400, bad
            assert f"x-gateway-{name}".encode() in body
            assert bad.strip() == "" or len(bad) < 3 or bad.encode("latin-1") not in body


@pytest.mark.parametrize("octet", [*range(0x20), *range(0x7F, 0x100)])
async def test_no_odd_octet_comes_through_a_field_that_we_read(octet: int) -> None:
    async with running() as bench:
        for name in ("x-gateway-feature", "anthropic-beta", "idempotency-key", "authorization"):
            data = post(
                CHAT, BODY, f"{name}: a{chr(octet)}b", key=None if name == "authorization" else GOOD_KEY
            )
            answer = await bench.ask_one(data)
            expected = {400, 401} if name == "authorization" else {200, 400} if octet in (9, 0x7F) else {400}
            assert status_of(answer) in expected, name
        # Fields that nobody reads are dropped, whatever they hold, as long as they are HTTP.
        answer = await bench.ask_one(post(CHAT, BODY, f"x-other: a{chr(octet)}b"))
        assert status_of(answer) in ({200} if octet >= 0x80 or octet == 9 else {400})
        for call in bench.pipeline.calls:
            for _, value in call.headers:
                assert value.isascii()


async def test_tags_that_contradict_each_other_are_refused() -> None:
    async with running() as bench:
        assert (await ask(bench, "x-gateway-feature: a", "x-gateway-feature: b"))[0] == 400
        assert (await ask(bench, "x-gateway-feature: a", "x-gateway-feature: a"))[0] == 200


async def test_a_feature_may_come_under_configured_names() -> None:
    async with running(feature_headers=("X-Portal-App",)) as bench:
        assert (await ask(bench, "x-portal-app: shop"))[0] == 200
        assert bench.pipeline.calls[-1].tags.feature == "shop"
        assert (await ask(bench, "x-portal-app: shop", "x-gateway-feature: own"))[0] == 200
        assert bench.pipeline.calls[-1].tags.feature == "own"
        assert (await ask(bench, "x-gateway-feature: own", "x-portal-app: shop"))[0] == 200
        assert bench.pipeline.calls[-1].tags.feature == "own"
        assert (await ask(bench, "x-portal-app: me@example.com"))[0] == 400
    async with running() as bench:
        assert (await ask(bench, "x-portal-app: me@example.com"))[0] == 200
        assert bench.pipeline.calls[-1].tags.feature is None


BAD_WISHES = (
    "route: on", "route: OFF", "strict: yes", "strict: ",
    "max-cost: -1", "max-cost: 1e3", "max-cost: 0.0000000001", "max-cost: 1,5",
    "max-cost: $1", "max-cost: NaN", "max-cost: 9999999", "max-cost: ", "route: ",
)  # fmt: skip


async def test_route_and_max_cost_are_understood_or_refused() -> None:
    async with running() as bench:
        assert (await ask(bench, "x-gateway-route: off"))[0] == 200
        assert bench.pipeline.calls[-1].tags.route_off
        for amount, nanos in (
            ("1", 10**9),
            ("0.25", 250_000_000),
            ("0.000000001", 1),
            ("999999.9", 999_999_900_000_000),
        ):
            assert (await ask(bench, f"x-gateway-max-cost: {amount}"))[0] == 200
            assert bench.pipeline.calls[-1].tags.max_cost == nanos
        for field in BAD_WISHES:
            assert (await ask(bench, f"x-gateway-{field}"))[0] == 400, field


# --- A12: paths ---

PATHS = (
    "/v1/../v1/chat/completions", "/v1/./chat/completions", "//v1/chat/completions",
    "/v1//chat/completions", "/v1/chat/completions/", "/v1/chat%2Fcompletions", "/v1/chat/completions%00",
    "/v1/chat/completions;a=b", "/v1/%2e%2e/v1/chat/completions", "/V1/chat/completions",
    "/v1/chat/completions/..", "/v1/chat\\completions", "/%76%31/chat/completions", "/v1/chat/completions%",
    "/v1/chat/completions%c0%af", "/healthz/", "/healthz%00", "/HEALTHZ", "/healthz;a", "/v1/models/../me",
    "/v1/me/", "/v1/me%20", "/admin", "/v1/keys", "/v1/models/..%2f..%2fetc%2fpasswd:generateContent",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_is_what_is_written_and_nothing_that_resembles_it(path: str) -> None:
    async with running() as bench:
        status, body = await ask(bench, path=path)
        assert status == 404
        assert b"unknown_path" in body or b"not_found" in body
        assert bench.pipeline.peers == []


async def test_raw_octets_beyond_ascii_in_a_path_are_no_path() -> None:
    async with running() as bench:
        assert status_of(await bench.ask(post("/v1/chat/completions\u00c0\u00af"))) == 400


METHODS = ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD")


@pytest.mark.parametrize("method", METHODS)
async def test_a_path_takes_its_own_method_only(method: str) -> None:
    async with running() as bench:
        client = await bench.connect()
        await client.send(f"{method} {CHAT} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 405 ")
        assert b"\r\nallow: POST\r\n" in head


async def test_each_family_reads_refusals_in_its_own_shape() -> None:
    async with running() as bench:
        _, openai = await ask(bench, path="/v1/none")
        _, anthropic = await ask(bench, "anthropic-version: 2023-06-01", path="/v1/none")
        _, gemini = await ask(bench, path="/v1beta/none")
        _, also = await ask(bench, path="/v1/none?key=x", key="x")
    assert b'"type":"error"' in anthropic.replace(b" ", b"")
    assert b'"status"' in gemini
    assert b'"status"' in also
    assert b'"unknown_path"' in openai


# --- A14, D1, D2, D5, D10: what is never handed on ---

NEVER = (
    "Connection: keep-alive", "Keep-Alive: 5", "Proxy-Authenticate: x", "Proxy-Authorization: x",
    "TE: trailers", "Trailer: x", "Via: x", "X-Forwarded-For: 9.9.9.9", "X-Forwarded-Host: evil",
    "X-Forwarded-Proto: https", "Forwarded: for=9.9.9.9", "X-Real-IP: 9.9.9.9", "Cookie: a=b",
    "Remote-User: root", "X-Auth-Request-User: root", "X-Original-URL: /admin", "X-Rewrite-URL: /admin",
    "X-HTTP-Method-Override: GET", "traceparent: 00-1-2-00", "baggage: a=b", "Accept-Encoding: gzip",
    "Range: bytes=0-1", "If-None-Match: x", "Origin: evil", "Referer: evil", "Host-Override: evil",
    "X-Request-Id: x", "x-gateway-secret: x", "X-Claude-Code-Session-Id: x", "session-id: x",
)  # fmt: skip


@pytest.mark.parametrize("field", NEVER)
async def test_fields_that_are_none_of_a_providers_business_are_not_handed_on(field: str) -> None:
    name = field.partition(":")[0].lower()
    async with running() as bench:
        assert (
            await ask(bench, field, f"Connection: {name}")
            if name != "connection"
            else await ask(bench, field)
        )[0] == 200
        call = bench.pipeline.calls[0]
        assert name not in dict(call.headers)
        assert bench.pipeline.peers == ["127.0.0.1"]


# --- trap 9 ---

AGENTS = {
    "two": ("User-Agent: a", "User-Agent: b"),
    "two, other cases": ("user-agent: a", "USER-AGENT: b"),
    "three": ("User-Agent: a", "User-Agent: b", "User-Agent: c"),
    "two, apart": ("User-Agent: a", "X-A: b", "X-C: d", "User-Agent: b"),
    "empty first": ("User-Agent:", "User-Agent: b"),
}


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("piece", [1, 7, 60, 10_000])
async def test_a_doubled_user_agent_is_accepted(name: str, piece: int) -> None:
    data = post(CHAT, BODY, *AGENTS[name])
    async with running() as bench:
        client = await bench.connect()
        for _ in range(2):  # also on a connection that is used again
            for start in range(0, len(data), piece):
                client.writer.write(data[start : start + piece])
                await client.turn()
            assert (await client.answer())[::2] == (200, ANSWER)
        assert len(bench.pipeline.calls) == 2
        body: Any = bench.pipeline.calls[1].body.open(Purpose.READ)
        assert body["messages"][0]["content"] == "hi"


@pytest.mark.parametrize(
    "fields",
    [
        ("Host: a",),
        ("Content-Type: application/json",),
        ("Content-Length: 1",),
        ("User-Agent: a", "User-Agent: b", "Host: evil"),
        ("User-Agent: a", "User-Agent: b", "Content-Length: 1"),
        ("User-Agent: a", "User-Agent: b", "X A: 1"),
    ],
)
async def test_what_else_is_doubled_stays_refused(fields: tuple[str, ...]) -> None:
    async with running() as bench:
        answer = await bench.ask(post(CHAT, BODY, *fields))
        assert status_of(answer) == 400
        assert bench.pipeline.calls == []


async def test_a_request_cannot_hide_in_a_doubled_user_agent() -> None:
    hidden = f"GET /{CANARY} HTTP/1.1\r\nHost: a\r\nUser-Agent: a\r\nUser-Agent: b\r\n\r\n".encode()
    async with running() as bench:
        client = await bench.connect()
        await client.send(post(CHAT, BODY) + b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: ")
        assert (await client.answer())[0] == 200
        await client.send(hidden)
        answer = await client.rest()
        assert CANARY.encode() not in answer
