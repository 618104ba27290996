"""How hard a Gemini model is to think: levels since the third generation, budgets in the second."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.stream.json_body import refuse
from gateway.translation.canonical import EFFORTS, Effort, Reasoning
from gateway.translation.gemini_generate_fields import flag_of, whole_of, word_of
from gateway.translation.gemini_generate_losses import lose
from gateway.translation.losses import Losses

# Source: Gemini API, Thinking (thinking levels; thinking budgets, with each model's range) and OpenAI
# compatibility (budgets that go with an effort). The third generation answers a budget with an error
# since 3.5, so it is given levels only.

_BUDGETS: Final = (
    # begin of the model's name, least budget, most, whether 0 turns thinking off
    ("gemini-2.5-flash-lite", 512, 24_576, True),
    ("gemini-2.5-flash", 1, 24_576, True),
    ("gemini-2.5-pro", 128, 32_768, False),
)
_THOUGHTLESS: Final = ("gemini-1", "gemini-2.0", "gemma", "learnlm")
_NO_THOUGHT: Final = ("-image", "-tts")  # models made for pictures and speech

_LEVELS: Final = {
    "MINIMAL": Effort.MINIMAL,
    "LOW": Effort.LOW,
    "MEDIUM": Effort.MEDIUM,
    "HIGH": Effort.HIGH,
    "XHIGH": Effort.XHIGH,
}
_BUDGET_OF: Final = {
    Effort.MINIMAL: 1_024,
    Effort.LOW: 1_024,
    Effort.MEDIUM: 8_192,
    Effort.HIGH: 24_576,
}
"""Stronger efforts: the most that the model allows."""


def bare_name(model: str) -> str:
    """A model's name without the folder it may stand in."""
    return model.rpartition("/")[2]


def is_third_generation(model: str) -> bool:
    """Whether the model is of the third generation or later: levels, checked thought signatures, pictures in
    results of functions. A model that is not known is taken for one, as new names are of new models."""
    return not bare_name(model).startswith(("gemini-1", "gemini-2", "gemma", "learnlm"))


def read_thinking(config: Mapping[str, Any]) -> Reasoning | None:
    """A thinkingConfig; None when nothing is said in it. A budget of -1 leaves it to the model.

    Raises:
        CallerError: bad_request: level and budget are both there, or are none.
    """
    level = word_of(config, "thinkingLevel")
    budget = whole_of(config, "thinkingBudget")
    shown = flag_of(config, "includeThoughts")
    if level and (budget is not None or level not in _LEVELS):
        refuse("thinkingLevel")
    effort = _LEVELS[level] if level else Effort.NONE if budget == 0 else None
    budget = budget if budget is not None and budget > 0 else None
    if effort is None and budget is None and shown is None:
        return None
    return Reasoning(effort=effort, budget_tokens=budget, shown=shown)


def write_thinking(reasoning: Reasoning, model: str, losses: Losses) -> dict[str, Any]:
    """A thinkingConfig for this model; empty when there is nothing to say.

    Raises:
        CallerError: cannot_translate: the model does not think, or not by a budget, and losses are strict.
    """
    name = bare_name(model)
    if name.startswith(_THOUGHTLESS) or (
        name.startswith("gemini-2") and any(one in name for one in _NO_THOUGHT)
    ):
        if reasoning.effort not in (None, Effort.NONE) or reasoning.budget_tokens:
            lose(losses, "reasoning")
        return {}
    config: dict[str, Any] = {}
    bounds = next((one for one in _BUDGETS if name.startswith(one[0])), None)
    if bounds is not None:
        budget = _budget(reasoning, bounds[1], bounds[2], bounds[3])
        if budget is not None:
            config["thinkingBudget"] = budget
    else:
        if reasoning.effort is None and reasoning.budget_tokens:
            lose(losses, "budget_tokens")
        level = _level(reasoning, _levels_of(name))
        if level is not None:
            config["thinkingLevel"] = level
    if reasoning.shown is not None:
        config["includeThoughts"] = reasoning.shown
    return config


def _budget(reasoning: Reasoning, least: int, most: int, off: bool) -> int | None:
    budget = reasoning.budget_tokens
    if budget is None:
        if reasoning.effort is None:
            return None
        budget = 0 if reasoning.effort is Effort.NONE else _BUDGET_OF.get(reasoning.effort, most)
    if budget <= 0 and off:
        return 0
    return min(max(budget, least), most)


def _levels_of(name: str) -> tuple[str, ...]:
    """The levels that a model has, weakest first."""
    if name.startswith("gemini-3-pro"):
        return ("LOW", "HIGH")
    if "-pro" in name:
        return ("LOW", "MEDIUM", "HIGH")
    return ("MINIMAL", "LOW", "MEDIUM", "HIGH")


def _level(reasoning: Reasoning, levels: tuple[str, ...]) -> str | None:
    """The weakest level that is not below what is asked for, else the strongest."""
    effort = reasoning.effort
    if effort is None:
        if reasoning.budget_tokens is None:
            return None
        effort = _effort_of(reasoning.budget_tokens)
    wanted = EFFORTS.index(effort)
    return next((level for level in levels if EFFORTS.index(_LEVELS[level]) >= wanted), levels[-1])


def _effort_of(budget: int) -> Effort:
    if budget <= 0:
        return Effort.NONE
    efforts = (Effort.LOW, Effort.MEDIUM)
    return next((effort for effort in efforts if budget <= _BUDGET_OF[effort]), Effort.HIGH)
