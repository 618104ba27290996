"""The text of a call that a task can be told from, taken out of the four dialects' JSON.

Only as much is looked at as the windows need, however long a call is; odd shapes are passed over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

HEAD: Final = 1200
TAIL: Final = 400
SYSTEM: Final = 400
EARLIER: Final = 400
"""Characters of the last user message's begin and end, of the system text, and of the first question."""

MOST_TURNS: Final = 64
MOST_PARTS: Final = 32

_USER: Final = "user"
_SYSTEM_ROLES: Final = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is looked at. Lives as long as the look.

    Attributes:
        last: the last user message, its middle cut out.
        system: the beginning of the system text.
        earlier: the beginning of the first user message, where there are several.
        length: characters of the whole last message, at least.
        turns: messages of users.
    """

    last: str = field(default="", repr=False)
    system: str = field(default="", repr=False)
    earlier: str = field(default="", repr=False)
    length: int = 0
    turns: int = 0


def read(dialect: str, tree: object) -> Prompt | None:
    """What is looked at of a call's JSON; None where there is no text of a user."""
    if not isinstance(tree, Mapping):
        return None
    reader = _READERS.get(dialect)
    return reader(tree) if reader is not None else None


def of_messages(messages: object, system: object = None) -> Prompt | None:
    """Of a list of role and content, as chat completions and messages have it."""
    turns = messages if isinstance(messages, list) else []
    told = _texts(system)
    if not told:
        first = next((one for one in turns[:4] if _role(one) in _SYSTEM_ROLES), None)
        told = _texts(first.get("content")) if first else []
    users = _users(turns, "content", (_USER,))
    return _prompt(users, told)


def _of_chat(tree: Mapping[str, Any]) -> Prompt | None:
    return of_messages(tree.get("messages"))


def _of_anthropic(tree: Mapping[str, Any]) -> Prompt | None:
    return of_messages(tree.get("messages"), tree.get("system"))


def _of_responses(tree: Mapping[str, Any]) -> Prompt | None:
    asked = tree.get("input")
    items = [{"role": _USER, "content": asked}] if isinstance(asked, str) else asked
    return of_messages(items, tree.get("instructions"))


def _of_gemini(tree: Mapping[str, Any]) -> Prompt | None:
    contents = tree.get("contents")
    turns = contents if isinstance(contents, list) else [contents]
    system = tree.get("systemInstruction", tree.get("system_instruction"))
    told = _texts(system.get("parts")) if isinstance(system, Mapping) else _texts(system)
    return _prompt(_users(turns, "parts", (_USER, None)), told)


_READERS: Final = {
    "openai_chat": _of_chat,
    "anthropic_messages": _of_anthropic,
    "openai_responses": _of_responses,
    "gemini_generate": _of_gemini,
}


def _prompt(users: list[list[str]], told: list[str]) -> Prompt | None:
    if not users:
        return None
    last = users[-1]
    return Prompt(
        last=_window(last),
        system=_head(told, SYSTEM),
        earlier=_head(users[0], EARLIER) if len(users) > 1 else "",
        length=sum(map(len, last)),
        turns=len(users),
    )


def _users(turns: list[Any], name: str, roles: tuple[str | None, ...]) -> list[list[str]]:
    """The texts of users' messages: of the first one, and of the last ones within reach."""
    near = turns if len(turns) <= MOST_TURNS else [*turns[:4], *turns[4 - MOST_TURNS :]]
    found = []
    for turn in near:
        if isinstance(turn, Mapping) and turn.get("role") in roles:
            texts = _texts(turn.get(name))
            if texts:
                found.append(texts)
    return found


def _role(turn: object) -> object:
    return turn.get("role") if isinstance(turn, Mapping) else None


def _texts(content: object) -> list[str]:
    """The texts of a string or of a list of parts: its first ones and its last ones."""
    if isinstance(content, str):
        return [content] if content.strip() else []
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list):
        return []
    near = content if len(content) <= MOST_PARTS else [*content[:24], *content[-8:]]
    return [text for text in map(_text, near) if text]


def _text(part: object) -> str:
    text = part.get("text") if isinstance(part, Mapping) else part
    return text if isinstance(text, str) else ""


def _head(texts: Iterable[str], most: int) -> str:
    return "\n".join(text[:most] for text in islice(texts, 8))[:most]


def _window(texts: list[str]) -> str:
    whole = texts[0] if len(texts) == 1 else "\n".join(_short(text) for text in texts)
    if len(whole) <= HEAD + TAIL:
        return whole
    return f"{whole[:HEAD]}\n{whole[-TAIL:]}"


def _short(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"
