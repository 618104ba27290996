"""gateway doctor looks at each thing and says how to mend what is not as it should be."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from gateway import cli
from gateway import config as configuration
from gateway.commands import doctor
from gateway.commands.doctor import Finding
from gateway.config import Config
from gateway.ledger.journal import Journal
from gateway.names import Slug
from gateway.privacy import places
from tests.end_to_end.proof import Proof
from tests.sample_records import a_record, an_opening


def config_in(folder: Path, **tables: object) -> Config:
    data = folder / "data"
    tree = {
        "server": {"listen": "127.0.0.1:1", "admin_listen": "127.0.0.1:1"},
        "secrets": {"master_key": {"file": str(data / "master.key")}},
        "admin": {"token": {"file": str(data / "admin.token")}},
        "store": {"path": str(data / "gateway.db")},
        "records": {"journal": str(data / "journal")},
        "metrics": {"folder": str(data / "metrics")},
        "log": {"access": str(data / "access.log")},
    }
    return configuration.parse({**tree, **tables}, "test", {})


def named(findings: list[Finding], name: str) -> Finding:
    return next(one for one in findings if one.name == name)


async def test_a_running_installation_is_in_order(tmp_path: Path) -> None:
    async with Proof(tmp_path) as proof:
        (proof.work / "gateway.toml").chmod(0o600)
        report = json.loads(await proof.command("doctor", "--json"))
        text = (await proof.command("doctor")).decode()
    wrong = [one for one in report["findings"] if one["good"] is False and one["name"] != "free disk"]
    assert wrong == []
    names = {one["name"] for one in report["findings"]}
    assert {"gateway", "sqlite", "uvloop", "clock", "journal", "permissions", "serving"} <= names
    assert f"process {proof.process.pid}" in names
    assert "writes no core file" in text
    assert "ok      serving" in text


async def test_what_is_not_in_order_is_told_and_how_to_mend_it(tmp_path: Path) -> None:
    proof = Proof(tmp_path, more='\n[providers.openai]\napi_key = "sk-literal"\n')
    await proof.command("key", "list")
    (proof.work / "gateway-data/gateway.db").chmod(0o644)
    (proof.work / "gateway.toml").chmod(0o644)
    text = (await proof.command("doctor", code=1)).decode()
    assert "NOT OK  permissions" in text
    assert "→ chmod 600 gateway-data/gateway.db" in text
    assert "holds a key and can be read by others" in text
    assert "sk-literal" not in text
    assert "nothing answers" in text


def test_files_and_folders_that_are_open_to_others(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    for path in ("data/gateway.db", "data/gateway.db-wal", "data/access.log.1", "data/journal/a/1.log"):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
        file.chmod(0o600)
    (tmp_path / "data/journal").chmod(0o700)
    assert named(list(doctor.files(config, None)), "permissions").says == "4 files, none open to others"
    (tmp_path / "data/access.log.1").chmod(0o640)
    (tmp_path / "data/journal").chmod(0o755)
    wrong = [one for one in doctor.files(config, None) if one.good is False]
    assert [one.mend for one in wrong] == [
        f"chmod 600 {tmp_path}/data/access.log.1",
        f"chmod 700 {tmp_path}/data/journal",
    ]


@pytest.mark.parametrize(
    ("mode", "key", "good"),
    [(0o644, "", True), (0o666, "", False), (0o644, "sk-x", False), (0o600, "sk-x", True)],
)
def test_a_configuration_that_others_may_change_or_whose_key_they_may_read(
    tmp_path: Path, mode: int, key: str, good: bool
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("")
    file.chmod(mode)
    providers = {"openai": {"api_key": key}} if key else {}
    [found] = doctor.configuration_file(config_in(tmp_path, providers=providers), file)
    assert found.good is good
    assert "sk-x" not in found.says + found.mend


def test_a_journal_whose_process_has_ended(tmp_path: Path) -> None:
    assert next(doctor.journal(tmp_path / "journal")).good is True
    journal = Journal(tmp_path / "journal", Slug("worker-0"))
    record = a_record()
    journal.open(record.id, an_opening())
    assert next(doctor.journal(tmp_path / "journal")).good is True  # it lives
    journal.stop()
    found = next(doctor.journal(tmp_path / "journal"))
    assert found.good is None
    assert found.says == "1 records in 1 journals of processes that have ended"
    assert "start the gateway" in found.mend


def test_clocks() -> None:
    now = time.time()
    assert next(doctor.clock(0, 0)).good is False
    assert next(doctor.clock(now, doctor.TIME_ERROR)).good is None
    assert next(doctor.clock(now, 0)).good is True
    assert next(doctor.clock(now, None)).good is None
    assert doctor.clock_state() is not None


LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max core file size        {core}                    0                    bytes
Max open files            {files}                 524288               files
"""


