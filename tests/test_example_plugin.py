"""A package of somebody else's: installed by pip, found, tried by the kit, served with, and isolated."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway import config, plugins, rehearsal
from gateway.config import ConfigError
from tests.installation import Installation
from tests.process import Process
from tests.upstream import Upstream

SOURCE = Path(__file__).parent / "example_plugin"
GROUPS = {"acme": "providers", "by-task": "routers", "code": "classifiers", "teed": "stores"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the sample package."""
    folder = tmp_path_factory.mktemp("sample")
    shutil.copytree(SOURCE, folder / "source")
    words = ["install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
    program = [sys.executable, "-m", "pip", *words, "--target", str(folder / "site"), str(folder / "source")]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def process(folder: Path, site: Path, tree: dict[str, Any]) -> Process:
    """A gateway in whose environment the package is installed."""
    return Process(folder, tree, {"PYTHONPATH": str(site)})


async def test_it_is_listed_with_its_package_and_version_without_being_imported(
    installed: Path, tmp_path: Path
) -> None:
    gateway = process(tmp_path / "one", installed, {})
    gateway.write()
    code, out, _ = await gateway.run("plugins", "--json")
    assert code == 0
    listed = {row["name"]: row for row in json.loads(out)["plugins"] if row["package"] == "tollgate-example"}
    assert {name: row["group"] for name, row in listed.items()} == {
        name: f"gateway.{group}" for name, group in GROUPS.items()
    }
    assert {row["version"] for row in listed.values()} == {"1.2.3"}
    assert {name for name, row in listed.items() if row["opens_content"]} == {"acme", "code"}
    look = (
        "import sys; from gateway.cli import main; main(['plugins']); main(['check'])\n"
        "sys.exit(any(name.startswith('tollgate_example') for name in sys.modules))"
    )
    assert await gateway.python(look) == 0


async def test_the_kit_finds_nothing_in_its_provider(installed: Path, tmp_path: Path) -> None:
    gateway = process(tmp_path / "one", installed, {})
    gateway.write()
    code, out, err = await gateway.run("adapter-test", "acme")
    assert (code, err) == (0, "")
    assert out.strip().endswith("scripts, 0 findings")


async def test_it_keeps_the_contracts_that_ours_keep(installed: Path, tmp_path: Path) -> None:
    gateway = process(tmp_path / "one", installed, {})
    gateway.write()
    words = ["contracts", "-q", "-p", "no:cacheprovider", "-n", "0", "--rootdir", "..", "-c", "../setup.cfg"]
    text = f"""
import os, sys, pytest

class Ours:
    def pytest_collection_modifyitems(self, items):
        chosen = [item for item in items if hasattr(item, "callspec")
                  and not {set(GROUPS)!r}.isdisjoint(map(str, item.callspec.params.values()))]
        items[:] = chosen
        assert len(chosen) > 40

os.environ.pop("PYTEST_ADDOPTS", None)  # what the outer run was asked for is not for this one
os.chdir({str(Path(__file__).parent)!r})
sys.exit(pytest.main({words!r}, plugins=[Ours()]))
"""
    assert await gateway.python(text) == 0


async def test_a_call_passes_through_its_provider_router_classifier_and_store(
    installed: Path, tmp_path: Path
) -> None:
    async with Upstream() as upstream:
        tree = {
            "store": {"use": "teed", "lines": str(tmp_path / "records.jsonl")},
            "providers": {
                "acme": {
                    "base_url": upstream.openai,
                    "workspace": "blue",
                    "api_key": "sk-of-acme",
                    "allow_private": True,
                }
            },
            "models": {"coder": {"provider": "acme", "price": {"input": "3", "output": "15"}}},
            "routes": {"auto": {"use": "by-task", "tasks": ["code"], "special": "coder", "usual": "echo-1"}},
            "classify": {"use": ["code"]},
        }
        async with process(tmp_path / "one", installed, tree) as gateway:
            upstream_key = {"x-acme-key": "sk-of-acme", "x-acme-workspace": "blue"}
            _, _, usual = await gateway.ask("Hello", model="auto")
            status, body, special = await gateway.ask("```x = 1```", model="auto", stream=True)
    assert (usual["x-gateway-model"], usual["x-gateway-route"]) == ("echo/echo-1", "task_usual")
    assert status == 200, body
    assert b"[DONE]" in body
    assert (special["x-gateway-model"], special["x-gateway-route"]) == ("acme/coder", "task_special")
    assert special["x-gateway-task"] == "code"
    [received] = upstream.requests
    assert {name: received.header(name) for name in upstream_key} == upstream_key
    assert received.json["model"] == "coder"
    lines = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert [line["model_routed"] for line in lines] == ["echo/echo-1", "acme/coder"]
    assert [record.cost_nanos for record in await gateway.records()] == [line["cost_nanos"] for line in lines]
    assert lines[1]["usage_source"] == "reported"
    assert "x = 1" not in (tmp_path / "records.jsonl").read_text()


# --- packages that misbehave ---------------------------------------------------------------------

ROGUE = """
from dataclasses import dataclass
import pathlib, time

pathlib.Path(__file__).with_suffix(".imported").touch()

class Rogue:
    @dataclass
    class Config:
        targets: tuple[str, ...] = ("echo-1",)
        answer: str = ""

    def __init__(self, config):
        self.config = config

class Router(Rogue):
    def targets(self):
        return self.config.targets

    def plan(self, question):
        match self.config.answer:
            case "raises":
                raise RuntimeError("canary-text")
            case "sleeps":
                time.sleep(0.2)
            case "text":
                return "canary-text"
            case "unknown":
                from gateway.contracts import Choice
                return Choice(order=("canary/text", {}), reason="canary text")
            case "reason":
                from gateway.contracts import Choice
                return Choice(order=self.config.targets, reason="canary text, not a name")
            case "many":
                from gateway.contracts import Choice
                return Choice(order=self.config.targets * 1000, reason="many")

class NoTargets(Router):
    def targets(self):
        raise RuntimeError("canary-text")

class Raises(Rogue):
    def labels(self, call):
        raise RuntimeError("canary-text")

class Text(Rogue):
    def labels(self, call):
        return "canary-text"

class Sentence(Rogue):
    def labels(self, call):
        from gateway.contracts import Labels
        return Labels(task="canary text, not a name", confidence=900, classifier="me")

class Number(Rogue):
    def labels(self, call):
        from gateway.contracts import Labels
        return Labels(confidence="canary-text")

class Broken(Rogue):
    def __init__(self, config):
        raise RuntimeError("canary-text")

class Bare:
    pass

class Late(Rogue):
    speaks = frozenset({"openai_chat"})

    def request(self, call, model, key):
        raise RuntimeError("canary-text")
"""

CLASSIFIERS = ("Raises", "Text", "Sentence", "Number")
ANSWERS = ("raises", "sleeps", "text", "unknown", "reason", "many", "nothing")


@contextmanager
def rogue(folder: Path, package: str, *lines: str) -> Iterator[Path]:
    """A package on the path whose entry points are these: "group name Class"."""
    module = package.replace("-", "_")
    about = folder / f"{module}-0.1.dist-info"
    about.mkdir(parents=True)
    (folder / f"{module}.py").write_text(ROGUE)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
    points = [line.split() for line in lines]
    (about / "entry_points.txt").write_text(
        "".join(f"[gateway.{group}]\n{name} = {module}:{kind}\n" for group, name, kind in points)
    )
    sys.path.insert(0, str(folder))
    try:
        yield folder / f"{module}.imported"
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop(module, None)


async def test_a_package_that_is_only_installed_is_never_imported(tmp_path: Path) -> None:
    with rogue(tmp_path / "site", "rogue-idle", "providers idle Late", "routers idle Router") as imported:
        gateway = Installation(tmp_path / "one", {})
        await gateway.start()
        await gateway.app.reload()
        await gateway.stop()
        assert "idle" in plugins.find("gateway.providers")
        assert not imported.exists()


async def test_a_router_that_misbehaves_costs_its_choice_and_no_call(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with rogue(tmp_path / "site", "rogue-router", "routers rogue Router"):
        routes = {name: {"use": "rogue", "answer": name} for name in ANSWERS}
        routing = {"policy_time": "20ms"}  # not the machine's business here
        gateway = Installation(tmp_path / "one", {"routes": routes, "routing": routing})
        await gateway.start()
        try:
            for name in ANSWERS:
                assert await ask(gateway, name) == 200, name
            records = {record.model_requested: record for record in await gateway.records(len(ANSWERS))}
        finally:
            await gateway.stop()
    assert {record.model_routed for record in records.values()} == {"echo/echo-1"}
    assert {name for name, record in records.items() if record.route_reason != "policy_failed"} == {"many"}
    assert "canary" not in "".join(capfd.readouterr())


async def test_a_classifier_that_misbehaves_costs_its_label_and_no_call(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = [name.lower() for name in CLASSIFIERS]
    points = [f"classifiers {name.lower()} {name}" for name in CLASSIFIERS]
    with rogue(tmp_path / "site", "rogue-classifier", *points):
        gateway = Installation(tmp_path / "one", {"classify": {"use": [*names, "shape"]}})
        await gateway.start()
        try:
            assert await ask(gateway, "echo-1") == 200
            [record] = await gateway.records()
        finally:
            await gateway.stop()
    assert (record.task, record.task_confidence) == ("other", 0)
    assert "canary" not in "".join(capfd.readouterr())


async def test_a_provider_that_raises_at_a_call_costs_that_call_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with rogue(tmp_path / "site", "rogue-provider", "providers late Late"):
        models = {"late-1": {"provider": "late", "price": {"input": "1", "output": "1"}}}
        tree = {"providers": {"late": {"needs_key": False}}, "models": models}
        gateway = Installation(tmp_path / "one", tree)
        await gateway.start()
        try:
            assert await ask(gateway, "late-1") == 500
            assert await ask(gateway, "echo-1") == 200
            records = await gateway.records(2)
            assert gateway.app._ledger.open_holds == 0
        finally:
            await gateway.stop()
    assert [record.error_code for record in records] == ["bug", None]
    assert "canary" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("point", "tree", "place"),
    [
        ("providers rogue Broken", {"providers": {"rogue": {}}}, "providers.rogue"),
        ("providers rogue Bare", {"providers": {"rogue": {}}}, "providers.rogue"),
        ("providers rogue Missing", {"providers": {"rogue": {}}}, "providers.rogue"),
        ("routers rogue Broken", {"routes": {"auto": {"use": "rogue"}}}, "routes.auto"),
        ("routers rogue NoTargets", {"routes": {"auto": {"use": "rogue"}}}, "routes.auto"),
        ("classifiers rogue Broken", {"classify": {"use": ["rogue"]}}, "classify.rogue"),
        ("stores rogue Broken", {"store": {"use": "rogue"}}, "store"),
        ("stores rogue Bare", {"store": {"use": "rogue"}}, "store"),
    ],
)
async def test_a_plugin_that_cannot_be_made_is_a_mistake_in_the_configuration(
    tmp_path: Path, point: str, tree: dict[str, Any], place: str
) -> None:
    with rogue(tmp_path / "site", "rogue-broken", point):
        with pytest.raises(ConfigError) as refusal:
            await rehearsal.try_out(config.parse(tree, "test", {}))
        [problem] = refusal.value.problems
    assert problem.startswith(place)
    assert "canary" not in problem


async def test_a_reload_that_names_a_broken_plugin_changes_nothing(tmp_path: Path) -> None:
    with rogue(tmp_path / "site", "rogue-reload", "providers rogue Broken"):
        file = tmp_path / "gateway.toml"
        gateway = Installation(tmp_path / "one", {})
        await gateway.start()
        try:
            gateway.app._path = file
            file.write_text("[providers.rogue]\n")
            assert not await gateway.app.reload()
            assert await ask(gateway, "echo-1") == 200
        finally:
            await gateway.stop()


def test_two_packages_that_claim_one_name_are_both_named_and_none_is_taken(tmp_path: Path) -> None:
    with (
        rogue(tmp_path / "a", "rogue-one", "providers echo Late") as one,
        pytest.raises(plugins.PluginError, match="rogue-one and by tollgate-gateway"),
    ):
        plugins.load("gateway.providers", "echo")
    assert not one.exists()


async def ask(gateway: Installation, model: str) -> int:
    """The status of a call for a model."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    async with (
        aiohttp.ClientSession(headers={"authorization": f"Bearer {gateway.key}"}) as session,
        session.post(f"{gateway.url}/v1/chat/completions", json=body) as answer,
    ):
        await answer.read()
        return answer.status
