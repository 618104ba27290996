"""Deadlines: one coarse wheel that turns, instead of a timer object for each read and write.

How it works:
- The wheel turns every tick_s seconds and keeps its own time, now_s; whoever needs "now" for a
  deadline reads that attribute, so moving a deadline costs an addition and no system call.
- A Deadline lies in the slot of the wheel where it may end first. Moving it later is an assignment:
  when its slot comes up and the deadline has moved, it goes on to a later slot. Only moving it
  earlier than its slot touches the wheel.
- A deadline is never called early, and at most three ticks late. It is called from the turn itself,
  so that nothing can happen between the look at its time and the call.
- Time in which the loop stood still counts one second at most: a gateway that was held up must not
  find all its peers guilty of silence.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final

from gateway.clock import Clock, SystemClock

STANDSTILL_S: Final = 1.0
"""The most that one turn adds to the wheel's time."""

_NOWHERE: Final = 1 << 62  # the slot of a deadline that lies in none


class Wheel:
    """Calls what is due. Starts to turn with the first deadline; one for each event loop.

    Attributes:
        now_s: the wheel's time in seconds, at most a tick old while it turns; its zero means nothing.
        slack_s: how much earlier than its slot a deadline may be without changing slots.
    """

    __slots__ = ("_clock", "_handle", "_loop", "_slot", "_slots", "_tick_s", "_turned_ns", "now_s", "slack_s")

    def __init__(self, tick_s: float = 0.1, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._tick_s = tick_s
        self._handle: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots: dict[int, set[Deadline]] = {}
        self._slot = 0
        self._turned_ns = 0
        self.now_s = 0.0
        self.slack_s = 2 * tick_s

    @property
    def pending(self) -> int:
        """Deadlines that lie in a slot."""
        return sum(len(entries) for entries in self._slots.values())

    @property
    def turns(self) -> bool:
        """Whether it was started."""
        return self._handle is not None

    def start(self) -> None:
        """Turn from now on, in the running event loop. Does nothing when it turns already."""
        if self._handle is None:
            self._loop = asyncio.get_running_loop()
            self._turned_ns = self._clock.tick_ns()
            self._handle = self._loop.call_later(self._tick_s, self.turn)

    def close(self) -> None:
        """Stand still. Deadlines are kept, and go on when it is started again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def turn(self) -> None:
        """Let time pass, and call what is due. Called by the loop; tests with a clock call it, too."""
        if self._handle is None or self._loop is None:
            return
        self._handle.cancel()
        self._handle = self._loop.call_later(self._tick_s, self.turn)
        tick_ns = self._clock.tick_ns()
        self.now_s += min((tick_ns - self._turned_ns) / 1e9, STANDSTILL_S)
        self._turned_ns = tick_ns
        last = int(self.now_s / self._tick_s)
        while self._slot < last:
            entries = self._slots.get(self._slot + 1)
            while entries:  # one that raises leaves the rest to the next turn
                self._look_at(entries.pop())
            self._slots.pop(self._slot + 1, None)
            self._slot += 1

    def enter(self, deadline: "Deadline") -> None:
        """Put a deadline into the slot of its time, out of the one where it is."""
        self.leave(deadline)
        # One slot further than its time's own: now_s may be a tick old, and early is worse than late.
        slot = max(int(deadline.due_s / self._tick_s) + 1, self._slot + 1)
        deadline.slot = slot
        deadline.slot_s = slot * self._tick_s
        entries = self._slots.get(slot)
        if entries is None:
            self._slots[slot] = {deadline}
        else:
            entries.add(deadline)

    def leave(self, deadline: "Deadline") -> None:
        """Take a deadline out of its slot, if it is in one."""
        entries = self._slots.get(deadline.slot)
        if entries is not None:
            entries.discard(deadline)
            if not entries:
                del self._slots[deadline.slot]
        deadline.slot = _NOWHERE
        deadline.slot_s = inf

    def _look_at(self, deadline: "Deadline") -> None:
        deadline.slot = _NOWHERE
        deadline.slot_s = inf
        if deadline.due_s <= self.now_s:
            deadline.due_s = inf
            deadline.expired()
        elif deadline.due_s != inf:
            self.enter(deadline)


class Deadline:
    """A moment that can be moved as often as one likes; when it passes, expired is called once.

    Attributes:
        due_s: the moment in the wheel's time; infinite: none is set.
        slot, slot_s: the wheel's business.
    """

    __slots__ = ("_wheel", "due_s", "expired", "slot", "slot_s")

    def __init__(self, wheel: Wheel, expired: Callable[[], None]) -> None:
        self._wheel = wheel
        self.expired = expired
        self.due_s = inf
        self.slot = _NOWHERE
        self.slot_s = inf

    def set(self, after_s: float) -> None:
        """Due after this many seconds from now."""
        self.set_at(self._wheel.now_s + after_s)

    def set_at(self, due_s: float) -> None:
        """Due at this moment of the wheel's time."""
        self.due_s = due_s
        if due_s < self.slot_s - self._wheel.slack_s:
            self._wheel.enter(self)

    def clear(self) -> None:
        """Not due at all, until it is set again."""
        self.due_s = inf

    def close(self) -> None:
        """Leave the wheel for good, so that it no longer holds on to whom it would call."""
        self._wheel.leave(self)
        self.due_s = inf
        self.expired = _nothing


def _nothing() -> None:
    """What a closed deadline calls."""
