"""What was saved adds up to the nano-dollar, whatever was used, and is never told of an unknown price."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Plan, Target
from gateway.ledger import savings
from gateway.ledger.savings import Saving, saving, without_cache
from gateway.names import Slug
from gateway.usage import (
    Aside,
    Factor,
    Nanos,
    Price,
    Rates,
    Reading,
    Scheme,
    ServiceTier,
    Source,
    Usage,
    cost,
)

VERSION = Slug("2026-11")
NOWHERE: Any = None


def target(name: str, price: Price | None) -> Target:
    return Target(
        name=Slug(f"p/{name}"),
        provider_name=Slug("p"),
        provider=NOWHERE,
        model=name,
        exit=NOWHERE,
        price=price,
    )


def price(**rates: int) -> Price:
    return Price(version=VERSION, standard=Scheme(base=Rates(**rates)))


DEAR = price(input=3_000_000, cached=300_000, write_5m=3_750_000, output=15_000_000)
CHEAP = price(input=100_000, cached=50_000, output=400_000)
USED = Usage(input=1000, cached=400, output=100)


def nobody(model: str) -> Price | None:
    return None


def worked_out(
    plan: Plan,
    asked: Target,
    usage: Usage = USED,
    lost: int = 0,
    answered: bool = True,
    **reading: Any,
) -> tuple[Saving, int]:
    """The saving, and what was paid."""
    read = Reading(usage=usage, source=Source.REPORTED, **reading)
    assert asked.price is not None
    answer = cost(read, asked.price, nobody)
    assert answer is not None
    total = Nanos(answer + lost)
    return saving(plan, asked, read, answer, total, answered, nobody), total


def parts(found: Saving) -> tuple[int, int, int]:
    return found.routing, found.downgrade, found.cache


def test_a_cheaper_model_and_a_prompt_cache_each_have_their_part() -> None:
    plan = Plan(targets=(), reason=Slug("cheapest"), baseline=target("dear", DEAR))
    found, paid = worked_out(plan, target("cheap", CHEAP))
    # 600 x 0.1 + 400 x 0.05 + 100 x 0.4, 1000 x 0.1 + 100 x 0.4 and 1000 x 3 + 100 x 15 micro-dollars
    assert (paid, found.baseline) == (120_000, 4_500_000)
    assert parts(found) == (4_500_000 - 140_000, 0, 140_000 - 120_000)
    assert (found.model, found.estimated) == ("p/dear", True)


def test_the_model_that_was_asked_for_saves_by_its_cache_only() -> None:
    dear = target("dear", DEAR)
    found, paid = worked_out(Plan(targets=(), reason=Slug("requested"), baseline=dear), dear)
    assert parts(found) == (0, 0, 400 * 2_700)
    assert (found.baseline, found.estimated) == (paid + 400 * 2_700, False)


def test_a_cache_that_was_only_written_is_a_loss() -> None:
    dear = target("dear", DEAR)
    usage = Usage(input=1000, write_5m=1000, output=1)
    found, _ = worked_out(Plan(targets=(), reason=Slug("requested"), baseline=dear), dear, usage)
    assert parts(found) == (0, 0, -1000 * 750)


def test_what_failed_attempts_cost_is_taken_from_what_routing_saved() -> None:
    plan = Plan(targets=(), reason=Slug("cheapest"), baseline=target("dear", DEAR))
    found, paid = worked_out(plan, target("cheap", CHEAP), Usage(input=1000, output=100), lost=5_000_000)
    assert parts(found) == (4_500_000 - 140_000 - 5_000_000, 0, 0)
    assert found.baseline is not None
    assert found.baseline - paid == found.routing


def test_what_a_budget_moved_has_a_column_of_its_own() -> None:
    plan = Plan(targets=(), reason=Slug("downgrade/cheapest"), baseline=target("dear", DEAR))
    found, _ = worked_out(plan, target("cheap", CHEAP))
    assert parts(found) == (0, 4_500_000 - 140_000, 20_000)


def test_without_a_baseline_nothing_is_saved_by_routing() -> None:
    found, _ = worked_out(Plan(targets=(), reason=Slug("cheapest")), target("cheap", CHEAP))
    assert (found.model, found.baseline, parts(found)) == (None, 140_000, (0, 0, 20_000))


def test_a_call_without_an_answer_is_not_held_against_another_model() -> None:
    plan = Plan(targets=(), reason=Slug("cheapest"), baseline=target("dear", DEAR))
    found, _ = worked_out(plan, target("cheap", CHEAP), Usage(input=1000), answered=False)
    assert (found.baseline, parts(found), found.estimated) == (100_000, (0, 0, 0), False)


def test_the_same_model_elsewhere_is_no_estimate() -> None:
    elsewhere = replace(target("cheap", CHEAP), name=Slug("q/cheap"))
    plan = Plan(targets=(), reason=Slug("weighted"), baseline=replace(elsewhere, price=DEAR))
    assert worked_out(plan, target("cheap", CHEAP))[0].estimated is False


@pytest.mark.parametrize("unknown", ["answer", "total", "baseline", "mode"])
def test_nothing_is_told_of_a_price_that_is_not_known(unknown: str) -> None:
    plan = Plan(
        targets=(),
        reason=Slug("cheapest"),
        baseline=target("dear", None if unknown == "baseline" else DEAR),
    )
    tier = ServiceTier.PRIORITY if unknown == "mode" else ServiceTier.STANDARD
    read = Reading(usage=USED, source=Source.REPORTED, tier=tier)
    answer, total = None if unknown == "answer" else Nanos(5), None if unknown == "total" else Nanos(5)
    found = saving(plan, target("cheap", CHEAP), read, answer, total, True, nobody)
    assert found == Saving(model=Slug("p/dear"))


def test_a_call_that_used_nothing_would_have_used_nothing() -> None:
    plan = Plan(targets=(), reason=Slug("cheapest"), baseline=target("dear", None))
    found = saving(plan, target("cheap", CHEAP), Reading(), Nanos(0), Nanos(0), True, nobody)
    assert (found.baseline, parts(found)) == (0, (0, 0, 0))


def test_what_another_model_did_on_the_side_is_priced_there_on_both_sides() -> None:
    side = Aside(model="side", usage=Usage(input=100, cached=50))
    read = Reading(usage=Usage(input=10), source=Source.REPORTED, asides=(side,))
    answer = cost(read, CHEAP, lambda model: DEAR)
    plan = Plan(targets=(), reason=Slug("cheapest"), baseline=target("dear", DEAR))
    found = saving(plan, target("cheap", CHEAP), read, answer, answer, True, lambda model: DEAR)
    assert parts(found) == (10 * 2_900, 0, 50 * 2_700)


COUNTS = st.integers(0, 10**6)
RATES = st.none() | st.integers(0, 10**8)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    cached, short, longer, plain = (draw(COUNTS) for _ in range(4))
    output = draw(COUNTS)
    return Usage(
        input=cached + short + longer + plain,
        cached=cached,
        write_5m=short,
        write_1h=longer,
        input_audio=draw(st.integers(0, plain)),
        cached_audio=draw(st.integers(0, cached)),
        output=output,
        reasoning=draw(st.integers(0, output)),
        searches=draw(st.integers(0, 3)),
    )


def schemes() -> st.SearchStrategy[Scheme]:
    names = ("input", "cached", "write_5m", "write_1h", "input_audio", "output", "reasoning", "search")
    rates = st.builds(Rates, request=st.integers(0, 10**6), **dict.fromkeys(names, RATES))
    factors = st.builds(Factor, over=st.integers(1, 7), under=st.integers(1, 7))
    steps = st.just(()) | st.tuples(st.tuples(st.integers(1, 10**6), rates))
    return st.builds(Scheme, base=rates, steps=steps, factor=factors)


PRICES = st.builds(
    Price,
    version=st.just(VERSION),
    standard=schemes(),
    batch=st.none() | schemes(),
    regional=st.none() | st.builds(Factor, over=st.integers(1, 7), under=st.integers(1, 7)),
)
READINGS = st.builds(
    Reading,
    usage=usages(),
    source=st.sampled_from(Source),
    tier=st.sampled_from([ServiceTier.STANDARD, ServiceTier.BATCH]),
    asides=st.just(()) | st.tuples(st.builds(Aside, model=st.just("side"), usage=usages())),
    regional=st.booleans(),
)


@given(
    reading=READINGS,
    own=PRICES,
    other=st.none() | PRICES,
    side=PRICES,
    declared=st.booleans(),
    lost=st.integers(0, 10**12),
    reason=st.sampled_from(["requested", "downgrade", "downgrade/cheapest", "cheapest"]),
    answered=st.booleans(),
)
def test_the_parts_add_up_to_the_nano_dollar(
    reading: Reading,
    own: Price,
    other: Price | None,
    side: Price,
    declared: bool,
    lost: int,
    reason: str,
    answered: bool,
) -> None:
    asked = target("own", own)
    plan = Plan(targets=(), reason=Slug(reason), baseline=target("other", other) if declared else None)
    answer = cost(reading, own, lambda model: side)
    total = None if answer is None else Nanos(answer + lost)
    found = saving(plan, asked, reading, answer, total, answered, lambda model: side)
    if found.baseline is None:
        assert parts(found) == (0, 0, 0)
        return
    assert total is not None
    assert all(type(part) is int for part in parts(found))
    assert found.baseline - total == sum(parts(found))
    against = other if declared and answered else own
    assert against is not None
    assert found.baseline == cost(without_cache(reading), against, lambda model: side)
    assert not (found.routing and found.downgrade)


def test_a_reading_without_a_cache_stays_the_same_object() -> None:
    read = Reading(usage=Usage(input=5), asides=(Aside(model="m", usage=Usage(input=1)),))
    assert without_cache(read) is read
    assert savings.UNTOLD.baseline is None


def test_the_examples_of_the_page_are_what_the_code_says() -> None:
    page = (Path(__file__).parents[3] / "docs" / "savings.md").read_text("utf-8")
    lines = page.partition("<!-- examples -->")[2].partition("<!-- end -->")[0].split("\n")[3:-1]
    cheap = price(input=100_000, cached=50_000, output=400_000)
    for line in lines:
        model, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        tokens, cached, written, output, lost, *told = map(int, cells)
        answered = target(model, DEAR if model == "dear" else cheap)
        plan = Plan(targets=(), reason=Slug("cheapest"), baseline=target("dear", DEAR))
        usage = Usage(input=tokens, cached=cached, write_5m=written, output=output)
        found, paid = worked_out(plan, answered, usage, lost)
        assert found.baseline is not None
        assert told == [paid, found.baseline, found.routing, found.cache, found.baseline - paid], line
    assert len(lines) == 5
