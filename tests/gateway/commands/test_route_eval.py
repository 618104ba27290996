"""route-eval: what it takes in, what it decides, and what it says of lines it cannot use."""

import gzip
import io
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.commands.desk import CommandError
from gateway.commands.route_eval import Row, decisions, read_rows

EASY, HARD = "What is the capital of place {}?", "Prove that every space {} is compact."


def feedback(count: int = 300) -> list[dict[str, Any]]:
    chance = random.Random(3)
    rows = []
    for place in range(count):
        hard = chance.random() < 0.5
        cheap = int(not hard or chance.random() < 0.2)
        prompt = (HARD if hard else EASY).format(chance.randrange(30))
        rows.append({"id": f"f{place}", "prompt": prompt, "q": {"cheap": cheap, "requested": 1}})
    return rows


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


ASKED = [{"id": "a", "prompt": EASY.format(3)}, {"id": 7, "prompt": HARD.format(3)}]


def answers(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_prompts_are_decided_by_the_feedback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known, asked = write(tmp_path / "f.jsonl", feedback()), write(tmp_path / "p.jsonl", ASKED)
    assert main(["route-eval", "--feedback", known, "--prompts", asked]) == 0
    easy, hard = answers(capsys.readouterr().out)
    assert (easy["id"], easy["use"], hard["id"], hard["use"]) == ("a", "cheap", 7, "requested")
    assert 1 >= easy["p_ok"] > 0.85 > 0.5 > hard["p_ok"] >= 0


def test_decisions_can_go_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known, asked = write(tmp_path / "f.jsonl", feedback()), write(tmp_path / "p.jsonl", ASKED)
    out = tmp_path / "out.jsonl"
    assert main(["route-eval", "--feedback", known, "--prompts", asked, "--out", str(out)]) == 0
    assert [row["use"] for row in answers(out.read_text())] == ["cheap", "requested"]
    assert capsys.readouterr().out == ""


class Stream:
    """Standard input."""

    def __init__(self, rows: list[Any]) -> None:
        self.buffer = io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())


def test_one_stream_holds_both(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", Stream([*ASKED, *feedback()]))
    assert main(["route-eval"]) == 0
    assert [row["use"] for row in answers(capsys.readouterr().out)] == ["cheap", "requested"]


def test_prompts_may_come_by_the_stream_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Stream(ASKED))
    assert main(["route-eval", "--feedback", write(tmp_path / "f.jsonl", feedback())]) == 0
    assert [row["use"] for row in answers(capsys.readouterr().out)] == ["cheap", "requested"]


def test_without_feedback_the_requested_model_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = write(tmp_path / "p.jsonl", [{**row, "q": {"cheap": 1, "requested": 1}} for row in ASKED])
    assert main(["route-eval", "--prompts", asked]) == 0
    found = answers(capsys.readouterr().out)
    assert [(row["p_ok"], row["use"]) for row in found] == [(0.5, "requested")] * 2


def test_packed_files_and_lists_are_read_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = tmp_path / "f.jsonl.gz"
    known.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in feedback()).encode()))
    asked = tmp_path / "p.json"
    asked.write_text(json.dumps(ASKED))
    assert main(["route-eval", "--feedback", str(known), "--prompts", str(asked)]) == 0
    assert [row["use"] for row in answers(capsys.readouterr().out)] == ["cheap", "requested"]


def row(tree: dict[str, Any], names: tuple[str, str] = ("", "")) -> Row:
    (found,) = read_rows([json.dumps(tree).encode(), b" "], names)
    return found


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        ({"q": {"cheap": 0.5, "requested": 1}}, ("", "")),
        ({"cheap": 0.5, "requested": True}, ("", "")),
        ({"outcomes": {"weak": 0.5, "strong": 1}}, ("", "")),
        ({"q": {"small-1": 0.5, "large-1": 1, "third": 0}}, ("small-1", "large-1")),
        ({"q": {"small-1": 0.5, "large-1": 1}, "cheap": "small-1", "requested": "large-1"}, ("", "")),
        ({"score_candidate": 0.5, "score_requested": 1}, ("", "")),
        ({"q_cheap": 0.5, "q_requested": 1}, ("", "")),
        ({"served_as_well": 0.5}, ("", "")),
    ],
)
def test_outcomes_are_found_in_many_places(tree: dict[str, Any], names: tuple[str, str]) -> None:
    assert row({"prompt": "p", **tree}, names).outcomes == (0.5, 1.0)


@pytest.mark.parametrize(
    "tree", [{}, {"q": {"cheap": 1}}, {"q": {"cheap": "good", "requested": "bad"}}, {"cheap": None}]
)
def test_half_an_outcome_is_none(tree: dict[str, Any]) -> None:
    assert row({"prompt": "p", **tree}).outcomes is None


