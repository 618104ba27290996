"""gateway selfcheck privacy: good on a good installation, not good on one that leaks; it leaves no key."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.privacy.cases import Cases
from tests.end_to_end.proof import Proof

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proof(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proof]:
    """An installation."""
    async with Proof(tmp_path_factory.mktemp("selfcheck")) as proof:
        yield proof


async def test_a_good_installation_is_found_good(proof: Proof) -> None:
    report = json.loads(await proof.command("selfcheck", "privacy", "--json"))
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


async def test_the_key_is_revoked_afterwards(proof: Proof) -> None:
    await proof.command("selfcheck", "privacy", "--calls", "310")
    listed = json.loads(await proof.command("key", "list", "--json"))["keys"]
    made = [key for key in listed if key["name"] == "selfcheck-privacy"]
    assert made
    assert all(key["state"] == "revoked" for key in made)


async def test_what_was_found_is_told_with_its_place(tmp_path: Path) -> None:
    more = '\n[providers.echo]\nuse = "odd"\nneeds_key = false\nalways = "leak-temporary-file"\n'
    async with Proof(tmp_path, more=more) as proof:
        printed = (await proof.command("selfcheck", "privacy", code=1)).decode()
    assert "result    NOT GOOD" in printed
    [found] = [line for line in printed.splitlines() if line.startswith("FOUND")]
    assert f"{tmp_path}/tmp/upload, byte 0, raw, from the part: " in found


async def test_without_an_installation_it_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    proof = Proof(tmp_path_factory.mktemp("none"))
    assert b"master key" in await proof.command("selfcheck", "privacy", code=2)  # it never ran
    await proof.command("key", "list")
    printed = await proof.command("selfcheck", "privacy", code=1)
    assert b"no installation answers there; start it first" in printed
