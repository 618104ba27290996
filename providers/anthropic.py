"""Anthropic's own API."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.content import Content, Purpose, Secret
from gateway.contracts import Call, Headers, UpstreamRequest
from gateway.errors import CredentialDead, UpstreamError
from gateway.names import Slug
from gateway.providers.asking import ask, checked_url
from gateway.providers.failures import classify, message_of
from gateway.providers.openai import bearer

SPEAKS: Final = frozenset({Slug("anthropic_messages"), Slug("anthropic_count")})

FIRST_VERSION: Final = "2023-06-01"
"""The API's version for callers that name none."""

BEARER_SINCE: Final = "2026-10-21"
"""Since this version of the API its own libraries send the key as bearer, before as x-api-key."""

NO_MONEY: Final = "Your credit balance is too low"
"""How an empty account is told from other 400 answers; it has no code of its own."""


class Anthropic:
    """api.anthropic.com."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """base_url: the bare host; /v1 is added with the path."""

        base_url: str = "https://api.anthropic.com"

    def __init__(self, config: Config) -> None:
        # Some libraries want this host's address with /v1 and some without: both are understood.
        self._base_url = checked_url(config.base_url).removesuffix("/v1")

    @property
    def speaks(self) -> frozenset[Slug]:
        """Messages, and the counting of their tokens."""
        return SPEAKS

    def request(self, call: Call, model: str, key: Secret | None) -> UpstreamRequest:
        """The call with our key, in the form that goes with the caller's version of the API."""
        version = dict(call.headers).get("anthropic-version")
        ours: Headers = () if version is not None else (("anthropic-version", FIRST_VERSION),)
        return ask(self._base_url, call, model, ours + _key_header(key, version or FIRST_VERSION))

    def failure(self, status: int, headers: Headers, body: Content) -> UpstreamError:
        """By status and code; an empty account is told by its sentence."""
        if status == 400 and message_of(body).startswith(NO_MONEY):
            return CredentialDead("upstream_credential")
        return classify(status, headers, body)

    def asks_usage(self, call: Call) -> bool:
        """Usage is on every stream."""
        return False


def _key_header(key: Secret | None, version: str) -> Headers:
    if key is None:
        return ()
    text = key.open(Purpose.SEND)
    if version >= BEARER_SINCE or text.startswith("sk-ant-oat"):  # oat: tokens of a signed-in user
        return bearer(key)
    return (("x-api-key", text),)


if TYPE_CHECKING:
    from gateway.contracts import Provider

    _: type[Provider] = Anthropic
