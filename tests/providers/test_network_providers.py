"""OpenAI, Anthropic, Gemini, Groq and compatible servers: what is asked and how failures are taken."""

from typing import Any

import orjson
import pytest

from gateway.content import Content, Document, Purpose, Secret
from gateway.contracts import Call, Envelope, Provider, UpstreamRequest
from gateway.dialects import DIALECTS
from gateway.errors import CredentialDead, UpstreamBusy, UpstreamRefused
from gateway.names import Slug
from gateway.providers.anthropic import Anthropic
from gateway.providers.asking import ask, checked_url
from gateway.providers.compatible import Compatible
from gateway.providers.gemini import Gemini
from gateway.providers.groq import Groq
from gateway.providers.openai import OpenAI
from gateway.records import PathKind

KEY = Secret("sk-provider-key")


def call(dialect: str, headers: dict[str, str] | None = None, stream: bool = True, **more: Any) -> Call:
    body = {"model": "asked", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5, "x_kit": [1]}
    if stream and not dialect.startswith("gemini"):
        body["stream"] = True
    return DIALECTS[Slug(dialect)].read_call(
        Envelope(kind=PathKind.CHAT, headers=headers or {}, body=Content(orjson.dumps(body)), **more)
    )


def sent(request: UpstreamRequest) -> dict[str, Any]:
    tree: dict[str, Any] = orjson.loads(request.body.open(Purpose.SEND))
    return tree


PROVIDERS: list[tuple[Provider, str]] = [
    (OpenAI(OpenAI.Config()), "https://api.openai.com/v1"),
    (Groq(Groq.Config()), "https://api.groq.com/openai/v1"),
    (Compatible(Compatible.Config(base_url="http://127.0.0.1:11434/v1/")), "http://127.0.0.1:11434/v1"),
]


@pytest.mark.parametrize(("provider", "base"), PROVIDERS)
def test_openais_dialect_goes_below_the_base_url_with_our_key_as_bearer(
    provider: Provider, base: str
) -> None:
    request = provider.request(call("openai_chat", {"authorization": "Bearer caller"}), "gpt-x", KEY)
    assert (request.method, request.url) == ("POST", base + "/chat/completions")
    headers = dict(request.headers)
    assert headers["authorization"] == "Bearer sk-provider-key"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("tollgate/")
    assert "sk-provider-key" not in repr(request) + request.url
    tree = sent(request)
    assert (tree["model"], tree["x_kit"]) == ("gpt-x", [1])
    assert "authorization" not in dict(provider.request(call("openai_chat"), "gpt-x", None).headers)


def test_usage_is_asked_for_where_a_stream_does_not_tell_it() -> None:
    stream, whole, responses = call("openai_chat"), call("openai_chat", stream=False), "openai_responses"
    other = Compatible(Compatible.Config(base_url="http://h", ask_usage=False))
    expected = [
        (OpenAI(OpenAI.Config()), True),
        (PROVIDERS[2][0], True),
        (other, False),
        (PROVIDERS[1][0], False),
    ]
    for provider, asks in expected:
        assert provider.asks_usage(stream) is asks
        assert not provider.asks_usage(whole)
        assert ("stream_options" in sent(provider.request(stream, "m", KEY))) is asks
        assert responses in provider.speaks
    assert not Anthropic(Anthropic.Config()).asks_usage(call("anthropic_messages"))
    assert not Gemini(Gemini.Config()).asks_usage(stream)


def test_who_pays_at_openai_is_the_configurations_word() -> None:
    provider = OpenAI(OpenAI.Config(organization="org-1", project="proj-2"))
    headers = dict(provider.request(call("openai_chat", {"openai-organization": "theirs"}), "m", KEY).headers)
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-2")


