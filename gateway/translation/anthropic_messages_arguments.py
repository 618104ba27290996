"""Arguments of tool calls: JSON text in the middle form, an object in Anthropic's dialect."""

from typing import Any, Final

import orjson

SPARE_LEVELS: Final = 32
"""orjson writes 254 levels; a body or message around the arguments needs fewer than these."""


def object_of(text: str) -> dict[str, Any] | None:
    """The object that a JSON text says; None when it says none, or one too deep to be written again."""
    try:
        tree = orjson.loads(text)
        nested: Any = tree
        for _ in range(SPARE_LEVELS):
            nested = [nested]
        orjson.dumps(nested)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return tree if type(tree) is dict else None
