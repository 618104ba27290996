"""What the interface promises, point by point: headers, keys, paths, prices nobody knows, columns."""

import asyncio
import csv
import io
import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from gateway.cli import main
from gateway.records import NAMES
from tests.end_to_end.stand import CLAUDE, GEMINI, LLAMA, OPENAI, Stand, user
from tests.end_to_end.test_money_by_hand import CASES, priced
from tests.upstream import NOISE

# --- headers -------------------------------------------------------------------------------------

ALWAYS: Final = (
    "x-gateway-request-id",
    "x-gateway-model",
    "x-gateway-route",
    "x-gateway-task",
    "x-gateway-attempts",
    "x-gateway-overhead-us",
)


@pytest.mark.parametrize("case", CASES)
async def test_the_headers_of_an_answer(stand: Stand, case: str) -> None:
    path, body, *_ = CASES[case]
    body = json.loads(json.dumps(body).replace("my-openai", OPENAI).replace("my-anthropic", CLAUDE))
    body = json.loads(json.dumps(body).replace("my-groq", LLAMA))
    stand.upstream.add_headers(NOISE)
    answer = await stand.ask(path.replace("my-gemini", GEMINI), body)
    assert answer.status == 200
    assert all(answer.headers[name] for name in ALWAYS)
    provider, _, _ = answer.headers["x-gateway-model"].partition("/")
    assert provider == {"chat": "openai", "responses": "openai", "messages": "anthropic"}.get(case, case)
    assert answer.headers["x-gateway-attempts"] == "1"
    assert answer.headers["x-gateway-cost-usd"] != "0"  # ours, not the provider's
    assert answer.headers["x-request-id"] == "req_noise"
    assert answer.headers["x-ratelimit-remaining-requests"] == "41"
    record = await stand.record()
    assert record.id == answer.headers["x-gateway-request-id"]
    assert record.model_routed == answer.headers["x-gateway-model"]


KEY_PLACES: Final = ("authorization", "x-api-key", "x-goog-api-key", "?key=")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("place", KEY_PLACES)
async def test_a_key_is_taken_wherever_a_client_puts_it_and_goes_no_further(
    put_up: Any, case: str, place: str
) -> None:
    stand: Stand = await put_up({"models": priced()})
    path, body, *_ = CASES[case]
    headers = {"anthropic-version": "2023-06-01"} if case == "messages" else {}
    if place == "?key=":
        path += f"?key={stand.key}"
    else:
        headers[place] = f"Bearer {stand.key}" if place == "authorization" else stand.key
    tags = {
        "feature": "f",
        "environment": "e",
        "session": "s",
        "customer": "c",
        "route": "off",
        "max-cost": "9",
    }
    headers |= {f"x-gateway-{name}": value for name, value in tags.items()}
    async with stand.session.post(stand.gateway.url + path, json=body, headers=headers) as response:
        assert response.status == 200
        await response.read()
    sent = stand.upstream.last
    assert stand.key not in sent.target
    assert all(stand.key not in value for _, value in sent.headers)
    assert not [name for name, _ in sent.headers if name.lower().startswith("x-gateway")]
    record = await stand.record()
    assert (record.feature, record.environment, record.session, record.customer) == ("f", "e", "s", "c")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ["feature", "environment", "session", "customer"])
@pytest.mark.parametrize("value", ["joe@example.com", "a b", "x" * 65, "", "jo\u00e9", "a;b", "a%40b.c"])
async def test_a_tag_that_could_name_a_person_is_refused(shared: Stand, name: str, value: str) -> None:
    before = len(shared.upstream.requests)
    body = {"model": OPENAI, "messages": user("hi")}
    answer = await shared.ask("/v1/chat/completions", body, headers={f"x-gateway-{name}": value})
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_request")
    assert value == "" or value.encode() not in answer.body
    assert len(shared.upstream.requests) == before


async def test_route_off_means_exactly_the_model_asked_for(put_up: Any) -> None:
    stand: Stand = await put_up({"routes": {OPENAI: {"use": "fallback", "targets": ["echo-1"]}}})
    body = {"model": OPENAI, "messages": user("hi")}
    routed = await stand.ask("/v1/chat/completions", body)
    assert routed.headers["x-gateway-model"] == "echo/echo-1"
    exact = await stand.ask("/v1/chat/completions", body, headers={"x-gateway-route": "off"})
    assert exact.headers["x-gateway-model"] == f"openai/{OPENAI}"
    assert exact.headers["x-gateway-route"] == "requested"


async def test_max_cost_is_held_against_the_most_a_call_can_cost(put_up: Any) -> None:
    stand: Stand = await put_up({"models": priced()})
    body = {"model": "my-openai", "messages": user("hi"), "max_tokens": 100}
    most = {"x-gateway-max-cost": "0.001"}  # the output alone may cost 0.0015
    assert (await stand.ask("/v1/chat/completions", body, headers=most)).status == 402
    enough = {"x-gateway-max-cost": "0.01"}
    assert (await stand.ask("/v1/chat/completions", body, headers=enough)).status == 200


# --- what may be kept by the provider, and seen by a key --------------------------------------------


