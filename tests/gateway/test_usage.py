"""Usage and cost: parts add up, money is exact, and an unknown price is never nothing."""

import ast
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway
from gateway.names import Slug
from gateway.usage import (
    LIMIT,
    MOST_PICOS,
    NOTHING,
    RATES,
    Aside,
    Factor,
    Price,
    Rates,
    Reading,
    Scheme,
    ServiceTier,
    Source,
    Usage,
    cost,
)

VERSION = Slug("v1")
PLAIN = Rates(input=2_500_000, cached=1_250_000, output=10_000_000)


def price_of(rates: Rates, **more: object) -> Price:
    return Price(version=VERSION, standard=Scheme(base=rates), **more)  # type: ignore[arg-type]


def read(price: Price | None = None, **numbers: int) -> Reading:
    return Reading(usage=Usage(**numbers), source=Source.REPORTED)


def no_aside(model: str) -> Price | None:
    return None


def bill(rates: Rates, **numbers: int) -> int | None:
    return cost(read(**numbers), price_of(rates), no_aside)


# --- usage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1, LIMIT, 10**18, True, None, "7", b"7"])
def test_a_count_is_a_whole_number_within_reason(value: object) -> None:
    with pytest.raises(ValueError, match="output is no count"):
        Usage(output=value)  # type: ignore[arg-type]


def test_parts_cannot_exceed_their_whole() -> None:
    with pytest.raises(ValueError, match="exceed input"):
        Usage(input=10, cached=5, write_5m=3, write_1h=3)
    with pytest.raises(ValueError, match="exceed output"):
        Usage(output=1, reasoning=2)


