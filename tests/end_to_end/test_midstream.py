"""Providers that break: at each event of a stream the client can tell, and before the first byte another
target answers."""

import json
from typing import Any

import pytest

from gateway.records import Outcome, Record
from gateway.usage import Source
from tests.end_to_end.stand import OPENAI, STREAMS, Place, Stand, connected, user
from tests.upstream import CUT, Scripted

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = {"chat": 9, "responses": 13, "messages": 11, "gemini": 6, "groq": 8}
"""Events of the whole stream."""

REPORTED_FROM = {"chat": 8, "responses": 13, "messages": 10, "gemini": 6, "groq": 7}
"""The event that has the provider's final count of tokens in it."""

CASES = [
    pytest.param(place, at, torn, id=f"{place.name}-{at}{'-torn' * torn}")
    for place in STREAMS
    for at in range(1, EVENTS[place.name] + 1)
    for torn in (0, 1)
]


class Count:
    """The calls of the module's stand so far, each of which must have one record."""

    calls = 0


def body_of(place: Place, at: int, torn: int) -> Any:
    """A call whose stream is cut after so many events; calls of equal length, so that answers agree."""
    asks: dict[str, Any] = {}
    if place.name == "chat":
        asks = {"stream_options": {"include_usage": True}}
    elif place.name == "responses":
        asks = {"store": False}
    return place.body(f"one two three four echo:cut={at:02},torn={torn}", **asks)


async def last_record(stand: Stand) -> Record:
    """The newest record; there must be one for each call, with nothing of the provider's words in it."""
    records = await stand.gateway.records(Count.calls)
    assert len({record.id for record in records}) == len(records) == Count.calls
    assert stand.held == (0, 0)
    assert "canary" not in str(records)
    return max(records, key=lambda record: record.at)


def error_in(place: Place, event: bytes) -> str:
    """The gateway's code in an error event of that dialect."""
    lines = event.replace(b"\r\n", b"\n").removesuffix(b"\n\n").split(b"\n")
    shown = json.loads(lines[-1].removeprefix(b"data: "))
    match place.name:
        case "responses":
            assert (lines[0], shown["type"]) == (b"event: error", "error")
            return str(shown["code"])
        case "messages":
            assert (lines[0], shown["type"]) == (b"event: error", "error")
            return str(shown["error"]["details"]["error_code"])
        case "gemini":
            assert len(lines) == 1
            return str(shown["error"]["details"][0]["reason"])
    assert len(lines) == 1
    return str(shown["error"]["code"])


@pytest.mark.parametrize(("place", "at", "torn"), CASES)
async def test_a_reset_ends_a_stream_with_an_error_event_and_a_broken_connection(
    shared: Stand, place: Place, at: int, torn: int
) -> None:
    Count.calls += 1
    whole = (await shared.ask_directly(place.path, body_of(place, 99, 0))).body
    asked = len(shared.upstream.requests)
    async with connected(shared, place.path, body_of(place, at, torn)) as client:
        assert await client.read_head() == 200
        await client.read_all()
    assert client.ended == "broken"
    assert len(shared.upstream.requests) == asked + 1
    separator = b"\r\n\r\n" if place.name == "gemini" else b"\n\n"
    sent = b"".join(event + separator for event in whole.split(separator)[:at])
    if torn and at < EVENTS[place.name]:  # half an event came, and nothing can follow it
        assert whole.startswith(client.body)
        assert len(client.body) > len(sent)
    else:
        assert client.body.startswith(sent)
        assert error_in(place, client.body.removeprefix(sent)) == "upstream_failed"
    record = await last_record(shared)
    assert (record.outcome, record.error_code) == (Outcome.UPSTREAM_ERROR, "upstream_cut")
    assert (record.status, record.attempts) == (200, 1)
    reported = at >= REPORTED_FROM[place.name]
    assert record.usage_source is (Source.REPORTED if reported else Source.ESTIMATED)
    assert record.tokens_input > 0
    assert (record.tokens_output == 5) if reported else (record.tokens_output <= 5)


@pytest.mark.parametrize("place", STREAMS, ids=lambda place: place.name)
async def test_the_providers_own_error_event_is_passed_on_and_noted(shared: Stand, place: Place) -> None:
    Count.calls += 1
    async with connected(shared, place.path, place.body("one two three four echo:error=3")) as client:
        assert await client.read_head() == 200
        await client.read_all()
    record = await last_record(shared)
    assert record.outcome is Outcome.UPSTREAM_ERROR
    assert client.ended == "broken"
    assert b"upstream_failed" in client.body  # the provider's event first, then the gateway's


@pytest.mark.parametrize("place", STREAMS, ids=lambda place: place.name)
async def test_an_error_event_with_a_text_leaves_no_text_behind(shared: Stand, place: Place) -> None:
    Count.calls += 1
    event = b'event: error\ndata: {"type":"error","error":{"message":"canary","type":"canary"}}\n\n'
    shared.upstream.script(Scripted(200, [("content-type", "text/event-stream")], [event, CUT]))
    async with connected(shared, place.path, place.body("x")) as client:
        await client.read_head()
        await client.read_all()
    assert b"canary" in client.body
    assert (await last_record(shared)).error_code == "upstream_cut"


async def test_half_a_whole_answer_is_never_passed_off_as_one(shared: Stand) -> None:
    Count.calls += 1
    body = {"model": OPENAI, "messages": user("one two echo:cut=1")}
    answer = await shared.ask("/v1/chat/completions", body)
    assert (answer.status, answer.headers["x-gateway-error"]) == (502, "upstream_cut")
    record = await last_record(shared)
    assert (record.outcome, record.status, record.attempts) == (Outcome.UPSTREAM_ERROR, 502, 1)
