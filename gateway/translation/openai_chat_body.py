"""Writes the body of a chat completion for a provider."""

from typing import Any, Final

from gateway.names import Slug
from gateway.translation.canonical import (
    Ask,
    Choice,
    File,
    Image,
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

FILE_URL: Final = Slug("file_url")
SHOWN: Final = Slug("reasoning.shown")

WRITE_LOSSES: Final = {
    **MODEL_LOSSES,
    FILE_URL: Loss.REFUSED,
    SHOWN: Loss.DROPPED,  # thoughts are seen if the server shows them
}

MOST_STOPS: Final = 4
"""Source: OpenAI API reference, stop."""

ID_LENGTH: Final = 40
"""Characters in the longest id of a tool call. Source: the API's own error message."""


def write_ask(ask: Ask, aim: Aim, losses: Losses) -> dict[str, Any]:
    """As the Tongue says. Usage on a stream is asked for by with_model, where the provider wants that."""
    ask = fitted(ask, aim.model, losses)
    body: dict[str, Any] = {"model": aim.model, "messages": _messages(ask, losses)}
    if ask.tools:
        body["tools"] = [{"type": "function", "function": tool_shape(tool)} for tool in ask.tools]
        if ask.choice is not None:
            body["tool_choice"] = _choice(ask.choice)
            if ask.choice.parallel is not None:
                body["parallel_tool_calls"] = ask.choice.parallel
    _write_sampling(ask, body, losses)
    if ask.format is not None:
        body["response_format"] = (
            {"type": "json_object"}
            if ask.format.schema is None
            else {"type": "json_schema", "json_schema": format_shape(ask.format)}
        )
    if ask.reasoning is not None:
        if ask.reasoning.effort is not None:
            body["reasoning_effort"] = ask.reasoning.effort.value
        if ask.reasoning.shown:
            losses.drop(SHOWN)
    if ask.stream:
        body["stream"] = True
    return body


def _write_sampling(ask: Ask, body: dict[str, Any], losses: Losses) -> None:
    fields = {
        "max_completion_tokens": ask.max_output,
        "temperature": ask.temperature,
        "top_p": ask.top_p,
        "seed": ask.seed,
        "presence_penalty": ask.presence_penalty,
        "frequency_penalty": ask.frequency_penalty,
        "user": ask.user,
        "service_tier": ask.tier,
    }
    body.update((name, value) for name, value in fields.items() if value is not None)
    if ask.stop:
        body["stop"] = list(ask.stop[:MOST_STOPS])
    if len(ask.stop) > MOST_STOPS:
        losses.drop(STOP)
    if ask.top_k is not None:
        losses.drop(TOP_K)
    if ask.logprobs is not None:
        losses.drop(LOGPROBS)


def _choice(choice: Choice) -> Any:
    if choice.use is not Use.NAMED:
        return USES[choice.use]
    tools = [{"type": "function", "function": {"name": name}} for name in choice.names]
    if len(tools) == 1:
        return tools[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": tools}}


# --- messages -----------------------------------------------------------------------------------------


def _messages(ask: Ask, losses: Losses) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    system = system_of(ask)
    if system:
        messages.append({"role": "system", "content": _content([_text(text) for text in system])})
    for turn in ask.turns:
        if turn.role is Role.USER:
            messages += _heard(turn, losses)
        else:
            messages += _said(turn, losses)
    return messages


def _content(parts: list[dict[str, Any]]) -> Any:
    """A lone text as a text, as every server takes it; anything else as a list."""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _heard(turn: Turn, losses: Losses) -> list[dict[str, Any]]:
    """A user's turn: first what the tools gave back, each in a message of its own, then the rest.

    A tool's message holds text only, so pictures and files of a result follow in the user's.
    """
    messages: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            told, more = _result(part, losses)
            messages.append(told)
            parts += more
        elif isinstance(part, Image | File | Sound) or (isinstance(part, Text) and part.text):
            parts.append(_part(part, losses))
    if parts:
        messages.append({"role": "user", "content": _content(parts)})
    return messages


def _result(result: ToolResult, losses: Losses) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    id = short_id(result.id, ID_LENGTH)
    texts: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for part in shown_of(result):
        written = _part(part, losses)
        (texts if written["type"] == "text" else others).append(written)
    if others:
        others.insert(0, _text(Text(f"What the tool call {id} gave back:")))
    content = _content(texts) if texts else ""
    return {"role": "tool", "tool_call_id": id, "content": content}, others


def _said(turn: Turn, losses: Losses) -> list[dict[str, Any]]:
    texts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for part in turn.parts:
        if isinstance(part, Text):
            texts += [_text(part)] if part.text else []
        elif isinstance(part, ToolCall):
            function = {"name": part.name, "arguments": part.arguments or "{}"}
            calls.append({"id": short_id(part.id, ID_LENGTH), "type": "function", "function": function})
        elif isinstance(part, Thought):
            losses.drop(THOUGHTS)
        else:
            losses.drop(ASSISTANT_MEDIA)
    if not texts and not calls:
        return []
    message: dict[str, Any] = {"role": "assistant", "content": _content(texts) if texts else None}
    if calls:
        message["tool_calls"] = calls
    return [message]


def _text(text: Text) -> dict[str, Any]:
    return {"type": "text", "text": text.text}


def _part(part: Text | Image | File | Sound, losses: Losses) -> dict[str, Any]:
    if isinstance(part, Text):
        return _text(part)
    if isinstance(part, Image):
        image = {"url": url_of(part)}
        if part.detail:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    if isinstance(part, Sound):
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
    if part.text:
        return {"type": "text", "text": words_of(part)}
    if part.url:
        losses.refuse(FILE_URL)
    return {"type": "file", "file": {"file_data": url_of(part), "filename": file_name(part)}}
