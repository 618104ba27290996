"""OpenAI's own API."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.content import Content, Purpose, Secret
from gateway.contracts import Call, Headers, UpstreamRequest
from gateway.errors import UpstreamError
from gateway.names import Slug
from gateway.providers.asking import ask, checked_url
from gateway.providers.failures import classify

SPEAKS: Final = frozenset(
    Slug("openai_" + what)
    for what in (
        "chat",
        "responses",
        "embeddings",
        "images",
        "speech",
        "transcription",
        "moderations",
    )
)


class OpenAI:
    """api.openai.com, or a proxy in front of it."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """organization and project: whom the calls are billed to, where the key belongs to several."""

        base_url: str = "https://api.openai.com/v1"
        organization: str | None = None
        project: str | None = None

    def __init__(self, config: Config) -> None:
        self._base_url = checked_url(config.base_url)
        billed = (("openai-organization", config.organization), ("openai-project", config.project))
        self._headers: Headers = tuple((name, value) for name, value in billed if value is not None)

    @property
    def speaks(self) -> frozenset[Slug]:
        """OpenAI's dialects."""
        return SPEAKS

    def request(self, call: Call, model: str, key: Secret | None) -> UpstreamRequest:
        """The call with our key as bearer."""
        return ask(self._base_url, call, model, self._headers + bearer(key), ask_usage=self.asks_usage(call))

    def failure(self, status: int, headers: Headers, body: Content) -> UpstreamError:
        """By status and by OpenAI's code; insufficient_quota is no pause but a key without money."""
        return classify(status, headers, body)

    def asks_usage(self, call: Call) -> bool:
        """A chat stream has no usage unless asked; the Responses API always says it."""
        return call.stream and call.dialect == "openai_chat"


def bearer(key: Secret | None) -> Headers:
    """The authorization field, or none."""
    return () if key is None else (("authorization", "Bearer " + key.open(Purpose.SEND)),)


if TYPE_CHECKING:
    from gateway.contracts import Provider

    _: type[Provider] = OpenAI
