"""Writes prices.json from the genai-prices package: python -m gateway.ledger.make_prices.

What this book cannot express is left out, so that it counts as unknown and not as cheaper than it is.
What the package only says in its comments, or does not say, is in the tables below, with its source.
"""

import argparse
import importlib.metadata
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any, Final

import orjson

FILE: Final = Path(__file__).with_name("prices.json")

PICOS_PER_DOLLAR: Final = 10**12

UNITS: Final[Mapping[str, tuple[str, int]]] = {
    "input_mtok": ("input", 10**6),
    "cache_read_mtok": ("cached", 10**6),
    "cache_write_mtok": ("write_5m", 10**6),
    "cache_write_1h_mtok": ("write_1h", 10**6),
    "input_audio_mtok": ("input_audio", 10**6),
    "cache_audio_read_mtok": ("cached_audio", 10**6),
    "input_image_mtok": ("input_image", 10**6),
    "cache_image_read_mtok": ("cached_image", 10**6),
    "input_video_mtok": ("input_video", 10**6),
    "output_mtok": ("output", 10**6),
    "output_reasoning_mtok": ("reasoning", 10**6),
    "output_audio_mtok": ("output_audio", 10**6),
    "output_image_mtok": ("output_image", 10**6),
    "input_mchars": ("character", 10**6),
    "web_searches_kcount": ("search", 10**3),
    "storage_searches_kcount": ("tool_unit", 10**3),
    "requests_kcount": ("request", 10**3),
    "audio_hours": ("audio_hour", 1),
}
"""The package's key: our class, and the units that its price is for."""

SAME: Final = {"input_audio_hours": "audio_hours", "cache_write_5m_mtok": "cache_write_mtok"}
"""Keys that may be left out where they repeat another key's price."""

PARENTS: Final = {
    "output_video_mtok": "output_mtok",
    "output_citation_mtok": "output_mtok",
}
"""Keys that may be left out where their price is not above their parent's, at which they are billed."""

NAMES: Final = {"google": "gemini"}
"""The package's provider: ours, where they differ."""

HOMES: Final = (
    "openai", "anthropic", "gemini", "groq", "mistral", "deepseek", "x-ai", "cohere", "perplexity",
    "moonshotai", "zai", "minimax", "meta", "voyageai",
)  # fmt: skip
"""Providers whose model names are found without the provider's name, the first one winning."""

MODES: Final = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("speed", "fast"): "fast",
}
"""The package's request context: our mode of service. Other contexts are left out."""

MAX_OUTPUT: Final[Mapping[str, tuple[tuple[str, int], ...]]] = {
    # Source: developers.openai.com/api/docs/models, "max output tokens" of each model.
    "openai": (
        (r"gpt-3\.5|gpt-4-turbo|gpt-4-vision|gpt-4o-2024-05-13", 4_096),
        (r"gpt-4$|gpt-4-32k", 8_192),
        (r"gpt-4o|gpt-audio", 16_384),
        (r"gpt-4\.1", 32_768),
        (r"o1-mini", 65_536),
        (r"o1-preview", 32_768),
        (r"o1|o3|o4|codex-mini", 100_000),
        (r"gpt-5-chat", 16_384),
        (r"gpt-5-pro", 272_000),
        (r"gpt-5|gpt-6", 128_000),
    ),
    # Source: platform.claude.com/docs/en/about-claude/models/overview.
    "anthropic": (
        (r"claude-(2|v1|3-(haiku|opus|sonnet))", 4_096),
        (r"claude-3-5", 8_192),
        (r"claude-3-7|claude-sonnet-4-[05]|claude-haiku-4|claude-opus-4-5", 64_000),
        (r"claude-opus-4-[01]", 32_000),
        (r"claude-", 128_000),
    ),
    # Source: ai.google.dev/gemini-api/docs/models, "output token limit".
    "gemini": (
        (r"gemini-(1|2\.0|pro|flash-1)", 8_192),
        (r"gemini-[2-9]", 65_536),
    ),
}
"""Regular expressions of model ids, the first one that matches winning: most output tokens."""

REGIONAL: Final = {
    # Source: platform.claude.com/docs/en/about-claude/pricing#data-residency-pricing: 1.1 times all token
    # prices for Opus 4.6, Sonnet 4.6 and all later models.
    "anthropic": (re.compile(r"claude-((opus|sonnet)-4-[6-9]|[a-z]+-[5-9])"), (11, 10)),
}

AS_STANDARD: Final = {
    # Source: console.groq.com/docs/flex-processing: the same prices as on demand.
    "groq": ("flex",),
}
"""Modes of service that cost what the standard one does."""

