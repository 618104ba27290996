"""What may be shown of keys: a closed list of fields."""

import os
from dataclasses import replace

import pytest

from gateway.accounts import facts, keys, master_key, tree
from gateway.accounts.directory import Directory
from gateway.accounts.facts import Facts
from gateway.accounts.master_key import MasterKey
from gateway.accounts.vault import Sealer
from gateway.content import Content, Purpose, Secret
from gateway.contracts import Accounts, NodeRow, ScopeRow
from gateway.names import Slug
from gateway.store.memory import MemoryStore

NOW_MS = 1_700_000_000_000


class FixedClock:
    def now_us(self) -> int:
        return NOW_MS * 1000

    def tick_ns(self) -> int:
        return 0


async def made() -> tuple[Accounts, str]:
    store = MemoryStore()
    node = await tree.ensure_root(store)
    _, clear = await keys.create_key(store, bytes(32), node, Slug("ci"), [("models", "a"), ("models", "b")])
    await store.accounts.put(scopes=[ScopeRow(owner=node, what=Slug("models"), value="*")])
    return await store.accounts.load(), clear.open(Purpose.AUTH)


async def test_a_key_is_shown_by_its_marks_and_never_by_its_digest() -> None:
    accounts, text = await made()
    row = replace(accounts.keys[0], created_ms=NOW_MS, expires_ms=NOW_MS + 1000)
    shown = Facts(accounts, NOW_MS).key(row)
    assert shown == {
        "id": row.id,
        "name": "ci",
        "prefix": text[:7],
        "last4": text[-4:],
        "node": "project-default",
        "org": "default",
        "project": "default",
        "state": "active",
        "created": "2023-11-14T22:13:20Z",
        "expires": "2023-11-14T22:13:21Z",
        "revoked": None,
        "replaced_by": None,
        "scopes": {"models": ["a", "b"]},
    }
    assert row.digest not in repr(shown)
    assert text[7:-4] not in repr(shown)


async def test_the_state_of_a_key_is_the_first_thing_that_ends_it() -> None:
    accounts, _ = await made()
    row = accounts.keys[0]
    off = replace(accounts, nodes=tuple(replace(node, disabled=True) for node in accounts.nodes))
    former = replace(row, id=Slug("old"), replaced_by=row.id, expires_ms=NOW_MS + 1)
    assert Facts(accounts, NOW_MS).state(row) == "active"
    assert Facts(accounts, NOW_MS).state(former) == "replaced"
    assert Facts(accounts, NOW_MS + 1).state(former) == "expired"
    assert Facts(off, NOW_MS).state(row) == "disabled"
    assert Facts(replace(accounts, nodes=()), NOW_MS).state(row) == "disabled"
    assert Facts(off, NOW_MS).state(replace(row, expires_ms=1, revoked_ms=1)) == "revoked"


@pytest.mark.parametrize(
    ("what", "value", "state"),
    [("expires", "2023-11-14T22:13:20Z", "expired"), ("expires", "2030-01-01T00:00Z", "active"),
     ("hours", "night", "broken"), ("expires", "soon", "broken")],
)  # fmt: skip
async def test_scopes_above_a_key_count_for_its_state_as_for_its_use(
    what: str, value: str, state: str
) -> None:
    accounts, text = await made()
    above = ScopeRow(owner=tree.ROOT_ID, what=Slug(what), value=value)
    accounts = replace(accounts, scopes=(*accounts.scopes, above))
    clock = FixedClock()
    directory = Directory(bytes(32), clock)
    directory.replace(accounts)
    assert Facts(accounts, NOW_MS).state(accounts.keys[0]) == state
    assert (directory.find(text) is not None) == (state == "active")
    assert {node["state"] for node in Facts(accounts, NOW_MS).nodes()} == (
        {"broken"} if state == "broken" else {"active"}
    )


async def test_keys_come_by_age() -> None:
    accounts, _ = await made()
    older = replace(accounts.keys[0], id=Slug("z"), created_ms=accounts.keys[0].created_ms - 1)
    shown = Facts(replace(accounts, keys=(*accounts.keys, older)), NOW_MS).keys()
    assert [one["id"] for one in shown] == ["z", accounts.keys[0].id]


async def test_nodes_come_as_a_tree_with_what_is_closed_and_what_is_lost_at_the_end() -> None:
    accounts, _ = await made()

    def node(id: str, parent: str, kind: Slug, disabled: bool = False) -> NodeRow:
        name, row_id = Slug(id[-1]), Slug(id)
        return NodeRow(
            id=row_id, parent=Slug(parent), kind=kind, name=name, created_ms=NOW_MS, disabled=disabled
        )

    more = (
        node("rb", "platform", tree.RESELLER),
        node("ra", "platform", tree.RESELLER, disabled=True),
        node("oc", "ra", tree.ORGANISATION),
        node("lost", "nobody", tree.PROJECT),
        node("px", "rb", tree.PROJECT),
    )
    shown = list(Facts(replace(accounts, nodes=(*more, *accounts.nodes)), NOW_MS).nodes())
    assert [(one["id"], one["state"]) for one in shown] == [
        ("platform", "active"),
        ("ra", "disabled"),
        ("oc", "closed"),
        ("rb", "active"),
        ("px", "active"),
        ("organisation-default", "active"),
        ("project-default", "active"),
        ("lost", "broken"),
    ]
    assert shown[4] == {
        "id": "px",
        "parent": "rb",
        "kind": "project",
        "name": "x",
        "path": ["platform", "b", "x"],
        "state": "active",
        "disabled": False,
        "created": "2023-11-14T22:13:20Z",
        "keys": 0,
        "scopes": {},
    }
    assert (shown[6]["keys"], shown[6]["scopes"], shown[7]["path"]) == (1, {"models": ["*"]}, [])


async def test_a_former_secret_is_shown_with_the_scopes_of_its_key_and_a_lost_one_without_a_place() -> None:
    accounts, _ = await made()
    former = replace(accounts.keys[0], id=Slug("old"), replaced_by=accounts.keys[0].id)
    assert Facts(accounts, NOW_MS).key(former)["scopes"] == {"models": ["a", "b"]}
    lost = Facts(replace(accounts, nodes=()), NOW_MS).key(former)
    assert (lost["org"], lost["project"], lost["state"]) == (None, None, "disabled")


def test_of_a_provider_key_nothing_is_shown_but_where_it_is() -> None:
    sealer = Sealer(MasterKey(keks=(master_key.new_kek(),), sealed_pepper=Content(os.urandom(32))))
    row = sealer.seal(Slug("groq"), 2, Slug("api.groq.com"), Secret("gsk-canary"), NOW_MS)
    shown = facts.of_secret(row, "api.groq.com")
    assert shown == {
        "id": "groq/2",
        "slot": 2,
        "host": "api.groq.com",
        "kek": sealer.current,
        "created": "2023-11-14T22:13:20Z",
        "usable": True,
    }
    assert facts.of_secret(row, None)["usable"] is False
    assert facts.moment(None) is None
