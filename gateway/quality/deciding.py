"""Decides on prompts by the outcomes of others: what route-eval does with its rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.quality.fitting import Feedback, Fit, Reader, fit, worth

KEY: Final = b"route-eval"
"""Of the hash; nothing is kept, so it need not be secret."""
PRIOR: Final = 0.5
"""p_ok where nothing at all is known."""


@dataclass(frozen=True, slots=True)
class Decision:
    """p_ok: how likely the cheaper model serves as well. cheap: it is asked."""

    p_ok: float
    cheap: bool


def decide(
    known: Sequence[Feedback], asked: Sequence[tuple[str, str]], floor: float, confidence: float
) -> list[Decision]:
    """A decision for each prompt.

    Args:
        asked: prompts with their groups.
    """
    found = fit(known, KEY, floor, confidence)
    if found is None:
        hits = sum(row.cheap >= row.requested for row in known)
        return [Decision((hits + 2 * PRIOR) / (len(known) + 2), False)] * len(asked)
    return [_decision(found, prompt, group) for prompt, group in asked]


def _decision(found: Fit, prompt: str, group: str) -> Decision:
    reader = Reader(prompt)
    score = found.model.score(reader, group)
    cheap = worth(score, prompt) >= found.worth_cut.score and found.model.knows(reader)
    return Decision(found.curve.probability(score), cheap)
