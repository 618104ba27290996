"""Writes the body of a call for a response for a provider, which is never asked to keep anything."""

from typing import Any, Final

from gateway.names import Slug
from gateway.translation.canonical import (
    Ask,
    Choice,
    Effort,
    File,
    Image,
    Maker,
    Part,
    Role,
    Sound,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Turn,
    Use,
)
from gateway.translation.losses import Loss, Losses
from gateway.translation.openai_fields import (
    ASSISTANT_MEDIA,
    LOGPROBS,
    STOP,
    THOUGHTS,
    TOP_K,
    USES,
    file_name,
    format_shape,
    short_id,
    shown_of,
    system_of,
    tool_shape,
    url_of,
    words_of,
)
from gateway.translation.openai_models import MODEL_LOSSES, fitted
from gateway.translation.tongue import Aim

SEED: Final = Slug("seed")
PRESENCE: Final = Slug("presence_penalty")
FREQUENCY: Final = Slug("frequency_penalty")
MAX_OUTPUT: Final = Slug("max_output")
SOUND: Final = Slug("audio")

WRITE_LOSSES: Final = {
    **MODEL_LOSSES,
    SEED: Loss.DROPPED,
    PRESENCE: Loss.DROPPED,
    FREQUENCY: Loss.DROPPED,
    MAX_OUTPUT: Loss.DROPPED,  # below the least that the API takes, which is sent instead
    SOUND: Loss.REFUSED,
}

LEAST_OUTPUT: Final = 16
"""Source: the API's own error message for max_output_tokens."""

ID_LENGTH: Final = 64
"""Characters in the longest id of a tool call. Source: OpenAI API reference, call_id."""


def write_ask(ask: Ask, aim: Aim, losses: Losses) -> dict[str, Any]:
    """As the Tongue says."""
    ask = fitted(ask, aim.model, losses)
    body: dict[str, Any] = {"model": aim.model, "store": False}
    system = system_of(ask)
    items: list[dict[str, Any]] = []
    if len(system) == 1:
        body["instructions"] = system[0].text
    elif system:
        texts = [{"type": "input_text", "text": text.text} for text in system]
        items.append({"type": "message", "role": "developer", "content": texts})
    for turn in ask.turns:
        items += _heard(turn, losses) if turn.role is Role.USER else _said(turn, losses)
    body["input"] = items
    if ask.tools:
        body["tools"] = [
            {"type": "function", "parameters": None, "strict": False, **tool_shape(tool)}
            for tool in ask.tools
        ]
        if ask.choice is not None:
            body["tool_choice"] = _choice(ask.choice)
            if ask.choice.parallel is not None:
                body["parallel_tool_calls"] = ask.choice.parallel
    if ask.format is not None:
        body["text"] = {
            "format": {"type": "json_object"}
            if ask.format.schema is None
            else {"type": "json_schema", **format_shape(ask.format)}
        }
    _write_sampling(ask, body, losses)
    _write_reasoning(ask, body)
    if ask.stream:
        body["stream"] = True
    return body


def _write_sampling(ask: Ask, body: dict[str, Any], losses: Losses) -> None:
    most = ask.max_output
    if most is not None and most < LEAST_OUTPUT:
        losses.drop(MAX_OUTPUT)
        most = LEAST_OUTPUT
    fields = {
        "max_output_tokens": most,
        "temperature": ask.temperature,
        "top_p": ask.top_p,
        "user": ask.user,
        "service_tier": ask.tier,
    }
    body.update((name, value) for name, value in fields.items() if value is not None)
    lost = {
        TOP_K: ask.top_k,
        SEED: ask.seed,
        PRESENCE: ask.presence_penalty,
        FREQUENCY: ask.frequency_penalty,
        LOGPROBS: ask.logprobs,
        STOP: ask.stop or None,
    }
    for name, value in lost.items():
        if value is not None:
            losses.drop(name)


def _write_reasoning(ask: Ask, body: dict[str, Any]) -> None:
    """How to think; and the seal of what is thought, without which the next call would forget it."""
    if ask.reasoning is None:
        return
    effort = ask.reasoning.effort
    shape = {} if effort is None else {"effort": effort.value}
    if ask.reasoning.shown:
        shape["summary"] = "auto"
    if shape:
        body["reasoning"] = shape
        if effort is not Effort.NONE:
            body["include"] = ["reasoning.encrypted_content"]


def _choice(choice: Choice) -> Any:
    if choice.use is not Use.NAMED:
        return USES[choice.use]
    tools = [{"type": "function", "name": name} for name in choice.names]
    return tools[0] if len(tools) == 1 else {"type": "allowed_tools", "mode": "required", "tools": tools}


# --- items --------------------------------------------------------------------------------------------


def _heard(turn: Turn, losses: Losses) -> list[dict[str, Any]]:
    """A user's turn: results are items of their own, what stands between them is a message."""
    items: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            items += _message(parts)
            parts = []
            items.append(_result(part, losses))
        elif isinstance(part, Image | File | Sound) or (isinstance(part, Text) and part.text):
            parts.append(_part(part, losses))
    return items + _message(parts)


def _message(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "message", "role": "user", "content": parts}] if parts else []


def _result(result: ToolResult, losses: Losses) -> dict[str, Any]:
    parts = [_part(part, losses) for part in shown_of(result)]
    output: Any = parts
    if not parts:
        output = ""
    elif len(parts) == 1 and parts[0]["type"] == "input_text":
        output = parts[0]["text"]
    id = short_id(result.id, ID_LENGTH)
    return {"type": "function_call_output", "call_id": id, "output": output}


def _said(turn: Turn, losses: Losses) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for part in turn.parts:
        if isinstance(part, Text):
            message = {"type": "message", "role": "assistant", "content": part.text}
            items += [message] if part.text else []
        elif isinstance(part, ToolCall):
            id = short_id(part.id, ID_LENGTH)
            arguments = part.arguments or "{}"
            items.append({"type": "function_call", "call_id": id, "name": part.name, "arguments": arguments})
        elif isinstance(part, Thought):
            items += _thought(part, losses)
        else:
            losses.drop(ASSISTANT_MEDIA)
    return items


def _thought(thought: Thought, losses: Losses) -> list[dict[str, Any]]:
    """A sealed thought goes back to its maker, and to nobody else."""
    if not thought.signature or thought.maker is not Maker.OPENAI:
        losses.drop(THOUGHTS)
        return []
    summary = [{"type": "summary_text", "text": thought.text}] if thought.text else []
    return [{"type": "reasoning", "summary": summary, "encrypted_content": thought.signature}]


def _part(part: Part, losses: Losses) -> dict[str, Any]:
    if isinstance(part, Image):
        return {"type": "input_image", "image_url": url_of(part), "detail": part.detail or "auto"}
    if isinstance(part, File):
        if part.text:
            return {"type": "input_text", "text": words_of(part)}
        if part.url:
            return {"type": "input_file", "file_url": part.url}
        return {"type": "input_file", "file_data": url_of(part), "filename": file_name(part)}
    if not isinstance(part, Text):
        losses.refuse(SOUND)
    return {"type": "input_text", "text": part.text}
