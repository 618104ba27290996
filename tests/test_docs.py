"""The documents agree with the code: error codes, commands, entry points, stages and files."""

import argparse
import re
from configparser import ConfigParser
from pathlib import Path

import pytest

from gateway.commands import adders
from gateway.errors import CODES, PUBLIC

ROOT = Path(__file__).parent.parent


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_every_error_code_is_documented_with_its_status_and_its_sentence() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| `(\w+)` \| (.+) \|$", text("docs/errors.md"), re.MULTILINE)
    assert {code: (int(status), sentence) for code, status, _, sentence in rows} == CODES
    assert {code: told for code, _, told, _ in rows if code != told} == PUBLIC


def test_what_clients_are_told_has_the_status_of_what_happened() -> None:
    for code, told in PUBLIC.items():
        assert CODES[code][0] == CODES[told][0], code


def test_every_command_is_documented() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for add in adders():
        add(commands, argparse.ArgumentParser(add_help=False))
    described = text("README.md") + text("docs/operations.md") + text("docs/providers.md")
    for name in commands.choices:
        assert f"gateway {name}" in described, name


def test_every_plugin_of_ours_is_documented() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for group, lines in setup["options.entry_points"].items():
        if group == "console_scripts":
            continue
        for line in lines.strip().splitlines():
            name = line.split("=")[0].strip()
            assert f"`{name}`" in text("docs/architecture.md"), name


def test_every_folder_of_the_core_is_in_the_plan_of_the_house() -> None:
    plan = text("docs/architecture.md")
    for folder in sorted((ROOT / "gateway").iterdir()):
        if folder.is_dir() and (folder / "__init__.py").exists():
            assert f"{folder.name}/" in plan, folder.name


@pytest.mark.parametrize(
    "name", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
)
def test_links_between_documents_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text(name)):
        assert ((ROOT / name).parent / link).exists(), link


def test_every_order_that_echo_takes_is_documented() -> None:
    rows = re.findall(
        r"^ {8}([a-z_, 0-9]+?) {2,}", (ROOT / "providers/echo/__init__.py").read_text(), re.MULTILINE
    )
    names = {name.strip() for row in rows for name in row.split(",")} - {"name", ""}
    assert len(names) > 20
    for name in names:
        assert f"`{name}`" in text("docs/echo.md"), name
