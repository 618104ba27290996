"""One target, always."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.contracts import Choice, Question, Router
from gateway.names import Slug
from gateway.routers import declared

REASON = Slug("fixed")


class Fixed:
    """Sends every call to one model."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """target: a model, or provider/model."""

        target: str

    def __init__(self, config: Config) -> None:
        self._target = declared.target(config.target, "target")

    def targets(self) -> tuple[str, ...]:
        """The one target."""
        return (self._target,)

    def plan(self, question: Question) -> Choice:
        """The target, if the call can go there."""
        order = (self._target,) if self._target in question.candidates else ()
        return Choice(order=order, reason=REASON)


if TYPE_CHECKING:
    _: type[Router] = Fixed
