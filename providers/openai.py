"""OpenAI's own API."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gateway.content import Content, Purpose, Secret
from gateway.contracts import Call, Headers, UpstreamRequest
from gateway.errors import UpstreamError
from gateway.names import Slug
from gateway.providers.asking import ask, checked_url
from gateway.providers.failures import classify
from gateway.translation.homecoming import without_thoughts

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
        """How it is asked.

        Attributes:
            organization, project: whom the calls are billed to, where the key belongs to several.
            dialects: those that may be used, such as ["openai_chat"]; empty: all. Calls in others are
                translated, where they can be.
        """

        base_url: str = "https://api.openai.com/v1"
        organization: str | None = None
        project: str | None = None
        dialects: tuple[str, ...] = ()

    def __init__(self, config: Config) -> None:
        self._base_url = checked_url(config.base_url)
        self._is_openai = (urlsplit(self._base_url).hostname or "").endswith(".openai.com")
        self._speaks = chosen(config.dialects)
        billed = (("openai-organization", config.organization), ("openai-project", config.project))
        self._headers: Headers = tuple((name, value) for name, value in billed if value is not None)

    @property
    def speaks(self) -> frozenset[Slug]:
        """OpenAI's dialects, or those of them that are configured."""
        return self._speaks

    def request(self, call: Call, model: str, key: Secret | None) -> UpstreamRequest:
        """The call with our key as bearer; to OpenAI itself without the thoughts of others."""
        if self._is_openai:
            call = without_thoughts(call)
        return ask(self._base_url, call, model, self._headers + bearer(key), ask_usage=self.asks_usage(call))

    def failure(self, status: int, headers: Headers, body: Content) -> UpstreamError:
        """By status and by OpenAI's code; insufficient_quota is no pause but a key without money."""
        return classify(status, headers, body)

    def asks_usage(self, call: Call) -> bool:
        """A chat stream has no usage unless asked; the Responses API always says it."""
        return call.stream and call.dialect == "openai_chat"


def chosen(dialects: tuple[str, ...]) -> frozenset[Slug]:
    """The dialects of a configuration; all of OpenAI's when it names none.

    Raises:
        ValueError: one of them is not OpenAI's.
    """
    if not SPEAKS.issuperset(dialects):
        raise ValueError("dialects: known are " + ", ".join(sorted(SPEAKS)))
    return frozenset(Slug(name) for name in dialects) or SPEAKS


def bearer(key: Secret | None) -> Headers:
    """The authorization field, or none."""
    return () if key is None else (("authorization", "Bearer " + key.open(Purpose.SEND)),)


if TYPE_CHECKING:
    from gateway.contracts import Provider

    _: type[Provider] = OpenAI
