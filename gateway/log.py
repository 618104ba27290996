"""The only way to log: an event's name with names and numbers.

Text is refused by type: a plain str raises, so a prompt cannot be logged by accident. One line of
JSON an event goes to standard error. Rendering and levels are structlog's.
"""

import sys
import traceback
from collections.abc import MutableMapping
from enum import Enum, IntEnum
from types import FrameType
from typing import Any, Final, TextIO

import orjson
import structlog

from gateway.names import Slug, is_name


class Level(IntEnum):
    """How much is said."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


_MAX_FIELDS: Final = 24
_TAKEN: Final = frozenset({"at", "level", "event"})
_state: dict[str, Any] = {"level": Level.INFO, "refused": 0}


def _render(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(dict(event)).decode()


def configure(level: Level = Level.INFO, out: TextIO | None = None) -> None:
    """Set the level, and the stream that lines go to (default: standard error)."""
    _state["level"] = level
    structlog.configure(
        processors=[structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"), _render],
        logger_factory=structlog.PrintLoggerFactory(file=out or sys.stderr),
        cache_logger_on_first_use=False,
    )


configure()


def fact(event: str, level: Level = Level.INFO, /, **values: object) -> None:
    """Log one event.

    Args:
        event: the event's name, such as "limit.refused"; a literal in the source.
        level: dropped when below the configured level.
        values: int, bool, None, Slug, or an enum whose value is one of these.

    Raises:
        TypeError: a value is neither a number nor a name, or its name is taken. It is not quoted.
    """
    if len(values) > _MAX_FIELDS:
        raise TypeError("too many values for one event")
    if not _TAKEN.isdisjoint(values):
        raise TypeError("at, level and event are every line's own")
    for name, value in values.items():
        if not (value is None or type(value) in (int, bool, Slug) or isinstance(value, Enum)):
            raise TypeError(f"{name} is neither a number nor a name")
    if level < _state["level"]:
        return
    try:
        structlog.get_logger().msg(Slug(event), level=level.name.lower(), **values)
    except (OSError, ValueError):  # the stream is full, closed or gone: a call must not suffer for it
        _state["refused"] += 1


def lost() -> int:
    """Lines that could not be written since the start."""
    return int(_state["refused"])


def kind(error: BaseException) -> Slug:
    """The name of an exception's type: all of it that may be logged."""
    name = type(error).__name__
    return Slug(name) if is_name(name) else Slug("error")


def place(error: BaseException) -> Slug:
    """Where an exception was raised, as file:line of the innermost frame; no text, no locals."""
    frames = traceback.extract_tb(error.__traceback__)
    return _line(frames[-1].filename, frames[-1].lineno) if frames else Slug("nowhere")


def frame_place(frame: FrameType | None) -> Slug:
    """Where a thread is now, as file:line."""
    return Slug("nowhere") if frame is None else _line(frame.f_code.co_filename, frame.f_lineno)


def _line(file: str, number: int | None) -> Slug:
    where = f"{file.rsplit('/', 1)[-1]}:{number}"
    return Slug(where) if is_name(where) else Slug("elsewhere")
