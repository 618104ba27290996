"""Routes as they are written: policies inside each other, and every mistake with its place."""

from pathlib import Path
from typing import Any

import pytest

from gateway import cli, config, plugins
from gateway.contracts import Router
from gateway.names import Slug
from gateway.routes import DEEPEST, MOST_TARGETS, build, check_names
from gateway.upstreams.policy import Policy

Routes = dict[str, dict[str, Any]]


def made(routes: Routes, models: tuple[str, ...] = ()) -> tuple[dict[Slug, Policy], list[str]]:
    """Routes, and what is wrong with them."""
    tree = {"routes": routes, "models": {name: {"provider": "echo"} for name in models}}
    problems: list[str] = []
    parsed = config.parse(tree, "test", {})
    built = build(parsed, make, problems)
    if not problems:
        check_names(built, lambda name: name.startswith("m") or name in models, problems)
    return built, problems


def make(use: str, keys: dict[str, Any], place: str) -> Router:
    if use == "odd":
        return Odd(keys["how"])
    try:
        kind: Any = plugins.load("gateway.routers", use)
        router: Router = kind(config.parse_options(kind.Config, keys, place))
    except (plugins.PluginError, ValueError) as error:
        raise config.ConfigError([f"{place}: {error}"]) from None
    return router


class Odd:
    """A router whose targets are strange."""

    def __init__(self, how: str) -> None:
        self.how = how

    @property
    def by_prompt(self) -> str:
        return "canary"

    def targets(self) -> Any:
        if self.how == "raises":
            raise RuntimeError("canary")
        if self.how == "endless":
            return (f"m{number}" for number in iter(int, 1))
        if self.how == "many":
            return [f"m{number}" for number in range(MOST_TARGETS + 1)]
        return {"none": None, "words": ["two words"], "empty": []}[self.how]

    def plan(self, question: Any) -> Any:
        return None


def fallback(*targets: Any) -> dict[str, Any]:
    return {"use": "fallback", "targets": list(targets)}


def shape(policy: Policy) -> Any:
    """A policy as nested lists of its models."""
    return [shape(policy.parts[name]) if name in policy.parts else str(name) for name in policy.targets]


def good(routes: Routes, models: tuple[str, ...] = ()) -> dict[Slug, Policy]:
    built, problems = made(routes, models)
    assert problems == []
    return built


def wrong(routes: Routes, models: tuple[str, ...] = ()) -> list[str]:
    return made(routes, models)[1]


# --- nesting


def test_a_table_may_stand_where_a_target_stands() -> None:
    by_task = {
        "use": "by_task",
        "rules": [
            {"when": {"task": ["code"]}, "to": {"use": "cheapest", "targets": ["m1", "m2"]}},
            {"when": {"tools": True}, "to": "m3"},
        ],
        "otherwise": {"use": "fallback", "targets": ["m4", {"use": "fixed", "target": "m5"}]},
    }
    auto = good({"auto": by_task})[Slug("auto")]
    assert shape(auto) == [["m1", "m2"], "m3", ["m4", ["m5"]]]
    assert list(auto.leaves()) == ["m1", "m2", "m3", "m4", "m5"]
    assert [part.name for part in auto.parts.values()] == ["auto.1", "auto.2"]


def test_a_route_may_stand_in_another_by_its_name() -> None:
    built = good({"auto": fallback("m1", "cheap"), "cheap": fallback("m2", "m3")})
    assert shape(built[Slug("auto")]) == ["m1", ["m2", "m3"]]
    weighted = {"use": "weighted", "weights": {"cheap": 1, "m1": 2}}
    assert shape(good({"auto": weighted, "cheap": fallback("m2")})[Slug("auto")]) == [["m2"], "m1"]


def test_one_route_may_stand_in_several_places() -> None:
    routes = {
        "a": fallback("shared", "m1"),
        "b": fallback("m2", fallback("shared")),
        "shared": fallback("m3"),
    }
    built = good(routes)
    assert shape(built[Slug("a")]) == [["m3"], "m1"]
    assert shape(built[Slug("b")]) == ["m2", [["m3"]]]


def test_a_routes_own_name_inside_it_means_the_model() -> None:
    built = good({"m1": fallback("m1", "m2")})
    assert shape(built[Slug("m1")]) == ["m1", "m2"]
    inline = good({"m1": fallback("m2", fallback("m1"))})
    assert shape(inline[Slug("m1")]) == ["m2", ["m1"]]


