"""Data policies: the bundled facts, what the configuration says instead; and no plan is below a floor."""

import asyncio
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.accounts.grammar import FLOORS
from gateway.contracts import Rights
from gateway.errors import GatewayError
from gateway.names import Slug
from gateway.upstreams.data_policies import POLICIES, known, policy_of
from tests.fakes import flow as fakes
from tests.fakes.flow import BUSY, CALLER, FAILED, stand, whole

HERE = {"use": "compatible", "base_url": "https://one.example/v1"}


def test_policies_are_the_floors_that_keys_may_have() -> None:
    assert POLICIES == FLOORS


@pytest.mark.parametrize("kind", known())
def test_each_fact_names_its_source_and_its_date(kind: str) -> None:
    for fact in known()[kind]:
        assert fact.source.startswith("https://")
        assert date(2026, 1, 1) <= date.fromisoformat(fact.checked)
        assert fact.policy in POLICIES
        assert fact.retention_days >= 0


def test_what_is_known_holds_at_the_providers_own_address_only() -> None:
    assert policy_of("openai", "api.openai.com", "gpt-4o", answers_itself=False) == "no-training"
    assert policy_of("openai", "proxy.example", "gpt-4o", answers_itself=False) is None
    assert policy_of("compatible", "openrouter.ai", "any", answers_itself=False) is None
    assert policy_of("echo", "", "echo-1", answers_itself=True) == "local"
    assert policy_of("gemini", "generativelanguage.googleapis.com", "g", answers_itself=False) == "any"


def tree(*policies: str | None, chain: tuple[str, ...] = ()) -> dict[str, Any]:
    """Providers p0, p1, … with these policies, model mN at each, and a route over all."""
    names = [f"m{number}" for number in range(len(policies))]
    return {
        "providers": {
            f"p{number}": {**HERE, **({"data_policy": policy} if policy else {})}
            for number, policy in enumerate(policies)
        },
        "models": {
            name: {"provider": f"p{number}", "price": {"input": "1", "output": "1"}}
            for number, name in enumerate(names)
        },
        "routes": {
            "all": {"use": "fallback", "targets": names, "allow_costlier": True}
            | ({"on": {"server": list(chain), "rate": list(chain)}} if chain else {})
        },
        "upstream": {"attempts": 6, "retry_pause": "1ms", "breaker": False},
    }


def with_floor(floor: str | None) -> Any:
    return replace(CALLER, rights=Rights(floor=Slug(floor) if floor else None))


@pytest.mark.parametrize(
    ("floor", "policy", "status"),
    [
        (None, None, 200),
        ("no-training", None, 403),
        ("no-training", "any", 403),
        ("no-training", "no-training", 200),
        ("no-training", "local", 200),
        ("no-retention", "no-training", 403),
        ("local", "no-retention", 403),
        ("local", "local", 200),
    ],
)
async def test_a_target_below_the_floor_is_refused(
    tmp_path: Path, floor: str | None, policy: str | None, status: int
) -> None:
    one = stand(tmp_path, (200, [whole()]), tree=tree(policy), caller=with_floor(floor))
    exchange, _ = await one.call({"model": "m0"})
    told = exchange.error
    assert (told.status if told else 200) == status
    assert told is None or told.code == "policy_not_known"
    assert len(one.exit.requests) == (status == 200)


async def test_what_the_configuration_says_of_a_model_goes_before_its_provider(tmp_path: Path) -> None:
    own = tree("no-training")
    own["models"]["m0"]["data_policy"] = "any"
    own["models"]["other-name"] = {"provider": "p0", "model": "m0", "data_policy": "local"}
    for name in ("m0", "other-name", "p0/m0"):  # the looser of two holds, by whatever name it is asked
        one = stand(tmp_path / name.replace("/", "-"), tree=own, caller=with_floor("no-training"))
        exchange, _ = await one.call({"model": name})
        assert exchange.error is not None
        assert exchange.error.code == "policy_not_known"


Some = st.sampled_from([None, *POLICIES])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    policies=st.lists(Some, min_size=1, max_size=4),
    floor=Some,
    chain=st.lists(st.integers(0, 3), max_size=3),
    faults=st.lists(st.sampled_from([BUSY, FAILED, GatewayError]), min_size=8, max_size=8),
)
def test_no_attempt_ever_goes_below_a_floor(
    tmp_path: Path, policies: list[Any], floor: Any, chain: list[int], faults: list[Any]
) -> None:
    names = tuple(dict.fromkeys(f"m{number % len(policies)}" for number in chain))
    scripts = [BUSY if fault is GatewayError else fault for fault in faults]
    one = stand(
        tmp_path / fresh(), *scripts, tree=tree(*policies, chain=names), caller=with_floor(floor), keys=1
    )
    exchange, _ = asyncio.run(fakes.run(one.flow, {"model": "all"}))
    rank = POLICIES.index(floor) if floor else 0
    for attempt in exchange.attempts:
        policy = attempt.target.policy
        assert floor is None or policy is not None or rank == 0
        assert (POLICIES.index(policy) if policy else 0) >= rank
    assert len(one.records) == 1
    assert (one.ledger.held, one.ledger.open_holds) == (0, 0)


_count = iter(range(10**6))


def fresh() -> str:
    return f"stand-{next(_count)}"
