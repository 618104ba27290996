"""Acme, a provider that speaks OpenAI's dialects but wants its key in a header of its own."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.content import Content, Purpose, Secret
from gateway.contracts import Call, Headers, UpstreamRequest
from gateway.errors import CredentialDead, UpstreamError
from gateway.names import Slug
from gateway.providers.asking import ask, checked_url
from gateway.providers.failures import classify

SPEAKS = frozenset({Slug("openai_chat"), Slug("openai_embeddings")})


class Acme:
    """Acme's API."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """base_url: up to and without /chat/completions. workspace: sent with every request."""

        base_url: str
        workspace: str = "main"

    def __init__(self, config: Config) -> None:
        self._base_url = checked_url(config.base_url)
        if not (config.workspace.isascii() and config.workspace.isalnum()):
            raise ValueError("workspace: letters and digits only")
        self._workspace = config.workspace

    @property
    def speaks(self) -> frozenset[Slug]:
        """Chat and embeddings."""
        return SPEAKS

    def request(self, call: Call, model: str, key: Secret | None) -> UpstreamRequest:
        """The call as it came, for this model, with our key."""
        ours: Headers = (("x-acme-workspace", self._workspace),)
        if key is not None:
            ours += (("x-acme-key", key.open(Purpose.SEND)),)
        return ask(self._base_url, call, model, ours, ask_usage=self.asks_usage(call))

    def failure(self, status: int, headers: Headers, body: Content) -> UpstreamError:
        """By status, as everywhere; 419 is Acme's word for a key that has expired."""
        return CredentialDead("upstream_credential") if status == 419 else classify(status, headers, body)

    def asks_usage(self, call: Call) -> bool:
        """Acme reports a stream's usage only when asked, as OpenAI does."""
        return call.stream and call.dialect == "openai_chat"


if TYPE_CHECKING:
    from gateway.contracts import Provider

    _: type[Provider] = Acme
