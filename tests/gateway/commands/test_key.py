"""The commands of key: what they print, store and refuse."""

import asyncio

import pytest

from gateway.accounts import keys, tree
from gateway.contracts import NodeRow
from gateway.names import Slug
from tests.gateway.commands.shop import Shop


def test_a_new_key_is_printed_alone_and_once(shop: Shop) -> None:
    assert shop("key", "create", "ci") == 0
    (text,) = shop.out
    assert keys.well_formed(text)
    assert text not in "".join(shop.err)
    caller = shop.caller(text)
    assert (caller.key_name, caller.org, caller.project) == ("ci", "default", "default")
    for words in (["key", "list"], ["key", "list", "--json"], ["key", "revoke", caller.key_id]):
        assert shop(*words) == 0
        assert text[7:-4] not in shop.everything()


def test_a_new_key_as_json(shop: Shop) -> None:
    shown = shop.json(
        "key", "create", "ci", "--models", "gpt-4o-mini,claude-*", "--expires", "30d", "--cap", "25"
    )
    assert list(shown)[:2] == ["id", "key"]
    assert set(shown) == {
        "id", "key", "name", "prefix", "last4", "node", "org", "project", "state", "created", "expires",
        "revoked", "replaced_by", "scopes",
    }  # fmt: skip
    assert shown["scopes"] == {"models": ["gpt-4o-mini", "claude-*"], "cap": ["25"]}
    assert (shown["created"], shown["expires"]) == ("2023-11-14T22:13:20Z", "2023-12-14T22:13:20Z")
    assert shop.caller(shown["key"]).key_id == shown["id"]


def test_every_scope_can_be_given(shop: Shop) -> None:
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
    caller = shop.caller(shown["key"])
    assert (caller.rate, caller.rights.max_cost, caller.rights.may_store) == (60, 500_000_000, True)


def test_organisations_and_projects_are_made_when_first_named(shop: Shop) -> None:
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


def test_a_name_that_another_kind_of_node_has_is_refused(shop: Shop) -> None:
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
def test_wrong_usage_makes_no_key_and_exits_with_2(shop: Shop, words: str) -> None:
    if words in BY_PARSER:
        with pytest.raises(SystemExit, match="2"):
            shop("key", "create", *words.split(" "))
    else:
        assert shop("key", "create", *words.split(" ")) == 2
        assert len(shop.err) == 1
    assert shop.out == []
    assert asyncio.run(shop.store.accounts.load()).keys == ()


def test_a_time_ends_a_key_too(shop: Shop) -> None:
    shown = shop.json("key", "create", "ci", "--expires", "2030-01-31T00:00+01:00")
    assert shown["expires"] == "2030-01-30T23:00:00Z"


def test_keys_are_listed_with_their_states(shop: Shop) -> None:
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


def test_a_revoked_key_is_refused_and_revoking_again_changes_nothing(shop: Shop) -> None:
    shown = shop.json("key", "create", "a")
    assert shop.json("key", "revoke", shown["id"]) == {"id": shown["id"], "revoked": True}
    assert shop.finds(shown["key"]) is None
    version = asyncio.run(shop.store.accounts.version())
    assert shop("key", "revoke", shown["id"]) == 0
    assert asyncio.run(shop.store.accounts.version()) == version
    assert shop("key", "revoke", "key-of-nobody") == 1
    assert shop("key", "rotate", shown["id"]) == 1


def test_both_secrets_of_a_rotated_key_work_through_its_grace(shop: Shop) -> None:
    shown = shop.json("key", "create", "a", "--cap", "25")
    rotated = shop.json("key", "rotate", shown["id"], "--grace", "1h")
    assert rotated["id"] == shown["id"]
    assert rotated["key"] != shown["key"]
    assert shop.finds(shown["key"]) == shop.finds(rotated["key"])
    assert shop.caller(rotated["key"]).cap == 25 * 10**9
    former = next(one for one in shop.json("key", "list")["keys"] if one["replaced_by"])
    assert (former["state"], former["prefix"]) == ("replaced", shown["prefix"])
    assert shop("key", "rotate", former["id"]) == 1
    shop.clock.ms += 3_600_000
    assert shop.finds(shown["key"]) is None
    assert shop.finds(rotated["key"]) is not None
    assert shop("key", "rotate", shown["id"], "--grace", "soon") == 2
