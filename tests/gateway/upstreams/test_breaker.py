"""A breaker: closed, open, half-open with one probe; all by a clock that is moved by hand."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.upstreams.breaker import LAST, UNDER_WAY, Breaker, Rules, State

S = 10**9
RULES = Rules(failures=3, window_ns=30 * S, rest_ns=10 * S, longest_ns=60 * S)


def failed(breaker: Breaker, now_ns: int, times: int = 1) -> bool:
    opened = False
    for _ in range(times):
        assert breaker.ready(now_ns)
        opened = breaker.fail(now_ns, RULES, breaker.enter(), 1.0)
    return opened


def opened(now_ns: int = S) -> Breaker:
    breaker = Breaker()
    assert failed(breaker, now_ns, 3)
    return breaker


def test_so_many_failures_within_the_window_open_it() -> None:
    breaker = Breaker()
    assert not failed(breaker, 1 * S, 2)
    assert breaker.state() is State.CLOSED
    assert failed(breaker, 2 * S)
    assert breaker.state() is State.OPEN
    assert not breaker.ready(2 * S)
    assert not breaker.ready(12 * S - 1)


def test_failures_that_are_long_past_do_not_count() -> None:
    breaker = Breaker()
    assert not failed(breaker, 1 * S, 2)
    assert not failed(breaker, 31 * S, 2)
    assert failed(breaker, 32 * S)


def test_a_few_failures_among_many_calls_do_not_open_it() -> None:
    breaker = Breaker()
    for _ in range(20):
        breaker.succeed(1 * S, breaker.enter())
    assert not failed(breaker, 2 * S, 19)
    assert failed(breaker, 2 * S)  # 20 of 40 are half


def test_an_outage_is_seen_soon_however_much_went_well_before() -> None:
    breaker = Breaker()
    for number in range(100_000):
        breaker.succeed(S + number, breaker.enter())
    assert not failed(breaker, 2 * S, LAST // 2 - 1)
    assert failed(breaker, 2 * S)


def test_calls_under_way_count_as_not_failed_up_to_a_bound() -> None:
    breaker, opened_at = Breaker(), 0
    for number in range(1, 100):
        if breaker.fail(S, RULES, False, 1.0, under_way=1000):
            opened_at = number
            break
    assert opened_at == UNDER_WAY


def test_after_its_rest_exactly_one_call_passes() -> None:
    breaker = opened()
    now_ns = 11 * S
    assert breaker.ready(now_ns)
    assert breaker.enter() is True
    assert breaker.state() is State.HALF_OPEN
    assert not breaker.ready(now_ns)
    assert not breaker.ready(now_ns + 1000 * S)
    breaker.succeed(now_ns, True)
    assert breaker.state() is State.CLOSED
    assert breaker.ready(now_ns)
    assert breaker.enter() is False


def test_a_probe_that_fails_doubles_the_rest_up_to_the_longest() -> None:
    breaker, now_ns, rests = opened(), S, []
    for _ in range(5):
        rests.append((breaker.until_ns - now_ns) // S)
        now_ns = breaker.until_ns
        assert breaker.fail(now_ns, RULES, breaker.enter(), 1.0)
    assert rests == [10, 20, 40, 60, 60]
    breaker.succeed(now_ns, True)
    assert failed(breaker, now_ns, 3)
    assert breaker.until_ns - now_ns == 10 * S  # it began anew


def test_a_probe_that_tells_nothing_lets_the_next_one_try() -> None:
    breaker = opened()
    assert breaker.enter() is True
    breaker.leave()
    assert breaker.ready(11 * S)
    assert breaker.state() is State.OPEN


def test_calls_that_began_before_it_opened_change_nothing() -> None:
    breaker = opened()
    until_ns = breaker.until_ns
    assert breaker.fail(5 * S, RULES, False, 1.0) is False
    breaker.succeed(5 * S, False)
    assert (breaker.until_ns, breaker.state()) == (until_ns, State.OPEN)


Step = st.tuples(st.sampled_from(["ok", "fail", "gone"]), st.integers(0, 20 * S))


@given(st.lists(Step, max_size=60), st.floats(0.75, 1.25))
def test_whatever_happens_no_call_passes_an_open_one_and_one_probe_at_a_time(
    steps: list[tuple[str, int]], jitter: float
) -> None:
    breaker, now_ns, probing = Breaker(), 1, False
    for what, pause_ns in steps:
        now_ns += pause_ns
        if not breaker.ready(now_ns):
            assert breaker.until_ns > now_ns or probing
            continue
        assert not probing
        probing = breaker.enter()
        if what == "ok":
            breaker.succeed(now_ns, probing)
            assert breaker.state() is State.CLOSED
        elif what == "fail":
            breaker.fail(now_ns, RULES, probing, jitter)
        elif probing:
            breaker.leave()
        probing = False
