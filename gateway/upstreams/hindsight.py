"""What past calls would have cost under a policy: replayed from records alone, without any content.

A record knows the task, the tags, the tokens and the moment of a call, but not its words, its tools or what
it may have been too long for. So the policy is asked again with what is known, and what is not known is told
as a margin: how long another model's answer would have been, whether a prompt cache would have been met, and
what chance does in policies that draw.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from math import ceil, sqrt
from typing import Final

from gateway.contracts import Candidate, Labels, Question, Shape, Tags
from gateway.exchange import Target
from gateway.names import UNKNOWN, Slug
from gateway.records import Outcome, PathKind, Record
from gateway.upstreams import affinity
from gateway.upstreams.habits import Habits, Ratio
from gateway.upstreams.policy import POLICY_FAILED, Policies, Policy
from gateway.usage import Nanos, Price, Reading, Source, Usage, cost

KINDS: Final = frozenset({PathKind.CHAT, PathKind.RESPONSES, PathKind.MESSAGES, PathKind.GENERATE})
"""What can be replayed: calls that one model can answer as well as another."""

RUNS: Final = 5
"""How often each call is decided on, each time with another random number."""

OTHER_KIND: Final = Slug("other_kind")
NO_ANSWER: Final = Slug("no_answer")
OTHER_UNITS: Final = Slug("other_units")
NO_CANDIDATE: Final = Slug("no_candidate")
NO_PRICE: Final = Slug("no_price")

Resolve = Callable[[str], Target | None]
PriceAt = Callable[[Target, int], Price | None]
"""The price of a target at a moment, in microseconds."""
Serves = Callable[[Record, Target], bool]
"""Whether a target can be asked in a record's dialect."""


