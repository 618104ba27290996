"""The timer wheel, turned by hand with a clock that tests move."""

import asyncio
from math import inf

import pytest

from gateway.edge.timers import Deadline, Wheel


class HandClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.ns = 5_000_000_000

    def now_us(self) -> int:
        return self.ns // 1000

    def tick_ns(self) -> int:
        return self.ns


class Bench:
    """A wheel, its clock, and what was called when."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.wheel = Wheel(0.1, self.clock)
        self.wheel.start()
        self.rang: list[tuple[str, float]] = []
        self.real_s = 0.0

    def deadline(self, name: str) -> Deadline:
        return Deadline(self.wheel, lambda: self.rang.append((name, round(self.real_s, 3))))

    def pass_time(self, seconds: float, step_s: float = 0.1) -> None:
        for _ in range(round(seconds / step_s)):
            self.real_s += step_s
            self.clock.ns += int(step_s * 1e9)
            self.wheel.turn()


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_a_deadline_is_called_once_and_not_early(bench: Bench) -> None:
    bench.deadline("a").set(1.0)
    bench.pass_time(0.9)
    assert bench.rang == []
    bench.pass_time(5)
    assert len(bench.rang) == 1
    assert 1.0 <= bench.rang[0][1] <= 1.31


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.1, 0.25, 1.0, 3.33, 59.99])
@pytest.mark.parametrize("offset_s", [0.0, 0.03, 0.07])
async def test_a_deadline_is_at_most_three_ticks_late(bench: Bench, after_s: float, offset_s: float) -> None:
    bench.pass_time(offset_s, 0.01)
    began_s = bench.real_s
    bench.deadline("a").set(after_s)
    bench.pass_time(after_s + 1)
    assert after_s - 0.101 <= bench.rang[0][1] - began_s <= after_s + 0.301


async def test_a_deadline_moved_later_again_and_again_never_ends(bench: Bench) -> None:
    deadline = bench.deadline("a")
    for _ in range(50):
        deadline.set(1.0)
        bench.pass_time(0.5)
    assert bench.rang == []
    assert bench.wheel.pending == 1
    bench.pass_time(2)
    assert len(bench.rang) == 1


async def test_a_deadline_moved_earlier_ends_earlier(bench: Bench) -> None:
    deadline = bench.deadline("a")
    deadline.set(60)
    deadline.set(1)
    assert bench.wheel.pending == 1
    bench.pass_time(1.5)
    assert len(bench.rang) == 1
    bench.pass_time(70)
    assert len(bench.rang) == 1


async def test_a_deadline_set_again_after_it_ended_ends_again(bench: Bench) -> None:
    deadline = bench.deadline("a")
    for _ in range(3):
        deadline.set(0.5)
        bench.pass_time(1)
    assert len(bench.rang) == 3


async def test_a_cleared_or_closed_deadline_is_not_called(bench: Bench) -> None:
    cleared, closed = bench.deadline("a"), bench.deadline("b")
    cleared.set(1)
    closed.set(1)
    cleared.clear()
    closed.close()
    bench.pass_time(2)
    assert bench.rang == []
    assert bench.wheel.pending == 0
    assert cleared.due_s == inf
    closed.set(0.1)
    bench.pass_time(1)
    assert bench.rang == []


async def test_many_in_one_slot_are_all_called(bench: Bench) -> None:
    deadlines = [bench.deadline(str(at)) for at in range(100)]
    for deadline in deadlines:
        deadline.set(1)
    deadlines[50].close()
    bench.pass_time(2)
    assert len(bench.rang) == 99


async def test_one_that_raises_leaves_the_others_to_the_next_turn(bench: Bench) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    bad = Deadline(bench.wheel, fail)
    for deadline in (bench.deadline("a"), bad, bench.deadline("b")):
        deadline.set(0.5)
    with pytest.raises(RuntimeError):
        bench.pass_time(1)
    bench.pass_time(1)
    assert sorted(name for name, _ in bench.rang) == ["a", "b"]


async def test_one_that_sets_itself_again_while_it_is_called_is_called_again(bench: Bench) -> None:
    deadline = Deadline(bench.wheel, lambda: None)
    count = 0

    def again() -> None:
        nonlocal count
        count += 1
        deadline.set(0)

    deadline.expired = again
    deadline.set(0)
    bench.pass_time(1)
    assert 2 <= count <= 11


async def test_a_loop_that_stood_still_is_not_the_peers_fault(bench: Bench) -> None:
    bench.deadline("a").set(5)
    bench.pass_time(30, 30)
    assert bench.rang == []
    bench.pass_time(4.5)
    assert len(bench.rang) == 1


async def test_it_turns_by_itself_and_stops_when_closed() -> None:
    wheel = Wheel(0.01)
    assert not wheel.turns
    wheel.turn()  # not started: nothing happens
    wheel.start()
    wheel.start()
    ended = asyncio.Event()
    Deadline(wheel, ended.set).set(0.02)
    await asyncio.wait_for(ended.wait(), 2)
    wheel.close()
    wheel.close()
    before_s = wheel.now_s
    await asyncio.sleep(0.03)
    assert wheel.now_s == before_s
    assert not wheel.turns
