"""config.example.toml names every key with its default, and works as it stands."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from gateway import config, rehearsal
from gateway.config import Config

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "config.example.toml").read_text("utf-8")
SHOWN_AS_EXAMPLES = {"providers", "models", "routes"}


def keys(model: type[BaseModel], place: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= keys(kind, f"{place}{name}.")
        else:
            found.add(place + name)
    return found


def test_every_key_is_in_the_example() -> None:
    for key in keys(Config):
        if key in SHOWN_AS_EXAMPLES:
            assert f"[{key}." in TEXT
            continue
        table, _, name = key.rpartition(".")
        section = TEXT.split(f"[{table}]\n", 1)[1].split("\n[", 1)[0]
        assert f"\n{name} = " in f"\n{section}" or f"\n# {name} = " in f"\n{section}", key


def test_every_key_of_the_tables_with_names_is_in_the_example() -> None:
    for table in (config.ProviderTable, config.ModelTable, config.RouteTable):
        for name in table.model_fields:
            assert f"\n{name} = " in TEXT or f"\n# {name} = " in TEXT


def test_the_values_shown_are_the_defaults() -> None:
    tree = tomllib.loads(TEXT)
    for name in SHOWN_AS_EXAMPLES:
        del tree[name]
    tree["store"].pop("path")
    shown: Any = config.parse(tree, "example", {})
    assert shown == config.parse({}, "defaults", {})


async def test_the_example_can_be_served() -> None:
    await rehearsal.try_out(config.parse(tomllib.loads(TEXT), "example", {}))


async def test_the_starter_is_a_configuration_too() -> None:
    text = (ROOT / "gateway" / "starter.toml").read_text("utf-8")
    assert config.parse(tomllib.loads(text), "starter", {}) == config.parse({}, "defaults", {})
    plain = "\n".join(
        line.removeprefix("# ")
        for line in text.splitlines()
        if " = " in line or line.startswith(("[", "# ["))
    )
    await rehearsal.try_out(config.parse(tomllib.loads(plain), "starter", {}))
