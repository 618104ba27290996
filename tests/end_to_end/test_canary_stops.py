"""A canary in a running gateway: the trial is tried, proven dearer, stopped, and stays stopped."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from gateway.cli import main
from tests.installation import Installation

TREE: dict[str, Any] = {
    "models": {
        "old": {"provider": "echo", "price": {"input": "1.00", "output": "1.00"}},
        "new": {"provider": "echo", "price": {"input": "9.00", "output": "9.00"}},
    },
    "routes": {
        "auto": {
            "use": "canary",
            "stable": "old",
            "trial": "new",
            "since": "2020-01-01",
            "share": 0.5,
            "by": "call",
            "rollback": {"least": 5},
        }
    },
    "routing": {"trial_interval": "20ms", "policy_time": "50ms"},
}


async def ask(gateway: Installation, count: int, path: str = "/v1/chat/completions") -> list[str]:
    """Reasons of calls to the route."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"authorization": f"Bearer {gateway.key}"}
    reasons = []
    async with aiohttp.ClientSession() as client:
        for _ in range(count):
            async with client.post(f"{gateway.url}{path}", json=body, headers=headers) as answer:
                assert answer.status == 200
                reasons.append(answer.headers["x-gateway-route"])
    return reasons


async def test_a_dearer_trial_is_stopped_and_stays_stopped(
    start: Any, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    gateway = await start(TREE)
    reasons = await ask(gateway, 40)
    assert {"canary-trial", "canary-stable"} <= set(reasons)
    for _ in range(100):
        if (await ask(gateway, 1))[0] == "canary-stopped":
            break
        await asyncio.sleep(0.02)
    assert set(await ask(gateway, 5)) == {"canary-stopped"}
    async with aiohttp.ClientSession() as client:
        headers = {"authorization": f"Bearer {gateway.admin_token}"}
        async with client.get(f"{gateway.admin_url}/metrics", headers=headers) as page:
            assert "gateway_trials_stopped 1" in await page.text()
    await gateway.records(46)
    file = tmp_path / "there.toml"
    routes = ", ".join(f"{key} = {_toml(value)}" for key, value in TREE["routes"]["auto"].items())
    models = ", ".join(f"{name} = {_toml(table)}" for name, table in TREE["models"].items())
    store = json.dumps(str(gateway.folder / "data" / "gateway.db"))
    file.write_text(
        f"models = {{ {models} }}\nroutes = {{ auto = {{ {routes} }} }}\n[store]\npath = {store}\n"
    )
    capsys.readouterr()
    words = ["routes", "canary", "--config", str(file)]
    assert await asyncio.to_thread(main, [*words, "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)["canaries"]
    assert (found["route"], found["state"], found["stopped_by"]) == ("auto", "stopped", "cost")
    assert found["trial"]["errors"] == found["stable"]["errors"] == 0
    assert {one["rule"] for one in found["rules"]} == {"errors", "latency", "cost"}
    assert await asyncio.to_thread(main, words) == 0
    assert "auto: stopped by cost" in capsys.readouterr().out
    await gateway.stop()
    again = await start(TREE)  # in the same folder
    again.key = gateway.key
    assert set(await ask(again, 3)) == {"canary-stopped"}


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)


def test_without_a_canary_there_is_nothing_to_tell(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    file = tmp_path / "there.toml"
    file.write_text(f"[store]\npath = {json.dumps(str(tmp_path / 'gateway.db'))}\n")
    assert main(["routes", "canary", "--config", str(file)]) == 0
    assert "no route" in capsys.readouterr().out