LEAST_AUDIO_MS: Final = {
    # Source: console.groq.com/docs/speech-to-text: at least ten seconds are billed.
    ("groq", "whisper-large-v3"): 10_000,
    ("groq", "whisper-large-v3-turbo"): 10_000,
}

FREE: Final = {
    # Source: developers.openai.com/api/docs/guides/moderation: "free to use".
    ("openai", "moderation"),
    # Source: ai.google.dev/gemini-api/docs/pricing: free of charge, no paid tier.
    ("gemini", "gemma-4-26b-a4b-it"),
    ("gemini", "gemma-4-31b-it"),
}
"""Models whose price is known to be nothing; all others without a price are unknown."""

LONGER_WRITES: Final = {
    # Source: developers.openai.com/api/docs/models/gpt-6.1-terra: 30 minutes $1.25, 12 hours $2.50.
    ("openai", "gpt-6.1-terra"): 2,
}
"""Cache writes of the longer time, as a multiple of those of the shorter."""

OUR_OWN: Final = {
    "echo": {
        "home": False,
        "models": [
            {
                "id": "echo-1",
                "match": "^",
                "entries": [{"rates": {"input": 1_000_000, "cached": 100_000, "output": 2_000_000}}],
            }
        ],
        "family": "=echo-1",
    }
}
"""The provider inside the gateway has a price, so that a demonstration has money in it."""

Table = dict[str, Any]


def main(arguments: list[str]) -> int:
    """Write the book; the exit code."""
    parser = argparse.ArgumentParser(prog="make_prices", description="Write prices.json from genai-prices.")
    parser.add_argument("--output", type=Path, default=FILE)
    parser.add_argument("--date", type=date.fromisoformat, default=datetime.now(UTC).date())
    options = parser.parse_args(arguments)
    from genai_prices.data import providers

    book = make(providers, options.date, importlib.metadata.version("genai-prices"))
    options.output.write_bytes(render(book))
    return 0


def render(book: Table) -> bytes:
    """One model to a line, so that an update can be read as a difference."""
    text = orjson.dumps(book)
    return text.replace(b',{"id":', b',\n{"id":').replace(b'"models":[', b'"models":[\n') + b"\n"


def make(providers: Iterable[Any], day: date, release: str) -> Table:
    """The book as a tree for JSON.

    Args:
        providers: genai_prices.data.providers.
        day: the date of the data.
        release: the package's version.
    """
    book: Table = {}
    for provider in providers:
        name = NAMES.get(provider.id, provider.id)
        models = [made for model in provider.models if (made := _model(name, model)) is not None]
        if any("entries" in made for made in models):
            table: Table = {
                "links": list(provider.pricing_urls or ()),
                "home": name in HOMES,
                "models": models,
            }
            if provider.fallback_model_providers and name != "gemini":
                table["fallback"] = [NAMES.get(one, one) for one in provider.fallback_model_providers]
            if provider.model_match is not None and name in HOMES:
                table["family"] = clause(provider.model_match)
            book[name] = table
    rank = {name: place for place, name in enumerate(HOMES)}
    ordered = dict(sorted(book.items(), key=lambda item: rank.get(item[0], len(rank))))
    return {
        "format": 1,
        "date": day.isoformat(),
        "from": f"genai-prices {release}",
        "providers": {**ordered, **OUR_OWN},
    }


def clause(match: Any) -> Any:
    """A matching rule as text with its kind before it, or as a list of rules."""
    if hasattr(match, "equals"):
        return "=" + match.equals  # in its own spelling: this one is also shown and sent
    for field, mark in (("starts_with", "^"), ("ends_with", "$"), ("contains", "~")):
        if hasattr(match, field):
            return mark + getattr(match, field).lower()
    if hasattr(match, "regex"):
        return "/" + match.regex
    if hasattr(match, "or_"):
        rules = [clause(one) for one in match.or_]
        return rules[0] if len(rules) == 1 else ["any", *rules]
    return ["all", *(clause(one) for one in match.and_)]


def _model(provider: str, model: Any) -> Table | None:
    if provider == "gemini" and not model.id.startswith(("gemini", "gemma")):
        return None  # models of others, which this API does not serve
    made: Table = {"id": model.id, "match": clause(model.match)}
    entries = _entries(provider, model)
    if entries is None:
        return made  # without a price, but its names must not be found under another model
    made["entries"] = entries
    modes = _modes(provider, model)
    if modes:
        made["modes"] = modes
    if model.context_window:
        made["context"] = model.context_window
    for pattern, most in MAX_OUTPUT.get(provider, ()):
        if re.match(pattern, model.id):
            made["output"] = most
            break
    regional = REGIONAL.get(provider)
    if regional is not None and regional[0].match(model.id):
        made["regional"] = list(regional[1])
    if (provider, model.id) in LEAST_AUDIO_MS:
        made["least_audio_ms"] = LEAST_AUDIO_MS[provider, model.id]
    return made


