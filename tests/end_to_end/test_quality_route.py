"""Outcomes by the admin API move a route, once they prove enough."""

from typing import Any

import aiohttp

from gateway.contracts import Outcome
from gateway.names import Slug
from tests.conftest import Start
from tests.installation import Installation

ROUTE: dict[str, Any] = {
    "models": {
        "large": {"provider": "echo", "model": "echo-1", "price": {"input": "10", "output": "20"}},
        "small": {"provider": "echo", "model": "echo-2", "price": {"input": "1", "output": "2"}},
    },
    "routes": {
        "auto": {
            "use": "quality",
            "targets": ["large", "small"],
            "default": "large",
            "stand_ins": {"large": {"*": ["small"]}},
        }
    },
}


async def call(gateway: Installation) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": f"Bearer {gateway.key}", "x-gateway-task": "chat"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(gateway.url + "/v1/chat/completions", json=body, headers=headers) as answer,
    ):
        assert answer.status == 200


async def judge(gateway: Installation, rows: Any) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {gateway.admin_token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(gateway.admin_url + "/admin/outcomes", json=rows) as answer,
    ):
        return answer.status, await answer.json()


async def test_a_route_moves_when_outcomes_prove_it(start: Start) -> None:
    gateway = await start(ROUTE)
    await call(gateway)
    (first,) = await gateway.records(1)
    assert (first.model_routed, first.route_reason) == ("echo/echo-1", "quality_kept")
    await gateway.store.outcomes.add(
        [
            Outcome(
                call=Slug(f"c-{number}"),
                source=Slug("shadow"),
                at_ms=1,
                task=Slug("chat"),
                model=Slug("echo/echo-2"),
                against=Slug("echo/echo-1"),
                score=1000,
            )
            for number in range(300)
        ]
    )
    await gateway.app.refresh_outcomes()
    await call(gateway)
    _, second = await gateway.records(2)
    assert (second.model_routed, second.route_reason) == ("echo/echo-2", "quality_table")
    assert second.baseline_model == "echo/echo-1"  # the default is what the saving is measured against
    assert second.saved_routing_nanos > 0


async def test_thumbs_are_joined_with_their_records(start: Start) -> None:
    gateway = await start(ROUTE)
    await call(gateway)
    (record,) = await gateway.records(1)
    rows = [{"request_id": record.id, "thumb": "up"}, {"request_id": "nobody", "score": 0.5}]
    assert await judge(gateway, rows) == (200, {"added": 1, "known": 0, "unknown": 1})
    assert await judge(gateway, rows) == (200, {"added": 0, "known": 1, "unknown": 1})
    assert await judge(gateway, rows[0]) == (200, {"added": 0, "known": 1, "unknown": 0})
    (cell,) = await gateway.store.outcomes.cells()
    assert (cell.task, cell.model, cell.count, cell.total) == ("chat", "echo/echo-1", 1, 1000)


async def test_what_could_be_content_is_refused(gateway: Installation) -> None:
    status, told = await judge(gateway, [{"request_id": "a", "thumb": "up", "comment": "canary"}])
    assert (status, told) == (400, {"error": "bad_request", "row": 1, "about": "unknown_field"})
    assert (await judge(gateway, {"request_id": "a"}))[0] == 400
    assert (await judge(gateway, [{"request_id": "a", "thumb": "up"}] * 1001))[0] == 400
    assert await gateway.store.outcomes.cells() == []
