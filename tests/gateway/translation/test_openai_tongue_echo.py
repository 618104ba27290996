"""The echo provider's answers in OpenAI's dialects, as the tongues read them."""

from typing import Any

import pytest

from gateway.providers.echo import openai_chat as echo_chat
from gateway.providers.echo import openai_responses as echo_responses
from gateway.providers.echo.orders import Orders, parse
from gateway.translation.canonical import (
    Ask,
    Begin,
    Broken,
    End,
    Role,
    Stop,
    Tally,
    Text,
    TextDelta,
    Tool,
    ToolBegin,
    ToolDelta,
    Turn,
)
from gateway.translation.tongue import Tongue
from tests.gateway.translation.openai_samples import BOTH, CHAT, heard, write

WORDS = "one two\u2028three"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def answered(tongue: Tongue, orders: Orders, stream: bool, **fields: Any) -> list[Any]:
    """The events of echo's answer to a call that the tongue wrote."""
    echo: Any = echo_chat if tongue is CHAT else echo_responses
    ask = Ask(turns=(Turn(Role.USER, (Text(WORDS),)),), stream=stream, **fields)
    body, _ = write(tongue, ask)
    if stream and tongue is CHAT:
        body["stream_options"] = {"include_usage": True}
    return heard(tongue, list(echo.answer(echo.read(body, orders, "")).events), stream)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
@pytest.mark.parametrize("directive", ["", "poses=groq"])
def test_words_of_echo_are_read(tongue: Tongue, stream: bool, directive: str) -> None:
    events = answered(tongue, parse(directive), stream)
    assert isinstance(events[0], Begin)
    assert WORDS in "".join(one.text for one in events if isinstance(one, TextDelta))
    assert len([one for one in events if isinstance(one, Tally)]) == 1
    assert isinstance(events[-2], Tally)
    assert events[-2].usage.input > 0
    assert events[-2].usage.output > 0
    assert events[-1] == End(Stop.END)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
def test_a_limit_and_a_tool_of_echo_are_read(tongue: Tongue, stream: bool) -> None:
    assert answered(tongue, Orders(tokens=100), stream, max_output=20)[-1] == End(Stop.LENGTH)
    events = answered(tongue, parse("tool"), stream, tools=(Tool("find", "", SCHEMA),))
    assert [one.name for one in events if isinstance(one, ToolBegin)] == ["find"]
    assert "city" in "".join(one.arguments for one in events if isinstance(one, ToolDelta))
    assert events[-1] == End(Stop.TOOLS)


@pytest.mark.parametrize("tongue", BOTH, ids=lambda tongue: tongue.NAME)
def test_an_error_of_echo_breaks_the_answer(tongue: Tongue) -> None:
    broken = echo_chat.BROKEN if tongue is CHAT else echo_responses.BROKEN
    assert heard(tongue, [broken], True) == [Broken()]
