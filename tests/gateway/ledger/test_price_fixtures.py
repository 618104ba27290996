"""What our book and our arithmetic say a usage costs, against the package the book is made from."""

import json
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.content import Document
from gateway.contracts import Call, Dialect, Shape
from gateway.dialects import (
    anthropic_messages,
    gemini_embed,
    gemini_generate,
    openai_chat,
    openai_embeddings,
    openai_images,
    openai_responses,
    openai_transcription,
)
from gateway.ledger.make_prices import NAMES
from gateway.ledger.prices import PriceBook
from gateway.records import PathKind
from gateway.usage import Price, Reading, ServiceTier, Source, Usage, cost

genai_prices = pytest.importorskip("genai_prices")

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
THEIRS = {ours: theirs for theirs, ours in NAMES.items()}


def us(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**6


def their_dollars(
    provider: str, model: str, usage: Any, at: datetime, context: dict[str, str] | None
) -> Decimal:
    from genai_prices.data import providers

    found = next(one for one in providers if one.id == THEIRS.get(provider, provider))
    info = found.find_model(model, all_providers=providers)
    assert info is not None
    total: Decimal = info.calc_price(
        usage, found, genai_request_timestamp=at, price_context=context
    ).total_price
    return total


def nanos(dollars: Decimal) -> int:
    return int((dollars * 10**9).to_integral_value(rounding=ROUND_CEILING))


def their_nanos(
    provider: str, model: str, usage: Any, at: datetime = NOW, context: dict[str, str] | None = None
) -> int:
    return nanos(their_dollars(provider, model, usage, at, context))


def our_price(provider: str, model: str, at: datetime = NOW) -> Price:
    price = PriceBook.bundled().find(provider, model, us(at))
    assert price is not None
    return price


def nothing(model: str) -> Price | None:
    raise AssertionError("no other model was used")


# --- usages in our form -------------------------------------------------------------------------------

TOKENS = [
    ("openai", "gpt-4o-mini", {"input": 1_000, "output": 1_000}),
    ("openai", "gpt-4o-mini-2024-07-18", {"input": 1_131, "cached": 1_024, "output": 7}),
    ("openai", "gpt-4o", {"input": 3, "output": 1}),
    ("openai", "gpt-4o-2024-05-13", {"input": 777, "cached": 512, "output": 33}),
    ("openai", "gpt-4.1-nano", {"input": 1, "output": 0}),
    ("openai", "gpt-4.1", {"input": 900_001, "cached": 128, "output": 32_768}),
    ("openai", "o3", {"input": 1_000, "output": 5_000, "reasoning": 4_900}),
    ("openai", "o1-pro", {"input": 1_000, "cached": 900, "output": 50}),
    ("openai", "gpt-5-nano", {"input": 17, "cached": 16, "output": 13, "reasoning": 13}),
    ("openai", "gpt-5.2-20251211", {"input": 17, "output": 13}),
    ("openai", "gpt-5.4", {"input": 272_000, "cached": 1_000, "output": 10}),
    ("openai", "gpt-5.4", {"input": 272_001, "cached": 1_000, "output": 10}),
    ("openai", "gpt-6-sol", {"input": 5_000, "cached": 2_000, "write_5m": 1_500, "output": 10}),
    ("openai", "gpt-6-sol", {"input": 500_000, "cached": 2_000, "write_5m": 1_500, "output": 10}),
    ("openai", "gpt-audio", {"input": 500, "input_audio": 400, "output": 300, "output_audio": 250}),
    ("openai", "gpt-4o-audio-preview", {"input": 500, "input_audio": 400, "output": 300, "output_audio": 2}),
    (
        "openai",
        "gpt-realtime",
        {"input": 50, "cached": 40, "input_audio": 45, "cached_audio": 38, "output": 9},
    ),
    ("openai", "gpt-image-1.5", {"input": 800, "input_image": 700, "output": 4_160, "output_image": 4_160}),
    ("openai", "gpt-4o-transcribe", {"input": 14, "input_audio": 14, "output": 101}),
    ("openai", "text-embedding-3-small", {"input": 8_191}),
    ("openai", "text-embedding-ada-002", {"input": 1}),
    ("openai", "gpt-5", {"input": 2_000, "output": 900, "searches": 3}),
    ("openai", "gpt-4.1-mini", {"input": 2_000, "output": 900, "tool_units": 2}),
    ("openai", "tts-1-hd", {"characters": 4_096}),
    ("openai", "whisper-1", {"audio_ms": 61_000}),
    ("anthropic", "claude-3-haiku-20240307", {"input": 9, "output": 1}),
    (
        "anthropic",
        "claude-sonnet-4-5-20250929",
        {"input": 3_000, "cached": 2_000, "write_5m": 900, "output": 5},
    ),
    ("anthropic", "claude-sonnet-4-5", {"input": 200_001, "cached": 2_000, "write_1h": 900, "output": 5}),
    ("anthropic", "claude-opus-4-6", {"input": 200_001, "write_5m": 10, "write_1h": 900, "output": 5}),
    ("anthropic", "claude-haiku-5-5", {"input": 100_000, "cached": 99_999, "output": 4_096}),
    ("anthropic", "claude-haiku-5-5", {"input": 100_001, "cached": 99_999, "output": 4_096}),
    ("anthropic", "claude-sonnet-5-5", {"input": 1_591, "output": 211, "reasoning": 90, "searches": 2}),
    ("anthropic", "claude-fable-5-2", {"input": 41, "cached": 40, "output": 1}),
    ("gemini", "gemini-2.5-flash", {"input": 1_000, "cached": 600, "output": 200, "reasoning": 150}),
    ("gemini", "gemini-2.5-flash", {"input": 1_000, "cached": 600, "input_audio": 500, "cached_audio": 300}),
    ("gemini", "gemini-2.5-pro", {"input": 200_000, "cached": 5, "output": 65_536}),
    ("gemini", "gemini-2.5-pro", {"input": 200_001, "cached": 5, "output": 65_536}),
    ("gemini", "gemini-3.1-pro-preview", {"input": 427, "output": 447, "reasoning": 447, "searches": 1}),
    ("gemini", "gemini-3-pro-image-preview", {"input": 20, "output": 1_300, "output_image": 1_120}),
    ("gemini", "gemini-1.5-flash-002", {"input": 128_001, "cached": 128_000, "output": 3}),
    ("gemini", "gemini-embedding-001", {"input": 2_048}),
    ("gemini", "gemini-embedding-2", {"input": 90, "input_audio": 30, "input_image": 20, "input_video": 10}),
    ("gemini", "gemini-3.8-flash", {"input": 1, "cached": 1, "output": 1}),
    ("groq", "llama-3.3-70b-versatile", {"input": 41, "output": 3}),
    ("groq", "openai/gpt-oss-120b", {"input": 1_131, "cached": 1_024, "output": 77, "reasoning": 50}),
    ("groq", "whisper-large-v3-turbo", {"audio_ms": 3_000}),
    ("groq", "whisper-large-v3", {"audio_ms": 36_000}),
    ("groq", "canopylabs/orpheus-v1-english", {"characters": 151}),
    ("deepseek", "deepseek-chat", {"input": 5_000, "cached": 4_096, "output": 77}),
    ("mistral", "mistral-large-2512", {"input": 5_000, "output": 77}),
    ("x-ai", "grok-4.3", {"input": 300_000, "cached": 4_096, "output": 77}),
    ("perplexity", "sonar", {"input": 12, "output": 345}),
]

THEIR_NAMES = {
    "input": "input_tokens",
    "cached": "cache_read_tokens",
    "input_audio": "input_audio_tokens",
    "cached_audio": "cache_audio_read_tokens",
    "input_image": "input_image_tokens",
    "input_video": "input_video_tokens",
    "output": "output_tokens",
    "reasoning": "output_reasoning_tokens",
    "output_audio": "output_audio_tokens",
    "output_image": "output_image_tokens",
    "searches": "web_searches",
    "tool_units": "storage_searches",
    "characters": "input_characters",
}


def their_usage(usage: Usage) -> Any:
    numbers: dict[str, Any] = {name: getattr(usage, ours) for ours, name in THEIR_NAMES.items()}
    numbers["cache_write_tokens"] = usage.write_5m + usage.write_1h
    numbers["cache_write_1h_tokens"] = usage.write_1h
    numbers["cache_image_read_tokens"] = 0
    seconds = Decimal(usage.audio_ms) / 1000
    numbers |= {"audio_seconds": seconds, "input_audio_seconds": seconds}
    return genai_prices.Usage(**numbers)


@pytest.mark.parametrize(("provider", "model", "numbers"), TOKENS)
def test_a_usage_costs_to_the_nano_dollar_what_the_package_says(
    provider: str, model: str, numbers: dict[str, int]
) -> None:
    usage = Usage(**numbers)
    ours = cost(Reading(usage=usage, source=Source.REPORTED), our_price(provider, model), nothing)
    assert ours == their_nanos(provider, model, their_usage(usage))


@pytest.mark.parametrize(
    ("provider", "model", "tier", "context"),
    [
        ("openai", "gpt-5.4", ServiceTier.FLEX, {"service_tier": "flex"}),
        ("openai", "gpt-5.5", ServiceTier.PRIORITY, {"service_tier": "priority"}),
        ("openai", "gpt-6-sol", ServiceTier.BATCH, {"processing": "batch"}),
        ("openai", "gpt-4.1", ServiceTier.BATCH, {"processing": "batch"}),
        ("anthropic", "claude-haiku-5-5", ServiceTier.BATCH, {"processing": "batch"}),
        ("anthropic", "claude-opus-5-5", ServiceTier.STANDARD, {"speed": "fast"}),
        ("gemini", "gemini-2.5-flash", ServiceTier.BATCH, {"processing": "batch"}),
        ("groq", "openai/gpt-oss-20b", ServiceTier.BATCH, {"processing": "batch"}),
    ],
)
def test_a_service_tier_costs_what_the_package_says(
    provider: str, model: str, tier: ServiceTier, context: dict[str, str]
) -> None:
    for size in (1_000, 300_000):
        usage = Usage(input=size, cached=size // 3, output=777)
        reading = Reading(usage=usage, source=Source.REPORTED, tier=tier, fast=context.get("speed") == "fast")
        ours = cost(reading, our_price(provider, model), nothing)
        assert ours == their_nanos(provider, model, their_usage(usage), NOW, context)


@pytest.mark.parametrize(
    ("model", "at"),
    [
        (model, datetime.fromisoformat(text))
        for model in ("deepseek-chat", "deepseek-v4-flash", "deepseek-reasoner")
        for text in (
            "2025-06-01T00:29:59+00:00", "2025-06-01T00:30:00+00:00", "2025-06-01T16:30:00+00:00",
            "2026-08-16T23:59:59+00:00", "2026-08-17T00:00:00+00:00", "2026-09-10T03:59:59+00:00",
            "2026-11-20T04:00:00+00:00", "2026-11-20T09:00:00+00:00",
        )
    ],
)  # fmt: skip
def test_a_price_that_changes_with_date_and_hour_is_the_packages(model: str, at: datetime) -> None:
    usage = Usage(input=10_000, cached=5_000, output=2_000)
    ours = cost(Reading(usage=usage, source=Source.REPORTED), our_price("deepseek", model, at), nothing)
    assert ours == their_nanos("deepseek", model, their_usage(usage), at)


def test_every_model_of_the_first_providers_costs_what_the_package_says() -> None:
    from genai_prices.data import providers

    usage = Usage(input=250_000, cached=100_000, write_5m=1_000, write_1h=500, output=3_000, reasoning=1_000)
    compared = 0
    for provider in ("openai", "anthropic", "gemini", "groq"):
        for model in PriceBook.bundled().models(provider):
            price = our_price(provider, model)
            found = next(one for one in providers if one.id == THEIRS.get(provider, provider)).find_model(
                model
            )
            standard = price.standard.base
            longer_is_ours = standard.write_1h is not None and provider == "openai"
            if found is None or found.prices == [] or standard.input is None or longer_is_ours:
                continue
            ours = cost(Reading(usage=usage, source=Source.REPORTED), price, nothing)
            if ours is not None and ours > 0:
                assert ours == their_nanos(provider, model, their_usage(usage)), model
                compared += 1
    assert compared > 200


# --- answers as they come over the wire ------------------------------------------------------------------

DATA = Path(__file__).parents[2] / "data" / "usage"

DIALECTS: dict[str, tuple[Dialect, PathKind]] = {
    "openai_chat": (openai_chat, PathKind.CHAT),
    "openai_responses": (openai_responses, PathKind.RESPONSES),
    "openai_embeddings": (openai_embeddings, PathKind.EMBEDDINGS),
    "openai_images": (openai_images, PathKind.IMAGES),
    "openai_transcription": (openai_transcription, PathKind.TRANSCRIPTION),
    "anthropic_messages": (anthropic_messages, PathKind.MESSAGES),
    "gemini_generate": (gemini_generate, PathKind.GENERATE),
    "gemini_embed": (gemini_embed, PathKind.EMBEDDINGS),
}

FLAVOURS = {
    "openai_responses": "responses",
    "openai_embeddings": "embeddings",
    "openai_images": "images",
}


def cases() -> list[Any]:
    found = []
    for file in sorted(DATA.glob("*.json")):
        for case in json.loads(file.read_text()):
            found.append(pytest.param(case, id=f"{file.stem}: {case['name']}"))
    return found


def wire(case: dict[str, Any]) -> bytes:
    """The answer's bytes: a JSON body, or server-sent events in the dialect's own dress."""
    if "answer" in case:
        return json.dumps(case["answer"], indent=case.get("indent")).encode()
    ends = "\r\n\r\n" if case["dialect"].startswith("gemini") else "\n\n"
    lines = []
    for event in case["events"]:
        name = event.get("type") if case["dialect"] in ("anthropic_messages", "openai_responses") else None
        lines.append((f"event: {name}\n" if name else "") + f"data: {json.dumps(event)}{ends}")
    if case["dialect"] == "openai_chat":
        lines.append("data: [DONE]\n\n")
    return "".join(lines).encode()


def metered(case: dict[str, Any], step: int) -> Reading:
    dialect, kind = DIALECTS[case["dialect"]]
    call = Call(
        dialect=dialect.NAME,
        kind=kind,
        model=case["model"],
        stream="events" in case,
        body=Document({"model": case["model"]}, 2),
        query=(("alt", "sse"),) if case["dialect"].startswith("gemini") else (),
        verb=case.get("verb", ""),
        shape=Shape(inputs=1),
    )
    meter = dialect.meter(call)
    data = wire(case)
    for start in range(0, len(data), step):
        meter.feed(data[start : start + step])
    assert meter.complete
    return meter.finish()


def reported(case: dict[str, Any]) -> dict[str, Any]:
    """The object that the package's extractor reads: an answer, or what a stream comes to."""
    if "answer" in case:
        answer: dict[str, Any] = case["answer"]
        if "usage" not in answer and "x_groq" in answer:
            return {**answer, "usage": answer["x_groq"]["usage"]}
        return answer
    events: list[dict[str, Any]] = case["events"]
    if case["dialect"] == "anthropic_messages":
        start = next(event["message"] for event in events if event["type"] == "message_start")
        usage = dict(start["usage"])
        for event in events:
            usage |= event.get("usage", {}) if event["type"] == "message_delta" else {}
        return {"model": start["model"], "usage": usage}
    if case["dialect"] == "openai_responses":
        final: dict[str, Any] = events[-1]["response"]
        return final
    if case["dialect"] == "gemini_generate":
        return events[-1]
    last = next(event for event in reversed(events) if event.get("usage") or "x_groq" in event)
    return {"model": last["model"], "usage": last.get("usage") or last["x_groq"]["usage"]}


@pytest.mark.parametrize("case", cases())
def test_an_answer_on_the_wire_costs_what_the_package_says(case: dict[str, Any]) -> None:
    from genai_prices.data import providers

    reading = metered(case, 10**6)
    assert metered(case, 7) == reading
    provider, at = case["provider"], datetime.fromisoformat(case.get("at", NOW.isoformat()))
    price = our_price(provider, case["model"], at)

    def aside(model: str) -> Price | None:
        return PriceBook.bundled().find(provider, model, us(at))

    ours = cost(reading, price, aside)
    theirs = case.get("nanos")
    if theirs is None:
        found = next(one for one in providers if one.id == THEIRS.get(provider, provider))
        flavour = FLAVOURS.get(case["dialect"], "chat" if provider == "openai" else "default")
        _, usage = found.extract_usage(reported(case), api_flavor=flavour)
        if provider == "gemini" and reading.usage.searches:
            usage.web_searches = reading.usage.searches  # their extractor does not look for these
        if "tools" in case:
            usage += genai_prices.Usage(**case["tools"])
        dollars = their_dollars(provider, case["model"], usage, at, case.get("context"))
        for model, numbers in case.get("asides", ()):
            dollars += their_dollars(provider, model, genai_prices.Usage(**numbers), at, None)
        theirs = nanos(dollars)
    assert ours == theirs


def test_there_are_at_least_forty_answers() -> None:
    assert len(cases()) >= 40
