"""The conformance kit finds what an adapter does wrong, and nothing in ours."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from gateway.adapter_kit import CANARY, KEY, PLACE, check, run
from gateway.adapter_scripts import CALLERS_KEY, Script, generic_scripts
from gateway.content import Content, Document, Purpose, Secret
from gateway.contracts import Call, Headers, UpstreamRequest
from gateway.dialects import DIALECTS
from gateway.errors import (
    CallerError,
    CredentialDead,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
)
from gateway.names import Slug
from gateway.providers.anthropic import Anthropic
from gateway.providers.compatible import Compatible
from gateway.providers.echo import Echo
from gateway.providers.gemini import Gemini
from gateway.providers.groq import Groq
from gateway.providers.openai import OpenAI
from gateway.usage import Reading, Source, Usage

CHAT = generic_scripts(Slug("openai_chat"))

Change = Callable[[UpstreamRequest], UpstreamRequest]


@dataclass
class Plain:
    """A stranger's adapter around ours, with one thing changed."""

    change: Change = lambda request: request
    refusal: UpstreamError | None = None
    names: frozenset[str] = frozenset({"openai_chat"})
    remembers: bool = False
    spoils: bool = False
    _last: Secret | None = None

    def __post_init__(self) -> None:
        self._inner = OpenAI(OpenAI.Config(base_url=PLACE))

    @property
    def speaks(self) -> frozenset[Any]:
        return self.names

    def request(self, call: Call, model: str, key: Secret | None) -> UpstreamRequest:
        if self.remembers:
            self._last = key = key or self._last
        if self.spoils:
            assert isinstance(call.body, Document)
            call.body.open(Purpose.SEND)["model"] = model
        return self.change(self._inner.request(call, model, key))

    def failure(self, status: int, headers: Headers, body: Content) -> UpstreamError:
        return self.refusal or self._inner.failure(status, headers, body)

    def asks_usage(self, call: Call) -> bool:
        return self._inner.asks_usage(call)


def found(provider: Any, scripts: list[Script] | None = None) -> set[str]:
    return {finding.rule for finding in check(lambda _: provider, None, CHAT if scripts is None else scripts)}


def with_header(name: str, value: str) -> Change:
    return lambda request: replace(request, headers=(*request.headers, (name, value)))


def with_url(url: str) -> Change:
    return lambda request: replace(request, url=url)


def with_fields(**changed: Any) -> Change:
    def change(request: UpstreamRequest) -> UpstreamRequest:
        tree = orjson.loads(request.body.open(Purpose.SEND))
        tree.update(changed)
        kept = {name: value for name, value in tree.items() if value is not None}
        return replace(request, body=Content(orjson.dumps(kept)))

    return change


def raise_error(request: UpstreamRequest) -> UpstreamRequest:
    raise CallerError("bad_request")


@pytest.mark.parametrize("provider", [OpenAI, Groq, Anthropic, Gemini, Compatible, Echo])
def test_our_own_adapters_keep_every_rule(provider: Any) -> None:
    out = io.StringIO()
    assert run("ours", provider, out) == 0, out.getvalue()
    assert out.getvalue().endswith("scripts, 0 findings\n")
    assert not out.getvalue().startswith("ours: 0 scripts")


def test_a_strangers_adapter_that_changes_nothing_keeps_every_rule() -> None:
    assert found(Plain()) == set()


@pytest.mark.parametrize(
    ("provider", "rule"),
    [
        (Plain(change=lambda request: replace(request, headers=request.headers[:-1])), "key-sent"),
        (Plain(change=with_url(f"{PLACE}/chat/completions?key={KEY}")), "key-only-in-headers"),
        (Plain(change=with_fields(key=KEY)), "key-only-in-headers"),
        (Plain(change=with_url(f"{PLACE}?key={CALLERS_KEY}")), "callers-key-stays"),
        (Plain(change=with_header("x-user", CALLERS_KEY)), "callers-key-stays"),
        (Plain(remembers=True), "key-not-kept"),
        (Plain(change=lambda request: replace(request, method="GET")), "method"),
        (Plain(change=with_url("/chat/completions")), "url"),
        (Plain(change=with_url("https://h/\u00e9")), "url"),
        (Plain(change=with_header("X-Upper", "a")), "header-names"),
        (Plain(change=with_header("user-agent", "a")), "header-once"),
        (Plain(change=with_header("accept-encoding", "br")), "header-of-transport"),
        (Plain(change=with_header("x-a", "a\r\nx-b: c")), "header-values"),
        (Plain(change=with_fields(model="fixed")), "model-replaced"),
        (Plain(change=with_fields(metadata="kit-asked")), "model-not-left"),
        (Plain(change=with_fields(x_kit=None)), "unknown-fields"),
        (Plain(spoils=True), "call-unchanged"),
        (Plain(change=raise_error), "no-exception"),
        (Plain(names=frozenset()), "dialects"),
        (Plain(names=frozenset({"klingon"})), "dialects"),
        (Plain(refusal=UpstreamRefused("upstream_refused")), "failure-class"),
        (Plain(refusal=UpstreamBusy("upstream_busy", after_s=1e9)), "pause"),
        (Plain(refusal=UpstreamBusy("upstream_busy", about=CANARY)), "failure-without-text"),
    ],
)
def test_each_broken_rule_is_found(provider: Plain, rule: str) -> None:
    assert rule in found(provider)


