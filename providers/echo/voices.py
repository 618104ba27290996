"""The dialects echo speaks: how each is read and answered, and the fields its provider adds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from gateway.contracts import Headers
from gateway.names import Slug
from gateway.providers.echo import anthropic, gemini, openai_chat, openai_media, openai_responses
from gateway.providers.echo.ask import Ask
from gateway.providers.echo.orders import Orders
from gateway.providers.echo.reply import Reply


@dataclass(frozen=True, slots=True)
class Voice:
    """A dialect.

    Attributes:
        family: whose errors it has: openai, anthropic or gemini.
        read: understands a parsed body; gets the path below the dialect's name.
        id_field: name of the field with the provider's own id of the call; empty when it has none.
        fields: what the provider says besides.
    """

    family: str
    read: Callable[[dict[str, Any], Orders, str], Ask]
    answer: Callable[[Ask], Reply]
    id_field: str = ""
    fields: Headers = ()


_LIMITS: Final[Headers] = (
    ("openai-processing-ms", "1"),
    ("openai-version", "2020-10-01"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-reset-requests", "6ms"),
)
_ALLOWANCE: Final[Headers] = (
    ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
    ("anthropic-ratelimit-requests-limit", "4000"),
    ("anthropic-ratelimit-requests-remaining", "3999"),
    ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:00Z"),
)


def _openai(read: Callable[[dict[str, Any], Orders, str], Ask], answer: Callable[[Ask], Reply]) -> Voice:
    return Voice("openai", read, answer, "x-request-id", _LIMITS)


def _anthropic(answer: Callable[[Ask], Reply]) -> Voice:
    return Voice("anthropic", anthropic.read, answer, "request-id", _ALLOWANCE)


VOICES: Final[Mapping[str, Voice]] = MappingProxyType(
    {
        "openai_chat": _openai(openai_chat.read, openai_chat.answer),
        "openai_responses": _openai(openai_responses.read, openai_responses.answer),
        "openai_embeddings": _openai(openai_media.read_embeddings, openai_media.answer_embeddings),
        "openai_images": _openai(openai_media.read_images, openai_media.answer_images),
        "openai_speech": _openai(openai_media.read_speech, openai_media.answer_speech),
        "openai_transcription": _openai(openai_media.read_transcription, openai_media.answer_transcription),
        "openai_moderations": _openai(openai_media.read_moderations, openai_media.answer_moderations),
        "anthropic_messages": _anthropic(anthropic.answer),
        "anthropic_count": _anthropic(anthropic.count),
        "gemini_generate": Voice("gemini", gemini.read, gemini.answer),
        "gemini_embed": Voice("gemini", gemini.read_embed, gemini.embed),
        "gemini_count": Voice("gemini", gemini.read, gemini.count),
    }
)

SPEAKS: Final = frozenset(map(Slug, VOICES))
