"""One target, always."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.contracts import Choice, Question, Router
from gateway.names import Slug

REASON = Slug("fixed")


class Fixed:
    """Sends every call to one model."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """target: a model, or provider/model."""

        target: str

    def __init__(self, config: Config) -> None:
        self._target = Slug(config.target)

    def targets(self) -> tuple[str, ...]:
        """The one target."""
        return (self._target,)

    def plan(self, question: Question) -> Choice:
        """The target, if the call can go there."""
        return Choice(order=(self._target,), reason=REASON)


if TYPE_CHECKING:
    _: type[Router] = Fixed
