"""ByTask, a routing policy: some tasks go to one model, all others to another."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.contracts import Choice, Question
from gateway.names import Slug


class ByTask:
    """Each of the two models stands in for the other."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """tasks: labels of a classifier. special, usual: models, or provider/model."""

        tasks: tuple[str, ...]
        special: str
        usual: str

    def __init__(self, config: Config) -> None:
        self._tasks = frozenset(map(Slug, config.tasks))
        self._special, self._usual = Slug(config.special), Slug(config.usual)

    def targets(self) -> tuple[str, ...]:
        """Both models."""
        return self._special, self._usual

    def plan(self, question: Question) -> Choice:
        """A pure function of the label and of what may be asked; the call's words are not in the question."""
        fits = question.labels.task in self._tasks
        order = (self._special, self._usual) if fits else (self._usual, self._special)
        return Choice(
            order=tuple(name for name in order if name in question.candidates),
            reason=Slug("task_special" if fits else "task_usual"),
        )


if TYPE_CHECKING:
    from gateway.contracts import Router

    _: type[Router] = ByTask
