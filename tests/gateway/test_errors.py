"""Errors hold a code, names and numbers; their sentences are ours."""

import inspect

import pytest

from gateway import errors
from gateway.content import Content
from gateway.errors import (
    CODES,
    CallerError,
    CredentialDead,
    Fault,
    GatewayError,
    UpstreamAnswer,
    UpstreamBusy,
    UpstreamError,
)

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, GatewayError)]


@pytest.mark.parametrize("code", CODES)
def test_a_code_has_a_status_and_a_sentence(code: str) -> None:
    error = GatewayError(code)
    assert error.code == code
    assert error.status == CODES[code][0]
    assert error.message == CODES[code][1]
    assert error.message.endswith(".")
    assert str(error) == code


def test_what_is_about_and_when_to_come_back_are_added() -> None:
    error = UpstreamBusy("upstream_busy", after_s=2.4, about="openai")
    assert error.message == "The provider is busy. (openai) Try again in 2 s."
    assert UpstreamBusy("upstream_busy", after_s=0.01).message.endswith("Try again in 1 s.")


@pytest.mark.parametrize("about", ["two words", "line\nend", "", "ä", "a" * 129])
def test_text_is_refused_and_not_quoted(about: str) -> None:
    with pytest.raises(ValueError, match="not a name") as caught:
        CallerError("bad_request", about=about)
    assert not about or about not in str(caught.value)


def test_an_unknown_code_is_an_error_of_the_program() -> None:
    with pytest.raises((KeyError, ValueError)):
        GatewayError("a_code_that_nobody_knows")
    with pytest.raises(ValueError, match="not a name"):
        GatewayError("some words of a prompt")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_says_whose_fault_it_is_and_whether_to_try_again(kind: type[GatewayError]) -> None:
    error = kind("unavailable")
    assert error.fault in Fault
    assert error.retry in (True, False)
    assert error.retry is False or error.fault is Fault.UPSTREAM


def test_a_providers_answer_is_carried_as_content() -> None:
    answer = UpstreamAnswer(400, (("content-type", "text/plain"),), Content(b"canary"))
    error = errors.UpstreamRefused("upstream_refused")
    assert error.answer is None
    error.answer = answer
    assert "canary" not in f"{error!r} {answer.body!r} {error.args} {error.message}"
    assert (answer.status, answer.headers) == (400, (("content-type", "text/plain"),))


@pytest.mark.parametrize(
    ("kind", "status", "is_relayed"),
    [
        (UpstreamError, 400, True),
        (UpstreamError, 399, False),
        (UpstreamError, None, False),
        (CredentialDead, 401, False),
    ],
)
def test_what_a_provider_says_is_relayed_unless_it_speaks_of_our_key(
    kind: type[UpstreamError], status: int | None, is_relayed: bool
) -> None:
    error = kind("upstream_failed")
    if status is not None:
        error.answer = UpstreamAnswer(status, (), Content(b"words"))
    assert error.relayed is (error.answer if is_relayed else None)


@pytest.mark.parametrize("code", errors.KINDS)
def test_a_kind_of_failure_belongs_to_a_code(code: str) -> None:
    assert code in CODES
    assert GatewayError(code).kind is errors.KINDS[code]


def test_every_kind_of_failure_has_a_code_and_other_errors_have_none() -> None:
    assert set(errors.KINDS.values()) == set(errors.Failure)
    assert GatewayError("upstream_refused").kind is None
    assert GatewayError("bug").kind is None
