"""gateway savings: money, and the quality beside it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway import config, opening
from gateway.cli import main
from gateway.contracts import Outcome
from gateway.names import Slug
from gateway.usage import Nanos
from tests.sample_records import a_record

NOW_US = 1_763_700_000 * 10**6


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.toml"
    file.write_text(f'[store]\npath = "{tmp_path / "gateway.db"}"\n')
    return file


def fill(path: Path, records: list[Any], outcomes: list[Outcome]) -> None:
    async def add() -> None:
        store = await opening.open_store(config.read(path))
        await store.records.add(records)
        await store.outcomes.add(outcomes)
        await store.close()

    asyncio.run(add())


def moved(number: int, **changes: Any) -> Any:
    """A call that cost 1,000 dollars less than it would have."""
    known = {
        "task": Slug("code"),
        "model_routed": Slug("p/cheap"),
        "baseline_model": Slug("p/dear"),
        "cost_nanos": Nanos(10**12),
        "baseline_nanos": Nanos(2 * 10**12),
        "saved_routing_nanos": Nanos(10**12 + 5),
        "saved_cache_nanos": Nanos(-5),
        "saved_estimated": True,
        "at": NOW_US + number,
    }
    return a_record(number, **(known | changes))


def judged(call: int, score: int) -> Outcome:
    return Outcome(
        call=Slug(f"call-{call:08}"),
        source=Slug("judge"),
        at_ms=0,
        task=Slug("code"),
        model=Slug("p/cheap"),
        against=Slug("p/dear"),
        score=score,
    )


def shown(path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["savings", "--since", "2025-01-01", *words, "--config", str(path)]) == 0
    return capsys.readouterr().out


def test_money_never_stands_alone(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = {"model_routed": Slug("p/dear"), "saved_estimated": False, "task": Slug("chat")}
    cut = a_record(3, at=NOW_US, task=Slug("other"), baseline_nanos=None)
    fill(path, [moved(1), moved(2, **plain), cut], [])
    lines = shown(path, capsys).splitlines()
    assert lines[0].split() == [
        "task", "calls", "cost_usd", "baseline_usd", "saved_usd", "saved", "routing_usd", "downgrade_usd",
        "cache_usd", "estimated", "quality_kept",
    ]  # fmt: skip
    by_task = {line.split()[0]: line for line in lines}
    assert by_task["code"].split() == [
        "code", "1", "1000", "2000", "1000", "50.0%", "1000.000000005", "0", "-0.000000005", "100%",
        "unknown",
    ]  # fmt: skip
    assert by_task["chat"].endswith("0%         same model")
    assert by_task["other"].split()[5] == "-"
    assert by_task["total"].split()[1] == "3"
    assert lines[-1] == "1 calls have no known baseline; nothing is counted as saved by them"


def test_measured_quality_comes_with_its_count(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(path, [moved(1), moved(2, task=Slug("prose"))], [judged(1, 1000), judged(2, 900)])
    lines = shown(path, capsys, "--by", "model,task").splitlines()
    assert any(line.startswith("p/cheap") and line.endswith("95% (n=2)") for line in lines)
    assert lines[-1].startswith("total")
    assert lines[-1].endswith("95% (n=2), of 50% of these")


def test_in_json_what_is_not_known_is_null(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(path, [moved(1)], [])
    found = json.loads(shown(path, capsys, "--json", "--by", "feature"))
    [row] = found["rows"]
    assert {**row, "quality": []} == {**found["total"], "feature": None, "quality": []}
    assert (row["saved_usd"], row["saved_share"], row["quality_kept"]) == ("1000", 0.5, None)
    assert (row["saved_routing_usd"], row["saved_cache_usd"]) == ("1000.000000005", "-0.000000005")
    assert row["quality"][0]["kept"] is None
    fill(path, [], [judged(1, 900)])
    assert json.loads(shown(path, capsys, "--json"))["total"]["quality_kept"] == 0.9


def test_without_calls_there_is_nothing_to_tell(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(path, [], [])
    assert len(shown(path, capsys, "--by", "").splitlines()) == 1
    last = shown(path, capsys).splitlines()[-1].split()
    assert (last[:2], last[-1]) == (["total", "0"], "-")


def test_a_column_that_is_none_is_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(path, [], [])
    assert main(["savings", "--by", "colour", "--config", str(path)]) == 2
    assert "names of columns" in capsys.readouterr().err


def test_calls_without_a_baseline_are_not_taken_for_calls_that_stayed(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(path, [moved(1, baseline_model=None, saved_estimated=False)], [])
    assert main(["savings", "--config", str(path), "--since", "2025-01-01"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("no baseline")
