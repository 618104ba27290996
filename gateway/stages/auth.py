"""Stage 1: who calls, and what is asked."""

from gateway.accounts import scopes
from gateway.accounts.directory import Directory
from gateway.clock import Clock
from gateway.content import Purpose
from gateway.errors import NotAllowed
from gateway.exchange import Exchange


class Auth:
    """Finds the caller by key, in memory; then has the body read and checks the key's scopes.

    The body of a call with a wrong key is never read.
    """

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    async def __call__(self, exchange: Exchange) -> None:
        """Reads presented, peer, read. Fills caller, then call.

        Raises:
            NotAllowed: invalid_key, or not_allowed with the scope's name.
            CallerError: the body cannot be read as a call.
        """
        presented = exchange.presented
        caller = self._directory.find(presented.open(Purpose.AUTH)) if presented is not None else None
        if caller is None:
            raise NotAllowed("invalid_key")
        exchange.caller = caller
        assert exchange.read is not None
        exchange.call = await exchange.read()
        refusal = scopes.check_call(caller.rights, exchange.call, exchange.peer, self._clock.now_us())
        if refusal is not None:
            raise refusal
