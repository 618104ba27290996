"""Reads the content blocks of a caller's messages in Anthropic's dialect."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from gateway.names import Slug
from gateway.stream.json_body import refuse
from gateway.translation.anthropic_messages_seals import unsealed
from gateway.translation.canonical import (
    File,
    Image,
    Maker,
    Part,
    Role,
    Shown,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    parted_id,
)
from gateway.translation.losses import Losses

Block = Mapping[str, Any]

REFUSED: Final = {
    "container_upload": Slug("container_upload"),
    "compaction": Slug("compaction"),
    "tool_reference": Slug("tool_search"),
    "browser_state": Slug("browser"),
}
"""Blocks that only Anthropic's servers understand, and the feature that each is part of."""


def parts_of(content: Any, role: Role, losses: Losses) -> list[Part]:
    """The parts of a message. Empty texts are left out.

    Raises:
        CallerError: bad_request or cannot_translate.
    """
    if type(content) is str:
        return [Text(content)] if content else []
    parts: list[Part] = []
    for block in _blocks(content):
        kind = block.get("type")
        own = (ASSISTANTS if role is Role.ASSISTANT else USERS).get(kind) if type(kind) is str else None
        if own is not None:
            parts.append(own(block, losses))
        elif type(kind) is str and kind in (ASSISTANTS | USERS):
            refuse("messages")
        else:
            parts += shown_of(block, losses)
    return parts


def shown_of(block: Block, losses: Losses) -> list[Shown]:
    """The texts, pictures and files that a block stands for."""
    kind = block.get("type")
    if type(kind) is not str:
        refuse("messages")
    if block.get("cache_control"):
        losses.drop(Slug("cache_control"))
    read = SHOWN.get(kind)
    if read is None:
        work = "tool_use" in kind or "tool_result" in kind
        losses.refuse(Slug("server_tool") if work else REFUSED.get(kind, Slug("unknown_block")))
    return read(block, losses)


def texts_of(content: Any, about: str, losses: Losses) -> list[Text]:
    """The texts of a system prompt.

    Raises:
        CallerError: bad_request, when there is anything else.
    """
    if content is None:
        return []
    if type(content) is str:
        return [Text(content)] if content else []
    texts = []
    for block in _blocks(content, about):
        if block.get("type") != "text":
            refuse(about)
        if block.get("cache_control"):
            losses.drop(Slug("cache_control"))
        text = text_in(block.get("text"), about)
        if text:
            texts.append(Text(text))
    return texts


def text_in(value: Any, about: str) -> str:
    """A text.

    Raises:
        CallerError: bad_request, when it is none.
    """
    if type(value) is not str:
        refuse(about)
    return value


def _blocks(content: Any, about: str = "messages") -> list[dict[str, Any]]:
    if type(content) is not list or any(type(block) is not dict for block in content):
        refuse(about)
    return content


# --- texts, pictures and files ------------------------------------------------------------------------------


def _source(block: Block, losses: Losses) -> dict[str, Any]:
    source = block.get("source")
    if type(source) is not dict:
        refuse("messages")
    if source.get("type") == "file":
        losses.refuse(Slug("file_id"))
    return source


def _text(block: Block, losses: Losses) -> list[Shown]:
    if block.get("citations"):
        losses.drop(Slug("citations"))
    text = text_in(block.get("text"), "messages")
    return [Text(text)] if text else []


def _image(block: Block, losses: Losses) -> list[Shown]:
    source = _source(block, losses)
    if block.get("transformations"):
        losses.drop(Slug("transformations"))
    if source.get("type") == "url":
        return [Image(url=text_in(source.get("url"), "messages"))]
    if source.get("type") != "base64":
        refuse("messages")
    media_type = text_in(source.get("media_type"), "messages")
    return [Image(media_type=media_type, data=text_in(source.get("data"), "messages"))]


def _document(block: Block, losses: Losses) -> list[Shown]:
    source = _source(block, losses)
    citations = block.get("citations")
    if type(citations) is dict and citations.get("enabled"):
        losses.drop(Slug("citations"))
    if block.get("context"):
        losses.drop(Slug("context"))
    name = text_in(block.get("title") or "", "messages")
    kind = source.get("type")
    if kind == "content":
        return _listed(source.get("content"), name, losses)
    if kind == "url":
        return [File(media_type="application/pdf", url=text_in(source.get("url"), "messages"), name=name)]
    data = text_in(source.get("data"), "messages")
    if kind == "text":
        return [File(media_type="text/plain", text=data, name=name)]
    if kind != "base64":
        refuse("messages")
    return [File(media_type=text_in(source.get("media_type"), "messages"), data=data, name=name)]


def _listed(content: Any, name: str, losses: Losses) -> list[Shown]:
    """A document that is given as text, or as a list of texts and pictures."""
    if type(content) is str:
        return [File(media_type="text/plain", text=content, name=name)]
    parts = [part for block in _blocks(content) for part in shown_of(block, losses)]
    return [
        File(media_type="text/plain", text=part.text, name=name) if isinstance(part, Text) else part
        for part in parts
    ]


def _search_result(block: Block, losses: Losses) -> list[Shown]:
    """What the caller found, as a file; where it found it has no place."""
    losses.drop(Slug("search_result"))
    texts = texts_of(block.get("content"), "messages", losses)
    name = text_in(block.get("title") or "", "messages")
    return [File(media_type="text/plain", text="\n".join(text.text for text in texts), name=name)]


# --- tools and thoughts ------------------------------------------------------------------------------


def _tool_use(block: Block, losses: Losses) -> ToolCall:
    if block.get("cache_control"):
        losses.drop(Slug("cache_control"))
    if block.get("toolset_name"):
        losses.refuse(Slug("server_tool"))
    given = block.get("input")
    if type(given) is not dict:
        refuse("messages")
    try:
        arguments = orjson.dumps(given).decode()
    except orjson.JSONEncodeError:  # deeper than it can be written
        refuse("messages")
    id, signature = parted_id(text_in(block.get("id"), "messages"))
    return ToolCall(id, text_in(block.get("name"), "messages"), arguments, signature)


def _tool_result(block: Block, losses: Losses) -> ToolResult:
    if block.get("cache_control"):
        losses.drop(Slug("cache_control"))
    content = block.get("content")
    parts: list[Shown] = []
    if type(content) is str:
        parts = [Text(content)] if content else []
    elif content is not None:
        parts = [part for inner in _blocks(content) for part in shown_of(inner, losses)]
    failed = block.get("is_error")
    if not (failed is None or type(failed) is bool):
        refuse("messages")
    id, _ = parted_id(text_in(block.get("tool_use_id"), "messages"))
    return ToolResult(id, tuple(parts), is_error=failed is True)


def _thinking(block: Block, losses: Losses) -> Thought:
    signature, maker = unsealed(text_in(block.get("signature") or "", "messages"))
    return Thought(text_in(block.get("thinking"), "messages"), signature, maker)


def _redacted(block: Block, losses: Losses) -> Thought:
    signature, maker = unsealed(text_in(block.get("data"), "messages"))
    return Thought("", signature, maker or Maker.ANTHROPIC, redacted=True)


SHOWN: Final[dict[str, Callable[[Block, Losses], list[Shown]]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
}
Read = Callable[[Block, Losses], Part]
ASSISTANTS: Final[dict[str, Read]] = {
    "tool_use": _tool_use,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
}
USERS: Final[dict[str, Read]] = {"tool_result": _tool_result}
