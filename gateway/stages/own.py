"""Answers for the caller's own key: /v1/me, /v1/usage, /v1/outcomes. Nothing of anybody else is in them."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from gateway import outcomes
from gateway.accounts.directory import Directory
from gateway.clock import Clock
from gateway.content import Content, Purpose
from gateway.contracts import Caller, Span, Store, StoreError
from gateway.errors import CallerError, GatewayError, NotAllowed, OurError
from gateway.exchange import Exchange
from gateway.ledger.charges import dollars
from gateway.ledger.ledger import Ledger

JSON = (("content-type", "application/json"),)
DAY_US = 86_400 * 10**6
DAYS = 30


class Own:
    """What a key may know of itself."""

    def __init__(self, directory: Directory, ledger: Ledger, store: Store, clock: Clock) -> None:
        self._directory = directory
        self._ledger = ledger
        self._store = store
        self._clock = clock

    async def me(self, exchange: Exchange) -> None:
        """Who the key stands for, and what it may still spend. Answers; leaves an error in exchange.error."""
        caller = self._caller(exchange)
        if caller is None:
            return
        spent = self._ledger.spent(caller.key_id)
        await _answer(
            exchange,
            {
                "key_id": caller.key_id,
                "name": caller.key_name,
                "org": caller.org,
                "project": caller.project,
                "spent_usd": dollars(spent),
                "cap_usd": None if caller.cap is None else dollars(caller.cap),
                "left_usd": None if caller.cap is None else dollars(max(0, caller.cap - spent)),
                "calls_per_minute": caller.rate,
            },
        )

    async def usage(self, exchange: Exchange) -> None:
        """Sums of the key's own records by model, over the last 30 days."""
        caller = self._caller(exchange)
        if caller is None:
            return
        now = self._clock.now_us()
        span = Span(since_us=now - DAYS * DAY_US, until_us=now + DAY_US, key_id=caller.key_id)
        try:
            rows = await self._store.records.sums(span, ["model_routed"])
        except StoreError:
            exchange.error = OurError("unavailable")
            return
        for row in rows:
            row["cost_usd"] = dollars(row["cost_nanos"])
        await _answer(exchange, {"days": DAYS, "rows": rows})

    async def outcomes(self, exchange: Exchange, read: Callable[[], Awaitable[Content]]) -> None:
        """Take in how well calls of the key were served. Calls of other keys are told as unknown."""
        caller = self._caller(exchange)
        if caller is None:
            return
        try:
            rows = orjson.loads((await read()).open(Purpose.READ))
            rows = [rows] if isinstance(rows, dict) else rows
            judgements = outcomes.read_judgements(rows) if isinstance(rows, list) else []
            if not 0 < len(judgements) <= outcomes.MOST_ROWS:
                raise CallerError("bad_request", about="rows")
            now_ms = self._clock.now_us() // 1000
            taken = await outcomes.take(self._store, judgements, now_ms, caller.key_id)
        except GatewayError as error:
            exchange.error = error
        except outcomes.OutcomeError as wrong:
            exchange.error = CallerError("bad_request", about=wrong.field)
        except orjson.JSONDecodeError:
            exchange.error = CallerError("bad_request", about="body")
        except StoreError:
            exchange.error = OurError("unavailable")
        else:
            await _answer(exchange, {"added": taken.added, "known": taken.known, "unknown": taken.unknown})

    def _caller(self, exchange: Exchange) -> Caller | None:
        presented = exchange.presented
        caller = self._directory.find(presented.open(Purpose.AUTH)) if presented is not None else None
        if caller is None:
            exchange.error = NotAllowed("invalid_key")
        return caller


async def _answer(exchange: Exchange, body: dict[str, Any]) -> None:
    data = orjson.dumps(body)
    await exchange.client.start(200, JSON, len(data))
    await exchange.client.write(data)
    await exchange.client.finish()
