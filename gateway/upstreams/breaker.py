"""A breaker: after failures a target is left alone for a while, then one call tries whether it is well again.

A pure state machine: whoever asks brings the time.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LAST: Final = 50
"""Calls that are looked back at. A breaker opens only when half of them failed: at high traffic a few
failures are no reason to leave a target alone, and an outage is seen within half as many calls."""

UNDER_WAY: Final = 20
"""Calls under way that count as not failed, at most. Failures are often quicker than answers, so the first
calls to end after a pause are no fair sample; but calls that hang must not hide that all time out."""


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
        failures: so many of them within window_ns open it, if they are half of the last calls.
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

    __slots__ = ("_ended", "_probing", "_rest_ns", "until_ns")

    def __init__(self) -> None:
        self.until_ns = 0
        self._rest_ns = 0
        self._probing = False
        self._ended: deque[tuple[int, bool]] = deque(maxlen=LAST)  # when, and whether it failed

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

    def succeed(self, now_ns: int, probe: bool) -> None:
        """A call was served."""
        if probe:
            self.until_ns = self._rest_ns = 0
            self._probing = False
        self._ended.append((now_ns, False))

    def fail(self, now_ns: int, rules: Rules, probe: bool, jitter: float, under_way: int = 0) -> bool:
        """A call failed; True if the breaker opened for it.

        Args:
            jitter: what the rest is multiplied with, about 1, so that processes do not probe together.
            under_way: other calls at the target.
        """
        if probe:
            self._probing = False
        elif self.until_ns:
            return False  # a call that began before it opened
        else:
            self._ended.append((now_ns, True))
            seen = [failed for at_ns, failed in self._ended if at_ns > now_ns - rules.window_ns]
            failures, calls = sum(seen), len(seen) + min(under_way, UNDER_WAY)
            if failures < rules.failures or failures * 2 < calls:
                return False
        self._rest_ns = min(self._rest_ns * 2, rules.longest_ns) if self._rest_ns else rules.rest_ns
        self.until_ns = now_ns + max(1, round(self._rest_ns * jitter))
        self._ended.clear()
        return True