@dataclass(slots=True)
class Forecast:
    """What a policy would have cost. Money in nano-dollars.

    Attributes:
        calls: records that were counted. unpriced: those that were not, as it is not known what they cost.
        kept: calls that count as they were, by the reason why they could not be replayed.
        moved: calls that another model would have answered (in the first run).
        guessed: those of them where it was not known how long that model's answers are.
        failed: calls that the policy had no choice for.
        paid: what the counted calls did cost.
        totals: what they would have cost, for each run.
        length, cache: margins over all runs: for the length of answers, and for prompt caches.
        models: calls by the model that would have answered (in the first run).
    """

    totals: list[int]
    calls: int = 0
    unpriced: int = 0
    moved: int = 0
    guessed: int = 0
    failed: int = 0
    paid: int = 0
    length: int = 0
    cache: int = 0
    kept: Counter[Slug] = field(default_factory=Counter)
    models: Counter[Slug] = field(default_factory=Counter)

    @property
    def cost(self) -> int:
        """The mean of the runs."""
        return round(sum(self.totals) / len(self.totals))

    @property
    def chance(self) -> int:
        """Two standard deviations of the runs."""
        mean = sum(self.totals) / len(self.totals)
        squares = sum((total - mean) ** 2 for total in self.totals)
        return ceil(2 * sqrt(squares / max(len(self.totals) - 1, 1)))

    @property
    def margin(self) -> int:
        """All margins, added up: they may all lean to the same side."""
        return -(-(self.length + self.cache) // len(self.totals)) + self.chance


class Hindsight:
    """Replays records under one policy.

    Args:
        habits: has seen the records before.
        runs: see RUNS.
    """

    def __init__(
        self,
        policy: Policy,
        policies: Policies,
        habits: Habits,
        *,
        resolve: Resolve,
        price_at: PriceAt,
        serves: Serves,
        runs: int = RUNS,
    ) -> None:
        self._policy = policy
        self._policies = policies
        self._habits = habits
        self._resolve = resolve
        self._price_at = price_at
        self._serves = serves
        self._names = tuple(dict.fromkeys(policy.leaves()))
        self.forecast = Forecast(totals=[0] * runs)

    def replay(self, records: Iterable[Record]) -> Forecast:
        """Add records to the forecast."""
        for record in records:
            self.add(record)
        return self.forecast

    def add(self, record: Record) -> None:
        """Replay one call."""
        found = self.forecast
        if record.cost_nanos is None:
            found.unpriced += 1
            return
        found.calls += 1
        found.paid += record.cost_nanos
        reason = _why_not(record)
        if reason is None:
            reason = self._decide(record, record.cost_nanos)
        if reason is not None:
            found.kept[reason] += 1
            found.totals = [total + record.cost_nanos for total in found.totals]

    def _decide(self, record: Record, paid: Nanos) -> Slug | None:
        """Add what the policy's choices would have cost; the reason why the call cannot be replayed."""
        usage = usage_of(record)
        targets = {name: target for name in self._names if (target := self._target(record, name)) is not None}
        prices = {
            name: price
            for name, target in targets.items()
            if (price := self._price_at(target, record.at)) is not None
        }
        candidates = {name: self._candidate(targets[name], price, usage) for name, price in prices.items()}
        if not candidates:
            return NO_CANDIDATE
        question = self._question(record, candidates)
        amounts = []
        for run in range(len(self.forecast.totals)):
            choice = self._policies.choose(self._policy, replace(question, seed=_seed(record.id, run)))
            name, price = choice.order[0], prices[choice.order[0]]
            if targets[name].name == record.model_routed:
                amounts.append(_Amount(targets[name].name, paid, choice.reason == POLICY_FAILED))
                continue
            ratio = self._habits.ratio(record.task, record.model_routed, targets[name].name)
            amount = _moved(usage, ratio, price, targets[name].name, choice.reason == POLICY_FAILED)
            if amount is None:
                return NO_PRICE
            amounts.append(amount)
        self._add(amounts)
        return None

    def _add(self, amounts: "list[_Amount]") -> None:
        found, first = self.forecast, amounts[0]
        found.models[first.model] += 1
        found.moved += first.moved
        found.guessed += first.guessed
        found.failed += first.failed
        for run, amount in enumerate(amounts):
            found.totals[run] += amount.nanos
            found.length += amount.length
            found.cache += amount.cache

    def _target(self, record: Record, name: Slug) -> Target | None:
        target = self._resolve(name)
        return target if target is not None and self._serves(record, target) else None

    def _candidate(self, target: Target, price: Price, usage: Usage) -> Candidate:
        bare = replace(usage, cached=0, write_5m=0, write_1h=0)
        return Candidate(
            name=target.name,
            healthy=True,
            input_price=price.input_rate,
            output_price=price.output_rate,
            estimate=_cost(bare, price),
            latency_us=self._habits.latency_us(target.name),
            tier=target.tier,
        )

    def _question(self, record: Record, candidates: dict[Slug, Candidate]) -> Question:
        asked = record.model_requested
        requested = self._resolve(asked) if asked is not None and asked != UNKNOWN else None
        named = (name for name, one in candidates.items() if requested and one.name == requested.name)
        key = record.key_id or UNKNOWN
        return Question(
            kind=record.path_kind,
            shape=Shape(),
            labels=Labels(task=record.task or Slug("other"), confidence=record.task_confidence or 0),
            tags=Tags(
                feature=record.feature,
                environment=record.environment,
                session=record.session,
                customer=record.customer,
            ),
            key=key,
            candidates=candidates,
            seed=0,
            requested=next(named, None),
            at_us=record.at,
            tokens=record.tokens_input,
            session=affinity.of_name(record.session or key),
        )


@dataclass(frozen=True, slots=True)
class _Amount:
    model: Slug
    nanos: int
    failed: bool
    moved: bool = False
    guessed: bool = False
    length: int = 0
    cache: int = 0


def _moved(usage: Usage, ratio: Ratio, price: Price, model: Slug, failed: bool) -> _Amount | None:
    """What a usage costs on a model that did not have it; None where a class of it has no price there."""
    output = (usage.output * ratio.over + ratio.under // 2) // ratio.under
    there = replace(usage, output=output, reasoning=min(usage.reasoning, output))
    nanos = _cost(there, price)
    silent = _cost(replace(there, output=0, reasoning=0), price)
    bare = _cost(replace(there, cached=0, write_5m=0, write_1h=0), price)
    if nanos is None or silent is None or bare is None:
        return None
    return _Amount(
        model=model,
        nanos=nanos,
        failed=failed,
        moved=True,
        guessed=not ratio.known,
        length=-(-(nanos - silent) * ratio.error // 1000),
        cache=abs(bare - nanos),
    )


def _why_not(record: Record) -> Slug | None:
    """Why a call cannot be replayed; None where it can."""
    if record.path_kind not in KINDS:
        return OTHER_KIND
    if record.outcome not in (Outcome.OK, Outcome.CLIENT_CLOSED) or not record.attempts:
        return NO_ANSWER
    others = (
        record.tokens_input_audio, record.tokens_cached_audio, record.tokens_input_image,
        record.tokens_output_audio, record.tokens_output_image, record.units_searches, record.units_tools,
        record.units_characters, record.units_audio_ms, record.units_images,
    )  # fmt: skip
    return OTHER_UNITS if any(others) else None


def usage_of(record: Record) -> Usage:
    """The words that a record counts."""
    return Usage(
        input=record.tokens_input,
        cached=record.tokens_cached,
        write_5m=record.tokens_cache_write_5m,
        write_1h=record.tokens_cache_write_1h,
        output=record.tokens_output,
        reasoning=record.tokens_reasoning,
    )


def _cost(usage: Usage, price: Price) -> Nanos | None:
    return cost(Reading(usage=usage, source=Source.REPORTED), price, lambda model: None)


def _seed(id: Slug, run: int) -> int:
    """A random number that is the same whenever a call is replayed."""
    return int.from_bytes(blake2b(f"{id}#{run}".encode(), digest_size=4).digest(), "big")