def _entries(provider: str, model: Any) -> list[Table] | None:
    """The dated prices of a model; None when it has none that can be expressed."""
    if (provider, model.id) in FREE:
        return [{"rates": {"input": 0, "output": 0}}]
    prices = model.prices if isinstance(model.prices, list) else [model]
    entries: list[Table] = []
    for conditional in prices:
        rates = _rates(provider, model.id, conditional.prices, {})
        if rates is None:
            return None
        entries.append({**_constraint(getattr(conditional, "constraint", None)), "rates": rates})
    return entries if any(entry["rates"] for entry in entries) else None


def _modes(provider: str, model: Any) -> list[Table]:
    standard = model.prices[-1].prices if isinstance(model.prices, list) else model.prices
    modes: list[Table] = []
    for variant in model.price_variants or ():
        mode = MODES.get(next(iter(variant.when.items()))) if len(variant.when) == 1 else None
        rates = _rates(provider, model.id, variant.prices, _keys(standard))
        if mode is not None and rates is not None:
            modes.append({"mode": mode, **_constraint(variant.constraint), "rates": rates})
    modes += [{"mode": mode, "rates": {}} for mode in AS_STANDARD.get(provider, ())]
    return modes + _told(model, {entry["mode"] for entry in modes})


def _told(model: Any, known: set[str]) -> list[Table]:
    """Modes that the package tells of in its comment only (Gemini): factors on input and output."""
    comment = model.price_comments or ""
    modes: list[Table] = []
    if "Batch and Flex tiers offer 50% discount" in comment and "flex" not in known:
        modes.append({"mode": "flex", "factors": {"input": [1, 2], "output": [1, 2]}})
    if "Batch and Flex tiers offer 50% discount" in comment and "batch" not in known:
        modes.append({"mode": "batch", "factors": {"input": [1, 2], "output": [1, 2]}})
    if "Priority tier is 1.8x" in comment and "priority" not in known:
        modes.append({"mode": "priority", "factors": {"input": [9, 5], "cached": [9, 5], "output": [9, 5]}})
    return modes


def _constraint(constraint: Any) -> Table:
    if constraint is None:
        return {}
    if hasattr(constraint, "start_date"):
        return {"from": constraint.start_date.isoformat()}
    return {"minutes": [one.hour * 60 + one.minute for one in (constraint.start_time, constraint.end_time)]}


def _keys(price: Any) -> Table:
    return {key: value for key, value in vars(price).items() if value is not None}


def _rates(provider: str, model: str, price: Any, below: Table) -> Table | None:
    """Classes and pico-dollars; None when a price cannot be expressed.

    Args:
        below: the standard price that a variant changes.
    """
    keys = _keys(price)
    rates: Table = {}
    for key, value in keys.items():
        if key in UNITS:
            name, units = UNITS[key]
            rates[name] = _picos(value, units)
        elif key in SAME:
            if value != keys.get(SAME[key]):
                return None
        elif key not in PARENTS or not _covered(value, keys.get(PARENTS[key], below.get(PARENTS[key]))):
            return None
    times = LONGER_WRITES.get((provider, model))
    if times is not None and "write_5m" in rates:
        rates["write_1h"] = _times(rates["write_5m"], times)
    return rates


def _covered(value: Any, parent: Any) -> bool:
    return isinstance(value, Decimal) and isinstance(parent, Decimal) and value <= parent


def _picos(value: Any, units: int) -> Any:
    """Pico-dollars for one unit, rounded up where the package has noise beyond them."""
    if hasattr(value, "tiers"):
        return [_picos(value.base, units), *([tier.start, _picos(tier.price, units)] for tier in value.tiers)]
    return int((value * PICOS_PER_DOLLAR).scaleb(-_zeros(units)).to_integral_value(rounding=ROUND_CEILING))


def _zeros(units: int) -> int:
    return len(str(units)) - 1


def _times(rate: Any, times: int) -> Any:
    if isinstance(rate, list):
        return [rate[0] * times, *([start, price * times] for start, price in rate[1:])]
    return rate * times


if __name__ == "__main__":  # pragma: no cover
    sys.exit(main(sys.argv[1:]))
