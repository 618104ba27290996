"""Google's Gemini API, with an API key."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.content import Content, Purpose, Secret
from gateway.contracts import Call, Headers, UpstreamRequest
from gateway.errors import UpstreamError
from gateway.names import Slug
from gateway.providers.asking import ask, checked_url
from gateway.providers.failures import classify

SPEAKS: Final = frozenset({Slug("gemini_generate"), Slug("gemini_embed"), Slug("gemini_count")})


class Gemini:
    """generativelanguage.googleapis.com."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """base_url: the bare host; the version is added with the path."""

        base_url: str = "https://generativelanguage.googleapis.com"

    def __init__(self, config: Config) -> None:
        # Some libraries want the version in the address: it is taken off, as each call names its own.
        self._base_url = checked_url(config.base_url).removesuffix("/v1beta").removesuffix("/v1")

    @property
    def speaks(self) -> frozenset[Slug]:
        """Contents, embeddings, and the counting of tokens."""
        return SPEAKS

    def request(self, call: Call, model: str, key: Secret | None) -> UpstreamRequest:
        """The call with our key in a header: never in the URL, where logs would keep it."""
        ours: Headers = () if key is None else (("x-goog-api-key", key.open(Purpose.SEND)),)
        return ask(self._base_url, call, model, ours)

    def failure(self, status: int, headers: Headers, body: Content) -> UpstreamError:
        """By status and code; a wrong key is a 400 with the reason API_KEY_INVALID."""
        return classify(status, headers, body)

    def asks_usage(self, call: Call) -> bool:
        """Usage is on every chunk."""
        return False


if TYPE_CHECKING:
    from gateway.contracts import Provider

    _: type[Provider] = Gemini
