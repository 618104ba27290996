"""Stage 5: ask the targets of the plan, one after the other, until one answers."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.content import Content
from gateway.contracts import Answer, UpstreamRequest
from gateway.dialects import DIALECTS
from gateway.dialects.first_events import peek
from gateway.errors import (
    CallerError,
    GatewayError,
    OurError,
    OverLimit,
    UpstreamAnswer,
    UpstreamError,
    UpstreamTimeout,
)
from gateway.exchange import OK, Attempt, Exchange, Target
from gateway.ledger.allowance import Allowance, affordable
from gateway.names import Slug
from gateway.translation.bridge import Passage
from gateway.translation.homecoming import at_home
from gateway.upstreams.course import Context, Course
from gateway.upstreams.gate import Admission, Gate
from gateway.upstreams.pool import refused_key
from gateway.upstreams.relay import Relay

Translate = Callable[[Exchange, Target], Passage | None]
"""A call put into a target's dialect; None where it speaks the caller's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one call may take, over all its attempts.

    Attributes:
        attempts: most requests, over targets, credentials and repetitions together.
        call_s: time from the first request on, after which no other one begins.
        first_byte_s: what the transport itself gives a request until its answer begins, at most.
        pause_s: before all targets are asked again; doubled each time.
        error_bytes: how much of a provider's error answer is read.
    """

    attempts: int
    call_s: float
    first_byte_s: float
    pause_s: float
    error_bytes: int


class Forward:
    """Asks target after target until one answers; after the first byte to the client there is no other."""

    def __init__(
        self,
        gate: Gate,
        relay: Relay,
        translate: Translate,
        allowance: Allowance,
        context: Context,
        clock: Clock,
        bounds: Bounds,
    ) -> None:
        self._gate = gate
        self._relay = relay
        self._translate = translate
        self._allowance = allowance
        self._context = context
        self._clock = clock
        self._bounds = bounds

    async def __call__(self, exchange: Exchange) -> None:
        """Reads call, plan, hold. Adds an Attempt for each request sent. May let the hold grow.

        Raises:
            UpstreamError: the last target's failure, before the first byte.
            CallerError: cannot_translate, the call needs what no target's dialect can say.
            ClientGone: the client left.
            OurError: no_credential; unavailable, the journal cannot be written.
        """
        bounds, plan = self._bounds, exchange.plan

        def allowed(targets: tuple[Target, ...]) -> tuple[Target, ...]:
            return affordable(targets, plan, self._allowance.asks(exchange, (*plan.targets, *targets)))

        course = Course(plan, bounds.attempts, self._context, allowed)
        trip = Trip(exchange, course, self._gate, bounds, self._clock)
        failed: GatewayError | None = None
        while True:
            turn = trip.course.round
            try:
                error = await self._try(trip)
            except OverLimit as limit:  # no further attempt is paid for: what went before is the answer
                raise failed or limit from None
            if error is None:
                return
            if failed is None or not _is_ours(error):  # what a provider said tells more
                failed = error
            if trip.spent or not trip.course.fail(error):
                raise failed
            if trip.course.round > turn:
                await self._pause(trip)
                if trip.spent:
                    raise failed

    async def _pause(self, trip: "Trip") -> None:
        """The provider's bad moment may pass; not everybody must come back at the same time."""
        pause_s = self._bounds.pause_s * 2 ** (trip.course.round - 1)
        left_s = trip.left_s(self._clock.tick_ns())
        await asyncio.sleep(min(pause_s * random.uniform(0.5, 1), left_s))  # noqa: S311 - spreads load

    async def _try(self, trip: "Trip") -> GatewayError | None:
        """Ask one target, with one key after the other; None once it has answered.

        Raises:
            OverLimit: not even one attempt is paid for.
        """
        trip.tried.clear()  # a second look at the same key would not change its provider's mind
        failed: GatewayError | None = None
        while True:
            tried = len(trip.tried)
            try:
                await self._ask(trip)
                return None
            except OverLimit:
                if failed is None:
                    raise
                return failed
            except CallerError as error:
                return error  # this target cannot be told the call; another may
            except (UpstreamError, OurError) as error:
                if trip.exchange.client.started:
                    trip.exchange.client.abort()
                    raise
                if trip.spent or len(trip.tried) == tried or not trip.spare(error):
                    return error
                failed = error

    async def _ask(self, trip: "Trip") -> None:
        exchange, target = trip.exchange, trip.course.target
        passage = self._translate(exchange, target)
        if exchange.attempts or target is not exchange.plan.targets[0]:
            await self._allowance.extend(exchange, target)
        trip.admission = admission = self._gate.enter(target, trip.tried)
        attempt: Attempt | None = None
        failure: GatewayError | None = None
        try:
            key = key_id = None
            credential = admission.credential
            if credential is not None:
                key_id = credential.id
                trip.tried.add(key_id)  # before it is opened: one that does not open is not tried again
                key = credential.reveal()
            call = at_home(exchange.call, target.model) if passage is None else passage.call
            request = target.provider.request(call, target.model, key)
            meter = DIALECTS[call.dialect].meter(call)
            now_ns = self._clock.tick_ns()
            attempt = Attempt(target, meter, key_id, now_ns)
            exchange.attempts.append(attempt)
            if exchange.sent_ns is None:
                exchange.sent_ns = now_ns
            await self._send(trip, attempt, request, passage)
            attempt.code = OK
        except GatewayError as error:
            failure = error
            if attempt is not None:
                attempt.code = error.code
            raise
        finally:
            self._gate.leave(admission, attempt, failure)

    async def _send(
        self, trip: "Trip", attempt: Attempt, request: UpstreamRequest, passage: Passage | None
    ) -> None:
        exchange, target = trip.exchange, attempt.target
        call = exchange.call if passage is None else passage.call
        left_s = trip.left_s(attempt.sent_ns)
        if exchange.labelling is not None:
            asyncio.get_running_loop().call_soon(exchange.label)  # while the provider works
        try:
            if left_s < self._bounds.first_byte_s:
                async with asyncio.timeout(left_s):
                    answer, chunk = await self._open(exchange, attempt, request, passage)
            else:  # the transport's own limits end it before
                answer, chunk = await self._open(exchange, attempt, request, passage)
        except TimeoutError:
            raise UpstreamTimeout("upstream_timeout") from None
        try:
            strip = None
            if passage is None:
                ask_usage = call.stream and target.provider.asks_usage(call)
                strip = DIALECTS[call.dialect].filter(call, ask_usage)
            look = peek(call) if trip.course.open and not trip.spent else None
            await self._relay.pass_on(
                exchange, attempt, answer, chunk,
                strip=strip, passage=passage, peek=look, prospect=trip,
            )  # fmt: skip
        finally:
            target.exit.release(answer)

    async def _open(
        self, exchange: Exchange, attempt: Attempt, request: UpstreamRequest, passage: Passage | None
    ) -> tuple[Answer, bytes]:
        """A good answer, to be released by the caller, and the first bytes of its body."""
        target = attempt.target
        answer = await target.exit.open(request, exchange.hold)
        try:
            attempt.status = answer.status
            if answer.status >= 300:
                raise await self._failure(target, answer, passage)
            return answer, await answer.read()
        except BaseException:  # the client may leave meanwhile
            target.exit.release(answer)
            raise

    async def _failure(self, target: Target, answer: Answer, passage: Passage | None) -> UpstreamError:
        body = bytearray()
        while len(body) < self._bounds.error_bytes and (chunk := await answer.read()):
            body += chunk
        content = Content(bytes(body[: self._bounds.error_bytes]))
        error = target.provider.failure(answer.status, answer.headers, content)
        error.answer = UpstreamAnswer(answer.status, answer.headers, content)
        if passage is not None:
            error.answer = passage.complaint(error.answer)
        return error