def test_two_routes_with_names_of_models_may_stand_in_for_each_other() -> None:
    built = good({"m1": fallback("m1", "m2"), "m2": fallback("m2", "m1")})
    assert shape(built[Slug("m1")]) == ["m1", ["m2", "m1"]]
    assert shape(built[Slug("m2")]) == ["m2", ["m1", "m2"]]


def test_what_belongs_to_a_route_stays_with_it_inside_another() -> None:
    routes = {
        "auto": fallback("cheap", "m1") | {"baseline": "m1"},
        "cheap": fallback("m2") | {"baseline": "m3", "allow_costlier": True, "on": {"rate": ["m4"]}},
    }
    auto = good(routes)[Slug("auto")]
    assert (auto.baseline, auto.allow_costlier, dict(auto.on)) == ("m1", False, {})
    part = auto.parts[Slug("cheap")]
    assert (part.baseline, part.allow_costlier, dict(part.on)) == ("m3", True, {"rate": ("m4",)})


@pytest.mark.parametrize("inside", [0, 1, 2])
def test_a_wish_for_the_prompts_number_reaches_the_outermost(inside: int) -> None:
    table: dict[str, Any] = {"use": "sticky", "targets": ["m1", "m2"], "by": "prompt"}
    for _ in range(inside):
        table = fallback(table, "m3")
    assert good({"auto": table})[Slug("auto")].by_prompt
    assert not good({"auto": fallback("m1", {"use": "sticky", "targets": ["m2"]})})[Slug("auto")].by_prompt


def test_names_of_tables_keep_out_of_the_way_of_other_names() -> None:
    routes = {"auto": fallback(fallback("m1"), fallback("m2")), "auto.1": fallback("m3")}
    auto = good(routes, models=("auto.2",))[Slug("auto")]
    assert shape(auto) == [["m1"], ["m2"]]
    assert auto.parts.keys().isdisjoint({"auto.1", "auto.2"})


def test_a_route_with_the_longest_name_may_have_a_table() -> None:
    assert shape(good({"r" * 128: fallback(fallback("m1"))})[Slug("r" * 128)]) == [["m1"]]


def test_a_target_that_comes_twice_through_a_plugin_counts_once() -> None:
    rules = [{"when": {"tools": value}, "to": "m1"} for value in (True, False)]
    built = good({"auto": {"use": "by_task", "rules": rules, "otherwise": "m1"}})
    assert built[Slug("auto")].targets == ("m1",)


# --- mistakes


def test_a_mistake_inside_is_told_with_its_place() -> None:
    rules = [
        {"when": {"tools": True}, "to": "m1"},
        {"when": {"images": True}, "to": {"use": "cheapest", "target": ["m1"]}},
    ]
    told = wrong({"auto": {"use": "by_task", "rules": rules, "otherwise": fallback("m1", {"use": "fxied"})}})
    assert told[0] == 'routes.auto.rules.1.to.target: unknown key. Did you mean "targets"?'
    assert told[1] == "routes.auto.rules.1.to.targets: is missing."
    assert told[2].startswith("routes.auto.otherwise.targets.1: gateway.routers: no plugin is called fxied")
    assert len(told) == 3


def test_what_belongs_to_routes_is_refused_inside() -> None:
    inner = fallback("m1") | {"baseline": "m1", "on": {}, "allow_costlier": True, "targetz": []}
    assert wrong({"auto": fallback("m2", inner)}) == [
        "routes.auto.targets.1.allow_costlier: belongs to the table of a route, not to a policy inside it",
        "routes.auto.targets.1.baseline: belongs to the table of a route, not to a policy inside it",
        "routes.auto.targets.1.on: belongs to the table of a route, not to a policy inside it",
        'routes.auto.targets.1.targetz: unknown key. Did you mean "targets"?',
    ]


def test_a_policy_without_a_name_is_told() -> None:
    assert wrong({"auto": fallback({"use": 5, "targets": []})}) == [
        "routes.auto.targets.0.use: is the name of a policy, in quotes"
    ]


