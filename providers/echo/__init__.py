"""The provider that answers from itself: demos, load tests and every end-to-end test need no other."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import orjson

from gateway.content import Content, Purpose, Secret
from gateway.contracts import Call, Headers, Permit, UpstreamRequest
from gateway.errors import UpstreamError, UpstreamTimeout
from gateway.names import Slug
from gateway.providers.echo import openai_chat
from gateway.providers.echo.ask import Ask
from gateway.providers.echo.orders import Orders, parse
from gateway.providers.echo.reply import Reply
from gateway.providers.failures import classify

if TYPE_CHECKING:
    from gateway.contracts import Answer, Exit, Provider

PLACE: Final = "echo://local/"
"""What stands before the dialect's name and its path in the URL of a request."""


class Echo:
    """Answers from itself, in every dialect."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Settings.

        Attributes:
            defaults: a directive that holds for every call, such as "delay=0.02,tokens=200".
        """

        defaults: str = ""

    def __init__(self, config: Config) -> None:
        self._orders = parse(config.defaults)

    @property
    def speaks(self) -> frozenset[Slug]:
        """Every dialect there is."""
        return frozenset({Slug("openai_chat")})

    def request(self, call: Call, model: str, key: Secret | None) -> UpstreamRequest:
        """The request, addressed to ourselves. Needs no key."""
        from gateway.providers.asking import ask

        return ask(PLACE + call.dialect, call, model, (), ask_usage=self.asks_usage(call))

    def failure(self, status: int, headers: Headers, body: Content) -> UpstreamError:
        """What an error stands for, read as from any other provider."""
        return classify(status, headers, body)

    def asks_usage(self, call: Call) -> bool:
        """As OpenAI: usage comes on a stream of chat only when asked for."""
        return call.stream and call.dialect == "openai_chat"

    async def open(self, request: UpstreamRequest, permit: Permit) -> "EchoAnswer":
        """Answer."""
        tree = orjson.loads(request.body.open(Purpose.ANSWER))
        ask = openai_chat.read(tree, self._orders)
        reply = openai_chat.answer(ask)
        return EchoAnswer(200, reply.headers, reply.events)

    def release(self, answer: "Answer") -> None:
        """There is nothing to keep or close."""


class EchoAnswer:
    """An answer of echo's while it is read."""

    __slots__ = ("_events", "headers", "status")

    def __init__(self, status: int, headers: Headers, events: Iterator[bytes]) -> None:
        self.status = status
        self.headers = headers
        self._events = events

    async def read(self) -> bytes:
        """The next event."""
        return next(self._events, b"")


if TYPE_CHECKING:
    _provider: type[Provider] = Echo
