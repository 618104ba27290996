"""Counters with bounded labels, merged over processes, as Prometheus reads them."""

import asyncio
import shutil
from pathlib import Path

import pytest

from gateway.names import Slug
from gateway.records import Outcome, PathKind, Record
from gateway.usage import Nanos, Source
from gateway.watch import metrics
from gateway.watch.exposition import Exposition
from gateway.watch.metrics import MAX_SERIES, Metrics


def record(model: str = "p/m", **fields: object) -> Record:
    known: dict[str, object] = {
        "id": Slug("r"),
        "at": 0,
        "provider": Slug("p"),
        "model_routed": Slug(model),
        "path_kind": PathKind.CHAT,
        "attempts": 1,
        "overhead_us": 70,
        "first_byte_us": 12_000,
        "total_us": 400_000_000,
        "tokens_input": 3,
        "cost_nanos": Nanos(50),
    }
    return Record(**(known | fields))  # type: ignore[arg-type]


def page(one: Metrics) -> str:
    return metrics.render(one.series(), {name: text for name, (text, _) in one.gauges.items()})


def test_a_call_is_counted_by_names_of_the_configuration() -> None:
    one = Metrics({"gateway_open_holds": ("Calls with money set aside.", lambda: 7)})
    one.saw(record())
    one.saw(
        record(
            outcome=Outcome.UPSTREAM_ERROR, error_code=Slug("upstream_failed"), priced=False, cost_nanos=None
        )
    )
    one.saw(record(usage_source=Source.ESTIMATED, attempts=0, first_byte_us=None))
    text = page(one)
    assert 'gateway_calls_total{provider="p",model="p/m",kind="chat",outcome="ok"} 2' in text
    assert 'gateway_errors_total{code="upstream_failed"} 1' in text
    assert 'gateway_tokens_total{provider="p",model="p/m",class="input"} 9' in text
    assert 'gateway_cost_nanodollars_total{provider="p",model="p/m"} 100' in text
    assert 'gateway_unpriced_calls_total{provider="p",model="p/m"} 1' in text
    assert 'gateway_estimated_calls_total{provider="p",model="p/m"} 1' in text
    assert 'gateway_overhead_microseconds_bucket{le="50"} 0' in text
    assert 'gateway_overhead_microseconds_bucket{le="100"} 2' in text
    assert 'gateway_total_milliseconds_bucket{le="300000"} 0' in text
    assert 'gateway_total_milliseconds_bucket{le="+Inf"} 3' in text
    assert "gateway_total_milliseconds_count 3" in text
    assert "gateway_open_holds 7" in text


def test_what_was_saved_and_what_was_lost_are_counted_apart_so_that_no_counter_goes_back() -> None:
    one = Metrics()
    one.saw(record(baseline_nanos=Nanos(90), saved_routing_nanos=Nanos(50), saved_cache_nanos=Nanos(-10)))
    one.saw(record(baseline_nanos=Nanos(40), saved_downgrade_nanos=Nanos(-10)))
    one.saw(record(baseline_nanos=None))
    for _ in range(2):
        text = page(one)
        assert "gateway_baseline_nanodollars_total 130" in text
        assert 'gateway_saved_nanodollars_total{kind="routing"} 50' in text
        assert 'gateway_overspent_nanodollars_total{kind="cache"} 10' in text
        assert 'gateway_overspent_nanodollars_total{kind="downgrade"} 10' in text
        assert 'gateway_saved_nanodollars_total{kind="cache"}' not in text


def test_a_flood_of_names_ends_in_other() -> None:
    one = Metrics()
    for number in range(MAX_SERIES + 500):
        one.saw(record(f"p/m{number}"))
    calls = [key for key in one.series() if key[0] == "gateway_calls_total"]
    assert len(calls) == MAX_SERIES + 1
    assert (
        one.series()["gateway_cost_nanodollars_total", (("provider", "other"), ("model", "other"))]
        == 500 * 50
    )


