"""Reads a caller's call for a response into the middle form."""

from typing import Any, Final

from gateway.content import Document, Purpose
from gateway.contracts import Call
from gateway.names import Slug
from gateway.stream.json_body import MOST_OUTPUT, count_in, flag_in, list_in, object_in, refuse
from gateway.translation.canonical import (
    Ask,
    File,
    Format,
    Image,
    Part,
    Reasoning,
    Role,
    Shown,
    Sound,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    parted_id,
    turns_of,
)
from gateway.translation.losses import Loss, Losses
from gateway.translation.openai_fields import (
    BREAKPOINT,
    FILE_ID,
    LOGPROBS,
    STORE,
    SYSTEM_PLACE,
    SYSTEM_ROLES,
    UNKNOWN_PART,
    UNKNOWN_TOOL,
    Fields,
    check_fields,
    choice_in,
    effort_in,
    file_of,
    format_of,
    image_of,
    number_in,
    object_of,
    slugs,
    text_in,
    tier_in,
    tool_of,
    user_in,
)
from gateway.translation.openai_seal import thought_of

INCLUDE: Final = Slug("include")
TRUNCATION: Final = Slug("truncation")
VERBOSITY: Final = Slug("verbosity")
MODE: Final = Slug("reasoning.mode")

FIELDS: Final = Fields(
    read=frozenset(
        {
            "model", "input", "instructions", "stream", "stream_options", "max_output_tokens", "temperature",
            "top_p", "reasoning", "text", "tools", "tool_choice", "parallel_tool_calls", "user",
            "safety_identifier", "service_tier", "store", "include", "truncation", "top_logprobs",
        }
    ),
    dropped=slugs(
        "metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "moderation",
        "max_tool_calls", "context_management", "image", "access_programs",
    ),
    refused=slugs("previous_response_id", "conversation", "background", "prompt"),
)  # fmt: skip

HOSTED: Final = slugs(
    "web_search", "web_search_preview", "file_search", "computer", "computer_use_preview", "mcp",
    "image_generation", "code_interpreter", "local_shell", "shell", "apply_patch", "custom", "namespace",
    "tool_search", "programmatic_tool_calling",
)  # fmt: skip
"""Tools that the provider itself runs, or that are no functions."""

BESIDE: Final = {
    name: Slug(f"tools.{name}")
    for name in (
        "web_search", "web_search_preview", "image_generation", "local_shell", "custom", "namespace",
        "tool_search",
    )
}  # fmt: skip
"""Such tools that may be left out where functions are offered, too: agents always offer them."""

SEARCHED: Final = Slug("web_search_call")
"""Tells only that the web was searched: what was found stands in the answer."""

ITEMS: Final = slugs(
    "item_reference", "file_search_call", "computer_call", "computer_call_output",
    "image_generation_call", "code_interpreter_call", "local_shell_call", "local_shell_call_output",
    "shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output", "mcp_list_tools",
    "mcp_approval_request", "mcp_approval_response", "mcp_call", "custom_tool_call",
    "custom_tool_call_output", "tool_search_call", "tool_search_output", "additional_tools", "compaction",
    "compaction_trigger", "configuration_update", "program", "program_output",
)  # fmt: skip
"""What such tools leave behind in a conversation, and what only the provider can look up."""

READ_LOSSES: Final = {
    **FIELDS.losses,
    **dict.fromkeys(HOSTED.values(), Loss.REFUSED),
    **dict.fromkeys(BESIDE.values(), Loss.DROPPED),
    **dict.fromkeys(ITEMS.values(), Loss.REFUSED),
    SEARCHED: Loss.DROPPED,
    INCLUDE: Loss.DROPPED,  # other than encrypted reasoning, which is given unasked
    TRUNCATION: Loss.DROPPED,
    VERBOSITY: Loss.DROPPED,
    MODE: Loss.DROPPED,
}

_INPUT: Final = "input"


def read_ask(call: Call, losses: Losses) -> Ask:
    """As the Tongue says."""
    assert isinstance(call.body, Document)
    tree = call.body.open(Purpose.TRANSLATE)
    check_fields(tree, FIELDS, losses)
    _check_wishes(tree, losses)
    system, turns = _conversation(tree, losses)
    instructions = text_in(tree, "instructions")
    if instructions:
        system = (Text(instructions), *system)
    choice, tools = choice_in(tree, _tools(tree, losses), lambda shape: shape.get("name"), losses)
    return Ask(
        system=system,
        turns=turns,
        tools=tools,
        choice=choice,
        max_output=count_in(tree, "max_output_tokens", MOST_OUTPUT),
        temperature=number_in(tree, "temperature"),
        top_p=number_in(tree, "top_p"),
        format=_format(tree),
        reasoning=_reasoning(tree, losses),
        user=user_in(tree, losses),
        tier=tier_in(tree, losses),
        stream=call.stream,
    )


def _check_wishes(tree: dict[str, Any], losses: Losses) -> None:
    """The fields that only some values of are lost."""
    if flag_in(tree, "store"):
        losses.drop(STORE)
    includes = list_in(tree, "include")
    if tree.get("top_logprobs") or "message.output_text.logprobs" in includes:
        losses.drop(LOGPROBS)
    if any(name not in ("reasoning.encrypted_content", "message.output_text.logprobs") for name in includes):
        losses.drop(INCLUDE)
    if tree.get("truncation") not in (None, "disabled"):
        losses.drop(TRUNCATION)
    if object_in(tree, "text").get("verbosity") is not None:
        losses.drop(VERBOSITY)


