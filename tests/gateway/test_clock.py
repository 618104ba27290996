"""The clock dates in microseconds and measures in nanoseconds."""

import time

from gateway.clock import SystemClock


def test_now_is_unix_time_in_microseconds() -> None:
    before = time.time_ns() // 1000
    assert before <= SystemClock().now_us() <= time.time_ns() // 1000


def test_ticks_are_nanoseconds_that_never_go_back() -> None:
    clock = SystemClock()
    ticks = [clock.tick_ns() for _ in range(1000)]
    assert ticks == sorted(ticks)
    assert abs(time.monotonic_ns() - ticks[-1]) < 10**9