async def test_a_provider_keeps_nothing_unless_the_key_may_ask_for_it(stand: Stand) -> None:
    body = {"model": OPENAI, "input": "hi"}
    refused = await stand.ask("/v1/responses", {**body, "store": True})
    assert (refused.status, refused.json["error"]["code"]) == (403, "not_allowed")
    assert refused.headers["x-gateway-error"] == "store_not_allowed"
    assert stand.upstream.requests == []
    await stand.ask("/v1/responses", body)
    assert stand.upstream.last.json["store"] is False
    keeper = await stand.gateway.make_key("keeper", store="allow")
    await stand.ask("/v1/responses", {**body, "store": True}, key=keeper)
    assert stand.upstream.last.json["store"] is True


LISTS: Final = {
    "/v1/models": {},
    "/openai/v1/models": {},
    "/anthropic/v1/models": {},
    "/v1beta/models": {},
    "/gemini/v1beta/models": {},
}


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_of_models_has_what_the_key_may_use(stand: Stand, path: str) -> None:
    narrow = await stand.gateway.make_key("narrow", models=OPENAI)
    answer = await stand.ask(path, None, key=narrow, method="GET")
    listed = answer.json.get("data") or answer.json["models"]
    names = {one.get("id") or one["name"].removeprefix("models/") for one in listed}
    assert names == {OPENAI}
    assert len((await stand.ask(path, None, method="GET")).body) > len(answer.body)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_path_without_a_meter_is_closed(shared: Stand) -> None:
    before = len(shared.upstream.requests)
    for path in (
        "files",
        "batches",
        "completions",
        "images/edits",
        "responses/r_1",
        "messages/batches",
        "uploads",
    ):
        for method in ("GET", "POST"):
            answer = await shared.ask(f"/v1/{path}", {} if method == "POST" else None, method=method)
            assert answer.status == 404, path
    assert len(shared.upstream.requests) == before


# --- the price that nobody knows -----------------------------------------------------------------


async def test_a_call_without_a_price_is_refused_or_kept_as_unpriced(put_up: Any) -> None:
    strict: Stand = await put_up()
    body = {"model": "openai/brand-new", "messages": user("hi")}
    refused = await strict.ask("/v1/chat/completions", body)
    assert (refused.status, refused.json["error"]["code"]) == (402, "unpriced_model")
    assert strict.upstream.requests == []


async def test_a_call_that_is_let_through_without_a_price_costs_nothing_known(put_up: Any) -> None:
    stand: Stand = await put_up({"prices": {"unknown": "record"}})
    body = {"model": "openai/brand-new", "messages": user("hi")}
    answer = await stand.ask("/v1/chat/completions", body)
    assert answer.status == 200
    assert "x-gateway-cost-usd" not in answer.headers
    record = await stand.record()
    assert (record.cost_nanos, record.baseline_nanos, record.priced) == (None, None, False)
    assert record.tokens_input > 0


# --- the record as users get it --------------------------------------------------------------------

COLUMNS: Final = [
    "id",
    "at",
    "org",
    "project",
    "key_id",
    "feature",
    "environment",
    "customer",
    "session",
    "dialect",
    "path_kind",
    "model_requested",
    "model_routed",
    "provider",
    "tier",
    "route_reason",
    "task",
    "task_confidence",
    "attempts",
    "stream",
    "status",
    "outcome",
    "error_code",
    "tokens_input",
    "tokens_cached",
    "tokens_cache_write_5m",
    "tokens_cache_write_1h",
    "tokens_output",
    "tokens_reasoning",
    "usage_source",
    "cost_nanos",
    "baseline_nanos",
    "saved_routing_nanos",
    "saved_downgrade_nanos",
    "saved_cache_nanos",
    "price_version",
    "priced",
    "queue_us",
    "overhead_us",
    "first_byte_us",
    "total_us",
    "source",
]


def test_the_columns_have_the_names_that_were_promised() -> None:
    assert [name for name in COLUMNS if name not in NAMES] == []


async def test_an_export_has_every_column_and_times_in_iso_8601(
    stand: Stand, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    await stand.ask("/v1/chat/completions", {"model": OPENAI, "messages": user("hi")})
    record = await stand.record()
    path = tmp_path / "there.toml"
    path.write_text(f"[store]\npath = {json.dumps(str(stand.gateway.folder / 'data' / 'gateway.db'))}\n")

    def exported(format: str) -> str:
        assert main(["export", "--since", "1h", "--format", format, "--config", str(path)]) == 0
        return capsys.readouterr().out

    [line] = (await asyncio.to_thread(exported, "jsonl")).splitlines()
    row = json.loads(line)
    assert list(row) == list(NAMES)
    moment = datetime.fromisoformat(row["at"])
    assert (moment.tzinfo, round(moment.timestamp() * 10**6)) == (UTC, record.at)
    [in_csv] = list(csv.DictReader(io.StringIO(await asyncio.to_thread(exported, "csv"))))
    assert in_csv["cost_nanos"] == str(row["cost_nanos"])
    assert list(in_csv) == list(NAMES)
