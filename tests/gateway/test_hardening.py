"""A serving process tells types and places only, whatever Python has to say, and leaves no core file."""

import json
import subprocess
import sys
from typing import Any

import pytest

CANARY = "canary words of a prompt"

PROGRAM = """
import asyncio, gc, logging, os, resource, sys, threading, time, warnings
from gateway.hardening import harden

class Failing:
    def __del__(self):
        raise ValueError({canary!r})

async def main():
    harden()
    loop = asyncio.get_running_loop()
    {deed}
    await asyncio.sleep(0.05)
    gc.collect()
    print(resource.getrlimit(resource.RLIMIT_CORE), loop.get_debug())

asyncio.run(main(), debug=True)
"""

DEEDS = {
    "callback": "loop.call_soon(lambda: 1 / 0)",
    "task": "loop.create_task(asyncio.sleep(-1, [][0])) if 0 else loop.call_soon([].remove, {canary!r})",
    "thread": "threading.Thread(target=int, args=({canary!r},), name={canary!r}).start()",
    "destructor": "Failing()",
    "warning": "warnings.warn({canary!r})",
    "logging": "logging.getLogger('asyncio').critical({canary!r})",
    "message": "loop.call_exception_handler({{'message': {canary!r}}})",
    "slow": "loop.call_soon(lambda *_: time.sleep(0.12), {canary!r})",
    "uncaught": "loop.call_later(0.01, loop.stop); raise KeyError({canary!r})",
    "leaving thread": "threading.Thread(target=sys.exit, args=({canary!r},)).start()",
}
EVENTS = {
    "callback": "loop.unhandled",
    "task": "loop.unhandled",
    "thread": "thread.failed",
    "destructor": "python.unraisable",
    "warning": "python.warning",
    "message": "loop.message",
    "uncaught": "python.uncaught",
}


def run(deed: str) -> tuple[str, list[dict[str, Any]]]:
    program = PROGRAM.format(canary=CANARY, deed=DEEDS[deed].format(canary=CANARY))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return done.stdout, [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize("deed", DEEDS)
def test_only_type_and_place_are_told(deed: str) -> None:
    printed, events = run(deed)
    assert CANARY not in printed + str(events)
    assert [event["event"] for event in events] == ([EVENTS[deed]] if deed in EVENTS else [])
    if deed != "uncaught":
        assert printed == "(0, 0) False\n"


def test_the_place_of_a_failure_helps_to_find_it() -> None:
    _, [event] = run("destructor")
    assert event["error"] == "ValueError"
    assert event["place"].startswith("string:") or event["place"] == "elsewhere"
