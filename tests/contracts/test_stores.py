"""What every store promises: one suite, run against each that is installed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from gateway import plugins
from gateway.contracts import Arm, Cell, KeyRow, NodeRow, ScopeRow, SecretRow, Span, Store
from gateway.contracts import Outcome as Judged
from gateway.names import Slug
from gateway.records import NAMES, Origin, Outcome, PathKind
from gateway.usage import Nanos, Source
from tests.sample_records import a_record

ALL = Span(since_us=0, until_us=1 << 62)
NODE = NodeRow(id=Slug("node-1"), parent=None, kind=Slug("platform"), name=Slug("root"), created_ms=5)
KEY = KeyRow(
    id=Slug("key-1"),
    node=Slug("node-1"),
    name=Slug("first"),
    digest="ab" * 32,
    prefix=Slug("tg"),
    last4=Slug("x9Zz"),
    created_ms=7,
)
SECRET = SecretRow(
    id=Slug("openai/main"),
    provider=Slug("openai"),
    kek=Slug("kek-1"),
    host=Slug("api.openai.com"),
    nonce=bytes(range(12)),
    sealed=bytes(range(48)),
    created_ms=9,
)


def options(kind: Any, folder: Path) -> Any:
    """A plugin's Config with its defaults, and its file in a folder of the test."""
    known = {field.name for field in fields(kind.Config)}
    return kind.Config(**({"path": str(folder / "data" / "store.db")} if "path" in known else {}))


@pytest.fixture(params=sorted(plugins.find("gateway.stores")))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    kind = plugins.load("gateway.stores", request.param)
    made: Store = kind(options(kind, tmp_path))
    await made.start()
    yield made
    await made.close()


async def test_a_new_store_is_empty(store: Store) -> None:
    accounts = await store.accounts.load()
    assert (accounts.version, accounts.nodes, accounts.keys, accounts.scopes) == (0, (), (), ())
    assert await store.secrets.load() == ()
    assert await store.records.spent() == {}
    assert [one async for one in store.records.export(ALL)] == []


async def test_each_put_raises_the_version_of_the_accounts_by_one(store: Store) -> None:
    await store.accounts.put(nodes=[NODE], keys=[KEY])
    await store.accounts.put()
    assert await store.accounts.version() == 2
    assert (await store.accounts.load()).version == 2
    assert await store.secrets.version() == 0


async def test_rows_of_accounts_come_back_as_they_were_put(store: Store) -> None:
    child = replace(NODE, id=Slug("node-2"), parent=NODE.id, kind=Slug("project"), disabled=True)
    ended = replace(KEY, id=Slug("key-2"), digest="cd" * 32, expires_ms=1, revoked_ms=2, replaced_by=KEY.id)
    values = ("gpt-4o*", "::1/128", "22:00-06:00")
    scopes = [ScopeRow(owner=KEY.id, what=Slug("models"), value=value) for value in values]
    await store.accounts.put(nodes=[NODE, child], keys=[KEY, ended], scopes=scopes)
    accounts = await store.accounts.load()
    assert set(accounts.nodes) == {NODE, child}
    assert set(accounts.keys) == {KEY, ended}
    assert set(accounts.scopes) == set(scopes)
    assert {type(id) for id in [row.id for row in accounts.nodes] + [row.id for row in accounts.keys]} == {
        Slug
    }


async def test_putting_a_row_again_replaces_it(store: Store) -> None:
    await store.accounts.put(nodes=[NODE], keys=[KEY])
    await store.accounts.put(nodes=[replace(NODE, disabled=True)], keys=[replace(KEY, revoked_ms=3)])
    accounts = await store.accounts.load()
    assert [row.disabled for row in accounts.nodes] == [True]
    assert [row.revoked_ms for row in accounts.keys] == [3]


async def test_the_scopes_of_every_owner_named_are_replaced_and_no_others(store: Store) -> None:
    one, two = Slug("key-1"), Slug("key-2")
    first = [ScopeRow(owner=owner, what=Slug("models"), value=f"m-{owner}") for owner in (one, two)]
    await store.accounts.put(scopes=first)
    new = ScopeRow(owner=one, what=Slug("providers"), value="openai")
    await store.accounts.put(scopes=[new, new])
    assert set((await store.accounts.load()).scopes) == {new, first[1]}


