"""The gate: breakers by provider, credential and model; holds by hand; latency and calls under way."""

from typing import Any

import pytest

from gateway.content import Secret
from gateway.errors import (
    ClientGone,
    CredentialDead,
    GatewayError,
    OurError,
    UpstreamBusy,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)
from gateway.exchange import Attempt, Target
from gateway.names import Slug
from gateway.upstreams.breaker import Rules, State
from gateway.upstreams.gate import Gate
from gateway.upstreams.health import Health, Latency
from gateway.upstreams.pool import Credential, Loaded, Pool, pause_s

S = 10**9
NOBODY: Any = None
RULES = Rules(failures=3, window_ns=30 * S, rest_ns=10 * S)
FAILED = UpstreamError("upstream_failed")
GONE = UpstreamError("upstream_unreachable")


class MovedClock:
    def __init__(self) -> None:
        self.ns = S

    def now_us(self) -> int:
        return self.ns // 1000

    def tick_ns(self) -> int:
        return self.ns


class Place:
    """A gate with one provider."""

    def __init__(self, keys: int = 1, rules: Rules | None = RULES, needs_key: bool = True) -> None:
        self.clock = MovedClock()
        self.health = Health(self.clock, lambda low, high: 1.0)
        credentials = [Credential(Slug(f"p/{n}"), lambda: Secret("sk")) for n in range(1, keys + 1)]
        loaded = Loaded(
            name=Slug("p"), provider=NOBODY, exit=object(), host="h",  # type: ignore[arg-type]
            credentials=credentials, needs_key=needs_key,
        )  # fmt: skip
        self.pool = Pool({Slug("p"): loaded}, self.clock, rules is not None)
        self.gate = Gate(self.pool, self.health, self.clock, rules)

    def target(self, model: str = "m") -> Target:
        return Target(
            name=Slug(f"p/{model}"), provider_name=Slug("p"), provider=NOBODY, model=model, exit=NOBODY
        )

    def ask(self, error: GatewayError | None, model: str = "m", took_ms: int = 1) -> str | None:
        """One attempt that ends so; the id of its credential."""
        target = self.target(model)
        admission = self.gate.enter(target, ())
        attempt = Attempt(target, NOBODY, None, self.clock.ns)
        self.clock.ns += took_ms * 10**6
        if error is None:
            attempt.first_byte_ns = self.clock.ns
            self.gate.answered(admission, attempt)
            self.gate.answered(admission, attempt)
        self.gate.leave(admission, attempt, error)
        return admission.credential.id if admission.credential else None

    def refused(self, model: str = "m") -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            self.gate.enter(self.target(model), ())
        return caught.value


def test_a_failing_model_is_left_alone_and_another_of_the_provider_is_not() -> None:
    place = Place()
    for _ in range(3):
        place.ask(FAILED)
    error = place.refused()
    assert (error.code, error.public, error.status) == ("upstream_resting", "unavailable", 503)
    assert error.after_s is not None
    assert 9 < error.after_s <= 10
    assert place.gate.look(place.target()).healthy is False
    assert place.ask(None, "other") == "p/1"
    place.clock.ns += 10 * S
    assert place.gate.look(place.target()).healthy is True  # a router must offer it, or nobody would try
    assert place.ask(None) == "p/1"
    assert place.gate.look(place.target()).healthy is True


def test_a_failing_credential_leaves_the_other_one_in_use() -> None:
    place = Place(keys=2)
    for _ in range(5):
        admission = place.gate.enter(place.target(), {Slug("p/2")})
        place.gate.leave(admission, Attempt(place.target(), NOBODY, None, 0), FAILED)
        if place.health.breaker(place.target(), Slug("p/1")).until_ns:
            break
    assert {place.ask(None) for _ in range(4)} == {"p/2"}


def test_only_one_probe_is_let_through() -> None:
    place = Place()
    for _ in range(3):
        place.ask(FAILED)
    place.clock.ns += 10 * S
    admission = place.gate.enter(place.target(), ())
    assert place.refused().code == "upstream_resting"
    place.gate.leave(admission, None, None)  # the client of the probe left
    again = place.gate.enter(place.target(), ())
    place.gate.answered(again, Attempt(place.target(), NOBODY, None, place.clock.ns))
    place.gate.enter(place.target(), ())  # closed with the probe's first byte, not with its last


def test_a_provider_that_cannot_be_reached_is_left_alone_as_a_whole() -> None:
    place = Place()
    for model in ("a", "b", "c"):
        place.ask(GONE, model)
    assert place.refused("d").code == "upstream_resting"
    place.clock.ns += 10 * S
    place.ask(FAILED, "d")  # it answers again, if badly
    assert place.ask(None, "e") == "p/1"


