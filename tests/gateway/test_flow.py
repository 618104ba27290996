"""What a configuration makes: all its mistakes at once, names that lead somewhere, keys where they belong."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import config, flow
from gateway.clock import SystemClock
from gateway.config import ConfigError
from gateway.content import Content, Purpose, Secret
from gateway.contracts import Call, Shape
from gateway.flow import Flow, Lasting
from gateway.names import Slug
from gateway.records import PathKind
from gateway.upstreams.pool import Credential

OPENAI = {"openai": {"api_key": "sk-literal"}}


def lasting(**changes: Any) -> Lasting:
    """Nothing that a flow needs before its first call."""
    nothing: Any = None
    made = Lasting(
        clock=SystemClock(),
        directory=nothing,
        ledger=nothing,
        journal=nothing,
        keep=nothing,
        observers=(),
        exit=nothing,
        stored=lambda name, host: [],
    )
    return replace(made, **changes)


def build(tree: dict[str, Any], **changes: Any) -> Flow:
    return flow.build(config.parse(tree, "test", {}), lasting(**changes))


def problems(tree: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        build(tree)
    return refusal.value.problems


def test_without_a_configuration_there_is_echo_with_a_price() -> None:
    made = build({})
    found = made.catalogue.resolve("echo-1")
    assert found is not None
    target, asked = found
    assert (target.name, asked) == ("echo/echo-1", "echo-1")
    assert target.price is not None


def test_every_mistake_is_told_at_once_with_its_place() -> None:
    told = problems(
        {
            "providers": {
                "openai": {"base_url": "ftp://nowhere", "no_such_key": 1},
                "other": {"use": "no-such-plugin"},
                "local": {"use": "compatible"},
            },
            "models": {"mine": {"provider": "nobody"}},
            "routes": {"auto": {"use": "fixed"}, "cheap": {"use": "no-such-router"}},
            "classify": {"use": ["no-such-classifier"]},
        }
    )
    for expected in (
        "providers.openai.no_such_key: unknown key",
        "providers.other: gateway.providers: no plugin is called no-such-plugin",
        "providers.local.base_url: is missing",
        "models.mine.provider: no such provider is configured",
        "routes.auto.target: is missing",
        "routes.cheap: gateway.routers: no plugin is called no-such-router",
        "classify.no-such-classifier: gateway.classifiers: no plugin is called",
    ):
        assert any(one.startswith(expected) for one in told), expected


def test_a_route_to_a_model_that_nobody_serves_is_told() -> None:
    routes = {"auto": {"use": "fallback", "targets": ["echo-1", "no-such-model"]}}
    assert problems({"routes": routes}) == [
        "routes.auto: no configured provider serves the model no-such-model"
    ]


@pytest.mark.parametrize("targets", [["two words"], [""], []])
def test_a_route_whose_targets_are_no_names_is_told(targets: list[str]) -> None:
    [problem] = problems({"routes": {"auto": {"use": "fallback", "targets": targets}}})
    assert problem.startswith("routes.auto: ")
    assert "two words" not in problem


@pytest.mark.parametrize(
    "price", [{"input": "cheap"}, {"inptu": "1"}, {"input": -1}, {"input": "1", "output": "1e999"}]
)
def test_a_price_that_is_none_is_told_and_not_quoted(price: dict[str, Any]) -> None:
    told = problems({"models": {"mine": {"provider": "echo", "price": price}}})
    assert all(one.startswith("models.mine.price") for one in told)
    assert "cheap" not in "".join(told)


def test_a_model_of_ones_own_has_its_own_name_and_price() -> None:
    made = build(
        {
            "providers": OPENAI,
            "models": {
                "mine": {"provider": "openai", "model": "gpt-4o-mini", "price": {"input": "7", "output": "9"}}
            },
        }
    )
    found = made.catalogue.resolve("mine")
    assert found is not None
    target = found[0]
    assert (target.name, target.model) == ("openai/gpt-4o-mini", "gpt-4o-mini")
    assert target.price is not None
    assert (target.price.input_rate, target.price.output_rate) == (7_000_000, 9_000_000)


def test_keys_come_from_the_configuration_or_else_from_the_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("sk-file\n")
    monkeypatch.setenv("SOME_KEY", "sk-variable")
    monkeypatch.delenv("NO_KEY", raising=False)
    asked: list[tuple[str, str]] = []

    def stored(name: Slug, host: str) -> list[Credential]:
        asked.append((name, host))
        return [Credential(Slug(f"{name}/7"), lambda: Secret("sk-stored"))]

    made = build(
        {
            "providers": {
                "openai": {"api_key": {"env": "SOME_KEY"}, "api_keys": [{"file": str(tmp_path / "key")}]},
                "groq": {"api_key": {"env": "NO_KEY"}},
                "anthropic": {},
            }
        },
        stored=stored,
    )
    keys = {
        loaded.name: [one.reveal().open(Purpose.AUTH) for one in loaded.credentials]
        for loaded in made.pool.all()
    }
    assert keys == {
        "echo": ["sk-stored"],
        "openai": ["sk-variable", "sk-file"],
        "groq": ["sk-stored"],
        "anthropic": ["sk-stored"],
    }
    assert ("anthropic", "api.anthropic.com") in asked


def test_changed_keys_of_the_store_reach_only_providers_without_a_key_of_their_own() -> None:
    made = build({"providers": {**OPENAI, "anthropic": {}}})
    fresh = [Credential(Slug("x/1"), lambda: Secret("sk-fresh"))]
    flow.refresh_credentials(made, lasting(stored=lambda name, host: fresh))
    keys = {str(loaded.name): [one.id for one in loaded.credentials] for loaded in made.pool.all()}
    assert keys["anthropic"] == ["x/1"]
    assert keys["openai"] == ["openai/1"]


def test_what_is_held_follows_the_configured_bounds() -> None:
    call = Call(
        dialect=Slug("openai_chat"), kind=PathKind.CHAT, model="echo-1", stream=False,
        body=Content(b"{}"), shape=Shape(body_bytes=100),
    )  # fmt: skip
    price = {"input": "0", "output": "1"}
    tree = {"models": {"mine": {"provider": "echo", "model": "own", "price": price}}}
    held = []
    for most in (1_000, 2_000):
        made = build({**tree, "limits": {"max_output_tokens": most}})
        found = made.catalogue.resolve("mine")
        assert found is not None
        held.append(made.measure(call, found[0]))
    assert held == [1_000_000, 2_000_000]


def test_two_flows_share_nothing_that_changes() -> None:
    one, other = build({"providers": OPENAI}), build({"providers": OPENAI})
    assert one.pool is not other.pool
    assert {id(loaded) for loaded in one.pool.all()}.isdisjoint(id(loaded) for loaded in other.pool.all())
