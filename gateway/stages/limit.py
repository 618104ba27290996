"""Stage 4: set money aside before it is spent, and open the call in the journal."""

from collections.abc import Callable

from gateway.errors import OurError, OverLimit
from gateway.exchange import Estimate, Exchange
from gateway.ledger.journal import Journal, JournalError
from gateway.ledger.ledger import Ledger
from gateway.records import Record
from gateway.usage import Nanos

Skeleton = Callable[[Exchange], Record]
"""The Record of a call that is about to be forwarded, as it stands if the process dies now."""


class Limit:
    """Holds the most that the dearest target of the plan can cost."""

    def __init__(self, ledger: Ledger, journal: Journal, estimate: Estimate, skeleton: Skeleton) -> None:
        self._ledger = ledger
        self._journal = journal
        self._estimate = estimate
        self._skeleton = skeleton

    async def __call__(self, exchange: Exchange) -> None:
        """Reads call, caller, plan. Fills hold.

        Raises:
            OverLimit: budget_exceeded, rate_limited; unpriced_model, where the call or its key says what
                it may cost at most and that cannot be known.
            OurError: unavailable, the journal cannot be written.
        """
        costs = [self._estimate(exchange.call, target) for target in exchange.plan.targets]
        ask = max((cost for cost in costs if cost is not None), default=0)
        for most in (exchange.call.tags.max_cost, exchange.caller.rights.max_cost):
            if most is not None and None in costs:
                raise OverLimit("unpriced_model", about="max-cost")
            if most is not None and ask > most:
                raise OverLimit("budget_exceeded", about="max-cost")
        exchange.hold = self._ledger.hold(exchange.caller, Nanos(ask), exchange.id)
        try:
            self._journal.open(exchange.id, self._skeleton(exchange))
            if self._journal.power:
                await self._journal.flushed()
        except JournalError:
            raise OurError("unavailable") from None