def _format(tree: dict[str, Any]) -> Format | None:
    form = object_in(object_in(tree, "text"), "format")
    return format_of(form.get("type"), form, "text")


def _reasoning(tree: dict[str, Any], losses: Losses) -> Reasoning | None:
    shape = object_in(tree, "reasoning")
    effort = effort_in(shape, "effort", "reasoning")
    summary = shape.get("summary") or shape.get("generate_summary")
    if shape.get("mode") is not None or shape.get("context") is not None:
        losses.drop(MODE)
    if effort is None and not summary:
        return None
    return Reasoning(effort=effort, shown=True if summary else None)


def _tools(tree: dict[str, Any], losses: Losses) -> tuple[Tool, ...]:
    entries = [object_of(entry, "tools") for entry in list_in(tree, "tools")]
    functions = [entry for entry in entries if entry.get("type") == "function"]
    for entry in entries:
        kind = entry.get("type")
        name = kind if type(kind) is str else ""
        if functions and name in BESIDE:
            losses.drop(BESIDE[name])
        elif name != "function":
            losses.refuse(HOSTED.get(name, UNKNOWN_TOOL))
    return tuple(map(tool_of, functions))


# --- items --------------------------------------------------------------------------------------------


def _conversation(tree: dict[str, Any], losses: Losses) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    items = tree.get("input")
    if items is None or type(items) is str:
        return (), turns_of([Turn(Role.USER, (Text(items),) if items else ())])
    system: list[Text] = []
    turns: list[Turn] = []
    for entry in list_in(tree, "input"):
        item = object_of(entry, _INPUT)
        kind = item.get("type", "message")
        if kind == "message" and item.get("role") in SYSTEM_ROLES:
            if turns:
                losses.drop(SYSTEM_PLACE)
            system += [part for part in _parts(item.get("content"), losses) if isinstance(part, Text)]
        else:
            turns.append(_turn(kind, item, losses))
    return tuple(system), turns_of(turns)


def _turn(kind: object, item: dict[str, Any], losses: Losses) -> Turn:
    if type(kind) is str and kind in ITEMS:
        losses.refuse(ITEMS[kind])
    if kind == SEARCHED:
        losses.drop(SEARCHED)
        return Turn(Role.ASSISTANT, ())
    if kind == "message":
        role = item.get("role")
        if role not in ("user", "assistant"):
            refuse(_INPUT)
        return Turn(Role(role), tuple(_parts(item.get("content"), losses)))
    if kind == "function_call":
        id, signature = parted_id(text_in(item, "call_id", _INPUT))
        name = text_in(item, "name", _INPUT)
        call = ToolCall(id, name, text_in(item, "arguments", _INPUT), signature)
        return Turn(Role.ASSISTANT, (call,))
    if kind == "function_call_output":
        return Turn(Role.USER, (_result(item, losses),))
    if kind != "reasoning":
        refuse(_INPUT)
    return Turn(Role.ASSISTANT, _thoughts(item))


def _result(item: dict[str, Any], losses: Losses) -> ToolResult:
    id, _ = parted_id(text_in(item, "call_id", _INPUT))
    if not id:
        refuse(_INPUT)
    parts: list[Shown] = []
    for part in _parts(item.get("output"), losses):
        if not isinstance(part, Text | Image | File):
            losses.refuse(UNKNOWN_PART)
        parts.append(part)
    return ToolResult(id, tuple(parts), text_in(item, "name", _INPUT))


def _thoughts(item: dict[str, Any]) -> tuple[Part, ...]:
    """A reasoning item: one thought, as its seal is for all of it."""
    shown = list_in(item, "summary") or list_in(item, "content")
    text = "\n\n".join(text_in(object_of(part, _INPUT), "text", _INPUT) for part in shown)
    thought: Thought = thought_of(text, text_in(item, "encrypted_content", _INPUT))
    return (thought,) if thought.text or thought.signature else ()


def _parts(content: object, losses: Losses) -> list[Text | Image | File | Sound]:
    if content is None:
        return []
    if type(content) is str:
        return [Text(content)] if content else []
    if type(content) is not list:
        refuse(_INPUT)
    found = (_part(object_of(entry, _INPUT), losses) for entry in content)
    return [part for part in found if not isinstance(part, Text) or part.text]


def _part(entry: dict[str, Any], losses: Losses) -> Text | Image | File | Sound:
    kind = entry.get("type")
    if entry.get("prompt_cache_breakpoint") is not None:
        losses.drop(BREAKPOINT)
    if kind in ("input_text", "output_text", "text"):
        return Text(text_in(entry, "text", _INPUT))
    if kind == "refusal":
        return Text(text_in(entry, "refusal", _INPUT))
    if entry.get("file_id") is not None:
        losses.refuse(FILE_ID)
    if kind == "input_image":
        return image_of(entry.get("image_url"), entry.get("detail"), _INPUT)
    if kind == "input_audio":
        sound = object_of(entry.get("input_audio"), _INPUT)
        return Sound(text_in(sound, "format", _INPUT), text_in(sound, "data", _INPUT))
    if kind != "input_file":
        losses.refuse(UNKNOWN_PART)
    name = text_in(entry, "filename", _INPUT)
    url = text_in(entry, "file_url", _INPUT)
    return File(url=url, name=name) if url else file_of(entry.get("file_data"), name, _INPUT)
