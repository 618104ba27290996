"""gateway selfcheck privacy: good on a good installation, not good on one that leaks; it leaves no key."""

import asyncio
import json
import os
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway import cli, config, rehearsal
from gateway.commands import selfcheck
from gateway.privacy.cases import Cases
from tests.end_to_end.proof import Proof

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proof(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proof]:
    """An installation."""
    async with Proof(tmp_path_factory.mktemp("selfcheck"), offered=False) as proof:
        yield proof


async def run(proof: Proof, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code of a check that runs in this process, and what it printed."""
    before = Path.cwd()
    os.chdir(proof.work)
    sys.path.insert(0, str(proof.folder / "plugins"))
    try:
        code = await asyncio.to_thread(cli.main, ["selfcheck", "privacy", *words])
    finally:
        os.chdir(before)
        sys.path.remove(str(proof.folder / "plugins"))
    return code, "".join(capsys.readouterr())


async def test_a_good_installation_is_found_good(proof: Proof, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = await run(proof, capsys, "--json")
    report = json.loads(printed)
    assert code == 0
    assert report["ok"] is True
    assert report["hits"] == report["unread"] == []
    assert report["planted"]["found"] == report["planted"]["of"] > 40
    assert report["calls"] >= len(list(Cases(proof.canary, "a", "b").all()))
    searched = "\n".join(report["searched"]["places"])
    for place in (
        "gateway.db",
        "gateway.db-wal",
        "journal/",
        "metrics/",
        "access.log",
        "master.key",
        "/metrics",
    ):
        assert place in searched
    assert str(proof.folder / "err") in searched  # where the process prints to


async def test_the_key_is_revoked_afterwards(proof: Proof, capsys: pytest.CaptureFixture[str]) -> None:
    count = len(list(Cases(proof.canary, "a", "b").all())) + 10
    code, printed = await run(proof, capsys, "--calls", f"{count}")
    assert code == 0, printed
    assert f"calls     {count} (" in printed
    assert printed.endswith("result    nothing was kept\n")
    listed = json.loads(await proof.command("key", "list", "--json"))["keys"]
    made = [key for key in listed if key["name"] == "selfcheck-privacy"]
    assert made
    assert all(key["state"] == "revoked" for key in made)


ROUTES = """
[providers.only-chat]
use = "echo"
dialects = ["openai_chat"]
[providers.real]
use = "compatible"
base_url = "https://a.test/v1"
needs_key = false
[models.real-model]
provider = "real"
[models.other-model]
provider = "real"
[models.near]
provider = "only-chat"
model = "echo-1"
[routes.stays]
use = "fallback"
targets = ["near", "echo-1"]
[routes.leaves]
use = "fallback"
targets = ["near", "real-model"]
[routes.ends-elsewhere]
use = "fixed"
target = "near"
on = { context = ["real-model"] }
[routes.measured]
use = "fixed"
target = "near"
baseline = "real-model"
[routes.other-model]
use = "fixed"
target = "near"
"""


async def test_only_what_echo_answers_is_called() -> None:
    built = rehearsal.build(config.parse(tomllib.loads(ROUTES), "test", {}))
    offers = selfcheck.offers_of(built)
    assert offers.only == {"openai_chat": "only-chat/echo-1"}
    assert offers.routes == ["stays"]


async def test_what_was_found_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = '\n[providers.echo]\nuse = "odd"\nneeds_key = false\nalways = "leak-temporary-file"\n'
    async with Proof(tmp_path, more=more, offered=False) as proof:
        code, printed = await run(proof, capsys)
    assert code == 1
    assert "result    NOT GOOD" in printed
    [found] = [line for line in printed.splitlines() if line.startswith("FOUND")]
    assert f"{tmp_path}/tmp/upload, byte 0, raw, from the part: " in found


async def test_without_an_installation_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = Proof(tmp_path)
    code, printed = await run(proof, capsys)  # it never ran
    assert (code, "master key" in printed) == (2, True)
    await proof.command("key", "list")
    code, printed = await run(proof, capsys)
    assert code == 1
    assert "no installation answers there; start it first" in printed


async def test_an_installation_of_another_store_does_not_know_the_key(
    proof: Proof, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selfcheck, "READY_S", 0.1)
    other = Proof(tmp_path)
    text = (other.work / "gateway.toml").read_text()
    (other.work / "gateway.toml").write_text(text.replace(f":{other.port}", f":{proof.port}"))
    await other.command("key", "list")
    code, printed = await run(other, capsys)
    assert code == 1
    assert "not to a key of this store: check --config" in printed


async def test_routes_and_translations_are_called_where_echo_answers_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Proof(tmp_path) as proof:
        code, printed = await run(proof, capsys)
        assert code == 0, printed
        exported = await proof.command("export")
    reasons = {json.loads(line)["route_reason"] for line in exported.splitlines()}
    assert reasons > {"sticky", "seen", "quality_declared", "canary-trial", "fallback", "policy_failed"}


async def test_what_cannot_be_seen_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with Proof(tmp_path, offered=False) as proof:
        folder = proof.work / "gateway-data/metrics"
        for _ in range(500):  # a process answers a moment before it says that it serves
            if markers := list(folder.glob("ready-*")):
                break
            await asyncio.sleep(0.01)
        for marker in markers:
            marker.unlink()
        code, printed = await run(proof, capsys)
    assert code == 0
    assert "not seen  the running processes are not on this machine; look there for " in printed
