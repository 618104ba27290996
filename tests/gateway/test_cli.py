"""The commands as they are typed: what they print, in text and in JSON, and their exit codes."""

import argparse
import asyncio
import csv
import io
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import __version__, cli, commands, plugins
from gateway import config as configuration
from gateway.clock import SystemClock
from gateway.ledger.prices import PriceBook
from gateway.names import Slug
from gateway.records import NAMES, Record
from gateway.store.sqlite import SqliteStore
from gateway.usage import Nanos
from tests.sample_records import a_record


class Typed:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Type = Callable[..., Typed]


@pytest.fixture
def type_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """Types a command in a folder of its own: type_in("usage", "--json", put=b"standard input")."""
    monkeypatch.chdir(tmp_path)
    for name in ("GATEWAY_CONFIG", *configuration.USUAL_KEYS.values()):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str, put: bytes = b"") -> Typed:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(put)))
        try:
            code = cli.main(list(words))
        except SystemExit as end:
            code = int(end.code or 0)
        return Typed(code, *capsys.readouterr())

    return run


def keep(*records: Record) -> None:
    """Put records into the store of the working directory."""

    async def put() -> None:
        store = SqliteStore(SqliteStore.Config())
        await store.start()
        await store.records.add(records)
        await store.close()

    asyncio.run(put())


def recent(number: int, **changes: Any) -> Record:
    """A record of a few seconds ago."""
    return a_record(number, at=SystemClock().now_us() - 10_000_000 + number, **changes)


# --- the command line itself


def test_help_and_version_are_told(type_in: Type) -> None:
    assert type_in("--version").out.strip() == __version__
    helped = type_in("--help")
    assert helped.code == 0
    assert "adapter-test" in helped.out


@pytest.mark.parametrize(
    "words",
    [("nonsense",), ("usage", "--nonsense"), ("key",), ("export", "--format", "xml"), ("prices", "show")],
)
def test_what_is_no_command_is_wrong_usage(type_in: Type, words: tuple[str, ...]) -> None:
    assert type_in(*words).code == 2


