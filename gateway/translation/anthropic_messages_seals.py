"""Ids and signatures in the form that Anthropic's dialect allows."""

import re
from hashlib import sha256
from typing import Final

from gateway.translation.canonical import Maker

_allowed = re.compile(r"[a-zA-Z0-9_-]+").fullmatch

FOREIGN: Final = tuple(maker for maker in Maker if maker is not Maker.ANTHROPIC)


def plain_id(id: str) -> str:
    """A tool call's id in the letters that Anthropic's API takes; the same one for the same id.

    Source: Anthropic's error for other ids, which names the pattern ^[a-zA-Z0-9_-]+$.
    """
    if _allowed(id):
        return id
    return "toolu_" + sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def sealed(signature: str, maker: Maker | None) -> str:
    """A signature as Anthropic's clients keep it. That of another maker is marked with the maker's name."""
    if maker is None:
        return ""
    return signature if maker is Maker.ANTHROPIC else maker + ":" + signature


def unsealed(text: str) -> tuple[str, Maker | None]:
    """The signature and its maker, as sealed() put them together. Anthropic's own have no colon."""
    if not text:
        return "", None
    for maker in FOREIGN:
        if text.startswith(maker + ":"):
            return text[len(maker) + 1 :], maker
    return text, Maker.ANTHROPIC
