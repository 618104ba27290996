"""Stage 6: one Record of every call, whatever became of it."""

from collections.abc import Callable, Sequence

from gateway import log
from gateway.clock import Clock
from gateway.contracts import Observer
from gateway.errors import ClientGone, CredentialDead, Fault, GatewayError, UpstreamError
from gateway.exchange import Exchange
from gateway.ledger.charges import Charge, Charges
from gateway.ledger.ledger import Hold, Ledger
from gateway.names import UNKNOWN
from gateway.records import Outcome, PathKind, Record
from gateway.usage import Nanos, Source

Keep = Callable[[Record, bool], None]
"""Journal and queue a Record; True: it was opened in the journal before."""


class Recording:
    """Builds the Record, settles the hold, hands the Record to the journal and the observers.

    Never waits and never raises, so that nothing can come between a call and its record.
    """

    def __init__(
        self, ledger: Ledger, charges: Charges, keep: Keep, observers: Sequence[Observer], clock: Clock
    ) -> None:
        self._ledger = ledger
        self._charges = charges
        self._keep = keep
        self._observers = tuple(observers)
        self._clock = clock

    def __call__(self, exchange: Exchange) -> None:
        """Reads everything that is known. Ends the hold."""
        hold: Hold | None = exchange.known("hold")
        try:
            charge = self._charges.of(exchange) if exchange.attempts else Charge()
        except Exception as failure:  # a meter's mistake must cost neither the record nor the hold
            log.fact("record.failed", log.Level.ERROR, error=log.kind(failure), place=log.place(failure))
            charge = Charge(cost=hold.amount if hold else Nanos(0), source=Source.ESTIMATED)
        if hold is not None:
            self._ledger.settle(hold, charge.cost)
        record = self.build(exchange, charge)
        self._keep(record, hold is not None)
        for observer in self._observers:
            try:
                observer.saw(record)
            except Exception as failure:  # an observer's mistake is its own
                log.fact(
                    "observer.failed", log.Level.WARNING, error=log.kind(failure), place=log.place(failure)
                )

    def skeleton(self, exchange: Exchange) -> Record:
        """The Record as it stands if the process dies now: interrupted, and counted at what is held."""
        return self.build(exchange, Charge(), interrupted=True)

    def build(self, exchange: Exchange, charge: Charge, interrupted: bool = False) -> Record:
        """The Record of an exchange, out of whatever facts it has."""
        caller, call, plan = exchange.known("caller"), exchange.known("call"), exchange.known("plan")
        labels, hold = exchange.known("labels"), exchange.known("hold")
        attempt = exchange.attempts[-1] if exchange.attempts else None
        target = attempt.target if attempt else plan.targets[0] if plan and interrupted else None
        usage, error, began = charge.usage, exchange.error, exchange.began_ns
        tags = call.tags if call else None
        held = Nanos(hold.amount) if hold else Nanos(0)
        priced = charge.cost is not None and not (interrupted and target and target.price is None)
        cost = charge.cost if not interrupted else held if priced else None
        return Record(
            id=exchange.id,
            at=exchange.at_us,
            org=caller.org if caller else None,
            project=caller.project if caller else None,
            key_id=caller.key_id if caller else None,
            feature=tags.feature if tags else None,
            environment=tags.environment if tags else None,
            customer=tags.customer if tags else None,
            session=tags.session if tags else None,
            dialect=call.dialect if call else None,
            path_kind=call.kind if call else PathKind.OTHER,
            model_requested=plan.asked if plan else UNKNOWN if call else None,
            model_routed=target.name if target else None,
            provider=target.provider_name if target else None,
            credential=attempt.credential if attempt else None,
            tier=target.tier if target else None,
            route_reason=plan.reason if plan else None,
            task=labels.task if labels else None,
            task_confidence=labels.confidence if labels else None,
            attempts=len(exchange.attempts),
            stream=call.stream if call else False,
            status=_status(exchange, interrupted),
            outcome=Outcome.INTERRUPTED if interrupted else _outcome(error),
            error_code=error.code if error else None,
            tokens_input=usage.input,
            tokens_cached=usage.cached,
            tokens_cache_write_5m=usage.write_5m,
            tokens_cache_write_1h=usage.write_1h,
            tokens_output=usage.output,
            tokens_reasoning=usage.reasoning,
            tokens_input_audio=usage.input_audio,
            tokens_cached_audio=usage.cached_audio,
            tokens_input_image=usage.input_image,
            tokens_output_audio=usage.output_audio,
            tokens_output_image=usage.output_image,
            units_searches=usage.searches,
            units_tools=usage.tool_units,
            units_characters=usage.characters,
            units_audio_ms=usage.audio_ms,
            units_images=usage.images,
            usage_source=Source.ESTIMATED if interrupted else charge.source,
            cost_nanos=cost,
            baseline_nanos=cost,
            held_nanos=held,
            price_version=charge.version or (target.price.version if target and target.price else None),
            priced=priced,
            overhead_us=((exchange.sent_ns or self._clock.tick_ns()) - began) // 1000,
            first_byte_us=(exchange.first_byte_ns - began) // 1000 if exchange.first_byte_ns else None,
            total_us=(self._clock.tick_ns() - began) // 1000,
        )


def _outcome(error: GatewayError | None) -> Outcome:
    if error is None:
        return Outcome.OK
    if isinstance(error, ClientGone):
        return Outcome.CLIENT_CLOSED
    if error.fault is Fault.UPSTREAM:
        return Outcome.UPSTREAM_ERROR
    return Outcome.REFUSED if error.fault is Fault.CALLER else Outcome.FAILED


def _status(exchange: Exchange, interrupted: bool) -> int:
    if interrupted:
        return 0
    if exchange.attempts and exchange.attempts[-1].status is not None and exchange.client.started:
        return exchange.attempts[-1].status
    error = exchange.error
    if isinstance(error, UpstreamError) and error.answer is not None and error.answer.status >= 400:
        return (
            error.status if isinstance(error, CredentialDead) else error.answer.status
        )  # relayed as it came
    return error.status if error else 200
