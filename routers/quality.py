"""The cheapest model that serves a task as well as the one asked for, as far as outcomes prove it.

Three layers. Without a declaration nothing moves. Then, per task, the outcomes must show that enough of the
quality is kept. Where a per-prompt model was fitted that beats this table, it decides instead.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from gateway.contracts import Candidate, Cell, Choice, Judge, Learner, Question, Router, Verdict
from gateway.names import Slug
from gateway.quality.bounds import Kept, Sample, ratio_kept, share_kept
from gateway.quality.fitted import load_thresholds, score_name

UNKNOWN: Final = Slug("quality_unknown")  # neither the caller nor the configuration names a model
UNDECLARED: Final = Slug("quality_undeclared")  # nothing may stand in
UNSURE: Final = Slug("quality_unsure")  # what kind of task it is, is not clear
KEPT: Final = Slug("quality_kept")  # the outcomes do not carry a change
DECLARED: Final = Slug("quality_declared")
TABLE: Final = Slug("quality_table")
PROMPT: Final = Slug("quality_prompt")

FEW: Final = Slug("few_outcomes")
BELOW: Final = Slug("below_floor")

EVERY: Final = "*"
OTHER: Final = Slug("other")

Pair = tuple[Slug, Slug]
"""The model asked for, and the one in its place."""


class Quality:
    """Keeps the model asked for, until outcomes of this deployment say that a cheaper one will do."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """What may move, and how sure it must be.

        Attributes:
            targets: the pool: models, or provider/model.
            stand_ins: for a model, by task or "*", the models that may stand in for it. A task's own list
                replaces that of "*"; an empty one forbids.
            evidence: "outcomes" asks for proof; "declared" takes the declaration for it.
            floor: the least share of the quality that must be kept.
            confidence: how sure that must be, one-sided.
            least: outcomes that a task and pair must have at least.
            sure: the least confidence in the task.
            default: the model where the caller names none.
            fitted: a file of `gateway routes fit`; empty: no per-prompt model.
        """

        targets: tuple[str, ...]
        stand_ins: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
        evidence: Literal["outcomes", "declared"] = "outcomes"
        floor: float = 0.99
        confidence: float = 0.9
        least: int = 50
        sure: float = 0.5
        default: str = ""
        fitted: str = ""

    def __init__(self, config: Config) -> None:
        _check(config)
        self._config = config
        self._targets = tuple(Slug(target) for target in config.targets)
        self._default = Slug(config.default) if config.default else None
        self._sure = round(config.sure * 1000)
        self._declared: dict[Slug, dict[str, tuple[Slug, ...]]] = {
            Slug(requested): {
                task: tuple(Slug(model) for model in models) for task, models in by_task.items()
            }
            for requested, by_task in config.stand_ins.items()
        }
        self._thresholds: Mapping[Pair, int] = load_thresholds(Path(config.fitted)) if config.fitted else {}
        self._verdicts: dict[tuple[Slug, Slug, Slug], Verdict] = {}

    @property
    def usual(self) -> Slug | None:
        """Where calls went without outcomes."""
        return self._default

    def targets(self) -> tuple[str, ...]:
        """The whole pool."""
        return self._targets

    def learn(self, cells: Sequence[Cell]) -> None:
        """Take over the outcomes. What follows from them is worked out here, not when a call waits."""
        known = {(cell.task, cell.model, cell.against): cell for cell in cells}
        self._verdicts = {
            (task, requested, candidate): self._judge(known, task, requested, candidate)
            for task in {cell.task for cell in cells}
            for requested in self._declared
            for candidate in self._stand_ins(requested, task)
            if (task, candidate, requested) in known
            or ((task, candidate, None) in known and (task, requested, None) in known)
        }

    def verdicts(self) -> Sequence[Verdict]:
        """What the outcomes say of each declared pair and each task that has outcomes."""
        return sorted(self._verdicts.values(), key=lambda one: (one.requested, one.task, one.candidate))

    def follows(self) -> Iterable[tuple[Slug, Slug]]:
        """The default follows where it is asked for; a model that a caller names always may."""
        default = self._default
        return [] if default is None else [(name, default) for name in self._targets if name != default]

    def plan(self, question: Question) -> Choice:
        """The cheapest model that is proven to do, then the one asked for; or only that."""
        requested = question.requested
        if requested is None or requested not in question.candidates:
            requested = self._default
        if requested is None or requested not in question.candidates:
            known = tuple(name for name in self._targets if name in question.candidates)
            return Choice(order=known, reason=UNKNOWN)
        stand_ins = self._stand_ins(requested, question.labels.task)
        asked = question.candidates[requested]
        cheaper = sorted(_cheaper(question, stand_ins, asked))
        reason = UNDECLARED if not stand_ins else KEPT
        for _, name in cheaper:
            moves, reason = self._decide(question, requested, asked, name)
            if moves:
                return Choice(order=(name, requested), reason=reason)
        return Choice(order=(requested,), reason=reason)

    def _decide(self, question: Question, requested: Slug, asked: Candidate, name: Slug) -> tuple[bool, Slug]:
        candidate = question.candidates[name]
        for pair in ((asked.name, candidate.name), (requested, name)):
            threshold = self._thresholds.get(pair)
            score = question.labels.scores.get(score_name(*pair)) if threshold is not None else None
            if threshold is not None and score is not None:
                return score >= threshold, PROMPT if score >= threshold else KEPT
        labels = question.labels
        if labels.task == OTHER or labels.confidence < self._sure or labels.confidence == 0:
            return False, UNSURE
        if self._config.evidence == "declared":
            return True, DECLARED
        verdict = self._verdicts.get((labels.task, requested, name))
        if verdict is not None and verdict.moves:
            return True, TABLE
        return False, KEPT

    def _stand_ins(self, requested: Slug, task: Slug) -> tuple[Slug, ...]:
        by_task = self._declared.get(requested)
        if by_task is None:
            return ()
        return by_task.get(task, by_task.get(EVERY, ()))

    def _judge(
        self,
        cells: Mapping[tuple[Slug, Slug, Slug | None], Cell],
        task: Slug,
        requested: Slug,
        candidate: Slug,
    ) -> Verdict:
        config = self._config
        pair, ours, theirs = (
            _sample(cells.get(key))
            for key in ((task, candidate, requested), (task, candidate, None), (task, requested, None))
        )
        count = max(pair.count, min(ours.count, theirs.count))
        found: list[Kept] = []
        # Two ways to prove one thing: each is allowed half of the error, so that both together are not more.
        both = bool(pair.count) and bool(min(ours.count, theirs.count))
        confidence = 1 - (1 - config.confidence) / 2 if both else config.confidence
        if pair.count >= config.least:
            found.append(share_kept(pair.total, pair.count, confidence))
        if min(ours.count, theirs.count) >= config.least:
            found.append(ratio_kept(ours, theirs, confidence))
        best = max(found, key=lambda kept: kept.bound, default=None)
        moves = best is not None and best.bound >= config.floor
        return Verdict(
            task=task,
            requested=requested,
            candidate=candidate,
            count=count,
            kept=None if best is None else round(best.measured * 1000),
            bound=0 if best is None else int(best.bound * 1000),
            moves=moves,
            reason=TABLE if moves else FEW if best is None else BELOW,
        )


def _check(config: Quality.Config) -> None:
    if not 0 < config.floor <= 1:
        raise ValueError("floor: a share above 0 and at most 1")
    if not 0.5 <= config.confidence < 1:
        raise ValueError("confidence: at least 0.5 and below 1")
    if config.least < 1:
        raise ValueError("least: at least 1")
    if not 0 <= config.sure <= 1:
        raise ValueError("sure: a share from 0 to 1")
    pool = set(config.targets)
    named = {config.default} - {""}
    for requested, by_task in config.stand_ins.items():
        named |= {requested, *(model for models in by_task.values() for model in models)}
    if not named <= pool:
        raise ValueError("stand_ins and default: only models that are among the targets")


def _cheaper(question: Question, names: Iterable[Slug], asked: Candidate) -> Iterable[tuple[int, Slug]]:
    """Healthy candidates on which the call costs less than on the one asked for, with their estimates."""
    for name in names:
        candidate = question.candidates.get(name)
        if candidate is None or not candidate.healthy or candidate.estimate is None:
            continue
        if asked.estimate is not None and candidate.estimate < asked.estimate:
            yield candidate.estimate, name


def _sample(cell: Cell | None) -> Sample:
    return Sample(0, 0.0, 0.0) if cell is None else Sample(cell.count, cell.total / 1e3, cell.squares / 1e6)


if TYPE_CHECKING:
    _: type[Router] = Quality
    _learner: type[Learner] = Quality
    _judge: type[Judge] = Quality
