"""The loaded providers with their credentials: which key to use for the next attempt.

A credential that the provider does not accept (401, 402, 403) is dead: it is set aside for minutes.
One that is throttled (429) is set aside for as long as the provider asks, for the model that it was used
for. The two are told apart, because the first needs a person and the second only time.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.content import Secret
from gateway.contracts import Exit, Provider
from gateway.errors import CredentialDead, Failure, GatewayError, OurError, UpstreamBusy, UpstreamError
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

Fit = Callable[[Slug | None], bool]
"""Whether something else lets a credential be used now."""


class Credential:
    """One key of a provider. reveal() decrypts or reads it, for one call.

    Attributes:
        until_ns: until when it is dead; busy: until when it is throttled, by the target's name.
    """

    __slots__ = ("busy", "dead", "id", "reveal", "until_ns")

    def __init__(self, id: Slug, reveal: Callable[[], Secret]) -> None:
        self.id = id
        self.reveal = reveal
        self.dead = False
        self.until_ns = 0
        self.busy: dict[Slug, int] = {}

    def rests(self, target: Slug) -> int:
        """Until when it may not be used for a target; 0 when it was never set aside."""
        return max(self.until_ns, self.busy.get(target, 0)) if self.busy else self.until_ns


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
    next: int = 0

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
        for offset in range(len(loaded.credentials)):
            credential = loaded.credentials[(loaded.next + offset) % len(loaded.credentials)]
            if (
                credential.rests(target) <= now
                and credential.id not in tried
                and (fit is None or fit(credential.id))
            ):
                loaded.next = (loaded.next + offset + 1) % len(loaded.credentials)
                return credential
        resting = [one.rests(target) for one in loaded.credentials if not one.dead]
        if not resting:
            raise CredentialDead("upstream_credential", about=name)
        if fit is not None and any(until <= now for until in resting):
            raise UpstreamError("upstream_resting", about=name)
        raise UpstreamBusy("upstream_busy", after_s=max(0, min(resting) - now) / SECOND_NS)

    def ready(self, name: Slug, target: Slug, fit: Fit) -> bool:
        """Whether pick() would find one now."""
        loaded = self._providers[name]
        if not loaded.credentials:
            return not loaded.needs_key and fit(None)
        now = self._clock.tick_ns()
        return any(one.rests(target) <= now and fit(one.id) for one in loaded.credentials)

    def spare(self, name: Slug, tried: Collection[Slug] = (), target: Slug = ANY) -> bool:
        """Whether a credential that was not tried could serve a further attempt at once."""
        now = self._clock.tick_ns()
        found = self._providers[name].credentials
        return any(one.rests(target) <= now and one.id not in tried for one in found)

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


def refused_key(error: UpstreamError) -> bool:
    """Whether another credential of the same provider may do better."""
    return error.kind in (Failure.AUTH, Failure.RATE)