def test_the_mistakes_of_a_route_that_stands_in_others_are_told_once() -> None:
    routes = {"a": fallback("bad", "m1"), "b": fallback("bad"), "bad": fallback("m1", "m1")}
    assert wrong(routes) == ["routes.bad: targets.1: m1 comes twice"]
    routes = {"a": fallback("bad", "m1"), "b": fallback("bad"), "bad": fallback("x")}
    assert wrong(routes) == ["routes.bad: no configured provider serves the model x"]


@pytest.mark.parametrize(
    ("routes", "problems"),
    [
        ({"a": fallback("a")}, ["routes.a: leads back to itself (a > a), and no model has its name"]),
        (
            {"a": fallback("b"), "b": fallback("m1", fallback("a"))},
            [
                "routes.a: leads back to itself (a > b > a), and no model has its name",
                "routes.b: leads back to itself (b > a > b), and no model has its name",
            ],
        ),
        (
            {"a": fallback("b"), "b": fallback("c"), "c": fallback("b", "m1")},
            [
                "routes.b: leads back to itself (b > c > b), and no model has its name",
                "routes.c: leads back to itself (c > b > c), and no model has its name",
            ],
        ),
    ],
)
def test_a_route_that_leads_back_to_itself_is_told(routes: Routes, problems: list[str]) -> None:
    assert wrong(routes) == problems


def test_names_that_lead_nowhere_are_told_wherever_they_stand() -> None:
    routes = {
        "auto": fallback("m1", fallback("x"))
        | {"baseline": "cheap", "on": {"rate": ["y", "m1"], "server": ["y"]}},
        "cheap": fallback("m1"),
    }
    assert wrong(routes) == [
        "routes.auto: no configured provider serves the model x",
        "routes.auto: no configured provider serves the model y",
        "routes.auto: no configured provider serves the model cheap; a route cannot stand here",
    ]


def nested(levels: int) -> dict[str, Any]:
    table = fallback("m1")
    for _ in range(levels - 1):
        table = fallback(table)
    return table


def test_policies_may_stand_in_each_other_to_a_bound() -> None:
    assert good({"auto": nested(DEEPEST)})
    [told] = wrong({"auto": nested(DEEPEST + 1)})
    place = ".targets.0" * DEEPEST
    assert told == f"routes.auto{place}: more than {DEEPEST} policies stand inside each other"
    chain = {f"r{n}": fallback(f"r{n + 1}") for n in range(DEEPEST)} | {f"r{DEEPEST}": fallback("m1")}
    assert wrong(chain) == [f"routes.r{DEEPEST}: more than {DEEPEST} policies stand inside each other"]


def test_routes_that_multiply_end_in_an_error_and_quickly() -> None:
    names = [f"r{n}" for n in range(40)]
    routes = {name: fallback("m1", *(other for other in names if other != name)) for name in names}
    assert any(one == "routes: more than 5000 policies, nested ones included" for one in wrong(routes))


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ("raises", "routes.auto: its targets cannot be told (RuntimeError)"),
        ("none", "routes.auto: its targets cannot be told (TypeError)"),
        ("words", "routes.auto: its targets cannot be told (ValueError)"),
        ("empty", "routes.auto: names no target"),
        ("endless", f"routes.auto: names more than {MOST_TARGETS} targets"),
        ("many", f"routes.auto: names more than {MOST_TARGETS} targets"),
    ],
)
def test_a_router_whose_targets_are_strange_is_told(how: str, problem: str) -> None:
    assert wrong({"auto": {"use": "odd", "how": how}}) == [problem]


def test_check_shows_the_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        """
[routes.auto]
use = "by_task"
rules = [{ when = { tusk = ["code"] }, to = { use = "cheapest", targets = ["echo-1"], baseline = "echo-1" } }]
otherwise = "loop"

[routes.loop]
use = "fallback"
targets = []
"""
    )
    assert cli.main(["check", "--config", str(file)]) == 2
    told = capsys.readouterr().err.splitlines()
    for problem in (
        "routes.auto.rules.0.to.baseline: belongs to the table of a route, not to a policy inside it",
        'routes.auto.rules.0.when.tusk: unknown key. Did you mean "task"?',
        "routes.loop: targets: name at least one model, provider/model or policy",
    ):
        assert any(line.endswith(problem) for line in told), (problem, told)
    assert all(line.startswith(str(file)) for line in told)