def fake_process(folder: Path, core: str = "0", files: str = "65536", swap: str = "0") -> Path:
    process = folder / "123"
    process.mkdir()
    (process / "limits").write_text(LIMITS.format(core=core, files=files))
    (process / "status").write_text(f"Name:\tgateway\nVmSwap:\t   {swap} kB\n")
    (process / "environ").write_text("")
    return process


def test_a_process_that_could_give_memory_away(tmp_path: Path) -> None:
    found = list(doctor.process(fake_process(tmp_path, core="unlimited", files="1024", swap="77")))
    says = {one.says: one.good for one in found}
    assert says["may write core files"] is False
    assert says["may open 1024 files"] is False
    assert says["77 KiB of it are swapped out"] is False
    assert "its memory is closed to other processes" not in says


def test_a_process_that_does_not(tmp_path: Path) -> None:
    found = list(doctor.process(fake_process(tmp_path, files="unlimited")))
    assert [one.good for one in found if "memory" not in one.says] == [True, True]


def test_a_process_that_ended_meanwhile(tmp_path: Path) -> None:
    assert doctor.dumpable(tmp_path / "none").says == "has ended"
    assert next(doctor.process(tmp_path / "none")).good is None


def test_memory_that_is_closed_or_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = fake_process(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert doctor.dumpable(process).good is False
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert doctor.dumpable(process).good is None

    def refuse(self: Path) -> bytes:
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert doctor.dumpable(process).good is True


def test_the_folder_above_is_asked_where_there_is_none_yet(tmp_path: Path) -> None:
    assert doctor.existing(tmp_path / "a" / "b") == tmp_path
    found = list(doctor.machine(config_in(tmp_path), None))
    assert str(tmp_path) in named(found, "free disk").says


def test_an_admin_listener_that_others_reach_is_noted(tmp_path: Path) -> None:
    config = config_in(tmp_path, server={"listen": "0.0.0.0:1", "admin_listen": "0.0.0.0:1"})
    found = list(doctor.running(config, None))
    assert named(found, "admin listener").good is None
    assert named(found, "serving").good is None


def test_packages_that_are_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> str:
        raise doctor.metadata.PackageNotFoundError

    monkeypatch.setattr(doctor.metadata, "version", missing)
    found = list(doctor.software(config_in(tmp_path), None))
    assert named(found, "aiohttp").good is False
    assert named(found, "uvloop").good is None


def test_places_of_processes_and_their_output(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    metrics = Path(config.metrics.folder)
    metrics.mkdir(parents=True)
    for name in ("ready-999999999", "ready-1", "ready-x", "worker-0.json"):
        (metrics / name).touch()
    assert places.processes(config) == [1]
    assert places.outputs(999999999) == ([], "process 999999999 has ended")


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("127.0.0.1:8080", "127.0.0.1", 8080), ("0.0.0.0:80", "127.0.0.1", 80), ("[::]:80", "::1", 80),
     ("[::1]:80", "::1", 80), ("localhost:80", "localhost", 80)],
)  # fmt: skip
def test_where_an_installation_is_called(address: str, host: str, port: int) -> None:
    door = places.door(address, None)
    assert (door.host, door.port, door.tls) == (host, port, None)


async def test_a_doctor_in_this_process_sees_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Proof(tmp_path) as proof:
        monkeypatch.chdir(proof.work)
        (proof.work / "gateway.toml").chmod(0o600)
        assert await asyncio.to_thread(cli.main, ["doctor"]) == 0
        assert "ok      serving" in capsys.readouterr().out
        (proof.work / "gateway.toml").chmod(0o666)
        assert await asyncio.to_thread(cli.main, ["doctor", "--json"]) == 1
        report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    [wrong] = [one for one in report["findings"] if one["good"] is False]
    assert "can be changed by others" in wrong["says"]


async def test_one_that_cannot_take_calls_is_not_in_order(tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        config = config_in(tmp_path, server={"listen": f"127.0.0.1:{port}", "admin_listen": "127.0.0.1:1"})
        found = await doctor.readiness(config)
    assert found.good is False


@pytest.mark.parametrize("pattern", ["core", "|/usr/share/apport/apport"])
def test_where_core_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    lines = {"core_pattern": [pattern], "swaps": ["Filename", "/swapfile"]}
    monkeypatch.setattr(doctor, "lines_of", lambda path: lines[path.name])
    names = [one.name for one in doctor.running(config_in(tmp_path), None)]
    assert ("core files" in names) is pattern.startswith("|")
    assert named(list(doctor.machine(config_in(tmp_path), None)), "swap").good is None


def test_other_systems_have_no_such_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert doctor.clock_state() is None
