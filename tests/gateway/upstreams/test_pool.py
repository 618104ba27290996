"""Credentials: a dead one and a throttled one are told apart and set aside."""

from typing import Any

import pytest

from gateway.content import Purpose, Secret
from gateway.errors import CredentialDead, OurError, UpstreamBusy, UpstreamError
from gateway.names import Slug
from gateway.upstreams.pool import BUSY_S, DEAD_S, Credential, Loaded, Pool, refused_key

NAME = Slug("openai")
NOBODY: Any = None


class MovedClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.ns = 1

    def now_us(self) -> int:
        return self.ns // 1000

    def tick_ns(self) -> int:
        return self.ns


def pool(count: int, clock: MovedClock, *, set_aside: bool = True, needs_key: bool = True) -> Pool:
    credentials = [
        Credential(Slug(f"openai/{n}"), lambda n=n: Secret(f"sk-{n}")) for n in range(1, count + 1)
    ]
    loaded = Loaded(
        name=NAME, provider=NOBODY, exit=NOBODY, host="h", credentials=credentials, needs_key=needs_key
    )
    return Pool({NAME: loaded}, clock, set_aside)


def picked(one: Pool) -> str:
    credential = one.pick(NAME)
    assert credential is not None
    return credential.reveal().open(Purpose.AUTH)


def test_credentials_are_used_in_turn() -> None:
    one = pool(2, MovedClock())
    assert [picked(one) for _ in range(4)] == ["sk-1", "sk-2", "sk-1", "sk-2"]


def test_a_dead_credential_is_set_aside_for_minutes() -> None:
    clock = MovedClock()
    one = pool(2, clock)
    one.report(NAME, Slug("openai/1"), CredentialDead("upstream_credential"))
    assert [picked(one) for _ in range(3)] == ["sk-2"] * 3
    clock.ns += DEAD_S * 10**9
    assert {picked(one), picked(one)} == {"sk-1", "sk-2"}


def test_a_throttled_credential_rests_as_long_as_the_provider_asks() -> None:
    clock = MovedClock()
    one = pool(2, clock)
    one.report(NAME, Slug("openai/2"), UpstreamBusy("upstream_busy", after_s=2))
    assert {picked(one), picked(one)} == {"sk-1"}
    clock.ns += 2 * 10**9
    assert {picked(one), picked(one)} == {"sk-1", "sk-2"}


def test_all_dead_and_all_resting_are_different_errors() -> None:
    clock = MovedClock()
    one = pool(2, clock)
    one.report(NAME, Slug("openai/1"), CredentialDead("upstream_credential"))
    one.report(NAME, Slug("openai/2"), UpstreamBusy("upstream_busy"))
    assert not one.spare(NAME)
    with pytest.raises(UpstreamBusy) as busy:
        one.pick(NAME)
    assert busy.value.after_s == BUSY_S
    one.report(NAME, Slug("openai/2"), CredentialDead("upstream_credential"))
    with pytest.raises(CredentialDead):
        one.pick(NAME)


def test_a_success_brings_a_credential_back() -> None:
    one = pool(1, MovedClock())
    one.report(NAME, Slug("openai/1"), CredentialDead("upstream_credential"))
    one.report(NAME, Slug("openai/1"), None)
    assert picked(one) == "sk-1"


def test_other_failures_and_a_switched_off_breaker_set_nothing_aside() -> None:
    one = pool(1, MovedClock())
    one.report(NAME, Slug("openai/1"), UpstreamError("upstream_failed"))
    one.report(NAME, None, CredentialDead("upstream_credential"))
    assert picked(one) == "sk-1"
    free = pool(1, MovedClock(), set_aside=False)
    free.report(NAME, Slug("openai/1"), CredentialDead("upstream_credential"))
    free.report(NAME, Slug("openai/1"), UpstreamBusy("upstream_busy"))
    assert picked(free) == "sk-1"


def test_without_a_credential_only_a_provider_that_needs_none_is_asked() -> None:
    assert pool(0, MovedClock(), needs_key=False).pick(NAME) is None
    with pytest.raises(OurError) as missing:
        pool(0, MovedClock()).pick(NAME)
    assert missing.value.code == "no_credential"


def test_the_pool_knows_its_providers() -> None:
    one = pool(1, MovedClock())
    assert one.names() == (NAME,)
    assert [loaded.name for loaded in one.all()] == [NAME]
    assert one.get("openai") is not None
    assert one.get("what is this") is None


def test_another_key_may_help_only_where_the_key_was_at_fault() -> None:
    assert refused_key(CredentialDead("upstream_credential"))
    assert refused_key(UpstreamBusy("upstream_busy"))
    assert not refused_key(UpstreamError("upstream_failed"))
