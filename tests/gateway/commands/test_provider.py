"""The commands of provider and master-key: what they print, store and refuse."""

import asyncio
import stat
from pathlib import Path

import pytest

from gateway.accounts import master_key
from gateway.accounts.master_key import InEnvironment, InFile, MasterKeyError
from gateway.accounts.vault import Sealer, Vault
from gateway.content import Purpose, Secret
from gateway.names import Slug
from tests.gateway.commands.shop import OPENAI, SECRET, Shop, parse


def test_a_provider_key_from_standard_input_is_sealed(shop: Shop) -> None:
    assert shop("provider", "set-key", "openai") == 0
    assert "canary" not in shop.everything()
    master, rows = master_key.load(shop.source), asyncio.run(shop.store.secrets.load())
    secret = Vault(master, rows).get(OPENAI, "api.openai.com")
    assert secret.open(Purpose.SEND) == SECRET


def test_a_provider_key_from_a_variable_goes_to_its_slot(shop: Shop) -> None:
    shop.environment["MY_KEY"] = SECRET + "\n"
    shown = shop.json("provider", "set-key", "openai", "--from-env", "MY_KEY", "--slot", "2")
    assert (shown["id"], shown["host"], shown["usable"]) == ("openai/2", "api.openai.com", True)
    assert "canary" not in shop.everything()


def test_a_provider_that_the_configuration_has_a_key_for_is_pointed_out(shop: Shop) -> None:
    assert shop("provider", "set-key", "groq") == 0
    assert any("configuration" in line for line in shop.err)


@pytest.mark.parametrize("typed", ["", " \n", "two words", "sk-\x00", "sk-é", "x" * 4097, "a\nb"])
def test_what_is_no_key_is_refused_and_not_quoted(shop: Shop, typed: str) -> None:
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
def test_wrong_usage_stores_no_provider_key(shop: Shop, words: list[str]) -> None:
    assert shop("provider", "set-key", *words) == 2
    assert asyncio.run(shop.store.secrets.load()) == ()


def test_deleted_provider_keys_are_gone(shop: Shop) -> None:
    for slot in ("1", "2"):
        shop("provider", "set-key", "openai", "--slot", slot)
    assert shop.json("provider", "delete-key", "openai", "--slot", "2") == {"deleted": ["openai/2"]}
    assert shop("provider", "delete-key", "openai") == 0
    assert shop.err == ["deleted: openai/1"]
    assert asyncio.run(shop.store.secrets.load()) == ()
    assert shop("provider", "delete-key", "openai") == 1


def test_providers_are_listed_with_where_their_keys_are(shop: Shop) -> None:
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


def _secret() -> Secret:
    return Secret(SECRET)


def test_the_master_key_in_a_file_is_rotated(shop: Shop) -> None:
    shop("provider", "set-key", "openai")
    shown = shop.json("master-key", "rotate")
    assert shown == {"kek": master_key.load(shop.source).current.id, "rows": 1, "resumed": False}
    assert shop("master-key", "rotate") == 0
    assert shop.err == [f"1 stored keys are now under {master_key.load(shop.source).current.id}."]


def test_the_master_key_in_a_variable_is_rotated_in_two_steps(shop: Shop, tmp_path: Path) -> None:
    assert isinstance(shop.source, InFile)
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


def test_no_command_takes_a_key_as_a_word(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["provider", "set-key", "openai", SECRET], ["key", "create", "a", "tg_x"]):
        with pytest.raises(SystemExit) as leaving:
            parse(*words)
        assert leaving.value.code == 2
    capsys.readouterr()
