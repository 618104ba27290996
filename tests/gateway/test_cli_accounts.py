"""The commands key, provider and master-key: what they print, store and refuse."""

import argparse
import asyncio
import io
import json
import os
import pty
import stat
import sys
from pathlib import Path

import pytest

from gateway import cli_accounts
from gateway.accounts import keys, master_key, tree
from gateway.accounts.directory import Directory
from gateway.accounts.master_key import InEnvironment, InFile, MasterKeyError
from gateway.accounts.vault import Sealer, Vault
from gateway.cli_desk import Desk, Place
from gateway.content import Purpose
from gateway.contracts import NodeRow
from gateway.names import Slug
from gateway.store.memory import MemoryStore

OPENAI, GROQ = Slug("openai"), Slug("groq")
SECRET = "sk-canary-0123456789"


class FixedClock:
    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def now_us(self) -> int:
        return self.ms * 1000

    def tick_ns(self) -> int:
        return 0


class Shop:
    """A desk whose output is kept."""

    def __init__(self, path: Path) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self.clock = FixedClock()
        self.store = MemoryStore()
        self.environment: dict[str, str] = {}
        self.typed = SECRET
        self.source: master_key.Source = InFile(path)
        self.places = {
            OPENAI: Place(Slug("api.openai.com")),
            GROQ: Place(Slug("api.groq.com"), configured=True),
        }

    def __call__(self, *words: str) -> int:
        return asyncio.run(self.run(*words))

    async def run(self, *words: str) -> int:
        self.out.clear()
        self.err.clear()
        desk = Desk(
            store=self.store,
            source=self.source,
            places=self.places,
            say=self.out.append,
            complain=self.err.append,
            read_secret=lambda: self.typed,
            environment=self.environment,
            clock=self.clock,
        )
        return await cli_accounts.run(desk, parse(*words))

    def json(self, *words: str) -> dict:
        assert self(*words, "--json") == 0
        assert len(self.out) == 1
        return json.loads(self.out[0])

    def everything(self) -> str:
        async def load() -> str:
            return repr((await self.store.accounts.load(), await self.store.secrets.load()))

        return "\n".join([*self.out, *self.err, asyncio.run(load())])

    def finds(self, text: str):
        found = Directory(master_key.load(self.source).pepper, self.clock)
        found.replace(asyncio.run(self.store.accounts.load()))
        return found.find(text)


def parse(*words: str) -> argparse.Namespace:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true")
    parser = argparse.ArgumentParser()
    cli_accounts.add_parsers(parser.add_subparsers(), shared, lambda arguments: 0)
    arguments = parser.parse_args(words)
    assert arguments.run(arguments) == 0
    return arguments


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    master_key.create(tmp_path / "master.key")
    return Shop(tmp_path / "master.key")


def test_a_new_key_is_printed_alone_and_once(shop):
    assert shop("key", "create", "ci") == 0
    (text,) = shop.out
    assert keys.well_formed(text)
    assert text not in "".join(shop.err)
    caller = shop.finds(text)
    assert (caller.key_name, caller.org, caller.project) == ("ci", "default", "default")
    for words in (["key", "list"], ["key", "list", "--json"], ["key", "revoke", caller.key_id]):
        assert shop(*words) == 0
        assert text[7:-4] not in shop.everything()


def test_a_new_key_as_json(shop):
    shown = shop.json(
        "key", "create", "ci", "--models", "gpt-4o-mini,claude-*", "--expires", "30d", "--cap", "25"
    )
    assert list(shown)[:2] == ["id", "key"]
    assert set(shown) == {
        "id", "key", "name", "prefix", "last4", "org", "project", "state", "created", "expires", "revoked",
        "replaced_by", "scopes",
    }  # fmt: skip
    assert shown["scopes"] == {"models": ["gpt-4o-mini", "claude-*"], "cap": ["25"]}
    assert (shown["created"], shown["expires"]) == ("2023-11-14T22:13:20Z", "2023-12-14T22:13:20Z")
    assert shop.finds(shown["key"]).key_id == shown["id"]


