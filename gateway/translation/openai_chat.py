"""OpenAI Chat Completions as translation sees it; also Groq's and that of most compatible servers.

Source: OpenAI API reference, "Create chat completion" and "Streaming"; Groq API reference, "Chat".
reasoning_content is DeepSeek's name for thoughts, which other servers took over.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.contracts import Call
from gateway.names import Slug
from gateway.records import PathKind
from gateway.translation.canonical import Ask
from gateway.translation.losses import Loss
from gateway.translation.openai_chat_ask import READ_LOSSES, read_ask
from gateway.translation.openai_chat_body import WRITE_LOSSES, write_ask
from gateway.translation.openai_chat_reader import ChatReader
from gateway.translation.openai_chat_writer import StreamWriter, WholeWriter
from gateway.translation.openai_complaint import read_complaint, write_complaint
from gateway.translation.openai_fields import CALLER_LOSSES, PROVIDER_LOSSES
from gateway.translation.openai_framing import headers, made_call
from gateway.translation.tongue import Aim, Reader, Reply, Writer

__all__ = [
    "AS_CALLER", "AS_PROVIDER", "NAME", "call", "headers", "read_ask", "read_complaint", "reader",
    "write_ask", "write_complaint", "writer",
]  # fmt: skip

NAME: Final = Slug("openai_chat")

AS_CALLER: Final[Mapping[Slug, Loss]] = {**CALLER_LOSSES, **READ_LOSSES}
AS_PROVIDER: Final[Mapping[Slug, Loss]] = {**PROVIDER_LOSSES, **WRITE_LOSSES}


def call(ask: Ask, aim: Aim, original: Call, body: dict[str, Any]) -> Call:
    return made_call(NAME, PathKind.CHAT, ask, aim, original, body)


def reader(stream: bool) -> Reader:
    return ChatReader(stream)


def writer(reply: Reply) -> Writer:
    return StreamWriter(reply) if reply.call.stream else WholeWriter(reply)
