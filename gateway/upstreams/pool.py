"""The loaded providers with their credentials: which key to use for the next attempt.

A credential that the provider does not accept (401, 402, 403) is dead: it is set aside for minutes.
One that is throttled (429) is set aside for as long as the provider asks, for the model that it was used
for. The two are told apart, because the first needs a person and the second only time.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from gateway.clock import Clock
from gateway.content import Secret
from gateway.contracts import Exit, Provider
from gateway.errors import CredentialDead, Failure, GatewayError, OurError, UpstreamBusy, UpstreamError
from gateway.ledger import rates
from gateway.names import Slug

SECOND_NS = 10**9
DEAD_S = 300
"""Seconds until a dead credential is tried again."""
BUSY_S = 5
"""Seconds a throttled credential rests when the provider names no time."""
MOST_S = 300
"""Seconds a throttled credential rests at most, whatever time is named."""
MODELS = 1_000
"""Models for which a credential may be throttled at a time."""
ANY = Slug("any")

FULL_NS = SECOND_NS // 10
"""What is said of a credential with as many calls under way as it may have: nobody knows when one ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much of a provider's load a credential bears, in this process. None: no limit.

    Attributes:
        weight: its part of the calls, beside the weights of the others.
        calls_per_minute: at an even pace; a sixth of a minute's worth may come at once.
        open_calls: at the same time.
    """

    weight: int = 1
    calls_per_minute: int | None = None
    open_calls: int | None = None


EVEN: Final = Share()

Fit = Callable[[Slug | None], bool]
"""Whether something else lets a credential be used now."""


class Credential:
    """One key of a provider. reveal() decrypts or reads it, for one call.

    Args:
        share: how much of the load it bears.

    Attributes:
        until_ns: until when it is dead; busy: until when it is throttled, by the target's name.
        open: calls under way with it.
    """

    __slots__ = ("_due_ns", "busy", "dead", "id", "open", "reveal", "share", "turn", "until_ns")

    def __init__(self, id: Slug, reveal: Callable[[], Secret], share: Share = EVEN) -> None:
        self.id = id
        self.reveal = reveal
        self.share = share
        self.dead = False
        self.until_ns = 0
        self.busy: dict[Slug, int] = {}
        self.open = 0
        self.turn = 0
        self._due_ns = 0

    def rests(self, target: Slug) -> int:
        """Until when it may not be used for a target; 0 when it was never set aside."""
        return max(self.until_ns, self.busy.get(target, 0)) if self.busy else self.until_ns

    def waits(self, now_ns: int) -> int:
        """Nanoseconds until its own limits let it be used; 0: now."""
        share = self.share
        if share is EVEN:
            return 0
        if share.open_calls is not None and self.open >= share.open_calls:
            return FULL_NS
        return 0 if share.calls_per_minute is None else self._admit(now_ns, share.calls_per_minute)[1]

    def take(self, now_ns: int) -> None:
        """A call is made with it."""
        if self.share.calls_per_minute is not None:
            self._due_ns = self._admit(now_ns, self.share.calls_per_minute)[0]

    def _admit(self, now_ns: int, per_minute: int) -> tuple[int, int]:
        """The state after one more call, and the wait before it."""
        admitted, value = rates.admit(self._due_ns, now_ns, per_minute, max(1, per_minute // 6))
        return (value, 0) if admitted else (self._due_ns, value)


@dataclass(slots=True, kw_only=True)
class Loaded:
    """A provider as configured: its adapter, the way to it, and its credentials.

    host: where its stored keys may go; empty for a provider that answers from itself.
    use: which plugin it is. policy: what the configuration says that it does with content.
    configured: the credentials are the configuration's, and those of the store are left aside.
    """

    name: Slug
    provider: Provider
    exit: Exit
    host: str
    credentials: list[Credential]
    needs_key: bool = True
    configured: bool = False
    use: str = ""
    policy: Slug | None = None

    def turn(self, usable: list[Credential]) -> Credential:
        """The one of these whose turn it is; it has had it then.

        Each gets as many turns as its weight says, spread evenly: the one that is furthest behind its share
        comes first (smooth weighted round robin, as in nginx). One that is not usable neither gets a turn nor
        gathers any, so it is not flooded when it comes back.
        """
        if len(usable) == 1:
            return usable[0]
        for one in usable:
            one.turn += one.share.weight
        taken = max(usable, key=attrgetter("turn"))
        taken.turn -= sum(one.share.weight for one in usable)
        return taken

    @property
    def answers_itself(self) -> bool:
        """Whether it needs no network."""
        return callable(getattr(self.provider, "open", None))


class Pool:
    """All providers of the configuration, by name.

    Args:
        set_aside: False never sets a credential aside ([upstream] breaker = false).
    """

    def __init__(self, providers: dict[Slug, Loaded], clock: Clock, set_aside: bool = True) -> None:
        self._providers = providers
        self._clock = clock
        self._set_aside = set_aside

    def get(self, name: str) -> Loaded | None:
        """The provider of that name."""
        return self._providers.get(Slug(name)) if name in self._providers else None

    def names(self) -> tuple[Slug, ...]:
        """Names of all providers."""
        return tuple(self._providers)

    def all(self) -> tuple[Loaded, ...]:
        """All providers."""
        return tuple(self._providers.values())

    def pick(
        self, name: Slug, tried: Collection[Slug] = (), target: Slug = ANY, fit: Fit | None = None
    ) -> Credential | None:
        """The next usable credential, in turn; None for a provider that needs none.

        Args:
            tried: ids of credentials that this call need not come back with.
            target: what it is for.
            fit: says no to credentials that something else keeps from use.

        Raises:
            OurError: no_credential, none is stored.
            CredentialDead: upstream_credential, all were refused.
            UpstreamBusy: upstream_busy, all that live are resting.
            UpstreamError: upstream_resting, one lives and does not fit.
        """
        loaded = self._providers[name]
        if not loaded.credentials:
            if loaded.needs_key:
                raise OurError("no_credential", about=name)
            if fit is not None and not fit(None):
                raise UpstreamError("upstream_resting", about=name)
            return None
        now = self._clock.tick_ns()
        usable = [
            one
            for one in loaded.credentials
            if one.rests(target) <= now
            and one.id not in tried
            and (fit is None or fit(one.id))
            and not one.waits(now)
        ]
        if usable:
            credential = loaded.turn(usable)
            credential.take(now)
            return credential
        waits = [max(one.rests(target) - now, one.waits(now)) for one in loaded.credentials if not one.dead]
        if not waits:
            raise CredentialDead("upstream_credential", about=name)
        if fit is not None and any(wait <= 0 for wait in waits):
            raise UpstreamError("upstream_resting", about=name)
        raise UpstreamBusy("upstream_busy", after_s=max(0, min(waits)) / SECOND_NS)

    def ready(self, name: Slug, target: Slug, fit: Fit) -> bool:
        """Whether pick() would find one now."""
        loaded = self._providers[name]
        if not loaded.credentials:
            return not loaded.needs_key and fit(None)
        now = self._clock.tick_ns()
        return any(
            one.rests(target) <= now and not one.waits(now) and fit(one.id) for one in loaded.credentials
        )

    def spare(self, name: Slug, tried: Collection[Slug] = (), target: Slug = ANY) -> bool:
        """Whether a credential that was not tried could serve a further attempt at once."""
        now = self._clock.tick_ns()
        found = self._providers[name].credentials
        return any(one.rests(target) <= now and one.id not in tried and not one.waits(now) for one in found)

    def report(
        self, name: Slug, credential_id: Slug | None, error: GatewayError | None, target: Slug = ANY
    ) -> None:
        """Tell how an attempt with a credential ended."""
        for credential in self._providers[name].credentials if credential_id else ():
            if credential.id == credential_id:
                self._judge(credential, error, target)

    def _judge(self, credential: Credential, error: GatewayError | None, target: Slug) -> None:
        if error is None:
            credential.dead, credential.until_ns = False, 0
            if credential.busy:
                credential.busy.pop(target, None)
        elif self._set_aside and isinstance(error, CredentialDead):
            credential.dead = True
            credential.until_ns = self._clock.tick_ns() + DEAD_S * SECOND_NS
        elif self._set_aside and isinstance(error, UpstreamBusy):
            credential.dead, credential.until_ns = False, 0
            if len(credential.busy) >= MODELS:
                credential.busy.clear()
            credential.busy[target] = self._clock.tick_ns() + round(pause_s(error) * SECOND_NS)


def pause_s(error: GatewayError) -> float:
    """How long a throttled credential rests: what the provider said, if that is a time at all."""
    said = error.after_s
    return BUSY_S if said is None or math.isnan(said) else min(max(said, 0.0), MOST_S)


def refused_key(error: GatewayError) -> bool:
    """Whether another credential of the same provider may do better."""
    return error.kind in (Failure.AUTH, Failure.RATE)
