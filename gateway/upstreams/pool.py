"""The loaded providers with their credentials: which key to use for the next attempt.

A credential that the provider does not accept (401, 402, 403) is dead: it is set aside for minutes.
One that is throttled (429) is set aside for as long as the provider asks. The two are told apart,
because the first needs a person and the second only time.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.content import Secret
from gateway.contracts import Exit, Provider
from gateway.errors import CredentialDead, GatewayError, OurError, UpstreamBusy, UpstreamError
from gateway.names import Slug

SECOND_NS = 10**9
DEAD_S = 300
"""Seconds until a dead credential is tried again."""
BUSY_S = 5
"""Seconds a throttled credential rests when the provider names no time."""


class Credential:
    """One key of a provider. reveal() decrypts or reads it, for one call."""

    __slots__ = ("dead", "id", "reveal", "until_ns")

    def __init__(self, id: Slug, reveal: Callable[[], Secret]) -> None:
        self.id = id
        self.reveal = reveal
        self.dead = False
        self.until_ns = 0


@dataclass(slots=True, kw_only=True)
class Loaded:
    """A provider as configured: its adapter, the way to it, and its credentials.

    host: where its stored keys may go; empty for a provider that answers from itself.
    configured: the credentials are the configuration's, and those of the store are left aside.
    """

    name: Slug
    provider: Provider
    exit: Exit
    host: str
    credentials: list[Credential]
    needs_key: bool = True
    configured: bool = False
    next: int = 0


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

    def pick(self, name: Slug, tried: Collection[Slug] = ()) -> Credential | None:
        """The next usable credential, in turn; None for a provider that needs none.

        Args:
            tried: ids of credentials that this call need not come back with.

        Raises:
            OurError: no_credential, none is stored.
            CredentialDead: upstream_credential, all were refused.
            UpstreamBusy: upstream_busy, all that live are resting.
        """
        loaded = self._providers[name]
        if not loaded.credentials:
            if loaded.needs_key:
                raise OurError("no_credential", about=name)
            return None
        if len(loaded.credentials) == 1 and loaded.credentials[0].until_ns == 0:
            return loaded.credentials[0]
        now = self._clock.tick_ns()
        for offset in range(len(loaded.credentials)):
            credential = loaded.credentials[(loaded.next + offset) % len(loaded.credentials)]
            if credential.until_ns <= now and credential.id not in tried:
                loaded.next = (loaded.next + offset + 1) % len(loaded.credentials)
                return credential
        resting = [one.until_ns for one in loaded.credentials if not one.dead]
        if not resting:
            raise CredentialDead("upstream_credential", about=name)
        raise UpstreamBusy("upstream_busy", after_s=(min(resting) - now) / SECOND_NS)

    def spare(self, name: Slug, tried: Collection[Slug] = ()) -> bool:
        """Whether a credential that was not tried could serve a further attempt at once."""
        now = self._clock.tick_ns()
        return any(one.until_ns <= now and one.id not in tried for one in self._providers[name].credentials)

    def report(self, name: Slug, credential_id: Slug | None, error: GatewayError | None) -> None:
        """Tell how an attempt with a credential ended."""
        for credential in self._providers[name].credentials if credential_id else ():
            if credential.id == credential_id:
                self._judge(credential, error)

    def _judge(self, credential: Credential, error: GatewayError | None) -> None:
        if error is None:
            credential.dead, credential.until_ns = False, 0
        elif self._set_aside and isinstance(error, CredentialDead):
            credential.dead = True
            credential.until_ns = self._clock.tick_ns() + DEAD_S * SECOND_NS
        elif self._set_aside and isinstance(error, UpstreamBusy):
            rest_s = BUSY_S if error.after_s is None else error.after_s
            credential.dead = False
            credential.until_ns = self._clock.tick_ns() + round(rest_s * SECOND_NS)


def refused_key(error: UpstreamError) -> bool:
    """Whether another credential of the same provider may do better."""
    return isinstance(error, CredentialDead | UpstreamBusy)
