"""check tells every mistake at once, those of plugins too, each with its file and place."""

import json
from pathlib import Path

import pytest

from gateway.cli import main

TWENTY = """
bogus = 1
[server]
listen = "8080"
workers = 0
max_body = 32
header_timeout = "15"
uvloop = "yes"
lisen = "x"
trusted_proxies = ["300.1.1.1"]
tls_certificate = "nope.pem"
[secrets]
master_key = { env = "A", file = "B" }
[store]
use = "sqlitee"
[providers.openai]
use = "openia"
api_key = { enviroment = "OPENAI_API_KEY" }
[providers.local]
use = "compatible"
base_url = "http://127.0.0.1:11434/v1"
[providers.metadata]
use = "compatible"
base_url = "https://169.254.169.254/v1"
allow_private = true
[models."two words"]
provider = "local"
[models.one]
provider = "local"
model = "same"
price = { input = "1", output = "2" }
[models.other]
provider = "local"
model = "same"
price = { input = "2", output = "2" }
[models.odd]
provider = "nobody"
[models.typo]
provider = "local"
price = { input = "1", ouput = "2" }
[routes.auto]
targets = ["x"]
[routes.next]
use = "nosuch"
[upstream]
attempts = 99
[prices]
unknown = "free"
[classify]
use = ["nosuch"]
"""
PLACES = """
bogus server.listen server.workers server.max_body server.header_timeout server.uvloop server.lisen
server.trusted_proxies server.tls_certificate secrets.master_key store providers.openai
providers.openai.api_key providers.local.base_url providers.metadata.base_url models.other.price
models.odd.provider models.typo.price routes.auto.use routes.next upstream.attempts prices.unknown
classify.nosuch
"""


def write(folder: Path, text: str) -> str:
    path = folder / "gateway.toml"
    path.write_text(text)
    return str(path)


def test_twenty_mistakes_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, TWENTY)
    assert main(["check", "--config", path]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    for place in PLACES.split():
        assert any(line.startswith(f"{path}: {place}") for line in lines), place
    assert any("models.two words" in line for line in lines)
    assert len(lines) >= 20


def test_as_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, TWENTY)
    assert main(["check", "--json", "--config", path]) == 2
    shown = json.loads(capsys.readouterr().out)
    assert (shown["ok"], shown["file"]) == (False, path)
    assert len(shown["problems"]) >= 20


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("http://127.0.0.1:11434/v1", "allow_private"),
        ("https://127.0.0.1/v1", "allow_private"),
        ("https://10.1.2.3/v1", "allow_private"),
        ("https://[::1]/v1", "allow_private"),
        ("http://api.example.com/v1", "allow_private"),
        ("https://0x7f.1/v1", "host"),
        ("https://api.example.com/v1", None),
    ],
)
def test_a_base_url_that_no_call_could_reach_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], base_url: str, said: str | None
) -> None:
    table = f'[providers.local]\nuse = "compatible"\nbase_url = "{base_url}"\nneeds_key = false\n'
    code = main(["check", "--config", write(tmp_path, table)])
    complaints = capsys.readouterr().err
    assert (code == 2) is (said is not None)
    assert said is None or ("providers.local" in complaints and said in complaints)
    if said == "allow_private":
        assert main(["check", "--config", write(tmp_path, table + "allow_private = true\n")]) == 0


def test_a_good_file_is_good_and_a_key_in_it_is_warned_of_without_being_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        tmp_path, '[server]\nadmin_listen = "0.0.0.0:1"\n[providers.openai]\napi_key = "sk-canary"\n'
    )
    assert main(["--config", path, "check"]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{path}: good\n"
    assert "warning: providers.openai.api_key" in shown.err
    assert "warning: server.admin_listen" in shown.err
    assert "canary" not in shown.err + shown.out


@pytest.mark.parametrize("text", ["[server\nx", "\0", "a = 1\na = 2"])
def test_what_is_no_toml_is_told_by_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert main(["check", "--config", write(tmp_path, text)]) == 2
    assert "is not valid TOML" in capsys.readouterr().err


def test_secrets_that_are_not_there_are_told_without_their_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CANARY_KEY", raising=False)
    named = '{ env = "CANARY_KEY" }'
    text = f"[secrets]\nmaster_key = {named}\n[providers.openai]\napi_key = {named}\n"
    assert main(["check", "--config", write(tmp_path, text)]) == 0
    complaints = capsys.readouterr().err
    assert "warning: secrets.master_key: the variable it names is not set here" in complaints
    assert "warning: providers.openai.api_key" in complaints
    assert "CANARY" not in complaints


@pytest.mark.parametrize(("text", "mode"), [("canary", 0o600), ("", 0o600), ("canary", 0o644)])
def test_a_master_key_that_cannot_be_used_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, mode: int
) -> None:
    key = tmp_path / "master.key"
    key.write_text(text)
    key.chmod(mode)
    path = write(tmp_path, f"[secrets]\nmaster_key = {{ file = {json.dumps(str(key))} }}\n")
    assert main(["check", "--config", path]) == 2
    complaints = capsys.readouterr().err
    assert complaints.startswith(f"{path}: secrets.master_key: ")
    assert "canary" not in complaints


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (
            'use = "fallback"\ntargets = "echo-1"',
            "routes.r.targets: expected a list in square brackets",
        ),
        ('use = "weighted"\nweights = { echo-1 = "x" }', "routes.r.weights.echo-1: expected a whole number"),
        ('use = "fixed"\ntarget = 3', "routes.r.target: expected a text in quotes"),
        (
            'use = "fixed"\ntarget = "echo-1"\nallow_costlier = "x"',
            "routes.r.allow_costlier: expected true",
        ),
    ],
)
def test_what_is_expected_is_told_in_the_words_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, told: str
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(f"[routes.r]\n{table}\n")
    assert main(["check", "--config", str(file)]) == 2
    assert told in capsys.readouterr().err


def test_policies_and_classifiers_need_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[routing]\npolicy_time = "0ms"\n[classify]\ntime = "0s"\n')
    assert main(["check", "--config", str(file)]) == 2
    told = capsys.readouterr().err
    assert "routing.policy_time: input should be greater than 0" in told
    assert "classify.time: input should be greater than 0" in told
