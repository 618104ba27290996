"""The configuration: strict, all errors at once, with a place and a hint, and no value in any of them."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import config
from gateway.config import ConfigError, LiteralSecret, SecretRef
from gateway.content import Purpose

CANARY = "sk-canary-value"

BROKEN = [
    ('[server]\nlisen = "127.0.0.1:1"', 'server.lisen: unknown key. Did you mean "listen"?'),
    ("[server]\nworkers = 0", "server.workers:"),
    ("[server]\nworkers = 1.5", "server.workers:"),
    ('[server]\nworkers = "2"', "server.workers:"),
    ("[server]\nworkers = true", "server.workers:"),
    ("[server]\nworkers = 257", "server.workers:"),
    ('[server]\nlisten = "8080"', "server.listen: an address is"),
    ('[server]\nlisten = "h:99999"', "server.listen: an address is"),
    ('[server]\nlisten = ":80"', "server.listen: an address is"),
    ("[server]\nlisten = 8080", "server.listen: an address is"),
    ('[server]\nmax_body = "32"', "server.max_body: a size is"),
    ("[server]\nmax_body = 32", "server.max_body: a size is"),
    ('[server]\nmax_body = "-1MiB"', "server.max_body: a size is"),
    ('[server]\nheader_timeout = "15"', "server.header_timeout: a duration is"),
    ('[server]\nheader_timeout = "15 s"', "server.header_timeout: a duration is"),
    ("[server]\nheader_timeout = 15", "server.header_timeout: a duration is"),
    ("[sever]\nworkers = 1", 'sever: unknown key. Did you mean "server"?'),
    ('[store]\nuse = "no name"', "store.use: a name has"),
    ('[prices]\nunknown = "free"', "prices.unknown:"),
    ("[upstream]\nattempts = 0", "upstream.attempts:"),
    ('[upstream]\nbreaker = "no"', "upstream.breaker:"),
    ('[models.a]\nmodel = "x"', "models.a.provider: is missing."),
    ('[models."a b"]\nprovider = "echo"', "a name has"),
    ('[routes.auto]\ntargets = ["a"]', "routes.auto.use: is missing."),
    ('[providers.p]\napi_key = { env = "A", file = "B" }', "a secret is"),
    ("[providers.p]\napi_key = {}", "a secret is"),
    ("[providers.p]\nallow_private = 1", "providers.p.allow_private:"),
    ('[records]\ndurability = "none"', "records.durability:"),
    ('[log]\nlevel = "chatty"', "log.level:"),
    ("providers = 5", "providers:"),
    ("[limits]\nmax_output_tokens = -1", "limits.max_output_tokens:"),
]


@pytest.mark.parametrize(("text", "problem"), BROKEN)
def test_a_mistake_is_named_with_its_place_and_how_to_mend_it(
    text: str, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.read(path)
    [line] = caught.value.problems
    assert line.startswith(f"{path}: ")
    assert problem in line


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('[server]\nlisen = "a"\nworkers = 0\n[prices]\nunknown = "x"\n[sever]\n')
    with pytest.raises(ConfigError) as caught:
        config.read(path)
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    "text",
    [
        f'[server]\nlisten = "{CANARY}"',
        f'[providers.p]\napi_key = {{ env = "A", file = "{CANARY}" }}',
        f'[providers.p]\napi_keys = "{CANARY}"',
        f'[providers.p]\napi_key = ["{CANARY}"]',
        f'[server]\nworkers = "{CANARY}"',
        f'[secrets]\nmaster_key = ["{CANARY}"]',
        f'[secrets]\nmaster_key = "{CANARY}',
        f"[secrets]\nmaster_key = {CANARY}",
    ],
)
def test_no_error_shows_a_value(text: str, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.read(path)
    assert CANARY not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    "data", [b"\xff\xfe", b"a = ", b"[server]\n[server]\n", b"\x00", b" " * ((1 << 20) + 1)]
)
def test_a_file_that_is_no_configuration_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError):
        config.read(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.read(tmp_path / "missing.toml")


def test_without_a_file_the_environment_names_the_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in config.USUAL_KEYS.values():
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("GROQ_API_KEY", CANARY)
    found = config.read(None)
    assert set(found.providers) == {"echo", "groq"}
    assert found.providers["groq"].api_key == SecretRef(env="GROQ_API_KEY")


def test_a_file_with_providers_leaves_the_environment_aside_and_echo_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", CANARY)
    path = tmp_path / "gateway.toml"
    path.write_text("[providers.openai]\n")
    assert set(config.read(path).providers) == {"echo", "openai"}


def test_secrets_are_read_from_where_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOME_KEY", CANARY)
    (tmp_path / "key").write_text(CANARY + "\n")
    for source in (
        SecretRef(env="SOME_KEY"),
        SecretRef(file=str(tmp_path / "key")),
        LiteralSecret(text=CANARY),
    ):
        secret = source.read()
        assert secret is not None
        assert secret.open(Purpose.AUTH) == CANARY
    assert SecretRef(env="NOT_THERE").read() is None
    assert SecretRef(file=str(tmp_path / "not-there")).read() is None


def test_a_literal_secret_shows_itself_nowhere() -> None:
    parsed = config.parse({"providers": {"p": {"api_key": CANARY}}}, "test", {})
    assert CANARY not in repr(parsed)
    assert CANARY not in str(parsed.providers["p"].api_key)


def test_durations_and_sizes_have_units() -> None:
    assert [config.seconds(text) for text in ("250ms", "30s", "5m", "24h", "90d")] == [
        0.25,
        30,
        300,
        86400,
        7776000,
    ]
    assert [config.size(text) for text in ("7B", "64KiB", "32MiB", "1GiB")] == [7, 65536, 33554432, 1 << 30]


@dataclass(frozen=True)
class Options:
    """A plugin's keys."""

    path: str
    size: int = 3


def test_a_plugins_keys_are_as_strict() -> None:
    assert config.parse_options(Options, {"path": "x"}, "store") == Options("x", 3)
    with pytest.raises(ConfigError) as caught:
        config.parse_options(Options, {"pth": CANARY, "size": "many"}, "store")
    assert [line.split(":")[0] for line in caught.value.problems] == ["store.pth", "store.path", "store.size"]
    assert 'Did you mean "path"?' in caught.value.problems[0]
    with pytest.raises(ConfigError, match="no dataclass"):
        config.parse_options(int, {}, "store")


def test_a_tables_own_keys_are_the_plugins() -> None:
    parsed = config.parse({"store": {"use": "sqlite", "path": "x"}}, "test", {})
    assert config.plugin_keys(parsed.store) == {"path": "x"}