def test_prompts_are_texts_or_messages() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "image"}, 7]
    messages = [{"role": "system", "content": "zero"}, {"role": "user", "content": parts}]
    assert row({"messages": messages}).prompt == "zero\none"
    assert row({"question": "why"}).prompt == "why"
    assert (row({"prompt": "p", "task": "chat"}).group, row({"prompt": "p"}).id) == ("chat", 1)


@pytest.mark.parametrize(
    ("line", "text"),
    [(b"{", "is not JSON"), (b"[1]", "an object is expected"), (b"{}", "has no prompt")],
)
def test_a_line_that_cannot_be_used_is_told_and_not_quoted(
    line: bytes, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match=text):
        read_rows([line], ("", ""))
    (tmp_path / "p.jsonl").write_bytes(b'{"prompt": "canary"}\n' + line)
    assert main(["route-eval", "--prompts", str(tmp_path / "p.jsonl")]) == 1
    assert f"line 2: {text}" in capsys.readouterr().err


def test_each_pair_learns_from_its_own_feedback() -> None:
    known = read_rows(
        [
            json.dumps({**one, "cheap": name, "requested": "large", "q": {name: value, "large": 1}}).encode()
            for one in feedback(100)
            for name, value in (("good", 1), ("bad", 0))
        ],
        ("", ""),
    )
    rows = [
        Row(id=name, prompt=EASY.format(3), group="", pair=(name, "large"), outcomes=None)
        for name in ("good", "bad", "other")
    ]
    found = decisions(known, rows, 0.9, 0.9)
    assert [one["use"] for one in found] == ["cheap", "requested", "requested"]


def named(row: dict[str, Any]) -> tuple[float, float]:
    return row["q"]["cheap"], row["q"]["requested"]


FORMS = {
    "flat": lambda row: dict(zip(("cheap", "requested"), named(row), strict=True)),
    "before": lambda row: dict(zip(("outcome_cheap", "outcome_requested"), named(row), strict=True)),
    "after": lambda row: dict(zip(("cheap_correct", "requested_ok"), map(bool, named(row)), strict=True)),
    "objects": lambda row: {
        "cheap": {"model": "a", "q": named(row)[0]}, "requested": {"model": "b", "q": named(row)[1]},
    },
    "list": lambda row: {"cheap": "a", "requested": "b", "outcome": list(named(row))},
    "names": lambda row: {"cheap": "a", "requested": "b", "q": {"a": named(row)[0], "b": named(row)[1]}},
    "by price": lambda row: {"q": {"gpt-4o-mini": named(row)[0], "gpt-4o": named(row)[1]}},
    "as well": lambda row: {"served_as_well": int(named(row)[0] >= named(row)[1])},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_outcomes_may_stand_in_many_forms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    known = [{"prompt": row["prompt"], **FORMS[form](row)} for row in feedback()]
    paths = write(tmp_path / "f.jsonl", known), write(tmp_path / "p.jsonl", ASKED)
    assert main(["route-eval", "--feedback", paths[0], "--prompts", paths[1]]) == 0
    assert [row["use"] for row in answers(capsys.readouterr().out)] == ["cheap", "requested"]


@pytest.mark.parametrize("packed", [False, True])
def test_one_document_may_hold_both(tmp_path: Path, capsys: pytest.CaptureFixture[str], packed: bool) -> None:
    known = [{"prompt": row["prompt"], "q": {"a": named(row)[0], "b": named(row)[1]}} for row in feedback()]
    asked = [ASKED[0] | {"q": {"a": 0, "b": 1}}, ASKED[1]["prompt"]]
    document = json.dumps({"cheap": "a", "requested": "b", "feedback": known, "prompts": asked}, indent=1)
    path = tmp_path / "both.json"
    path.write_bytes(gzip.compress(document.encode()) if packed else document.encode())
    assert main(["route-eval", str(path)]) == 0
    found = answers(capsys.readouterr().out)
    assert [row["use"] for row in found] == ["cheap", "requested"]
    assert found[0]["id"] == "a"


def test_feedback_without_outcomes_is_refused_rather_than_ignored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = [{"prompt": row["prompt"], "q": {"x": 1, "y": 0, "z": 0}} for row in feedback(70)]
    paths = write(tmp_path / "f.jsonl", known), write(tmp_path / "p.jsonl", ASKED)
    assert main(["route-eval", "--feedback", paths[0], "--prompts", paths[1]]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "--cheap and --requested" in told.err


@pytest.mark.parametrize("option", [("--floor", "7"), ("--floor", "0"), ("--confidence", "0.2")])
def test_shares_out_of_range_are_wrong_usage(option: tuple[str, str], tmp_path: Path) -> None:
    assert main(["route-eval", write(tmp_path / "p.jsonl", ASKED), *option]) == 2
