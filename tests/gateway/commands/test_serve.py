"""serve and init: which file they use, and failures to start in one line."""

import json
import socket
from pathlib import Path

import pytest

from gateway.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, without anything in the environment that names a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    return tmp_path


def listening_on(folder: Path, calls: int, admin: int) -> str:
    path = folder / "gateway.toml"
    path.write_text(f'[server]\nlisten = "127.0.0.1:{calls}"\nadmin_listen = "127.0.0.1:{admin}"\n')
    return str(path)


@pytest.mark.parametrize(
    "words",
    [
        ["bogus"],
        ["check", "--bogus"],
        ["--bogus"],
        ["key"],
        ["key", "create"],
        ["export", "--format", "xml"],
        ["explain", "--dialect", "latin"],
        ["prices", "show"],
    ],
)
def test_wrong_usage_exits_with_2(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["check"], [], ["serve"], ["usage"], ["key", "list"]])
@pytest.mark.parametrize("before", [True, False])
def test_a_configuration_that_is_not_there_exits_with_2(
    folder: Path, words: list[str], before: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--config", "nope.toml"]
    assert main([*named, *words] if before else [*words, *named]) == 2
    assert capsys.readouterr().err == "nope.toml: does not exist\n"


def test_gateway_config_names_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAY_CONFIG", str(folder / "mine.toml"))
    assert main(["check"]) == 2
    assert main(["init"]) == 0
    assert main(["init"]) == 1
    assert "is there already" in capsys.readouterr().err
    assert main(["--json", "check"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(folder / "mine.toml")
    for made in ("mine.toml", "gateway-data/master.key"):
        assert (folder / made).stat().st_mode & 0o777 == 0o600


def test_an_address_in_use_is_told_in_one_line_before_a_key_is_made(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        assert main(["--config", listening_on(folder, taken, 0)]) == 1
        shown = capsys.readouterr()
        assert (
            shown.err == f"server.listen: 127.0.0.1:{taken} cannot be listened on: Address already in use\n"
        )
        assert shown.out == ""
        assert main(["--config", listening_on(folder, 0, taken)]) == 1
        assert capsys.readouterr().err.startswith("server.admin_listen: ")
    assert not (folder / "gateway-data").exists()


def test_what_the_system_refuses_is_told_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "gateway-data").mkdir()
    (folder / "gateway-data" / "journal").touch()
    assert main(["--config", listening_on(folder, 0, 0)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["gateway-data/journal: the journal cannot be written (File exists)"]