def test_a_configuration_that_is_named_and_not_there_is_wrong(
    type_in: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = type_in("usage", "--config", "nowhere.toml")
    assert (told.code, told.out) == (2, "")
    assert told.err.strip() == "nowhere.toml: does not exist"
    monkeypatch.setenv("GATEWAY_CONFIG", "elsewhere.toml")
    assert type_in("plugins").code == 0  # needs none
    assert "elsewhere.toml" in type_in("usage").err


def test_a_store_that_cannot_be_opened_is_a_failure(type_in: Type, tmp_path: Path) -> None:
    (tmp_path / "gateway-data").mkdir()
    (tmp_path / "gateway-data" / "gateway.db").write_bytes(b"this is no database" * 99)
    told = type_in("usage")
    assert told.code == 1
    assert "gateway.db" in told.err
    assert "Traceback" not in told.err


def test_a_master_key_that_others_can_read_is_refused(type_in: Type, tmp_path: Path) -> None:
    assert type_in("init").code == 0
    (tmp_path / "gateway-data" / "master.key").chmod(0o644)
    told = type_in("key", "create", "ci")
    assert told.code == 2
    assert "chmod 600" in told.err


# --- init


def test_init_writes_a_configuration_that_is_good_and_never_twice(type_in: Type, tmp_path: Path) -> None:
    first = type_in("init")
    assert first.code == 0
    assert "gateway.toml" in first.out
    for name in ("gateway.toml", "gateway-data/master.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    before = (tmp_path / "gateway.toml").read_bytes(), (tmp_path / "gateway-data/master.key").read_bytes()
    again = type_in("init")
    assert again.code == 1
    assert "there already" in again.err
    assert (
        (tmp_path / "gateway.toml").read_bytes(),
        (tmp_path / "gateway-data/master.key").read_bytes(),
    ) == before
    assert type_in("check").code == 0


def test_init_writes_where_it_is_told_and_says_when_it_cannot(type_in: Type, tmp_path: Path) -> None:
    assert type_in("init", "--config", "other.toml").code == 0
    assert (tmp_path / "other.toml").exists()
    told = type_in("init", "--config", "no/such/folder/gateway.toml")
    assert told.code == 1
    assert "Traceback" not in told.err


# --- usage and export


def test_usage_sums_by_what_is_asked_and_in_dollars(type_in: Type) -> None:
    assert type_in("usage", "--json").json == {"rows": []}
    keep(
        recent(1, feature=Slug("search"), cost_nanos=Nanos(1_500_000_000)),
        recent(2, feature=Slug("search"), cost_nanos=Nanos(1)),
        recent(3, feature=Slug("chat"), cost_nanos=None, priced=False, price_version=None),
    )
    rows = type_in("usage", "--by", "feature", "--json").json["rows"]
    assert [(row["feature"], row["calls"], row["cost_usd"], row["unpriced"]) for row in rows] == [
        ("search", 2, "1.500000001", 0),
        ("chat", 1, "0", 1),
    ]
    text = type_in("usage", "--by", "model,feature").out.splitlines()
    assert text[0].split() == [
        "model_routed",
        "feature",
        "calls",
        "tokens_input",
        "tokens_output",
        "cost_usd",
        "unpriced",
    ]
    assert text[1].split() == ["openai/gpt-4o-mini", "search", "2", "3", "0", "1.500000001", "0"]
    [whole] = type_in("usage", "--by", "", "--json").json["rows"]
    assert whole["calls"] == 3


def test_usage_looks_at_the_time_that_is_asked_for(type_in: Type) -> None:
    keep(recent(1), a_record(2))  # the second one is of 1970
    assert type_in("usage", "--by", "", "--json").json["rows"][0]["calls"] == 1
    assert type_in("usage", "--since", "1970-01-01", "--by", "", "--json").json["rows"][0]["calls"] == 2
    until = type_in("usage", "--since", "1970-01-01", "--until", "1h", "--by", "", "--json")
    assert until.json["rows"][0]["calls"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--by", "prompt"),
        ("--by", "id"),
        ("--since", "yesterday"),
        ("--until", "10"),
        ("--since", "99999999999999999999d"),
    ],
)
def test_usage_refuses_what_it_cannot_sum(type_in: Type, words: tuple[str, ...]) -> None:
    told = type_in("usage", *words)
    assert told.code == 2, told.err
    assert told.out == ""
    assert "Traceback" not in told.err


def test_export_gives_every_record_with_all_its_columns(type_in: Type) -> None:
    records = [recent(number, stream=number % 2 == 0) for number in range(1, 6)]
    keep(*records)
    lines = [json.loads(line) for line in type_in("export", "--format", "jsonl").out.splitlines()]
    assert [line["id"] for line in lines] == [record.id for record in records]
    assert all(tuple(line) == NAMES for line in lines)
    assert lines[0]["cost_nanos"] == 1001
    assert lines[0]["at"].endswith("+00:00")
    rows = list(csv.reader(io.StringIO(type_in("export", "--format", "csv").out)))
    assert tuple(rows[0]) == NAMES
    assert [row[0] for row in rows[1:]] == [record.id for record in records]
    assert rows[1][NAMES.index("org")] == ""
    assert type_in("export", "--since", "1970-01-01", "--until", "2000-01-01").out == ""


# --- plugins, explain, prices, adapter-test


def test_plugins_are_listed_with_where_they_come_from(type_in: Type) -> None:
    rows = type_in("plugins", "--json").json["plugins"]
    assert {row["name"] for row in rows if row["group"] == "gateway.stores"} >= {"sqlite", "memory"}
    for row in rows:
        assert set(row) == {"group", "name", "package", "version", "opens_content"}
        assert row["opens_content"] is (row["group"] in ("gateway.providers", "gateway.classifiers"))
    lines = type_in("plugins").out.splitlines()
    assert len(lines) == len(rows) == sum(len(plugins.find(group)) for group in plugins.GROUPS)


CALL = {"model": "echo-1", "messages": [{"role": "user", "content": "canary"}], "max_tokens": 10}


def test_explain_says_what_would_become_of_a_call(type_in: Type, tmp_path: Path) -> None:
    assert type_in("init").code == 0
    body = json.dumps(CALL).encode()
    answer = type_in("explain", "--json", put=body).json
    [candidate] = answer["candidates"]
    assert (candidate["model"], answer["reason"], answer["error"]) == ("echo/echo-1", "requested", None)
    assert float(candidate["held_usd"]) > 0
    text = type_in("explain", put=body)
    assert text.code == 0
    assert "echo/echo-1" in text.out
    assert "canary" not in text.out + text.err + str(answer)
    refused = type_in("explain", "--json", put=json.dumps(CALL | {"model": "no-such"}).encode()).json
    assert (refused["error"], refused["candidates"]) == ("unknown_model", [])


def test_explain_uses_the_scopes_of_a_key(type_in: Type) -> None:
    made = type_in("key", "create", "narrow", "--models", "gpt-*", "--json").json
    answer = type_in("explain", "--key", made["id"], "--json", put=json.dumps(CALL).encode()).json
    assert answer["error"] == "not_allowed"
    for wrong in ("key-nobody-has", made["key"], "two words"):
        told = type_in("explain", "--key", wrong, put=b"{}")
        assert told.code == 2
        assert "Traceback" not in told.err


@pytest.mark.parametrize("put", [b"", b"[]", b"\xff", b"{"])
def test_explain_refuses_what_is_no_request(type_in: Type, put: bytes) -> None:
    told = type_in("explain", put=put)
    assert (told.code, told.out) == (2, "")
    assert "standard input" in told.err


@pytest.mark.parametrize("dialect", ["no_such_dialect", "two words"])
def test_explain_names_the_dialects_it_knows(type_in: Type, dialect: str) -> None:
    assert type_in("init").code == 0
    told = type_in("explain", "--dialect", dialect, put=b"{}")
    assert told.code == 2
    assert "Traceback" not in told.err


def test_prices_are_shown_and_compared(type_in: Type, tmp_path: Path) -> None:
    shown = type_in("prices", "show", "openai/gpt-4o-mini").json
    assert shown["picodollars"]["input"] == 150_000
    told = type_in("prices", "show", "openai/no-such-model")
    assert (told.code, told.out) == (1, "")
    book = Path(cli.__file__).parent / "ledger" / "prices.json"
    assert type_in("prices", "diff", str(book)).json == []
    (tmp_path / "broken.json").write_text("{}")
    for name in ("broken.json", "nowhere.json"):
        told = type_in("prices", "diff", name)
        assert told.code == 2
        assert name in told.err
    assert PriceBook.parse(book.read_bytes())


def test_a_provider_is_tried_by_name(type_in: Type) -> None:
    tried = type_in("adapter-test", "openai")
    assert (tried.code, tried.err) == (0, "")
    assert "0 findings" in tried.out
    told = type_in("adapter-test", "nobody")
    assert told.code == 2
    assert "no plugin is called nobody" in told.err


# --- serve


def test_serve_tells_a_wrong_configuration_before_it_makes_anything(type_in: Type, tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(
        '[routes.auto]\nuse = "fixed"\ntarget = "no-such"\n[store]\nuse = "x"\n'
    )
    for words in (("serve",), ()):
        told = type_in(*words)
        assert told.code == 2
        assert "routes.auto: no configured provider serves the model no-such" in told.err
        assert "store: " in told.err
    assert not (tmp_path / "gateway-data").exists()


def test_each_command_is_listed_at_the_module_that_adds_it() -> None:
    for module, names in commands.FAMILIES.items():
        parser = argparse.ArgumentParser()
        family = parser.add_subparsers()
        for add in commands.adders(names):
            add(family, argparse.ArgumentParser(add_help=False))
        assert tuple(family.choices) == names, module


def test_a_server_loads_no_command_but_its_own() -> None:
    program = "import sys; from gateway.commands import adders; adders(['serve']); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = told.stdout.split()
    assert "gateway.commands.serve" in loaded
    for name in ("gateway.commands.savings", "gateway.quality", "gateway.privacy", "numpy"):
        assert name not in loaded