def test_a_compatible_servers_own_headers_are_sent_with_every_request() -> None:
    own = {"HTTP-Referer": "https://example.org", "User-Agent": "mine/1", "x-title": "Me & you"}
    provider = Compatible(Compatible.Config(base_url="http://h", headers=own))
    fields = provider.request(call("openai_chat"), "m", None).headers
    assert len(fields) == len(dict(fields)) == 4
    assert dict(fields)["user-agent"] == "mine/1"
    assert dict(fields)["http-referer"] == "https://example.org"
    assert "example" not in repr(Compatible.Config(base_url="http://h", headers=own))


@pytest.mark.parametrize(
    "headers",
    [
        {"x": "a\r\nb: c"},
        {"x y": "a"},
        {"": "a"},
        {"x": ""},
        {"x": "é"},
        {"Authorization": "Bearer secret"},
        {"host": "h"},
        {"x": "a", "X": "b"},
    ],
)
def test_a_header_that_cannot_be_sent_is_an_error_of_the_configuration(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="headers: ") as caught:
        Compatible(Compatible.Config(base_url="http://h", headers=headers))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "key", "name", "value"),
    [
        (None, "sk-ant-api-1", "x-api-key", "sk-ant-api-1"),
        ("2023-06-01", "sk-ant-api-1", "x-api-key", "sk-ant-api-1"),
        ("2026-10-21", "sk-ant-api-1", "authorization", "Bearer sk-ant-api-1"),
        ("2023-06-01", "sk-ant-oat-1", "authorization", "Bearer sk-ant-oat-1"),
    ],
)
def test_trap_1_the_key_has_the_form_of_the_apis_version(
    version: str | None, key: str, name: str, value: str
) -> None:
    provider = Anthropic(Anthropic.Config())
    asked = call("anthropic_messages", {} if version is None else {"anthropic-version": version})
    request = provider.request(asked, "claude-x", Secret(key))
    headers = dict(request.headers)
    assert request.url == "https://api.anthropic.com/v1/messages"
    assert headers[name] == value
    assert len({"x-api-key", "authorization"} & set(headers)) == 1
    assert headers["anthropic-version"] == (version or "2023-06-01")
    assert len(headers) == len(request.headers)
    assert not {"x-api-key", "authorization"} & set(dict(provider.request(asked, "m", None).headers))


def test_geminis_key_is_never_in_the_url() -> None:
    provider = Gemini(Gemini.Config())
    asked = call(
        "gemini_generate",
        verb="streamGenerateContent",
        version="v1beta",
        path_model="asked",
        query=(("key", "caller"), ("alt", "sse")),
    )
    request = provider.request(asked, "gemini-x", KEY)
    assert request.url == (
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-x:streamGenerateContent?alt=sse"
    )
    assert dict(request.headers)["x-goog-api-key"] == "sk-provider-key"
    assert "x-goog-api-key" not in dict(provider.request(asked, "gemini-x", None).headers)


@pytest.mark.parametrize(
    ("base", "model"), [("https://h/v1beta", Gemini), ("https://h/v1/", Gemini), ("https://h/v1", Anthropic)]
)
def test_a_version_in_the_base_url_is_not_doubled(base: str, model: Any) -> None:
    dialect = "gemini_count" if model is Gemini else "anthropic_count"
    asked = call(dialect, verb="countTokens", version="v1", path_model="a")
    assert model(model.Config(base_url=base)).request(asked, "m", KEY).url.count("/v1") == 1


def test_each_provider_speaks_what_it_says() -> None:
    for provider in (
        *(provider for provider, _ in PROVIDERS),
        Anthropic(Anthropic.Config()),
        Gemini(Gemini.Config()),
    ):
        assert provider.speaks <= set(DIALECTS)
    assert "openai_images" not in Groq(Groq.Config()).speaks


def test_failures_are_classified_by_every_provider() -> None:
    quota = Content(b'{"error":{"code":"insufficient_quota"}}')
    for provider in (
        *(provider for provider, _ in PROVIDERS),
        Anthropic(Anthropic.Config()),
        Gemini(Gemini.Config()),
    ):
        assert type(provider.failure(429, (("retry-after", "2"),), Content(b""))) is UpstreamBusy
        assert type(provider.failure(429, (), quota)) is CredentialDead
        assert type(provider.failure(404, (), Content(b""))) is UpstreamRefused


