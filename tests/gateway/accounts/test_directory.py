"""The directory: which keys are found, which are not, and how changes arrive."""

import asyncio
import io
from dataclasses import replace

import pytest

from gateway import log
from gateway.accounts import keys, tree
from gateway.accounts.directory import Directory, Refresher
from gateway.content import Purpose
from gateway.contracts import Accounts, KeyRow, NodeRow, ScopeRow, StoreError
from gateway.names import Slug
from gateway.store.memory import MemoryStore

PEPPER = bytes(range(32))
NODES = (
    NodeRow(id=Slug("root"), parent=None, kind=tree.PLATFORM, name=Slug("platform"), created_ms=0),
    NodeRow(id=Slug("r"), parent=Slug("root"), kind=tree.RESELLER, name=Slug("seller"), created_ms=0),
    NodeRow(id=Slug("o"), parent=Slug("r"), kind=tree.ORGANISATION, name=Slug("acme"), created_ms=0),
    NodeRow(id=Slug("p"), parent=Slug("o"), kind=tree.PROJECT, name=Slug("web"), created_ms=0),
)


class FixedClock:
    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def now_us(self) -> int:
        return self.ms * 1000

    def tick_ns(self) -> int:
        return 0


def key(id: str = "k", node: str = "p", **more: object) -> tuple[str, KeyRow]:
    clear, prefix, last4 = keys.make()
    text = clear.open(Purpose.AUTH)
    row = KeyRow(
        id=Slug(id),
        node=Slug(node),
        name=Slug("ci"),
        digest=keys.digest(PEPPER, text),
        prefix=prefix,
        last4=last4,
        created_ms=0,
    )
    return text, replace(row, **more)


def scope(owner: str, what: str, value: str) -> ScopeRow:
    return ScopeRow(owner=Slug(owner), what=Slug(what), value=value)


def holding(*rows: KeyRow, nodes: tuple[NodeRow, ...] = NODES, scopes: tuple[ScopeRow, ...] = (), clock=None):
    found = Directory(PEPPER, clock or FixedClock())
    found.replace(Accounts(1, nodes, rows, scopes))
    return found


def changed(id: str, **values: object) -> tuple[NodeRow, ...]:
    return tuple(replace(row, **values) if row.id == id else row for row in NODES)


@pytest.fixture(autouse=True)
def lines():
    out = io.StringIO()
    log.configure(out=out)
    yield out
    log.configure()


def test_a_key_is_found_with_its_place_in_the_tree():
    text, row = key()
    caller = holding(row).find(text)
    assert caller is not None
    assert (caller.key_id, caller.key_name) == ("k", "ci")
    assert caller.path == ("root", "r", "o", "p")
    assert (caller.org, caller.project) == ("acme", "web")
    assert (caller.cap, caller.rate) == (None, None)


def test_a_key_of_an_organisation_has_no_project():
    text, row = key(node="o")
    caller = holding(row).find(text)
    assert caller is not None
    assert (caller.org, caller.project) == ("acme", None)


def test_scopes_of_all_levels_come_together():
    text, row = key()
    scopes = (
        scope("root", "models", "gpt-*"),
        scope("o", "cap", "100"),
        scope("k", "cap", "25"),
        scope("p", "rate", "60"),
        scope("k", "models", "gpt-4o"),
        scope("k", "store", "allow"),
        scope("elsewhere", "rate", "1"),
    )
    caller = holding(row, scopes=scopes).find(text)
    assert caller is not None
    assert caller.rights.models == (frozenset({"gpt-*"}), frozenset({"gpt-4o"}))
    assert (caller.cap, caller.rate, caller.rights.may_store) == (25 * 10**9, 60, True)


def test_other_text_is_not_found():
    text, row = key()
    found = holding(row)
    other = keys.make()[0].open(Purpose.AUTH)
    for wrong in (
        "",
        text[:-1],
        text + "x",
        text.swapcase(),
        other,
        "'" * 52,
        "\0" * 52,
        "😀" * 52,
        "x" * 10**6,
    ):
        assert found.find(wrong) is None
    assert found.find(text) is not None


def test_text_of_the_wrong_length_costs_no_digest():
    found = Directory(None, FixedClock())  # type: ignore[arg-type]  # any digest would raise
    for wrong in ("", "x" * 51, "x" * 53, "x" * 10**6, "😀" * 52):
        assert found.find(wrong) is None
    with pytest.raises(TypeError):
        found.find("x" * 52)


