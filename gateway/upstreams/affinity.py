"""What belongs together: the same number for calls of one session, or that begin with the same words.

The words are digested with a secret that is made at the start and never leaves the process, so the number
cannot be turned back or compared with anybody else's. It lives for one call and is not kept.
"""

import os
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

import orjson

from gateway.content import Document, Purpose
from gateway.contracts import Call

_KEY: Final = os.urandom(32)

_BEFORE: Final = ("system", "instructions", "systemInstruction", "system_instruction", "tools")
"""Fields that providers put in front of the turns."""

_TURNS: Final = ("messages", "contents", "input")

FIRST_TURNS: Final = 2
"""A system message and the first words of the user, or those and the first answer."""

READ_BYTES: Final = 8192
"""Of each part, the most that is digested; providers cache from some 4,000 bytes on."""


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
    for part in (*(tree.get(name) for name in _BEFORE), *turns[:FIRST_TURNS]):
        digest.update(b"\0" + b"".join(_first_bytes(part)))
    return int.from_bytes(digest.digest(), "big")


def of_name(name: str) -> int:
    """A number for a session or a key: the same in every process."""
    return int.from_bytes(blake2b(name.encode("utf-8"), digest_size=8).digest(), "big")


def _first_bytes(part: Any) -> Iterable[bytes]:
    """The beginning of a part, without writing out what would be cut off."""
    if isinstance(part, str):
        yield part[:READ_BYTES].encode("utf-8", "surrogatepass")
    elif isinstance(part, dict):
        for name in sorted(part)[:32]:
            yield name.encode("utf-8", "surrogatepass")
            yield from _first_bytes(part[name])
    elif isinstance(part, list):
        for one in part[:32]:
            yield from _first_bytes(one)
    else:
        yield orjson.dumps(part, default=str)
