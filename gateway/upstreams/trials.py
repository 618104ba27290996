"""Hands the records of routes to the routers in them that try something out."""

from collections.abc import Iterator, Mapping
from typing import cast

from gateway import log
from gateway.contracts import Arm, RecordStore, Trial
from gateway.names import Slug
from gateway.upstreams.policy import Policy


def trials(routes: Mapping[Slug, Policy]) -> Iterator[tuple[Slug, Trial]]:
    """Routers that try something out, with the names of the routes that they stand in."""
    for name, policy in routes.items():
        waiting = [policy]
        while waiting:
            inner = waiting.pop()
            waiting += inner.parts.values()
            if callable(getattr(inner.router, "learn_arms", None)):
                yield name, cast(Trial, inner.router)


class Trials:
    """What is known of trials so far. Each record is read once, however often it is looked.

    A process that begins reads all records since the trial began, so that what another process has
    stopped stays stopped.
    """

    def __init__(self, records: RecordStore) -> None:
        self._records = records
        self._known: dict[int, _Known] = {}
        self.stopped = 0

    async def look(self, routes: Mapping[Slug, Policy]) -> None:
        """Hand what is new to all trials of the routes; the trials of earlier routes are forgotten.

        Raises:
            StoreError: the records cannot be read now.
        """
        found = [(route, trial) for route, trial in trials(routes)]
        present = {id(trial) for _, trial in found}
        self._known = {key: known for key, known in self._known.items() if key in present}
        stopped = 0
        for route, trial in found:
            known = self._known.setdefault(id(trial), _Known(trial))
            await known.read(self._records, route)
            stopped += _teach(route, trial, list(known.arms.values()))
        self.stopped = stopped


class _Known:
    """What was read for one trial. Holds the trial, so that its id stays its own."""

    __slots__ = ("_mark", "_trial", "arms")

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._mark = 0
        self.arms: dict[Slug, Arm] = {}

    async def read(self, records: RecordStore, route: Slug) -> None:
        """Add what came since the last time."""
        while True:
            mark, new = await records.arms(route, self._trial.since_us, self._mark)
            for arm in new:
                before = self.arms.get(arm.reason)
                self.arms[arm.reason] = arm if before is None else _sum(before, arm)
            if mark == self._mark:
                return
            self._mark = mark


def _sum(one: Arm, other: Arm) -> Arm:
    return Arm(
        reason=one.reason,
        calls=one.calls + other.calls,
        errors=one.errors + other.errors,
        timed=one.timed + other.timed,
        time_us=one.time_us + other.time_us,
        time_squares=one.time_squares + other.time_squares,
        priced=one.priced + other.priced,
        cost_nanos=one.cost_nanos + other.cost_nanos,
        cost_squares=one.cost_squares + other.cost_squares,
    )


def _teach(route: Slug, trial: Trial, arms: list[Arm]) -> bool:
    """Whether the trial is stopped by now."""
    try:
        before = trial.standing().stopped
        trial.learn_arms(arms)
        standing = trial.standing()
    except Exception as failure:  # a plugin's mistake costs what it would have learnt
        log.fact("route.unteachable", log.Level.WARNING, error=log.kind(failure), place=log.place(failure))
        return False
    if before is None and standing.stopped is not None:
        log.fact(
            "canary.stopped", log.Level.WARNING,
            route=route, rule=standing.stopped,
            trial_calls=standing.trial.calls, stable_calls=standing.stable.calls,
        )  # fmt: skip
    return standing.stopped is not None
