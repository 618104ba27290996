"""Content, documents and secrets tell their size, and refuse everything that could show them."""

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway import log
from gateway.content import EMPTY, Content, Document, Purpose, Secret

CANARY = "canary-5f1d"

SEALED = [Content(CANARY.encode()), Document({"text": CANARY}, 20), Secret(CANARY)]

WAYS_OUT: dict[str, Callable[[Any], object]] = {
    "str": str,
    "format": "{}".format,
    "f-string with a width": lambda sealed: f"{sealed:>30}",
    "bytes": bytes,
    "iteration": list,
    "in": lambda sealed: "c" in sealed,
    "==": lambda sealed: sealed == sealed,
    "!=": lambda sealed: sealed != 1,
    "hash": hash,
    "a set": lambda sealed: {sealed},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "json": json.dumps,
    "orjson": orjson.dumps,
    "len": len,
    "index": lambda sealed: sealed[0],
    "+": lambda sealed: sealed + sealed,
    "%": lambda sealed: b"%b" % sealed,
    "join": lambda sealed: b"".join([sealed]),
    "sort": lambda sealed: sorted([sealed, sealed]),
    "int": int,
    "vars": vars,
    "a new attribute": lambda sealed: setattr(sealed, "other", 1),
    "log": lambda sealed: log.fact("test.event", value=sealed),
}


@pytest.mark.parametrize("way", WAYS_OUT)
@pytest.mark.parametrize("sealed", SEALED, ids=lambda one: type(one).__name__)
def test_no_way_out_but_open(sealed: Any, way: str) -> None:
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)) as caught:
        WAYS_OUT[way](sealed)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("sealed", SEALED, ids=lambda one: type(one).__name__)
def test_nothing_printed_in_passing_shows_it(sealed: Any) -> None:
    for shown in (repr(sealed), ascii(sealed), repr([sealed]), f"{sealed!r}", "%r" % (sealed,)):  # noqa: UP031
        assert CANARY not in shown
        assert shown


def test_they_open_for_a_purpose() -> None:
    content, document, secret = SEALED
    assert content.open(Purpose.SEND) == CANARY.encode()
    assert document.open(Purpose.READ) == {"text": CANARY}
    assert secret.open(Purpose.AUTH) == CANARY
    assert EMPTY.open(Purpose.READ) == b""
    with pytest.raises(TypeError):
        content.open()


def test_they_tell_their_size() -> None:
    assert SEALED[0].size == len(CANARY)
    assert SEALED[1].size == 20
    assert [repr(one) for one in SEALED] == [
        "<content of 11 bytes>", "<document of 20 bytes>", "<secret>",
    ]  # fmt: skip
    assert not hasattr(SEALED[2], "size")  # how long a key is would say which kind it is


def test_a_traceback_with_values_shows_sizes_only() -> None:
    from traceback import TracebackException

    def fail(content: Content) -> None:
        raise ValueError("bug")

    try:
        fail(Content(CANARY.encode()))
    except ValueError as error:
        shown = "".join(TracebackException.from_exception(error, capture_locals=True).format())
    assert CANARY not in shown
    assert "<content of 11 bytes>" in shown