def test_an_empty_account_at_anthropic_is_told_by_its_sentence_alone() -> None:
    provider = Anthropic(Anthropic.Config())
    sentence = "Your credit balance is too low to access the API."
    empty = {"type": "error", "error": {"type": "invalid_request_error", "message": sentence}}
    assert type(provider.failure(400, (), Content(orjson.dumps(empty)))) is CredentialDead
    quoted = {"type": "error", "error": {"message": f"messages.0: not allowed: {sentence}"}}
    assert type(provider.failure(400, (), Content(orjson.dumps(quoted)))) is UpstreamRefused


@pytest.mark.parametrize(
    "text",
    [
        "", "h", "ftp://h", "http://", "https://user:pw@h", "https://h?key=secret", "https://h#x", "http://h:0",
        "http://h:99999", "http://h\r\nx", "http://h/a b", "http://é", "http://[::1", "//h/v1",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_a_base_url_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="base_url: ") as caught:
        checked_url(text)
    assert "secret" not in str(caught.value)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["http://h", "https://h.example:8443/v1", "http://127.0.0.1", "http://[::1]:11434/v1"]
)
def test_an_address_keeps_its_port_and_path(text: str) -> None:
    assert checked_url(text + "//") == text


def test_a_callers_own_key_or_address_never_passes_whatever_a_dialect_says() -> None:
    asked = call("openai_chat")
    forged = Call(
        dialect=asked.dialect,
        kind=asked.kind,
        model=asked.model,
        stream=False,
        body=asked.body,
        headers=(("cookie", "c"), ("x-api-key", "k"), ("x-forwarded-for", "1.2.3.4"), ("openai-beta", "b")),
    )
    names = [name for name, _ in ask("https://h", forged, "m", ()).headers]
    assert names == ["content-type", "user-agent", "openai-beta"]


def test_keys_of_the_configuration_are_in_every_body_whatever_the_caller_says() -> None:
    own = {"provider": {"data_collection": "deny"}, "x_kit": 2}
    provider = Compatible(Compatible.Config(base_url="http://h", body=own))
    asked = call("openai_chat")
    assert isinstance(asked.body, Document)
    asked.body.open(Purpose.SEND)["provider"] = {"data_collection": "allow", "order": ["a"]}
    tree = sent(provider.request(asked, "m", KEY))
    assert tree["provider"] == {"data_collection": "deny", "order": ["a"]}
    assert (tree["x_kit"], tree["model"]) == (2, "m")
    assert asked.body.open(Purpose.SEND)["provider"]["data_collection"] == "allow"  # another target's call
    assert "deny" not in repr(Compatible.Config(base_url="http://h", body=own))


@pytest.mark.parametrize("key", ["model", "stream", "store", "max_tokens"])
def test_keys_that_change_what_a_call_is_cannot_be_configured(key: str) -> None:
    with pytest.raises(ValueError, match="body: "):
        Compatible(Compatible.Config(base_url="http://h", body={key: 1}))


@pytest.mark.parametrize(
    ("provider", "kept"),
    [
        (Groq(Groq.Config()), False),
        (OpenAI(OpenAI.Config()), False),
        (OpenAI(OpenAI.Config(base_url="https://llm.example.com/v1")), True),
        (Compatible(Compatible.Config(base_url="https://api.deepseek.com")), True),
    ],
)
def test_thoughts_in_plain_words_go_only_where_the_field_is_known(provider: Provider, kept: bool) -> None:
    said = {"role": "assistant", "content": "a", "reasoning_content": "hm"}
    body = {"model": "asked", "messages": [{"role": "user", "content": "hi"}, said]}
    chat = DIALECTS[Slug("openai_chat")].read_call(
        Envelope(kind=PathKind.CHAT, body=Content(orjson.dumps(body)))
    )
    tree = sent(provider.request(chat, "m", KEY))
    assert ("reasoning_content" in tree["messages"][1]) is kept
