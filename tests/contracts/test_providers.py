"""What every provider promises: the kit, and what the flow relies on, for each that is installed."""

import copy
import io
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any

import orjson
import pytest

from gateway import adapter_kit, config, plugins
from gateway.adapter_scripts import Script, generic_scripts
from gateway.config import ConfigError
from gateway.content import Content, Document, Purpose, Secret
from gateway.contracts import Provider, UpstreamRequest
from gateway.dialects import DIALECTS
from gateway.errors import CODES, CredentialDead, UpstreamBusy, UpstreamError, UpstreamRefused

NAMES = sorted(plugins.find("gateway.providers"))
KEY = "sk-of-the-contract"


@pytest.fixture(params=NAMES)
def kind(request: pytest.FixtureRequest) -> Any:
    """A provider's class."""
    return plugins.load("gateway.providers", request.param)


@pytest.fixture
def provider(kind: Any) -> Provider:
    """A provider with its defaults, and an address where it has none of its own."""
    made: Provider = kind(plain(kind))
    return made


def plain(kind: Any) -> Any:
    needed = [
        field.name for field in fields(kind.Config) if field.default is MISSING is field.default_factory
    ]
    return kind.Config(**dict.fromkeys(needed, "https://provider.invalid/v1"))


def scripts(provider: Provider) -> list[Script]:
    return [script for dialect in sorted(provider.speaks) for script in generic_scripts(dialect)]


def made(provider: Provider, script: Script, key: Secret | None) -> UpstreamRequest:
    return provider.request(DIALECTS[script.dialect].read_call(script.envelope), "model-1", key)


@pytest.mark.parametrize("name", NAMES)
def test_the_kit_finds_nothing(name: str) -> None:
    out = io.StringIO()
    assert adapter_kit.run(name, plugins.load("gateway.providers", name), out) == 0, out.getvalue()


def test_its_keys_are_those_of_a_dataclass_and_no_others(kind: Any) -> None:
    config_kind: Any = kind.Config
    assert is_dataclass(config_kind)
    with pytest.raises(ConfigError, match=r"here\.no_such_key: unknown key"):
        config.parse_options(kind.Config, {"no_such_key": 1}, "here")


def test_it_is_made_without_side_effects_and_twice_alike(kind: Any) -> None:
    one, other = kind(plain(kind)), kind(plain(kind))
    assert one.speaks == other.speaks
    assert not callable(getattr(one, "start", None))


def test_it_speaks_dialects_that_there_are(provider: Provider) -> None:
    assert provider.speaks
    assert provider.speaks <= set(DIALECTS)


def test_one_call_can_be_asked_of_many_targets_in_turn(provider: Provider) -> None:
    for script in scripts(provider):
        call = DIALECTS[script.dialect].read_call(script.envelope)
        one = provider.request(call, "model-1", Secret(KEY))
        two = provider.request(call, "model-2", None)
        again = provider.request(call, "model-1", Secret(KEY))
        assert opened(one) == opened(again) != opened(two)
        assert KEY not in two.url + str(two.headers)


def opened(request: UpstreamRequest) -> tuple[str, Any, bytes]:
    return request.url, request.headers, request.body.open(Purpose.SEND)


def test_the_key_is_in_no_text_that_is_made_of_its_parts(provider: Provider) -> None:
    for script in scripts(provider):
        request = made(provider, script, Secret(KEY))
        assert KEY not in repr(request) + repr(provider) + request.url
        assert KEY.encode() not in request.body.open(Purpose.SEND)


def test_usage_is_asked_for_on_streams_only(provider: Provider) -> None:
    for script in scripts(provider):
        call = DIALECTS[script.dialect].read_call(script.envelope)
        assert provider.asks_usage(replace(call, stream=False)) is False
        assert provider.asks_usage(replace(call, stream=True)) in (True, False)


STATUSES = (300, 302, 400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 499, 500, 502, 503, 504, 529, 599)
BODIES = (b"", b"{}", b"null", b"[]", b'{"error":null}', b'{"error":{"message":7}}', b"\xff" * 70_000)


@pytest.mark.parametrize("status", STATUSES)
def test_every_failure_has_a_class_and_a_code_and_no_text(provider: Provider, status: int) -> None:
    for body in BODIES:
        error = provider.failure(status, (("retry-after", "x"),), Content(body))
        assert isinstance(error, UpstreamError)
        assert error.code in CODES
        assert error.after_s is None or 0 <= error.after_s <= 300
        if status in EXPECTED:
            assert type(error) is EXPECTED[status]
            assert error.retry is (status not in (400, 404, 422))


EXPECTED = {
    **dict.fromkeys((400, 404, 422), UpstreamRefused),
    401: CredentialDead,
    429: UpstreamBusy,
    500: UpstreamError,
}


def test_failures_are_alike_whatever_was_asked_before(provider: Provider) -> None:
    body = Content(orjson.dumps({"error": {"message": "no", "type": "x", "code": "y"}}))
    first = [type(provider.failure(status, (), body)) for status in (400, 429, 500)]
    for script in scripts(provider):
        made(provider, script, Secret(KEY))
    assert [type(provider.failure(status, (), body)) for status in (400, 429, 500)] == first


def test_the_callers_document_is_left_as_it_was(provider: Provider) -> None:
    for script in scripts(provider):
        call = DIALECTS[script.dialect].read_call(script.envelope)
        if isinstance(call.body, Document):
            before = copy.deepcopy(call.body.open(Purpose.READ))
            provider.request(call, "model-1", Secret(KEY))
            assert call.body.open(Purpose.READ) == before
