"""Cases: every kind of call that could leave a trace, as the bytes that go over a connection."""

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from gateway.privacy import bodies, travelling
from gateway.privacy.canary import Canary

Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One connection.

    Attributes:
        sent: everything the client sends, the request's head included.
        leave_after: bytes of the answer after which the client breaks the connection; None: it reads
            to the end; 0: it leaves without reading.
    """

    name: str
    sent: bytes
    leave_after: int | None = None


ORDERS: Final = (
    "",
    "tool=1",
    "reasoning=40",
    "no_usage=1",
    "status=500",
    "status=429,retry_after=1",
    "status=400",
    "status=401",
    "status=529",
    "fault=unreachable",
    "fault=timeout",
    "cut=2",
    "cut=2,torn=1",
    "error=2",
    "end=2,no_end=1",
    "burst=50",
)
"""What echo is told to do besides answering: the ways in which providers fail."""

FAILS: Final = ("status", "fault", "cut", "error", "end")

GENTLY: Final = 5
"""Good calls for each that fails, in up to three attempts: so failures stay fewer than half."""

HARD_ORDERS: Final = ("", "tool=1", "error=0", "error=2", "status=500", "status=400", "cut=1", "no_usage=1")
"""The same for calls of routes, which may ask another target."""

STRICT: Final = ("x-gateway-strict", "on")


@dataclass(frozen=True, slots=True)
class Offers:
    """What an installation offers, all of it answered by echo: nothing of it leaves the machine.

    Attributes:
        only: dialect: a model that is asked in this dialect alone, whatever the caller speaks.
        routes: names of routes.
    """

    only: Mapping[str, str] = field(default_factory=dict)
    routes: Sequence[str] = ()


_BOUNDARY: Final = "boundary1234567890"


class Cases:
    """Makes the cases for one installation.

    Args:
        host: for the host field.
        key: one that may do everything.
        offers: what there is besides the models of echo.
        gently: with good calls after each that fails, so that breakers do not set echo aside.
    """

    def __init__(
        self, canary: Canary, host: str, key: str, offers: Offers | None = None, *, gently: bool = False
    ) -> None:
        self._canary = canary
        self._offers = offers or Offers()
        self._mark = canary.mark
        self._host = host
        self._key = key
        self._gently = gently

    def all(self) -> Iterator[Case]:
        """Every case, the quick ones first."""
        yield from self.conversations()
        yield from self.other_calls()
        yield from self.translations()
        yield from self.routed()
        yield from self.odd_texts()
        yield from self.outcomes()
        yield from self.departures()
        yield from self.refusals()
        yield from self.fields()
        yield from self.malformed_bodies()
        yield from self.malformed_heads()

    def conversations(self, orders: Iterable[str] = ORDERS) -> Iterator[Case]:
        """Each conversing dialect, streamed or not, with each kind of failure of the provider."""
        for order in self._eased(orders):
            for dialect in bodies.CONVERSATIONS:
                for stream in (False, True):
                    yield self.conversation(dialect, order, stream)

    def _eased(self, orders: Iterable[str]) -> Iterator[str]:
        for order in orders:
            yield order
            if self._gently and order.startswith(FAILS):
                yield from ("",) * GENTLY

    def conversation(
        self,
        dialect: str,
        order: str,
        stream: bool,
        leave_after: int | None = None,
        model: str = bodies.MODEL,
    ) -> Case:
        """One conversation."""
        made = self._asked(_WHOLE_BODIES, dialect, model, order, stream)
        return replace(made, leave_after=leave_after)

    def translation(
        self, dialect: str, model: str, order: str, stream: bool, leave_after: int | None = None
    ) -> Case:
        """One conversation that any dialect can be told."""
        made = self._asked(travelling.BODIES, dialect, model, order, stream)
        return replace(made, leave_after=leave_after)

    def translations(self, orders: Iterable[str] = ORDERS) -> Iterator[Case]:
        """Each dialect to each other one that is offered alone, with each kind of failure of the provider."""
        for to, model in self._offers.only.items():
            for dialect in bodies.CONVERSATIONS:
                if dialect == to:
                    continue
                for stream in (False, True):
                    for order in self._eased(orders):
                        yield self.translation(dialect, model, order, stream)
                    # What cannot be said there is left out or refused: with a text at hand.
                    yield self._asked(_WHOLE_BODIES, dialect, model, "", stream)
                    yield self._asked(travelling.BODIES, dialect, model, "", stream, (STRICT,))

    def routed(self, orders: Iterable[str] = HARD_ORDERS) -> Iterator[Case]:
        """Each dialect through each route, with failures that make it ask another target."""
        for route in self._offers.routes:
            for order in self._eased(orders):
                for dialect in bodies.CONVERSATIONS:
                    for stream in (False, True):
                        yield self.translation(dialect, route, order, stream)

    def odd_texts(self) -> Iterator[Case]:
        """Conversations of forms that classifiers, digests and translations may not have expected."""
        models = (bodies.MODEL, *self._offers.only.values(), *self._offers.routes)
        for number, turns in enumerate(bodies.odd_turns(self._canary)):
            for place, model in enumerate(models):
                path = ("/v1/chat/completions", "/v1/messages")[(number + place) % 2]
                body = orjson.dumps({"model": model, "messages": turns, "max_tokens": 9})
                yield Case(name=f"odd turns {number} {model}", sent=self.post(path, body))

    def outcomes(self) -> Iterator[Case]:
        """Judgements of calls with texts where names and numbers belong, or where nothing does."""
        for name, body in bodies.odd_outcomes(self._canary).items():
            yield Case(name=f"outcomes: {name}", sent=self.post("/v1/outcomes", body))

    def _asked(
        self,
        makers: Mapping[str, Any],
        dialect: str,
        model: str,
        order: str,
        stream: bool,
        fields: Fields = (),
    ) -> Case:
        body = makers[dialect](self._canary, f"echo:{order}" if order else "", stream)
        if "model" in body:
            body["model"] = model
        _, whole, streamed = bodies.CONVERSATIONS[dialect]
        path = (streamed if stream else whole).replace(f"/{bodies.MODEL}:", f"/{model}:")
        sent = self.post(path, orjson.dumps(body), [*self._odd_fields(), *fields])
        where = "" if model == bodies.MODEL else f" for {model}"
        return Case(name=f"{dialect}{where}{' stream' if stream else ''} {order}".strip(), sent=sent)

    def other_calls(self) -> Iterator[Case]:
        """Calls that do not converse, lists of models, and what is answered without a provider."""
        for path, body in bodies.others(self._canary).items():
            yield Case(name=path, sent=self.post(path, orjson.dumps(body)))
        form_type = [("content-type", f"multipart/form-data; boundary={_BOUNDARY}")]
        for path in ("/v1/audio/transcriptions", "/v1/audio/translations"):
            form = bodies.form(self._canary, _BOUNDARY)
            yield Case(name=path, sent=self.post(path, form, form_type))
            yield Case(name=f"{path} torn", sent=self.post(path, form[:-60], form_type))
        for path in (
            "/v1/models",
            f"/v1/models/{self._mark('listed model')}",
            f"/v1beta/models?{self._mark('query name')}={self._mark('query value')}",
            f"/v1beta/models?key={self._mark('wrong key in a query')}",
            f"/{self._mark('unknown path')}",
            f"/v1/me?{self._mark('query of me')}",
        ):
            yield Case(name=f"GET {path.partition('?')[0]}", sent=self._get(path))

    def departures(self) -> Iterator[Case]:
        """Clients that leave: at once, after the head, in mid-stream, before the body is sent."""
        slow = "tokens=60,delay=0.005"
        for dialect in bodies.CONVERSATIONS:
            for leave_after in (0, 1, 900):
                case = self.conversation(dialect, slow, True, leave_after)
                yield Case(name=f"{case.name} left", sent=case.sent, leave_after=leave_after)
            held = self.conversation(dialect, "first=0.2", False, 0)
            yield Case(name=f"{dialect} left while waiting", sent=held.sent, leave_after=0)
            yield Case(name=f"{dialect} left in the body", sent=held.sent[:-40], leave_after=0)

    def refusals(self) -> Iterator[Case]:
        """Calls that never reach a provider: keys, names and tags that are refused."""
        mark = self._mark
        plain = {"messages": [{"role": "user", "content": mark("refused user")}], "max_tokens": 5}
        path = "/v1/chat/completions"
        for model in (
            mark("unknown model"),
            f"echo/{mark('unknown model of a provider')}",
            f"gpt-4o-{mark('model with a known beginning')}",
            f"{mark('unknown provider')}/gpt-4o",
            f"{mark('model with a space')} x",
        ):
            yield Case(name="unknown model", sent=self.post(path, orjson.dumps({**plain, "model": model})))
            native = f"/v1beta/models/{model.replace(' ', '')}:generateContent"
            yield Case(name="unknown model in a path", sent=self.post(native, b'{"contents":[]}'))
        body = orjson.dumps({**plain, "model": bodies.MODEL})
        for name, key in (("authorization", "Bearer {}"), ("x-api-key", "{}"), ("x-goog-api-key", "tg_{}")):
            value = key.format(mark(f"wrong {name}"))
            yield Case(name=f"wrong {name}", sent=self._raw("POST", path, [(name, value)], body))
            yield Case(name=f"second {name}", sent=self.post(path, body, [(name, value)]))
        for tag in ("feature", "environment", "session", "customer", "task", "route", "max-cost"):
            value = f"{mark(f'refused {tag}')}@example.com"
            yield Case(name=f"refused tag {tag}", sent=self.post(path, body, [(f"x-gateway-{tag}", value)]))
        long = "a" * 200 + mark("tag that is too long")
        yield Case(name="long tag", sent=self.post(path, body, [("x-gateway-feature", long)]))

    def fields(self) -> Iterator[Case]:
        """Fields that only some clients send, and must not be kept: one call with each."""
        body = orjson.dumps({
            "model": bodies.MODEL, "messages": [{"role": "user", "content": self._mark("plain user")}],
        })  # fmt: skip
        for name in PERSONAL_FIELDS:
            value = self._mark(f"field {name}")
            yield Case(name=f"field {name}", sent=self.post("/v1/chat/completions", body, [(name, value)]))

    def malformed_bodies(self) -> Iterator[Case]:
        """Bodies that cannot be read."""
        mark = self._mark
        path = "/v1/chat/completions"
        gemini = f"/v1beta/models/{bodies.MODEL}:generateContent"
        text = mark("malformed body").encode()
        odd_form = [("content-type", f"multipart/form-data; boundary={text.decode()}")]
        for name, body in {
            "no JSON": text,
            "torn JSON": b'{"model":"echo-1","messages":[{"role":"user","content":"' + text,
            "no object": b'["' + text + b'"]',
            "deep JSON": b"[" * 5000 + text,
            "no UTF-8": b'{"model":"echo-1","' + text + b'":"\xff\xfe\xed\xa0\x80"}',
            "a name twice": b'{"model":"echo-1","model":"' + text + b'"}',
            "messages of a wrong kind": b'{"model":"echo-1","messages":"' + text + b'"}',
            "a message of a wrong kind": b'{"model":"echo-1","messages":["' + text + b'"]}',
            "a content of a wrong kind": b'{"messages":[{"role":7,"content":{"a":"%b"}}]}' % text,
            "a model of a wrong kind": b'{"model":["' + text + b'"],"messages":[{"role":"user"}]}',
            "stream of a wrong kind": b'{"model":"echo-1","messages":[{}],"stream":"' + text + b'"}',
            "too large a number": b'{"model":"echo-1","messages":[{}],"n":' + b"9" * 400 + text + b"}",
            "a bare NUL": b'{"model":"echo-1","messages":[{"role":"user","content":"\x00' + text + b'"}]}',
        }.items():
            yield Case(name=name, sent=self.post(path, body))
            yield Case(name=f"{name}, Anthropic", sent=self.post("/v1/messages", body))
            yield Case(name=f"{name}, Gemini", sent=self.post(gemini, body))
        packed = gzip.compress(text)
        yield Case(name="packed", sent=self.post(path, packed, [("content-encoding", "gzip")]))
        yield Case(name="wrong type", sent=self.post(path, text, [("content-type", f"text/{text.decode()}")]))
        yield Case(name="form without end", sent=self.post("/v1/audio/transcriptions", text, odd_form))

    def malformed_heads(self) -> Iterator[Case]:
        """Heads that are no HTTP, or are more than is accepted."""
        text = self._mark("malformed head").encode()
        host = b"host: " + self._host.encode() + b"\r\n"
        key = b"authorization: Bearer " + self._key.encode() + b"\r\n"
        rest = b" HTTP/1.1\r\n" + host + b"\r\n"
        line = b"POST /v1/chat/completions HTTP/1.1\r\nconnection: close\r\n" + host + key
        chunked = line + b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        for name, sent in {
            "a method": text.upper() + b" / HTTP/1.1\r\n" + host + b"\r\n",
            "no request line": text + b"\r\n\r\n",
            "a version": b"GET / HTTP/" + text + b"\r\n\r\n",
            "a path without a slash": b"GET " + text + rest,
            "a path with escapes": b"GET /v1/%2e%2e/" + text + b"%zz?" + text + b"#" + text + rest,
            "an absolute path": b"GET http://" + text + b".test/ HTTP/1.1\r\n" + host + b"\r\n",
            "two hosts": line + b"host: " + text + b"\r\n\r\n",
            "an odd host": b"GET / HTTP/1.1\r\nhost: @" + text + b"\r\n\r\n",
            "a field without a colon": line + text + b"\r\n\r\n",
            "a folded field": line + b"x-a: b\r\n " + text + b"\r\n\r\n",
            "a NUL in a field": line + b"x-a: \0" + text + b"\r\n\r\n",
            "a bare CR in a field": line + b"x-a: a\rb" + text + b"\r\n\r\n",
            "a space before a colon": line + text + b" : x\r\n\r\n",
            "a field of other letters": line + b"x-a: \xff\xfe" + text + b"\r\n\r\n",
            "a large field": line + b"x-a: " + text * 400 + b"\r\n\r\n",
            "a large path": b"GET /" + text * 400 + rest,
            "many fields": line + b"".join(b"x-%d: %b\r\n" % (at, text) for at in range(300)) + b"\r\n",
            "two lengths": line + b"content-length: 1\r\ncontent-length: 2\r\n\r\n" + text,
            "a length that is none": line + b"content-length: " + text + b"\r\n\r\n",
            "an odd expectation": line + b"expect: " + text + b"\r\n\r\n",
            "an odd encoding": line + b"transfer-encoding: " + text + b"\r\n\r\n",
            "both lengths": line + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n" + text,
            "an odd chunk": chunked + text + b"\r\n",
            "a chunk's extension": chunked + b"2;" + text + b"\r\n{}\r\n0\r\n\r\n",
            "a trailer": chunked + b"2\r\n{}\r\n0\r\nx-a: " + text + b"\r\n\r\n",
            "a request after another": self._get("/healthz", close=False) + b"\r\n\r\n" + text + b"\r\n\r\n",
            "an upgrade": b"GET /" + rest[:-2] + b"connection: upgrade\r\nupgrade: " + text + b"\r\n\r\n",
            "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + text,
            "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + text,
        }.items():  # fmt: skip
            yield Case(name=f"head: {name}", sent=sent)
        yield Case(name="head: half of it", sent=line + b"x-a: " + text, leave_after=0)

    def post(self, path: str, body: bytes, fields: Fields = ()) -> bytes:
        """A POST with the key."""
        return self._raw("POST", path, [("authorization", f"Bearer {self._key}"), *fields], body)

    def _get(self, path: str, close: bool = True) -> bytes:
        key = [("authorization", f"Bearer {self._key}")]
        return self._raw("GET", path, key, b"", close)

    def _raw(self, method: str, path: str, fields: Fields, body: bytes, close: bool = True) -> bytes:
        named = {name for name, _ in fields}
        lines = [f"{method} {path} HTTP/1.1", f"host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in fields]
        if method == "POST":
            lines += ["content-type: application/json"] * ("content-type" not in named)
            lines.append(f"content-length: {len(body)}")
        lines += ["connection: close"] * close
        return "\r\n".join([*lines, "", ""]).encode() + body

    def _odd_fields(self) -> Fields:
        return [(name, self._mark(f"field {name}")) for name in EVERYWHERE]


_WHOLE_BODIES: Final = {dialect: made[0] for dialect, made in bodies.CONVERSATIONS.items()}

EVERYWHERE: Final = (
    "user-agent", "x-forwarded-for", "x-real-ip", "referer", "cookie", "x-request-id", "traceparent",
    "idempotency-key", "x-stainless-os", "x-unknown",
)  # fmt: skip
"""Fields that go along with every conversation."""

PERSONAL_FIELDS: Final = (
    "anthropic-beta", "anthropic-user-profile-id", "anthropic-version", "anthropic-workspace-id", "baggage",
    "client-request-id", "conversation-id", "forwarded", "from", "openai-beta", "openai-organization",
    "openai-project", "origin", "proxy-authorization", "session-id", "session_id", "thread-id", "tracestate",
    "via", "x-app", "x-claude-code-session-id", "x-client-request-id", "x-codex-installation-id",
    "x-codex-turn-metadata", "x-correlation-id", "x-forwarded-host", "x-gemini-api-privileged-user-id",
    "x-goog-api-client", "x-goog-user-project", "x-server-timeout", "x-stainless-lang", "x-user-id",
    *EVERYWHERE,
)  # fmt: skip
"""Fields in which clients send persons, sessions, places or machines."""
