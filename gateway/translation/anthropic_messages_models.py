"""What Anthropic's models take: how they are told to think, and which fields they refuse."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.translation.canonical import EFFORTS, Effort

# Source: Anthropic's documents "Extended thinking", "Adaptive thinking", "Effort", "Structured outputs"
# and "Migrating to Claude Opus 4.7", and the errors of its API.


class Thinks(StrEnum):
    """How a model is told to think."""

    NEVER = "never"  # it cannot
    BUDGET = "budget"  # enabled with a number of tokens
    ADAPTIVE = "adaptive"  # adaptive with an effort; can be disabled
    ALWAYS = "always"  # adaptive with an effort; cannot be disabled


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a line of models takes.

    Attributes:
        efforts: the levels it knows, weakest first.
        samples: it takes temperature, top_p and top_k.
        samples_both: it takes temperature and top_p in one call.
        schemas: it takes output_config.format and strict tools.
    """

    thinks: Thinks
    efforts: tuple[Effort, ...] = ()
    samples: bool = True
    samples_both: bool = False
    schemas: bool = True


FOUR: Final = (Effort.LOW, Effort.MEDIUM, Effort.HIGH, Effort.MAX)
FIVE: Final = (Effort.LOW, Effort.MEDIUM, Effort.HIGH, Effort.XHIGH, Effort.MAX)

STRANGER: Final = Line(thinks=Thinks.BUDGET, samples_both=True)
"""Models of others who speak this dialect: they know its older form, if any."""

NEWEST: Final = Line(thinks=Thinks.ADAPTIVE, efforts=FIVE, samples=False)
"""Claude Opus 4.7 and what came after; so will be what has no name yet."""

LINES: Final = tuple(
    (re.compile(pattern).search, line)
    for pattern, line in (
        (
            r"claude-(?:instant|v?[12](?!\d)|3-(?:5|opus|sonnet|haiku))",
            Line(thinks=Thinks.NEVER, samples_both=True, schemas=False),
        ),
        (r"claude-3-7", Line(thinks=Thinks.BUDGET, samples_both=True, schemas=False)),
        (r"claude-(?:[a-z]+-)?4-1(?!\d)", Line(thinks=Thinks.BUDGET, schemas=False)),
        (r"claude-(?:[a-z]+-)?4-5(?!\d)", Line(thinks=Thinks.BUDGET)),
        (r"claude-(?:[a-z]+-)?4-6(?!\d)", Line(thinks=Thinks.ADAPTIVE, efforts=FOUR)),
        (
            r"claude-(?:[a-z]+-)?4(?:-0)?(?![\d-])|claude-(?:[a-z]+-)?4(?:-0)?-(?:20\d{6}|[a-z])",
            Line(thinks=Thinks.BUDGET, samples_both=True, schemas=False),
        ),
        (r"claude-(?:fable|mythos)", Line(thinks=Thinks.ALWAYS, efforts=FIVE, samples=False)),
        (r"claude", NEWEST),
    )
)
"""Lines of models by their names, the first that fits; dots are written as hyphens before."""

BUDGETS: Final = {
    Effort.MINIMAL: 1024,
    Effort.LOW: 2048,
    Effort.MEDIUM: 8192,
    Effort.HIGH: 16384,
    Effort.XHIGH: 24576,
    Effort.MAX: 32000,
}
"""Tokens to think with, for each effort. Anthropic names no such table: its documents give 1,024 as the
least, 16,000 as the amount for hard tasks, and 32,000 as the most that is of use without batches."""

LEAST_BUDGET: Final = 1024


def line_of(model: str) -> Line:
    """The line that a model is of, by its name."""
    name = model.lower().replace(".", "-")
    return next((line for fits, line in LINES if fits(name)), STRANGER)


def nearest_effort(effort: Effort, line: Line) -> Effort:
    """The strongest effort of a line that is not above this one, else its weakest."""
    below = [known for known in line.efforts if EFFORTS.index(known) <= EFFORTS.index(effort)]
    return below[-1] if below else line.efforts[0]


def effort_of(budget_tokens: int) -> Effort:
    """The effort whose budget is not above this one, else the weakest."""
    below = [effort for effort, tokens in BUDGETS.items() if tokens <= budget_tokens]
    return below[-1] if below else Effort.MINIMAL


def fitting_budget(wanted: int, max_tokens: int) -> int | None:
    """Tokens to think with that leave a fifth of an answer's tokens to its words; None: there is no room.

    The budget is part of max_tokens and must be smaller. One that is smaller as it stands is kept.
    """
    if max_tokens <= LEAST_BUDGET:
        return None
    if LEAST_BUDGET <= wanted < max_tokens:
        return wanted
    return max(LEAST_BUDGET, min(wanted, max_tokens * 4 // 5))
