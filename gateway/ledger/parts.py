"""What of a call's body is no text: pictures sent inline, and input that the body only points at."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

HIDDEN: Final = ("previous_response_id", "conversation", "prompt", "cachedContent", "cached_content")
"""Fields that bring in text which the provider keeps. In an images or completions call, prompt is plain
text, which is counted as such: only an object points at something."""

OWN_TYPES: Final = frozenset({"function", "custom"})
"""Types of tools that the caller runs himself."""

DECLARED: Final = frozenset({"functionDeclarations", "function_declarations"})
"""Gemini's field of tools that the caller runs himself."""

MEMORY: Final = ("context_management", "mcp_servers", "container")
"""Anthropic's fields that make the provider read more than the body, or read it again."""


READING: Final = (*MEMORY, "web_search_options", "plugins")
"""All fields that make a provider read more than the body."""

_HIDING: Final = frozenset(HIDDEN)
_TOOLED: Final = frozenset((*READING, "tools"))


def pictures(tree: Mapping[str, Any]) -> Iterator[str]:
    """The data of each picture that stands in the body itself.

    Only places where a provider takes a picture for a picture: the same text in another place is billed
    as text, so it must not be found here.
    """
    for name in ("messages", "input", "contents"):
        turns = tree.get(name)
        for turn in turns if type(turns) is list else ():
            if type(turn) is dict:
                yield from _of_turn(turn)


def hidden(tree: Mapping[str, Any]) -> int:
    """How many times the body points at text that is not in it."""
    if _HIDING.isdisjoint(tree):
        return 0
    return sum(1 for name in HIDDEN if tree.get(name) and (name != "prompt" or type(tree[name]) is dict))


def sounds_elsewhere(tree: Mapping[str, Any]) -> int:
    """Parts of sound that stand in the provider's file store (Gemini)."""
    count = 0
    turns = tree.get("contents")
    for turn in turns if type(turns) is list else (turns,):
        held = turn.get("parts") if type(turn) is dict else None
        for part in held if type(held) is list else (held,):
            if type(part) is dict:
                data = part.get("fileData", part.get("file_data"))
                mime = data.get("mimeType", data.get("mime_type")) if type(data) is dict else None
                count += type(mime) is str and mime.startswith("audio/")
    return count


def provider_tools(tree: Mapping[str, Any]) -> int:
    """Tools among those offered that the provider runs, and whose results it reads and bills."""
    if _TOOLED.isdisjoint(tree):
        return 0
    tools = tree.get("tools")
    count = sum(1 for name in READING if tree.get(name))
    for tool in tools if type(tools) is list else (tools,):
        if type(tool) is not dict:
            continue
        kind = tool.get("type")
        if kind is not None:
            count += not isinstance(kind, str) or kind not in OWN_TYPES
        else:
            # Gemini's tools have no type: each key names one. Others without a type are the caller's.
            count += sum(1 for key in tool if key not in DECLARED) if "name" not in tool else 0
    return count


def texts(tree: Mapping[str, Any]) -> Iterator[str]:
    """Every text of the body that a model reads, without inline pictures and without the JSON around it."""
    skipped = {id(data) for data in pictures(tree)}
    left: list[Any] = [value for name, value in tree.items() if name not in SETTINGS]
    while left:
        value = left.pop()
        if type(value) is str:
            if id(value) not in skipped:
                yield value
        elif type(value) is list:
            left.extend(value)
        elif type(value) is dict:
            for key, part in value.items():
                if key not in FRAME:
                    yield key
                left.append(part)


SETTINGS: Final = frozenset(
    {"model", "stream", "user", "metadata", "service_tier", "store", "safetySettings"}
)
"""Fields at the top whose texts no model reads."""

FRAME: Final = frozenset(
    {
        "role", "content", "type", "text", "parts", "input_text", "image_url", "url", "source", "data",
        "media_type", "inlineData", "inline_data", "mimeType", "mime_type", "cache_control", "detail",
        "function", "arguments", "tool_calls", "id", "tool_call_id", "tool_use_id",
    }
)  # fmt: skip
"""Keys that are the form of a message and no part of what is read."""


def _of_turn(turn: Mapping[str, Any]) -> Iterator[str]:
    for name in ("content", "output", "parts"):
        parts = turn.get(name)
        for part in parts if type(parts) is list else ():
            if type(part) is not dict:
                continue
            data = _data(part)
            if data is not None:
                yield data
            elif part.get("type") == "tool_result":
                yield from _of_turn({"content": part.get("content")})


def _data(part: Mapping[str, Any]) -> str | None:
    kind = part.get("type")
    if kind in ("image_url", "input_image"):
        found = part.get("image_url")
        url = found.get("url") if type(found) is dict else found
        return url if type(url) is str and url.startswith("data:image/") else None
    if kind == "image":
        source = part.get("source")
        data = source.get("data") if type(source) is dict and source.get("type") == "base64" else None
        return data if type(data) is str else None
    if kind is not None:
        return None
    blob = part.get("inlineData", part.get("inline_data"))
    if type(blob) is not dict:
        return None
    mime = blob.get("mimeType", blob.get("mime_type"))
    data = blob.get("data")
    return data if type(data) is str and type(mime) is str and mime.startswith("image/") else None
