"""The price book: names, dates, layers, what it refuses, and how it is compared and shown."""

import time
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from gateway.ledger import prices
from gateway.ledger.prices import LONGEST_NAME, PriceBook, PriceBookError, dashed_date, diff, rates
from gateway.usage import Price, Rates, Scheme

BOOK = PriceBook.bundled()


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**6


NOW = us("2026-11-20")


def tree(**models: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "date": "2026-11-20",
        "from": "a test",
        "providers": {
            "one": {
                "links": ["https://example.org/prices"],
                "home": True,
                "family": "~one",
                "models": [{"id": name, "match": "=" + name, **table} for name, table in models.items()],
            },
            "two": {"links": [], "home": False, "models": [], "fallback": ["one", "nobody"]},
        },
    }


def book(**models: Any) -> PriceBook:
    return PriceBook.parse(orjson.dumps(tree(**models)))


def simple(rate: int) -> dict[str, Any]:
    return {"entries": [{"rates": {"input": rate, "output": rate}}]}


# --- the bundle ------------------------------------------------------------------------------------------


def test_the_bundle_loads_quickly_and_is_small() -> None:
    data = prices.FILE.read_bytes()
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        prices._read(data)
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.06
    assert len(data) < 1_000_000


def test_every_entry_of_the_bundle_can_be_read() -> None:
    assert PriceBook.parse(prices.FILE.read_bytes()).version == BOOK.version


def test_the_version_is_the_date_and_a_digest() -> None:
    assert BOOK.version.startswith(BOOK.date + "-")
    assert len(BOOK.version) == len(BOOK.date) + 9


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4o-mini", "openai"),
        ("gpt-4o-mini-2024-07-18", "openai"),
        ("GPT-4o-mini", "openai"),
        ("gpt-6-luna-2026-10-01", "openai"),
        ("gpt-99", "openai"),
        ("text-embedding-3-small", "openai"),
        ("claude-sonnet-4-5-20250929", "anthropic"),
        ("claude-of-the-future", "anthropic"),
        ("gemini-2.5-flash", "gemini"),
        ("gemini-99", "gemini"),
        ("llama-3.3-70b-versatile", "groq"),
        ("mistral-large-2512", "mistral"),
        ("echo-1", "echo"),
    ],
)
def test_a_model_is_found_at_home(model: str, provider: str) -> None:
    assert BOOK.catalogue[model] == provider
    assert BOOK.catalogue.get(model) == provider


@pytest.mark.parametrize("model", ["", "nonsense", "echo2", "x" * (LONGEST_NAME + 1), "gpt4 " * 100])
def test_what_nobody_offers_is_not_in_the_catalogue(model: str) -> None:
    assert BOOK.catalogue.get(model) is None
    assert BOOK.home(model) is None


def test_every_name_in_the_catalogue_leads_to_a_price() -> None:
    names = list(BOOK.catalogue)
    assert len(names) == len(set(names)) == len(BOOK.catalogue) > 500
    for name in names:
        assert BOOK._entry(BOOK.catalogue[name], name) is not None, name


def test_every_model_that_is_listed_has_a_price_at_some_time() -> None:
    times = [us("2023-01-01"), NOW, us("2030-01-01")]
    for provider in BOOK.providers:
        for model in BOOK.models(provider):
            assert any(BOOK.find(provider, model, at) for at in times), (provider, model)


def test_no_first_price_is_nothing_but_what_is_known_to_be_free() -> None:
    free = {"moderation", "omni-moderation-latest", "echo"}
    for provider in ("openai", "anthropic", "gemini", "groq"):
        for model in BOOK.models(provider):
            price = BOOK.find(provider, model, NOW)
            if price is not None and price.input_rate == 0:
                assert model in free or model.startswith("gemma-4"), model


@pytest.mark.parametrize(
    ("provider", "model", "context", "output"),
    [
        ("openai", "gpt-4o-mini", 128_000, 16_384),
        ("anthropic", "claude-haiku-4-5-20251001", 200_000, 64_000),
        ("gemini", "gemini-2.5-flash", 1_048_576, 65_536),
        ("groq", "llama-3.1-8b-instant", None, None),
    ],
)
def test_limits_are_told_where_they_are_known(
    provider: str, model: str, context: int | None, output: int | None
) -> None:
    assert BOOK.limits(provider, model) == (context, output)


def test_limits_of_unknown_models_are_not_known() -> None:
    assert BOOK.limits("openai", "nonsense") is None
    assert BOOK.limits("openai", "x" * 500) is None


def test_known_surcharges_are_in_the_bundle() -> None:
    opus = BOOK.find("anthropic", "claude-opus-4-6", NOW)
    older = BOOK.find("anthropic", "claude-opus-4-5", NOW)
    whisper = BOOK.find("groq", "whisper-large-v3", NOW)
    assert opus is not None
    assert older is not None
    assert whisper is not None
    assert opus.regional is not None
    assert (opus.regional.over, opus.regional.under) == (11, 10)
    assert older.regional is None
    assert whisper.least_audio_ms == 10_000


# --- finding ----------------------------------------------------------------------------------------------


