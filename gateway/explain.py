"""The dry run of a call: classify, route and limit without asking anybody or holding anything."""

from typing import Any

import orjson

from gateway.content import EMPTY, Content
from gateway.contracts import Caller, Envelope, Headers
from gateway.dialects import DIALECTS
from gateway.errors import GatewayError
from gateway.exchange import Exchange, Plan
from gateway.flow import Flow
from gateway.ledger.charges import dollars
from gateway.names import Slug
from gateway.records import PathKind


class Nowhere:
    """A client that is not there."""

    started = False

    def __init__(self) -> None:
        self.extra: list[tuple[str, str]] = []

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        """Nothing is sent."""

    async def write(self, chunk: bytes) -> None:
        """Nothing is sent."""

    async def finish(self) -> None:
        """Nothing is sent."""

    def abort(self) -> None:
        """Nothing is sent."""


async def explain(flow: Flow, body: dict[str, Any], dialect: str, caller: Caller) -> dict[str, Any]:
    """What would become of a call.

    Args:
        body: the request, as a client would send it.
        dialect: the dialect it is in.

    Returns:
        task, reason, error and candidates in order, each with its prices and what would be held.
    """
    reader = DIALECTS[Slug(dialect)]
    model = body.get("model")
    if reader.FAMILY == "gemini":  # there the path names the model
        body = {name: value for name, value in body.items() if name != "model"}
    envelope = Envelope(
        kind=KINDS.get(dialect, PathKind.CHAT),
        verb=VERBS.get(dialect, ""),
        version="v1beta" if reader.FAMILY == "gemini" else "v1",
        path_model=model if isinstance(model, str) else None,
        body=Content(orjson.dumps(body)),
    )
    exchange = Exchange(Slug("dry-run"), 0, 0, Nowhere(), None, EMPTY)
    exchange.caller = caller
    answer: dict[str, Any] = {"error": None, "candidates": []}
    try:
        exchange.call = reader.read_call(envelope)
        await flow.classify(exchange)
        labels = exchange.labels
        answer |= {"task": labels.task, "confidence": labels.confidence, "classifier": labels.classifier}
        plan, excluded = flow.route.explain(exchange)
        answer["excluded"] = [{"model": name, "reason": code} for name, code in excluded]
        if isinstance(plan, GatewayError):
            answer["error"] = plan.code
        else:
            answer |= {"reason": plan.reason, "candidates": _candidates(flow, exchange, plan)}
    except GatewayError as error:
        answer["error"] = error.code
    return answer


def as_text(answer: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"task      {answer.get('task', '-')} ({answer.get('confidence', 0) / 10:g} %)"]
    lines.append(f"reason    {answer.get('reason', '-')}")
    if answer["error"]:
        lines.append(f"refused   {answer['error']}")
    for number, one in enumerate(answer["candidates"], 1):
        price = f"{one['input_usd'] or '?'} in, {one['output_usd'] or '?'} out, dollars per million tokens"
        lines.append(f"{number}.        {one['model']}  holds {one['held_usd'] or 'unpriced'}  ({price})")
    lines += [f"excluded  {one['model']}: {one['reason']}" for one in answer.get("excluded", [])]
    return "\n".join(lines)


KINDS = {
    "openai_responses": PathKind.RESPONSES,
    "anthropic_messages": PathKind.MESSAGES,
    "gemini_generate": PathKind.GENERATE,
    "openai_embeddings": PathKind.EMBEDDINGS,
    "anthropic_count": PathKind.COUNT,
    "gemini_count": PathKind.COUNT,
    "gemini_embed": PathKind.EMBEDDINGS,
    "openai_images": PathKind.IMAGES,
    "openai_speech": PathKind.SPEECH,
    "openai_moderations": PathKind.MODERATIONS,
}

VERBS = {
    "anthropic_count": "count_tokens",
    "gemini_generate": "generateContent",
    "gemini_count": "countTokens",
    "gemini_embed": "embedContent",
}


def _candidates(flow: Flow, exchange: Exchange, plan: Plan) -> list[dict[str, Any]]:
    shown = []
    for target in plan.targets:
        held = flow.measure(exchange.call, target)
        price = target.price
        shown.append(
            {
                "model": target.name,
                "price_version": price.version if price else None,
                "input_usd": _per_million(price.input_rate if price else None),
                "output_usd": _per_million(price.output_rate if price else None),
                "held_usd": None if held is None else dollars(held),
            }
        )
    return shown


def _per_million(picos: int | None) -> str | None:
    """Pico-dollars for a token as dollars for a million of them."""
    return None if picos is None else dollars(picos * 1000)
