"""Stage 4: set money aside before it is spent, and open the call in the journal."""

from gateway.exchange import Exchange
from gateway.ledger.allowance import Allowance


class Limit:
    """Holds the most that one attempt can cost; the stage that makes attempts asks for more itself."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance

    async def __call__(self, exchange: Exchange) -> None:
        """Reads call, caller, plan. Fills hold.

        Raises:
            OverLimit, OurError: as Allowance.take() says.
        """
        await self._allowance.take(exchange)
