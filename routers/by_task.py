"""Rules: what is known of a call decides where it goes."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final

from gateway.contracts import Choice, Question, Router
from gateway.names import Slug

RULE: Final = "rule"
OTHERWISE: Final = Slug("otherwise")

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_span = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])").fullmatch
_DAY_US: Final = 86_400 * 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """What must be so. All that is said must hold; of several names, one.

    Attributes:
        task: labels, such as "code_generation"; "other" is a call that no classifier was sure of.
        min_confidence: of the label, 0 to 1.
        kind: what is asked for, such as "chat" or "embeddings".
        min_tokens, max_tokens: of the input, as guessed before the call.
        tools, images, structured, turns: whether the call has tools, pictures, a schema for its
            answer, more than one turn.
        key, feature, environment, customer: who asks, and the tags of the call.
        hours: "08:00-18:00", UTC; may go over midnight. days: "mon" to "sun", UTC.
        min_spent: the share of the tightest budget that is used, 0 to 1; false without a budget.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    task: tuple[str, ...] = ()
    min_confidence: float = 0.0
    kind: tuple[str, ...] = ()
    min_tokens: int | None = None
    max_tokens: int | None = None
    tools: bool | None = None
    images: bool | None = None
    structured: bool | None = None
    turns: bool | None = None
    key: tuple[str, ...] = ()
    feature: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    customer: tuple[str, ...] = ()
    hours: tuple[str, ...] = ()
    days: tuple[str, ...] = ()
    min_spent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """to: where calls go for which when holds. name: shown as the reason; default: rule-1, rule-2, …"""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    when: When
    to: str
    name: str | None = None


Test = Callable[[Question], bool]


class ByTask:
    """The first rule that holds decides; otherwise is where all other calls go, and what comes next."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """rules: in the order they are looked at. otherwise: a model, provider/model or policy."""

        rules: tuple[Rule, ...]
        otherwise: str

    def __init__(self, config: Config) -> None:
        self._otherwise = Slug(config.otherwise)
        self._rules = [
            (_test(rule.when, f"rules[{place}]"), Slug(rule.to), Slug(rule.name or f"{RULE}-{place}"))
            for place, rule in enumerate(config.rules, 1)
        ]

    def targets(self) -> tuple[str, ...]:
        """Where the rules lead, and otherwise."""
        return (*(to for _, to, _ in self._rules), self._otherwise)

    def plan(self, question: Question) -> Choice:
        """The target of the first rule that holds and whose target can serve the call, then otherwise."""
        for test, to, name in self._rules:
            if to in question.candidates and test(question):
                return Choice(order=(to, self._otherwise), reason=name)
        return Choice(order=(self._otherwise,), reason=OTHERWISE)


def _test(when: When, place: str) -> Test:
    """One test out of all that a When says.

    Raises:
        ValueError: a span of hours or a day cannot be read.
    """
    tests: list[Test] = []
    said = {field.name: getattr(when, field.name) for field in fields(when)}
    said = {name: value for name, value in said.items() if value not in ((), None, 0.0)}
    for name, value in said.items():
        tests.append(_TESTS[name](value, f"{place}.when.{name}"))
    return lambda question: all(test(question) for test in tests)


def _among(read: Callable[[Question], Any]) -> Callable[[Any, str], Test]:
    def make(names: tuple[str, ...], _: str) -> Test:
        wanted = frozenset(names)
        return lambda question: read(question) in wanted

    return make


def _least(read: Callable[[Question], int | None], scale: int = 1) -> Callable[[Any, str], Test]:
    def make(least: float, _: str) -> Test:
        bound = least * scale

        def test(question: Question) -> bool:
            value = read(question)
            return value is not None and value >= bound

        return test

    return make


def _has(read: Callable[[Question], bool]) -> Callable[[Any, str], Test]:
    return lambda wanted, _: lambda question: read(question) is wanted


def _most_tokens(most: int, _: str) -> Test:
    return lambda question: question.tokens <= most


def _hours(spans: tuple[str, ...], place: str) -> Test:
    read = [_minutes(span, place) for span in spans]

    def test(question: Question) -> bool:
        minute = question.at_us % _DAY_US // (60 * 10**6)
        return any(
            begin <= minute < end if begin < end else minute >= begin or minute < end for begin, end in read
        )

    return test


def _minutes(span: str, place: str) -> tuple[int, int]:
    found = _span(span)
    if found is None:
        raise ValueError(f'{place}: hours are "08:00-18:00", in UTC')
    begin_hour, begin, end_hour, end = (int(part) for part in found.groups())
    return begin_hour * 60 + begin, end_hour * 60 + end


def _days(names: tuple[str, ...], place: str) -> Test:
    if not set(names) <= set(DAYS):
        raise ValueError(f"{place}: days are {', '.join(DAYS)}")
    wanted = frozenset(DAYS.index(name) for name in names)
    # The first of January 1970 was a Thursday.
    return lambda question: (question.at_us // _DAY_US + 3) % 7 in wanted


_TESTS: Final[dict[str, Callable[[Any, str], Test]]] = {
    "task": _among(lambda question: question.labels.task),
    "min_confidence": _least(lambda question: question.labels.confidence, 1000),
    "kind": _among(lambda question: question.kind),
    "min_tokens": _least(lambda question: question.tokens),
    "max_tokens": _most_tokens,
    "tools": _has(lambda question: question.shape.tools > 0),
    "images": _has(lambda question: question.shape.images > 0),
    "structured": _has(lambda question: question.shape.structured),
    "turns": _has(lambda question: question.shape.turns > 1),
    "key": _among(lambda question: question.key),
    "feature": _among(lambda question: question.tags.feature),
    "environment": _among(lambda question: question.tags.environment),
    "customer": _among(lambda question: question.tags.customer),
    "hours": _hours,
    "days": _days,
    "min_spent": _least(lambda question: question.spent, 1000),
}


if TYPE_CHECKING:
    _: type[Router] = ByTask