# --- rates, factors, schemes ----------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1, MOST_PICOS, True, "1"])
def test_a_rate_is_a_whole_number_within_reason(value: object) -> None:
    with pytest.raises(ValueError, match="input is no price"):
        Rates(input=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(("over", "under"), [(0, 1), (1, 0), (-1, 1), (True, 1), (1, "1")])
def test_a_factor_is_above_nothing(over: object, under: object) -> None:
    with pytest.raises(ValueError, match="not a factor"):
        Factor(over=over, under=under)  # type: ignore[arg-type]


@pytest.mark.parametrize("bounds", [(2, 1), (1, 1), (-1,), ("1",)])
def test_steps_must_rise(bounds: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not rise"):
        Scheme(base=PLAIN, steps=tuple((bound, PLAIN) for bound in bounds))


def test_a_step_holds_for_all_tokens_of_a_call_above_its_bound() -> None:
    long, longer = replace(PLAIN, input=5_000_000), replace(PLAIN, input=6_000_000)
    scheme = Scheme(base=PLAIN, steps=((200, long), (300, longer)))
    price = Price(version=VERSION, standard=scheme)
    assert [scheme.at(size) for size in (0, 200, 201, 300, 301)] == [PLAIN, PLAIN, long, long, longer]
    for size, rate in ((200, 2_500), (201, 5_000), (300, 5_000), (301, 6_000)):
        assert cost(read(input=size), price, no_aside) == size * rate
        assert cost(read(input=size, searches=0, input_audio=1), price, no_aside) == size * rate


def test_a_price_tells_its_plain_rates() -> None:
    assert price_of(PLAIN).input_rate == 2_500_000
    assert price_of(PLAIN).output_rate == 10_000_000
    assert price_of(Rates(image=1)).input_rate is None
    assert price_of(Rates(input=0)).input_rate == 0
    assert price_of(Rates(input=0)).output_rate is None


# --- what has no price ------------------------------------------------------------------------------

UNITS = {"searches": "search", "tool_units": "tool_unit", "characters": "character", "images": "image"}


@pytest.mark.parametrize("unit", [*UNITS, "audio_ms"])
def test_a_unit_that_has_no_price_leaves_the_cost_unknown(unit: str) -> None:
    assert bill(PLAIN, **{unit: 1}) is None


@pytest.mark.parametrize(("unit", "rate"), UNITS.items())
def test_a_unit_that_has_a_price_is_billed(unit: str, rate: str) -> None:
    assert bill(Rates(**{rate: 7_000}), **{unit: 3}) == 21


@pytest.mark.parametrize("unit", ["characters", "audio_ms", "images"])
def test_a_second_measure_of_reported_tokens_needs_no_price(unit: str) -> None:
    assert bill(PLAIN, input=1_000, **{unit: 5}) == 2_500_000


@pytest.mark.parametrize("unit", ["searches", "tool_units"])
def test_tools_are_never_covered_by_tokens(unit: str) -> None:
    assert bill(PLAIN, input=1_000, **{unit: 5}) is None


def test_tokens_that_have_no_price_leave_the_cost_unknown() -> None:
    assert bill(Rates(output=1), input=1) is None
    assert bill(Rates(input=1), output=1) is None
    assert bill(Rates(input=1_000), input=1) == 1
    assert bill(Rates(output=1_000), output=1) == 1


@pytest.mark.parametrize(
    "tier", [ServiceTier.UNKNOWN, ServiceTier.BATCH, ServiceTier.FLEX, ServiceTier.PRIORITY]
)
def test_a_tier_that_has_no_price_leaves_the_cost_unknown(tier: ServiceTier) -> None:
    assert cost(replace(read(input=1), tier=tier), price_of(PLAIN), no_aside) is None


def test_a_surcharge_that_is_not_known_leaves_the_cost_unknown() -> None:
    assert cost(replace(read(input=1), regional=True), price_of(PLAIN), no_aside) is None
    assert cost(replace(read(input=1), fast=True), price_of(PLAIN), no_aside) is None


def test_another_model_that_has_no_price_leaves_the_cost_unknown() -> None:
    aside = Aside(model="other", usage=Usage(input=1))
    reading = replace(read(input=1), asides=(aside,))
    assert cost(reading, price_of(PLAIN), no_aside) is None
    assert cost(reading, price_of(PLAIN), lambda _: price_of(Rates(output=1))) is None


# --- what is billed how ---------------------------------------------------------------------------


def test_each_class_of_tokens_falls_back_to_the_class_it_is_part_of() -> None:
    flat = Rates(input=1_000, output=1_000)
    assert bill(flat, input=100, cached=50, write_5m=10, write_1h=10, output=0) == 100
    assert (
        bill(flat, input=100, input_audio=50, cached_audio=20, cached=20, input_image=30, input_video=20)
        == 100
    )
    assert bill(flat, output=100, reasoning=50, output_audio=20, output_image=20) == 100
    written = replace(flat, write_5m=2_000)
    assert bill(written, input=10, write_5m=1, write_1h=1) == 12
    assert bill(replace(written, write_1h=5_000), input=10, write_5m=1, write_1h=1) == 15


def test_sound_and_pictures_have_their_own_prices() -> None:
    rates = Rates(
        input=1_000, cached=500, input_audio=8_000, cached_audio=4_000, input_image=3_000,
        cached_image=1_500, input_video=2_000, output=1_000, reasoning=6_000, output_audio=9_000,
        output_image=7_000,
    )  # fmt: skip
    assert bill(rates, input=10, input_audio=4, input_image=2, input_video=1) == 4 * 8 + 2 * 3 + 2 + 3 * 1
    assert bill(rates, input=10, cached=5, input_audio=4, cached_audio=3) == 3 * 4 + 2 // 2 + 1 * 8 + 4 * 1
    assert bill(rates, output=20, reasoning=4, output_audio=3, output_image=2) == 4 * 6 + 27 + 14 + 11


def test_sound_that_was_cached_falls_back_to_the_price_of_sound() -> None:
    rates = Rates(input=1_000, cached=500, input_audio=8_000)
    assert bill(rates, input=4, cached=2, input_audio=2, cached_audio=2) == 16 + 2
    assert bill(Rates(input=1_000, cached_audio=3_000), input=4, cached=2, input_audio=3, cached_audio=2) == 8


def test_a_split_by_kind_that_does_not_say_what_was_cached_is_billed_as_cached() -> None:
    rates = Rates(input=1_000, cached=500, input_audio=8_000, cached_audio=4_000, input_image=3_000,
                  cached_image=1_500)  # fmt: skip
    assert bill(rates, input=10, cached=9, input_image=10) == 9 * 3 // 2 + 3 + 1
    assert bill(rates, input=10, cached=9, input_audio=10) == 9 * 4 + 8
    assert bill(rates, input=1, cached=1, input_audio=9, input_image=9) is not None


def test_numbers_that_contradict_each_other_never_make_a_negative_cost() -> None:
    rates = Rates(input=1_000, cached=500, input_audio=8_000, output=1_000, output_audio=2_000, reasoning=1)
    assert bill(rates, input=1, input_audio=100) == 800
    assert bill(rates, output=1, output_audio=100) == 200


def test_sound_is_billed_by_the_hour_and_not_below_the_least() -> None:
    rates = Rates(audio_hour=111 * 10**9)
    assert bill(rates, audio_ms=3_600_000) == 111 * 10**6
    assert bill(rates, audio_ms=1) == 31  # 30.83 nano-dollars, rounded up
    price = price_of(rates, least_audio_ms=10_000)
    assert cost(read(audio_ms=1), price, no_aside) == 308_334
    assert cost(read(audio_ms=0), price, no_aside) == 0


def test_modes_have_their_own_rates_and_factors() -> None:
    half, more = Factor(over=1, under=2), Scheme(base=replace(PLAIN, input=9_000_000))
    price = price_of(
        PLAIN, batch=Scheme(base=PLAIN, factor=half), priority=more, regional=Factor(over=11, under=10)
    )
    used = read(input=3, output=1)
    standard = 3 * 2_500 + 10_000
    assert cost(used, price, no_aside) == standard
    assert cost(replace(used, tier=ServiceTier.BATCH), price, no_aside) == standard // 2
    assert cost(replace(used, tier=ServiceTier.PRIORITY), price, no_aside) == 3 * 9_000 + 10_000
    assert cost(replace(used, regional=True), price, no_aside) == standard * 11 // 10
    both = replace(used, tier=ServiceTier.BATCH, regional=True)
    assert cost(both, price, no_aside) == standard * 11 // 20


def test_a_fast_mode_is_not_mixed_with_another_tier() -> None:
    fast = Scheme(base=replace(PLAIN, input=9_000_000))
    price = price_of(PLAIN, fast=fast)
    assert price.scheme(ServiceTier.STANDARD, fast=True) is fast
    assert price.scheme(ServiceTier.BATCH, fast=True) is None
    named_twice = price_of(PLAIN, fast=fast, priority=fast)
    assert named_twice.scheme(ServiceTier.PRIORITY, fast=True) is fast


def test_a_surcharge_does_not_touch_searches() -> None:
    rates = replace(PLAIN, search=10**10)
    price = price_of(rates, regional=Factor(over=11, under=10))
    reading = replace(read(input=1_000, searches=1), regional=True)
    assert cost(reading, price, no_aside) == 2_500_000 * 11 // 10 + 10**7


def test_other_models_are_billed_at_their_own_price_and_rounded_once() -> None:
    cheap = price_of(Rates(input=1))
    reading = Reading(
        usage=Usage(input=400),
        source=Source.REPORTED,
        asides=(Aside(model="a", usage=Usage(input=300)), Aside(model="b", usage=Usage(input=301))),
    )
    assert cost(reading, cheap, lambda _: cheap) == 2


def test_a_fee_for_each_request_is_billed_once_and_only_if_the_provider_was_reached() -> None:
    price = price_of(replace(PLAIN, request=5_000_000))
    aside = Aside(model="a", usage=Usage(input=1))
    assert cost(read(), price, no_aside) == 5_000
    assert cost(replace(read(), asides=(aside,)), price, lambda _: price) == 5_000 + 2_500
    assert cost(Reading(), price, no_aside) == 0
    assert cost(Reading(), price_of(PLAIN), no_aside) == 0


def test_rounding_is_upwards_and_happens_once() -> None:
    assert bill(Rates(input=1, output=1), input=1, output=1) == 1
    assert bill(Rates(input=1, output=1), input=500, output=500) == 1
    assert bill(Rates(input=1, output=1), input=500, output=501) == 2
    assert bill(Rates(input=1), input=1) == 1


def test_numbers_beyond_64_bits_stay_exact() -> None:
    rates = Rates(**dict.fromkeys(RATES, MOST_PICOS - 1))
    numbers = dict.fromkeys(("input", "output", "searches", "tool_units", "characters", "images"), LIMIT - 1)
    expected = (LIMIT - 1) * (MOST_PICOS - 1) * 6 + MOST_PICOS - 1
    assert bill(rates, **numbers) == -(-expected // 1000)
    assert expected > 2**96


# --- properties --------------------------------------------------------------------------------------

counts = st.integers(0, 10**7) | st.integers(0, LIMIT // 10)
picos = st.none() | st.integers(0, 10**9)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    cached, short, long, plain = (draw(counts) for _ in range(4))
    reasoning, spoken, written = (draw(counts) for _ in range(3))
    return Usage(
        input=cached + short + long + plain, cached=cached, write_5m=short, write_1h=long,
        input_audio=draw(st.integers(0, plain)), output=reasoning + spoken + written,
        reasoning=reasoning, output_audio=spoken,
        searches=draw(st.integers(0, 9)), audio_ms=draw(st.integers(0, 10**8)),
    )  # fmt: skip


rate_tables = st.builds(Rates, **{name: picos for name in RATES if name != "request"})
full_tables = st.builds(Rates, **{name: st.integers(0, 10**9) for name in RATES})


def exactly(usage: Usage, rates: Rates) -> int:
    """The definition, in fractions: each token at the price of its class."""
    plain = usage.input - usage.cached - usage.write_5m - usage.write_1h - usage.input_audio
    total = Fraction(0)
    for count, rate in (
        (plain, rates.input), (usage.cached, rates.cached), (usage.write_5m, rates.write_5m),
        (usage.write_1h, rates.write_1h), (usage.input_audio, rates.input_audio),
        (usage.output - usage.reasoning - usage.output_audio, rates.output),
        (usage.reasoning, rates.reasoning), (usage.output_audio, rates.output_audio),
        (usage.searches, rates.search), (1, rates.request),
    ):  # fmt: skip
        assert rate is not None
        total += count * rate
    assert rates.audio_hour is not None
    total += Fraction(usage.audio_ms * rates.audio_hour, 3_600_000)
    return -(-total.numerator // (total.denominator * 1000))


@given(usages(), full_tables)
def test_the_cost_is_the_sum_of_its_parts(usage: Usage, rates: Rates) -> None:
    assert cost(Reading(usage=usage, source=Source.REPORTED), price_of(rates), no_aside) == exactly(
        usage, rates
    )


@given(usages(), rate_tables)
def test_a_cost_is_never_negative_and_always_an_integer(usage: Usage, rates: Rates) -> None:
    found = cost(Reading(usage=usage, source=Source.REPORTED), price_of(rates), no_aside)
    assert found is None or (type(found) is int and found >= 0)


@given(usages(), full_tables, st.sampled_from(["input", "output", "searches", "audio_ms", "images"]), counts)
def test_more_usage_never_costs_less(usage: Usage, rates: Rates, name: str, more: int) -> None:
    larger = replace(usage, **{name: min(getattr(usage, name) + more, LIMIT - 1)})
    costs = [
        cost(Reading(usage=one, source=Source.REPORTED), price_of(rates), no_aside) for one in (usage, larger)
    ]
    assert costs[0] is not None
    assert costs[1] is not None
    assert costs[0] <= costs[1]


@given(usages(), rate_tables)
def test_the_short_way_and_the_long_way_agree(usage: Usage, rates: Rates) -> None:
    text = replace(usage, input_audio=0, output_audio=0, searches=0, audio_ms=0)
    plain = replace(rates, reasoning=None)
    doubled = Scheme(base=plain, factor=Factor(over=2, under=2))
    reading = Reading(usage=text, source=Source.REPORTED)
    way: Callable[[Price], int | None] = lambda price: cost(reading, price, no_aside)  # noqa: E731
    assert way(price_of(plain)) == way(Price(version=VERSION, standard=doubled))


@given(st.lists(usages(), max_size=4), rate_tables)
def test_asides_add_up(others: list[Usage], rates: Rates) -> None:
    price = price_of(rates)
    asides = tuple(Aside(model="other", usage=usage) for usage in others)
    reading = Reading(usage=NOTHING, source=Source.REPORTED, asides=asides)
    together = cost(reading, price, lambda _: price)
    apart = [cost(Reading(usage=usage), price, no_aside) for usage in others]
    if None in apart:
        assert together is None
    else:
        total = sum(one for one in apart if one is not None)
        assert together is not None
        assert total - len(apart) <= together <= total


# --- no binary fractions anywhere -----------------------------------------------------------------------

NO_MONEY = {"journal.py", "replay.py", "writer.py"}
"""Files of the ledger that divide paths and count seconds, and do no sums of money."""

PLACES = (
    Path(gateway.__file__).with_name("usage.py"),
    *(
        file
        for file in sorted(Path(gateway.__file__).with_name("ledger").glob("*.py"))
        if file.name not in NO_MONEY
    ),
)


@pytest.mark.parametrize("file", PLACES, ids=lambda file: file.name)
def test_money_is_never_a_binary_fraction(file: Path) -> None:
    tree = ast.parse(file.read_text())
    seconds = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "after_s"
        for part in ast.walk(node)
    }
    for node in ast.walk(tree):
        where = f"{file.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Constant):
            assert not isinstance(node.value, float), where
        if isinstance(node, ast.BinOp | ast.AugAssign):
            assert not isinstance(node.op, ast.Div) or id(node) in seconds, where
        if isinstance(node, ast.Name):
            assert node.id != "float", where
