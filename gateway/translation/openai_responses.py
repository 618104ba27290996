"""OpenAI Responses as translation sees it: stateless, with function tools only.

Source: OpenAI API reference, "Create a model response" and "Streaming events".
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.contracts import Call
from gateway.names import Slug
from gateway.records import PathKind
from gateway.translation.canonical import Ask
from gateway.translation.losses import Loss
from gateway.translation.openai_complaint import read_complaint, write_complaint
from gateway.translation.openai_fields import CALLER_LOSSES, PROVIDER_LOSSES
from gateway.translation.openai_framing import headers, made_call
from gateway.translation.openai_responses_ask import READ_LOSSES, read_ask
from gateway.translation.openai_responses_body import WRITE_LOSSES, write_ask
from gateway.translation.openai_responses_reader import ResponseReader
from gateway.translation.openai_responses_writer import ResponseWriter
from gateway.translation.tongue import Aim, Reader, Reply, Writer

__all__ = [
    "AS_CALLER", "AS_PROVIDER", "NAME", "call", "headers", "read_ask", "read_complaint", "reader",
    "write_ask", "write_complaint", "writer",
]  # fmt: skip

NAME: Final = Slug("openai_responses")

AS_CALLER: Final[Mapping[Slug, Loss]] = {**CALLER_LOSSES, **READ_LOSSES}
AS_PROVIDER: Final[Mapping[Slug, Loss]] = {**PROVIDER_LOSSES, **WRITE_LOSSES}


def call(ask: Ask, aim: Aim, original: Call, body: dict[str, Any]) -> Call:
    return made_call(NAME, PathKind.RESPONSES, ask, aim, original, body)


def reader(stream: bool) -> Reader:
    return ResponseReader(stream)


def writer(reply: Reply) -> Writer:
    return ResponseWriter(reply)
