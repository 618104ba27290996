"""StallWatch: tells when the event loop does not come round, how late it is, and where it is stuck.

The loop beats a few times a second; a thread looks whether it still does. What blocks it (a plugin that
waits, a regular expression that never ends) is told by file and line, while it blocks and once.
"""

import asyncio
import sys
import threading
import time
from typing import Final

from gateway import log

BEAT_S: Final = 0.1
STALL_S: Final = 1.0
"""Seconds without a beat that are told of."""


class StallWatch:
    """Watches the loop that starts it.

    Attributes:
        stalls: how often the loop was stuck.
    """

    def __init__(self, beat_s: float = BEAT_S, stall_s: float = STALL_S) -> None:
        self._beat_s = beat_s
        self._stall_s = stall_s
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._beaten_s = 0.0
        self._lags_s = [0.0, 0.0]
        self.stalls = 0

    def start(self) -> None:
        """Begin; must be called within the loop."""
        loop = asyncio.get_running_loop()
        self._beaten_s = time.monotonic()
        self._handle = loop.call_later(self._beat_s, self._beat, loop)
        self._thread = threading.Thread(
            target=self._look, args=(threading.get_ident(),), name="stall-watch", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End, without waiting for the thread longer than a moment."""
        self._over.set()
        if self._handle is not None:
            self._handle.cancel()
        if self._thread is not None:
            self._thread.join(1.0)

    @property
    def lag_us(self) -> int:
        """The longest delay of a beat within the last second or two, in microseconds."""
        return int(max(self._lags_s) * 1e6)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = time.monotonic()
        late_s = max(0.0, now_s - self._beaten_s - self._beat_s)
        if int(now_s) != int(self._beaten_s):
            self._lags_s = [0.0, self._lags_s[0]]
        self._lags_s[0] = max(self._lags_s[0], late_s)
        self._beaten_s = now_s
        self._handle = loop.call_later(self._beat_s, self._beat, loop)

    def _look(self, thread: int) -> None:
        told_s = 0.0
        while not self._over.wait(self._stall_s / 2):
            beaten_s = self._beaten_s
            if time.monotonic() - beaten_s > self._stall_s and beaten_s != told_s:
                told_s = beaten_s
                self.stalls += 1
                log.fact(
                    "loop.blocked", log.Level.ERROR, place=log.frame_place(sys._current_frames().get(thread))
                )