async def test_an_owner_can_lose_its_last_scope(store: Store) -> None:
    one, two, three = Slug("key-1"), Slug("key-2"), Slug("key-3")
    first = [ScopeRow(owner=owner, what=Slug("models"), value="m") for owner in (one, two, three)]
    await store.accounts.put(scopes=first)
    new = ScopeRow(owner=two, what=Slug("providers"), value="openai")
    await store.accounts.put(scopes=[new], clear=[one, two, Slug("nobody")])
    accounts = await store.accounts.load()
    assert (accounts.version, set(accounts.scopes)) == (2, {new, first[2]})
    await store.accounts.put(clear=[two, three])
    assert (await store.accounts.load()).scopes == ()


async def test_two_keys_cannot_have_one_digest_and_nothing_of_such_a_put_is_kept(store: Store) -> None:
    await store.accounts.put(keys=[KEY])
    with pytest.raises(ValueError):
        await store.accounts.put(nodes=[NODE], keys=[replace(KEY, id=Slug("key-2"))])
    accounts = await store.accounts.load()
    assert (accounts.version, accounts.nodes, accounts.keys) == (1, (), (KEY,))


async def test_secrets_are_put_replaced_and_deleted(store: Store) -> None:
    other = replace(SECRET, id=Slug("anthropic/main"), provider=Slug("anthropic"))
    await store.secrets.put([SECRET, other])
    assert await store.secrets.load() == (other, SECRET)
    changed = replace(SECRET, sealed=bytes(40), nonce=bytes(12))
    await store.secrets.put([changed])
    assert await store.secrets.load() == (other, changed)
    await store.secrets.delete([SECRET.id, Slug("nobody")])
    assert await store.secrets.load() == (other,)
    assert await store.secrets.version() == 3
    assert await store.accounts.version() == 0


async def test_a_record_is_stored_exactly_once_by_its_id(store: Store) -> None:
    assert await store.records.add([a_record(1), a_record(2)]) == 2
    assert await store.records.add([a_record(2, cost_nanos=Nanos(99)), a_record(3), a_record(3)]) == 1
    assert await store.records.add([]) == 0
    assert [one.at async for one in store.records.export(ALL)] == [1000, 2000, 3000]
    assert await store.records.spent() == {Slug("key-1"): 1001 + 1002 + 1003}


async def test_every_field_of_a_record_comes_back(store: Store) -> None:
    text = Slug("a" * 64 + "._:/@+-" + "Z" * 57)
    full: dict[str, Any] = {
        name: text if value is None else value + 1 if type(value) is int else value
        for name, value in ((name, getattr(a_record(), name)) for name in NAMES)
    }
    numbers = {"task_confidence": 999, "first_byte_us": 5, "baseline_nanos": Nanos(7)}
    record = a_record(1, **(full | numbers | {"saved_cache_nanos": Nanos(-5), "source": Origin.REPORTED}))
    blank = a_record(2, key_id=None, cost_nanos=None, priced=False, outcome=Outcome.INTERRUPTED)
    await store.records.add([record, blank])
    found = {one.id: one async for one in store.records.export(ALL)}
    assert found == {record.id: record, blank.id: blank}
    for name in NAMES:
        assert type(getattr(found[record.id], name)) is type(getattr(record, name)), name


@pytest.mark.parametrize("kind", [PathKind, Outcome, Source, Origin])
async def test_every_value_of_every_list_can_be_stored(store: Store, kind: Any) -> None:
    field = {PathKind: "path_kind", Outcome: "outcome", Source: "usage_source", Origin: "source"}[kind]
    records = [a_record(number, **{field: value}) for number, value in enumerate(kind)]
    assert await store.records.add(records) == len(records)
    assert {getattr(one, field) async for one in store.records.export(ALL)} == set(kind)


async def test_a_batch_that_can_never_be_stored_is_refused_as_a_whole(store: Store) -> None:
    for number in (1 << 63, -(1 << 63) - 1, 1 << 70):
        with pytest.raises(ValueError):
            await store.records.add([a_record(1), a_record(2, cost_nanos=Nanos(number))])
    assert [one async for one in store.records.export(ALL)] == []
    assert await store.records.spent() == {}


async def test_unpriced_records_count_nothing_in_what_was_spent(store: Store) -> None:
    await store.records.add([a_record(1, cost_nanos=None, priced=False), a_record(2, key_id=None)])
    assert await store.records.spent() == {}


