"""by_task: each test of a rule, the order of the rules, and every mistake in them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import config
from gateway.config import ConfigError
from gateway.contracts import Labels, Question, Shape, Tags
from gateway.names import Slug
from gateway.records import PathKind
from gateway.routers.by_task import ByTask, Rule, When
from tests.routers.questions import NAMES, among, question, questions

DAY_US = 86_400 * 10**6
MONDAY_US = 4 * DAY_US  # the fifth of January 1970
MINUTE_US = 60 * 10**6


def holds(when: dict[str, Any], **facts: Any) -> bool:
    options = {"rules": [{"when": when, "to": "a"}], "otherwise": "b"}
    router = ByTask(config.parse_options(ByTask.Config, options, "routes.auto"))
    return router.plan(question(among("a", "b"), **facts)).reason == "rule-1"


def at(day: int, hour: int, minute: int = 0) -> dict[str, int]:
    """A moment of a week: days from Monday on."""
    return {"at_us": MONDAY_US + day * DAY_US + (hour * 60 + minute) * MINUTE_US}


def labelled(task: str, confidence: int = 500) -> dict[str, Labels]:
    return {"labels": Labels(task=Slug(task), confidence=confidence)}


@pytest.mark.parametrize(
    ("when", "fits", "misses"),
    [
        ({"task": ["chat", "code"]}, labelled("code"), labelled("translation")),
        ({"min_confidence": 0.7}, labelled("chat", 700), labelled("chat", 699)),
        ({"min_confidence": 1}, labelled("chat", 1000), labelled("chat", 999)),
        ({"kind": ["embeddings", "images"]}, {"kind": PathKind.IMAGES}, {"kind": PathKind.CHAT}),
        ({"min_tokens": 100}, {"tokens": 100}, {"tokens": 99}),
        ({"max_tokens": 100}, {"tokens": 100}, {"tokens": 101}),
        ({"max_tokens": 0}, {"tokens": 0}, {"tokens": 1}),
        ({"tools": True}, {"shape": Shape(tools=1)}, {"shape": Shape()}),
        ({"tools": False}, {"shape": Shape()}, {"shape": Shape(tools=1)}),
        ({"images": True}, {"shape": Shape(images=2)}, {"shape": Shape()}),
        ({"images": False}, {"shape": Shape()}, {"shape": Shape(images=2)}),
        ({"structured": True}, {"shape": Shape(structured=True)}, {"shape": Shape()}),
        ({"structured": False}, {"shape": Shape()}, {"shape": Shape(structured=True)}),
        ({"turns": True}, {"shape": Shape(turns=2)}, {"shape": Shape(turns=1)}),
        ({"turns": False}, {"shape": Shape(turns=1)}, {"shape": Shape(turns=2)}),
        ({"key": ["key-7"]}, {"key": Slug("key-7")}, {"key": Slug("key-8")}),
        ({"feature": ["search"]}, {"tags": Tags(feature=Slug("search"))}, {"tags": Tags()}),
        ({"environment": ["test"]}, {"tags": Tags(environment=Slug("test"))}, {"tags": Tags()}),
        ({"customer": ["c1"]}, {"tags": Tags(customer=Slug("c1"))}, {"tags": Tags(customer=Slug("c2"))}),
        ({"hours": ["08:00-18:00"]}, at(0, 8), at(0, 18)),
        ({"hours": ["08:00-18:00"]}, at(0, 17, 59), at(0, 7, 59)),
        ({"hours": ["22:00-06:00"]}, at(0, 23), at(0, 6)),
        ({"hours": ["22:00-06:00"]}, at(0, 0), at(0, 21, 59)),
        ({"hours": ["00:00-24:00"]}, at(3, 23, 59), {"labels": Labels()} | at(3, 0)),
        ({"hours": ["01:00-02:00", "03:00-04:00"]}, at(0, 3, 30), at(0, 2, 30)),
        ({"days": ["mon"]}, at(0, 0), at(1, 0)),
        ({"days": ["sat", "sun"]}, at(6, 23, 59), at(7, 0)),
        ({"days": ["fri"], "hours": ["22:00-06:00"]}, at(4, 23), at(5, 1)),
        ({"min_spent": 0.8}, {"spent": 800}, {"spent": 799}),
        ({"min_spent": 0.8}, {"spent": 2000}, {"spent": None}),
        ({"min_spent": 0}, {"spent": 0}, {"spent": None}),
    ],
)  # fmt: skip
def test_a_rule_holds_for_what_it_says(
    when: dict[str, Any], fits: dict[str, Any], misses: dict[str, Any]
) -> None:
    assert holds(when, **fits)
    assert holds(when, **misses) is (when.get("hours") == ["00:00-24:00"])


def test_all_that_a_rule_says_must_hold() -> None:
    when = {"task": ["code"], "tools": False, "min_tokens": 10, "max_tokens": 20}
    right: dict[str, Any] = {**labelled("code"), "tokens": 15}
    assert holds(when, **right)
    for wrong in (labelled("chat"), {"tokens": 9}, {"tokens": 21}, {"shape": Shape(tools=1)}):
        assert not holds(when, **(right | wrong))


def router(*rules: tuple[str, str], otherwise: str = "e") -> ByTask:
    """Rules of task and target."""
    made = tuple(Rule(when=When(task=(task,)), to=to) for task, to in rules)
    return ByTask(ByTask.Config(rules=made, otherwise=otherwise))


def test_the_first_rule_that_holds_decides_and_otherwise_comes_next() -> None:
    made = router(("code", "a"), ("code", "b"), ("chat", "c"))
    assert made.targets() == ("a", "b", "c", "e")
    for task, order, reason in (
        ("code", ("a", "e"), "rule-1"), ("chat", ("c", "e"), "rule-3"), ("x", ("e",), "otherwise"),
    ):  # fmt: skip
        choice = made.plan(question(among("a", "b", "c", "e"), **labelled(task)))
        assert (choice.order, choice.reason) == (order, reason)


def test_a_rule_whose_target_cannot_serve_the_call_is_passed_over() -> None:
    choice = router(("code", "a"), ("code", "b")).plan(question(among("b", "e"), **labelled("code")))
    assert (choice.order, choice.reason) == (("b", "e"), "rule-2")


def test_where_otherwise_cannot_serve_the_call_the_targets_of_the_rules_do() -> None:
    made = router(("code", "a"), ("chat", "b"), ("code", "c"))
    coding = made.plan(question(among("a", "b"), **labelled("code")))
    assert (coding.order, coding.reason) == (("a",), "rule-1")
    other = made.plan(question(among("b", "c") | among("a", healthy=False), **labelled("x")))
    assert (other.order, other.reason) == (("b", "c", "a"), "otherwise")


def test_a_rules_sick_target_comes_after_otherwise_unless_that_is_sick_too() -> None:
    made = router(("code", "a"))
    sick = made.plan(question(among("e") | among("a", healthy=False), **labelled("code")))
    assert (sick.order, sick.reason) == (("e", "a"), "otherwise")
    both = made.plan(question(among("a", "e", healthy=False), **labelled("code")))
    assert (both.order, both.reason) == (("a", "e"), "rule-1")


def test_a_rule_may_lead_where_otherwise_leads() -> None:
    choice = router(("code", "e")).plan(question(among("e"), **labelled("code")))
    assert (choice.order, choice.reason) == (("e",), "rule-1")


def test_a_rule_may_have_a_name() -> None:
    rule = Rule(when=When(task=("code",)), to="a", name="coding")
    made = ByTask(ByTask.Config(rules=(rule,), otherwise="b"))
    assert made.plan(question(among("a", "b"), **labelled("code"))).reason == "coding"


@given(asked=questions(), tasks=st.lists(st.sampled_from(["other", "code"]), min_size=1, max_size=4))
def test_it_chooses_among_the_candidates_and_the_same_for_the_same_question(
    asked: Question, tasks: list[str]
) -> None:
    made = router(*zip(tasks, NAMES, strict=False))
    choice = made.plan(asked)
    assert made.plan(asked) == choice
    assert set(choice.order) <= set(made.targets()) & set(asked.candidates)
    assert bool(choice.order) is bool(set(made.targets()) & set(asked.candidates))
    health = [asked.candidates[name].healthy for name in choice.order]
    assert health == sorted(health, reverse=True)


def problems(options: dict[str, Any]) -> list[str]:
    with pytest.raises((ConfigError, ValueError)) as refusal:
        ByTask(config.parse_options(ByTask.Config, options, "routes.auto"))
    return getattr(refusal.value, "problems", None) or [str(refusal.value)]


def of_when(when: Any) -> list[str]:
    return problems(
        {"rules": [{"when": {"task": ["x"]}, "to": "a"}, {"when": when, "to": "a"}], "otherwise": "b"}
    )


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ({}, "rules.1.when: says nothing"),
        ({"task": []}, "rules.1.when: says nothing"),
        ({"task": ["two words"]}, "rules.1.when.task: a name has letters"),
        ({"min_confidence": 70}, "rules.1.when.min_confidence: is a number from 0 to 1"),
        ({"min_spent": -0.1}, "rules.1.when.min_spent: is a number from 0 to 1"),
        ({"min_tokens": -1}, "rules.1.when.min_tokens: is a number from 0 on"),
        ({"max_tokens": -1}, "rules.1.when.max_tokens: is a number from 0 on"),
        ({"min_tokens": 2, "max_tokens": 1}, "rules.1.when: min_tokens is above max_tokens"),
        ({"kind": ["chatt"]}, "rules.1.when.kind: kinds are chat, "),
        ({"days": ["monday"]}, "rules.1.when.days: days are mon, tue"),
        ({"hours": ["8-18"]}, "rules.1.when.hours: hours are "),
        ({"hours": ["08:00-08:00"]}, "rules.1.when.hours: a span ends after it begins"),
        ({"hours": ["08:00-24:30"]}, "rules.1.when.hours: a span ends after it begins"),
    ],
)
def test_what_no_call_can_be_is_refused_with_its_place(when: dict[str, Any], problem: str) -> None:
    [told] = of_when(when)
    assert told.startswith(problem)


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ({"tasks": ["x"]}, "routes.auto.rules.1.when.tasks: "),
        ({"tools": "perhaps"}, "routes.auto.rules.1.when.tools: "),
        ("code", "routes.auto.rules.1.when: "),
    ],
)
def test_what_a_rule_has_no_word_for_is_refused_with_its_place(when: Any, problem: str) -> None:
    [told] = of_when(when)
    assert told.startswith(problem)
    assert "perhaps" not in told


def test_an_unknown_key_of_a_rule_comes_with_the_one_that_may_be_meant() -> None:
    assert of_when({"tasks": 1}) == ['routes.auto.rules.1.when.tasks: unknown key. Did you mean "task"?']
    rule = {"when": {"task": ["x"]}, "too": "a", "to": "a"}
    assert problems({"rules": [rule], "otherwise": "b"}) == [
        'routes.auto.rules.0.too: unknown key. Did you mean "to"?'
    ]


def test_all_mistakes_of_form_are_told_at_once() -> None:
    rules = [{"when": {"tool": True}, "to": "a"}, {"to": "a"}]
    told = problems({"rules": rules, "others": "b"})
    assert len(told) == 4, told
    assert any(one.startswith("routes.auto.others: unknown key.") for one in told)
    assert any(one.startswith("routes.auto.otherwise: ") for one in told)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rules": [], "otherwise": "b"}, "rules: there is none"),
        ({"rules": [{"when": {"tools": True}, "to": "a b"}], "otherwise": "b"}, "rules.0.to: a name has"),
        ({"rules": [{"when": {"tools": True}, "to": "a"}], "otherwise": ""}, "otherwise: a name has"),
        (
            {"rules": [{"when": {"tools": True}, "to": "a", "name": "a b"}], "otherwise": "b"},
            "rules.0.name: a name has",
        ),
    ],
)
def test_names_that_are_none_are_refused(options: dict[str, Any], problem: str) -> None:
    [told] = problems(options)
    assert told.startswith(problem)
