"""The rules for names, and the prices of one model."""

from typing import Any

import pytest

from gateway.ledger.price_entry import Clause, Entry, Shelf, matches, names
from gateway.names import Slug


@pytest.mark.parametrize(
    ("clause", "text", "fits"),
    [
        ("=GPT-4o", "gpt-4o", True),
        ("=gpt-4o", "gpt-4o-mini", False),
        ("^claude-", "claude-3", True),
        ("^claude-", "a-claude-3", False),
        ("~flash", "gemini-flash-2", True),
        ("~flash", "gemini-pro", False),
        ("$:free", "llama:free", True),
        ("$:free", "llama:free2", False),
        (r"/^o[134]$", "o3", True),
        (r"/^o[134]$", "o2", False),
        (["any", "=a", "=b"], "b", True),
        (["any", "=a", "=b"], "c", False),
        (["all", "^a", "$z"], "a-z", True),
        (["all", "^a", "$z"], "a-b", False),
    ],
)
def test_a_rule_fits_a_name(clause: Clause, text: str, fits: bool) -> None:
    assert matches(clause, text) is fits


@pytest.mark.parametrize("clause", ["?a", ["some", "=a"]])
def test_an_unknown_kind_of_rule_is_an_error(clause: Clause) -> None:
    with pytest.raises(ValueError, match="no known kind"):
        matches(clause, "a")


def test_a_rule_lists_the_names_it_spells_out() -> None:
    assert names("=Qwen/Q3") == ("Qwen/Q3",)
    assert names("^a") == ()
    assert names(["any", "=a", "^b", ["any", "=c"]]) == ("a", "c")
    assert names(["all", "=a", "^b"]) == ()


def shelf(*clauses: Clause) -> Shelf:
    return Shelf([{"match": clause} for clause in clauses])


def test_the_first_model_whose_rule_fits_is_found() -> None:
    found = shelf("=a", "^b", ["any", "=bc", "^c"], "=b1", "=A")
    assert [found.find(text) for text in ("a", "b1", "bc", "c9", "d")] == [0, 1, 1, 2, None]


def test_a_name_listed_before_a_rule_comes_first() -> None:
    found = shelf("=b1", "^b")
    assert [found.find("b1"), found.find("b2")] == [0, 1]


def entry(**table: Any) -> Entry:
    return Entry({"id": "m", "match": "=m", **table}, Slug("v1"))


def test_steps_of_several_classes_are_merged() -> None:
    found = entry(
        entries=[{"rates": {"input": [1, [10, 2], [30, 3]], "output": [5, [20, 6]], "cached": 9}}]
    ).at(0)
    assert found is not None
    table = [
        (bound, rates.input, rates.output, rates.cached)
        for bound, rates in ((0, found.standard.base), *found.standard.steps)
    ]
    assert table == [(0, 1, 5, 9), (10, 2, 5, 9), (20, 2, 6, 9), (30, 3, 6, 9)]


def test_factors_apply_to_the_classes_they_name_and_round_upwards() -> None:
    modes = [{"mode": "flex", "factors": {"input": [1, 2], "output": [9, 5], "cached": [1, 2]}}]
    found = entry(entries=[{"rates": {"input": [3, [10, 5]], "output": 7, "search": 4}}], modes=modes).at(0)
    assert found is not None
    assert found.flex is not None
    assert (found.flex.base.input, found.flex.base.output, found.flex.base.search) == (2, 13, 4)
    assert found.flex.steps[0][1].input == 3
    assert found.batch is None


def test_the_first_variant_of_a_mode_that_is_active_wins_class_by_class() -> None:
    modes = [
        {"mode": "fast", "rates": {"input": 2}},
        {"mode": "fast", "rates": {"input": 3, "output": 4}},
    ]
    found = entry(entries=[{"rates": {"input": 1, "output": 1, "cached": 1}}], modes=modes).at(0)
    assert found is not None
    assert found.fast is not None
    assert (found.fast.base.input, found.fast.base.output, found.fast.base.cached) == (2, 4, 1)


def test_a_model_without_entries_has_no_price_and_passes_the_check() -> None:
    found = entry()
    assert not found.priced
    assert found.at(0) is None
    found.check()
