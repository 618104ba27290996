"""Clients that leave: at each event of a stream, before the first byte, and while the provider stalls."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from gateway.records import Outcome, Record
from gateway.usage import Source
from tests.end_to_end.stand import STREAMS, Place, RawClient, Stand, connected, eventually, user
from tests.upstream import Received, Scripted

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLOSED_WITHIN_S = 0.1
"""The promise. One in ten may take longer here, where other tests share the machine; none LATEST_S."""
LATEST_S = 2.0
EVENTS = {"chat": 9, "responses": 13, "messages": 11, "gemini": 6, "groq": 8}
"""Events of the stream that answers TEXT."""

REPORTED_FROM = {"chat": 8, "responses": 13, "messages": 10, "gemini": 6, "groq": 7}
"""The event that has the provider's final count of tokens in it."""

TEXT = "one two three four"
CASES = [
    pytest.param(place, at, id=f"{place.name}-{at}")
    for place in STREAMS
    for at in range(EVENTS[place.name] + 1)
]
closing_times: list[float] = []


def body_of(place: Place, orders: str) -> Any:
    """A stream with the provider's own count of its tokens at the end, where that is to be asked for."""
    asks = {"stream_options": {"include_usage": True}} if place.name == "chat" else {}
    return place.body(f"{TEXT} echo:{orders}", **asks)


async def read_events(client: RawClient, count: int) -> None:
    """Read the answer's head and so many events."""
    assert await client.read_head() == 200
    while client.body.replace(b"\r\n", b"\n").count(b"\n\n") < count:
        assert await client.read_piece()


async def leave(stand: Stand, client: RawClient) -> Received:
    """Close the client's connection; the upstream's request, once it found its own closed too."""
    loop = asyncio.get_running_loop()
    request = stand.upstream.last
    client.leave()
    left_s = loop.time()
    await eventually(lambda: request.closed_s is not None)
    closing_times.append(loop.time() - left_s)
    assert closing_times[-1] < LATEST_S
    assert not request.finished
    return request


async def last_record(stand: Stand) -> Record:
    """The newest record, once there are as many as the provider was asked; there must not be more."""
    asked = len(stand.upstream.requests)
    await stand.gateway.records(asked)
    await asyncio.sleep(0.02)
    records = await stand.gateway.records(asked)
    assert len({record.id for record in records}) == len(records) == asked
    assert stand.held == (0, 0)
    return max(records, key=lambda record: record.at)


@pytest.mark.parametrize("place", STREAMS, ids=lambda place: place.name)
async def test_the_streams_have_as_many_events_as_the_tests_below_say(shared: Stand, place: Place) -> None:
    answer = await shared.ask(place.path, body_of(place, "delay=0"))
    assert len(answer.events) == EVENTS[place.name]


@pytest.mark.parametrize(("place", "at"), CASES)
async def test_a_client_that_leaves_ends_the_call_at_the_provider(
    shared: Stand, place: Place, at: int
) -> None:
    """The provider is silent after so many events, and the client leaves then."""
    asked = len(shared.upstream.requests)
    async with connected(shared, place.path, body_of(place, f"stall={at}")) as client:
        await shared.upstream.until(asked + 1)
        if at:
            await read_events(client, at)
        await leave(shared, client)
    record = await last_record(shared)
    assert (record.outcome, record.error_code) == (Outcome.CLIENT_CLOSED, "client_closed")
    assert (record.status, record.attempts, record.stream) == (200 if at else 499, 1, True)
    if at >= REPORTED_FROM[place.name]:
        assert (record.usage_source, record.tokens_input, record.tokens_output) == (Source.REPORTED, 8, 5)
    else:
        assert record.usage_source is Source.ESTIMATED
        assert 0 < record.tokens_input < 25
        assert 0 <= record.tokens_output <= 5
        if place.name == "messages" and at:
            assert record.tokens_input == 8  # as the first event said
    assert 0 < (record.cost_nanos or 0) <= record.held_nanos


@pytest.mark.parametrize("place", STREAMS, ids=lambda place: place.name)
async def test_a_client_that_leaves_while_events_flow_pays_for_what_came(shared: Stand, place: Place) -> None:
    async with connected(shared, place.path, body_of(place, "tokens=1000,chunk=10,delay=0.002")) as client:
        await read_events(client, 20)
        await leave(shared, client)
    record = await last_record(shared)
    assert record.outcome is Outcome.CLIENT_CLOSED
    assert 100 <= record.tokens_output <= 300


@pytest.mark.parametrize("place", STREAMS, ids=lambda place: place.name)
async def test_a_client_that_reads_nothing_and_leaves_frees_the_provider(shared: Stand, place: Place) -> None:
    """The gateway's own buffers are full then: it waits for the client, not for the provider."""
    asked = len(shared.upstream.requests)
    event = b'data: {"much":"' + b"x" * 100_000 + b'"}\n\n'
    shared.upstream.script(Scripted(200, [("content-type", "text/event-stream")], [event] * 300))
    async with connected(shared, place.path, place.body("x")) as client:
        await shared.upstream.until(asked + 1)
        assert await client.read_head() == 200
        await asyncio.sleep(0.1)
        await leave(shared, client)
    assert (await last_record(shared)).outcome is Outcome.CLIENT_CLOSED


async def test_a_client_that_does_not_wait_for_a_whole_answer_ends_it(shared: Stand) -> None:
    asked = len(shared.upstream.requests)
    body = {"model": "gpt-4o-mini", "messages": user("one two echo:first=30")}
    async with connected(shared, "/v1/chat/completions", body) as client:
        await shared.upstream.until(asked + 1)
        await leave(shared, client)
    record = await last_record(shared)
    assert (record.outcome, record.status, record.stream) == (Outcome.CLIENT_CLOSED, 499, False)
    assert record.usage_source is Source.ESTIMATED


async def test_many_clients_leave_at_once(shared: Stand) -> None:
    place = STREAMS[0]
    asked = len(shared.upstream.requests)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(connected(shared, place.path, body_of(place, "stall=3")))
            for _ in range(30)
        ]
        await shared.upstream.until(asked + 30)
        await asyncio.gather(*(read_events(client, 2) for client in clients))
        assert shared.held[1] == 30
        for client in clients:
            client.leave()
        requests = shared.upstream.requests[asked:]
        await eventually(lambda: all(request.closed_s is not None for request in requests))
    assert (await last_record(shared)).outcome is Outcome.CLIENT_CLOSED


async def test_the_next_call_is_served_as_ever(shared: Stand) -> None:
    answer = await shared.ask(STREAMS[0].path, STREAMS[0].body("hello"))
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert (await last_record(shared)).outcome is Outcome.OK


async def test_the_provider_was_always_told_in_time(shared: Stand) -> None:
    times_s = sorted(closing_times)
    print(f"{len(times_s)} closed after {times_s[-1] * 1000:.1f} ms at the most")
    assert times_s[len(times_s) * 9 // 10] < CLOSED_WITHIN_S
