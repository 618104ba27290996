"""Writes the turns of a call as messages of Anthropic's dialect."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable
from typing import Any, Final

from gateway.names import Slug
from gateway.translation.anthropic_messages_arguments import object_of
from gateway.translation.anthropic_messages_seals import plain_id
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
    turns_of,
)
from gateway.translation.losses import Losses

Block = dict[str, Any]

OPENING: Final = "."
"""Stands for the user's first words where a call begins with the assistant's, or has no turns: Anthropic
refuses both."""


def messages_of(turns: tuple[Turn, ...], losses: Losses) -> list[Block]:
    """The messages: roles alternate, a user's is first, results of tools stand before everything else.

    Raises:
        CallerError: cannot_translate with the feature in about.
    """
    messages: list[Block] = []
    for turn in turns:
        blocks = [block for part in turn.parts for block in _blocks(part, turn.role, losses)]
        if messages and blocks and messages[-1]["role"] == turn.role:
            messages[-1]["content"] += blocks
        elif blocks:
            messages.append({"role": turn.role.value, "content": blocks})
    for message in messages:
        message["content"].sort(key=lambda block: block["type"] != "tool_result")
    if not messages or messages[0]["role"] != Role.USER:
        messages.insert(0, {"role": Role.USER.value, "content": [{"type": "text", "text": OPENING}]})
    last = messages[-1]["content"][-1]
    if messages[-1]["role"] == Role.ASSISTANT and last["type"] == "text":
        last["text"] = last["text"].rstrip()  # what is to be gone on with must not end in white space
    return messages


def names_called(turns: Iterable[Turn]) -> tuple[str, ...]:
    """The names of all tools that the history calls, each once."""
    calls = (part for turn in turns for part in turn.parts if isinstance(part, ToolCall))
    return tuple(dict.fromkeys(call.name for call in calls))


def calls_tools_unsigned(turns: tuple[Turn, ...]) -> bool:
    """Whether the last turn of the assistant calls tools and does not begin with a thought of Anthropic's."""
    own = [turn for turn in turns_of(list(turns)) if turn.role is Role.ASSISTANT]
    if not own or not any(isinstance(part, ToolCall) for part in own[-1].parts):
        return False
    first = next(part for part in own[-1].parts if _is_written(part))
    return not isinstance(first, Thought)


def _is_signed(thought: Thought) -> bool:
    return bool(thought.signature) and thought.maker is Maker.ANTHROPIC


def _is_written(part: Part) -> bool:
    if isinstance(part, Thought):
        return _is_signed(part)
    return not isinstance(part, Text) or bool(part.text.strip())


# --- one part ----------------------------------------------------------------------------------------


def _blocks(part: Part, role: Role, losses: Losses) -> list[Block]:
    """The block that says a part; none where there is nothing to say, or no way to say it."""
    if not _is_written(part):
        if isinstance(part, Thought):
            losses.drop(Slug("thoughts"))
        return []
    if isinstance(part, Sound):
        losses.refuse(Slug("audio"))
    if isinstance(part, Text):
        return [{"type": "text", "text": part.text}]
    if isinstance(part, ToolResult):
        return [_tool_result(part, losses)] if role is Role.USER else []
    if isinstance(part, ToolCall):
        return [_tool_use(part, losses)] if role is Role.ASSISTANT else []
    if isinstance(part, Thought):
        return [_thought(part)] if role is Role.ASSISTANT else []
    if role is Role.ASSISTANT:
        losses.drop(Slug("assistant_media"))
        return []
    return [_image(part, losses) if isinstance(part, Image) else _document(part, losses)]


def _thought(part: Thought) -> Block:
    if part.redacted:
        return {"type": "redacted_thinking", "data": part.signature}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}


def _tool_use(part: ToolCall, losses: Losses) -> Block:
    given = object_of(part.arguments)
    if given is None and part.arguments.strip():  # an empty text stands for no arguments
        losses.drop(Slug("arguments"))
    return {"type": "tool_use", "id": plain_id(part.id), "name": part.name, "input": given or {}}


def _tool_result(part: ToolResult, losses: Losses) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": plain_id(part.id)}
    content = [inner for shown in part.parts for inner in _blocks(shown, Role.USER, losses)]
    if content:
        block["content"] = content
    if part.is_error:
        block["is_error"] = True
    return block


def _image(part: Image, losses: Losses) -> Block:
    if part.detail not in ("", "auto"):
        losses.drop(Slug("detail"))
    if part.url:
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    media_type = "image/jpeg" if part.media_type == "image/jpg" else part.media_type  # a usual mistake
    source = {"type": "base64", "media_type": media_type, "data": part.data}
    return {"type": "image", "source": source}


def _document(part: File, losses: Losses) -> Block:
    """A PDF by its data or address, and every kind of text as such."""
    source: Block
    if part.url:
        source = {"type": "url", "url": part.url}
    elif part.data and part.media_type in ("", "application/pdf"):
        source = {"type": "base64", "media_type": "application/pdf", "data": part.data}
    else:
        text = _decoded(part, losses) if part.data else part.text
        source = {"type": "text", "media_type": "text/plain", "data": text}
    block: Block = {"type": "document", "source": source}
    if part.name:
        block["title"] = part.name
    return block


def _decoded(part: File, losses: Losses) -> str:
    kind = part.media_type.partition(";")[0]
    if not kind.startswith("text/") and kind not in ("application/json", "application/xml"):
        losses.refuse(Slug("file_type"))
    try:
        return b64decode(part.data, validate=True).decode("utf-8")
    except (Base64Error, UnicodeDecodeError):
        losses.refuse(Slug("file_type"))
