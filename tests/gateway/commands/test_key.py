"""The commands of key: what they print, store and refuse."""

import asyncio

import pytest

from gateway.accounts import keys
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


def test_organisations_and_projects_are_made_when_that_is_asked_for(shop: Shop) -> None:
    first = shop.json("key", "create", "a", "--org", "acme", "--project", "web", "--make")
    assert shop.err == ["new organisation: acme", "new project: web"]
    second = shop.json("key", "create", "b", "--org", "acme", "--project", "web", "--make")
    assert shop.err == []
    third = shop.json("key", "create", "c", "--org", "acme")
    fourth = shop.json("key", "create", "d", "--project", "default")
    fifth = shop.json("key", "create", "e", "--project", "side", "--make")
    sixth = shop.json("key", "create", "f", "--org", "acme", "--project", "side", "--make")
    places = [(one["org"], one["project"]) for one in (first, second, third, fourth, fifth, sixth)]
    assert places == [
        ("acme", "web"), ("acme", "web"), ("acme", None), ("default", "default"), ("default", "side"),
        ("acme", "side"),
    ]  # fmt: skip


def test_a_slip_of_the_pen_makes_no_organisation(shop: Shop) -> None:
    acme = shop.node("acme", "organisation", "platform")
    version = asyncio.run(shop.store.accounts.version())
    assert shop("key", "create", "a", "--org", "acmee", "--project", "web") == 1
    assert shop.err == [
        f"--org: there is no organisation acmee here. Did you mean {acme} (acme)?\n"
        "  To make it: gateway node create acmee --kind organisation --parent platform\n"
        "  or say --make, which makes what is missing"
    ]
    assert shop("key", "create", "a", "--org", "acme", "--project", "web") == 1
    assert f"gateway node create web --kind project --parent {acme}" in shop.err[0]
    assert "Did you mean" not in shop.err[0]
    assert shop("key", "create", "a", "--project", "web") == 1
    assert "gateway node create web --kind project --parent organisation-default" in shop.err[0]
    assert asyncio.run(shop.store.accounts.version()) == version


def test_the_line_that_an_error_shows_makes_what_was_missing(shop: Shop) -> None:
    assert shop("key", "create", "a", "--project", "web") == 1
    line = shop.err[0].partition("To make it: gateway ")[2].splitlines()[0]
    assert shop(*line.split()) == 0
    assert shop.json("key", "create", "a", "--project", "web")["project"] == "web"


def test_places_are_found_at_any_depth_by_name_or_id(shop: Shop) -> None:
    north = shop.node("north", "reseller", "platform")
    acme = shop.node("acme", "organisation", shop.node("far-north", "reseller", north))
    web = shop.node("web", "project", acme)
    for words in (["--project", "web"], ["--project", web], ["--org", "acme", "--project", "web"]):
        shown = shop.json("key", "create", "a", *words)
        assert (shown["node"], shown["org"], shown["project"]) == (web, "acme", "web")
    assert shop.json("key", "create", "a", "--org", acme)["node"] == acme
    assert shop("key", "create", "a", "--org", "default", "--project", web) == 1
    assert f"Did you mean {web} (north > far-north > acme > web)?" in shop.err[0]


def test_a_name_that_means_two_places_is_refused_with_their_ids(shop: Shop) -> None:
    one = shop.node("acme", "organisation", shop.node("north", "reseller", "platform"))
    two = shop.node("acme", "organisation", shop.node("south", "reseller", "platform"))
    webs = [shop.node("web", "project", node) for node in (one, two)]
    assert shop("key", "create", "a", "--org", "acme", "--make") == 1
    assert shop.err == [
        f"--org: 2 nodes have this name; take the id of one:\n  {one} (north > acme)\n  {two} (south > acme)"
    ]
    assert shop("key", "create", "a", "--project", "web") == 1
    assert all(web in shop.err[0] for web in webs)
    shown = shop.json("key", "create", "a", "--org", two, "--project", "web")
    assert shown["node"] == webs[1]


def test_a_name_that_another_kind_of_node_has_is_refused(shop: Shop) -> None:
    north = shop.node("acme", "reseller", "platform")
    assert shop("key", "create", "a", "--org", "acme", "--make") == 2
    assert shop.err == [f"platform platform has a node of this name already: {north}"]


def test_a_key_below_a_disabled_node_is_pointed_out(shop: Shop) -> None:
    shop("key", "create", "a")
    shop("node", "disable", "organisation-default")
    shown = shop.json("key", "create", "b")
    assert shown["state"] == "disabled"
    assert "project-default or a node above it is disabled" in shop.err[0]


def test_a_floor_is_made_with_a_word_about_what_it_does(shop: Shop) -> None:
    shop("key", "create", "a", "--floor", "no-training")
    assert "of which none is known" in shop.err[0]
    shop("key", "create", "a", "--floor", "any")
    assert len(shop.err) == 1


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
