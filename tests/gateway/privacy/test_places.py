"""Everywhere an installation writes is looked at, and what cannot be looked at is told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import config as configuration
from gateway.config import Config
from gateway.privacy import places, search
from gateway.privacy.canary import Canary
from gateway.privacy.search import Search, files_below
from tests.gateway.commands.test_doctor import config_in


def written(folder: Path, name: str, text: str = "x") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_files_of_an_installation_are_those_the_configuration_names(tmp_path: Path) -> None:
    names = (
        "data/gateway.db", "data/gateway.db-wal", "data/gateway.db-shm",
        "data/access.log", "data/access.log.1",
        "data/master.key", "data/master.key.new", "data/admin.token", "data/journal/a/000001.log",
        "data/metrics/worker-0.json",
    )  # fmt: skip
    files = {written(tmp_path, name) for name in names}
    written(tmp_path, "data/other")
    assert set(places.own_files(config_in(tmp_path))) == files


def test_without_an_access_log_and_with_secrets_in_variables_there_are_fewer(tmp_path: Path) -> None:
    tree = {
        "secrets": {"master_key": {"env": "GATEWAY_MASTER_KEY"}},
        "admin": {"token": "a literal token of a test"},
        "store": {"use": "memory"},
        "records": {"journal": str(tmp_path / "journal")},
        "metrics": {"folder": str(tmp_path / "metrics")},
    }
    config = configuration.parse(tree, "test", {})
    assert list(places.own_files(config)) == []
    assert places.store_path(config) == Path(places.STORE_PATH)


def test_a_search_covers_own_files_and_new_files_nearby(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "COMMON", (str(tmp_path / "common"),))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))
    canary = Canary()
    old = written(tmp_path, "data/old.txt", canary.mark("old"))
    os.utime(old, (0, 0))
    since_ns = old.stat().st_ctime_ns + 1
    new = [
        written(tmp_path, name, canary.mark(name))
        for name in ("data/gateway.db", "core", "common/a", "tmp/b")
    ]
    found = Search(canary)
    places.search_files(found, config_in(tmp_path), since_ns)
    assert {hit.place for hit in found.hits} == {str(path) for path in new}
    assert len(found.places) == len(set(found.places))  # nothing twice


def test_where_a_process_prints_to(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (tmp_path / "out").open("w") as out:
        printing = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL)
        piping = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE)
    assert places.outputs(printing.pid) == ([tmp_path / "out"], None)
    assert places.outputs(piping.pid) == ([tmp_path / "out"], f"process {piping.pid} prints to pipe")
    for process in (printing, piping):
        process.communicate()


def test_a_process_that_hides_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> str:
        raise PermissionError

    monkeypatch.setattr("os.readlink", refuse)
    assert places.outputs(1) == ([], "process 1 hides where its output goes")


def test_a_door_with_a_certificate_believes_that_one_only(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    class Context:
        check_hostname = True

    def create(cafile: str) -> Context:
        made.append(cafile)
        return Context()

    monkeypatch.setattr("ssl.create_default_context", create)
    door = places.door("127.0.0.1:443", "own.pem")
    assert made == ["own.pem"]
    assert door.tls is not None
    assert not door.tls.check_hostname


# --- the search itself ----------------------------------------------------------------------------


def test_a_name_is_looked_at_too(tmp_path: Path) -> None:
    canary = Canary()
    file = written(tmp_path, f"{canary.mark('name')}.tmp", "")
    found = Search(canary)
    found.folder(tmp_path)
    [hit] = found.hits
    assert hit.place == f"name of {file}"
    assert hit.part == "name"


def test_what_is_no_plain_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "fifo")
    assert list(files_below(tmp_path)) == []
    found = Search(Canary())
    found.file(Path("/dev/null"))
    assert (found.places, found.unread, found.clean) == ([], [], True)


def test_a_file_that_vanishes_or_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "a")

    def gone(self: Path) -> os.stat_result:
        raise FileNotFoundError

    with monkeypatch.context() as patched:
        patched.setattr(Path, "lstat", gone)
        assert list(files_below(tmp_path)) == []

    def refuse(self: Path, *_: object, **__: object) -> object:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    found = Search(Canary())
    found.folder(tmp_path)
    assert found.unread == [str(tmp_path / "a")]
    assert not found.clean


def test_a_chance_likeness_is_no_hit() -> None:
    canary = Canary()
    core = canary.stem[6:12].encode()  # half of what is needed
    found = Search(canary)
    found.data("page", (core + b".") * 3)
    assert found.clean
    found.data("page", core + b"." + canary.stem[3:15].encode())
    assert [hit.at for hit in found.hits] == [7]
    assert search.PIECE_BYTES > search.OVERLAP_BYTES


def test_a_part_has_one_mark_and_a_mark_one_part() -> None:
    canary = Canary()
    marks = {canary.mark(f"part {number}") for number in range(2000)}
    assert len(marks) == 2000
    assert canary.mark("part 7") in marks
    assert len(canary.parts) == 2000
    assert all(mark.isalnum() and mark == mark.lower() for mark in marks)


def test_configurations_have_defaults() -> None:
    assert places.own_folders(Config()) == (Path("gateway-data/journal"), Path("gateway-data/metrics"))
