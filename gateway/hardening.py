"""Hardening: what a serving process does at its start so that nothing leaves it by a side door.

The side doors are Python's own: tracebacks, warnings and debug messages quote arguments, values and
addresses, and a core file holds all of memory.
"""

import asyncio
import ctypes
import logging  # noqa: TID251 - to switch it off
import resource
import sys
import threading
import warnings
from types import TracebackType
from typing import Any, Final

from gateway import log
from gateway.names import Slug

PR_SET_DUMPABLE: Final = 4
"""Source: prctl(2)."""


def harden() -> None:
    """Close memory to core files and other processes; let Python tell types and places, never texts.

    Must be called within the event loop that serves.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    quieten()
    loop = asyncio.get_running_loop()
    loop.set_debug(False)  # its messages show the arguments of callbacks
    loop.set_exception_handler(_in_loop)


def quieten() -> None:
    """Replace everything by which Python and libraries print on their own."""
    logging.disable(logging.CRITICAL)
    warnings.showwarning = _warned
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _in_thread


def _in_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, BaseException):
        _tell("loop.unhandled", error)
    else:
        log.fact("loop.message", log.Level.ERROR)


def _warned(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    log.fact("python.warning", log.Level.WARNING, kind=Slug(category.__name__))


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _tell("python.uncaught", error)


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    if unraisable.exc_value is not None:
        _tell("python.unraisable", unraisable.exc_value)


def _in_thread(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None and not isinstance(failure.exc_value, SystemExit):
        _tell("thread.failed", failure.exc_value)


def _tell(event: str, error: BaseException) -> None:
    log.fact(event, log.Level.ERROR, error=log.kind(error), place=log.place(error))
