"""What OpenAI's models take, as their documents say."""

import pytest

from gateway.translation.canonical import Ask, Effort, Reasoning
from gateway.translation.losses import Losses
from gateway.translation.openai_models import STRANGER, Samples, fitted, line_of
from gateway.translation.tongue import Tongue
from tests.gateway.translation.openai_samples import BOTH, write


@pytest.mark.parametrize(
    ("model", "weakest", "strongest", "samples"),
    [
        ("gpt-4o", None, None, Samples.ALWAYS),
        ("gpt-4.1-mini", None, None, Samples.ALWAYS),
        ("chatgpt-4o-latest", None, None, Samples.ALWAYS),
        ("gpt-4o-mini-search-preview", None, None, Samples.NEVER),
        ("gpt-5-chat-latest", None, None, Samples.ALWAYS),
        ("gpt-5.2-chat-latest", Effort.MEDIUM, Effort.MEDIUM, Samples.NEVER),
        ("o3", Effort.LOW, Effort.HIGH, Samples.NEVER),
        ("o4-mini-2025-04-16", Effort.LOW, Effort.HIGH, Samples.NEVER),
        ("openai/o1", Effort.LOW, Effort.HIGH, Samples.NEVER),
        ("gpt-5", Effort.MINIMAL, Effort.HIGH, Samples.NEVER),
        ("openai/gpt-5-nano-2025-08-07", Effort.MINIMAL, Effort.HIGH, Samples.NEVER),
        ("gpt-5-codex", Effort.LOW, Effort.HIGH, Samples.NEVER),
        ("gpt-5-pro", Effort.HIGH, Effort.HIGH, Samples.NEVER),
        ("gpt-5.1", Effort.NONE, Effort.HIGH, Samples.AT_REST),
        ("gpt-5.1-codex-mini", Effort.LOW, Effort.HIGH, Samples.NEVER),
        ("gpt-5.1-codex-max", Effort.LOW, Effort.XHIGH, Samples.NEVER),
        ("gpt-5.2-2025-12-11", Effort.NONE, Effort.XHIGH, Samples.AT_REST),
        ("gpt-5.2-pro", Effort.MEDIUM, Effort.XHIGH, Samples.NEVER),
        ("gpt-5.6", Effort.NONE, Effort.MAX, Samples.AT_REST),
        ("gpt-6-astra", Effort.NONE, Effort.MAX, Samples.AT_REST),
    ],
)
def test_models_are_known_by_their_names(
    model: str, weakest: Effort | None, strongest: Effort | None, samples: Samples
) -> None:
    line = line_of(model)
    assert (line.efforts[:1], line.efforts[-1:]) == (
        (weakest,) if weakest else (),
        (strongest,) if strongest else (),
    )
    assert line.samples is samples


@pytest.mark.parametrize("model", ["openai/gpt-oss-120b", "llama-3.3-70b", "my-deployment", "go1", "grok-4"])
def test_models_of_others_are_sent_what_was_said(model: str) -> None:
    assert line_of(model) is STRANGER
    ask = Ask(temperature=0.2, stop=("x",), reasoning=Reasoning(effort=Effort.MAX))
    losses = Losses()
    assert fitted(ask, model, losses) == ask
    assert not losses.dropped


def test_a_model_that_thinks_is_not_sent_what_it_refuses() -> None:
    ask = Ask(temperature=0.2, top_p=1.0, frequency_penalty=0.5, presence_penalty=0.0, stop=("x",))
    losses = Losses()
    assert fitted(ask, "gpt-5-mini", losses) == Ask()
    assert losses.dropped == ["temperature", "frequency_penalty", "stop"]


@pytest.mark.parametrize(
    ("effort", "kept"), [(None, 0.2), (Effort.NONE, 0.2), (Effort.LOW, None), (Effort.MINIMAL, None)]
)
def test_a_model_at_rest_takes_a_temperature(effort: Effort | None, kept: float | None) -> None:
    ask = Ask(temperature=0.2, reasoning=Reasoning(effort=effort))
    assert fitted(ask, "gpt-5.2", Losses()).temperature == kept


@pytest.mark.parametrize(
    ("model", "wish", "sent"),
    [
        ("o3", Effort.NONE, Effort.LOW),
        ("o3", Effort.MAX, Effort.HIGH),
        ("gpt-5", Effort.NONE, Effort.MINIMAL),
        ("gpt-5.1", Effort.MINIMAL, Effort.LOW),
        ("gpt-5.2", Effort.MAX, Effort.XHIGH),
        ("gpt-5-pro", Effort.LOW, Effort.HIGH),
    ],
)
def test_the_nearest_effort_is_sent_and_that_is_told(model: str, wish: Effort, sent: Effort) -> None:
    losses = Losses()
    assert fitted(Ask(reasoning=Reasoning(effort=wish)), model, losses).reasoning == Reasoning(effort=sent)
    assert losses.dropped == ["effort"]


@pytest.mark.parametrize(
    ("reasoning", "names"),
    [
        (Reasoning(effort=Effort.LOW), ["reasoning"]),
        (Reasoning(shown=True), ["reasoning"]),
        (Reasoning(budget_tokens=2000), ["budget_tokens", "reasoning"]),
        (Reasoning(effort=Effort.NONE), []),
        (Reasoning(budget_tokens=0), ["budget_tokens"]),
        (Reasoning(budget_tokens=-1), ["budget_tokens"]),
        (None, []),
    ],
)
def test_a_model_that_does_not_think_is_not_told_how(reasoning: Reasoning | None, names: list[str]) -> None:
    losses = Losses()
    assert fitted(Ask(reasoning=reasoning), "gpt-4o", losses).reasoning is None
    assert losses.dropped == names


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(-1, None), (0, Effort.NONE), (1024, Effort.LOW), (5000, Effort.MEDIUM), (32000, Effort.HIGH)],
)
def test_a_budget_is_sent_as_an_effort(budget: int, effort: Effort | None) -> None:
    ask = Ask(reasoning=Reasoning(budget_tokens=budget, shown=True))
    assert fitted(ask, "gpt-6", Losses()).reasoning == Reasoning(effort=effort, shown=True)


@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
def test_a_name_of_a_user_that_is_too_long_is_left_out(tongue: Tongue) -> None:
    body, dropped = write(tongue, Ask(user="u" * 64))
    assert (body["user"], dropped) == ("u" * 64, [])
    body, dropped = write(tongue, Ask(user="u" * 65))
    assert ("user" in body, dropped) == (False, ["user"])
