"""Stage 4: set money aside before it is spent, and open the call in the journal."""

from collections.abc import Callable

from gateway.errors import OurError, OverLimit
from gateway.exchange import Estimate, Exchange
from gateway.ledger.journal import Journal, JournalError
from gateway.ledger.ledger import Ledger
from gateway.records import Opening
from gateway.usage import Nanos

Describe = Callable[[Exchange], Opening]
"""What the journal keeps of a call that is about to be forwarded, if the process dies now."""


class Limit:
    """Holds the most that the dearest target of the plan can cost."""

    def __init__(self, ledger: Ledger, journal: Journal, estimate: Estimate, opening: Describe) -> None:
        self._ledger = ledger
        self._journal = journal
        self._estimate = estimate
        self._opening = opening

    async def __call__(self, exchange: Exchange) -> None:
        """Reads call, caller, plan. Fills hold.

        Raises:
            OverLimit: budget_exceeded, rate_limited; unpriced_model, where the call or its key says what
                it may cost at most and that cannot be known.
            OurError: unavailable, the journal cannot be written.
        """
        call, caller = exchange.call, exchange.caller
        ask, unpriced = 0, False
        for target in exchange.plan.targets:
            cost = self._estimate(call, target)
            if cost is None:
                unpriced = True
            elif cost > ask:
                ask = cost
        for most in (call.tags.max_cost, caller.rights.max_cost):
            if most is not None and unpriced:
                raise OverLimit("unpriced_model", about="max-cost")
            if most is not None and ask > most:
                raise OverLimit("budget_exceeded", about="max-cost")
        exchange.hold = self._ledger.hold(caller, Nanos(ask), exchange.id)
        try:
            self._journal.open(exchange.id, self._opening(exchange))
            if self._journal.power:
                await self._journal.flushed()
        except JournalError:
            raise OurError("unavailable") from None
