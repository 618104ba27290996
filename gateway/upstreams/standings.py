"""What is known of the targets, as gauges and as rows for the admin API."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.upstreams.breaker import State
from gateway.upstreams.health import Health

Values = Mapping[tuple[tuple[str, str], ...], int]


def gauges(health: Health) -> dict[str, tuple[str, Callable[[], Values]]]:
    """Breakers that are not closed, and calls under way; the labels are names of the configuration."""

    def breakers() -> Values:
        return {
            (("target", one.target), ("credential", one.credential or "any")): int(
                one.state is not State.CLOSED
            )
            for one in health.states()
        }

    def calls() -> Values:
        return {(("target", name),): count for name, count in health.in_flight()}

    return {
        "gateway_breaker_open": ("Processes that set a target aside, by target and credential.", breakers),
        "gateway_target_calls": ("Calls under way at a target.", calls),
    }


def rows(health: Health) -> list[dict[str, Any]]:
    """Every breaker of this process: target, credential, state, and seconds until it may be asked again."""
    return [
        {
            "target": one.target,
            "credential": one.credential,
            "state": one.state,
            "after_s": round(one.after_s, 1),
        }
        for one in health.states()
    ]
