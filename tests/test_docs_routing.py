"""The examples of the guide to routing work as they stand."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from gateway import config, plugins, rehearsal
from gateway.contracts import Tags
from gateway.names import Slug
from gateway.routers.by_task import When
from tests.routers.questions import among, question

TEXT = (Path(__file__).parent.parent / "docs" / "routing.md").read_text("utf-8")
URL = {"use": "compatible", "base_url": "https://llama.example/v1", "api_key": "sk-x"}
PROVIDERS: dict[str, Any] = {
    **{name: {"api_key": "sk-x"} for name in ("openai", "anthropic", "gemini", "groq")},
    **dict.fromkeys(("one", "two", "three"), URL),
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", blocks("toml"))
async def test_every_example_is_a_configuration_without_a_mistake(block: str) -> None:
    await rehearsal.try_out(config.parse({"providers": PROVIDERS} | tomllib.loads(block), "guide", {}))


def test_the_policy_to_copy_works() -> None:
    [block] = blocks("python")
    space: dict[str, Any] = {"__name__": "guide"}
    exec(block, space)
    kind = space["ByTier"]
    table = {"paying": ["c1"], "good": "a", "usual": "b"}
    policy = kind(config.parse_options(kind.Config, table, "guide"))
    paying = question(among("a", "b"), tags=Tags(customer=Slug("c1")))
    assert policy.plan(paying).order == policy.targets() == ("a", "b")
    assert policy.plan(question(among("b"))).order == ("b",)


def test_every_policy_and_every_test_of_a_rule_is_told() -> None:
    for field in fields(When):
        assert f"`{field.name}`" in TEXT, field.name
    for name in ("fixed", "fallback", "weighted", "cheapest", "fastest", "least_busy", "sticky", "by_task"):
        assert f"**`{name}`**" in TEXT
        assert name in plugins.find("gateway.routers")
