"""Stage 6: one Record of every call, whatever became of it."""

from collections.abc import Callable, Sequence

from gateway import log
from gateway.clock import Clock
from gateway.contracts import NO_TAGS, Observer
from gateway.errors import ClientGone, Fault, GatewayError, UpstreamError
from gateway.exchange import Exchange
from gateway.ledger.charges import Charge, Charges
from gateway.ledger.ledger import Hold, Ledger
from gateway.ledger.savings import UNTOLD
from gateway.names import UNKNOWN
from gateway.records import Opening, Outcome, PathKind, Record
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
            charge = Charge(cost=hold.amount if hold else Nanos(0), source=Source.ESTIMATED, saving=UNTOLD)
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

    def opening(self, exchange: Exchange) -> Opening:
        """What the journal keeps of a call whose hold is made, until the call has ended."""
        caller, call, plan = exchange.caller, exchange.call, exchange.plan
        labels = exchange.known("labels") if exchange.labelling is None else None  # not named yet
        tags, target, price = call.tags, plan.targets[0], plan.targets[0].price
        # By position, in the order of the fields: to match as many keywords costs as much as all the rest.
        return Opening(
            exchange.id, exchange.at_us, caller.org, caller.project, caller.key_id,
            tags.feature, tags.environment, tags.customer, tags.session, call.dialect, call.kind,
            plan.asked, target.name, target.provider_name, target.tier, plan.reason,
            labels.task if labels else None, labels.confidence if labels else None, call.stream,
            exchange.hold.amount, price.version if price is not None else None,
        )  # fmt: skip

    def build(self, exchange: Exchange, charge: Charge) -> Record:
        """The Record of an exchange, out of whatever facts it has."""
        caller, call, labels, plan, hold = exchange.all_known()
        usage, cost, error, attempts = charge.usage, charge.cost, exchange.error, exchange.attempts
        saving = charge.saving
        began, first_ns, now_ns = exchange.began_ns, exchange.first_byte_ns, self._clock.tick_ns()
        org = project = key_id = feature = environment = customer = session = dialect = None
        asked = routed = provider = credential = tier = reason = task = confidence = version = None
        kind, stream, held = PathKind.OTHER, False, Nanos(0)
        if caller is not None:
            org, project, key_id = caller.org, caller.project, caller.key_id
        if call is not None:
            tags, dialect, kind, stream, asked = call.tags, call.dialect, call.kind, call.stream, UNKNOWN
            if tags is not NO_TAGS:
                feature, environment = tags.feature, tags.environment
                customer, session = tags.customer, tags.session
        if plan is not None:
            asked, reason = plan.asked, plan.reason
        if labels is not None:
            task, confidence = labels.task, labels.confidence
        if hold is not None:
            held = hold.amount
        if attempts:
            target, credential = attempts[-1].target, attempts[-1].credential
            routed, provider, tier = target.name, target.provider_name, target.tier
            version = target.price.version if target.price is not None else None
        # By position, in the order of the columns: see opening().
        return Record(
            exchange.id, exchange.at_us, org, project, key_id,
            feature, environment, customer, session, dialect, kind,
            asked, routed, provider, credential, tier, reason, task, confidence,
            len(attempts), stream, _status(exchange), _outcome(error), error.code if error else None,
            usage.input, usage.cached, usage.write_5m, usage.write_1h, usage.output, usage.reasoning,
            usage.input_audio, usage.cached_audio, usage.input_image, usage.output_audio, usage.output_image,
            usage.searches, usage.tool_units, usage.characters, usage.audio_ms, usage.images,
            charge.source, cost, saving.model, saving.baseline,
            saving.routing, saving.downgrade, saving.cache, saving.estimated, held,
            charge.version or version, cost is not None,
            0, ((exchange.sent_ns or now_ns) - began) // 1000,
            (first_ns - began) // 1000 if first_ns else None, (now_ns - began) // 1000,
        )  # fmt: skip


def _outcome(error: GatewayError | None) -> Outcome:
    if error is None:
        return Outcome.OK
    if isinstance(error, ClientGone):
        return Outcome.CLIENT_CLOSED
    if error.fault is Fault.UPSTREAM:
        return Outcome.UPSTREAM_ERROR
    return Outcome.REFUSED if error.fault is Fault.CALLER else Outcome.FAILED


def _status(exchange: Exchange) -> int:
    if exchange.attempts and exchange.attempts[-1].status is not None and exchange.client.started:
        return exchange.attempts[-1].status
    error = exchange.error
    if isinstance(error, UpstreamError) and error.relayed is not None:
        return error.relayed.status
    return error.status if error else 200
