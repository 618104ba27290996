"""The negative control: leaks made on purpose in a running gateway are all found by the search."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.privacy.canary import FORMS, WINDOW, Canary
from gateway.privacy.planting import PACKED, leaks, self_test
from gateway.privacy.search import Search
from gateway.privacy.unpacking import PACKINGS
from tests.campaigns import strace_canary
from tests.end_to_end.proof import Proof
from tests.fakes.odd_provider import LATER_LEAKS, LEAKS

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHERE = {
    "leak-print": "out",
    "leak-stderr": "err",
    "leak-traceback": "err",
    "leak-log": "err",
    "leak-log-as-hex": "err",
    "leak-temporary-file": "tmp/upload",
    "leak-home": "home/.cache",
    "leak-working-folder": "work/debug.txt",
    "leak-column": "gateway.db-wal",
    "leak-journal": ".log",
    "leak-metric": "/metrics",
    "leak-header": "heads of answers",
    "leak-core": "work/core",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proof(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proof]:
    """One gateway with the leaking provider."""
    async with Proof(tmp_path_factory.mktemp("leaks")) as proof:
        yield proof


@pytest.mark.parametrize("leak", [*LEAKS, *LATER_LEAKS])
async def test_a_leak_is_found(proof: Proof, leak: str) -> None:
    canary = Canary()
    answer = await proof.chat(f"odd/{leak}", canary.mark("leaked"))
    assert answer[9:12] == b"200", answer
    await proof.settle()
    hits = (await proof.search(canary)).hits
    assert hits
    assert any(hit.place.endswith(WHERE.get(leak, "")) for hit in hits), hits


async def test_without_a_leak_there_is_nothing_to_find(proof: Proof) -> None:
    canary = Canary()
    await proof.chat("odd/nothing", canary.mark("kept in"))
    await proof.settle()
    search = await proof.search(canary)
    assert search.clean
    assert search.size > 10**6


async def test_each_form_is_found_when_planted() -> None:
    found, planted = self_test()
    assert found == planted
    assert planted >= 2 * len(FORMS) + 6 + len(PACKED)
    assert {"gzip", "zlib", "bzip2", "xz", "zip"} <= set(PACKINGS)


async def test_a_hit_tells_place_form_and_part() -> None:
    canary = Canary()
    search = Search(canary)
    search.data("page", b"...." + canary.mark("system text").encode())
    [hit] = search.hits
    assert (hit.place, hit.form, hit.at, hit.part) == ("page", "raw", 4, "system text")
    search.data("page", b"...." + canary.mark("system text").encode())
    assert len(search.hits) == 1  # once is enough


async def test_every_piece_of_twelve_characters_is_found_and_no_smaller_one() -> None:
    canary = Canary()
    for start in range(len(canary.stem) - WINDOW + 1):
        piece = canary.stem[start : start + WINDOW].encode()
        assert canary.find(b" " + piece + b" ", "page")
        assert not canary.find(b" " + piece[:-1] + b" ", "page")


async def test_a_leak_in_the_middle_of_a_large_file_is_found_once(tmp_path: Path) -> None:
    canary = Canary()
    file = tmp_path / "large"
    with file.open("wb") as out:
        out.seek((1 << 20) - 10)  # across the border of two pieces
        out.write(canary.mark("leaked").encode())
        out.seek(3 << 20)
        out.write(b"end")
    search = Search(canary, piece_bytes=1 << 20, overlap_bytes=1000)
    search.folder(tmp_path)
    assert [hit.at for hit in search.hits] == [(1 << 20) - 10]
    assert search.size == (3 << 20) + 3
    assert search.places == [str(file)]


async def test_other_canaries_are_not_found() -> None:
    one, other = Canary(), Canary()
    for name, leak in leaks(one):
        assert not other.find(leak, name)


async def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    search = Search(Canary())
    search.file(tmp_path)  # a folder
    assert not search.clean
    assert search.unread == [str(tmp_path)]
    search.file(tmp_path / "gone")
    assert len(search.unread) == 1


@pytest.mark.skipif(strace_canary.strace() is None, reason="strace is not installed, or may not trace here")
@pytest.mark.parametrize(
    ("leak", "seen"),
    [("leak-temporary-file", "write to"), ("leak-base64", "write to"), ("leak-file-name", "openat")],
)
async def test_a_leak_is_seen_among_the_system_calls(tmp_path: Path, leak: str, seen: str) -> None:
    report = await strace_canary.prove(tmp_path, cases=0, deed=leak)
    assert any(one.startswith(seen) for one in report["wrong"]), report
