"""A classifier and a policy that fail with whatever they were given in their hands."""

from dataclasses import dataclass

from gateway.content import Document, Purpose
from gateway.contracts import Call, Choice, Labels, Question


class OddClassifier:
    """Raises, with all of the call in the exception, or answers with its text, in turns."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Nothing."""

    def __init__(self, config: Config) -> None:
        self._asked = 0

    def labels(self, call: Call) -> Labels:
        """Fail."""
        self._asked += 1
        text = repr(call.body.open(Purpose.CLASSIFY)) if isinstance(call.body, Document) else "form"
        match self._asked % 4:
            case 0:
                return Labels(task=text, confidence=900, classifier=text)  # type: ignore[arg-type]
            case 1:
                return text  # type: ignore[return-value]
            case 2:
                return Labels(scores={text: 1})  # type: ignore[dict-item]
        raise ValueError(text)


class OddRouter:
    """Raises, with the question in the exception, or answers with a name nobody gave it, in turns."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """What it chooses among."""

        targets: tuple[str, ...]

    by_prompt = True

    def __init__(self, config: Config) -> None:
        self._targets = config.targets
        self._asked = 0

    def targets(self) -> tuple[str, ...]:
        """All of them."""
        return self._targets

    def plan(self, question: Question) -> Choice:
        """Fail."""
        self._asked += 1
        if self._asked % 2:
            raise RuntimeError(question, question.tags)
        return Choice(order=("made up",), reason="a sentence of words")  # type: ignore[arg-type]
