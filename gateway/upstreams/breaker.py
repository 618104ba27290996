"""A breaker: after failures a target is left alone for a while, then one call tries whether it is well again.

A pure state machine: whoever asks brings the time.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SHARE: Final = 2
"""A breaker opens when at least one of so many calls in the window failed: at high traffic a few failures
are no reason to leave a target alone."""


class State(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"  # one call is on its way to find out
    HELD = "held"  # by hand


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a breaker opens, and for how long.

    Attributes:
        failures: so many of them within window_ns open it.
        rest_ns: how long it stays open first; doubled each time the probe fails, up to longest_ns.
    """

    failures: int = 5
    window_ns: int = 30 * 10**9
    rest_ns: int = 10 * 10**9
    longest_ns: int = 300 * 10**9


class Breaker:
    """Closed: calls pass. Open: none does. After its rest exactly one passes, and decides.

    Attributes:
        until_ns: when an open one may be probed; 0 for a closed one.
    """

    __slots__ = ("_before", "_began_ns", "_calls", "_failed", "_probing", "_rest_ns", "until_ns")

    def __init__(self) -> None:
        self.until_ns = 0
        self._rest_ns = 0
        self._probing = False
        self._failed: deque[int] = deque()
        self._calls = self._before = self._began_ns = 0

    def ready(self, now_ns: int) -> bool:
        """Whether a call may pass now."""
        return not self.until_ns or (not self._probing and now_ns >= self.until_ns)

    def state(self) -> State:
        """How it stands."""
        if not self.until_ns:
            return State.CLOSED
        return State.HALF_OPEN if self._probing else State.OPEN

    def enter(self) -> bool:
        """A call passes, which was ready; True if it is the probe."""
        if self.until_ns:
            self._probing = True
        return self._probing

    def leave(self) -> None:
        """The probe ended and told nothing: the next call is one."""
        self._probing = False

    def succeed(self, now_ns: int, rules: Rules, probe: bool) -> None:
        """A call was served."""
        self._count(now_ns, rules)
        if probe:
            self.until_ns = self._rest_ns = 0
            self._probing = False
            self._failed.clear()

    def fail(self, now_ns: int, rules: Rules, probe: bool, jitter: float) -> bool:
        """A call failed; True if the breaker opened for it.

        Args:
            jitter: what the rest is multiplied with, about 1, so that processes do not probe together.
        """
        self._count(now_ns, rules)
        if probe:
            self._probing = False
        elif self.until_ns:
            return False  # a call that began before it opened
        else:
            self._failed.append(now_ns)
            while self._failed[0] <= now_ns - rules.window_ns:
                self._failed.popleft()
            if len(self._failed) < rules.failures or len(self._failed) * SHARE < self._seen(now_ns, rules):
                return False
        self._rest_ns = min(self._rest_ns * 2, rules.longest_ns) if self._rest_ns else rules.rest_ns
        self.until_ns = now_ns + max(1, round(self._rest_ns * jitter))
        self._failed.clear()
        return True

    def _count(self, now_ns: int, rules: Rules) -> None:
        past_ns = now_ns - self._began_ns
        if past_ns >= rules.window_ns:
            self._before = self._calls if past_ns < 2 * rules.window_ns else 0
            self._calls, self._began_ns = 0, now_ns
        self._calls += 1

    def _seen(self, now_ns: int, rules: Rules) -> float:
        """Calls that ended within the last window, about."""
        return self._calls + self._before * max(0.0, 1 - (now_ns - self._began_ns) / rules.window_ns)