@pytest.mark.parametrize(
    "error",
    [
        UpstreamRefused("upstream_refused"), UpstreamRefused("upstream_context"),
        UpstreamRefused("upstream_policy"), UpstreamError("upstream_empty"), ClientGone("client_closed"),
        OurError("bug"),
    ],
)  # fmt: skip
def test_a_call_that_is_at_fault_itself_opens_nothing(error: GatewayError) -> None:
    place = Place()
    for _ in range(20):
        place.ask(error)
    assert place.ask(None) == "p/1"


@pytest.mark.parametrize(
    "error", [FAILED, UpstreamTimeout("upstream_timeout"), UpstreamError("upstream_cut")]
)
def test_failures_of_the_target_open_it(error: GatewayError) -> None:
    place = Place()
    for _ in range(3):
        place.ask(error)
    assert place.refused().code == "upstream_resting"


def test_a_throttled_credential_rests_for_its_model_only_and_is_no_failure() -> None:
    place = Place()
    place.ask(UpstreamBusy("upstream_busy", after_s=7))
    error = place.refused()
    assert (error.code, error.after_s) == ("upstream_busy", pytest.approx(7, abs=0.1))
    assert place.ask(None, "other") == "p/1"
    place.clock.ns += 7 * S
    assert place.ask(None) == "p/1"


@pytest.mark.parametrize(
    ("said", "rest_s"), [(-1.0, 0), (1e9, 300), (float("nan"), 5), (float("inf"), 300), (None, 5), (2.5, 2.5)]
)
def test_whatever_pause_is_named_the_rest_is_a_sane_one(said: float | None, rest_s: float) -> None:
    assert pause_s(UpstreamBusy("upstream_busy", after_s=said)) == rest_s


def test_a_dead_credential_is_dead_for_all_models() -> None:
    place = Place()
    place.ask(CredentialDead("upstream_credential"))
    assert place.refused("other").code == "upstream_credential"
    assert place.gate.look(place.target("other")).healthy is False


def test_without_breakers_nothing_is_set_aside_but_what_is_held_by_hand() -> None:
    place = Place(rules=None)
    for _ in range(20):
        place.ask(FAILED)
        place.ask(GONE)
        place.ask(UpstreamBusy("upstream_busy", after_s=60))
    assert place.gate.look(place.target()).healthy is True
    place.health.hold(Slug("p/m"))
    assert place.refused().code == "upstream_resting"
    assert place.gate.look(place.target()).healthy is False
    place.health.release(Slug("p/m"))
    assert place.ask(None) == "p/1"


def test_a_target_or_a_provider_is_held_by_hand_and_released() -> None:
    place = Place()
    place.health.hold(Slug("p"))
    assert place.refused("any").code == "upstream_resting"
    assert [(one.target, one.state) for one in place.health.states()] == [("p", State.HELD)]
    place.health.release(Slug("p"))
    assert place.ask(None) == "p/1"


def test_a_provider_without_keys_has_breakers_too() -> None:
    place = Place(keys=0, needs_key=False)
    for _ in range(3):
        place.ask(FAILED)
    assert place.refused().code == "upstream_resting"
    assert Place(keys=0).refused().code == "no_credential"


def test_states_tell_how_each_breaker_stands() -> None:
    place = Place()
    for _ in range(3):
        place.ask(FAILED)
    place.ask(None, "other")
    told = {(one.target, one.credential): one for one in place.health.states()}
    assert told[Slug("p/m"), Slug("p/1")].state is State.OPEN
    assert told[Slug("p/m"), Slug("p/1")].after_s > 9
    assert told[Slug("p/other"), Slug("p/1")].state is State.CLOSED
    assert told[Slug("p"), None].state is State.CLOSED


def test_calls_under_way_are_counted() -> None:
    place = Place()
    admissions = [place.gate.enter(place.target(), ()) for _ in range(3)]
    assert place.gate.look(place.target()).in_flight == 3
    assert list(place.health.in_flight()) == [("p/m", 3)]
    for admission in admissions:
        place.gate.leave(admission, None, None)
    assert place.gate.look(place.target()).in_flight == 0


def test_latency_is_that_to_the_first_byte_and_failures_are_a_penalty() -> None:
    place = Place()
    assert place.gate.look(place.target()).latency_us is None
    place.ask(None, took_ms=20)
    assert place.gate.look(place.target()).latency_us == 20_000
    place.ask(FAILED, took_ms=5)
    assert place.gate.look(place.target()).latency_us == pytest.approx(1_005_000, rel=0.01)
    place.clock.ns += 120 * S
    assert place.gate.look(place.target()).latency_us == pytest.approx(15_400, rel=0.05)


def test_a_peak_counts_at_once_and_sinks_to_what_is_usual() -> None:
    latency = Latency()
    assert latency.read(S) is None
    for second in range(1, 50):
        latency.add(second * S, 10_000)
    latency.add(50 * S, 500_000)
    assert latency.read(50 * S) == 500_000
    assert 200_000 < (latency.read(60 * S) or 0) < 300_000
    assert 40_000 < (latency.read(110 * S) or 0) < 70_000
    latency.add(111 * S, 10_000)
    assert (latency.read(111 * S) or 0) > 30_000
