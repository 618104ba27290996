"""Money set aside before it is spent: hold, then settle or release, in this process's memory.

Spent money of a key = what the store's sums were when they were read last (base) + what this process
settled and those sums are not known to hold (fresh) + what is held for calls under way. The sums are
read again from time to time, so that processes on one store see each other's spending; see
docs/limits.md for the bound.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from gateway.clock import Clock
from gateway.contracts import Caller
from gateway.errors import OverLimit
from gateway.ledger import rates
from gateway.names import Slug
from gateway.records import Record
from gateway.usage import Nanos

SECOND_NS = 10**9


class Hold:
    """Money set aside for one call: the permit without which nothing is sent.

    Ends exactly once, settled or released; every later settle or release does nothing.

    asks: the most that the call can cost on a target, by the target's name; None where no price is known.
    """

    __slots__ = ("amount", "asks", "ended", "id", "key_id")

    def __init__(self, id: Slug, key_id: Slug, amount: Nanos) -> None:
        self.id = id
        self.key_id = key_id
        self.amount = amount
        self.asks: dict[Slug, Nanos | None] = {}
        self.ended = False

    def __repr__(self) -> str:
        return f"<hold of {self.amount} nanos>"


class _Account:
    __slots__ = ("base", "due_ns", "fresh", "held", "open")

    def __init__(self) -> None:
        self.base = 0
        self.fresh = 0
        self.held = 0
        self.open = 0
        self.due_ns = 0


class Ledger:
    """Holds of all keys of one process."""

    def __init__(self, clock: Clock, spent: Mapping[Slug, Nanos] | None = None) -> None:
        self._clock = clock
        self._accounts: dict[Slug, _Account] = {}
        self._holds: dict[Slug, Hold] = {}
        self._taken: dict[Slug, int] = {}
        self._rebase(spent or {})

    def hold(self, caller: Caller, amount: Nanos, call: Slug) -> Hold:
        """Set amount aside for a call.

        Raises:
            OverLimit: budget_exceeded when the key's cap does not cover it, rate_limited when calls
                come too quickly.
        """
        account = self._accounts.get(caller.key_id)
        if account is None:
            account = self._accounts[caller.key_id] = _Account()
        if caller.cap is not None and account.base + account.fresh + account.held + amount > caller.cap:
            raise OverLimit("budget_exceeded", about="key")
        if caller.rate is not None:
            admitted, value = rates.admit(
                account.due_ns, self._clock.tick_ns(), caller.rate, burst(caller.rate)
            )
            if not admitted:
                raise OverLimit("rate_limited", after_s=value / SECOND_NS, about="key")
            account.due_ns = value
        hold = Hold(call, caller.key_id, amount)
        self._holds[call] = hold
        account.held += amount
        account.open += 1
        return hold

    def grow(self, hold: Hold, caller: Caller, to: Nanos) -> None:
        """Set more aside for a call that is under way, because it needs another attempt.

        Raises:
            OverLimit: budget_exceeded when the key's cap does not cover it; the hold is as before.
        """
        more = to - hold.amount
        if more <= 0 or hold.ended:
            return
        account = self._accounts[hold.key_id]
        if caller.cap is not None and account.base + account.fresh + account.held + more > caller.cap:
            raise OverLimit("budget_exceeded", about="key")
        account.held += more
        hold.amount = to

    def settle(self, hold: Hold, cost: Nanos | None) -> None:
        """End a hold with what the call cost; None (no price known) releases it."""
        if hold.ended:
            return
        hold.ended = True
        del self._holds[hold.id]
        account = self._accounts[hold.key_id]
        account.held -= hold.amount
        account.open -= 1
        account.fresh += cost or 0

    def release(self, hold: Hold) -> None:
        """End a hold of a call that cost nothing."""
        self.settle(hold, Nanos(0))

    def stored(self, records: Iterable[Record]) -> None:
        """The store has these records: its sums hold their cost from now on."""
        for record in records:
            if record.key_id is not None and record.cost_nanos:
                self._taken[record.key_id] = self._taken.get(record.key_id, 0) + record.cost_nanos

    async def read(self, spent: Callable[[], Awaitable[Mapping[Slug, Nanos]]]) -> None:
        """Take the store's sums as the new base; one never falls below what is known here.

        What the store took while they were read may or may not be in them: it counts beside them, so
        twice at worst, until they are read the next time.

        Raises:
            StoreError: they cannot be read.
        """
        taken, self._taken = self._taken, {}
        try:
            sums = await spent()
        except BaseException:
            for key_id, nanos in taken.items():
                self._taken[key_id] = self._taken.get(key_id, 0) + nanos
            raise
        self._rebase(sums)
        for key_id, nanos in taken.items():
            if (account := self._accounts.get(key_id)) is not None:
                account.fresh -= min(account.fresh, nanos)

    def _rebase(self, spent: Mapping[Slug, Nanos]) -> None:
        for key_id, nanos in spent.items():
            account = self._accounts.get(key_id)
            if account is None:
                account = self._accounts[key_id] = _Account()
            account.base = max(account.base, nanos)

    @property
    def held(self) -> Nanos:
        """Money set aside now, over all keys."""
        return Nanos(sum(hold.amount for hold in self._holds.values()))

    @property
    def open_holds(self) -> int:
        """Calls with money set aside now."""
        return len(self._holds)

    def spent(self, key_id: Slug) -> Nanos:
        """What a key has spent, held money not included."""
        account = self._accounts.get(key_id)
        return Nanos(account.base + account.fresh if account else 0)

    def used(self, caller: Caller) -> int | None:
        """Thousandths of the key's cap that are spent or held; None without a cap."""
        if caller.cap is None:
            return None
        account = self._accounts.get(caller.key_id)
        used = account.base + account.fresh + account.held if account else 0
        return used * 1000 // caller.cap if caller.cap else 1000


def burst(per_minute: int) -> int:
    """Calls that may come at once: a sixth of a minute's worth, at least 1."""
    return max(1, per_minute // 6)
