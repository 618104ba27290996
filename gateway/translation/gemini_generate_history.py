"""Turns of a conversation, read from Gemini's contents."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from gateway.stream.json_body import refuse
from gateway.translation.canonical import (
    File,
    Image,
    Maker,
    Part,
    Role,
    Shown,
    Sound,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Turn,
    turns_of,
)
from gateway.translation.gemini_generate_fields import (
    bytes_of,
    flag_of,
    list_of,
    look_over,
    object_of,
    objects_of,
    text_of,
    value_of,
)
from gateway.translation.gemini_generate_losses import AS_CALLER, lose
from gateway.translation.gemini_generate_signature import unpack
from gateway.translation.losses import Losses

# Source: Gemini API reference, Content, Part, FunctionCall, FunctionResponse.

RAW: Final = "_raw"
"""The only argument of a call whose arguments are no JSON object: their text."""

_ROLES: Final = {
    "": Role.USER,
    "user": Role.USER,
    "function": Role.USER,
    "tool": Role.USER,
    "model": Role.ASSISTANT,
}
_KINDS: Final = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
_KNOWN: Final = frozenset({*_KINDS, "thought", "thoughtSignature"})
_CALL: Final = frozenset({"id", "name", "args"})
_RESULT: Final = frozenset({"id", "name", "response", "parts"})
_SOUNDS: Final = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "x-m4a": "m4a", "x-flac": "flac"}


def made_id(*about: object) -> str:
    """An id for a call that has none: always the same for the same call, and fit for every dialect."""
    text = "\0".join(map(str, about)).encode("utf-8", "replace")
    return "call_" + hashlib.sha256(text).hexdigest()[:24]


def read_turns(tree: Mapping[str, Any], losses: Losses) -> tuple[Turn, ...]:
    """The turns of a request's contents.

    Raises:
        CallerError: bad_request or cannot_translate, with the field in about.
    """
    history = _History(losses)
    turns = turns_of([history.turn(content) for content in objects_of(tree, "contents")])
    return tuple(turn if turn.role is Role.USER else _joined(turn) for turn in turns)


def read_texts(content: Mapping[str, Any], name: str, losses: Losses) -> tuple[Text, ...]:
    """The texts of a content that may hold nothing else.

    Raises:
        CallerError: bad_request or cannot_translate.
    """
    texts = []
    for part in objects_of(content, "parts"):
        if value_of(part, "text") is None:
            refuse(name)
        look_over(part, _KNOWN, AS_CALLER, losses, "unknown_field")
        if text := text_of(part, "text"):
            texts.append(Text(text))
    return tuple(texts)


class _History:
    """Reads contents in order, and remembers which calls have not been answered yet."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._calls = 0
        self._waiting: list[tuple[str, str]] = []  # id and name

    def turn(self, content: Mapping[str, Any]) -> Turn:
        role = _ROLES.get(text_of(content, "role"))
        if role is None:
            refuse("role")
        parts: list[Part] = []
        for part in list_of(content, "parts"):
            if type(part) is not dict:
                refuse("parts")
            parts += self._parts(part, role)
        return Turn(role, tuple(parts))

    def _parts(self, part: Mapping[str, Any], role: Role) -> list[Part]:
        look_over(part, _KNOWN, AS_CALLER, self._losses, "unknown_field")
        kinds = [kind for kind in _KINDS if value_of(part, kind) is not None]
        signature = bytes_of(part, "thoughtSignature")
        if not kinds and not signature:
            if any(name in part for name in ("thought", "thoughtSignature", "thought_signature")):
                return []
            refuse("parts")
        if len(kinds) > 1:
            refuse("parts")
        kind = kinds[0] if kinds else "text"
        if kind == "functionCall":
            return [self._call(part, signature, role)]
        if kind == "functionResponse":
            return [self._result(part, role)]
        if kind != "text":
            return [read_data(part, self._losses)]
        return self._words(part, signature, role)

    def _words(self, part: Mapping[str, Any], signature: str, role: Role) -> list[Part]:
        text = text_of(part, "text")
        seal, maker, redacted = unpack(signature)
        thought = flag_of(part, "thought") or maker is not Maker.GEMINI
        if role is Role.USER:
            if thought and text:
                lose(self._losses, "thoughts")
            return [Text(text)] if text and not thought else []
        if thought:
            if not text and not seal:
                return []
            return [Thought(text, seal, maker if seal else None, redacted)]
        parts: list[Part] = [Text(text)] if text else []
        if seal:
            parts.append(Thought("", seal, maker))
        return parts

    def _call(self, part: Mapping[str, Any], signature: str, role: Role) -> ToolCall:
        call = object_of(part, "functionCall") or {}
        look_over(call, _CALL, AS_CALLER, self._losses, "unknown_field")
        name = text_of(call, "name")
        if not name or role is Role.USER:
            refuse("functionCall")
        self._calls += 1
        id = text_of(call, "id") or made_id(self._calls, name)
        self._waiting.append((id, name))
        arguments = _arguments(object_of(call, "args") or {})
        seal, maker, _ = unpack(signature)
        return ToolCall(id, name, arguments, seal if maker is Maker.GEMINI else "")

    def _result(self, part: Mapping[str, Any], role: Role) -> ToolResult:
        result = object_of(part, "functionResponse") or {}
        look_over(result, _RESULT, AS_CALLER, self._losses, "unknown_field")
        name = text_of(result, "name")
        if not name or role is Role.ASSISTANT:
            refuse("functionResponse")
        id = text_of(result, "id") or self._answered(name)
        self._waiting = [one for one in self._waiting if one[0] != id]
        shown, is_error = _shown(object_of(result, "response") or {})
        for piece in objects_of(result, "parts"):
            data = read_data(piece, self._losses)
            if isinstance(data, Sound):
                lose(self._losses, "audio_result")
            else:
                shown.append(data)
        return ToolResult(id, tuple(shown), name, is_error)

    def _answered(self, name: str) -> str:
        """The id of the first call of this function that has no result yet."""
        for id, called in self._waiting:
            if called == name:
                return id
        return made_id("no call", self._calls, name)


