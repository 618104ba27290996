"""Passes a provider's answer on to the client as it comes, and tells the client where it breaks off."""

from typing import Final

from gateway.clock import Clock
from gateway.contracts import Answer, Filter, Headers
from gateway.dialects import DIALECTS
from gateway.errors import ClientGone, GatewayError, UpstreamError
from gateway.exchange import OK, Attempt, Exchange
from gateway.ledger.charges import Charges, dollars
from gateway.translation.bridge import Passage


class Relay:
    """From the first byte of an answer to its last.

    Args:
        whole_bytes: an answer that is not streamed is held up to this size, so that its cost can be
            told in its headers; a larger one is passed on as it comes.
    """

    def __init__(self, charges: Charges, clock: Clock, *, whole_bytes: int) -> None:
        self._charges = charges
        self._clock = clock
        self._whole_bytes = whole_bytes

    async def pass_on(
        self,
        exchange: Exchange,
        attempt: Attempt,
        answer: Answer,
        strip: Filter | None,
        passage: Passage | None = None,
    ) -> None:
        """Read an answer with a status below 300 to its end, and send it to the client.

        Args:
            strip: takes out of a stream what only we asked for.
            passage: carries the answer into the caller's dialect, where the provider speaks another.

        Raises:
            UpstreamError: it broke off. The client was told if it had got anything before.
            ClientGone: the client left.
        """
        client = exchange.client
        chunk = await answer.read()
        exchange.first_byte_ns = self._clock.tick_ns()
        if not exchange.call.stream:
            if passage is not None:
                await self._translated(exchange, attempt, answer, chunk, passage)
            else:
                await self._whole(exchange, attempt, answer, chunk)
            return
        if not chunk:
            raise UpstreamError("upstream_cut")  # another target may have an answer
        headers = answer.headers
        if passage is not None:
            strip, headers = passage.carrier(), passage.headers(headers)
            client.extra.extend(_dropped(passage))
        client.extra.extend(self._headers(exchange, attempt))
        await client.start(answer.status, headers, None)
        meter = attempt.meter
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
            if not sent or _ends_whole(sent, headers):
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

    async def _translated(
        self, exchange: Exchange, attempt: Attempt, answer: Answer, chunk: bytes, passage: Passage
    ) -> None:
        """A whole answer in another dialect: it must be all there before it can be said in the caller's."""
        client, carrier = exchange.client, passage.carrier()
        parts: list[bytes] = []
        size = 0
        while chunk:
            attempt.meter.feed(chunk)
            size += len(chunk)
            if size > self._whole_bytes:
                raise UpstreamError("upstream_too_large")
            parts.append(carrier.feed(chunk))
            chunk = await answer.read()
        parts.append(carrier.finish())
        attempt.code = OK
        body = b"".join(parts)
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
        return (("x-gateway-cost-usd", dollars(charge.cost)), ("x-gateway-saved-usd", "0"))


def _dropped(passage: Passage) -> Headers:
    return (("x-gateway-dropped", ", ".join(passage.dropped)),) if passage.dropped else ()


_EVENT_ENDS: Final = (b"\n\n", b"\n\r\n", b"\r\r")


def _ends_whole(sent: bytes, headers: Headers) -> bool:
    """Whether an error event can follow: behind half an event neither of the two could be read."""
    if sent.endswith(_EVENT_ENDS):
        return True
    in_events = any(name == "content-type" and "event-stream" in value for name, value in headers)
    return not in_events and sent.rstrip().endswith(b"}")  # an element of a JSON array
