"""What a call has that the provider's dialect cannot say: dropped and told, or refused."""

from enum import StrEnum
from typing import NoReturn

from gateway.errors import CallerError
from gateway.names import Slug


class Loss(StrEnum):
    """What becomes of a feature that a dialect has no word for."""

    DROPPED = "dropped"  # left out, and listed in x-gateway-dropped
    REFUSED = "refused"  # the answer would not be what was asked for: cannot_translate


class Losses:
    """Collects the features that one translation leaves out.

    Args:
        strict: refuse the call for whatever would be dropped.
    """

    __slots__ = ("_strict", "dropped")

    def __init__(self, strict: bool = False) -> None:
        self._strict = strict
        self.dropped: list[Slug] = []

    def drop(self, feature: Slug) -> None:
        """Leave a feature out. The name is one of a dialect's tables: a field of Ask where the middle form
        has it (temperature, top_k, seed), else the caller's own name for it (cache_control, store).

        Raises:
            CallerError: cannot_translate, in strict mode.
        """
        if self._strict:
            self.refuse(feature)
        if feature not in self.dropped:
            self.dropped.append(feature)

    def refuse(self, feature: Slug) -> NoReturn:
        """The call cannot be translated without this.

        Raises:
            CallerError: cannot_translate, always.
        """
        raise CallerError("cannot_translate", about=feature)
