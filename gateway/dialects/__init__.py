"""All dialects by name, and the table of paths: which path speaks which."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.contracts import Dialect
from gateway.dialects import (
    anthropic_count,
    anthropic_messages,
    gemini_count,
    gemini_embed,
    gemini_generate,
    openai_chat,
    openai_embeddings,
    openai_images,
    openai_moderations,
    openai_responses,
    openai_speech,
    openai_transcription,
)
from gateway.names import Slug
from gateway.records import PathKind

DIALECTS: Final[dict[Slug, Dialect]] = {
    # OpenAI's family, also Groq's
    openai_chat.NAME: openai_chat,
    openai_responses.NAME: openai_responses,
    openai_embeddings.NAME: openai_embeddings,
    openai_images.NAME: openai_images,
    openai_speech.NAME: openai_speech,
    openai_transcription.NAME: openai_transcription,
    openai_moderations.NAME: openai_moderations,
    # Anthropic's family
    anthropic_messages.NAME: anthropic_messages,
    anthropic_count.NAME: anthropic_count,
    # Gemini's family
    gemini_generate.NAME: gemini_generate,
    gemini_embed.NAME: gemini_embed,
    gemini_count.NAME: gemini_count,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a path asks for.

    Attributes:
        dialect: name of the dialect spoken there; for lists of models, of the family's main dialect.
        kind: what is asked for.
        method: the one method that the path takes (HEAD is the edge's business).
        path_model: the model, where the path has it.
        verb: what follows the model or the path's noun: "generateContent", "count_tokens", ….
        version: "v1" or "v1beta".
        prefers: the provider whose own paths these are: a hint for models of that provider.
    """

    dialect: Slug
    kind: PathKind
    method: str = "POST"
    path_model: str | None = None
    verb: str = ""
    version: str = "v1"
    prefers: Slug | None = None


def find(path: str, headers: Mapping[str, str]) -> Endpoint | None:
    """The endpoint of a request, None when nothing is offered there.

    Args:
        path: the raw path of the request line: not decoded, not normalised, without the query.
        headers: by lower-case name. A key that came as ?key= stands under x-goog-api-key. They tell
            the families' lists of models apart, which share a path; nothing else depends on them.
    """
    fixed = _FIXED.get(path)
    if fixed is not None:
        return fixed
    if len(path) > _MOST:
        return None
    place = _MODELS.fullmatch(path)
    return None if place is None else _models(place, headers)


# --- fixed paths: path below the version, dialect, kind, verb ------------------------------------

_OPENAI: Final = (
    ("/chat/completions", "openai_chat", PathKind.CHAT, ""),
    ("/responses", "openai_responses", PathKind.RESPONSES, ""),
    ("/embeddings", "openai_embeddings", PathKind.EMBEDDINGS, ""),
    ("/images/generations", "openai_images", PathKind.IMAGES, ""),
    ("/audio/speech", "openai_speech", PathKind.SPEECH, ""),
    ("/audio/transcriptions", "openai_transcription", PathKind.TRANSCRIPTION, "transcriptions"),
    ("/audio/translations", "openai_transcription", PathKind.TRANSCRIPTION, "translations"),
    ("/moderations", "openai_moderations", PathKind.MODERATIONS, ""),
)

_ANTHROPIC: Final = (
    ("/messages", "anthropic_messages", PathKind.MESSAGES, ""),
    ("/messages/count_tokens", "anthropic_count", PathKind.COUNT, "count_tokens"),
)

_GROQ: Final = Slug("groq")
"""Groq's clients add /openai/v1 themselves; /openai is also our own prefix for OpenAI's paths."""


def _fixed() -> dict[str, Endpoint]:
    table: dict[str, Endpoint] = {}
    for prefix, prefers, rows in (
        ("/v1", None, _OPENAI),
        ("/openai/v1", _GROQ, _OPENAI),
        ("/v1", None, _ANTHROPIC),
        ("/anthropic/v1", None, _ANTHROPIC),
    ):
        for below, dialect, kind, verb in rows:
            table[prefix + below] = Endpoint(Slug(dialect), kind, verb=verb, prefers=prefers)
    return table


_FIXED: Final = _fixed()


# --- lists of models, and Gemini's paths, which have the model in them ---------------------------

# A model's name: parts between slashes, each of safe characters and starting with one that is no
# dot, so that "..", "//" and the like match nothing. Of percent-encoding only the characters that
# clients encode in a name are known: / : @ +. Nothing is decoded twice.
_PART: Final = r"[A-Za-z0-9_@](?:[A-Za-z0-9._:@+-]|%3[Aa]|%40|%2[Bb])*"
_NAME: Final = rf"(?:{_PART})(?:(?:/|%2[Ff])(?:{_PART}))*"
_MODELS: Final = re.compile(
    r"(?:/(?P<family>openai|anthropic|gemini))?/(?P<version>v1|v1beta)/models"
    rf"(?:/(?P<model>{_NAME}))?",
)
_ESCAPES: Final = re.compile(r"%(2[Ff]|3[Aa]|40|2[Bb])")
_MOST: Final = 1024
_MODEL_LENGTH: Final = 256

_VERBS: Final = {
    "generateContent": ("gemini_generate", PathKind.GENERATE),
    "streamGenerateContent": ("gemini_generate", PathKind.GENERATE),
    "countTokens": ("gemini_count", PathKind.COUNT),
    "embedContent": ("gemini_embed", PathKind.EMBEDDINGS),
    "batchEmbedContents": ("gemini_embed", PathKind.EMBEDDINGS),
}

_MAIN: Final = {
    "openai": Slug("openai_chat"),
    "anthropic": Slug("anthropic_messages"),
    "gemini": Slug("gemini_generate"),
}


def _models(place: re.Match[str], headers: Mapping[str, str]) -> Endpoint | None:
    family, version, raw = place["family"], place["version"], place["model"]
    if version == "v1beta":
        if family not in (None, "gemini"):
            return None
        family = "gemini"
    model = None if raw is None else _ESCAPES.sub(lambda found: chr(int(found[1], 16)), raw)
    if model is not None and family in (None, "gemini"):
        name, colon, verb = model.rpartition(":")
        if colon and verb in _VERBS and raw.endswith(":" + verb):
            dialect, kind = _VERBS[verb]
            return Endpoint(Slug(dialect), kind, "POST", name, verb, version) if _short(name) else None
    if family is None:
        family = _family(headers)
    if model is not None and not _short(model):
        return None
    prefers = _GROQ if place["family"] == "openai" else None
    return Endpoint(_MAIN[family], PathKind.MODELS, "GET", model, "", version, prefers)


def _family(headers: Mapping[str, str]) -> str:
    """Whose list of models a client of /v1/models expects."""
    if "x-goog-api-key" in headers:
        return "gemini"
    return "anthropic" if "anthropic-version" in headers else "openai"


def _short(name: str) -> bool:
    return 0 < len(name) <= _MODEL_LENGTH
