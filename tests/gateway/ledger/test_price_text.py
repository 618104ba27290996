"""Prices as an operator writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.price_text import KEYS, price_from_config
from gateway.usage import MOST_PICOS, Factor, Reading, ServiceTier, Source, Usage, cost


def test_dollars_per_million_tokens_become_pico_dollars_per_token() -> None:
    price = price_from_config({"input": "0.15", "output": "0.60", "cached_input": "0.075"})
    assert price.input_rate == 150_000
    assert price.output_rate == 600_000
    assert price.standard.base.cached == 75_000
    assert price.version.startswith("operator-")


def test_every_class_can_be_priced() -> None:
    price = price_from_config(
        {
            "input": "1", "cached_input": "2", "cache_write": "3", "cache_write_1h": "4", "input_audio": "5",
            "cached_audio": "6", "input_image": "7", "cached_image": "8", "input_video": "9", "output": "10",
            "reasoning": "11", "output_audio": "12", "output_image": "13", "million_characters": "15",
            "audio_hour": "0.36", "thousand_searches": "10", "thousand_tool_uses": "2.50", "image": "0.04",
            "request": "0.005",
        }
    )  # fmt: skip
    base = price.standard.base
    assert (base.write_5m, base.write_1h, base.input_video) == (3_000_000, 4_000_000, 9_000_000)
    assert (base.character, base.audio_hour) == (15_000_000, 36 * 10**10)
    assert (base.search, base.tool_unit) == (10**10, 25 * 10**8)
    assert (base.image, base.request) == (4 * 10**10, 5 * 10**9)


def test_long_calls_may_have_their_own_prices() -> None:
    price = price_from_config(
        {"input": "1", "output": "2", "long_above": "200000", "long_input": "3", "image": "1"}
    )
    assert [(bound, one.input, one.output, one.image) for bound, one in price.standard.steps] == [
        (200_000, 3_000_000, 2_000_000, 10**12)
    ]
    assert price_from_config({"input": "1", "long_above": 7, "long_input": "3"}).standard.steps[0][0] == 7


def test_modes_are_factors_on_tokens() -> None:
    price = price_from_config(
        {"input": "1", "output": "2", "batch": "0.5", "priority": "1.8", "regional": "1.10", "request": "1"}
    )
    assert price.flex is None
    assert price.fast is None
    assert price.regional == Factor(over=110, under=100)
    reading = Reading(usage=Usage(input=1_000), source=Source.REPORTED, tier=ServiceTier.BATCH, regional=True)
    assert cost(reading, price, lambda _: None) == 550_000 + 10**9


def test_the_same_table_has_the_same_version() -> None:
    one = price_from_config({"input": "1", "output": "2"})
    assert one == price_from_config({"output": "2", "input": "1"})
    assert one.version != price_from_config({"input": "1", "output": "3"}).version


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"input": 0.15}, "price.input: must be text"),
        ({"input": 1}, "price.input: must be text"),
        ({"input": None}, "price.input: must be text"),
        ({"input": True}, "price.input: must be text"),
        ({"input": ""}, "price.input: must be a decimal"),
        ({"input": "1e-3"}, "price.input: must be a decimal"),
        ({"input": "-1"}, "price.input: must be a decimal"),
        ({"input": "1,5"}, "price.input: must be a decimal"),
        ({"input": "$1"}, "price.input: must be a decimal"),
        ({"input": "NaN"}, "price.input: must be a decimal"),
        ({"input": " 1"}, "price.input: must be a decimal"),
        ({"input": "1\n"}, "price.input: must be a decimal"),
        ({"input": "\u0661"}, "price.input: must be a decimal"),
        ({"input": "0.0000001"}, "price.input: has more than 6 digits"),
        ({"thousand_searches": "0.0000000001"}, "price.thousand_searches: has more than 9 digits"),
        ({"audio_hour": "999999999"}, "price.audio_hour: is too large"),
        ({"inputs": "1"}, "price.inputs: no such key"),
        ({}, "price: states no price"),
        ({"batch": "0.5"}, "price: states no price"),
        ({"input": "1", "batch": "0"}, "price.batch: must be above 0"),
        ({"input": "1", "batch": 2}, "price.batch: must be text"),
        ({"input": "1", "long_input": "2"}, "price.long_above: is missing"),
        ({"input": "1", "long_above": "5"}, "price.long_above: needs prices"),
        ({"input": "1", "long_above": "x", "long_input": "2"}, "price.long_above: must be a number"),
        ({"input": "1", "long_above": -1, "long_input": "2"}, "price.long_above: must be a number"),
        ({"input": "1", "long_above": True, "long_input": "2"}, "price.long_above: must be a number"),
        ({"input": "1", "long_above": 10**9, "long_input": "2"}, "price.long_above: must be a number"),
    ],
)
def test_a_wrong_table_names_its_key(table: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        price_from_config(table)


def test_an_error_never_shows_the_value() -> None:
    with pytest.raises(ValueError) as caught:
        price_from_config({"input": "sk-secret"})
    assert "sk-secret" not in str(caught.value)


def test_trailing_zeros_are_no_further_digits() -> None:
    assert price_from_config({"input": "0.1500000000"}).input_rate == 150_000


@given(st.integers(0, 10**8), st.integers(0, 999_999))
def test_a_price_is_read_exactly(whole: int, part: int) -> None:
    rate = whole * 10**6 + part
    if rate < MOST_PICOS:
        assert price_from_config({"input": f"{whole}.{part:06}"}).input_rate == rate


def test_keys_are_told_once() -> None:
    assert len(KEYS) == len(set(KEYS))