def test_an_unknown_model_has_no_price() -> None:
    assert BOOK.find("openai", "nonsense", NOW) is None
    assert BOOK.find("nobody", "gpt-4o-mini", NOW) is None
    assert BOOK.find("openai", "gpt-4o-mini" + "x" * 500, NOW) is None


def test_a_model_that_is_listed_without_a_price_has_none_and_hides_no_other() -> None:
    found = book(free={}, paid=simple(5))
    assert found.find("one", "free", NOW) is None
    assert found.models("one") == ("paid",)
    assert found.home("free") is None


def test_an_empty_price_is_no_price() -> None:
    table = {"entries": [{"rates": {"input": 1}}, {"from": "2026-01-01", "rates": {}}]}
    found = book(withdrawn=table)
    assert found.find("one", "withdrawn", us("2025-12-31")) is not None
    assert found.find("one", "withdrawn", us("2026-01-01")) is None


def test_the_same_price_is_built_once() -> None:
    first = BOOK.find("openai", "gpt-4o-mini", NOW)
    assert first is BOOK.find("openai", "gpt-4o-mini-2024-07-18", NOW)


def test_a_provider_may_sell_what_others_make() -> None:
    found = book(model=simple(5))
    assert found.find("two", "model", NOW) is not None
    assert found.find("two", "other", NOW) is None


def test_prices_change_at_midnight() -> None:
    before = BOOK.find("openai", "o3", us("2025-06-10") - 1)
    after = BOOK.find("openai", "o3", us("2025-06-10"))
    assert before is not None
    assert after is not None
    assert (before.input_rate, after.input_rate) == (10_000_000, 2_000_000)


def test_before_the_first_date_the_first_price_holds() -> None:
    found = book(model={"entries": [{"from": "2026-01-01", "rates": {"input": 5}}]})
    price = found.find("one", "model", us("2020-01-01"))
    assert price is not None
    assert price.input_rate == 5


@pytest.mark.parametrize(
    ("clock", "rate"), [("21:59", 1), ("22:00", 2), ("23:59", 2), ("00:00", 2), ("05:59", 2), ("06:00", 1)]
)
def test_a_price_of_the_night_goes_over_midnight(clock: str, rate: int) -> None:
    table = {"entries": [{"rates": {"input": 1}}, {"minutes": [1320, 360], "rates": {"input": 2}}]}
    price = book(model=table).find("one", "model", us(f"2026-11-20T{clock}"))
    assert price is not None
    assert price.input_rate == rate


def test_a_mode_without_a_date_yet_reached_is_unknown() -> None:
    modes = [
        {"mode": "batch", "from": "2027-01-01", "rates": {"input": 3}},
        {"mode": "batch", "from": "2026-01-01", "rates": {"input": 4}},
    ]
    found = book(model={**simple(10), "modes": modes})
    for day, rate in (("2025-12-31", None), ("2026-01-01", 4), ("2027-01-01", 3)):
        price = found.find("one", "model", us(day))
        assert price is not None
        assert (price.batch.base.input if price.batch else None) == rate
        assert price.batch is None or price.batch.base.output == 10


def test_dates_in_names_may_be_written_without_dashes() -> None:
    assert dashed_date("gpt-5.2-20251211") == "gpt-5.2-2025-12-11"
    assert dashed_date("gpt-5.2-20251211:batch") == "gpt-5.2-2025-12-11:batch"
    assert dashed_date("gpt-5.2-20250230") == "gpt-5.2-20250230"
    assert BOOK.find("openai", "gpt-5.2-20251211", NOW) is BOOK.find("openai", "gpt-5.2", NOW)


# --- names for records ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5-20250929"),
        ("claude-sonnet-4-5-my-own-secret", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5 with spaces", "claude-sonnet-4-5"),
        ("nonsense", None),
        ("x" * 500, None),
    ],
)
def test_a_record_gets_no_text_that_a_client_made_up(model: str, name: str | None) -> None:
    assert BOOK.canonical("anthropic", model) == name


def test_a_configured_name_is_known() -> None:
    own = BOOK.with_overrides({("anthropic", "mine"): price(5), ("anthropic", "no name"): price(5)})
    assert own.canonical("anthropic", "mine") == "mine"
    assert own.canonical("anthropic", "no name") is None


# --- layers --------------------------------------------------------------------------------------------


def price(rate: int) -> Price:
    return Price(version=BOOK.version, standard=Scheme(base=Rates(input=rate, output=rate)))


def test_the_operators_price_stands_before_the_bundles() -> None:
    mine, later = price(7), price(8)
    own = BOOK.with_overrides({("openai", "gpt-4o-mini"): mine, ("local", "llama"): mine})
    assert own.find("openai", "gpt-4o-mini", NOW) is mine
    assert own.find("openai", "gpt-4o", NOW) is not None
    assert own.find("local", "llama", NOW) is mine
    assert own.models("local") == ("llama",)
    assert BOOK.find("openai", "gpt-4o-mini", NOW) is not mine
    assert own.with_overrides({("local", "llama"): later}).find("local", "llama", NOW) is later


