"""Passes a provider's answer on to the client as it comes, and tells the client where it breaks off."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from gateway.clock import Clock
from gateway.content import Content
from gateway.contracts import Answer, Filter, Headers
from gateway.dialects import DIALECTS
from gateway.dialects.first_events import Finding, Peek
from gateway.errors import ClientGone, GatewayError, UpstreamError, UpstreamRefused
from gateway.exchange import OK, Attempt, Exchange
from gateway.ledger.charges import Charges, dollars
from gateway.translation.bridge import Passage
from gateway.usage import Source


class Prospect(Protocol):
    """What may become of the call if this answer is not passed on."""

    def leaves(self, error: UpstreamError) -> bool:
        """Whether another attempt would follow on this failure."""
        ...

    def begins(self) -> None:
        """The answer is a good one, and goes to the client."""
        ...


class Relay:
    """From the first byte of an answer to its last.

    Args:
        whole_bytes: an answer that is not streamed is held up to this size, so that its cost can be
            told in its headers; a larger one is passed on as it comes.
        peek_bytes, peek_s: a stream's beginning is held back up to this size and time, while it is not
            known to be an answer at all, and only if there is another attempt to make.
    """

    def __init__(
        self, charges: Charges, clock: Clock, *, whole_bytes: int, peek_bytes: int, peek_s: float
    ) -> None:
        self._charges = charges
        self._clock = clock
        self._whole_bytes = whole_bytes
        self._peek_bytes = peek_bytes
        self._peek_s = peek_s

    async def pass_on(
        self,
        exchange: Exchange,
        attempt: Attempt,
        answer: Answer,
        chunk: bytes,
        *,
        strip: Filter | None,
        passage: Passage | None,
        peek: Peek | None,
        prospect: Prospect,
    ) -> None:
        """Read an answer with a status below 300 to its end, and send it to the client.

        Args:
            chunk: the first bytes of its body.
            strip: takes out of a stream what only we asked for.
            passage: carries the answer into the caller's dialect, where the provider speaks another.
            peek: a look at the answer; None where no other attempt could follow.

        Raises:
            UpstreamError: it broke off, or is none. The client was told if it had got anything before.
            ClientGone: the client left.
        """
        exchange.first_byte_ns = attempt.first_byte_ns = self._clock.tick_ns()
        if exchange.call.stream:
            await self._streamed(exchange, attempt, answer, chunk, strip, passage, peek, prospect)
        elif passage is not None:
            await self._translated(exchange, attempt, answer, chunk, passage, peek, prospect)
        else:
            await self._whole(exchange, attempt, answer, chunk, peek, prospect)

    async def _streamed(
        self,
        exchange: Exchange,
        attempt: Attempt,
        answer: Answer,
        chunk: bytes,
        strip: Filter | None,
        passage: Passage | None,
        peek: Peek | None,
        prospect: Prospect,
    ) -> None:
        client, meter = exchange.client, attempt.meter
        if not chunk:
            raise UpstreamError("upstream_cut")  # another target may have an answer
        meter.feed(chunk)
        source = _Source(answer)
        try:
            if peek is not None:
                chunk = await self._peek(attempt, source, chunk, peek, prospect)
            prospect.begins()
            headers = answer.headers
            if passage is not None:
                strip, headers = passage.carrier(), passage.headers(headers)
                client.extra.extend(_dropped(passage))
            client.extra.extend(self._headers(exchange, attempt))
            await client.start(answer.status, headers, None)
            await self._pump(exchange, attempt, source, chunk, strip, headers)
        finally:
            await source.close()
        await client.finish()

    async def _pump(
        self,
        exchange: Exchange,
        attempt: Attempt,
        source: "_Source",
        chunk: bytes,
        strip: Filter | None,
        headers: Headers,
    ) -> None:
        """Everything from the first bytes, which were metered, to the last."""
        client, meter, read = exchange.client, attempt.meter, source.reader()
        sent = b""
        try:
            while True:
                if strip is not None:
                    chunk = strip.feed(chunk)
                if chunk:
                    await client.write(chunk)
                    sent = chunk
                chunk = await read()
                if not chunk:
                    break
                meter.feed(chunk)
            if strip is not None and (rest := strip.finish()):
                await client.write(rest)
                sent = rest
            if not meter.complete:
                # The body ended cleanly but the answer did not: the client must be able to tell.
                raise UpstreamError("upstream_cut")
        except UpstreamError as error:
            if not sent or _ends_whole(sent, headers):
                await self._tell(exchange, error)
            raise

    # --- a look before anything goes out

    async def _peek(
        self, attempt: Attempt, source: "_Source", chunk: bytes, peek: Peek, prospect: Prospect
    ) -> bytes:
        """Read until it is known what the answer is, or for as long as it may be held back.

        Raises:
            UpstreamError: it is none, and another attempt follows.
        """
        held = chunk
        due_s = asyncio.get_running_loop().time() + self._peek_s
        while (finding := peek.feed(chunk)) is Finding.NOTHING and len(held) < self._peek_bytes:
            try:
                arrived = await source.wait(due_s)
            except UpstreamError as error:
                if prospect.leaves(error):
                    raise
                return held  # the next read tells it to the client
            if arrived is None:
                return held
            chunk = arrived
            if chunk:
                attempt.meter.feed(chunk)
                held += chunk
            else:
                if not attempt.meter.complete and prospect.leaves(_CUT):
                    raise UpstreamError("upstream_cut")
                self._judge(attempt, peek, prospect, held)
                return held
        if finding is Finding.ERROR:
            self._leave(_hidden(attempt, peek), prospect)
        return held

    def _judge(self, attempt: Attempt, peek: Peek, prospect: Prospect, body: bytes) -> None:
        """Look at an answer that has ended, before any of it went out. Usual ones have output: that is all.

        Raises:
            UpstreamError: there is nothing in it, and another attempt follows.
        """
        complete = attempt.meter.complete
        if complete:
            reading = attempt.meter.finish()
            if reading.usage.output:
                if reading.source is Source.REPORTED:
                    attempt.reading = reading  # it is final: nobody need read the meter again
                return
        finding = Finding.NOTHING if peek.in_events else peek.whole(body)
        if finding is Finding.ERROR:
            self._leave(_hidden(attempt, peek), prospect)
        elif not complete:
            self._leave(UpstreamError("upstream_garbled"), prospect)
        elif peek.refused:
            self._leave(UpstreamRefused("upstream_policy"), prospect)
        elif finding is Finding.NOTHING:
            self._leave(UpstreamError("upstream_empty"), prospect)

    def _leave(self, error: UpstreamError, prospect: Prospect) -> None:
        if prospect.leaves(error):
            raise error

    # --- whole answers

    async def _whole(
        self,
        exchange: Exchange,
        attempt: Attempt,
        answer: Answer,
        chunk: bytes,
        peek: Peek | None,
        prospect: Prospect,
    ) -> None:
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
            body = b"".join(parts)
            if peek is not None:
                self._judge(attempt, peek, prospect, body)
            prospect.begins()
            attempt.code = OK
            client.extra.extend((*self._headers(exchange, attempt), *self._money(exchange)))
            await client.start(answer.status, answer.headers, len(body))
            await client.write(body)
            await client.finish()
            return
        prospect.begins()
        client.extra.extend(self._headers(exchange, attempt))
        await client.start(answer.status, answer.headers, None)
        for part in parts:
            await client.write(part)
        parts.clear()
        while chunk := await answer.read():
            meter.feed(chunk)
            await client.write(chunk)
        await client.finish()

    async def _translated(
        self,
        exchange: Exchange,
        attempt: Attempt,
        answer: Answer,
        chunk: bytes,
        passage: Passage,
        peek: Peek | None,
        prospect: Prospect,
    ) -> None:
        """A whole answer in another dialect: it must be all there before it can be said in the caller's."""
        client, carrier = exchange.client, passage.carrier()
        said: list[bytes] = []
        size = 0
        while chunk:
            attempt.meter.feed(chunk)
            size += len(chunk)
            if size > self._whole_bytes:
                raise UpstreamError("upstream_too_large")
            said.append(chunk)
            chunk = await answer.read()
        if peek is not None:
            self._judge(attempt, peek, prospect, b"".join(said))
        body = b"".join([*map(carrier.feed, said), carrier.finish()])
        prospect.begins()
        attempt.code = OK
        client.extra.extend((*_dropped(passage), *self._headers(exchange, attempt), *self._money(exchange)))
        await client.start(answer.status, passage.headers(answer.headers), len(body))
        await client.write(body)
        await client.finish()

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
        cost, baseline = ("x-gateway-cost-usd", dollars(charge.cost)), charge.saving.baseline
        if baseline is None:
            return (cost,)
        return (cost, ("x-gateway-saved-usd", dollars(baseline - charge.cost)))


