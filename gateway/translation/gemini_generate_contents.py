"""Turns of a conversation, written as Gemini's contents."""

import base64
import re
from typing import Any, Final

import orjson

from gateway.translation.canonical import (
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
)
from gateway.translation.gemini_generate_history import RAW
from gateway.translation.gemini_generate_losses import lose
from gateway.translation.gemini_generate_signature import UNSEALED
from gateway.translation.gemini_generate_thinking import is_third_generation
from gateway.translation.losses import Losses

# Source: Gemini API reference, Content, Part, FunctionCall, FunctionResponse; Gemini API, Function
# calling (multimodal function responses), Thought signatures.

_known_host = re.compile(r"gs://|https://(generativelanguage|storage)\.googleapis\.com/").match
"""Where a file may be that a fileUri names: what was uploaded to Google."""

_ROLES: Final = {Role.USER: "user", Role.ASSISTANT: "model"}
_SOUNDS: Final = {"pcm16": "pcm"}

_MOST_LEVELS: Final = 200
"""Levels of a call's arguments; a request with far more could not be written as JSON."""


def write_contents(turns: tuple[Turn, ...], model: str, losses: Losses) -> list[dict[str, Any]]:
    """The contents. Turns of which nothing is left are left out.

    Raises:
        CallerError: cannot_translate with the feature in about.
    """
    names = {part.id: part.name for turn in turns for part in turn.parts if isinstance(part, ToolCall)}
    third = is_third_generation(model)
    contents: list[dict[str, Any]] = []
    for turn in turns:
        parts: list[dict[str, Any]] = []
        for part in turn.parts:
            _put(parts, part, turn.role, names, third, losses)
        if third:
            _seal_first_call(parts)
        role = _ROLES[turn.role]
        if parts and contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    return contents


def _put(
    parts: list[dict[str, Any]], part: Part, role: Role, names: dict[str, str], third: bool, losses: Losses
) -> None:
    """Put a part behind the others."""
    match part:
        case Text():
            if part.text:
                parts.append({"text": part.text})
        case Thought():
            _put_thought(parts, part, role, losses)
        case ToolCall():
            parts.append(_call(part))
        case ToolResult():
            parts += _result(part, names, third, losses)
        case Sound():
            parts.append(_inline(f"audio/{_SOUNDS.get(part.format, part.format)}", part.data))
        case Image() | File():
            parts.append(_data(part, losses))


def _put_thought(parts: list[dict[str, Any]], thought: Thought, role: Role, losses: Losses) -> None:
    """Google's own thoughts, and such as nobody sealed. A seal without words is of the text before it."""
    if role is Role.USER or thought.redacted or thought.maker not in (None, Maker.GEMINI):
        lose(losses, "thoughts")
        return
    seal = {"thoughtSignature": thought.signature} if thought.signature and thought.maker else {}
    if thought.text:
        parts.append({"text": thought.text, "thought": True, **seal})
    elif seal and parts and parts[-1].keys() == {"text"}:
        parts[-1].update(seal)
    elif seal:
        parts.append({"text": "", **seal})


def _call(call: ToolCall) -> dict[str, Any]:
    made: dict[str, Any] = {"id": call.id} if call.id else {}
    part = {"functionCall": {**made, "name": call.name, "args": _args(call.arguments)}}
    return part | {"thoughtSignature": call.signature} if call.signature else part


def _seal_first_call(parts: list[dict[str, Any]]) -> None:
    """Only the first call of a turn has a seal; where another model made it, a stand-in for it."""
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None:
        first.setdefault("thoughtSignature", UNSEALED)


def _args(text: str) -> dict[str, Any]:
    """The arguments as an object; as the text that they are if they are none."""
    try:
        args = orjson.loads(text) if text else {}
        if text.count("{") + text.count("[") > _MOST_LEVELS:
            orjson.dumps(_nested(args))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        args = None
    return args if type(args) is dict else {RAW: text}


def _nested(value: Any) -> Any:
    """A value as deep in lists as it will stand in the request, and more."""
    for _ in range(32):
        value = [value]
    return value


def _result(result: ToolResult, names: dict[str, str], third: bool, losses: Losses) -> list[dict[str, Any]]:
    name = result.name or names.get(result.id)
    if not name:
        lose(losses, "tool_result")
    texts = [part.text for part in result.parts if isinstance(part, Text)]
    data = [_data(part, losses) for part in result.parts if not isinstance(part, Text)]
    made: dict[str, Any] = {"id": result.id} if result.id else {}
    made |= {"name": name, "response": {"error" if result.is_error else "output": "\n".join(texts)}}
    if third and data:
        made["parts"] = data
        data = []
    return [{"functionResponse": made}, *data]


def _data(part: Image | File, losses: Losses) -> dict[str, Any]:
    if isinstance(part, Image):
        if part.detail not in ("", "auto"):
            lose(losses, "detail")
        if part.url and not _known_host(part.url):
            lose(losses, "image_url")
        return _placed(part.media_type or ("" if part.url else "image/png"), part.data, part.url)
    if part.name:
        lose(losses, "filename")
    if part.text:
        return _inline(part.media_type or "text/plain", base64.b64encode(part.text.encode()).decode())
    if part.url and not _known_host(part.url):
        lose(losses, "file_url")
    return _placed(part.media_type or ("" if part.url else "application/pdf"), part.data, part.url)


def _placed(media_type: str, data: str, url: str) -> dict[str, Any]:
    if not url:
        return _inline(media_type, data)
    return {"fileData": {"fileUri": url} | ({"mimeType": media_type} if media_type else {})}


def _inline(media_type: str, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": data}}
