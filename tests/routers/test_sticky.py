"""sticky: what belongs together goes to one place, and only what must moves."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gateway.contracts import Question
from gateway.names import Slug
from gateway.routers.sticky import Sticky
from gateway.upstreams import affinity
from tests.routers.questions import NAMES, among, plan_all, question, questions

ROUTER = Sticky(Sticky.Config(targets=NAMES))
BY_PROMPT = Sticky(Sticky.Config(targets=NAMES, by="prompt"))
SESSIONS = [affinity.of_name(f"session-{number}") for number in range(2000)]


def first(router: Sticky, session: int, *names: str, sick: tuple[str, ...] = ()) -> Slug:
    candidates = among(*(names or NAMES)) | among(*sick, healthy=False)
    return router.plan(question(candidates, session=session)).order[0]


def test_sessions_are_spread_over_all_targets() -> None:
    spread = Counter(first(ROUTER, session) for session in SESSIONS)
    assert set(spread) == set(NAMES)
    assert all(abs(count - 400) < 80 for count in spread.values())


def test_a_target_that_is_taken_away_moves_its_own_sessions_only() -> None:
    before = {session: first(ROUTER, session) for session in SESSIONS}
    after = {session: first(ROUTER, session, "a", "b", "d", "e") for session in SESSIONS}
    moved = [session for session in SESSIONS if before[session] != after[session]]
    assert moved == [session for session in SESSIONS if before[session] == "c"]
    spread = Counter(after[session] for session in moved)
    assert set(spread) == {"a", "b", "d", "e"}
    assert max(spread.values()) < 0.4 * len(moved)


def test_a_sick_target_loses_its_sessions_and_gets_them_back() -> None:
    for session in SESSIONS[:200]:
        usual = first(ROUTER, session)
        asked = question(among(*NAMES), session=session)
        second = ROUTER.plan(asked).order[1]
        assert first(ROUTER, session, sick=(usual,)) == second
        assert first(ROUTER, session) == usual


def test_the_same_session_goes_to_the_same_place_in_every_process() -> None:
    # Written down, so that a change of the hash is seen: it would move every session.
    places = [first(ROUTER, affinity.of_name(name)) for name in ("one", "two", "three", "four")]
    assert places == ["d", "b", "a", "c"]


def test_by_prompt_follows_the_prompt_and_else_the_session() -> None:
    assert BY_PROMPT.by_prompt
    assert not ROUTER.by_prompt
    moved = 0
    for session in SESSIONS[:100]:
        asked = question(among(*NAMES), session=1, affinity=session)
        assert BY_PROMPT.plan(asked).order[0] == first(ROUTER, session)
        moved += ROUTER.plan(asked) != BY_PROMPT.plan(asked)
    assert moved > 50
    assert first(BY_PROMPT, SESSIONS[0]) == first(ROUTER, SESSIONS[0])


@given(asked=questions(), router=st.sampled_from([ROUTER, BY_PROMPT]))
def test_all_that_can_serve_the_call_come_and_the_sick_last(asked: Question, router: Sticky) -> None:
    assert plan_all(router, asked).reason == "sticky"
