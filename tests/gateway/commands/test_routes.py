"""outcomes import, routes report and routes fit: from a file of outcomes to a table and a model."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.quality.fitted import load

CONFIG = """
[secrets]
master_key = {{ file = "{folder}/master.key" }}
[store]
path = "{folder}/gateway.db"
[models.large]
provider = "echo"
model = "echo-1"
price = {{ input = "10", output = "20" }}
[models.small]
provider = "echo"
model = "echo-2"
price = {{ input = "1", output = "2" }}
[routes.auto]
use = "quality"
targets = ["large", "small"]
default = "large"
floor = 0.9
[routes.auto.stand_ins.large]
"*" = ["small"]
[routes.plain]
use = "fixed"
target = "large"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG.format(folder=tmp_path))
    monkeypatch.setenv("GATEWAY_CONFIG", str(path))
    return tmp_path


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def evaluation(task: str, count: int, well: int) -> list[dict[str, Any]]:
    return [
        {"task": task, "requested": "large", "candidate": "small", "served_as_well": int(place < well)}
        for place in range(count)
    ]


def test_an_evaluation_becomes_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = evaluation("chat", 200, 198) + evaluation("code", 200, 100) + evaluation("writing", 9, 9)
    path = write(folder / "rows.jsonl", rows)
    assert main(["outcomes", "import", path]) == 0
    assert capsys.readouterr().out == "added 409  known 0  unknown 0\n"
    assert main(["outcomes", "import", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"added": 0, "known": 409, "unknown": 0}
    assert main(["routes", "report", "--json"]) == 0
    told = {row["task"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert told["chat"] == {
        "route": "auto", "task": "chat", "requested": "large", "candidate": "small", "n": 200,
        "kept": 0.99, "at_least": pytest.approx(0.97, abs=0.01), "decision": "moves", "saving": 0.9,
    }  # fmt: skip
    assert told["code"]["decision"] == "below_floor"
    assert (told["writing"]["decision"], told["writing"]["kept"]) == ("few_outcomes", None)
    assert main(["routes", "report", "--route", "auto"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "route", "task", "requested", "candidate", "n", "kept", "at_least", "decision", "saving",
    ]  # fmt: skip
    assert len(lines) == 4
    assert main(["routes", "report", "--route", "plain"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_scores_of_both_models_are_taken_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"task": "chat", "requested": "large", "candidate": "small", "score_requested": 0.5}
    path = write(folder / "rows.jsonl", [{**row, "score_candidate": 0.5, "id": f"q{n}"} for n in range(60)])
    assert main(["outcomes", "import", path, "--source", "eval"]) == 0
    assert capsys.readouterr().out.startswith("added 180 ")


def test_judgements_of_unknown_calls_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(folder / "rows.jsonl", [{"request_id": f"req-{n}", "thumb": "up"} for n in range(3)])
    assert main(["outcomes", "import", path]) == 0
    assert capsys.readouterr().out == "added 0  known 0  unknown 3\n"


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (["text"], "row 1: unknown_field is missing or not valid"),
        ([{"request_id": "a", "thumb": "up"}, {"task": "chat"}], "belong into two files"),
        ([{"request_id": "a", "thumb": "maybe"}], "row 1: score_or_thumb is missing or not valid"),
    ],
)
def test_rows_that_cannot_be_used_are_told(
    rows: list[Any], text: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["outcomes", "import", write(folder / "rows.jsonl", rows)]) == 1
    assert text in capsys.readouterr().err


def test_a_line_that_is_no_json_and_a_source_that_is_no_name_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "rows.jsonl").write_text("{}\n{canary\n")
    assert main(["outcomes", "import", str(folder / "rows.jsonl")]) == 1
    assert "line 2: is not JSON" in capsys.readouterr().err
    assert main(["outcomes", "import", str(folder / "rows.jsonl"), "--source", "two words"]) == 2


def test_a_route_that_is_not_there_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes", "report", "--route", "nowhere"]) == 2
    assert main(["routes", "fit", "--data", "x", "--route", "nowhere"]) == 2
    assert main(["routes", "fit", "--data", "x", "--floor", "2"]) == 2
    assert capsys.readouterr().err.count("no route is called nowhere") == 2


def labelled(count: int, useful: bool = True) -> list[dict[str, Any]]:
    chance, rows = random.Random(9), []
    for _ in range(count):
        hard = chance.random() < 0.5
        cheap = int(chance.random() < (0.1 if hard else 0.99)) if useful else int(chance.random() < 0.5)
        prompt = "Prove that space {} is compact." if hard else "What is the capital of place {}?"
        rows.append(
            {
                "prompt": prompt.format(chance.randrange(40)),
                "task": "open_qa",
                "requested": "large",
                "candidate": "small",
                "q": {"large": 1, "small": cheap},
            }
        )
    return rows


def test_a_model_that_beats_the_table_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "deep" / "fitted.json"
    arguments = ["routes", "fit", "--data", write(folder / "d.jsonl", labelled(600)), "--out", str(out)]
    assert main([*arguments, "--route", "auto", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["decision"] == "on"
    assert told["kept"] > told["kept_by_table"]
    assert told["at_least"] >= 0.9
    (fitted,) = load(out)
    assert (fitted.requested, fitted.candidate, fitted.threshold) == ("large", "small", told["threshold"])
    assert out.stat().st_mode & 0o777 == 0o600
    assert b"capital" not in out.read_bytes()
    assert main([*arguments, "--floor", "0.9"]) == 0
    assert "the table of tasks keeps" in capsys.readouterr().out


def test_a_model_that_does_not_is_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "fitted.json"
    data = write(folder / "d.jsonl", labelled(600, useful=False))
    # So high a floor that not even a handful of calls may move: else chance would have a say here.
    arguments = ["routes", "fit", "--data", data, "--out", str(out), "--floor", "0.999"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "no share of calls is proven to keep the floor" in told
    assert "the per-prompt model stays off" in told
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["decision"] == "off"
    few = write(folder / "f.jsonl", labelled(100))
    assert main(["routes", "fit", "--data", few, "--out", str(out)]) == 0
    assert "at least 500 are needed" in capsys.readouterr().out
    assert not out.exists()


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "the file has no rows"),
        ([{"prompt": "p", "requested": "a", "candidate": "b"}], "needs the outcomes of both models"),
        ([{"prompt": "p", "q": {"cheap": 1, "requested": 1}}], "name the models"),
    ],
)
def test_data_that_cannot_be_fitted_is_told(
    rows: list[Any], text: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["routes", "fit", "--data", write(folder / "d.jsonl", rows)]) == 1
    assert text in capsys.readouterr().err
