"""An even pace: what conforms and how long the rest waits."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.rates import MINUTE_NS, admit


def test_a_burst_passes_and_the_next_waits_for_one_step() -> None:
    due = 0
    for _ in range(10):
        admitted, due = admit(due, 0, 60, 10)
        assert admitted
    assert admit(due, 0, 60, 10) == (False, MINUTE_NS // 60)


def test_a_step_later_one_more_passes() -> None:
    admitted, due = admit(0, 0, 60, 1)
    assert admitted
    assert not admit(due, MINUTE_NS // 60 - 1, 60, 1)[0]
    assert admit(due, MINUTE_NS // 60, 60, 1)[0]


def test_a_long_pause_saves_up_no_more_than_a_burst() -> None:
    due, admitted_at_once = 0, 0
    for _ in range(100):
        admitted, value = admit(due, 10**15, 60, 7)
        if not admitted:
            break
        due = value
        admitted_at_once += 1
    assert admitted_at_once == 7


@given(
    per_minute=st.integers(1, 100_000),
    burst=st.integers(1, 1000),
    gaps=st.lists(st.integers(0, MINUTE_NS // 10), max_size=200),
)
def test_never_more_than_rate_and_burst(per_minute: int, burst: int, gaps: list[int]) -> None:
    due, now, admitted = 0, 0, 0
    for gap in gaps:
        now += gap
        conforms, value = admit(due, now, per_minute, burst)
        if conforms:
            due, admitted = value, admitted + 1
    step = MINUTE_NS // per_minute
    assert admitted <= burst + now // step + 1
