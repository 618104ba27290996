"""Costs worked out by hand for each dialect, equal to the nano-dollar in record and header."""

import json
from typing import Any, Final

import pytest

from tests.end_to_end.stand import CLAUDE, GEMINI, LLAMA, OPENAI, Stand, user
from tests.upstream import Scripted

JSON: Final = [("content-type", "application/json")]
SSE: Final = [("content-type", "text/event-stream")]

# Prices in dollars per million tokens, chosen so that every class of tokens shows in the sum.
PRICE: Final = {
    "input": "3",
    "cached_input": "0.3",
    "cache_write": "3.75",
    "cache_write_1h": "6",
    "output": "15",
}


def priced() -> dict[str, Any]:
    """[models] tables that give each model of a provider the price above."""
    return {
        f"my-{name}": {"provider": name, "model": model, "price": PRICE}
        for name, model in (("openai", OPENAI), ("anthropic", CLAUDE), ("gemini", GEMINI), ("groq", LLAMA))
    }


@pytest.fixture
async def stand_with_prices(put_up: Any) -> Stand:
    stand: Stand = await put_up({"models": priced()})
    return stand


def sse(*events: Any, named: bool = False) -> list[bytes]:
    """Events as they stand on the wire."""
    texts = []
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        texts.append(f"{name}data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode())
    return texts


CHAT_USAGE: Final = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 60},
}
# 600 x 3 + 400 x 0.3 + 100 x 15 dollars per million: reasoning is inside the output, cached inside the input.
CHAT_NANOS: Final = 600 * 3000 + 400 * 300 + 100 * 15000

MESSAGES_USAGE: Final = {
    "input_tokens": 1000,
    "cache_read_input_tokens": 400,
    "cache_creation_input_tokens": 700,
    "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 200},
    "output_tokens": 100,
}
# Anthropic counts the parts beside the input, not inside it.
MESSAGES_NANOS: Final = 1000 * 3000 + 400 * 300 + 500 * 3750 + 200 * 6000 + 100 * 15000

GEMINI_USAGE: Final = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 400,
    "candidatesTokenCount": 40,
    "thoughtsTokenCount": 60,
    "totalTokenCount": 1100,
}
# Gemini counts thoughts beside the candidates, and both are output.
GEMINI_NANOS: Final = 600 * 3000 + 400 * 300 + (40 + 60) * 15000

RESPONSES_USAGE: Final = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 400},
    "output_tokens": 100,
    "output_tokens_details": {"reasoning_tokens": 60},
    "total_tokens": 1100,
}

CHOICE: Final = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
DELTA: Final = {"index": 0, "delta": {"content": "ok"}, "finish_reason": None}
PIECE: Final = {
    "candidates": [{"content": {"parts": [{"text": "ok"}], "role": "model"}, "finishReason": "STOP"}]
}
RESPONSE: Final = {"id": "r", "object": "response", "status": "completed", "model": OPENAI, "output": []}

CASES: Final = {
    "chat": (
        "/v1/chat/completions",
        {"model": "my-openai", "messages": user("hi")},
        {"object": "chat.completion", "choices": [CHOICE], "usage": CHAT_USAGE},
        sse(
            {"object": "chat.completion.chunk", "choices": [DELTA]},
            {"object": "chat.completion.chunk", "choices": [{**DELTA, "delta": {}, "finish_reason": "stop"}]},
            {"object": "chat.completion.chunk", "choices": [], "usage": CHAT_USAGE},
            "[DONE]",
        ),
        CHAT_NANOS,
        (1000, 400, 0, 0, 100, 60),
    ),
    "groq": (
        "/openai/v1/chat/completions",
        {"model": "my-groq", "messages": user("hi")},
        {"object": "chat.completion", "choices": [CHOICE], "usage": CHAT_USAGE},
        sse(
            {"object": "chat.completion.chunk", "choices": [DELTA]},
            {
                "object": "chat.completion.chunk",
                "choices": [{**DELTA, "delta": {}, "finish_reason": "stop"}],
                "x_groq": {"id": "g", "usage": CHAT_USAGE},
            },
            "[DONE]",
        ),
        CHAT_NANOS,
        (1000, 400, 0, 0, 100, 60),
    ),
    "responses": (
        "/v1/responses",
        {"model": "my-openai", "input": "hi"},
        {**RESPONSE, "usage": RESPONSES_USAGE},
        sse(
            {"type": "response.created", "response": {**RESPONSE, "status": "in_progress"}},
            {"type": "response.output_text.delta", "delta": "ok"},
            {"type": "response.completed", "response": {**RESPONSE, "usage": RESPONSES_USAGE}},
            named=True,
        ),
        CHAT_NANOS,
        (1000, 400, 0, 0, 100, 60),
    ),
    "messages": (
        "/v1/messages",
        {"model": "my-anthropic", "messages": user("hi"), "max_tokens": 100},
        {
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": "end_turn",
            "usage": MESSAGES_USAGE,
        },
        sse(
            {"type": "message_start", "message": {"usage": {**MESSAGES_USAGE, "output_tokens": 1}}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 100}},
            {"type": "message_stop"},
            named=True,
        ),
        MESSAGES_NANOS,
        (2100, 400, 500, 200, 100, 0),
    ),
    "gemini": (
        "/v1beta/models/my-gemini:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        {**PIECE, "usageMetadata": GEMINI_USAGE},
        sse(
            {**PIECE, "usageMetadata": {"promptTokenCount": 1000, "totalTokenCount": 1000}},
            {**PIECE, "usageMetadata": GEMINI_USAGE},
        ),
        GEMINI_NANOS,
        (1000, 400, 0, 0, 100, 60),
    ),
}


