"""Carries the seals of all makers' thoughts through the one field that Responses has for them.

OpenAI's own encrypted content stands there as it is; any other seal behind its maker's name, with
"redacted" between both where the thought has no words because its maker hid them.
"""

from typing import Final

from gateway.translation.canonical import Maker, Thought, ThoughtDelta

_REDACTED: Final = "redacted"
_FOREIGN: Final = frozenset(maker.value for maker in Maker if maker is not Maker.OPENAI)


def seal_of(thought: Thought | ThoughtDelta) -> str:
    """What stands in encrypted_content; empty for a thought without a seal."""
    if not thought.signature or thought.maker in (None, Maker.OPENAI):
        return thought.signature
    parts = [thought.maker.value, _REDACTED, thought.signature]
    return ":".join(parts if thought.redacted else parts[::2])


def thought_of(text: str, seal: str) -> Thought:
    """The thought with these words and this encrypted_content."""
    maker, colon, signature = seal.partition(":")
    if not colon or maker not in _FOREIGN:
        return Thought(text, seal, Maker.OPENAI if seal else None, bool(seal) and not text)
    bare = signature.removeprefix(_REDACTED + ":")
    return Thought(text, bare, Maker(maker), bare != signature)