def test_the_operators_prices_are_part_of_the_version() -> None:
    one = BOOK.with_overrides({("openai", "gpt-4o-mini"): price(7)})
    two = BOOK.with_overrides({("openai", "gpt-4o-mini"): price(8)})
    assert one.version.startswith(BOOK.version + "+")
    assert one.version != two.version
    assert BOOK.with_overrides({}).version == BOOK.version


def test_a_provider_may_be_configured_under_another_name() -> None:
    own = BOOK.with_aliases({"company": "openai"})
    assert own.find("company", "gpt-4o-mini", NOW) == BOOK.find("openai", "gpt-4o-mini", NOW)
    assert own.limits("company", "gpt-4o-mini") == BOOK.limits("openai", "gpt-4o-mini")
    assert own.models("company") == BOOK.models("openai")
    assert own.with_aliases({"other": "groq"}).find("company", "gpt-4o", NOW) is not None
    assert own.with_overrides({}).find("company", "gpt-4o", NOW) is not None


# --- showing and comparing ---------------------------------------------------------------------------


def test_a_model_is_shown_with_its_source() -> None:
    shown = BOOK.show("openai", "gpt-4o-mini-2024-07-18", NOW)
    assert shown is not None
    assert (shown.entry, shown.context, shown.max_output) == ("gpt-4o-mini", 128_000, 16_384)
    assert shown.links[0].startswith("https://")
    assert shown.date == BOOK.date
    assert rates(shown.price) == {
        "input": 150_000, "cached": 75_000, "output": 600_000, "search": 10**10, "tool_unit": 25 * 10**8,
    }  # fmt: skip


def test_an_operators_price_is_shown_without_a_link() -> None:
    own = BOOK.with_overrides({("openai", "gpt-4o-mini"): price(7), ("local", "llama"): price(8)})
    for provider, model in (("openai", "gpt-4o-mini"), ("local", "llama")):
        shown = own.show(provider, model, NOW)
        assert shown is not None
        assert shown.links == ()


def test_nothing_is_shown_of_an_unknown_model() -> None:
    assert BOOK.show("openai", "nonsense", NOW) is None
    assert BOOK.show("openai", "x" * 500, NOW) is None


def test_rates_of_long_calls_name_their_bound() -> None:
    found = BOOK.find("gemini", "gemini-2.5-pro", NOW)
    table = rates(found)
    assert table is not None
    assert (table["input"], table["input>200000"], table["output>200000"]) == (
        1_250_000,
        2_500_000,
        15_000_000,
    )
    assert rates(None) is None


def test_a_difference_lists_what_came_went_and_changed() -> None:
    old = book(same=simple(1), changed=simple(2), gone=simple(3))
    new = book(same=simple(1), changed=simple(4), came=simple(5))
    found = {(one.provider, one.model): (one.old, one.new) for one in diff(old, new, NOW)}
    assert found == {
        ("one", "changed"): ({"input": 2, "output": 2}, {"input": 4, "output": 4}),
        ("one", "gone"): ({"input": 3, "output": 3}, None),
        ("one", "came"): (None, {"input": 5, "output": 5}),
    }
    assert diff(BOOK, BOOK, NOW) == ()


def test_a_fee_is_shown_only_if_there_is_one() -> None:
    assert rates(price(1)) == {"input": 1, "output": 1}
    fee = Price(version=BOOK.version, standard=Scheme(base=Rates(input=1, request=5)))
    assert rates(fee) == {"input": 1, "request": 5}


# --- what is no price book -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"null", b'{"format": 2}', b'{"format": 1}',
        b'{"format": 1, "date": "soon", "providers": {}}', b'{"format": 1, "date": 5, "providers": {}}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(data: bytes) -> None:
    with pytest.raises(PriceBookError):
        PriceBook.parse(data)


@pytest.mark.parametrize(
    "table",
    [
        {"entries": [{"rates": {"input": 0.15}}]},
        {"entries": [{"rates": {"input": "0.15"}}]},
        {"entries": [{"rates": {"input": -1}}]},
        {"entries": [{"rates": {"input": True}}]},
        {"entries": [{"rates": {"inptu": 1}}]},
        {"entries": [{"rates": {"input": [1, [100]]}}]},
        {"entries": [{"rates": {"input": [1, [100, "2"]]}}]},
        {"entries": [{"rates": {"input": 1, "output": [1, [-5, 2]]}}]},
        {"entries": [{"rates": [1]}]},
        {"entries": [{"from": "soon", "rates": {"input": 1}}]},
        {"entries": [{"rates": {"input": 1}}], "modes": [{"mode": "cheap", "rates": {}}]},
        {"entries": [{"rates": {"input": 1}}], "regional": [1]},
        {"entries": [{"rates": {"input": 1}}], "regional": [0, 1]},
        {"entries": [{"rates": {"input": 1}}], "new": 1},
        {"match": "?x", "entries": [{"rates": {"input": 1}}]},
        {"match": "/(", "entries": [{"rates": {"input": 1}}]},
        {"match": ["none", "=x"], "entries": [{"rates": {"input": 1}}]},
    ],
)
def test_an_entry_that_cannot_be_read_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(PriceBookError, match="entry"):
        book(model=table)