def test_a_directory_with_another_pepper_finds_nothing():
    text, row = key()
    found = Directory(bytes(32), FixedClock())
    found.replace(Accounts(1, NODES, (row,), ()))
    assert found.find(text) is None


def test_a_key_ends_at_its_time():
    clock = FixedClock()
    text, row = key(expires_ms=clock.ms + 10)
    found = holding(row, clock=clock)
    clock.ms += 9
    assert found.find(text) is not None
    clock.ms += 1
    assert found.find(text) is None


def test_a_scope_above_can_end_a_key_earlier():
    clock = FixedClock()
    text, row = key(expires_ms=clock.ms + 10**15)
    found = holding(row, scopes=(scope("o", "expires", "2030-01-01T00:00:00Z"),), clock=clock)
    assert found.find(text) is not None
    clock.ms = 1_893_456_000_000
    assert found.find(text) is None


def test_a_key_that_ended_is_forgotten_and_then_as_unknown_as_any():
    clock = FixedClock()
    rows = [key(f"k{number}", expires_ms=clock.ms + number)[1] for number in range(5)]
    text, lasting = key("lasting")
    found = holding(*reversed(rows), lasting, clock=clock)
    assert len(found) == 5
    clock.ms += 2
    found.forget_ended()
    assert len(found) == 3
    clock.ms += 10
    found.forget_ended()
    assert len(found) == 1
    assert found.find(text) is not None
    assert found.version == 1


def test_after_the_clock_was_set_back_the_accounts_are_read_again():
    clock = FixedClock()
    found = holding(key(expires_ms=clock.ms + 5000)[1], clock=clock)
    clock.ms += 10_000
    found.forget_ended()
    clock.ms -= 500
    found.forget_ended()
    assert found.version == 1
    clock.ms -= 9_000
    found.forget_ended()
    assert (len(found), found.version) == (0, None)


def test_a_revoked_key_stays_revoked_though_the_clock_goes_back():
    clock = FixedClock()
    text, row = key(revoked_ms=clock.ms)
    found = holding(row, clock=clock)
    clock.ms -= 10**6
    assert found.find(text) is None


@pytest.mark.parametrize("id", ["root", "r", "o", "p"])
def test_no_key_below_a_disabled_node_is_found(id):
    text, row = key()
    assert holding(row, nodes=changed(id, disabled=True)).find(text) is None


@pytest.mark.parametrize(
    "nodes",
    [NODES[1:], NODES[:3], changed("r", parent=Slug("o")), changed("o", kind=Slug("team"))],
    ids=["no root", "no node", "circle", "kind"],
)
def test_a_broken_tree_closes_what_is_below_it(nodes, lines):
    text, row = key()
    assert holding(row, nodes=nodes).find(text) is None
    assert "accounts.broken_tree" in lines.getvalue()


@pytest.mark.parametrize("owner", ["k", "p", "root"])
@pytest.mark.parametrize(
    ("what", "value"), [("colour", "red"), ("rate", "canary7c1f"), ("hours", "canary7c1f")]
)
def test_a_scope_that_cannot_be_read_closes_what_it_is_for(owner, what, value, lines):
    text, row = key()
    other_text, other = key("other", "r")
    found = holding(row, other, scopes=(scope(owner, what, value),))
    assert found.find(text) is None
    assert (found.find(other_text) is None) == (owner == "root")
    assert "accounts.broken_scope" in lines.getvalue()
    assert "canary" not in lines.getvalue()


def test_a_rotated_keys_former_secret_is_the_same_caller_until_grace_ends():
    clock = FixedClock()
    new_text, current = key()
    old_text, former = key("old", replaced_by=Slug("k"), expires_ms=clock.ms + 10)
    found = holding(current, former, scopes=(scope("k", "cap", "25"),), clock=clock)
    assert found.find(old_text) == found.find(new_text) != None  # noqa: E711
    clock.ms += 10
    assert found.find(old_text) is None
    assert found.find(new_text) is not None


def test_a_former_secret_ends_with_its_key():
    clock = FixedClock()
    old_text, former = key("old", replaced_by=Slug("k"))
    assert holding(former).find(old_text) is None
    assert holding(former, key(revoked_ms=1)[1]).find(old_text) is None
    assert holding(former, key(replaced_by=Slug("old"))[1]).find(old_text) is None
    found = holding(former, key(expires_ms=clock.ms + 5)[1], clock=clock)
    assert found.find(old_text) is not None
    clock.ms += 5
    assert found.find(old_text) is None


