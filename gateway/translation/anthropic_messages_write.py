"""Writes a call of the middle form as a request of Anthropic's Messages API."""

from typing import Any, Final

import orjson

from gateway.names import Slug
from gateway.translation.anthropic_messages_history import calls_tools_unsigned, messages_of, names_called
from gateway.translation.anthropic_messages_models import (
    BUDGETS,
    Line,
    Thinks,
    effort_of,
    fitting_budget,
    line_of,
    nearest_effort,
)
from gateway.translation.anthropic_messages_schema import closed_schema
from gateway.translation.anthropic_messages_tools import write_tools
from gateway.translation.canonical import Ask, Choice, Effort, Format, Reasoning, Use
from gateway.translation.losses import Losses
from gateway.translation.tongue import Aim

TIERS: Final = {"auto": "auto", "default": "standard_only"}

USER_LENGTH: Final = 256
"""Characters in the longest metadata.user_id. Source: Anthropic's API reference."""

JSON_ONLY: Final = "Answer with one valid JSON object and nothing else: no other words, no code fence."
BY_SCHEMA: Final = "It must follow this JSON schema:\n"

Body = dict[str, Any]


def write_ask(ask: Ask, aim: Aim, losses: Losses) -> Body:
    """The body of a request.

    Raises:
        CallerError: cannot_translate with the feature in about.
    """
    line = line_of(aim.model)
    body: Body = {
        "model": aim.model,
        "max_tokens": aim.max_output if ask.max_output is None else ask.max_output,
        "messages": messages_of(ask.turns, losses),
    }
    if ask.stream:
        body["stream"] = True
    texts = [text.text for text in ask.system if text.text.strip()]
    texts += _write_format(body, ask.format, line, losses)
    if texts:
        body["system"] = [{"type": "text", "text": text} for text in texts]
    write_tools(body, ask.tools, ask.choice, names_called(ask.turns), line, losses)
    thinks = _write_thinking(body, ask, line, losses)
    _write_sampling(body, ask, line, thinks, losses)
    _write_rest(body, ask, losses)
    return body


# --- thinking ----------------------------------------------------------------------------------------


def _write_thinking(body: Body, ask: Ask, line: Line, losses: Losses) -> bool:
    """thinking and output_config.effort; tells whether the model will think."""
    reasoning = ask.reasoning
    if reasoning is None:
        return line.thinks is Thinks.ALWAYS
    wanted = reasoning.effort is not Effort.NONE
    if line.thinks is Thinks.NEVER:
        if wanted:
            losses.drop(Slug("reasoning"))
        return False
    if line.thinks is Thinks.ALWAYS and not wanted:
        losses.drop(Slug("reasoning"))
        reasoning = Reasoning(effort=Effort.LOW, shown=reasoning.shown)
    elif not wanted:
        body["thinking"] = {"type": "disabled"}
        return False
    thinking = _thinking(body, ask, reasoning, line, losses)
    if thinking is None:
        losses.drop(Slug("reasoning"))
        body["thinking"] = {"type": "disabled"}
        return False
    if reasoning.shown is not None:
        thinking["display"] = "summarized" if reasoning.shown else "omitted"
    body["thinking"] = thinking
    return True


def _thinking(body: Body, ask: Ask, reasoning: Reasoning, line: Line, losses: Losses) -> Body | None:
    """The thinking that the model and the rest of the call allow; None: none.

    Source: Anthropic's "Extended thinking": a forced tool does not go with it, and with a budget, a turn
    whose tools were called after thinking must begin with the signed thought. "Adaptive thinking" has
    no such rule.
    """
    if line.thinks is not Thinks.ALWAYS and _is_forced(ask.choice) and ask.tools:
        return None
    if line.thinks is Thinks.BUDGET:
        wanted = reasoning.budget_tokens
        if wanted is None:
            wanted = BUDGETS[reasoning.effort or Effort.MEDIUM]
        budget = fitting_budget(wanted, body["max_tokens"])
        if budget is None or calls_tools_unsigned(ask.turns):
            return None
        if budget != wanted and reasoning.budget_tokens is not None:
            losses.drop(Slug("budget_tokens"))
        return {"type": "enabled", "budget_tokens": budget}
    effort = reasoning.effort
    if effort is None and reasoning.budget_tokens is not None:
        losses.drop(Slug("budget_tokens"))
        effort = effort_of(reasoning.budget_tokens)
    if effort is not None:
        body.setdefault("output_config", {})["effort"] = nearest_effort(effort, line).value
    return {"type": "adaptive"}


def _is_forced(choice: Choice | None) -> bool:
    return choice is not None and choice.use in (Use.ANY, Use.NAMED)


# --- sampling ----------------------------------------------------------------------------------------


def _write_sampling(body: Body, ask: Ask, line: Line, thinks: bool, losses: Losses) -> None:
    """temperature, top_p and top_k, as far as the model takes them.

    Source: Anthropic's "Extended thinking" (temperature and top_k do not go with it, top_p must be 0.95
    at least) and its "Migrating to Claude Opus 4.7" (none of the three since then).
    """
    temperature, top_p, top_k = ask.temperature, ask.top_p, ask.top_k
    if temperature is not None and not 0 <= temperature <= 1:
        losses.drop(Slug("temperature"))
        temperature = 0.0 if temperature < 0 else 1.0
    if not line.samples or thinks:
        if temperature is not None and temperature != 1:
            losses.drop(Slug("temperature"))
        if top_k:
            losses.drop(Slug("top_k"))
        temperature = top_k = None
    if top_p is not None and (not line.samples or (thinks and top_p < 0.95)):
        if top_p != 1:
            losses.drop(Slug("top_p"))
        top_p = None
    if temperature is not None and top_p is not None and not line.samples_both:
        if top_p != 1:
            losses.drop(Slug("top_p"))
        top_p = None
    fields = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    body.update((name, value) for name, value in fields.items() if value is not None)


# --- other fields ------------------------------------------------------------------------------------


def _write_format(body: Body, form: Format | None, line: Line, losses: Losses) -> list[str]:
    """The form of the answer: a schema, else words for the system prompt."""
    if form is None:
        return []
    if form.schema is not None and line.schemas:
        schema = closed_schema(form.schema, losses)
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return []
    losses.drop(Slug("format"))
    if form.schema is None:
        return [JSON_ONLY]
    return [JSON_ONLY + " " + BY_SCHEMA + _written(form.schema, losses)]


def _write_rest(body: Body, ask: Ask, losses: Losses) -> None:
    """What has a field of its own or none."""
    stops = [stop for stop in ask.stop if stop.strip()]
    if len(stops) < len(ask.stop):  # Anthropic refuses blank ones
        losses.drop(Slug("stop"))
    if stops:
        body["stop_sequences"] = stops
    if ask.user is not None and len(ask.user) <= USER_LENGTH:
        body["metadata"] = {"user_id": ask.user}
    elif ask.user is not None:
        losses.drop(Slug("user"))
    if ask.tier in TIERS:
        body["service_tier"] = TIERS[ask.tier]
    elif ask.tier is not None:
        losses.drop(Slug("tier"))
    if ask.seed is not None:
        losses.drop(Slug("seed"))
    if ask.logprobs is not None:
        losses.drop(Slug("logprobs"))
    if ask.presence_penalty:
        losses.drop(Slug("presence_penalty"))
    if ask.frequency_penalty:
        losses.drop(Slug("frequency_penalty"))


def _written(schema: Body, losses: Losses) -> str:
    try:
        return orjson.dumps(schema).decode()
    except orjson.JSONEncodeError:  # deeper than it can be written
        losses.refuse(Slug("format_depth"))
