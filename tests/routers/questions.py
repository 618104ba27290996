"""Questions for policies, and what every policy keeps to."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from gateway.contracts import NO_TAGS, Candidate, Choice, Labels, Question, Router, Shape
from gateway.names import Slug
from gateway.records import PathKind
from gateway.usage import Nanos

NAMES = tuple(Slug(name) for name in ("a", "b", "c", "d", "e"))


def candidate(
    name: str = "x",
    estimate: int | None = 1,
    *,
    healthy: bool = True,
    latency_us: int | None = None,
    in_flight: int = 0,
) -> Candidate:
    return Candidate(
        name=Slug(f"p/{name}"),
        healthy=healthy,
        input_price=1,
        output_price=1,
        estimate=None if estimate is None else Nanos(estimate),
        latency_us=latency_us,
        in_flight=in_flight,
    )


def among(*names: str, **facts: Any) -> dict[Slug, Candidate]:
    """Candidates of these names, all with the same facts."""
    return {Slug(name): candidate(name, **facts) for name in names}


def question(candidates: Mapping[Slug, Candidate], **facts: Any) -> Question:
    asked = Question(
        kind=PathKind.CHAT,
        shape=Shape(),
        labels=Labels(),
        tags=NO_TAGS,
        key=Slug("key"),
        candidates=candidates,
        seed=0,
    )
    return replace(asked, **facts)


facts = st.builds(
    candidate,
    estimate=st.none() | st.integers(0, 10**12),
    healthy=st.booleans(),
    latency_us=st.none() | st.integers(0, 10**8),
    in_flight=st.integers(0, 100),
)


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Any question; some candidates are none of the policy's own."""
    names = draw(st.lists(st.sampled_from((*NAMES, Slug("stranger"))), unique=True, min_size=1))
    return question(
        {name: draw(facts) for name in names},
        seed=draw(st.integers(0, 2**32 - 1)),
        session=draw(st.integers(0, 2**64 - 1)),
        affinity=draw(st.none() | st.integers(0, 2**64 - 1)),
    )


def plan_all(router: Router, asked: Question) -> Choice:
    """The choice of a policy over NAMES that orders all it is given: checked for what all of them keep to."""
    choice = router.plan(asked)
    assert router.plan(asked) == choice
    known = [name for name in NAMES if name in asked.candidates]
    assert sorted(choice.order) == sorted(known)
    health = [asked.candidates[name].healthy for name in choice.order]
    assert health == sorted(health, reverse=True)
    return choice
