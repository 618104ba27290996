"""A loop that is stuck is told of while it is, with the place."""

import asyncio
import io
import json
import threading
import time

from gateway import log
from gateway.watch.stall import StallWatch


async def test_a_loop_that_comes_round_is_not_told_of() -> None:
    watch = StallWatch(beat_s=0.01, stall_s=0.2)
    watch.start()
    await asyncio.sleep(0.3)
    watch.close()
    assert watch.stalls == 0
    assert threading.active_count() < 50


async def test_a_blocked_loop_is_told_of_once_with_file_and_line_and_the_lag_is_measured() -> None:
    told = io.StringIO()
    log.configure(out=told)
    try:
        watch = StallWatch(beat_s=0.01, stall_s=0.06)
        watch.start()
        await asyncio.sleep(0.03)
        time.sleep(0.25)  # noqa: ASYNC251 - what is watched for
        assert '"event":"loop.blocked"' in told.getvalue()  # while it was stuck
        await asyncio.sleep(0.05)
        assert watch.lag_us > 150_000
        watch.close()
    finally:
        log.configure()
    facts = [json.loads(line) for line in told.getvalue().splitlines()]
    assert watch.stalls == len(facts) == 1
    assert facts[0]["place"].startswith("test_stall.py:")


async def test_an_old_lag_is_forgotten() -> None:
    watch = StallWatch(beat_s=0.01)
    watch._lags_s = [5.0, 5.0]
    watch._beaten_s = time.monotonic() - 2
    watch._beat(asyncio.get_running_loop())
    watch._beaten_s = time.monotonic() - 1
    watch._beat(asyncio.get_running_loop())
    assert watch.lag_us < 2_100_000
    watch.close()


def test_a_watch_that_never_started_closes() -> None:
    StallWatch().close()
    assert log.frame_place(None) == "nowhere"
