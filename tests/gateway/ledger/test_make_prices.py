"""The script that turns the package's data into our file."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.ledger import make_prices, prices
from gateway.ledger.prices import PriceBook

pytest.importorskip("genai_prices")

from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

DAY = date(2026, 11, 20)
NOW = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp()) * 10**6


def model(name: str, prices: Any, **more: Any) -> ModelInfo:
    return ModelInfo(id=name, match=ClauseEquals(name), prices=prices, **more)


def made(*models: ModelInfo, provider: str = "someone") -> dict[str, Any]:
    source = Provider(id=provider, name="Someone", api_pattern="", models=list(models))
    book: dict[str, Any] = make_prices.make([source], DAY, "9")
    return book


def only(*models: ModelInfo, provider: str = "someone") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made(*models, provider=provider)["providers"][provider]["models"]
    return found


def test_the_file_in_the_project_is_what_the_script_writes(tmp_path: Path) -> None:
    bundled = orjson.loads(prices.FILE.read_bytes())
    file = tmp_path / "prices.json"
    assert make_prices.main(["--output", str(file), "--date", bundled["date"]]) == 0
    if orjson.loads(file.read_bytes())["from"] == bundled["from"]:
        assert file.read_bytes() == prices.FILE.read_bytes()
    assert PriceBook.parse(file.read_bytes()).models("openai")


def test_rules_keep_their_meaning() -> None:
    rule = ClauseOr(
        [
            ClauseEquals("GPT-4"),
            ClauseAnd([ClauseStartsWith("GPT"), ClauseEndsWith("-X"), ClauseContains("Y")]),
            ClauseRegex("^o[13]"),
        ]
    )
    assert make_prices.clause(rule) == ["any", "=GPT-4", ["all", "^gpt", "$-x", "~y"], "/^o[13]"]
    assert make_prices.clause(ClauseOr([ClauseEquals("a")])) == "=a"


def test_units_become_pico_dollars_for_one() -> None:
    price = ModelPrice(
        input_mtok=Decimal("0.15"), web_searches_kcount=Decimal(10), audio_hours=Decimal("0.36"),
        input_audio_hours=Decimal("0.36"), input_mchars=Decimal(15),
    )  # fmt: skip
    (found,) = only(model("m", price))
    assert found["entries"] == [
        {"rates": {"input": 150_000, "search": 10**10, "audio_hour": 36 * 10**10, "character": 15 * 10**6}}
    ]


def test_noise_below_a_pico_dollar_is_rounded_upwards() -> None:
    (found,) = only(model("m", ModelPrice(input_mtok=Decimal("0.0833333333333333"))))
    assert found["entries"][0]["rates"] == {"input": 83_334}


def test_tiers_and_dates_are_kept() -> None:
    tiers = TieredPrices(base=Decimal(1), tiers=[Tier(start=200, price=Decimal(2))])
    when = [
        ConditionalPrice(prices=ModelPrice(input_mtok=tiers)),
        ConditionalPrice(StartDateConstraint(date(2026, 1, 2)), prices=ModelPrice(input_mtok=Decimal(3))),
        ConditionalPrice(
            TimeOfDateConstraint(time(1, 30, tzinfo=UTC), time(4, tzinfo=UTC)),
            prices=ModelPrice(input_mtok=Decimal(4)),
        ),
    ]
    (found,) = only(model("m", when))
    assert found["entries"] == [
        {"rates": {"input": [1_000_000, [200, 2_000_000]]}},
        {"from": "2026-01-02", "rates": {"input": 3_000_000}},
        {"minutes": [90, 240], "rates": {"input": 4_000_000}},
    ]


@pytest.mark.parametrize(
    "price",
    [
        ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(1), output_video_mtok=Decimal(2)),
        ModelPrice(output_video_mtok=Decimal(2)),
        ModelPrice(audio_hours=Decimal(1), input_audio_hours=Decimal(2)),
        ModelPrice(input_document_kpages=Decimal(1)),
        ModelPrice(),
    ],
)
def test_what_cannot_be_expressed_is_left_out(price: ModelPrice) -> None:
    other = model("other", ModelPrice(input_mtok=Decimal(1)))
    found = only(model("m", price), other)
    assert found[0] == {"id": "m", "match": "=m"}
    book = PriceBook.parse(orjson.dumps(made(model("m", price), other)))
    assert book.find("someone", "m", NOW) is None


def test_a_class_that_costs_no_more_than_its_parent_is_billed_as_its_parent() -> None:
    price = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(3), output_citation_mtok=Decimal(2))
    (found,) = only(model("m", price))
    assert found["entries"][0]["rates"] == {"input": 1_000_000, "output": 3_000_000}


def test_a_provider_without_any_price_is_left_out() -> None:
    assert "someone" not in made(model("m", ModelPrice()))["providers"]


def test_variants_become_modes_and_unknown_ones_are_left_out() -> None:
    half = ModelPrice(input_mtok=Decimal(1))
    variants = [
        PriceVariant(when={"processing": "batch"}, prices=half, constraint=StartDateConstraint(DAY)),
        PriceVariant(when={"speed": "fast"}, prices=ModelPrice(input_mtok=Decimal(9))),
        PriceVariant(when={"moon": "full"}, prices=half),
        PriceVariant(when={"processing": "batch", "speed": "fast"}, prices=half),
        PriceVariant(when={"service_tier": "flex"}, prices=ModelPrice(input_document_kpages=Decimal(1))),
    ]
    (found,) = only(model("m", ModelPrice(input_mtok=Decimal(2)), price_variants=variants))
    assert found["modes"] == [
        {"mode": "batch", "from": "2026-11-20", "rates": {"input": 1_000_000}},
        {"mode": "fast", "rates": {"input": 9_000_000}},
    ]


def test_modes_that_are_told_in_words_become_factors() -> None:
    comment = "Batch and Flex tiers offer 50% discount, Priority tier is 1.8x."
    found = made(
        model("gemini-x", ModelPrice(input_mtok=Decimal(2)), price_comments=comment),
        model("claude-x", ModelPrice(input_mtok=Decimal(2))),
        provider="google",
    )["providers"]["gemini"]["models"]
    assert [one["id"] for one in found] == ["gemini-x"]
    assert [one["mode"] for one in found[0]["modes"]] == ["flex", "batch", "priority"]
    assert found[0]["modes"][2]["factors"]["input"] == [9, 5]


def test_what_the_package_does_not_say_comes_from_the_tables() -> None:
    price = ModelPrice(input_mtok=Decimal(1), cache_write_mtok=Decimal(2), output_mtok=Decimal(3))
    (found,) = only(model("gpt-6.1-terra", price), provider="openai")
    assert found["entries"][0]["rates"]["write_1h"] == 4_000_000
    assert found["output"] == 128_000
    tiers = TieredPrices(base=Decimal(1), tiers=[Tier(start=200, price=Decimal(2))])
    (long,) = only(model("gpt-6.1-terra", ModelPrice(cache_write_mtok=tiers)), provider="openai")
    assert long["entries"][0]["rates"]["write_1h"] == [2_000_000, [200, 4_000_000]]
    (opus,) = only(model("claude-opus-7", price, context_window=5), provider="anthropic")
    assert (opus["regional"], opus["context"]) == ([11, 10], 5)
    (groq,) = only(model("llama", price), provider="groq")
    assert groq["modes"] == [{"mode": "flex", "rates": {}}]
    (free,) = only(model("moderation", ModelPrice()), provider="openai")
    assert free["entries"] == [{"rates": {"input": 0, "output": 0}}]


def test_names_are_found_without_their_provider_only_at_the_first_ones() -> None:
    source = Provider(
        id="azure", name="Azure", api_pattern="", model_match=ClauseContains("gpt"),
        fallback_model_providers=["google", "openai"], models=[model("m", ModelPrice(input_mtok=Decimal(1)))],
    )  # fmt: skip
    table = make_prices.make([source], DAY, "9")["providers"]["azure"]
    assert table["home"] is False
    assert table["fallback"] == ["gemini", "openai"]
    assert "family" not in table
