"""Lists of models, and single models, in the shape of each family."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from gateway.names import Slug
from gateway.usage import Picos


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A model as a list shows it. What is not known is None and left out, or said as the family says it.

    Attributes:
        name: what a caller asks for.
        provider: the provider's name in the configuration.
        context: most tokens of input and output together.
        max_output: most output tokens.
        created_s: Unix time of release.
        embeds: it makes embeddings, not texts.
        input_price, output_price: pico-dollars per token.
        policy: name of the data policy it is served under.
        healthy: its breaker is closed.
    """

    name: Slug
    provider: Slug
    context: int | None = None
    max_output: int | None = None
    created_s: int | None = None
    embeds: bool = False
    input_price: Picos | None = None
    output_price: Picos | None = None
    policy: Slug | None = None
    healthy: bool | None = None


def model_list(family: Slug, models: Sequence[Listed]) -> bytes:
    """The body of GET …/models: all at once, never a page of them.

    Args:
        family: openai, anthropic or gemini.
        models: in the order to be shown.
    """
    if family == "anthropic":
        ends = {"first_id": models[0].name, "last_id": models[-1].name} if models else {}
        return _json({
            "data": [_anthropic(model) for model in models],
            "has_more": False,
            **{name: ends.get(name) for name in ("first_id", "last_id")},
        })  # fmt: skip
    if family == "gemini":
        return _json({"models": [_gemini(model) for model in models]})
    return _json({"object": "list", "data": [_openai(model) for model in models]})


def single_model(family: Slug, model: Listed) -> bytes:
    """The body of GET …/models/{name}."""
    render = {"anthropic": _anthropic, "gemini": _gemini}.get(family, _openai)
    return _json(render(model))


def _openai(model: Listed) -> dict[str, Any]:
    """Source: OpenAI's API reference, Models; for context_window and max_completion_tokens, Groq's."""
    return _known({
        "id": model.name,
        "object": "model",
        "created": model.created_s or 0,
        "owned_by": model.provider,
        "context_window": model.context,
        "max_completion_tokens": model.max_output,
        "gateway": _ours(model),
    })  # fmt: skip


def _anthropic(model: Listed) -> dict[str, Any]:
    """Source: Anthropic's API reference, Models; an unknown date of release is said as the epoch."""
    return _known({
        "type": "model",
        "id": model.name,
        "display_name": model.name,
        "created_at": datetime.fromtimestamp(model.created_s or 0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": model.context,
        "max_tokens": model.max_output,
        "gateway": _ours(model),
    })  # fmt: skip


def _gemini(model: Listed) -> dict[str, Any]:
    """Source: Gemini API reference, models. Nothing of ours is added: its types are closed."""
    texts, vectors = ("generateContent", "streamGenerateContent"), ("embedContent", "batchEmbedContents")
    return _known({
        "name": f"models/{model.name}",
        "version": "001",
        "displayName": model.name,
        "inputTokenLimit": model.context,
        "outputTokenLimit": model.max_output,
        "supportedGenerationMethods": [*(vectors if model.embeds else texts), "countTokens"],
    })  # fmt: skip


def _ours(model: Listed) -> dict[str, Any] | None:
    """What no API has a place for: prices in dollars per million tokens, data policy, health."""
    return _known({
        "input_price": _dollars(model.input_price),
        "output_price": _dollars(model.output_price),
        "data_policy": model.policy,
        "healthy": model.healthy,
    }) or None  # fmt: skip


def _dollars(price: Picos | None) -> str | None:
    """Picos per token are millionths of dollars per million tokens."""
    return None if price is None else format((Decimal(price) / 10**6).normalize(), "f")


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _json(tree: dict[str, Any]) -> bytes:
    return orjson.dumps(tree)
