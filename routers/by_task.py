"""Rules: what is known of a call decides where it goes."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from operator import ge, le
from typing import TYPE_CHECKING, Any, ClassVar, Final

from gateway.contracts import Choice, Question, Router
from gateway.names import Slug, is_name
from gateway.records import PathKind
from gateway.routers import declared

RULE: Final = "rule"
OTHERWISE: Final = Slug("otherwise")

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_span = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])").fullmatch
_DAY_US: Final = 86_400 * 10**6
_DAY_MINUTES: Final = 1440


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """What must be so. All that is said must hold; of several names, one.

    Attributes:
        task: labels, such as "code_generation"; "other" is a call that no classifier was sure of.
        min_confidence: of the label, 0 to 1.
        kind: what is asked for: the values of gateway.records.PathKind, such as "chat" or "embeddings".
        min_tokens, max_tokens: of the input, as guessed before the call.
        tools, images, structured, turns: whether the call has tools, pictures, a schema for its
            answer, more than one turn.
        key: ids of keys. feature, environment, customer: the tags of the call.
        hours: "08:00-18:00", UTC, without the last minute; may go over midnight. days: "mon" to "sun", UTC.
        min_spent: the share of the tightest budget that is used, 0 to 1; false without a budget.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    task: tuple[str, ...] = ()
    min_confidence: float | None = None
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
        if not config.rules:
            raise ValueError("rules: there is none")
        self._otherwise = declared.target(config.otherwise, "otherwise")
        self._rules = [_rule(rule, place) for place, rule in enumerate(config.rules)]

    def targets(self) -> tuple[str, ...]:
        """Where the rules lead, and otherwise."""
        return tuple(dict.fromkeys((*(to for _, to, _ in self._rules), self._otherwise)))

    def follows(self) -> Iterable[tuple[Slug, Slug]]:
        """What no rule holds for follows a rule's target."""
        return [(to, self._otherwise) for _, to, _ in self._rules if to != self._otherwise]

    def plan(self, question: Question) -> Choice:
        """The target of the first rule that holds and whose target can serve the call, then otherwise."""
        candidates, otherwise = question.candidates, self._otherwise
        fallback = candidates.get(otherwise)
        for test, to, name in self._rules:
            if to in candidates and test(question):
                if fallback is None or to == otherwise:
                    return Choice(order=(to,), reason=name)
                if fallback.healthy and not candidates[to].healthy:
                    return Choice(order=(otherwise, to), reason=OTHERWISE)
                return Choice(order=(to, otherwise), reason=name)
        if fallback is not None:
            return Choice(order=(otherwise,), reason=OTHERWISE)
        left = (to for _, to, _ in self._rules if to in candidates)
        order = sorted(dict.fromkeys(left), key=lambda name: not candidates[name].healthy)
        return Choice(order=tuple(order), reason=OTHERWISE)


def _rule(rule: Rule, place: int) -> tuple[Test, Slug, Slug]:
    """Its test, its target and its name."""
    where = f"rules.{place}"
    name = rule.name if rule.name is not None else f"{RULE}-{place + 1}"
    to = declared.target(rule.to, f"{where}.to")
    return _test(rule.when, f"{where}.when"), to, declared.target(name, f"{where}.name")


def _test(when: When, place: str) -> Test:
    """One test out of all that a When says.

    Raises:
        ValueError: it says nothing, or something that no call can be.
    """
    said = {field.name: getattr(when, field.name) for field in fields(when)}
    said = {name: value for name, value in said.items() if value is not None and value != ()}
    if not said:
        raise ValueError(f"{place}: says nothing, so that it would always hold; otherwise is for that")
    least, most = when.min_tokens, when.max_tokens
    if least is not None and most is not None and least > most:
        raise ValueError(f"{place}: min_tokens is above max_tokens")
    tests = [_TESTS[name](value, f"{place}.{name}") for name, value in said.items()]
    if len(tests) == 1:
        return tests[0]
    return lambda question: all(test(question) for test in tests)


def _among(read: Callable[[Question], Any]) -> Callable[[Any, str], Test]:
    def make(names: tuple[str, ...], place: str) -> Test:
        if not all(map(is_name, names)):
            raise ValueError(f"{place}: a name has letters, digits and . _ : / @ + - only, at most 128")
        wanted = frozenset(names)
        return lambda question: read(question) in wanted

    return make


def _kinds(names: tuple[str, ...], place: str) -> Test:
    if not set(names) <= set(PathKind):
        raise ValueError(f"{place}: kinds are {', '.join(PathKind)}")
    wanted = frozenset(names)
    return lambda question: question.kind in wanted


def _share(read: Callable[[Question], int | None]) -> Callable[[Any, str], Test]:
    """At least a share, which is known in thousandths."""

    def make(least: float, place: str) -> Test:
        if not 0 <= least <= 1:
            raise ValueError(f"{place}: is a number from 0 to 1")
        bound = round(least * 1000)

        def test(question: Question) -> bool:
            value = read(question)
            return value is not None and value >= bound

        return test

    return make


def _tokens(fits: Callable[[int, int], bool]) -> Callable[[Any, str], Test]:
    def make(bound: int, place: str) -> Test:
        if bound < 0:
            raise ValueError(f"{place}: is a number from 0 on")
        return lambda question: fits(question.tokens, bound)

    return make


def _has(read: Callable[[Question], bool]) -> Callable[[Any, str], Test]:
    return lambda wanted, _: lambda question: read(question) is wanted


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
    first, last = begin_hour * 60 + begin, end_hour * 60 + end
    if first == last or max(first, last) > _DAY_MINUTES:
        raise ValueError(f"{place}: a span ends after it begins, at 24:00 at the latest")
    return first, last


def _days(names: tuple[str, ...], place: str) -> Test:
    if not set(names) <= set(DAYS):
        raise ValueError(f"{place}: days are {', '.join(DAYS)}")
    wanted = frozenset(DAYS.index(name) for name in names)
    # The first of January 1970 was a Thursday.
    return lambda question: (question.at_us // _DAY_US + 3) % 7 in wanted


_TESTS: Final[dict[str, Callable[[Any, str], Test]]] = {
    "task": _among(lambda question: question.labels.task),
    "min_confidence": _share(lambda question: question.labels.confidence),
    "kind": _kinds,
    "min_tokens": _tokens(ge),
    "max_tokens": _tokens(le),
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
    "min_spent": _share(lambda question: question.spent),
}


if TYPE_CHECKING:
    _: type[Router] = ByTask
