"""How far a replay is from what would really have been paid: simulated months whose truth is known.

    python bench/replay.py [--months 200] [--calls 3000]

A month is drawn in which most calls go to a dear model and some to a cheap one. Answers are log-normal
(sigma 1); the cheap model's are longer, by a factor of its own for each task. Then the month is replayed
under a policy that sends code to the cheap model, and compared with what the same calls cost when they are
really drawn there. The error is of the whole bill; the margin is what the replay says of itself.
"""

import argparse
import sys
from dataclasses import dataclass
from random import Random
from statistics import median, quantiles
from typing import Any

from gateway.clock import SystemClock
from gateway.contracts import Choice, Question
from gateway.exchange import Target
from gateway.names import Slug
from gateway.records import PathKind, Record
from gateway.upstreams.habits import Habits
from gateway.upstreams.hindsight import Hindsight
from gateway.upstreams.policy import Policies, Policy
from gateway.usage import Nanos, Price, Rates, Scheme

NOTHING: Any = None
TASKS = (Slug("code"), Slug("prose"), Slug("chat"))
LONGER = {"code": 1.4, "prose": 0.8, "chat": 1.0}
"""How much longer the cheap model's answers are."""


def price(input: int, output: int) -> Price:
    """Pico-dollars for a token."""
    return Price(version=Slug("1"), standard=Scheme(base=Rates(input=input, output=output)))


PRICES = {"dear": price(3_000_000, 15_000_000), "cheap": price(800_000, 4_000_000)}
TARGETS = {
    name: Target(name=Slug(f"p/{name}"), provider_name=Slug("p"), provider=NOTHING, model=name, exit=NOTHING)
    for name in PRICES
}


class CodeIsCheap:
    """Code to the cheap model, the rest to the dear one."""

    def targets(self) -> tuple[str, ...]:
        """Both."""
        return tuple(PRICES)

    def plan(self, question: Question) -> Choice:
        """By the task alone."""
        name = "cheap" if question.labels.task == "code" else "dear"
        return Choice(order=(Slug(name),), reason=Slug("by-task"))


@dataclass(frozen=True, slots=True)
class Month:
    """One comparison, as shares of the true bill."""

    error: float
    margin: float


def compare(calls: int, explored: float, random: Random) -> Month:
    """Draw a month, replay it, and draw what would have been.

    Args:
        explored: share of the calls that the cheap model answered in the month itself.
    """
    records: list[Record] = []
    truth = 0
    for number in range(calls):
        task = random.choice(TASKS)
        tokens = 1 + round(random.lognormvariate(6.5, 1))
        model = "cheap" if random.random() < explored else "dear"
        record = a_record(number, task, model, tokens, length(task, model, random))
        records.append(record)
        if task == "code" and model == "dear":
            truth += nanos("cheap", tokens, length(task, "cheap", random))
        elif task != "code" and model == "cheap":
            truth += nanos("dear", tokens, length(task, "dear", random))
        else:
            truth += record.cost_nanos or 0
    habits = Habits()
    for record in records:
        habits.saw(record)
    policy = Policy(name=Slug("auto"), router=CodeIsCheap(), targets=tuple(Slug(name) for name in PRICES))
    found = Hindsight(
        policy,
        Policies(SystemClock(), 10**9),
        habits,
        resolve=TARGETS.get,
        price_at=lambda target, at_us: PRICES[target.model],
        serves=lambda record, target: True,
        runs=1,
    ).replay(records)
    return Month((found.cost - truth) / truth, found.margin / truth)


def length(task: str, model: str, random: Random) -> int:
    """Tokens of an answer."""
    factor = LONGER[task] if model == "cheap" else 1.0
    return 1 + round(factor * random.lognormvariate(5.5, 1))


def nanos(model: str, tokens: int, output: int) -> int:
    """What a call costs, rounded up."""
    rates = PRICES[model].standard.base
    return -(-(tokens * (rates.input or 0) + output * (rates.output or 0)) // 1000)


def a_record(number: int, task: Slug, model: str, tokens: int, output: int) -> Record:
    """A call that ended well."""
    return Record(
        id=Slug(f"call-{number}"),
        at=number,
        dialect=Slug("openai_chat"),
        path_kind=PathKind.CHAT,
        task=task,
        model_requested=Slug("dear"),
        model_routed=Slug(f"p/{model}"),
        attempts=1,
        status=200,
        tokens_input=tokens,
        tokens_output=output,
        cost_nanos=Nanos(nanos(model, tokens, output)),
    )


def line(explored: float, months: list[Month]) -> str:
    """A row of the table in docs/savings.md."""
    errors = [abs(one.error) for one in months]
    within = sum(abs(one.error) <= one.margin for one in months) / len(months)
    known = "yes" if explored else "no"
    worst = quantiles(errors, n=20)[-1]
    return (
        f"| {known} | {median(errors):.1%} | {worst:.1%} |"
        f" {median(one.margin for one in months):.1%} | {within:.1%} |"
    )


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Compare replays with the truth.")
    parser.add_argument("--months", type=int, default=200)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print("| lengths known | error, median | error, 19 of 20 months | margin, median | within the margin |")
    print("|---|---|---|---|---|")
    for explored in (0.1, 0.0):
        months = [
            compare(arguments.calls, explored, Random(f"{arguments.seed}/{number}"))
            for number in range(arguments.months)
        ]
        print(line(explored, months), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
