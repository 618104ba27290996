"""A request for content in Gemini's dialect, written for a provider."""

from typing import Any, Final

from gateway.translation.canonical import Ask, Choice, Format, Tool, Use
from gateway.translation.gemini_generate_contents import write_contents
from gateway.translation.gemini_generate_losses import lose
from gateway.translation.gemini_generate_thinking import bare_name, write_thinking
from gateway.translation.losses import Losses
from gateway.translation.tongue import Aim

# Source: Gemini API reference, models.generateContent, GenerationConfig, Tool, ToolConfig.

MOST_STOPS: Final = 5
"""Stop sequences that a request may have."""

_SEED_BITS: Final = 31
_TIERS: Final = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
_MODES: Final = {Use.AUTO: "AUTO", Use.ANY: "ANY", Use.NONE: "NONE", Use.NAMED: "ANY"}

_WITHOUT_PENALTIES: Final = ("gemini-3.5-flash-lite",)
"""Models that refuse them. Source: Google Cloud, Gemini 3.5 Flash-Lite."""


def write_ask(ask: Ask, aim: Aim, losses: Losses) -> dict[str, Any]:
    """The request's body.

    Raises:
        CallerError: cannot_translate with the feature in about.
    """
    body: dict[str, Any] = {"contents": write_contents(ask.turns, aim.model, losses)}
    system = [{"text": text.text} for text in ask.system if text.text]
    if system and body["contents"]:
        body["systemInstruction"] = {"parts": system}
    elif system:  # there must be contents
        body["contents"] = [{"role": "user", "parts": system}]
    if ask.tools:
        body["tools"] = [{"functionDeclarations": [_function(tool, losses) for tool in ask.tools]}]
        if ask.choice is not None:
            _put_choice(body, ask.choice, losses)
    config = _config(ask, aim, losses)
    if config:
        body["generationConfig"] = config
    if ask.user is not None:
        lose(losses, "user")
    if ask.tier in _TIERS:
        body["serviceTier"] = _TIERS[ask.tier]
    elif ask.tier not in (None, "auto"):
        lose(losses, "tier")
    return body


def _function(tool: Tool, losses: Losses) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parametersJsonSchema"] = tool.schema
    if tool.strict:
        lose(losses, "strict")
    return function


def _put_choice(body: dict[str, Any], choice: Choice, losses: Losses) -> None:
    calling: dict[str, Any] = {"mode": _MODES[choice.use]}
    if choice.use is Use.NAMED and choice.names:
        calling["allowedFunctionNames"] = list(choice.names)
    body["toolConfig"] = {"functionCallingConfig": calling}
    if choice.parallel is False:
        lose(losses, "parallel_tool_calls")


def _config(ask: Ask, aim: Aim, losses: Losses) -> dict[str, Any]:
    config: dict[str, Any] = {
        "maxOutputTokens": ask.max_output,
        "temperature": ask.temperature,
        "topP": ask.top_p,
        "topK": ask.top_k,
        "seed": _seed(ask.seed, losses),
        "presencePenalty": _penalty(ask.presence_penalty, "presence_penalty", aim, losses),
        "frequencyPenalty": _penalty(ask.frequency_penalty, "frequency_penalty", aim, losses),
    }
    config = {name: value for name, value in config.items() if value is not None}
    stops = list(filter(None, ask.stop))
    if stops:
        config["stopSequences"] = stops[:MOST_STOPS]
    if len(stops) > MOST_STOPS:
        lose(losses, "stop")
    if ask.logprobs is not None:  # the middle form has no place for them in an answer
        lose(losses, "logprobs")
    if ask.format is not None:
        _put_format(config, ask.format)
    if ask.reasoning is not None:
        thinking = write_thinking(ask.reasoning, aim.model, losses)
        if thinking:
            config["thinkingConfig"] = thinking
    return config


def _seed(seed: int | None, losses: Losses) -> int | None:
    if seed is None or -(1 << _SEED_BITS) <= seed < 1 << _SEED_BITS:
        return seed
    lose(losses, "seed")
    return None


def _penalty(value: float | None, name: str, aim: Aim, losses: Losses) -> float | None:
    if not bare_name(aim.model).startswith(_WITHOUT_PENALTIES):
        return value
    if value:
        lose(losses, name)
    return None


def _put_format(config: dict[str, Any], form: Format) -> None:
    """The schema carries the name and the description, which have no fields of their own."""
    config["responseMimeType"] = "application/json"
    if form.schema is not None:
        said = {"title": form.name, "description": form.description}
        schema = {key: text for key, text in said.items() if text and key not in form.schema}
        config["responseJsonSchema"] = form.schema | schema
