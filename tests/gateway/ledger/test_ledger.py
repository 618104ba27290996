"""Holds: money is set aside before it is spent, and every hold ends exactly once."""

from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contracts import Caller, StoreError
from gateway.errors import OverLimit
from gateway.ledger.ledger import Hold, Ledger, burst
from gateway.names import Slug
from gateway.records import Record
from gateway.usage import Nanos

KEY = Slug("key-1")


class StoppedClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.ns = 10**9

    def now_us(self) -> int:
        return self.ns // 1000

    def tick_ns(self) -> int:
        return self.ns


def caller(cap: int | None = None, rate: int | None = None) -> Caller:
    return Caller(key_id=KEY, key_name=KEY, cap=None if cap is None else Nanos(cap), rate=rate)


def ledger(spent: int = 0) -> Ledger:
    return Ledger(StoppedClock(), {KEY: Nanos(spent)} if spent else None)


def record(cost: int | None) -> Record:
    return Record(id=Slug("r"), at=0, key_id=KEY, cost_nanos=None if cost is None else Nanos(cost))


def test_held_money_counts_against_the_cap() -> None:
    book = ledger()
    book.hold(caller(100), Nanos(60), Slug("a"))
    with pytest.raises(OverLimit) as refused:
        book.hold(caller(100), Nanos(41), Slug("b"))
    assert refused.value.code == "budget_exceeded"
    assert book.hold(caller(100), Nanos(40), Slug("c")).amount == 40


def test_what_was_spent_before_this_process_counts() -> None:
    book = ledger(spent=70)
    with pytest.raises(OverLimit):
        book.hold(caller(100), Nanos(31), Slug("a"))
    assert book.hold(caller(100), Nanos(30), Slug("b"))


def test_settling_gives_back_what_was_not_spent() -> None:
    book = ledger()
    hold = book.hold(caller(100), Nanos(90), Slug("a"))
    book.settle(hold, Nanos(10))
    assert (book.held, book.open_holds, book.spent(KEY)) == (0, 0, 10)
    assert book.hold(caller(100), Nanos(90), Slug("b"))


def test_a_hold_ends_once() -> None:
    book = ledger()
    hold = book.hold(caller(100), Nanos(50), Slug("a"))
    book.settle(hold, Nanos(5))
    book.settle(hold, Nanos(7))
    book.release(hold)
    assert book.spent(KEY) == 5


def test_an_unpriced_call_and_a_released_hold_spend_nothing() -> None:
    book = ledger()
    book.settle(book.hold(caller(), Nanos(0), Slug("a")), None)
    book.release(book.hold(caller(), Nanos(9), Slug("b")))
    assert (book.spent(KEY), book.held) == (0, 0)


Read = Callable[[], Awaitable[dict[Slug, Nanos]]]


def sums(nanos: int, meanwhile: Callable[[], None] = lambda: None) -> Read:
    async def read() -> dict[Slug, Nanos]:
        meanwhile()
        return {KEY: Nanos(nanos)}

    return read


async def test_money_that_reached_the_store_is_not_counted_twice() -> None:
    book = ledger()
    book.settle(book.hold(caller(), Nanos(50), Slug("a")), Nanos(30))
    book.stored([record(30), record(None), Record(id=Slug("x"), at=0)])
    assert book.spent(KEY) == 30
    await book.read(sums(30))
    assert book.spent(KEY) == 30
    await book.read(sums(80))  # another process spent 50
    assert book.spent(KEY) == 80
    await book.read(sums(70))  # an older reading takes nothing back
    assert book.spent(KEY) == 80


@pytest.mark.parametrize("held", [0, 30], ids=["sums before it", "sums with it"])
async def test_money_stored_while_the_sums_are_read_is_never_missed_and_soon_counted_once(held: int) -> None:
    book = ledger()
    book.settle(book.hold(caller(), Nanos(50), Slug("a")), Nanos(30))
    await book.read(sums(held, lambda: book.stored([record(30)])))
    assert book.spent(KEY) == held + 30
    await book.read(sums(30))
    assert book.spent(KEY) == 30


async def test_a_reading_that_fails_forgets_nothing() -> None:
    async def fail() -> dict[Slug, Nanos]:
        book.stored([record(20)])
        raise StoreError("gone")

    book = ledger()
    book.settle(book.hold(caller(), Nanos(50), Slug("a")), Nanos(50))
    book.stored([record(30)])
    with pytest.raises(StoreError):
        await book.read(fail)
    assert book.spent(KEY) == 50
    await book.read(sums(50))
    assert book.spent(KEY) == 50


async def test_money_of_a_key_that_is_not_known_here_is_the_stores_business() -> None:
    async def nothing() -> dict[Slug, Nanos]:
        return {}

    book = ledger()
    book.stored([record(30)])
    await book.read(nothing)
    assert book.spent(KEY) == 0


def test_a_rate_lets_a_burst_pass_and_tells_how_long_to_wait() -> None:
    book = ledger()
    for number in range(burst(60)):
        book.hold(caller(rate=60), Nanos(0), Slug(f"c{number}"))
    with pytest.raises(OverLimit) as refused:
        book.hold(caller(rate=60), Nanos(0), Slug("late"))
    assert refused.value.code == "rate_limited"
    assert refused.value.after_s == 1.0
    assert book.open_holds == burst(60)


def test_a_call_refused_for_money_uses_up_no_rate() -> None:
    book = ledger()
    with pytest.raises(OverLimit):
        book.hold(caller(cap=1, rate=1), Nanos(2), Slug("a"))
    assert book.hold(caller(cap=1, rate=1), Nanos(1), Slug("b"))


def test_a_hold_shows_an_amount_and_no_key() -> None:
    assert repr(Hold(Slug("a"), KEY, Nanos(5))) == "<hold of 5 nanos>"


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=60))
def test_spend_never_passes_the_cap_when_no_call_costs_more_than_its_hold(
    calls: list[tuple[int, int]],
) -> None:
    book, open_holds = ledger(), []
    for number, (ask, cost) in enumerate(calls):
        try:
            open_holds.append((book.hold(caller(200), Nanos(ask), Slug(f"c{number}")), min(ask, cost)))
        except OverLimit:
            pass
        if number % 3 == 2 and open_holds:
            hold, actual = open_holds.pop(0)
            book.settle(hold, Nanos(actual))
        assert book.spent(KEY) + book.held <= 200
    for hold, actual in open_holds:
        book.settle(hold, Nanos(actual))
    assert (book.held, book.open_holds) == (0, 0)
    assert book.spent(KEY) <= 200