def test_a_key_that_repr_shows_is_found() -> None:
    class Talkative(Plain):
        def __repr__(self) -> str:
            return KEY

    assert "key-not-shown" in found(Talkative())


def test_what_is_no_error_of_ours_is_a_finding() -> None:
    class Careless(Plain):
        def failure(self, status: int, headers: Headers, body: Content) -> Any:
            return ValueError(status)

    assert {"failure-class", "failure-without-text", "no-exception"} <= found(Careless())


def test_a_recorded_script_says_what_it_expects() -> None:
    good = replace(
        CHAT[0],
        url=f"{PLACE}/chat/completions",
        headers=(("authorization", f"Bearer {KEY}"),),
    )
    assert found(Plain(), [good]) == set()
    bad = replace(
        good,
        url=f"{PLACE}/elsewhere",
        headers=(("x-missing", "1"),),
        reading=Reading(usage=Usage(input=1), source=Source.REPORTED),
    )
    assert found(Plain(), [bad]) == {"url-as-expected", "headers-as-expected", "reading"}
    assert found(Plain(), [replace(good, answer=CHAT[0].answer[:100], reading=None)]) >= {"complete"}
    assert found(Plain(), [replace(good, answer=b"", reading=None)]) == set()


def test_a_recorded_failure_says_its_class() -> None:
    failed = replace(CHAT[0], status=401, answer=b"{}", reading=None, failure=CredentialDead)
    assert found(Plain(), [failed]) == set()
    assert found(Plain(), [replace(failed, failure=UpstreamBusy)]) == {"failure-class"}
    assert found(Plain(), [replace(failed, failure=None)]) == set()


def test_a_form_is_left_to_its_dialect() -> None:
    form = (
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nkit-asked\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nx\r\n--b--\r\n'
    )
    envelope = replace(
        CHAT[0].envelope,
        verb="transcriptions",
        content_type="multipart/form-data; boundary=b",
        body=Content(form),
    )
    script = Script(
        name="form", dialect=Slug("openai_transcription"), envelope=envelope, answer=b'{"text":"hello"}'
    )
    assert found(Plain(), [script]) == set()


def test_a_meter_or_filter_that_depends_on_the_cuts_is_found() -> None:
    class Sloppy:
        complete = True

        def __init__(self) -> None:
            self.fed = 0

        def feed(self, chunk: bytes) -> bytes:
            self.fed += 1
            return b"x"

        def finish(self) -> Any:
            return self.fed

    class Sieve(Sloppy):
        def finish(self) -> bytes:
            return b""

    class Dialect:
        read_call = staticmethod(DIALECTS[Slug("openai_chat")].read_call)

        def meter(self, call: Call) -> Sloppy:
            return Sloppy()

        def filter(self, call: Call, ask_usage: bool) -> Sieve:
            return Sieve()

    dialects: Any = {"openai_chat": Dialect()}
    findings = check(lambda _: Plain(), None, CHAT, dialects)
    assert {finding.rule for finding in findings} == {"reading", "reading-however-cut", "answer-however-cut"}


def test_a_class_that_cannot_be_made_is_a_finding() -> None:
    class Needy:
        @dataclass
        class Config:
            region: str

        def __init__(self, config: Any) -> None:
            self.region = config.region

    out = io.StringIO()
    assert run("needy", Needy, out) == 1  # type: ignore[arg-type]
    assert "construct: no-exception: it raised AttributeError" in out.getvalue()
    assert [finding.rule for finding in check(Needy, None, [])] == ["no-exception"]  # type: ignore[arg-type]


def test_an_adapter_without_a_config_gets_none_and_one_may_be_given() -> None:
    out = io.StringIO()
    assert run("plain", lambda config: Plain() if config is None else Plain(remembers=True), out) == 0
    assert run("plain", lambda config: Plain() if config is None else Plain(remembers=True), out, "x") == 1
    assert "key-not-kept" in out.getvalue()
