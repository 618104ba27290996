"""The log takes numbers and names by type, writes one line of JSON, and never stops a call."""

import io
import json
from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest

from gateway import log
from gateway.content import Content, Secret
from gateway.errors import Fault
from gateway.log import Level
from gateway.names import Slug

CANARY = "canary words"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """What the log writes in this test."""
    stream = io.StringIO()
    log.configure(Level.DEBUG, stream)
    yield stream
    log.configure()


def test_an_event_is_one_line_of_json(out: io.StringIO) -> None:
    log.fact("call.ended", Level.WARNING, calls=3, model=Slug("gpt-4o"), good=True, error=None, by=Fault.OURS)
    assert out.getvalue().count("\n") == 1
    line = json.loads(out.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "call.ended",
        "level": "warning",
        "calls": 3,
        "model": "gpt-4o",
        "good": True,
        "error": None,
        "by": "ours",
    }


@pytest.mark.parametrize(
    "value",
    [
        CANARY,
        CANARY.encode(),
        1.5,
        [CANARY],
        {"a": 1},
        (1,),
        Content(b"canary words"),
        Secret(CANARY),
        ValueError(CANARY),
        object(),
        type("Text", (str,), {})(CANARY),
    ],
    ids=lambda one: type(one).__name__,
)
@pytest.mark.parametrize("level", [Level.DEBUG, Level.ERROR])
def test_whatever_could_hold_text_is_an_error_of_the_program(
    out: io.StringIO, value: Any, level: Level
) -> None:
    log.configure(Level.ERROR, out)  # also when the line would not be written
    with pytest.raises(TypeError, match="neither a number nor a name") as caught:
        log.fact("test.event", level, value=value)
    assert CANARY not in str(caught.value)
    assert out.getvalue() == ""


def test_an_event_has_a_bounded_number_of_values(out: io.StringIO) -> None:
    with pytest.raises(TypeError, match="too many"):
        log.fact("test.event", **{f"value{number}": number for number in range(25)})


@pytest.mark.parametrize("name", ["at", "level", "event"])
def test_what_every_line_says_anyway_cannot_be_overwritten(out: io.StringIO, name: str) -> None:
    with pytest.raises(TypeError, match="every line's own"):
        log.fact("test.event", **{name: 1})


def test_an_event_that_is_no_name_is_not_written(out: io.StringIO) -> None:
    before = log.lost()
    log.fact(CANARY)
    assert out.getvalue() == ""
    assert log.lost() == before + 1


def test_events_below_the_level_are_dropped(out: io.StringIO) -> None:
    log.configure(Level.WARNING, out)
    log.fact("test.event", Level.INFO)
    assert out.getvalue() == ""
    log.fact("test.event", Level.WARNING)
    assert "test.event" in out.getvalue()


class Full(io.StringIO):
    """A stream that cannot be written."""

    def write(self, text: str, /) -> int:
        raise OSError("no space")


@pytest.mark.parametrize("broken", ["full", "closed"])
def test_a_stream_that_fails_costs_a_line_and_is_counted(broken: str) -> None:
    stream = Full() if broken == "full" else io.StringIO()
    log.configure(Level.INFO, stream)
    if broken == "closed":
        stream.close()
    before = log.lost()
    log.fact("test.event")
    log.configure()
    assert log.lost() == before + 1


class Odd(Enum):
    """An enum whose value is no number and no name."""

    TEXT = CANARY


def test_the_kind_of_an_error_is_its_types_name() -> None:
    assert log.kind(ValueError(CANARY)) == "ValueError"
    assert log.kind(type("Ünknown", (Exception,), {})()) == "error"


def test_the_place_of_an_error_is_file_and_line() -> None:
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        place = log.place(error)
    assert place.startswith("test_log.py:")
    assert log.place(ValueError(CANARY)) == "nowhere"


def test_the_place_of_an_error_in_a_nameless_file_is_elsewhere() -> None:
    try:
        exec(compile("1/0", "<canary words>", "exec"))
    except ZeroDivisionError as error:
        place = log.place(error)
    assert place == "elsewhere"