def test_processes_are_added_up_and_the_next_one_goes_on_counting(tmp_path: Path) -> None:
    first, second = Metrics(), Metrics()
    first.saw(record())
    second.saw(record())
    ended = Exposition(tmp_path, 1)
    ended.leave(second.series())
    assert "gateway_total_milliseconds_count 2" in Exposition(tmp_path, 0).page(first)
    ended.close(second.series())
    successor = Metrics(before=Exposition(tmp_path, 1).before())
    successor.saw(record())
    assert "gateway_total_milliseconds_count 2" in page(successor)


def test_what_a_process_had_under_way_is_gone_with_it_and_what_it_counted_is_not(tmp_path: Path) -> None:
    def gauges(value: int) -> Metrics:
        made = Metrics({"gateway_open_calls": ("Calls.", lambda: value)})
        made.saw(record())
        return made

    place, own = Exposition(tmp_path, 1), gauges(1)
    place.leave(gauges(5).series())
    one = Exposition(tmp_path, 0)
    assert "\ngateway_open_calls 6\n" in one.page(own)
    place.close(gauges(5).series())
    assert "\ngateway_open_calls 1\n" in one.page(own)
    assert "gateway_total_milliseconds_count 2" in one.page(own)
    taken = one.before()
    assert ("gateway_open_calls", ()) not in taken
    assert taken["gateway_total_milliseconds_count", ()] == 1
    assert one.before() == {}
    assert len(list(tmp_path.glob("worker-*.json"))) == 1


def test_old_and_new_count_side_by_side_during_an_upgrade(tmp_path: Path) -> None:
    old, new = Exposition(tmp_path, 0), Exposition(tmp_path, 0)
    assert new.before() == {}
    before, after = Metrics(), Metrics()
    before.saw(record())
    after.saw(record())
    old.leave(before.series())
    assert "gateway_total_milliseconds_count 2" in new.page(after)


@pytest.mark.parametrize("data", [b"", b"{}", b"[[1,2]]", b'[["a",[["b"]],1]]', b'[["a",[],"x"]]'])
def test_a_spoilt_file_of_counters_counts_nothing(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "worker-1.json").write_bytes(data)
    assert "gateway_total_milliseconds_count 0" in Exposition(tmp_path, 0).page(Metrics())


async def test_counters_are_left_every_now_and_then(tmp_path: Path) -> None:
    one, place = Metrics(), Exposition(tmp_path / "new", 3)
    other = Exposition(tmp_path / "new", 4)
    one.saw(record())
    task = asyncio.ensure_future(place.run(one, 0.001))
    for _ in range(100):
        await asyncio.sleep(0.01)
        if "gateway_total_milliseconds_count 1" in other.page(Metrics()):
            break
    task.cancel()
    assert "gateway_total_milliseconds_count 1" in other.page(Metrics())


async def test_a_folder_that_is_gone_costs_the_counters_and_nothing_else(tmp_path: Path) -> None:
    place = Exposition(tmp_path / "new", 3)
    shutil.rmtree(tmp_path / "new")
    task = asyncio.ensure_future(place.run(Metrics(), 0.01))
    await asyncio.sleep(0.05)
    assert not task.done()
    task.cancel()
    place.close({})
    assert place.page(Metrics())


def test_a_process_killed_before_it_left_anything_leaves_no_lock(tmp_path: Path) -> None:
    alive = Exposition(tmp_path, 1)
    (tmp_path / "worker-0-dead.lock").touch()
    (tmp_path / "worker-0-dead.new").write_bytes(b"torn")
    Exposition(tmp_path, 0).before()
    left = sorted(path.name.partition("-")[2][:1] + path.suffix for path in tmp_path.iterdir())
    assert left == ["0.lock", "1.lock"]
    alive.close({})


def test_a_gauge_with_labels_has_a_line_for_each_and_not_too_many() -> None:
    values = {(("target", f"p/m{number}"),): number for number in range(MAX_SERIES + 5)}
    one = Metrics({"gateway_target_calls": ("Calls under way at a target.", lambda: values)})
    shown = page(one)
    assert 'gateway_target_calls{target="p/m7"} 7' in shown
    assert shown.count("gateway_target_calls{") == MAX_SERIES