async def test_spans_hold_their_start_and_not_their_end(store: Store) -> None:
    await store.records.add([a_record(number, key_id=Slug(f"key-{number % 2}")) for number in range(1, 7)])
    span = Span(since_us=2000, until_us=5000)
    assert [one.at async for one in store.records.export(span)] == [2000, 3000, 4000]
    mine = replace(span, key_id=Slug("key-1"))
    assert [one.at async for one in store.records.export(mine)] == [3000]
    ((row),) = await store.records.sums(mine, [])
    assert (row["calls"], row["cost_nanos"]) == (1, 1003)


async def test_sums_are_exact_and_the_dearest_comes_first(store: Store) -> None:
    great = (1 << 53) + 1  # a float would lose the last unit
    cheap, dear = Slug("cheap"), Slug("dear")
    await store.records.add(
        [
            a_record(1, provider=cheap, cost_nanos=Nanos(5)),
            a_record(2, provider=dear, cost_nanos=Nanos(great)),
            a_record(3, provider=dear, cost_nanos=Nanos(great), baseline_nanos=Nanos(9)),
            a_record(4, provider=dear, cost_nanos=None, priced=False, tokens_output=8),
            a_record(5, provider=None, cost_nanos=Nanos(5)),
        ]
    )
    rows = await store.records.sums(ALL, ["provider", "provider"])
    assert [row["provider"] for row in rows] == [dear, None, cheap]
    assert (rows[0]["cost_nanos"], rows[0]["calls"], rows[0]["unpriced"]) == (2 * great, 3, 1)
    assert (rows[0]["tokens_input"], rows[0]["tokens_output"], rows[0]["baseline_nanos"]) == (9, 8, 9)
    assert {type(value) for row in rows for name, value in row.items() if name != "provider"} == {int}


async def test_sums_over_nothing_are_one_row_of_zeros_or_no_row(store: Store) -> None:
    ((row),) = await store.records.sums(ALL, [])
    assert set(row.values()) == {0}
    assert {"calls", "unpriced", "cost_nanos", "baseline_nanos"} < set(row)
    assert {name for name in NAMES if name.startswith(("tokens_", "units_"))} < set(row)
    assert await store.records.sums(ALL, ["provider"]) == []


async def test_groups_come_back_in_the_types_of_the_record(store: Store) -> None:
    await store.records.add([a_record(1)])
    by = ["provider", "outcome", "path_kind", "stream", "status", "tier"]
    ((row),) = await store.records.sums(ALL, by)
    assert [row[name] for name in by] == [Slug("openai"), Outcome.OK, PathKind.CHAT, False, 200, None]
    assert [type(row[name]) for name in by] == [Slug, Outcome, PathKind, bool, int, type(None)]


@pytest.mark.parametrize("name", ["id", "at", "cost_nanos", "nothing", "1; drop table keys", "provider --"])
async def test_only_columns_of_few_values_can_be_grouped_by(store: Store, name: str) -> None:
    with pytest.raises(ValueError):
        await store.records.sums(ALL, ["provider", name])


