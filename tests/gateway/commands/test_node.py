"""The commands of node: the tree they make, show and close."""

import asyncio

import pytest

from gateway.accounts import tree
from gateway.contracts import NodeRow, ScopeRow
from gateway.names import Slug
from tests.gateway.commands.shop import Shop


def put(shop: Shop, *nodes: NodeRow, scopes: tuple[ScopeRow, ...] = ()) -> None:
    asyncio.run(shop.store.accounts.put(nodes=nodes, scopes=scopes))


def version(shop: Shop) -> int:
    return asyncio.run(shop.store.accounts.version())


def scopes_of(shop: Shop, id: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = next(
        one["scopes"] for one in shop.json("node", "list")["nodes"] if one["id"] == id
    )
    return found


def test_a_new_installation_has_an_empty_list_and_then_its_first_nodes(shop: Shop) -> None:
    assert shop.json("node", "list") == {"nodes": []}
    assert version(shop) == 0
    shop("key", "create", "a")
    listed = shop.json("node", "list")["nodes"]
    assert [(one["id"], one["kind"], one["state"], one["keys"]) for one in listed] == [
        ("platform", "platform", "active", 0),
        ("organisation-default", "organisation", "active", 0),
        ("project-default", "project", "active", 1),
    ]


def test_a_new_node_is_printed_as_its_id_alone(shop: Shop) -> None:
    assert shop("node", "create", "north", "--kind", "reseller", "--parent", "platform") == 0
    (id,) = shop.out
    assert id.startswith("reseller-")
    assert shop.err == ["This is the reseller north, below platform."]
    shown = shop.json("node", "create", "acme", "--kind", "organisation", "--parent", "north", "--rate", "5")
    assert (shown["parent"], shown["path"], shown["scopes"], shown["state"]) == (
        id,
        ["platform", "north", "acme"],
        {"rate": ["5"]},
        "active",
    )


def test_the_list_shows_the_tree(shop: Shop) -> None:
    north = shop.node("north", "reseller", "platform", "--models", "gpt-*,claude-*", "--cap", "25")
    acme = shop.node("acme", "organisation", north)
    shop("node", "disable", "north")
    assert shop("node", "list") == 0
    assert shop.out[0].split() == ["node", "id", "kind", "state", "keys", "scopes"]
    lines = {line.split()[0]: line for line in shop.out[1:]}
    assert list(lines) == ["platform", "default", "north", "acme"]
    assert lines["north"].startswith("  north  ")
    assert lines["north"].split()[1:] == [
        north,
        "reseller",
        "disabled",
        "0",
        "models=gpt-*,claude-*",
        "cap=25",
    ]
    assert lines["acme"].startswith("    acme")
    assert lines["acme"].split()[1:] == [acme, "organisation", "closed", "0"]


def test_kinds_nest_as_the_tree_says(shop: Shop) -> None:
    deep = shop.node("r2", "reseller", shop.node("r1", "reseller", "platform"))
    project = shop.node("web", "project", shop.node("acme", "organisation", deep))
    for kind, parent, text in (
        ("organisation", project, "no organisation can be below this project"),
        ("project", project, "no project can be below this project"),
        ("reseller", "acme", "no reseller can be below this organisation"),
        ("reseller", "organisation-default", "no reseller can be below this organisation"),
    ):
        assert shop("node", "create", "x", "--kind", kind, "--parent", parent) == 2
        assert text in shop.err[0]
    with pytest.raises(SystemExit, match="2"):
        shop("node", "create", "x", "--kind", "platform", "--parent", "platform")


def test_a_name_is_given_once_below_one_parent(shop: Shop) -> None:
    acme = shop.node("acme", "organisation", "platform")
    assert shop("node", "create", "acme", "--kind", "reseller", "--parent", "platform") == 2
    assert shop.err == [f"platform platform has a node of this name already: {acme}"]
    shop.node("acme", "organisation", acme)


def test_the_tree_has_sixteen_levels(shop: Shop) -> None:
    parent = "platform"
    for number in range(15):
        parent = shop.node(f"r{number}", "reseller", parent)
    assert shop("node", "create", "x", "--kind", "organisation", "--parent", parent) == 2
    assert shop.err == ["the tree has at most 16 levels"]


def test_below_a_node_without_a_place_nothing_is_made(shop: Shop) -> None:
    lost = NodeRow(id=Slug("lost"), parent=Slug("gone"), kind=tree.RESELLER, name=Slug("x"), created_ms=0)
    put(shop, lost)
    assert shop("node", "create", "y", "--kind", "project", "--parent", "lost") == 2
    assert "broken" in shop.err[0]
    assert shop.json("node", "list")["nodes"][-1]["state"] == "broken"
    assert shop("node", "enable", "lost") == 0


@pytest.mark.parametrize("words", ["--rate 0", "--hours late", "--expires 1s-ago", "--networks 10.0.0.1/8"])
def test_wrong_scopes_make_and_change_nothing(shop: Shop, words: str) -> None:
    shop("key", "create", "a")
    before = version(shop)
    create = ("create", "north", "--kind", "reseller", "--parent", "platform")
    for command in (create, ("set", "platform")):
        assert shop("node", *command, *words.split()) == 2
        assert shop.err[0].startswith(words.split()[0])
    assert version(shop) == before


def test_every_scope_of_a_node_can_be_set_and_taken_away(shop: Shop) -> None:
    words = "--models m --providers openai,groq --paths chat --environments prod --networks 10.0.0.0/8"
    words += " --hours 08:00-18:00 --max-cost 0.5 --cap 9 --rate 60 --floor no-training --no-store"
    words += " --expires 30d"
    north = shop.node("north", "reseller", "platform", *words.split())
    assert any("of which none is known" in line for line in shop.err)
    assert scopes_of(shop, north) == {
        "models": ["m"],
        "providers": ["openai", "groq"],
        "paths": ["chat"],
        "environments": ["prod"],
        "networks": ["10.0.0.0/8"],
        "hours": ["08:00-18:00"],
        "max_cost": ["0.5"],
        "cap": ["9"],
        "rate": ["60"],
        "floor": ["no-training"],
        "expires": ["2023-12-14T22:13:20Z"],
        "store": ["deny"],
    }
    every = ",".join(scopes_of(shop, north)).replace("_", "-")
    shown = shop.json("node", "set", "north", "--clear", every)
    assert (shown["id"], shown["scopes"]) == (north, {})


def test_what_is_not_named_stays_as_it_is(shop: Shop) -> None:
    north = shop.node("north", "reseller", "platform", "--models", "a,b", "--rate", "5", "--cap", "9")
    assert shop("node", "set", north, "--models", "c", "--models", "d", "--clear", "rate") == 0
    assert shop.err == [f"{north} (north) is changed, for every key below it."]
    assert scopes_of(shop, north) == {"cap": ["9"], "models": ["c", "d"]}
    assert scopes_of(shop, "platform") == {}


def test_a_scope_that_cannot_be_read_is_mended_by_taking_it_away(shop: Shop) -> None:
    text = shop.json("key", "create", "a")["key"]
    put(shop, scopes=(ScopeRow(owner=tree.ROOT_ID, what=Slug("rate"), value="often"),))
    assert shop.finds(text) is None
    assert shop("node", "set", "platform", "--models", "echo-1") == 2
    assert shop.err[0].startswith("--rate: ")
    assert shop("node", "set", "platform", "--models", "echo-1", "--clear", "rate") == 0
    assert shop.finds(text) is not None


def test_set_wants_something_to_change(shop: Shop) -> None:
    shop("key", "create", "a")
    assert shop("node", "set", "platform") == 2
    assert shop("node", "set", "platform", "--clear", "colour") == 2
    assert "models, providers" in shop.err[0]
    assert shop("node", "set", "nobody", "--rate", "5") == 1
    assert shop.err == ["ID: no node has this id or name. See gateway node list"]


def test_a_node_narrows_every_key_below_it(shop: Shop) -> None:
    north = shop.node("north", "reseller", "platform")
    shop.node("web", "project", shop.node("acme", "organisation", north))
    text = shop.json("key", "create", "a", "--project", "web", "--rate", "50", "--cap", "3")["key"]
    shop("node", "set", "north", "--rate", "20", "--cap", "5")
    caller = shop.caller(text)
    assert (caller.rate, caller.cap) == (20, 3 * 10**9)
    shop("node", "set", "north", "--clear", "rate,cap")
    assert shop.caller(text).rate == 50


def test_a_disabled_node_stops_its_keys_until_it_is_enabled(shop: Shop) -> None:
    north = shop.node("north", "reseller", "platform")
    shop.node("web", "project", shop.node("acme", "organisation", north))
    mine = shop.json("key", "create", "a", "--project", "web")
    shop("key", "rotate", mine["id"])
    shop("key", "revoke", shop.json("key", "create", "gone", "--project", "web")["id"])
    other = shop.json("key", "create", "b")["key"]
    fresh = shop.json("key", "rotate", mine["id"])["key"]
    assert shop("node", "disable", "north") == 0
    assert shop.err == [f"{north} (north) is disabled; keys that stop within a second: 1."]
    assert shop.finds(fresh) is None
    assert shop.finds(other) is not None
    assert shop.json("node", "disable", north)["state"] == "disabled"
    shop("node", "disable", "acme")
    assert shop("node", "enable", "acme") == 0
    assert "but a node above it is disabled" in shop.err[0]
    before = version(shop)
    assert shop("node", "enable", "acme") == 0
    assert version(shop) == before
    assert shop("node", "enable", "north") == 0
    assert shop.err == [f"{north} (north) is enabled; keys below: 1."]
    assert shop.finds(fresh) is not None
    assert shop("node", "disable", "nort") == 1
    assert f"Did you mean {north} (north)?" in shop.err[0]
