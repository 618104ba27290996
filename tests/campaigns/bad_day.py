"""A provider's bad day: two real upstreams behind one route, of which one dies, answers 500, or falls silent.

    python tests/campaigns/bad_day.py [--calls 20000]

Clients make whole calls all the while. In the end nearly all of them must have succeeded, those that needed
the second upstream must not have waited long, and each call has exactly one record.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from tests import hostile
from tests.campaigns.judge import Verdict
from tests.hostile import Fault, Hostile, Peer
from tests.hostile_server import BODY
from tests.installation import Installation

LATEST_S = 1.0
"""The longest that a call may take from one upstream's failure to the other's answer."""

PATIENCE_S = 0.3
"""The configured time to a provider's first byte, and between two of its pieces."""


class Moody:
    """A fault that is another one from time to time."""

    def __init__(self) -> None:
        self.fault: Fault = answer_well

    async def __call__(self, peer: Peer) -> None:
        await self.fault(peer)


answer_well = hostile.answer(
    200,
    body=b'{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}',
)

MOODS: tuple[Fault, ...] = (
    hostile.answer(500, body=BODY),
    hostile.reset_before_head,
    hostile.never_answers,
    hostile.half_a_head,
    hostile.answer(200, body=b'{"error":{"message":"hidden","type":"server_error"}}'),
    hostile.retry_after("1"),
    hostile.answer(401, body=b'{"error":{"message":"no"}}'),
    hostile.gzip_garbled,
)


async def campaign(
    folder: Path, calls: int, *, users: int = 8, patience_s: float = PATIENCE_S, late_s: float = LATEST_S
) -> Verdict:
    """So many calls, during which the first upstream is well and bad in turns, each time in another way."""
    moody = Moody()
    verdict = Verdict()
    async with Hostile(moody) as bad, Hostile(answer_well) as good:
        gateway = Installation(folder, _tree(bad.url, good.url, patience_s))
        await gateway.start()
        try:
            took_s, failed = await _drive(gateway, moody, calls, users)
            records = await gateway.records(calls)
            held = (gateway.app._ledger.held, gateway.app._ledger.open_holds)
        finally:
            await gateway.stop()
    verdict.figures |= {
        "calls": calls,
        "failed": failed,
        "success": f"{1 - failed / calls:.4%}",
        "p50 ms": round(sorted(took_s)[len(took_s) // 2] * 1000, 1),
        "p99 ms": round(sorted(took_s)[int(len(took_s) * 0.99)] * 1000, 1),
        "longest ms": round(max(took_s) * 1000, 1),
        "requests to the bad one": len(bad.requests),
        "requests to the good one": len(good.requests),
    }
    _judge(verdict, calls, failed, max(took_s), patience_s + late_s)
    if len({record.id for record in records}) != calls:
        verdict.findings.append(f"{len(records)} records of {calls} calls")
    if held != (0, 0):
        verdict.findings.append("money is still held")
    return verdict


def _judge(verdict: Verdict, calls: int, failed: int, longest_s: float, late_s: float) -> None:
    if failed > calls // 1000:
        verdict.findings.append(f"{failed} of {calls} calls failed")
    if longest_s > late_s:
        verdict.findings.append(f"a call took {longest_s:.2f} s")


async def _drive(gateway: Installation, moody: Moody, calls: int, users: int) -> tuple[list[float], int]:
    took_s: list[float] = []
    failed = begun = 0
    fields = {"authorization": f"Bearer {gateway.key}"}
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}

    async def user(session: aiohttp.ClientSession) -> None:
        nonlocal begun, failed
        while begun < calls:
            number, begun = begun, begun + 1
            phase = number * (2 * len(MOODS) + 1) // calls
            moody.fault = MOODS[(phase - 1) // 2] if phase % 2 else answer_well
            began_s = time.monotonic()
            async with session.post(
                f"{gateway.url}/v1/chat/completions", json=body, headers=fields
            ) as answer:
                await answer.read()
                failed += answer.status != 200
            took_s.append(time.monotonic() - began_s)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(user(session) for _ in range(users)))
    return took_s, failed


def _tree(bad: str, good: str, patience_s: float) -> dict[str, Any]:
    def place(url: str) -> dict[str, Any]:
        return {"use": "compatible", "base_url": f"{url}/v1", "api_key": "sk-x", "allow_private": True}

    price = {"input": "1", "output": "1"}
    return {
        "providers": {"bad": place(bad), "good": place(good)},
        "models": {
            "first": {"provider": "bad", "price": price},
            "second": {"provider": "good", "price": price},
        },
        "routes": {"auto": {"use": "fallback", "targets": ["first", "second"]}},
        "upstream": {
            "first_byte_timeout": f"{round(patience_s * 1000)}ms",
            "gap_timeout": f"{round(patience_s * 1000)}ms",
            "breaker_rest": "200ms",
        },
    }


async def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        verdict = await campaign(Path(folder), options.calls)
    print(verdict)
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
