"""gateway classify: an object for each line, in order, and a clear word for lines that cannot be read."""

import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gateway import cli
from gateway.commands import classify


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Any:
    config = tmp_path / "gateway.toml"
    config.write_text("")

    def run(*lines: bytes) -> tuple[int, list[dict[str, Any]]]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n".join(lines))))
        code = cli.main(["--config", str(config), "classify"])
        return code, [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]

    run.config = config  # type: ignore[attr-defined]
    return run


def line(text: str, **more: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text}], **more}).encode()


def test_each_line_gets_its_label_with_all_scores(ask: Any) -> None:
    code, (first, second) = ask(
        line("Translate into French: good morning", id="a"), line("Write a poem about rain", id=7)
    )
    assert code == 0
    assert (first["id"], first["label"]) == ("a", "translation")
    assert (second["id"], second["label"]) == (7, "writing")
    assert len(first["scores"]) == 13
    assert sum(first["scores"].values()) == pytest.approx(1, abs=1e-3)
    assert first["confidence"] == pytest.approx(max(first["scores"].values()), abs=1e-3)


@pytest.mark.parametrize("tools", [1, 3, [{"type": "function"}]])
def test_rows_with_tools_are_told_by_their_shape(ask: Any, tools: Any) -> None:
    _, (row,) = ask(line("Translate into French: good morning", id="a", tools=tools))
    assert row == {"id": "a", "label": "tool_use", "confidence": 1.0, "scores": {"tool_use": 1.0}}


@pytest.mark.parametrize("tools", [0, [], None])
def test_no_tools_are_no_tools(ask: Any, tools: Any) -> None:
    _, (row,) = ask(line("Translate into French: good morning", tools=tools))
    assert (row["id"], row["label"]) == (1, "translation")


def test_a_line_that_cannot_be_read_is_told_and_the_rest_goes_on(ask: Any) -> None:
    code, rows = ask(
        b"{no json",
        b"[]",
        b'{"id":"x","messages":"secret words"}',
        b'{"id":"y"}',
        b'{"id":"z","messages":[{"role":"user","content":"hi"}],"tools":"secret words"}',
        b"",
        line("Write a poem about rain", id="good"),
    )
    assert code == 1
    assert [row["id"] for row in rows] == [1, 2, "x", "y", "z", "good"]
    assert ["error" in row for row in rows] == [True, True, True, True, False, False]
    assert "secret" not in json.dumps(rows)


def test_a_call_without_a_users_text_is_other(ask: Any) -> None:
    code, (row,) = ask(b'{"id":1,"messages":[{"role":"assistant","content":"a"}]}')
    assert (code, row) == (0, {"id": 1, "label": "other", "confidence": 0.0, "scores": {"other": 0.0}})


def test_the_configured_classifiers_are_asked(ask: Any) -> None:
    ask.config.write_text('[classify]\nuse = ["shape"]\n')
    assert ask(line("Write a poem about rain"))[1][0]["label"] == "other"
    ask.config.write_text('[classify]\nuse = ["missing"]\n')
    assert ask(line("Write a poem about rain"))[0] == 2


def test_a_line_that_is_far_too_long_is_passed_over(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify, "MOST_LINE_BYTES", 200)
    code, rows = ask(line("x" * 1000, id="long"), line("Write a poem about rain", id="short"))
    assert code == 1
    assert rows[0] == {"id": 1, "error": "longer than 64 MiB"}
    assert rows[1]["id"] == "short"


def test_a_thousand_lines_take_no_more_than_seconds(ask: Any) -> None:
    begun = time.perf_counter()
    code, rows = ask(*(line(f"Write a poem about the number {number}") for number in range(1000)))
    assert (code, len(rows)) == (0, 1000)
    assert time.perf_counter() - begun < 3


def test_a_prompt_may_stand_for_messages_and_a_mark_before_the_file(ask: Any) -> None:
    code, (row,) = ask(b"\xef\xbb\xbf" + b'{"id":1,"prompt":"Translate into French: good morning"}')
    assert (code, row["label"]) == (0, "translation")
