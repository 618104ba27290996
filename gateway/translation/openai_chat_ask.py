"""Reads a caller's chat completion into the middle form."""

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

CHOICES: Final = Slug("n")
CUSTOM: Final = Slug("custom")
MODALITIES: Final = Slug("modalities")
NAME_FIELD: Final = Slug("name")
AUDIO: Final = Slug("audio")
FUNCTIONS: Final = Slug("functions")

FIELDS: Final = Fields(
    read=frozenset(
        {
            "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens",
            "temperature", "top_p", "top_k", "stop", "seed", "presence_penalty", "frequency_penalty",
            "logprobs", "top_logprobs", "response_format", "reasoning_effort", "tools", "tool_choice",
            "parallel_tool_calls", "user", "safety_identifier", "service_tier", "n", "store", "modalities",
        }
    ),
    dropped=slugs(
        "logit_bias", "metadata", "prediction", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "verbosity", "moderation",
    ),
    refused={**slugs("audio", "web_search_options"), "functions": FUNCTIONS, "function_call": FUNCTIONS},
)  # fmt: skip

READ_LOSSES: Final = {
    **FIELDS.losses,
    CHOICES: Loss.REFUSED,  # above 1
    CUSTOM: Loss.REFUSED,
    MODALITIES: Loss.REFUSED,  # other than text
    NAME_FIELD: Loss.DROPPED,
}

_MESSAGES: Final = "messages"
_LEAST_SEED: Final = -(2**63)
_MOST_SEED: Final = 2**63 - 1


def read_ask(call: Call, losses: Losses) -> Ask:
    """As the Tongue says."""
    assert isinstance(call.body, Document)
    tree = call.body.open(Purpose.TRANSLATE)
    check_fields(tree, FIELDS, losses)
    _check_wishes(tree, losses)
    system, turns = _conversation(tree, losses)
    choice, tools = choice_in(tree, _tools(tree, losses), _name_of, losses)
    effort = effort_in(tree, "reasoning_effort", "reasoning_effort")
    most = count_in(tree, "max_completion_tokens", MOST_OUTPUT)
    return Ask(
        system=system,
        turns=turns,
        tools=tools,
        choice=choice,
        max_output=count_in(tree, "max_tokens", MOST_OUTPUT) if most is None else most,
        temperature=number_in(tree, "temperature"),
        top_p=number_in(tree, "top_p"),
        top_k=count_in(tree, "top_k", MOST_OUTPUT),
        stop=_stop(tree),
        seed=count_in(tree, "seed", _MOST_SEED, _LEAST_SEED),
        presence_penalty=number_in(tree, "presence_penalty"),
        frequency_penalty=number_in(tree, "frequency_penalty"),
        format=_format(tree),
        reasoning=None if effort is None else Reasoning(effort=effort),
        user=user_in(tree, losses),
        tier=tier_in(tree, losses),
        stream=call.stream,
    )


def _check_wishes(tree: dict[str, Any], losses: Losses) -> None:
    """The fields that only some values of are lost."""
    if (count_in(tree, "n", MOST_OUTPUT) or 1) > 1:
        losses.refuse(CHOICES)
    if any(kind != "text" for kind in list_in(tree, "modalities")):
        losses.refuse(MODALITIES)
    if flag_in(tree, "store"):
        losses.drop(STORE)
    if flag_in(tree, "logprobs") or tree.get("top_logprobs") is not None:
        losses.drop(LOGPROBS)


def _stop(tree: dict[str, Any]) -> tuple[str, ...]:
    stop = tree.get("stop")
    if stop is None:
        return ()
    stops = [stop] if type(stop) is str else list_in(tree, "stop")
    if any(type(text) is not str for text in stops):
        refuse("stop")
    return tuple(text for text in stops if text)


def _format(tree: dict[str, Any]) -> Format | None:
    form = object_in(tree, "response_format")
    return format_of(form.get("type"), object_in(form, "json_schema"), "response_format")


def _name_of(shape: dict[str, Any]) -> object:
    return object_of(shape.get("function"), "tool_choice").get("name")


def _tools(tree: dict[str, Any], losses: Losses) -> tuple[Tool, ...]:
    tools = []
    for entry in list_in(tree, "tools"):
        kind = object_of(entry, "tools").get("type")
        if kind != "function":
            losses.refuse(CUSTOM if kind == "custom" else UNKNOWN_TOOL)
        tools.append(tool_of(object_of(entry.get("function"), "tools")))
    return tuple(tools)


