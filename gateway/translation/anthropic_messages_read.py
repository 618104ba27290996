"""Reads a caller's call of Anthropic's Messages API into the middle form."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.content import Document, Purpose
from gateway.contracts import Call
from gateway.names import Slug
from gateway.stream.json_body import MOST_OUTPUT, count_in, flag_in, list_in, object_in, refuse
from gateway.translation.anthropic_messages_parts import parts_of, text_in, texts_of
from gateway.translation.canonical import (
    Ask,
    Choice,
    Effort,
    Format,
    Reasoning,
    Role,
    Text,
    Tool,
    Turn,
    Use,
    turns_of,
)
from gateway.translation.losses import Losses

READ: Final = frozenset({
    "model", "max_tokens", "messages", "system", "stream", "tools", "tool_choice", "thinking",
    "output_config", "output_format", "stop_sequences", "metadata", "service_tier", "temperature", "top_p",
    "top_k", "context_management",
})  # fmt: skip
"""Fields that the middle form holds, or that are looked at below."""

DROPPED: Final = frozenset({"cache_control", "diagnostics", "speed", "user_profile_id", "workspace_id"})
"""Fields that change how a call is served, not what is answered."""

REFUSED: Final = frozenset({"container", "mcp_servers", "inference_geo"})
"""Fields without which the answer would not be what was asked for."""

SERVER_TOOLS: Final = (
    "web_search", "web_fetch", "code_execution", "computer", "text_editor", "bash", "memory", "browser",
    "tool_search", "mcp_toolset", "advisor",
)  # fmt: skip
"""How the types of tools begin whose work only Anthropic's models or servers know."""

TOOL_FIELDS: Final = (
    "cache_control", "defer_loading", "eager_input_streaming", "input_examples", "allowed_callers",
)  # fmt: skip
"""Fields of a tool that the middle form does not hold."""

USES: Final = {"auto": Use.AUTO, "any": Use.ANY, "none": Use.NONE, "tool": Use.NAMED}
TIERS: Final = {"auto": "auto", "standard_only": "default"}


def read_ask(call: Call, losses: Losses) -> Ask:
    """A caller's call.

    Raises:
        CallerError: bad_request with the field in about; cannot_translate with the feature in about.
    """
    assert isinstance(call.body, Document)
    tree = call.body.open(Purpose.TRANSLATE)
    _check_fields(tree, losses)
    system = texts_of(tree.get("system"), "system", losses)
    turns = _turns(tree, system, losses)
    return Ask(
        system=tuple(system),
        turns=turns,
        tools=tuple(_tool(tool, losses) for tool in list_in(tree, "tools")),
        choice=_choice(tree),
        max_output=count_in(tree, "max_tokens", MOST_OUTPUT, least=0),
        temperature=_number(tree, "temperature"),
        top_p=_number(tree, "top_p"),
        top_k=count_in(tree, "top_k", MOST_OUTPUT, least=0),
        stop=tuple(text_in(stop, "stop_sequences") for stop in list_in(tree, "stop_sequences")),
        format=_format(tree),
        reasoning=_reasoning(tree, losses),
        user=_text(object_in(tree, "metadata"), "user_id", "metadata"),
        tier=_tier(tree),
        stream=flag_in(tree, "stream"),
    )


def _check_fields(tree: Mapping[str, Any], losses: Losses) -> None:
    """Drop or refuse what the middle form has no place for."""
    for name in tree.keys() - READ:
        if tree[name] is None:
            continue
        if name in REFUSED:
            losses.refuse(Slug(name))
        losses.drop(Slug(name) if name in DROPPED else Slug("unknown_field"))
    edits = object_in(tree, "context_management").get("edits")
    for edit in edits if type(edits) is list else []:
        kind = edit.get("type") if type(edit) is dict else None
        if type(kind) is not str or not kind.startswith("clear_"):
            losses.refuse(Slug("context_management"))
    if tree.get("context_management"):
        losses.drop(Slug("context_clearing"))


# --- turns -----------------------------------------------------------------------------------------


