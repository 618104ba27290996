"""What every router promises: a pure function of its question, for each that is installed."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import config, plugins
from gateway.config import ConfigError
from gateway.contracts import Candidate, Choice, Labels, Question, Router, Shape, Tags
from gateway.names import Slug
from gateway.records import PathKind
from gateway.usage import Nanos

NAMES = sorted(plugins.find("gateway.routers"))
TARGETS = ("one", "two", "three")
GIVEN: dict[str, Any] = {
    "target": TARGETS[0],
    "targets": TARGETS,
    "weights": dict(zip(TARGETS, (3, 2, 1), strict=True)),
    "special": TARGETS[0],
    "usual": TARGETS[1],
    "tasks": ("code",),
    "rules": ({"when": {"task": ["code"]}, "to": TARGETS[1]},),
    "otherwise": TARGETS[0],
    "stable": TARGETS[0],
    "trial": TARGETS[1],
    "since": "2026-01-31",
}
"""Values for the keys that routers have, by their names."""


def router(name: str) -> Router:
    kind = plugins.load("gateway.routers", name)
    known = [field.name for field in fields(kind.Config)]
    options = config.parse_options(kind.Config, {key: GIVEN[key] for key in known if key in GIVEN}, "here")
    made: Router = kind(options)
    return made


candidates = st.builds(
    Candidate,
    name=st.just(Slug("x")),
    healthy=st.booleans(),
    input_price=st.none() | st.integers(0, 10**9),
    output_price=st.none() | st.integers(0, 10**9),
    estimate=st.none() | st.integers(0, 10**12).map(Nanos),
    latency_us=st.none() | st.integers(0, 10**8),
    in_flight=st.integers(0, 100),
)


@st.composite
def questions(draw: st.DrawFn) -> Question:
    names = draw(st.lists(st.sampled_from(TARGETS), min_size=1, unique=True))
    return Question(
        kind=draw(st.sampled_from(PathKind)),
        shape=Shape(body_bytes=draw(st.integers(0, 10**6))),
        labels=Labels(task=Slug(draw(st.sampled_from(["code", "other"]))), confidence=500),
        tags=Tags(),
        key=Slug("key-1"),
        candidates={Slug(name): replace(draw(candidates), name=Slug(f"p/{name}")) for name in names},
        seed=draw(st.integers(0, 2**32 - 1)),
    )


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(question=questions())
def test_it_chooses_among_the_candidates_and_the_same_for_the_same_question(
    name: str, question: Question
) -> None:
    policy = router(name)
    choice = policy.plan(question)
    assert isinstance(choice, Choice)
    assert type(choice.reason) is Slug
    assert len(set(choice.order)) == len(choice.order)
    assert set(choice.order) <= set(policy.targets())
    if set(policy.targets()) <= set(question.candidates):
        assert choice.order
    assert policy.plan(question) == choice == router(name).plan(question)


@pytest.mark.parametrize("name", NAMES)
def test_its_targets_are_told_beforehand(name: str) -> None:
    policy = router(name)
    assert policy.targets()
    assert set(policy.targets()) <= set(TARGETS)
    assert policy.targets() == policy.targets()


@pytest.mark.parametrize("name", NAMES)
def test_it_can_do_with_a_single_candidate_and_with_none_it_knows(name: str) -> None:
    policy = router(name)
    lonely = Candidate(name=Slug("p/x"), healthy=False, input_price=None, output_price=None, estimate=None)
    base = {"kind": PathKind.CHAT, "shape": Shape(), "labels": Labels(), "tags": Tags(), "key": Slug("k")}
    for target in policy.targets():
        question = Question(**base, candidates={Slug(target): lonely}, seed=7)  # type: ignore[arg-type]
        assert set(policy.plan(question).order) <= set(policy.targets())
    assert isinstance(policy.plan(Question(**base, candidates={}, seed=7)), Choice)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_a_key_that_it_does_not_know_is_an_error(name: str) -> None:
    kind = plugins.load("gateway.routers", name)
    with pytest.raises(ConfigError, match=r"here\.no_such_key: unknown key"):
        config.parse_options(kind.Config, {"no_such_key": 1}, "here")