# --- messages -----------------------------------------------------------------------------------------


def _conversation(tree: dict[str, Any], losses: Losses) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    messages = list_in(tree, _MESSAGES)
    if not messages:
        refuse(_MESSAGES)
    system: list[Text] = []
    turns: list[Turn] = []
    for entry in messages:
        message = object_of(entry, _MESSAGES)
        role = message.get("role")
        if role in SYSTEM_ROLES:
            if turns:
                losses.drop(SYSTEM_PLACE)
            system += [part for part in _parts(message, losses) if isinstance(part, Text)]
        elif role == "user":
            turns.append(Turn(Role.USER, tuple(_parts(message, losses))))
        elif role == "assistant":
            turns.append(Turn(Role.ASSISTANT, tuple(_said(message, losses))))
        elif role == "tool":
            turns.append(Turn(Role.USER, (_result(message, losses),)))
        elif role == "function":
            losses.refuse(FUNCTIONS)
        else:
            refuse(_MESSAGES)
        if message.get("name") and role != "tool":
            losses.drop(NAME_FIELD)
    return tuple(system), turns_of(turns)


def _said(message: dict[str, Any], losses: Losses) -> list[Part]:
    """What an assistant thought, said and wished for."""
    thought = text_in(message, "reasoning_content", _MESSAGES) or text_in(message, "reasoning", _MESSAGES)
    parts: list[Part] = [Thought(thought)] if thought else []
    parts += _parts(message, losses)
    refusal = text_in(message, "refusal", _MESSAGES)
    if refusal:
        parts.append(Text(refusal))
    if message.get("audio") is not None:
        losses.refuse(AUDIO)
    if message.get("function_call") is not None:
        losses.refuse(FUNCTIONS)
    for entry in list_in(message, "tool_calls"):
        if object_of(entry, _MESSAGES).get("type", "function") != "function":
            losses.refuse(CUSTOM)
        function = object_of(entry.get("function"), _MESSAGES)
        id, signature = parted_id(text_in(entry, "id", _MESSAGES))
        name = text_in(function, "name", _MESSAGES)
        parts.append(ToolCall(id, name, text_in(function, "arguments", _MESSAGES), signature))
    return parts


def _result(message: dict[str, Any], losses: Losses) -> ToolResult:
    id, _ = parted_id(text_in(message, "tool_call_id", _MESSAGES))
    if not id:
        refuse(_MESSAGES)
    parts: list[Shown] = []
    for part in _parts(message, losses):
        if not isinstance(part, Text | Image | File):
            losses.refuse(UNKNOWN_PART)
        else:
            parts.append(part)
    return ToolResult(id, tuple(parts), text_in(message, "name", _MESSAGES))


def _parts(message: dict[str, Any], losses: Losses) -> list[Text | Image | File | Sound]:
    content = message.get("content")
    if content is None:
        return []
    if type(content) is str:
        return [Text(content)] if content else []
    if type(content) is not list:
        refuse(_MESSAGES)
    found = (_part(object_of(entry, _MESSAGES), losses) for entry in content)
    return [part for part in found if not isinstance(part, Text) or part.text]


def _part(entry: dict[str, Any], losses: Losses) -> Text | Image | File | Sound:
    kind = entry.get("type")
    if entry.get("prompt_cache_breakpoint") is not None:
        losses.drop(BREAKPOINT)
    if kind in ("text", "refusal"):
        return Text(text_in(entry, kind, _MESSAGES))
    if kind == "image_url":
        image = entry.get("image_url")
        if type(image) is str:  # as some clients write it
            image = {"url": image}
        image = object_of(image, _MESSAGES)
        return image_of(image.get("url"), image.get("detail"), _MESSAGES)
    if kind == "input_audio":
        sound = object_of(entry.get("input_audio"), _MESSAGES)
        return Sound(text_in(sound, "format", _MESSAGES), text_in(sound, "data", _MESSAGES))
    if kind != "file":
        losses.refuse(UNKNOWN_PART)
    file = object_of(entry.get("file"), _MESSAGES)
    if file.get("file_id") is not None:
        losses.refuse(FILE_ID)
    return file_of(file.get("file_data"), text_in(file, "filename", _MESSAGES), _MESSAGES)