def test_every_scope_can_be_given(shop):
    words = "--models m --providers openai,groq --paths chat,embeddings --environments prod"
    words += " --networks 10.0.0.0/8,::1 --hours 08:00-18:00 --max-cost 0.5 --rate 60"
    words += " --floor no-training --store --models n"
    shown = shop.json("key", "create", "ci", *words.split())
    assert shown["scopes"] == {
        "models": ["m", "n"],
        "providers": ["openai", "groq"],
        "paths": ["chat", "embeddings"],
        "environments": ["prod"],
        "networks": ["10.0.0.0/8", "::1"],
        "hours": ["08:00-18:00"],
        "max_cost": ["0.5"],
        "rate": ["60"],
        "floor": ["no-training"],
        "store": ["allow"],
    }
    caller = shop.finds(shown["key"])
    assert (caller.rate, caller.rights.max_cost, caller.rights.may_store) == (60, 500_000_000, True)


def test_organisations_and_projects_are_made_when_first_named(shop):
    first = shop.json("key", "create", "a", "--org", "acme", "--project", "web")
    assert "new organisation: acme" in shop.err
    second = shop.json("key", "create", "b", "--org", "acme", "--project", "web")
    assert shop.err == []
    third = shop.json("key", "create", "c", "--org", "acme")
    fourth = shop.json("key", "create", "d", "--project", "default")
    fifth = shop.json("key", "create", "e", "--project", "side")
    places = [(one["org"], one["project"]) for one in (first, second, third, fourth, fifth)]
    assert places == [
        ("acme", "web"), ("acme", "web"), ("acme", None), ("default", "default"), ("default", "side"),
    ]  # fmt: skip


def test_a_name_that_another_kind_of_node_has_is_refused(shop):
    row = NodeRow(id=Slug("r"), parent=tree.ROOT_ID, kind=tree.RESELLER, name=Slug("acme"), created_ms=0)
    asyncio.run(tree.ensure_root(shop.store))
    asyncio.run(shop.store.accounts.put(nodes=[row]))
    assert shop("key", "create", "a", "--org", "acme") == 2


BY_PARSER = ("ci --models", "ci --max-cost -1x", "ci tg_key")


@pytest.mark.parametrize(
    "words",
    [
        *BY_PARSER,
        "two\twords",
        "",
        "x" * 129,
        "ci --org a,b",
        "ci --project é",
        "ci --models a**",
        "ci --models=",
        "ci --paths chats",
        "ci --networks 10.0.0.1/8",
        "ci --hours 8-18",
        "ci --max-cost -1",
        "ci --cap lots",
        "ci --rate 0",
        "ci --floor best",
        "ci --expires soon",
        "ci --expires 0s",
        "ci --expires 99999999999999999999d",
        "ci --expires 2020-01-01T00:00:00Z",
    ],
)
def test_wrong_usage_makes_no_key_and_exits_with_2(shop, words):
    if words in BY_PARSER:
        with pytest.raises(SystemExit, match="2"):
            shop("key", "create", *words.split(" "))
    else:
        assert shop("key", "create", *words.split(" ")) == 2
        assert len(shop.err) == 1
    assert shop.out == []
    assert asyncio.run(shop.store.accounts.load()).keys == ()


def test_a_time_ends_a_key_too(shop):
    shown = shop.json("key", "create", "ci", "--expires", "2030-01-31T00:00+01:00")
    assert shown["expires"] == "2030-01-30T23:00:00Z"


def test_keys_are_listed_with_their_states(shop):
    first = shop.json("key", "create", "a")
    shop.clock.ms += 1
    second = shop.json("key", "create", "b", "--expires", "1s")
    shop.clock.ms += 1
    shop("key", "revoke", first["id"])
    shop.clock.ms += 1000
    listed = shop.json("key", "list")["keys"]
    assert [(one["name"], one["state"]) for one in listed] == [("a", "revoked"), ("b", "expired")]
    assert all("key" not in one and "digest" not in one for one in listed)
    assert shop("key", "list") == 0
    assert shop.out[0].split() == ["id", "name", "prefix", "last4", "org", "project", "state", "expires"]
    assert shop.out[2].split()[:2] == [second["id"], "b"]
    assert shop.out[1].split()[-1] == "-"


