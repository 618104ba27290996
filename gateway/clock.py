"""Now and monotonic time as one object that tests replace."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one to date things, one to measure with."""

    def now_us(self) -> int:
        """Unix time in microseconds. May jump."""
        ...

    def tick_ns(self) -> int:
        """Monotonic time in nanoseconds. Never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        """Unix time in microseconds."""
        return time.time_ns() // 1000

    def tick_ns(self) -> int:
        """Monotonic time in nanoseconds."""
        return time.monotonic_ns()
