"""check warns of targets that a route names and will never fall back to."""

import json
from pathlib import Path

import pytest

from gateway.cli import main

HEAD = """
[providers.echo]
use = "echo"
needs_key = false
[models.cheap]
provider = "echo"
model = "echo-1"
price = { input = "1", output = "2" }
[models.dear]
provider = "echo"
model = "echo-2"
price = { input = "1", output = "9" }
"""
CANARY = '[routes.r]\nuse = "canary"\nstable = "dear"\ntrial = "cheap"\nsince = "2026-01-01"\n'
TASK = '[routes.r]\nuse = "by_task"\nrules = [{when = {tools = true}, to = "cheap"}]\notherwise = "dear"\n'
QUALITY = '[routes.r]\nuse = "quality"\ntargets = ["dear", "cheap"]\ndefault = "dear"\n'
LEFT_OUT = (
    "where cheap fails, dear will not be asked, as a call can cost more there; allow_costlier = true lets it"
)


def warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str], routes: str) -> list[str]:
    file = tmp_path / "gateway.toml"
    file.write_text(HEAD + routes)
    assert main(["check", "--json", "--config", str(file)]) == 0
    told: list[str] = json.loads(capsys.readouterr().out)["warnings"]
    return told


def fallback(*targets: str, more: str = "", name: str = "r") -> str:
    return f'[routes.{name}]\nuse = "fallback"\ntargets = {json.dumps(targets)}\n{more}'


@pytest.mark.parametrize(
    "routes",
    [
        fallback("cheap", "dear"),
        '[routes.r]\nuse = "cheapest"\ntargets = ["cheap", "dear"]\n',
        CANARY,
        TASK,
        QUALITY,
        fallback("inner") + fallback("cheap", "dear", name="inner", more="allow_costlier = true"),
    ],
)
def test_a_dearer_target_that_is_never_fallen_back_to_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], routes: str
) -> None:
    assert warnings(tmp_path, capsys, routes) == [f"routes.r: {LEFT_OUT}"]


@pytest.mark.parametrize(
    "routes",
    [
        fallback("dear", "cheap"),
        fallback("cheap", "dear", more="allow_costlier = true"),
        fallback("cheap", "dear", name="dear"),  # whoever names it may have it
        CANARY + "allow_costlier = true\n",
        QUALITY.replace('default = "dear"', ""),
    ],
)
def test_nothing_is_told_where_every_target_may_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], routes: str
) -> None:
    assert warnings(tmp_path, capsys, routes) == []


def test_a_chain_that_is_never_followed_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (told,) = warnings(tmp_path, capsys, fallback("cheap", more='on = { rate = ["dear"] }'))
    assert told.startswith("routes.r.on.rate: dear will not be asked")
