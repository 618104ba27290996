"""/v1/me and /v1/usage: a caller sees its own state with its own key, and nobody else's."""

import asyncio
import urllib.error
import urllib.request
from typing import Any

import orjson
import pytest

from tests.installation import Installation

BODY = b'{"model": "echo-1", "messages": [{"role": "user", "content": "Hello"}]}'


async def ask(gateway: Installation, path: str, key: str, body: bytes | None = None) -> Any:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(gateway.url + path, data=body, headers=headers)

    def send() -> Any:
        with urllib.request.urlopen(request) as answer:
            return orjson.loads(answer.read())

    return await asyncio.to_thread(send)


async def test_a_key_sees_its_own_state(gateway: Installation) -> None:
    key = await gateway.make_key("capped", cap="1.50", rate="600")
    await ask(gateway, "/v1/chat/completions", key, BODY)
    me = await ask(gateway, "/v1/me", key)
    assert (me["name"], me["org"], me["project"]) == ("capped", "default", "default")
    assert (me["cap_usd"], me["spent_usd"], me["left_usd"]) == ("1.5", "0.000006", "1.499994")
    assert me["calls_per_minute"] == 600
    assert (await ask(gateway, "/v1/me", gateway.key))["cap_usd"] is None


async def test_a_key_sees_only_its_own_usage(gateway: Installation) -> None:
    other = await gateway.make_key("other")
    await ask(gateway, "/v1/chat/completions", gateway.key, BODY)
    await gateway.records()
    assert (await ask(gateway, "/v1/usage", other))["rows"] == []
    [row] = (await ask(gateway, "/v1/usage", gateway.key))["rows"]
    assert (row["model_routed"], row["calls"], row["cost_usd"]) == ("echo/echo-1", 1, "0.000006")


@pytest.mark.parametrize("path", ["/v1/me", "/v1/usage"])
async def test_without_a_key_there_is_no_answer(gateway: Installation, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        await ask(gateway, path, "wrong")
    refused.value.close()
    assert refused.value.code == 401