def _joined(turn: Turn) -> Turn:
    """A model's turn in which the pieces of a stream, each kept in a content of its own, are one again."""
    parts: list[Part] = []
    for part in turn.parts:
        last = parts[-1] if parts else None
        if isinstance(last, Text) and isinstance(part, Text):
            parts[-1] = Text(last.text + part.text)
        elif (
            isinstance(last, Thought) and isinstance(part, Thought) and not (last.signature or part.redacted)
        ):
            parts[-1] = Thought(last.text + part.text, part.signature, part.maker)
        else:
            parts.append(part)
    return Turn(turn.role, tuple(parts))


def _arguments(args: dict[str, Any]) -> str:
    raw = args.get(RAW)
    return raw if len(args) == 1 and type(raw) is str else _json(args, "args")


def _json(value: Any, name: str) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # too many levels
        refuse(name)


def _shown(response: dict[str, Any]) -> tuple[list[Shown], bool]:
    """What a function gave back, and whether that is an error. "result" is what libraries write."""
    value: Any = response
    key = next(iter(response), "") if len(response) == 1 else ""
    if key in ("output", "result", "error"):
        value = response[key]
    text = value if type(value) is str else "" if value == {} else _json(value, "response")
    return ([Text(text)] if text else []), key == "error"


def read_data(part: Mapping[str, Any], losses: Losses) -> Image | File | Sound:
    """A picture, a document or sound, inside the request or at an address.

    Raises:
        CallerError: bad_request or cannot_translate.
    """
    inline, filed = object_of(part, "inlineData"), object_of(part, "fileData")
    tree = inline if inline is not None else filed
    if tree is None or (inline is not None and filed is not None):
        refuse("parts")
    media_type = text_of(tree, "mimeType").lower()
    data = bytes_of(tree, "data") if inline is not None else ""
    url = text_of(tree, "fileUri") if filed is not None else ""
    if not (data or url) or (data and "/" not in media_type):
        refuse("fileData" if inline is None else "inlineData")
    family, _, form = media_type.partition("/")
    if family == "video":
        lose(losses, "video")
    if family == "audio":
        if url:
            lose(losses, "audio_url")
        return Sound(_SOUNDS.get(form, form), data)
    if family == "image":
        return Image(media_type=media_type, data=data, url=url)
    name = text_of(tree, "displayName")
    text = _plain(data) if media_type == "text/plain" and data else None
    if text is not None:
        return File(media_type=media_type, text=text, name=name)
    return File(media_type=media_type, data=data, url=url, name=name)


def _plain(data: str) -> str | None:
    """Plain text; None if it is not written in UTF-8."""
    try:
        return base64.b64decode(data, validate=True).decode() or None
    except (binascii.Error, ValueError):
        return None
