"""What calls saved, as records and headers tell it, for each way a baseline is declared."""

from typing import Any

import aiohttp
import pytest

from tests.installation import Installation

DEAR, CHEAP = {"input": "3.00", "output": "15.00"}, {"input": "0.10", "output": "0.40"}
TREE: dict[str, Any] = {
    "models": {
        "dear": {"provider": "echo", "price": DEAR},
        "cheap": {"provider": "echo", "price": CHEAP},
    },
    "routes": {
        "plain": {"use": "cheapest", "targets": ["dear", "cheap"]},
        "declared": {"use": "cheapest", "targets": ["dear", "cheap"], "baseline": "dear"},
        "dear": {"use": "cheapest", "targets": ["dear", "cheap"]},
    },
}


async def ask(gateway: Installation, model: str, key: str, **fields: Any) -> Any:
    """Headers of an answer."""
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], **fields}
    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession() as client:
        url = f"{gateway.url}/v1/chat/completions"
        async with client.post(url, json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()
            return answer.headers


def nanos(dollars: str) -> int:
    whole, _, rest = dollars.partition(".")
    return int(whole) * 10**9 + int(rest.ljust(9, "0"))


@pytest.mark.parametrize("way", ["requested", "route", "key", "none"])
async def test_a_call_is_measured_against_what_was_declared(start: Any, way: str) -> None:
    gateway = await start(TREE)
    key = await gateway.make_key("k", baseline="dear") if way == "key" else gateway.key
    model = {"requested": "dear", "route": "declared"}.get(way, "plain")
    headers = await ask(gateway, model, key)
    [record] = await gateway.records()
    plain = record.tokens_input * 100 + record.tokens_output * 400
    assert (record.model_routed, record.cost_nanos) == ("echo/cheap", plain)
    if way == "none":
        assert (record.baseline_model, record.baseline_nanos, record.saved_estimated) == (None, plain, False)
        assert headers["x-gateway-saved-usd"] == "0"
        return
    baseline = record.tokens_input * 3000 + record.tokens_output * 15000
    assert (record.baseline_model, record.baseline_nanos) == ("echo/dear", baseline)
    assert (record.saved_routing_nanos, record.saved_estimated) == (baseline - plain, True)
    assert nanos(headers["x-gateway-saved-usd"]) == baseline - plain


async def test_a_route_s_own_baseline_goes_before_that_of_a_key(start: Any) -> None:
    gateway = await start(TREE)
    key = await gateway.make_key("k", baseline="cheap")
    await ask(gateway, "declared", key)
    [record] = await gateway.records()
    assert record.baseline_model == "echo/dear"


async def test_a_baseline_that_nobody_serves_saves_nothing_known(start: Any) -> None:
    gateway = await start(TREE)
    key = await gateway.make_key("k", baseline="nobody/model")
    await ask(gateway, "plain", key)
    [record] = await gateway.records()
    assert (record.baseline_model, record.saved_routing_nanos) == (None, 0)