class Trip:
    """One call on its way over the targets, and what is left of its attempts and its time.

    For the one who passes an answer on: what may become of the call if that attempt fails.

    Attributes:
        tried: the credentials that were used at the present target.
        admission: leave for the present attempt.
    """

    __slots__ = ("_bounds", "_clock", "_due_ns", "_gate", "admission", "course", "exchange", "tried")

    admission: Admission

    def __init__(self, exchange: Exchange, course: Course, gate: Gate, bounds: Bounds, clock: Clock) -> None:
        self.exchange = exchange
        self.course = course
        self.tried: set[Slug] = set()
        self._gate = gate
        self._bounds = bounds
        self._clock = clock
        self._due_ns = clock.tick_ns() + int(bounds.call_s * 1e9)

    def left_s(self, now_ns: int) -> float:
        """Seconds in which another attempt may begin."""
        return max(0, self._due_ns - now_ns) / 1e9

    @property
    def spent(self) -> bool:
        """Whether no other attempt may begin."""
        return len(self.exchange.attempts) >= self._bounds.attempts or self._clock.tick_ns() >= self._due_ns

    def spare(self, error: GatewayError) -> bool:
        """Whether another key of the same provider may do better."""
        return refused_key(error) and self._gate.spare(self.course.target, self.tried)

    def leaves(self, error: UpstreamError) -> bool:
        """Whether another attempt would follow on this failure of the present one."""
        return not self.spent and (self.course.goes_on(error) or self.spare(error))

    def begins(self) -> None:
        """The answer is a good one, and goes to the client."""
        self._gate.answered(self.admission, self.exchange.attempts[-1])


def _is_ours(error: GatewayError) -> bool:
    """Whether it is us who did not ask a target."""
    return isinstance(error, CallerError) or error.code == "upstream_resting"