def test_a_usable_key_is_found_by_its_id_too():
    text, row = key()
    clock = FixedClock()
    found = holding(row, key("gone", expires_ms=1)[1], clock=clock)
    assert found.by_id(Slug("k")) == found.find(text)
    assert found.by_id(Slug("gone")) is None
    assert found.by_id(Slug("nobody")) is None


def test_a_new_reading_replaces_the_old_one_whole_at_its_end():
    (first, first_row), (second, second_row) = key("a"), key("b")
    found = holding(first_row)
    steps = found.replacing(Accounts(2, NODES, (second_row,), ()))
    next(steps)
    assert (found.find(first) is not None, found.find(second), found.version) == (True, None, 1)
    assert list(steps) == []
    assert (found.find(first), found.find(second) is not None, found.version) == (None, True, 2)
    assert len(found) == 1


def test_ten_thousand_keys_are_taken_over_in_steps():
    base = key()[1]
    rows = [base] + [replace(base, id=Slug(f"k{number}"), digest=f"{number:064x}") for number in range(9_999)]
    found = Directory(PEPPER, FixedClock())
    steps = sum(1 for _ in found.replacing(Accounts(1, NODES, tuple(rows), ())))
    assert len(found) == 10_000
    assert steps == 100


class Outage:
    """A store's accounts that can be away, and that count what is asked of them."""

    def __init__(self, store: MemoryStore) -> None:
        self._accounts = store.accounts
        self.away = False
        self.asked: list[str] = []

    async def version(self) -> int:
        self.asked.append("version")
        if self.away:
            raise StoreError("away")
        return await self._accounts.version()

    async def load(self) -> Accounts:
        self.asked.append("load")
        return await self._accounts.load()

    async def put(self, **rows: object) -> None:
        raise AssertionError


async def settled(task_turns: int = 40) -> None:
    for _ in range(task_turns):
        await asyncio.sleep(0.001)


async def test_a_revoked_key_ends_in_every_process_soon():
    store = MemoryStore()
    row, clear = await keys.create_key(store, PEPPER, await tree.ensure_root(store), Slug("ci"))
    text = clear.open(Purpose.AUTH)
    directories = [Directory(PEPPER), Directory(PEPPER)]
    refreshers = [Refresher(store.accounts, one, interval_s=0.005) for one in directories]
    for one in refreshers:
        await one.load()
    assert all(one.find(text) is not None for one in directories)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run()) for one in refreshers]
        await keys.revoke_key(store, row, (await store.accounts.load()).keys)
        await settled()
        assert [one.find(text) for one in directories] == [None, None]
        for task in tasks:
            task.cancel()


async def test_an_outage_of_the_store_turns_no_key_away_and_is_said_once(lines):
    store = MemoryStore()
    _, clear = await keys.create_key(store, PEPPER, await tree.ensure_root(store), Slug("ci"))
    text = clear.open(Purpose.AUTH)
    accounts, found = Outage(store), Directory(PEPPER)
    refresher = Refresher(accounts, found, interval_s=0.002)
    await refresher.load()
    accounts.away = True
    with pytest.raises(StoreError):
        await refresher.load()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(refresher.run())
        await settled()
        assert found.find(text) is not None
        accounts.away = False
        await keys.create_key(store, PEPPER, tree.DEFAULT_PROJECT_ID, Slug("second"))
        await settled()
        task.cancel()
    assert len(found) == 2
    assert lines.getvalue().count("accounts.store_unreachable") == 1
    assert lines.getvalue().count("accounts.store_back") == 1


async def test_an_unchanged_store_is_asked_for_its_version_only():
    store = MemoryStore()
    accounts, found = Outage(store), Directory(PEPPER)
    refresher = Refresher(accounts, found)
    await refresher.load()
    accounts.asked.clear()
    await refresher.load()
    assert accounts.asked == ["version"]


async def test_garbage_keys_ask_the_store_nothing():
    store = MemoryStore()
    row, clear = await keys.create_key(store, PEPPER, await tree.ensure_root(store), Slug("ci"))
    accounts, found = Outage(store), Directory(PEPPER)
    await Refresher(accounts, found).load()
    accounts.asked.clear()
    for text in (
        "' OR 1=1 --",
        "\0",
        "😀" * 52,
        "x" * 10**6,
        "tg_" + "0" * 49,
        clear.open(Purpose.AUTH),
        row.digest,
    ):
        found.find(text)
    assert accounts.asked == []
    assert found.find(row.digest) is None
