"""Writes tools, and the choice among them, in Anthropic's dialect."""

import re
from typing import Any, Final

from gateway.names import Slug
from gateway.translation.anthropic_messages_models import Line
from gateway.translation.anthropic_messages_schema import closed_schema
from gateway.translation.canonical import Choice, Tool, Use
from gateway.translation.losses import Losses

USES: Final = {Use.AUTO: "auto", Use.ANY: "any", Use.NONE: "none", Use.NAMED: "tool"}

_named = re.compile(r"[a-zA-Z0-9_-]{1,128}").fullmatch


def write_tools(
    body: dict[str, Any],
    tools: tuple[Tool, ...],
    choice: Choice | None,
    called: tuple[str, ...],
    line: Line,
    losses: Losses,
) -> None:
    """tools and tool_choice.

    Anthropic refuses a history with calls of tools in a request without any: those are then listed by
    their names, not to be used.

    Args:
        called: names of the tools that the history calls.

    Raises:
        CallerError: cannot_translate: a name has letters that Anthropic does not take.
    """
    if not tools and called:
        tools, choice = tuple(Tool(name) for name in called), Choice(Use.NONE)
    if not tools:
        return
    if choice is not None and choice.use is Use.NAMED and len(choice.names) != 1:
        # Any of several: the others are not shown, and one of what is left must be used.
        tools = tuple(tool for tool in tools if tool.name in choice.names) or tools
        choice = Choice(Use.ANY, (), choice.parallel)
    body["tools"] = [_tool(tool, line, losses) for tool in tools]
    if choice is not None:
        body["tool_choice"] = _choice(choice)


def _tool(tool: Tool, line: Line, losses: Losses) -> dict[str, Any]:
    if not _named(tool.name):
        losses.refuse(Slug("tool_name"))
    schema = dict(tool.schema or {})
    schema.setdefault("type", "object")
    if tool.schema is None:
        schema["properties"] = {}
    written: dict[str, Any] = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    if tool.strict is not None and line.schemas:
        written["strict"] = tool.strict
    elif tool.strict:
        losses.drop(Slug("strict"))
    written["input_schema"] = closed_schema(schema, losses) if written.get("strict") else schema
    return written


def _choice(choice: Choice) -> dict[str, Any]:
    written: dict[str, Any] = {"type": USES[choice.use]}
    if choice.use is Use.NAMED:
        written["name"] = choice.names[0]
    if choice.parallel is not None and choice.use is not Use.NONE:
        written["disable_parallel_tool_use"] = not choice.parallel
    return written