def test_a_revoked_key_is_refused_and_revoking_again_changes_nothing(shop):
    shown = shop.json("key", "create", "a")
    assert shop.json("key", "revoke", shown["id"]) == {"id": shown["id"], "revoked": True}
    assert shop.finds(shown["key"]) is None
    version = asyncio.run(shop.store.accounts.version())
    assert shop("key", "revoke", shown["id"]) == 0
    assert asyncio.run(shop.store.accounts.version()) == version
    assert shop("key", "revoke", "key-of-nobody") == 1
    assert shop("key", "rotate", shown["id"]) == 1


def test_both_secrets_of_a_rotated_key_work_through_its_grace(shop):
    shown = shop.json("key", "create", "a", "--cap", "25")
    rotated = shop.json("key", "rotate", shown["id"], "--grace", "1h")
    assert rotated["id"] == shown["id"]
    assert rotated["key"] != shown["key"]
    assert shop.finds(shown["key"]) == shop.finds(rotated["key"])
    assert shop.finds(rotated["key"]).cap == 25 * 10**9
    former = next(one for one in shop.json("key", "list")["keys"] if one["replaced_by"])
    assert (former["state"], former["prefix"]) == ("replaced", shown["prefix"])
    assert shop("key", "rotate", former["id"]) == 1
    shop.clock.ms += 3_600_000
    assert shop.finds(shown["key"]) is None
    assert shop.finds(rotated["key"]) is not None
    assert shop("key", "rotate", shown["id"], "--grace", "soon") == 2


def test_a_provider_key_from_standard_input_is_sealed(shop):
    assert shop("provider", "set-key", "openai") == 0
    assert "canary" not in shop.everything()
    master, rows = master_key.load(shop.source), asyncio.run(shop.store.secrets.load())
    secret = Vault(master, rows).get(OPENAI, "api.openai.com")
    assert secret.open(Purpose.SEND) == SECRET


def test_a_provider_key_from_a_variable_goes_to_its_slot(shop):
    shop.environment["MY_KEY"] = SECRET + "\n"
    shown = shop.json("provider", "set-key", "openai", "--from-env", "MY_KEY", "--slot", "2")
    assert (shown["id"], shown["host"], shown["usable"]) == ("openai/2", "api.openai.com", True)
    assert "canary" not in shop.everything()


def test_a_provider_that_the_configuration_has_a_key_for_is_pointed_out(shop):
    assert shop("provider", "set-key", "groq") == 0
    assert any("configuration" in line for line in shop.err)


@pytest.mark.parametrize("typed", ["", " \n", "two words", "sk-\x00", "sk-é", "x" * 4097, "a\nb"])
def test_what_is_no_key_is_refused_and_not_quoted(shop, typed):
    shop.typed = typed
    assert shop("provider", "set-key", "openai") == 2
    assert asyncio.run(shop.store.secrets.load()) == ()
    assert not typed.strip() or typed not in shop.err[0]


@pytest.mark.parametrize(
    "words",
    [
        ["nobody"],
        ["two words"],
        ["openai", "--slot", "0"],
        ["openai", "--slot", "100"],
        ["openai", "--from-env", "UNSET"],
    ],
)
def test_wrong_usage_stores_no_provider_key(shop, words):
    assert shop("provider", "set-key", *words) == 2
    assert asyncio.run(shop.store.secrets.load()) == ()


def test_no_command_takes_a_key_as_a_word(shop, capsys):
    for words in (["provider", "set-key", "openai", SECRET], ["key", "create", "a", "tg_x"]):
        with pytest.raises(SystemExit) as leaving:
            parse(*words)
        assert leaving.value.code == 2
    capsys.readouterr()


