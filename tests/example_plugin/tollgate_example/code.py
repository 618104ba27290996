"""Code, a classifier: calls with a fenced block in them are about code."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.content import Document, Purpose
from gateway.contracts import Call, Labels
from gateway.names import Slug

NAME, CODE, FENCE = Slug("code-1"), Slug("code"), "```"


class Code:
    """Opens the call, and says one word of its own about it; nothing of the call's text leaves here."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Nothing to set."""

    def __init__(self, config: Config) -> None:
        pass

    def labels(self, call: Call) -> Labels:
        """The label code, with confidence 800 of 1000; or no confidence: another classifier is asked."""
        if isinstance(call.body, Document):
            messages: Any = call.body.open(Purpose.CLASSIFY).get("messages")
            for message in messages if isinstance(messages, list) else ():
                text = message.get("content") if isinstance(message, dict) else None
                if isinstance(text, str) and FENCE in text:
                    return Labels(task=CODE, confidence=800, classifier=NAME)
        return Labels(classifier=NAME)


if TYPE_CHECKING:
    from gateway.contracts import Classifier

    _: type[Classifier] = Code
