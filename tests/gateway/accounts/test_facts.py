"""What may be shown of keys: a closed list of fields."""

import os
from dataclasses import replace

from gateway.accounts import facts, keys, master_key, tree
from gateway.accounts.master_key import MasterKey
from gateway.accounts.vault import Sealer
from gateway.content import Content, Purpose, Secret
from gateway.contracts import Accounts, ScopeRow
from gateway.names import Slug
from gateway.store.memory import MemoryStore

NOW_MS = 1_700_000_000_000


async def made() -> tuple[Accounts, str]:
    store = MemoryStore()
    node = await tree.ensure_root(store)
    _, clear = await keys.create_key(store, bytes(32), node, Slug("ci"), [("models", "a"), ("models", "b")])
    await store.accounts.put(scopes=[ScopeRow(owner=node, what=Slug("models"), value="*")])
    return await store.accounts.load(), clear.open(Purpose.AUTH)


async def test_a_key_is_shown_by_its_marks_and_never_by_its_digest():
    accounts, text = await made()
    row = replace(accounts.keys[0], created_ms=NOW_MS, expires_ms=NOW_MS + 1000)
    shown = facts.of_key(accounts, row, NOW_MS)
    assert shown == {
        "id": row.id,
        "name": "ci",
        "prefix": text[:7],
        "last4": text[-4:],
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


async def test_the_state_of_a_key_is_the_first_thing_that_ends_it():
    accounts, _ = await made()
    row = accounts.keys[0]
    off = replace(accounts, nodes=tuple(replace(node, disabled=True) for node in accounts.nodes))
    former = replace(row, id=Slug("old"), replaced_by=row.id, expires_ms=NOW_MS + 1)
    assert facts.state(accounts, row, NOW_MS) == "active"
    assert facts.state(accounts, former, NOW_MS) == "replaced"
    assert facts.state(accounts, former, NOW_MS + 1) == "expired"
    assert facts.state(off, row, NOW_MS) == "disabled"
    assert facts.state(replace(accounts, nodes=()), row, NOW_MS) == "disabled"
    assert facts.state(off, replace(row, expires_ms=1, revoked_ms=1), NOW_MS) == "revoked"


async def test_a_former_secret_is_shown_with_the_scopes_of_its_key_and_a_lost_one_without_a_place():
    accounts, _ = await made()
    former = replace(accounts.keys[0], id=Slug("old"), replaced_by=accounts.keys[0].id)
    assert facts.of_key(accounts, former, NOW_MS)["scopes"] == {"models": ["a", "b"]}
    lost = facts.of_key(replace(accounts, nodes=()), former, NOW_MS)
    assert (lost["org"], lost["project"], lost["state"]) == (None, None, "disabled")


def test_of_a_provider_key_nothing_is_shown_but_where_it_is():
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
