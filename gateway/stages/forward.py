"""Stage 5: ask the targets of the plan, one after the other, until one answers."""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from gateway.clock import Clock
from gateway.content import Content
from gateway.contracts import Answer
from gateway.dialects import DIALECTS
from gateway.errors import CallerError, GatewayError, OurError, UpstreamAnswer, UpstreamError, UpstreamRefused
from gateway.exchange import OK, Attempt, Exchange, Target
from gateway.names import Slug
from gateway.translation.bridge import Passage
from gateway.upstreams.pool import Pool, refused_key
from gateway.upstreams.relay import Relay

Translate = Callable[[Exchange, Target], Passage | None]
"""A call put into a target's dialect; None where it speaks the caller's own."""

PASSING: Final = frozenset({Slug("upstream_failed"), Slug("upstream_unreachable"), Slug("upstream_cut")})
"""Failures that may be over a moment later. A timeout is none: the provider may still be at work on it."""


class Forward:
    """Asks target after target until one answers; after the first byte to the client there is no other.

    Args:
        attempts: most requests for one call, over targets, credentials and repetitions together.
        retry_pause_s: before all targets are asked again; doubled each time.
        error_bytes: how much of a provider's error answer is read.
    """

    def __init__(
        self,
        pool: Pool,
        relay: Relay,
        translate: Translate,
        clock: Clock,
        *,
        attempts: int,
        retry_pause_s: float,
        error_bytes: int,
    ) -> None:
        self._pool = pool
        self._relay = relay
        self._translate = translate
        self._clock = clock
        self._attempts = attempts
        self._retry_pause_s = retry_pause_s
        self._error_bytes = error_bytes

    async def __call__(self, exchange: Exchange) -> None:
        """Reads call, plan, hold. Adds an Attempt for each request sent.

        Raises:
            UpstreamError: the last target's failure, before the first byte.
            CallerError: cannot_translate, the call needs what no target's dialect can say.
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
            except CallerError as error:
                return error  # this target cannot be told the call; another may
            except (UpstreamError, OurError) as error:
                if exchange.client.started:
                    exchange.client.abort()
                    raise
                spare = isinstance(error, UpstreamError) and refused_key(error)
                spare = spare and self._pool.spare(target.provider_name, tried)
                if not spare or len(exchange.attempts) >= self._attempts:
                    return error

    async def _ask(self, target: Target, exchange: Exchange, tried: set[Slug]) -> None:
        passage = self._translate(exchange, target)
        call = exchange.call if passage is None else passage.call
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
                    raise await self._failure(target, answer, passage)
                ask_usage = call.stream and target.provider.asks_usage(call)
                strip = dialect.filter(call, ask_usage) if passage is None else None
                await self._relay.pass_on(exchange, attempt, answer, strip, passage)
            finally:
                target.exit.release(answer)
        except GatewayError as error:
            attempt.code = error.code
            self._pool.report(target.provider_name, attempt.credential, error)
            raise
        attempt.code = OK
        self._pool.report(target.provider_name, attempt.credential, None)

    async def _failure(self, target: Target, answer: Answer, passage: Passage | None) -> UpstreamError:
        body = bytearray()
        while len(body) < self._error_bytes and (chunk := await answer.read()):
            body += chunk
        content = Content(bytes(body[: self._error_bytes]))
        error = target.provider.failure(answer.status, answer.headers, content)
        error.answer = UpstreamAnswer(answer.status, answer.headers, content)
        if passage is not None:
            error.answer = passage.complaint(error.answer)
        return error
