"""Text that is safe to keep: short names without spaces, and ids."""

import os
import re
from itertools import count
from typing import Final, Self

MAX_LENGTH: Final = 128
"""Characters in the longest name."""

_allowed = re.compile(r"[A-Za-z0-9._:/-][A-Za-z0-9._:/@+-]{0,127}").fullmatch


class Slug(str):
    """A name: letters, digits and ``. _ : / @ + -``, not beginning with @ or +; 1 to 128 characters.

    Whoever holds a Slug holds something that may be stored and logged. Text that a client invented
    is made a Slug only after the configuration was found to know it.

    Raises:
        ValueError: the text is no name. The error does not quote it.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if type(text) is cls:
            return text
        if _allowed(text) is None:
            raise ValueError("not a name: letters, digits and . _ : / @ + - only, 1 to 128 characters")
        return super().__new__(cls, text)


UNKNOWN: Final = Slug("unknown")
"""Stands in a record for a name that the configuration does not know."""


def is_name(text: str) -> bool:
    """Whether Slug(text) would succeed."""
    return _allowed(text) is not None


class Ids:
    """Makes ids that differ between processes, starts and calls, and sort by the order of making.

    A counter behind a random prefix costs a tenth of a UUID; 64 random bits keep processes apart.
    """

    def __init__(self, kind: str) -> None:
        self._prefix = f"{kind}-{os.urandom(8).hex()}"
        self._count = count(1)

    def __call__(self) -> Slug:
        # Made of safe parts, so the check of Slug() is not repeated for each call.
        return str.__new__(Slug, f"{self._prefix}-{next(self._count):x}")
