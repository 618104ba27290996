"""A caller's request for content in Gemini's dialect, read."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.content import Document, Purpose
from gateway.contracts import Call
from gateway.stream.json_body import refuse
from gateway.translation.canonical import Ask, Choice, Format, Text, Tool, Use
from gateway.translation.gemini_generate_fields import (
    flag_of,
    look_over,
    object_of,
    objects_of,
    real_of,
    text_of,
    texts_of,
    value_of,
    whole_of,
    word_of,
)
from gateway.translation.gemini_generate_history import read_texts, read_turns
from gateway.translation.gemini_generate_losses import AS_CALLER, lose
from gateway.translation.gemini_generate_schema import to_json_schema
from gateway.translation.gemini_generate_thinking import read_thinking
from gateway.translation.losses import Losses

# Source: Gemini API reference, models.generateContent, GenerationConfig, Tool, ToolConfig.

_KNOWN: Final = frozenset(
    {"model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier"}
)
_CONFIG: Final = frozenset(
    {
        "candidateCount", "frequencyPenalty", "logprobs", "maxOutputTokens", "presencePenalty",
        "responseJsonSchema", "responseLogprobs", "responseMimeType", "responseModalities",
        "responseSchema", "seed", "stopSequences", "temperature", "thinkingConfig", "topK", "topP",
    }
)  # fmt: skip
_FUNCTION: Final = frozenset({"name", "description", "parameters", "parametersJsonSchema"})
_CALLING: Final = frozenset({"mode", "allowedFunctionNames"})
_TIERS: Final = {"standard": "default", "flex": "flex", "priority": "priority"}


def read_ask(call: Call, losses: Losses) -> Ask:
    """A caller's call in the middle form.

    Raises:
        CallerError: bad_request with the field in about; cannot_translate with the feature in about.
    """
    assert isinstance(call.body, Document)
    tree = call.body.open(Purpose.TRANSLATE)
    look_over(tree, _KNOWN, AS_CALLER, losses, "unknown_field")
    config = object_of(tree, "generationConfig") or {}
    look_over(config, _CONFIG, AS_CALLER, losses, "unknown_field")
    _check_output(config, losses)
    tools = _tools(tree, losses)
    logprobs = whole_of(config, "logprobs") or 0
    return Ask(
        system=_system(tree, losses),
        turns=read_turns(tree, losses),
        tools=tools,
        choice=_choice(tree, losses),
        max_output=whole_of(config, "maxOutputTokens"),
        temperature=real_of(config, "temperature"),
        top_p=real_of(config, "topP"),
        top_k=whole_of(config, "topK"),
        stop=texts_of(config, "stopSequences"),
        seed=whole_of(config, "seed"),
        presence_penalty=real_of(config, "presencePenalty"),
        frequency_penalty=real_of(config, "frequencyPenalty"),
        logprobs=logprobs if flag_of(config, "responseLogprobs") else None,
        format=_format(config, losses),
        reasoning=read_thinking(object_of(config, "thinkingConfig") or {}),
        tier=_tier(tree, losses),
        stream=call.stream,
    )


def _check_output(config: Mapping[str, Any], losses: Losses) -> None:
    """Only one answer, and only of text."""
    if (whole_of(config, "candidateCount") or 1) > 1:
        lose(losses, "candidateCount")
    modalities = {modality.upper() for modality in texts_of(config, "responseModalities")}
    if not modalities <= {"TEXT", "MODALITY_UNSPECIFIED"}:
        lose(losses, "responseModalities")


def _system(tree: Mapping[str, Any], losses: Losses) -> tuple[Text, ...]:
    content = object_of(tree, "systemInstruction")
    return () if content is None else read_texts(content, "systemInstruction", losses)


def _tier(tree: Mapping[str, Any], losses: Losses) -> str | None:
    word = word_of(tree, "serviceTier").lower().removeprefix("service_tier_")
    if word and word not in _TIERS:
        lose(losses, "tier")
    return _TIERS.get(word)


def _format(config: Mapping[str, Any], losses: Losses) -> Format | None:
    kind = text_of(config, "responseMimeType")
    own = value_of(config, "responseSchema")
    schema = object_of(config, "responseJsonSchema")
    if own is not None:
        if schema is not None:
            refuse("responseSchema")
        schema = to_json_schema(own)
    if kind not in ("", "application/json", "text/plain"):
        lose(losses, "responseMimeType")
    if kind == "text/plain" and schema is not None:
        refuse("responseMimeType")
    return Format(schema=schema) if kind == "application/json" or schema is not None else None


# --- tools ---------------------------------------------------------------------------------------------


def _tools(tree: Mapping[str, Any], losses: Losses) -> tuple[Tool, ...]:
    tools = []
    for tool in objects_of(tree, "tools"):
        look_over(tool, ("functionDeclarations",), AS_CALLER, losses, "unknown_tool")
        tools += [_tool(one, losses) for one in objects_of(tool, "functionDeclarations")]
    return tuple(tools)


def _tool(function: Mapping[str, Any], losses: Losses) -> Tool:
    look_over(function, _FUNCTION, AS_CALLER, losses, "unknown_field")
    name = text_of(function, "name")
    schema = object_of(function, "parametersJsonSchema")
    own = value_of(function, "parameters")
    if not name or (schema is not None and own is not None):
        refuse("functionDeclarations")
    if own is not None:
        schema = to_json_schema(own)
    return Tool(name, text_of(function, "description"), schema)


def _choice(tree: Mapping[str, Any], losses: Losses) -> Choice | None:
    config = object_of(tree, "toolConfig") or {}
    look_over(config, ("functionCallingConfig",), AS_CALLER, losses, "unknown_field")
    calling = object_of(config, "functionCallingConfig") or {}
    look_over(calling, _CALLING, AS_CALLER, losses, "unknown_field")
    mode, names = word_of(calling, "mode"), texts_of(calling, "allowedFunctionNames")
    if mode == "ANY":
        return Choice(Use.NAMED, names) if names else Choice(Use.ANY)
    if mode not in ("", "AUTO", "NONE", "VALIDATED"):
        refuse("mode")
    if names:
        lose(losses, "allowedFunctionNames")
    return None if not mode else Choice(Use.NONE if mode == "NONE" else Use.AUTO)
