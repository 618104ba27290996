"""The order of the stages, refusal, and "record, always". The life of a call:

    auth       key → caller; then the body is read and held against the key's scopes
    classify   content → labels
    route      labels, prices, health → plan
    limit      plan, caller → hold; the call is opened in the journal
    forward    plan → attempts; the answer goes to the client as it comes
    record     everything known → one Record; the hold is settled

Whatever ends a call (an answer, a refusal, a provider's failure, a client that leaves, a bug), the
last stage runs, and it runs without waiting for anything, so no cancellation can come between.
An error before the first byte is left in exchange.error for the edge to render in the caller's
dialect; after the first byte the forward stage has ended the stream itself.
"""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from gateway import log
from gateway.contracts import Call
from gateway.errors import ClientGone, GatewayError, OurError
from gateway.exchange import Exchange
from gateway.records import PathKind

SHUTTING_DOWN: Final = "shutting_down"
"""What a task is cancelled with when it is the gateway that ends the call, not the client."""


class Stage(Protocol):
    """One step of a call. Its docstring says what it reads, fills and raises."""

    async def __call__(self, exchange: Exchange) -> None: ...


class Recorder(Protocol):
    """The last stage: never waits, never raises."""

    def __call__(self, exchange: Exchange) -> None: ...


class Pipeline:
    """Runs each call through the stages."""

    def __init__(self, auth: Stage, listing: Stage, stages: Sequence[Stage], record: Recorder) -> None:
        self._auth = auth
        self._listing = listing
        self._stages = tuple(stages)
        self._record = record

    async def __call__(self, exchange: Exchange, read: Callable[[], Awaitable[Call]]) -> None:
        """Serve one call. An error before the first byte is left in exchange.error.

        Raises:
            CancelledError: the client left or the gateway goes down; the record is made first.
        """
        exchange.read = read
        exchange.client.extra.append(("x-gateway-request-id", exchange.id))
        try:
            await self._auth(exchange)
            if exchange.call.kind is PathKind.MODELS:
                await self._listing(exchange)
            else:
                for stage in self._stages:
                    await stage(exchange)
                    if exchange.client.started:  # it has answered
                        break
        except GatewayError as error:
            exchange.error = error
            exchange.labelling = None  # no more work for a call that is refused
            if exchange.attempts and not exchange.client.started:
                exchange.client.extra += (
                    ("x-gateway-model", exchange.attempts[-1].target.name),
                    ("x-gateway-route", exchange.plan.reason),
                    ("x-gateway-attempts", str(len(exchange.attempts))),
                )
        except (CancelledError, GeneratorExit) as cut:  # the latter when the loop ends and the call has not
            ours = cut.args == (SHUTTING_DOWN,)
            exchange.error = OurError(SHUTTING_DOWN) if ours else ClientGone("client_closed")
            raise
        except Exception as bug:  # the one place where a mistake of ours is caught: it must not cost a record
            log.fact("call.bug", log.Level.ERROR, call=exchange.id, error=log.kind(bug), place=log.place(bug))
            exchange.error = OurError("bug")
        finally:
            self._record(exchange)
