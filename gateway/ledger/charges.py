"""What an exchange cost: the usage of each attempt, completed where the provider said nothing, priced."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.clock import Clock
from gateway.contracts import Call
from gateway.errors import ClientGone
from gateway.exchange import OK, Attempt, Exchange, Target
from gateway.ledger import estimate, savings
from gateway.ledger.prices import PriceBook
from gateway.ledger.savings import UNSPENT, Saving
from gateway.names import Slug
from gateway.quick import quick
from gateway.records import PathKind
from gateway.usage import NOTHING, Nanos, Price, Reading, Source, Usage, cost

NO_READING = Reading()

UNBILLED = frozenset({PathKind.COUNT, PathKind.MODERATIONS, PathKind.MODELS})
"""Kinds that providers answer for nothing, so that no usage has to be estimated."""

WORDLESS = frozenset({PathKind.TRANSCRIPTION, PathKind.IMAGES, PathKind.SPEECH})
"""Kinds that are billed by something else than the words of the call."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The money of one exchange.

    cost is None when something was used that no price is known for.
    """

    usage: Usage = NOTHING
    source: Source = Source.NONE
    cost: Nanos | None = Nanos(0)
    version: Slug | None = None
    saving: Saving = UNSPENT


class Charges:
    """Reads the meters of attempts and prices what they say, at the price of admission."""

    def __init__(self, book: PriceBook, clock: Clock) -> None:
        self._book = book
        self._clock = clock

    def of(self, exchange: Exchange) -> Charge:
        """The charge of all attempts together; usage is that of the last one that used anything."""
        attempts = exchange.attempts
        only = attempts[0] if len(attempts) == 1 and attempts[0].code is OK else None
        if only is None:
            return self._sum(exchange)
        if only.charge is None:
            only.charge = self._sum(exchange)
        charge: Charge = only.charge
        return charge

    def _sum(self, exchange: Exchange) -> Charge:
        total: Nanos | None = Nanos(0)
        shown, answer, last = NO_READING, total, exchange.attempts[-1]
        for attempt in exchange.attempts:
            reading = self.reading(attempt, exchange.call)
            amount = self.price(attempt, reading)
            total = None if total is None or amount is None else Nanos(total + amount)
            if reading.source is not Source.NONE or shown.source is Source.NONE:
                shown, answer, last = reading, amount, attempt
        target, error = last.target, exchange.error
        served = error is None or isinstance(error, ClientGone)
        return Charge(
            usage=_whole(shown),
            source=shown.source,
            cost=total,
            version=target.price.version if target.price is not None else None,
            saving=savings.saving(exchange.plan, target, shown, answer, total, served, self._aside(target)),
        )

    def price(self, attempt: Attempt, reading: Reading) -> Nanos | None:
        """What a reading of an attempt costs; None where no price is known."""
        price, used = attempt.target.price, reading.usage
        if not (used.input or used.output or reading.asides) and used == NOTHING:
            return Nanos(0)
        return None if price is None else cost(reading, price, self._aside(attempt.target))

    def reading(self, attempt: Attempt, call: Call) -> Reading:
        """What an attempt used; estimated where it reached the provider and usage is missing."""
        if attempt.reading is not None:
            return attempt.reading
        found = self._read(attempt, call)
        if attempt.code is OK:  # the answer has ended: nothing will be added to it
            attempt.reading = found
        return found

    def _read(self, attempt: Attempt, call: Call) -> Reading:
        if attempt.status is not None and attempt.status >= 400:
            return Reading()
        reading = attempt.meter.finish()
        if reading.source in (Source.REPORTED, Source.SALVAGED):
            return reading
        if call.kind in UNBILLED or attempt.code in UNSENT:
            return Reading()
        usage = reading.usage
        if not usage.input and call.kind not in WORDLESS:  # some providers tell the input at the start
            usage = replace(usage, input=estimate.guess_input(call))
        return replace(reading, usage=usage, source=Source.ESTIMATED)

    def _aside(self, target: Target) -> Callable[[str], Price | None]:
        def find(model: str) -> Price | None:
            return self._book.find(target.provider_name, model, self._clock.now_us())

        return find


UNSENT = frozenset(
    {
        Slug("upstream_unreachable"),
        Slug("upstream_blocked"),
        Slug("no_credential"),
        Slug("upstream_busy"),
        Slug("upstream_credential"),
        Slug("overloaded"),
    }
)
"""Codes of attempts that used nothing: the provider was not reached, or turned the call away."""


def _whole(reading: Reading) -> Usage:
    if not reading.asides:
        return reading.usage
    parts = [reading.usage, *(aside.usage for aside in reading.asides)]
    return Usage(**{name: sum(getattr(part, name) for part in parts) for name in Usage.__dataclass_fields__})


def dollars(nanos: Nanos | int) -> str:
    """An amount as a decimal string: 1500 nano-dollars are 0.0000015."""
    if nanos < 0:
        return f"-{dollars(-nanos)}"
    whole, rest = divmod(nanos, 10**9)
    return f"{whole}.{rest:09d}".rstrip("0") if rest else str(whole)
