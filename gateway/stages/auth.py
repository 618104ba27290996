"""Stage 1: who calls, and what is asked."""

from gateway.accounts import scopes
from gateway.accounts.directory import Directory
from gateway.clock import Clock
from gateway.content import Purpose
from gateway.errors import CallerError, NotAllowed
from gateway.exchange import Exchange
from gateway.names import Slug


class Auth:
    """Finds the caller by key, in memory; then has the body read and checks the key's scopes.

    The body of a call with a wrong key is never read.

    Args:
        features: the only features a call may name; empty: any.
    """

    def __init__(self, directory: Directory, clock: Clock, features: frozenset[Slug] = frozenset()) -> None:
        self._directory = directory
        self._clock = clock
        self._features = features

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
        feature = exchange.call.tags.feature
        if self._features and feature is not None and feature not in self._features:
            raise CallerError("bad_request", about="x-gateway-feature")
