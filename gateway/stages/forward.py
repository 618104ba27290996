"""Stage 5: ask the targets of the plan, and pass the answer on as it comes."""

import asyncio
import random
from typing import Final

from gateway.clock import Clock
from gateway.content import Content
from gateway.contracts import Answer, Filter, Headers
from gateway.dialects import DIALECTS
from gateway.errors import (
    ClientGone,
    GatewayError,
    OurError,
    UpstreamAnswer,
    UpstreamError,
    UpstreamRefused,
)
from gateway.exchange import OK, Attempt, Exchange, Target
from gateway.ledger.charges import Charges, dollars
from gateway.names import Slug
from gateway.upstreams.pool import Pool, refused_key

PASSING: Final = frozenset({Slug("upstream_failed"), Slug("upstream_unreachable"), Slug("upstream_cut")})
"""Failures that may be over a moment later. A timeout is none: the provider may still be at work on it."""


class Forward:
    """Asks target after target until one answers; after the first byte to the client there is no other.

    Args:
        attempts: most requests for one call, over targets, credentials and repetitions together.
        retry_pause_s: before all targets are asked again; doubled each time.
        whole_bytes: an answer that is not streamed is held up to this size, so that its cost can be
            told in its headers; a larger one is passed on as it comes.
        error_bytes: how much of a provider's error answer is read.
    """

    def __init__(
        self,
        pool: Pool,
        charges: Charges,
        clock: Clock,
        *,
        attempts: int,
        retry_pause_s: float,
        whole_bytes: int,
        error_bytes: int,
    ) -> None:
        self._pool = pool
        self._charges = charges
        self._clock = clock
        self._attempts = attempts
        self._retry_pause_s = retry_pause_s
        self._whole_bytes = whole_bytes
        self._error_bytes = error_bytes

    async def __call__(self, exchange: Exchange) -> None:
        """Reads call, plan, hold. Adds an Attempt for each request sent.

        Raises:
            UpstreamError: the last target's failure, before the first byte.
            ClientGone: the client left.
            OurError: no_credential.
        """
        failed: GatewayError = OurError("unavailable")
        for turn in range(self._attempts):
            if turn:
                # The provider's bad moment may pass; not everybody must come back at the same time.
                pause_s = self._retry_pause_s * 2 ** (turn - 1)
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - spreads load
            for target in exchange.plan.targets:
                error = await self._try(target, exchange)
                if error is None:
                    return
                if isinstance(error, UpstreamRefused):
                    raise error
                failed = error
                if len(exchange.attempts) >= self._attempts:
                    raise failed
            if failed.code not in PASSING:
                break
        raise failed

    async def _try(self, target: Target, exchange: Exchange) -> GatewayError | None:
        """Ask one target, with one key after the other; None once it has answered."""
        tried: set[Slug] = set()  # a second look at the same key would not change its provider's mind
        while True:
            try:
                await self._ask(target, exchange, tried)
                return None
            except (UpstreamError, OurError) as error:
                if exchange.client.started:
                    exchange.client.abort()
                    raise
                spare = isinstance(error, UpstreamError) and refused_key(error)
                spare = spare and self._pool.spare(target.provider_name, tried)
                if not spare or len(exchange.attempts) >= self._attempts:
                    return error

    async def _ask(self, target: Target, exchange: Exchange, tried: set[Slug]) -> None:
        call = exchange.call
        dialect = DIALECTS[call.dialect]
        credential = self._pool.pick(target.provider_name, tried)
        if credential is not None:
            tried.add(credential.id)
        request = target.provider.request(call, target.model, credential.reveal() if credential else None)
        attempt = Attempt(
            target, dialect.meter(call), credential.id if credential else None, self._clock.tick_ns()
        )
        exchange.attempts.append(attempt)
        if exchange.sent_ns is None:
            exchange.sent_ns = attempt.sent_ns
        try:
            answer = await target.exit.open(request, exchange.hold)
            try:
                attempt.status = answer.status
                if answer.status >= 300:
                    raise await self._failure(target, answer)
                ask_usage = call.stream and target.provider.asks_usage(call)
                await self._relay(exchange, attempt, answer, dialect.filter(call, ask_usage))
            finally:
                target.exit.release(answer)
        except GatewayError as error:
            attempt.code = error.code
            self._pool.report(target.provider_name, attempt.credential, error)
            raise
        attempt.code = OK
        self._pool.report(target.provider_name, attempt.credential, None)

    async def _relay(
        self, exchange: Exchange, attempt: Attempt, answer: Answer, strip: Filter | None
    ) -> None:
        client, meter = exchange.client, attempt.meter
        chunk = await answer.read()
        exchange.first_byte_ns = self._clock.tick_ns()
        if not exchange.call.stream:
            await self._whole(exchange, attempt, answer, chunk)
            return
        if not chunk:
            raise UpstreamError("upstream_cut")  # another target may have an answer
        client.extra.extend(self._headers(exchange, attempt))
        await client.start(answer.status, answer.headers, None)
        sent = b""
        try:
            while chunk:
                meter.feed(chunk)
                if strip is not None:
                    chunk = strip.feed(chunk)
                if chunk:
                    await client.write(chunk)
                    sent = chunk
                chunk = await answer.read()
            if strip is not None and (rest := strip.finish()):
                await client.write(rest)
                sent = rest
            if not meter.complete:
                # The body ended cleanly but the answer did not: the client must be able to tell.
                raise UpstreamError("upstream_cut")
        except UpstreamError as error:
            if not sent or _ends_whole(sent, answer.headers):
                await self._tell(exchange, error)
            raise
        await client.finish()

    async def _whole(self, exchange: Exchange, attempt: Attempt, answer: Answer, chunk: bytes) -> None:
        client, meter = exchange.client, attempt.meter
        parts: list[bytes] = []
        size = 0
        while chunk:
            meter.feed(chunk)
            parts.append(chunk)
            size += len(chunk)
            if size > self._whole_bytes:
                break
            chunk = await answer.read()
        else:
            attempt.code = OK
            client.extra.extend((*self._headers(exchange, attempt), *self._money(exchange)))
            body = b"".join(parts)
            await client.start(answer.status, answer.headers, len(body))
            await client.write(body)
            await client.finish()
            return
        client.extra.extend(self._headers(exchange, attempt))
        await client.start(answer.status, answer.headers, None)
        for part in parts:
            await client.write(part)
        parts.clear()
        while chunk := await answer.read():
            meter.feed(chunk)
            await client.write(chunk)
        await client.finish()

    async def _failure(self, target: Target, answer: Answer) -> UpstreamError:
        body = bytearray()
        while len(body) < self._error_bytes and (chunk := await answer.read()):
            body += chunk
        content = Content(bytes(body[: self._error_bytes]))
        error = target.provider.failure(answer.status, answer.headers, content)
        error.answer = UpstreamAnswer(answer.status, answer.headers, content)
        return error

    async def _tell(self, exchange: Exchange, error: GatewayError) -> None:
        call = exchange.call
        try:
            await exchange.client.write(DIALECTS[call.dialect].error_event(error, exchange.id, call))
        except ClientGone:
            pass  # the provider's failure is what ended the call

    def _headers(self, exchange: Exchange, attempt: Attempt) -> Headers:
        sent_ns = exchange.sent_ns or exchange.began_ns
        return (
            ("x-gateway-model", attempt.target.name),
            ("x-gateway-route", exchange.plan.reason),
            ("x-gateway-task", exchange.labels.task),
            ("x-gateway-attempts", str(len(exchange.attempts))),
            ("x-gateway-overhead-us", str((sent_ns - exchange.began_ns) // 1000)),
        )

    def _money(self, exchange: Exchange) -> Headers:
        charge = self._charges.of(exchange)
        if charge.cost is None:
            return ()
        return (("x-gateway-cost-usd", dollars(charge.cost)), ("x-gateway-saved-usd", "0"))


_EVENT_ENDS: Final = (b"\n\n", b"\n\r\n", b"\r\r")


def _ends_whole(sent: bytes, headers: Headers) -> bool:
    """Whether an error event can follow: behind half an event neither of the two could be read."""
    if sent.endswith(_EVENT_ENDS):
        return True
    in_events = any(name == "content-type" and "event-stream" in value for name, value in headers)
    return not in_events and sent.rstrip().endswith(b"}")  # an element of a JSON array
