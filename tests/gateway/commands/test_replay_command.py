"""gateway replay: a period under a route of the configuration, from its records alone."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway import config, opening
from gateway.cli import main
from gateway.commands.replay import as_text
from gateway.names import Slug
from gateway.records import PathKind
from gateway.upstreams.hindsight import Forecast
from gateway.usage import Nanos
from tests.sample_records import a_record

TREE = """
[store]
path = "{folder}/gateway.db"
[models.dear]
provider = "echo"
price = {{ input = "3.00", output = "15.00" }}
[models.cheap]
provider = "echo"
price = {{ input = "0.10", output = "0.40" }}
[routes.auto]
use = "cheapest"
targets = ["dear", "cheap"]
"""
NOW_US = 1_763_700_000 * 10**6


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.toml"
    file.write_text(TREE.format(folder=tmp_path))
    return file


def a_call(number: int, **changes: Any) -> Any:
    """A call that the dear model answered."""
    known = {
        "at": NOW_US + number,
        "model_routed": Slug("echo/dear"),
        "tokens_input": 1000,
        "tokens_output": 100,
        "cost_nanos": Nanos(4_500_000),
    }
    return a_record(number, **(known | changes))


def fill(path: Path, records: list[Any]) -> None:
    async def add() -> None:
        store = await opening.open_store(config.read(path))
        await store.records.add(records)
        await store.close()

    asyncio.run(add())


def test_the_cost_under_a_route_is_told_with_its_margin(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(path, [*(a_call(number) for number in range(10)), a_call(10, path_kind=PathKind.EMBEDDINGS)])
    words = ["replay", "--route", "auto", "--since", "2025-01-01", "--config", str(path)]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["calls"], found["moved"], found["guessed_length"]) == (11, 10, 10)
    assert (found["paid_usd"], found["would_have_cost_usd"]) == ("0.0495", "0.0059")
    assert (found["margin_usd"], found["margins_usd"]["length"]) == ("0.0001", "0.0001")
    assert (found["models"], found["as_they_were"]) == ({"echo/cheap": 10}, {"other_kind": 1})
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "under auto they would have cost 0.0059 ± 0.0001" in text
    assert "1 count as they were: no chat of any dialect" in text


def test_what_was_left_out_is_told(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(path, [a_call(1, cost_nanos=None, priced=False), a_call(2, dialect=None)])
    assert main(["replay", "--route", "auto", "--since", "2025-01-01", "--config", str(path)]) == 0
    text = capsys.readouterr().out
    assert "1 are left out: it is not known what they cost" in text
    assert "1 count as they were: no model of the route can serve or price them" in text


def test_a_canary_is_replayed_as_if_it_began_with_the_period(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with path.open("a") as file:
        file.write('[routes.try]\nuse = "canary"\nstable = "dear"\ntrial = "cheap"\nsince = "2020-01-01"\n')
        file.write("share = 1.0\n")
    fill(path, [a_call(number) for number in range(3)])
    assert main(["replay", "--route", "try", "--since", "2025-01-01", "--json", "--config", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == {"echo/cheap": 3}


def test_how_often_a_policy_had_no_choice_is_told() -> None:
    assert "3 times the policy had no choice" in as_text(Forecast(totals=[1], failed=3), "auto")


@pytest.mark.parametrize("words", [["--route", "nowhere"], ["--route", "auto", "--runs", "0"]])
def test_wrong_words_are_refused(path: Path, words: list[str]) -> None:
    assert main(["replay", *words, "--config", str(path)]) == 2
