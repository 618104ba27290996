"""What a call may spend: money set aside before the first request, and more of it before each further one."""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.contracts import Call, Caller, Permit
from gateway.errors import OurError, OverLimit
from gateway.exchange import Attempt, Estimate, Exchange, Plan, Target
from gateway.ledger.charges import Charges
from gateway.ledger.journal import Journal, JournalError
from gateway.ledger.ledger import Hold, Ledger
from gateway.names import Slug
from gateway.records import Opening
from gateway.usage import Nanos, Source

Describe = Callable[[Exchange], Opening]
"""What the journal keeps of a call that is about to be forwarded, if the process dies now."""

Asks = Mapping[Slug, Nanos | None]
"""The most that a call can cost on a target, by the target's name; None where no price is known."""

SURE: Final = frozenset({Source.REPORTED, Source.NONE})
"""Where the usage of an attempt comes from, if that is all the attempt can be billed for."""


class Allowance:
    """Holds money for calls. A call's hold covers, at any time, the most that it can have cost by then."""

    def __init__(
        self, ledger: Ledger, journal: Journal, estimate: Estimate, charges: Charges, opening: Describe
    ) -> None:
        self._ledger = ledger
        self._journal = journal
        self._estimate = estimate
        self._charges = charges
        self._opening = opening

    async def take(self, exchange: Exchange) -> None:
        """Set aside what one attempt can cost at most, over the targets that may be asked. Fills hold.

        Raises:
            OverLimit: budget_exceeded, rate_limited; unpriced_model, where the call or its key says what
                it may cost at most and that cannot be known.
            OurError: unavailable, the journal cannot be written.
        """
        call, caller, plan = exchange.call, exchange.caller, exchange.plan
        asks = {target.name: self._estimate(call, target) for target in plan.targets}
        known = list(asks.values())
        if len(known) > 1:
            known = [asks[target.name] for target in affordable(plan.targets, plan, asks)]
        most = _most(call, caller)
        if most is not None:
            first = asks[plan.targets[0].name]
            if first is None:
                raise OverLimit("unpriced_model", about="max-cost")
            if first > most:
                raise OverLimit("budget_exceeded", about="max-cost")
            known = [cost for cost in known if cost is not None and cost <= most]  # extend() refuses the rest
        ask = max([cost for cost in known if cost is not None], default=0)
        hold = self._ledger.hold(caller, Nanos(ask), exchange.id)
        hold.asks = asks
        exchange.hold = hold
        await self._note(exchange)

    def asks(self, exchange: Exchange, targets: tuple[Target, ...]) -> Asks:
        """What the call can cost on each of these and on the plan's; measured once for each."""
        hold = _hold(exchange.hold)
        for target in targets:
            if target.name not in hold.asks:
                hold.asks[target.name] = self._estimate(exchange.call, target)
        return hold.asks

    async def extend(self, exchange: Exchange, target: Target) -> None:
        """Before a further attempt: set aside what the call may have cost so far and what comes on top.

        Raises:
            OverLimit: budget_exceeded, unpriced_model: no more may be spent on this call.
            OurError: unavailable, the journal cannot be written.
        """
        call, caller, hold = exchange.call, exchange.caller, _hold(exchange.hold)
        cost = self.asks(exchange, (target,))[target.name]
        needed = (cost or 0) + sum(self._spent(attempt, exchange, hold) for attempt in exchange.attempts)
        most = _most(call, caller)
        if most is not None:
            if cost is None:
                raise OverLimit("unpriced_model", about="max-cost")
            if needed > most:
                raise OverLimit("budget_exceeded", about="max-cost")
        if needed > hold.amount:
            self._ledger.grow(hold, caller, Nanos(needed))
            await self._note(exchange)

    def _spent(self, attempt: Attempt, exchange: Exchange, hold: Hold) -> int:
        """The most that an attempt which failed may be billed: what it reported, else all it can cost."""
        reading = self._charges.reading(attempt, exchange.call)
        ask = hold.asks.get(attempt.target.name) or 0
        if reading.source not in SURE:
            return ask
        cost = self._charges.price(attempt, reading)
        return ask if cost is None else cost

    async def _note(self, exchange: Exchange) -> None:
        try:
            self._journal.open(exchange.id, self._opening(exchange))
            if self._journal.power:
                await self._journal.flushed()
        except JournalError:
            raise OurError("unavailable") from None


def affordable(targets: tuple[Target, ...], plan: Plan, asks: Asks) -> tuple[Target, ...]:
    """Those of the targets on which the call cannot cost more than on the plan's first, or on the model that
    the caller named where that is one of the plan; all where it may.

    A target without a price is left out where the first one has one: nobody knows what it would cost.
    """
    first = asks[plan.targets[0].name]
    if plan.allow_costlier or first is None:
        return targets
    most: int = first
    named = plan.requested
    if named is not None and named in plan.targets:  # who names a model has said that it may cost so much
        most = max(first, asks.get(named.name) or 0)
    return tuple(one for one in targets if (cost := asks[one.name]) is not None and cost <= most)


def _most(call: Call, caller: Caller) -> int | None:
    """The most that the caller, or its key, wants the call to cost."""
    of_call, of_key = call.tags.max_cost, caller.rights.max_cost
    if of_call is None or of_key is None:
        return of_key if of_call is None else of_call
    return min(of_call, of_key)


def _hold(permit: Permit) -> Hold:
    assert isinstance(permit, Hold)  # the only kind of permit there is
    return permit
