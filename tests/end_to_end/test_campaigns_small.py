"""The campaigns, in small: kill -9, full disk, locked database, many calls, awaits, hooks, broken providers.

Each runs the gateway in processes of its own. The real sizes are run by hand; see docs/campaigns.md.
"""

from pathlib import Path

import pytest

from tests.campaigns import broken_providers, disk_full, fault_points, kill, locked, soak
from tests.campaigns.judge import Verdict

SLOW_S = 15.0
"""How late a start may be on a machine that has other work. The real campaign asks for two seconds."""


def passed(verdict: Verdict) -> None:
    assert not verdict.findings, str(verdict)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_killed_gateway_loses_and_doubles_nothing(tmp_path: Path, workers: int) -> None:
    verdict = await kill.campaign(
        tmp_path, 3, workers=workers, users=8, ready_s=SLOW_S, least_s=0.3, most_s=0.6
    )
    passed(verdict)
    assert verdict.figures["calls begun"] > 20  # type: ignore[operator]


@pytest.mark.parametrize("quota", [False, True], ids=["memory disk", "quota"])
async def test_a_full_disk_refuses_calls_and_loses_none(tmp_path: Path, quota: bool) -> None:
    passed(await disk_full.campaign(tmp_path, 1, 0.5, users=8, quota=quota))


async def test_a_locked_database_is_not_noticed_by_calls(tmp_path: Path) -> None:
    passed(await locked.campaign(tmp_path, 3.0, users=8))


async def test_a_gateway_killed_while_the_database_is_locked_loses_nothing(tmp_path: Path) -> None:
    passed(await locked.campaign(tmp_path, 0.5, users=8, queue=10, kill=True))


async def test_many_calls_leave_nothing_behind(tmp_path: Path) -> None:
    passed(await soak.campaign(tmp_path, 2000, unknown=300))


async def test_every_await_and_every_hook_may_fail_and_each_call_has_one_record() -> None:
    verdict = await fault_points.campaign()
    passed(verdict)
    assert verdict.figures["awaits struck"] > 500  # type: ignore[operator]


async def test_broken_providers_behind_translated_calls_end_in_errors_of_the_callers_dialect(
    tmp_path: Path,
) -> None:
    pairs = (("openai_chat", "anthropic_messages"), ("anthropic_messages", "openai_chat"))
    verdict = await broken_providers.campaign(tmp_path, 400, pairs=pairs)
    passed(verdict)
    assert verdict.figures["calls"] > 600  # type: ignore[operator]
