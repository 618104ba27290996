"""The simulation of the canary, small: what is worse is stopped, what is not is left alone."""

from pathlib import Path

import pytest

from bench import canary
from gateway.routers.canary import Rollback

CASES = {case.name: case for case in canary.CASES}


@pytest.mark.parametrize("name", [case.name for case in canary.CASES if case.null])
def test_a_trial_that_is_not_worse_is_hardly_ever_stopped(name: str) -> None:
    found = canary.simulate(CASES[name], 40, 1000, 100, Rollback(), 3)
    assert found.rate <= 0.05, found.rules


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("errors 1 % -> 20 %", "errors"),
        ("errors 1 % -> 6 %, half of all calls", "errors"),
        ("time 1.5x, half of all calls", "latency"),
        ("cost 2x, half of all calls", "cost"),
    ],
)
def test_a_worse_trial_is_stopped_by_its_rule(name: str, rule: str) -> None:
    found = canary.simulate(CASES[name], 10, 6000, 100, Rollback(), 3)
    assert found.rate == 1.0
    assert found.rules.count(rule) >= 9
    assert canary.line(found).startswith(f"| {name} | 100.0% | ")


def test_a_case_in_which_nothing_was_stopped_has_no_time_until_then() -> None:
    assert canary.line(canary.Outcome(CASES["the same"], 1, (), ())).endswith("| 0.0% | - | - |")
    assert canary.line(canary.Outcome(CASES["the same"], 1, (50,), ("cost",))).endswith(
        "| 100.0% | 50 | 50 |"
    )


def test_the_page_has_a_line_for_each_case_and_keeps_its_promise() -> None:
    page = (Path(__file__).parents[2] / "docs" / "canary.md").read_text("utf-8")
    lines = page.partition("<!-- simulated -->")[2].partition("<!-- end -->")[0].strip().split("\n")[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[0] for row in rows] == list(CASES)
    for name, stopped, *_ in rows:
        share = float(stopped.removesuffix("%")) / 100
        assert share <= 0.05 if CASES[name].null else share >= 0.95, name