def in_nanos(dollars: str) -> int:
    """Dollars as a header shows them."""
    whole, _, rest = dollars.partition(".")
    return int(whole) * 10**9 + int(rest.ljust(9, "0"))


def tokens(record: Any) -> tuple[int, ...]:
    """The token columns."""
    return (
        record.tokens_input,
        record.tokens_cached,
        record.tokens_cache_write_5m,
        record.tokens_cache_write_1h,
        record.tokens_output,
        record.tokens_reasoning,
    )


@pytest.mark.parametrize("case", CASES)
async def test_the_cost_by_hand_is_the_cost_in_record_and_header(stand_with_prices: Stand, case: str) -> None:
    stand = stand_with_prices
    path, body, whole, _, nanos, counted = CASES[case]
    stand.upstream.script(Scripted(200, JSON, [json.dumps(whole).encode()]))
    answer = await stand.ask(path, body)
    assert answer.status == 200
    record = await stand.record()
    plain = counted[0] * 3000 + counted[4] * 15000  # the same without a prompt cache
    assert (record.cost_nanos, record.baseline_nanos, record.priced) == (nanos, plain, True)
    assert (record.saved_cache_nanos, record.saved_routing_nanos) == (plain - nanos, 0)
    assert (record.baseline_model, record.saved_estimated) == (record.model_routed, False)
    assert (tokens(record), record.usage_source) == (counted, "reported")
    assert in_nanos(answer.headers["x-gateway-cost-usd"]) == nanos
    assert in_nanos(answer.headers["x-gateway-saved-usd"]) == plain - nanos


@pytest.mark.parametrize("case", CASES)
async def test_a_stream_costs_the_same(stand_with_prices: Stand, case: str) -> None:
    stand = stand_with_prices
    path, body, _, events, nanos, counted = CASES[case]
    stand.upstream.script(Scripted(200, SSE, events))
    if case == "gemini":
        path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    else:
        body = {**body, "stream": True}
    answer = await stand.ask(path, body)
    assert answer.status == 200
    record = await stand.record()
    assert (record.cost_nanos, tokens(record), record.usage_source) == (nanos, counted, "reported")
    assert record.stream
    assert "x-gateway-cost-usd" not in answer.headers  # not known when they went out


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("streamed", [False, True])
async def test_without_usage_there_is_an_estimate_that_says_so(
    stand_with_prices: Stand, case: str, streamed: bool
) -> None:
    stand = stand_with_prices
    path, body, whole, events, _, _ = CASES[case]
    bare = json.loads(json.dumps(whole))
    bare.pop("usage", None)
    bare.pop("usageMetadata", None)
    if streamed:
        without = []
        for event in events:
            text = event.decode()
            head, _, data = text.partition("data: ")
            if not data.startswith("[DONE]"):
                tree = json.loads(data)
                for holder in (
                    tree,
                    tree.get("response", {}),
                    tree.get("message", {}),
                    tree.get("x_groq", {}),
                ):
                    holder.pop("usage", None)
                    holder.pop("usageMetadata", None)
                data = json.dumps(tree) + "\n\n"
            without.append(f"{head}data: {data}".encode())
        stand.upstream.script(Scripted(200, SSE, without))
        if case == "gemini":
            path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
        else:
            body = {**body, "stream": True}
    else:
        stand.upstream.script(Scripted(200, JSON, [json.dumps(bare).encode()]))
    assert (await stand.ask(path, body)).status == 200
    record = await stand.record()
    assert record.usage_source == "estimated"
    assert record.cost_nanos is not None
    assert record.cost_nanos > 0
    assert record.tokens_input > 0
