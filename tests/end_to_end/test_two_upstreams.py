"""A provider's bad day, in small: one of two upstreams dies, answers 500, falls silent, throttles, lies."""

from pathlib import Path

from tests.campaigns import bad_day

SLOW_S = 5.0
"""How late a call may be on a machine that has other work. The real campaign asks for one second."""


async def test_a_thousand_calls_survive_whatever_one_of_two_upstreams_does(tmp_path: Path) -> None:
    verdict = await bad_day.campaign(tmp_path, 1000, patience_s=1.0, late_s=SLOW_S)
    assert not verdict.findings, str(verdict)
