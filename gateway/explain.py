"""The dry run of a call: classify, route and limit without asking anybody or holding anything."""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from gateway.content import EMPTY, Content
from gateway.contracts import Caller, Envelope, Headers
from gateway.dialects import DIALECTS
from gateway.errors import GatewayError
from gateway.exchange import Exchange, Plan, Target
from gateway.flow import Flow
from gateway.ledger.allowance import affordable
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
        task, reason, winner, error and candidates in order, each with its prices, what would be held, whether
        it is too dear to follow the first, how it is and what a translation would leave out; the baseline,
        and what is saved if the call costs the most that it can on both; what outcomes say of the models.
    """
    exchange = Exchange(Slug("dry-run"), 0, 0, Nowhere(), None, EMPTY)
    exchange.caller = caller
    answer: dict[str, Any] = {"error": None, "candidates": []}
    try:
        exchange.call = DIALECTS[Slug(dialect)].read_call(_envelope(body, dialect))
        await flow.classify(exchange)
        labels = exchange.labels
        answer |= {"task": labels.task, "confidence": labels.confidence, "classifier": labels.classifier}
        plan, excluded = flow.route.explain(exchange)
        answer["excluded"] = [{"model": name, "reason": code} for name, code in excluded]
        if isinstance(plan, GatewayError):
            answer["error"] = plan.code
        else:
            answer |= {
                "reason": plan.reason,
                "winner": plan.targets[0].name,
                "candidates": _candidates(flow, exchange, plan),
                **_saving(flow, exchange, plan),
                "quality": _quality(flow, exchange),
            }
    except GatewayError as error:
        answer["error"] = error.code
    return answer


def _envelope(body: dict[str, Any], dialect: str) -> Envelope:
    """A request as it would have come in."""
    model = body.get("model")
    in_path = DIALECTS[Slug(dialect)].FAMILY == "gemini"  # there the path names the model
    if in_path:
        body = {name: value for name, value in body.items() if name != "model"}
    return Envelope(
        kind=KINDS.get(dialect, PathKind.CHAT),
        verb=VERBS.get(dialect, ""),
        version="v1beta" if in_path else "v1",
        path_model=model if isinstance(model, str) else None,
        body=Content(orjson.dumps(body)),
    )


def as_text(answer: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"task      {answer.get('task', '-')} ({answer.get('confidence', 0) / 10:g} %)"]
    lines.append(f"reason    {answer.get('reason', '-')}")
    if answer["error"]:
        lines.append(f"refused   {answer['error']}")
    for number, one in enumerate(answer["candidates"], 1):
        price = f"{one['input_usd'] or '?'} in, {one['output_usd'] or '?'} out, dollars per million tokens"
        lines.append(f"{number}.        {one['model']}  holds {one['held_usd'] or 'unpriced'}  ({price})")
        lines += [f"          {note}" for note in _notes(one)]
    if answer.get("baseline"):
        saved = answer["expected_saving_usd"]
        told = (
            f"saves {saved} if the answer is as long as it may be"
            if saved is not None
            else "what is saved is not known"
        )
        lines.append(f"baseline  {answer['baseline']}: {told}")
    for one in answer.get("quality", ()):
        kept = "unknown" if one["kept"] is None else f"{one['kept'] / 10:g} %"
        told = f"{kept} kept, at least {one['bound'] / 10:g} % (n={one['count']}): {one['reason']}"
        lines.append(f"quality   {one['candidate']} for {one['requested']}: {told}")
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


def _notes(one: dict[str, Any]) -> Iterator[str]:
    """What else is to be said of a candidate."""
    latency = (
        f"{one['latency_us']} µs to the first byte" if one["latency_us"] is not None else "not asked yet"
    )
    yield f"{'well' if one['healthy'] else 'set aside'}, {latency}, {one['in_flight']} calls under way"
    if one["too_dear"]:
        yield "is not asked: it can cost more than the first, and allow_costlier is not set"
    if one["untranslatable"]:
        yield f"cannot be asked: {one['untranslatable']}"
    elif one["dropped"] is not None:
        left_out = ", ".join(one["dropped"]) or "nothing"
        yield f"is asked in {one['dialect']}, which leaves out {left_out}"


def _candidates(flow: Flow, exchange: Exchange, plan: Plan) -> list[dict[str, Any]]:
    shown = []
    asks = {target.name: flow.measure(exchange.call, target) for target in plan.targets}
    followed = affordable(plan.targets, plan, asks)
    for target in plan.targets:
        held = asks[target.name]
        price, seen = target.price, flow.route.candidate(exchange.call, target)
        shown.append(
            {
                "model": target.name,
                "tier": target.tier,
                "healthy": seen.healthy,
                "latency_us": seen.latency_us,
                "in_flight": seen.in_flight,
                "price_version": price.version if price else None,
                "input_usd": _per_million(price.input_rate if price else None),
                "output_usd": _per_million(price.output_rate if price else None),
                "held_usd": None if held is None else dollars(held),
                "too_dear": target not in followed,
                **_translation(flow, exchange, target),
            }
        )
    return shown


def _saving(flow: Flow, exchange: Exchange, plan: Plan) -> dict[str, Any]:
    """What the call is measured against, and the difference of what would be held on both."""
    if plan.baseline is None:
        return {"baseline": None, "expected_saving_usd": None}
    held, against = (flow.measure(exchange.call, one) for one in (plan.targets[0], plan.baseline))
    saved = None if held is None or against is None else dollars(against - held)
    return {"baseline": plan.baseline.name, "expected_saving_usd": saved}


def _translation(flow: Flow, exchange: Exchange, target: Target) -> dict[str, Any]:
    """The dialect that a target is asked in, and what is left out of the call for it."""
    call = exchange.call
    found: dict[str, Any] = {"dialect": call.dialect, "dropped": None, "untranslatable": None}
    try:
        passage = flow.translate(exchange, target)
    except GatewayError as error:
        return found | {"dialect": None, "untranslatable": error.code}
    if passage is None:
        return found
    return found | {"dialect": passage.call.dialect, "dropped": list(passage.dropped)}


def _quality(flow: Flow, exchange: Exchange) -> list[dict[str, Any]]:
    """What outcomes say of the route's models in each other's place, for the call's task."""
    policy = flow.routes.get(Slug(exchange.call.model)) if exchange.call.model in flow.routes else None
    waiting, found = [policy] if policy is not None else [], []
    while waiting:
        inner = waiting.pop()
        waiting += inner.parts.values()
        verdicts = getattr(inner.router, "verdicts", None)
        for one in verdicts() if callable(verdicts) else ():
            if one.task == exchange.labels.task:
                found.append({name: getattr(one, name) for name in VERDICT})
    return found


VERDICT: Final = ("requested", "candidate", "kept", "bound", "count", "moves", "reason")
"""What is shown of a verdict; kept and bound in thousandths."""


def _per_million(picos: int | None) -> str | None:
    """Pico-dollars for a token as dollars for a million of them."""
    return None if picos is None else dollars(picos * 1000)
