"""What belongs together: the same number for calls of one session, or that begin with the same words.

The words are digested with a secret that is made at the start and never leaves the process, so the number
cannot be turned back or compared with anybody else's. It lives for one call and is not kept.
"""

import os
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

from gateway.content import Document, Purpose
from gateway.contracts import Call

_KEY: Final = os.urandom(32)

_BEFORE: Final = ("system", "instructions", "systemInstruction", "system_instruction", "tools")
"""Fields that providers put in front of the turns."""

_TURNS: Final = ("messages", "contents", "input")

_SET_UP: Final = ("system", "developer")
"""Roles of turns that stand before the first words of the user."""

FIRST_TURNS: Final = 8
"""At the most; usually a system message and the first words of the user."""

READ_BYTES: Final = 8192
"""Of each part, about the most that is digested; providers cache from some 4,000 bytes on."""

READ_ITEMS: Final = 64
"""Of each list and object, the most that is digested."""

ITEM_BYTES: Final = 8
"""What each value counts besides its bytes, so that the smallest ones do not take long either."""


def of_prompt(call: Call) -> int | None:
    """A number for the beginning of a prompt; None for a call without turns."""
    if not isinstance(call.body, Document):
        return None
    tree = call.body.open(Purpose.AFFINITY)
    turns = next((tree[name] for name in _TURNS if name in tree), None)
    if isinstance(turns, str):
        turns = [turns]
    if not isinstance(turns, list) or not turns:
        return None
    digest = blake2b(digest_size=8, key=_KEY)
    for part in (*(tree.get(name) for name in _BEFORE), *_first_turns(turns)):
        digest.update(b"\0" + b"".join(_first_bytes(part)))
    return int.from_bytes(digest.digest(), "big")


def of_name(name: str) -> int:
    """A number for a session or a key: the same in every process."""
    return int.from_bytes(blake2b(name.encode("utf-8"), digest_size=8).digest(), "big")


def _first_turns(turns: list[Any]) -> Iterator[Any]:
    """Those up to the first of the user: they are the same in all calls of a conversation."""
    for turn in turns[:FIRST_TURNS]:
        yield turn
        if not (isinstance(turn, dict) and turn.get("role") in _SET_UP):
            return


def _first_bytes(part: Any) -> Iterator[bytes]:
    """The beginning of a part, without writing out what would be cut off."""
    waiting, left = [part], READ_BYTES
    while waiting and left > 0:
        one = waiting.pop()
        if isinstance(one, str):
            piece = one[:left].encode("utf-8", "surrogatepass")
        elif isinstance(one, dict):
            piece = b"{"
            for name in reversed(list(islice(one, READ_ITEMS))):
                waiting += (one[name], name)
        elif isinstance(one, list):
            piece = b"["
            waiting += reversed(one[:READ_ITEMS])
        else:
            piece = repr(one).encode("ascii")
        yield b"%d:" % len(piece) + piece
        left -= len(piece) + ITEM_BYTES