def test_deleted_provider_keys_are_gone(shop):
    for slot in ("1", "2"):
        shop("provider", "set-key", "openai", "--slot", slot)
    assert shop.json("provider", "delete-key", "openai", "--slot", "2") == {"deleted": ["openai/2"]}
    assert shop("provider", "delete-key", "openai") == 0
    assert shop.err == ["deleted: openai/1"]
    assert asyncio.run(shop.store.secrets.load()) == ()
    assert shop("provider", "delete-key", "openai") == 1


def test_providers_are_listed_with_where_their_keys_are(shop):
    shop("provider", "set-key", "openai")
    sealer = Sealer(master_key.load(shop.source))
    gone = sealer.seal(Slug("old"), 1, Slug("old.example"), _secret(), 0)
    moved = sealer.seal(OPENAI, 2, Slug("old.example"), _secret(), 0)
    asyncio.run(shop.store.secrets.put([gone, moved]))
    listed = shop.json("provider", "list")["providers"]
    assert [(one["provider"], one["host"], one["configured_key"]) for one in listed] == [
        ("groq", "api.groq.com", True),
        ("old", None, False),
        ("openai", "api.openai.com", False),
    ]
    assert [[key["usable"] for key in one["keys"]] for one in listed] == [[], [False], [True, False]]
    assert shop("provider", "list") == 0
    assert "openai/2 for old.example (not usable)" in shop.out[3]
    assert shop.out[1].split()[-1] == "-"
    assert "canary" not in shop.everything()


def _secret():
    from gateway.content import Secret

    return Secret(SECRET)


def test_the_master_key_in_a_file_is_rotated(shop):
    shop("provider", "set-key", "openai")
    shown = shop.json("master-key", "rotate")
    assert shown == {"kek": master_key.load(shop.source).current.id, "rows": 1, "resumed": False}
    assert shop("master-key", "rotate") == 0
    assert shop.err == [f"1 stored keys are now under {master_key.load(shop.source).current.id}."]


def test_the_master_key_in_a_variable_is_rotated_in_two_steps(shop, tmp_path):
    text = Path(shop.source.path).read_text()
    shop.source, shop.environment["MASTER"] = (
        InEnvironment("MASTER", shop.environment),
        text.replace("\n", ";"),
    )
    shop("provider", "set-key", "openai")
    old = master_key.load(shop.source)
    assert shop("master-key", "rotate") == 2
    assert "--write" in shop.err[0]
    fresh = tmp_path / "new.key"
    assert shop("master-key", "rotate", "--write", str(fresh)) == 0
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o600
    with pytest.raises(MasterKeyError):
        shop("master-key", "rotate", "--write", str(fresh))
    shop.environment["MASTER"] = fresh.read_text()
    shown = shop.json("master-key", "rotate")
    new = master_key.load(shop.source)
    assert (shown["kek"], shown["rows"]) == (new.current.id, 1)
    assert [kek.id for kek in new.keks] == [shown["kek"], old.current.id]
    assert new.pepper == old.pepper


def test_standard_input_is_read_to_the_end_of_its_first_line(monkeypatch):
    desk = Desk(store=MemoryStore(), source=InEnvironment("X"), places={}, say=print, complain=print)
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-first\nsk-second\n"))
    assert desk.read_secret() == "sk-first\n"
    assert desk.clock.now_us() > 0
    assert "PATH" in desk.environment


def test_a_terminal_is_asked_without_echo():
    # A pseudo-terminal stands for the one that getpass opens; what is typed must not come back.
    program = (
        "import sys\n"
        "from gateway.cli_desk import _read_secret\n"
        "sys.exit(0 if _read_secret() == 'sk-typed' else 1)\n"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", program])
    seen = os.read(terminal, 100)
    assert b"Key:" in seen
    os.write(terminal, b"sk-typed\n")
    try:
        while chunk := os.read(terminal, 1000):
            seen += chunk
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert b"sk-typed" not in seen