def _turns(tree: Mapping[str, Any], system: list[Text], losses: Losses) -> tuple[Turn, ...]:
    """The turns; system messages among them go to the end of system."""
    turns: list[Turn] = []
    for message in list_in(tree, "messages"):
        if type(message) is not dict:
            refuse("messages")
        role, content = message.get("role"), message.get("content")
        if role == "system":
            if turns:
                losses.drop(Slug("system_place"))
            system += texts_of(content, "messages", losses)
        elif role == "user" or role == "assistant":
            turns.append(Turn(Role(role), tuple(parts_of(content, Role(role), losses))))
        else:
            refuse("messages")
    return turns_of(turns)


# --- tools -----------------------------------------------------------------------------------------


def _tool(tool: Any, losses: Losses) -> Tool:
    if type(tool) is not dict:
        refuse("tools")
    kind = tool.get("type")
    if kind is not None and kind != "custom":
        known = (name for name in SERVER_TOOLS if type(kind) is str and kind.startswith(name))
        losses.refuse(Slug(next(known, "server_tool")))
    for name in TOOL_FIELDS:
        if tool.get(name) and tool.get(name) != ["direct"]:
            losses.drop(Slug(name))
    schema = tool.get("input_schema")
    strict = tool.get("strict")
    if type(schema) is not dict or not (strict is None or type(strict) is bool):
        refuse("tools")
    return Tool(
        name=text_in(tool.get("name"), "tools"),
        description=_text(tool, "description", "tools") or "",
        schema=schema,
        strict=strict,
    )


def _choice(tree: Mapping[str, Any]) -> Choice | None:
    choice = object_in(tree, "tool_choice")
    if not choice:
        return None
    kind, single = choice.get("type"), choice.get("disable_parallel_tool_use")
    use = USES.get(kind) if type(kind) is str else None
    if use is None or not (single is None or type(single) is bool):
        refuse("tool_choice")
    names = (text_in(choice.get("name"), "tool_choice"),) if use is Use.NAMED else ()
    return Choice(use, names, None if single is None else not single)


# --- other fields ----------------------------------------------------------------------------------


def _reasoning(tree: Mapping[str, Any], losses: Losses) -> Reasoning | None:
    """thinking and output_config.effort.

    Adaptive thinking without an effort is a Reasoning without one: the model decides.
    """
    effort = _effort(object_in(tree, "output_config"), losses)
    thinking = object_in(tree, "thinking")
    kind = thinking.get("type")
    if not thinking:
        return None if effort is None else Reasoning(effort=effort)
    if kind == "disabled" or kind == "between_tools":
        if effort is not None:
            losses.drop(Slug("effort"))
        return Reasoning(effort=Effort.NONE)
    display = thinking.get("display")
    if kind not in ("adaptive", "enabled") or display not in (None, "summarized", "omitted"):
        refuse("thinking")
    budget_tokens = count_in(thinking, "budget_tokens", MOST_OUTPUT, least=0)
    return Reasoning(
        effort=effort,
        budget_tokens=budget_tokens if kind == "enabled" else None,
        shown=None if display is None else display == "summarized",
    )


def _effort(config: Mapping[str, Any], losses: Losses) -> Effort | None:
    if any(value is not None for name, value in config.items() if name not in ("effort", "format")):
        losses.drop(Slug("output_config"))
    effort = config.get("effort")
    if effort is None:
        return None
    if type(effort) is not str or effort not in ("low", "medium", "high", "xhigh", "max"):
        refuse("output_config")
    return Effort(effort)


def _format(tree: Mapping[str, Any]) -> Format | None:
    """output_config.format, or the field output_format of its trial."""
    form = object_in(tree, "output_config").get("format") or tree.get("output_format")
    if form is None:
        return None
    if type(form) is not dict or form.get("type") != "json_schema" or type(form.get("schema")) is not dict:
        refuse("output_config")
    return Format(schema=form["schema"])


def _tier(tree: Mapping[str, Any]) -> str | None:
    tier = tree.get("service_tier")
    if tier is None:
        return None
    if type(tier) is not str or tier not in TIERS:
        refuse("service_tier")
    return TIERS[tier]


def _number(tree: Mapping[str, Any], field: str) -> float | None:
    value = tree.get(field)
    if value is None:
        return None
    if type(value) not in (int, float):
        refuse(field)
    return float(value)


def _text(tree: Mapping[str, Any], field: str, about: str) -> str | None:
    value = tree.get(field)
    if value is None:
        return None
    return text_in(value, about)