_CUT: Final = UpstreamError("upstream_cut")


class _Source:
    """An answer's bytes, of which a read may be waited for with a limit and taken up again later."""

    __slots__ = ("_answer", "_under_way")

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._under_way: asyncio.Future[bytes] | None = None

    async def read(self) -> bytes:
        """The next bytes; empty at the end."""
        if self._under_way is None:
            return await self._answer.read()
        reading, self._under_way = self._under_way, None
        return await reading

    def reader(self) -> Callable[[], Awaitable[bytes]]:
        """The quickest way to read on."""
        return self._answer.read if self._under_way is None else self.read

    async def wait(self, due_s: float) -> bytes | None:
        """The next bytes; None if they are not there by then."""
        if self._under_way is None:
            self._under_way = asyncio.ensure_future(self._answer.read())
        left_s = due_s - asyncio.get_running_loop().time()
        done, _ = await asyncio.wait({self._under_way}, timeout=max(0.0, left_s))
        if not done:
            return None
        return await self.read()

    async def close(self) -> None:
        """Give up a read that nobody waits for."""
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.wait({self._under_way})
            if not self._under_way.cancelled():
                self._under_way.exception()  # seen, so that nobody reports it as forgotten


def _hidden(attempt: Attempt, peek: Peek) -> UpstreamError:
    """The error that stands in an answer with status 200."""
    return attempt.target.provider.failure(
        peek.status, (("content-type", "application/json"),), Content(peek.error)
    )


def _dropped(passage: Passage) -> Headers:
    return (("x-gateway-dropped", ", ".join(passage.dropped)),) if passage.dropped else ()


_EVENT_ENDS: Final = (b"\n\n", b"\n\r\n", b"\r\r")


def _ends_whole(sent: bytes, headers: Headers) -> bool:
    """Whether an error event can follow: behind half an event neither of the two could be read."""
    if sent.endswith(_EVENT_ENDS):
        return True
    in_events = any(name == "content-type" and "event-stream" in value for name, value in headers)
    return not in_events and sent.rstrip().endswith(b"}")  # an element of a JSON array
