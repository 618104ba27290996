"""Groq: OpenAI's chat dialect, with usage on every stream unasked."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.content import Content, Secret
from gateway.contracts import Call, Headers, UpstreamRequest
from gateway.errors import UpstreamError
from gateway.names import Slug
from gateway.providers.asking import ask, checked_url
from gateway.providers.failures import classify
from gateway.providers.openai import SPEAKS, bearer
from gateway.translation.homecoming import without_thoughts

GROQ_SPEAKS: Final = SPEAKS - {"openai_images", "openai_moderations"}


class Groq:
    """api.groq.com."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """base_url: down to and with /openai/v1."""

        base_url: str = "https://api.groq.com/openai/v1"

    def __init__(self, config: Config) -> None:
        self._base_url = checked_url(config.base_url)

    @property
    def speaks(self) -> frozenset[Slug]:
        """OpenAI's dialects but for images and moderations."""
        return GROQ_SPEAKS

    def request(self, call: Call, model: str, key: Secret | None) -> UpstreamRequest:
        """The call with our key as bearer, and without the thoughts of others, which Groq refuses."""
        return ask(self._base_url, without_thoughts(call), model, bearer(key))

    def failure(self, status: int, headers: Headers, body: Content) -> UpstreamError:
        """By status; 498 is an exhausted flex tier, to be asked again later."""
        return classify(status, headers, body)

    def asks_usage(self, call: Call) -> bool:
        """Groq reports usage unasked."""
        return False


if TYPE_CHECKING:
    from gateway.contracts import Provider

    _: type[Provider] = Groq