async def test_an_export_goes_over_page_ends_in_order_and_without_gaps(store: Store) -> None:
    # 2,345 records, of which many arrived in one microsecond, so that pages end between equals.
    records = [a_record(number, at=number // 700) for number in range(2345)]
    for start in range(0, len(records), 500):
        await store.records.add(records[start : start + 500])
    found = [(one.at, one.id) async for one in store.records.export(ALL)]
    assert found == sorted((one.at, one.id) for one in records)


async def test_writing_goes_on_while_an_export_is_read(store: Store) -> None:
    await store.records.add([a_record(number) for number in range(1500)])
    seen = 0
    async for _ in store.records.export(ALL):
        seen += 1
        if seen == 10:
            await store.records.add([a_record(5000)])
    assert seen in (1500, 1501)


async def test_many_at_once_lose_nothing(store: Store) -> None:
    async def work(number: int) -> None:
        await store.records.add([a_record(number * 20 + one) for one in range(20)])
        await store.accounts.put(nodes=[replace(NODE, id=Slug(f"node-{number}"))])

    await asyncio.gather(*(work(number) for number in range(20)))
    ((row),) = await store.records.sums(ALL, [])
    assert row["calls"] == 400
    assert await store.accounts.version() == len((await store.accounts.load()).nodes) == 20


async def test_closing_twice_or_before_the_start_is_no_error(store: Store) -> None:
    await store.close()
    await store.close()
    await type(store)().close()


async def test_records_are_found_by_their_ids(store: Store) -> None:
    records = [a_record(number) for number in range(2500)]
    await store.records.add(records)
    wanted = [records[1].id, records[2400].id, records[1].id, Slug("nobody")]
    assert {one.id for one in await store.records.find(wanted)} == {records[1].id, records[2400].id}
    assert len(await store.records.find([record.id for record in records])) == 2500
    assert await store.records.find([]) == []


JUDGED = Judged(
    call=Slug("call-1"),
    source=Slug("thumbs"),
    at_ms=5,
    task=Slug("chat"),
    model=Slug("openai/small"),
    against=None,
    score=1000,
)


async def test_an_outcome_is_stored_once_for_a_call_and_source(store: Store) -> None:
    other = replace(JUDGED, source=Slug("judge"), score=300)
    assert await store.outcomes.add([JUDGED, other, replace(JUDGED, score=0)]) == 2
    assert await store.outcomes.add([JUDGED, replace(JUDGED, call=Slug("call-2"), score=500)]) == 1
    assert await store.outcomes.add([]) == 0
    (cell,) = await store.outcomes.cells()
    assert (cell.count, cell.total, cell.squares) == (3, 1800, 1000**2 + 300**2 + 500**2)


async def test_outcomes_are_added_up_by_task_model_and_what_they_were_held_against(store: Store) -> None:
    against = replace(JUDGED, call=Slug("call-2"), against=Slug("openai/large"), score=0)
    task = replace(JUDGED, call=Slug("call-3"), task=Slug("writing"))
    await store.outcomes.add([JUDGED, against, task])
    cells = await store.outcomes.cells()
    assert sorted((cell.task, cell.against or "", cell.total) for cell in cells) == [
        ("chat", "", 1000),
        ("chat", "openai/large", 0),
        ("writing", "", 1000),
    ]
    assert all(isinstance(cell, Cell) and type(cell.model) is Slug for cell in cells)


@pytest.mark.parametrize("score", [-1, 1001])
async def test_a_score_outside_its_range_is_refused_with_its_whole_batch(store: Store, score: int) -> None:
    with pytest.raises(ValueError):
        await store.outcomes.add(
            [replace(JUDGED, score=1), replace(JUDGED, call=Slug("call-2"), score=score)]
        )


async def test_the_arms_of_a_route_are_added_up_by_reason(store: Store) -> None:
    known: dict[str, Any] = {"model_requested": Slug("auto"), "route_reason": Slug("canary-trial")}
    await store.records.add(
        [
            a_record(1, **known, total_us=3, cost_nanos=Nanos(10)),
            a_record(2, **known, total_us=4, cost_nanos=None, priced=False),
            a_record(3, **known, attempts=2, total_us=5, cost_nanos=Nanos(20)),
            a_record(4, **known, outcome=Outcome.UPSTREAM_ERROR),
            a_record(5, **known, outcome=Outcome.CLIENT_CLOSED),
            a_record(6, **known, outcome=Outcome.INTERRUPTED),
            a_record(7, **known, attempts=0, outcome=Outcome.REFUSED),
            a_record(8, **(known | {"route_reason": Slug("other")})),
            a_record(9, **(known | {"model_requested": Slug("else")})),
            a_record(10, **(known | {"route_reason": None})),
            a_record(0, **known),
        ]
    )
    mark, arms = await store.records.arms(Slug("auto"), 1000, 0)
    trial, other = sorted(arms, key=lambda arm: arm.reason)
    assert trial == Arm(
        reason=Slug("canary-trial"), calls=5, errors=2, timed=3, time_us=12, time_squares=50.0, priced=2,
        cost_nanos=30, cost_squares=500.0,
    )  # fmt: skip
    assert (other.reason, other.calls) == ("other", 1)
    assert await store.records.arms(Slug("auto"), 1000, mark) == (mark, [])
    await store.records.add([a_record(11, **known, cost_nanos=Nanos(1 << 62)), a_record(1, **known)])
    later, [arm] = await store.records.arms(Slug("auto"), 1000, mark)
    assert later > mark
    assert (arm.calls, arm.cost_squares) == (1, float(1 << 124))


async def test_a_store_without_records_has_no_arms(store: Store) -> None:
    assert await store.records.arms(Slug("auto"), 0, 0) == (0, [])


async def test_calls_without_a_known_baseline_are_told_in_the_sums(store: Store) -> None:
    await store.records.add([a_record(1), a_record(2, baseline_nanos=Nanos(0), saved_estimated=True)])
    ((row),) = await store.records.sums(ALL, [])
    assert (row["calls"], row["unmeasured"], row["saved_estimated"]) == (2, 1, 1)
