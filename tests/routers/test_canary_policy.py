"""The canary: who tries, what is held against the trial, and that it stays stopped."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from gateway.contracts import NO_TAGS, Arm, Candidate, Labels, Question, Shape
from gateway.names import Slug
from gateway.records import PathKind
from gateway.routers.canary import Canary, Rollback, judge

OLD, NEW = Slug("old"), Slug("new")


def canary(taught: bool = True, **options: Any) -> Canary:
    known = {"stable": "old", "trial": "new", "since": "2026-01-31"} | options
    made = Canary(Canary.Config(**known))
    if taught:
        made.learn_arms([])
    return made


def question(session: int = 0, seed: int = 0, sick: tuple[str, ...] = (), **changes: Any) -> Question:
    candidates = {
        name: Candidate(name=name, healthy=name not in sick, input_price=1, output_price=1, estimate=None)
        for name in (OLD, NEW)
    }
    known: dict[str, Any] = {
        "kind": PathKind.CHAT, "shape": Shape(), "labels": Labels(), "tags": NO_TAGS, "key": Slug("k"),
        "candidates": candidates, "seed": seed, "session": session,
    }  # fmt: skip
    return Question(**(known | changes))


def arm(reason: str, calls: int = 0, errors: int = 0, mean_us: int = 1000, nanos: int = 1000) -> Arm:
    """An arm whose times and costs vary by a half of their means."""
    ok = calls - errors
    return Arm(
        reason=Slug(reason),
        calls=calls,
        errors=errors,
        timed=ok,
        time_us=ok * mean_us,
        time_squares=ok * mean_us**2 * 1.25,
        priced=ok,
        cost_nanos=ok * nanos,
        cost_squares=ok * nanos**2 * 1.25,
    )


STABLE = arm("canary-stable", 2000, 20)


def test_a_share_of_sessions_tries_and_each_stays_where_it_is() -> None:
    one = canary(share=0.25)
    found = [one.plan(question(session * 7919)) for session in range(4000)]
    reasons = Counter(choice.reason for choice in found)
    assert 900 < reasons["canary-trial"] < 1100
    assert found == [canary(share=0.25).plan(question(session * 7919)) for session in range(4000)]
    assert {choice.order for choice in found} == {(OLD,), (NEW, OLD)}
    other = canary(share=0.25, since="2026-02-01")
    assert [other.plan(question(session * 7919)) for session in range(100)] != found[:100]


def test_calls_can_be_assigned_by_chance_instead() -> None:
    one = canary(share=0.25, by="call")
    tried = [one.plan(question(5, seed)).reason == "canary-trial" for seed in range(0, 1 << 32, 1 << 25)]
    assert sum(tried) == 32


@pytest.mark.parametrize(("share", "reason"), [(0.0, "canary-stable"), (1.0, "canary-trial")])
def test_nobody_or_everybody_can_try(share: float, reason: str) -> None:
    one = canary(share=share)
    assert {one.plan(question(number << 56)).reason for number in range(256)} == {reason}


def test_nothing_is_tried_before_the_records_were_read() -> None:
    assert canary(taught=False, share=1.0).plan(question()).reason == "canary-waiting"


def test_a_trial_that_is_set_aside_counts_for_neither_arm() -> None:
    one = canary(share=1.0)
    choice = one.plan(question(sick=("new",)))
    assert (choice.order, choice.reason) == ((OLD,), "canary-unwell")
    only_old = {OLD: question().candidates[OLD]}
    assert one.plan(question(candidates=only_old)).reason == "canary-unwell"
    only_new = {NEW: question().candidates[NEW]}
    assert one.plan(question(candidates=only_new)).order == (NEW,)
    assert canary(share=0.0).plan(question(candidates=only_new)).reason == "canary-unwell"


@pytest.mark.parametrize(
    ("trial", "rule"),
    [
        (arm("canary-trial", 200, 40), "errors"),
        (arm("canary-trial", 400, 4, mean_us=1800), "latency"),
        (arm("canary-trial", 400, 4, nanos=2000), "cost"),
        (arm("canary-trial", 400, 4), None),
        (arm("canary-trial", 90, 0, nanos=9000), None),  # too few for means
        (arm("canary-trial", 400, 4, mean_us=1150, nanos=1150), None),  # worse, but within the limits
    ],
)
def test_a_trial_that_is_proven_worse_is_stopped_for_good(trial: Arm, rule: str | None) -> None:
    one = canary(share=1.0)
    one.learn_arms([trial, STABLE])
    assert one.standing().stopped == rule
    assert one.plan(question()).reason == ("canary-trial" if rule is None else "canary-stopped")
    assert one.plan(question()).order == ((NEW, OLD) if rule is None else (OLD,))
    one.learn_arms([replace(STABLE, reason=Slug("canary-trial")), STABLE])
    assert one.standing().stopped == rule


def test_what_another_process_has_stopped_is_stopped_here_too() -> None:
    one = canary(share=1.0)
    one.learn_arms([arm("canary-stopped", 1), STABLE])
    assert one.standing().stopped == "before"


def test_arms_are_found_inside_and_around_other_policies() -> None:
    one = canary()
    parts = [arm("canary-trial/weighted", 3), arm("by-task/canary-trial", 4), arm("canary-trials", 9), STABLE]
    one.learn_arms(parts)
    assert (one.standing().trial.calls, one.standing().stable.calls) == (7, 2000)


def test_how_each_rule_stands_is_told_with_what_it_takes() -> None:
    errors, latency, cost = judge(arm("t", 200, 12, nanos=1500), STABLE, Rollback())
    assert errors.measured == pytest.approx(0.05)
    assert (latency.measured, cost.measured) == (1.0, 1.5)
    assert errors.needed == latency.needed == pytest.approx(60)  # three rules share 5 %
    assert errors.evidence > 1
    assert latency.evidence == 1.0
    (only,) = judge(arm("t"), STABLE, Rollback(latency=-1, cost=-1, alpha=0.1))
    assert (only.rule, only.measured, only.evidence) == ("errors", None, 1.0)
    assert only.needed == pytest.approx(10)
    assert judge(arm("t"), STABLE, Rollback(errors=-1, latency=-1, cost=-1)) == ()
    plain = replace(STABLE, time_squares=float(STABLE.time_us**2 // STABLE.timed))
    slow = replace(plain, time_us=9 * plain.time_us, time_squares=81 * plain.time_squares)
    assert 1e43 < judge(slow, plain, Rollback())[1].evidence < 1e44  # no variance: as sure as can be told
    free = replace(STABLE, cost_nanos=0, cost_squares=0.0)
    assert judge(STABLE, free, Rollback())[2].measured is None


@pytest.mark.parametrize(
    ("options", "about"),
    [
        ({"share": 1.5}, "share"),
        ({"since": "yesterday"}, "since"),
        ({"trial": "old"}, "twice"),
        ({"rollback": Rollback(alpha=0.0)}, "alpha"),
        ({"rollback": Rollback(errors=1.0)}, "errors"),
        ({"rollback": Rollback(latency=0.9)}, "multiples"),
        ({"rollback": Rollback(least=1)}, "least"),
    ],
)
def test_a_canary_that_cannot_be_is_refused(options: dict[str, Any], about: str) -> None:
    with pytest.raises(ValueError, match=about):
        canary(**options)


def test_the_moment_may_have_a_zone() -> None:
    assert canary(since="1970-01-01T01:00:00+01:00").since_us == 0
    assert canary(since="1970-01-02").since_us == 86_400 * 10**6
    assert canary().targets() == ("old", "new")
