"""What OpenAI's models take of what a caller of another dialect may say."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from gateway.names import Slug
from gateway.translation.canonical import EFFORTS, Ask, Effort, Reasoning
from gateway.translation.losses import Loss, Losses
from gateway.translation.openai_fields import BUDGET, STOP

# Source: OpenAI's documents "Reasoning models", "Using GPT-5.2" (parameter compatibility) and the API
# reference (stop), and the errors of its API. A model that is not known here is sent what was said.


class Samples(StrEnum):
    """When a model takes temperature, top_p and penalties."""

    ALWAYS = "always"
    AT_REST = "at_rest"  # while it does not think; which is so where nothing is said
    NEVER = "never"  # other than what is so anyway


@dataclass(frozen=True, slots=True)
class Line:
    """What a line of models takes.

    Attributes:
        efforts: the levels it knows, weakest first; none: it does not think.
        stops: it takes stop sequences.
    """

    efforts: tuple[Effort, ...]
    samples: Samples = Samples.NEVER
    stops: bool = False


_THREE: Final = (Effort.LOW, Effort.MEDIUM, Effort.HIGH)
_FOUR: Final = (*_THREE, Effort.XHIGH)

STRANGER: Final = Line(EFFORTS, Samples.ALWAYS, True)

_LINES: Final = tuple(
    (re.compile(pattern).search, line)
    for pattern, line in (
        (r"gpt-[345](?:\.\d)?[a-z-]*-search", Line((), stops=True)),
        (r"gpt-[34]|gpt-5-chat", Line((), Samples.ALWAYS, True)),
        (r"gpt-5\.\d-chat", Line((Effort.MEDIUM,))),
        (r"(?:^|/)o[1-9](?:-|$)|gpt-5-codex|gpt-5\.1-codex(?!-max)", Line(_THREE)),
        (r"gpt-5-pro", Line((Effort.HIGH,))),
        (r"gpt-5(?![.\d])", Line((Effort.MINIMAL, *_THREE))),
        (r"gpt-5\.\d-pro", Line((Effort.MEDIUM, Effort.HIGH, Effort.XHIGH))),
        (r"gpt-5\.\d-codex", Line(_FOUR)),
        (r"gpt-5\.1(?!\d)", Line((Effort.NONE, *_THREE), Samples.AT_REST)),
        (r"gpt-5\.[2-5](?!\d)", Line((Effort.NONE, *_FOUR), Samples.AT_REST)),
        (r"gpt-(?:5\.\d|[6-9])", Line((Effort.NONE, *_FOUR, Effort.MAX), Samples.AT_REST)),
    )
)
"""Lines of models by their names, the first that fits."""

REASONING: Final = Slug("reasoning")
EFFORT: Final = Slug("effort")
USER: Final = Slug("user")

USER_LENGTH: Final = 64
"""Characters of the longest name of a user. Source: the API's own error message."""

_DEFAULTS: Final = {
    Slug("temperature"): 1,
    Slug("top_p"): 1,
    Slug("presence_penalty"): 0,
    Slug("frequency_penalty"): 0,
}

MODEL_LOSSES: Final = {
    **dict.fromkeys(_DEFAULTS, Loss.DROPPED),
    REASONING: Loss.DROPPED,  # the model does not think
    EFFORT: Loss.DROPPED,  # the nearest that the model knows is sent
    BUDGET: Loss.DROPPED,  # told as an effort
    STOP: Loss.DROPPED,
    USER: Loss.DROPPED,  # longer than is taken
}

BUDGETS: Final = ((0, Effort.NONE), (4096, Effort.LOW), (16384, Effort.MEDIUM))
"""Tokens of thinking up to which an effort is meant; above all of them: high."""


@lru_cache(1024)
def line_of(model: str) -> Line:
    """What the model of this name takes."""
    return next((line for fits, line in _LINES if fits(model)), STRANGER)


def fitted(ask: Ask, model: str, losses: Losses) -> Ask:
    """The call without what would make the API refuse it, and with an effort in place of a budget."""
    line = line_of(model)
    reasoning = _reasoning(ask.reasoning, line, losses)
    rests = reasoning is None or reasoning.effort in (None, Effort.NONE)
    fields: dict[str, Any] = {"reasoning": reasoning}
    if line.samples is Samples.NEVER or (line.samples is Samples.AT_REST and not rests):
        for name, default in _DEFAULTS.items():
            if getattr(ask, name) not in (None, default):
                losses.drop(name)
            fields[name] = None
    if ask.stop and not line.stops:
        losses.drop(STOP)
        fields["stop"] = ()
    if ask.user is not None and len(ask.user) > USER_LENGTH:
        losses.drop(USER)
        fields["user"] = None
    return replace(ask, **fields)


def _reasoning(wish: Reasoning | None, line: Line, losses: Losses) -> Reasoning | None:
    if wish is None:
        return None
    effort = wish.effort
    if effort is None and wish.budget_tokens is not None:
        losses.drop(BUDGET)
        effort = _effort_of(wish.budget_tokens)
    if not line.efforts:
        if effort not in (None, Effort.NONE) or wish.shown:
            losses.drop(REASONING)
        return None
    if effort is not None and effort not in line.efforts:
        losses.drop(EFFORT)
        rank = EFFORTS.index(effort)
        stronger = (other for other in line.efforts if EFFORTS.index(other) > rank)
        effort = next(stronger, line.efforts[-1])
    return Reasoning(effort=effort, shown=wish.shown)


def _effort_of(budget_tokens: int) -> Effort | None:
    if budget_tokens < 0:  # the model may choose
        return None
    return next((effort for most, effort in BUDGETS if budget_tokens <= most), Effort.HIGH)
