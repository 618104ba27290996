"""Seals of thoughts inside Gemini's thoughtSignature, whoever made them."""

import base64
import binascii
from typing import Final

from gateway.translation.canonical import Maker

# Gemini's own seals stand there as they are. Those of others are put in as base64 of "maker:seal", with
# "maker!seal" for a redacted thought, so that they come back with the caller's next call. The bytes of
# Gemini's own seals never begin with such a word.

UNSEALED: Final = "skip_thought_signature_validator"
"""Stands for the seal of a function call that another model made. Without any seal a model of the third
generation refuses the call. Source: Gemini API, Thought signatures (frequently asked questions)."""

STAND_INS: Final = (UNSEALED, UNSEALED.replace("_", "/"))
"""In both alphabets of base64."""

_FOREIGN: Final = (Maker.ANTHROPIC, Maker.OPENAI)

_BEGINNINGS: Final = tuple(
    base64.b64encode(maker.value.encode()).decode().rstrip("=")[: len(maker.value) * 4 // 3]
    for maker in _FOREIGN
)
"""How foreign seals begin once they are packed, whatever follows the maker's name."""


def pack(signature: str, maker: Maker | None, redacted: bool = False) -> str:
    """What stands in thoughtSignature for this seal."""
    if not signature or maker not in _FOREIGN:
        return signature
    sign = "!" if redacted else ":"
    return base64.b64encode(f"{maker}{sign}{signature}".encode()).decode()


def unpack(packed: str) -> tuple[str, Maker, bool]:
    """The seal, its maker, and whether it is a redacted thought. The stand-in is no seal."""
    if not packed or packed in STAND_INS:
        return "", Maker.GEMINI, False
    if not packed.startswith(_BEGINNINGS):
        return packed, Maker.GEMINI, False
    try:
        text = base64.b64decode(packed, validate=True).decode()
    except (binascii.Error, ValueError):
        return packed, Maker.GEMINI, False
    for maker in _FOREIGN:
        for sign in ":!":
            if text.startswith(maker + sign):
                return text[len(maker) + 1 :], maker, sign == "!"
    return packed, Maker.GEMINI, False
