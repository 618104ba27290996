"""The provider that answers from itself: demos, load tests and every end-to-end test need no other."""

import asyncio
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Final

import orjson

from gateway.content import Content, Purpose, Secret
from gateway.contracts import Call, Headers, Permit, UpstreamRequest
from gateway.errors import UpstreamError, UpstreamTimeout
from gateway.names import Slug
from gateway.providers.asking import ask as ask_for
from gateway.providers.echo.answer import EchoAnswer
from gateway.providers.echo.ask import Ask
from gateway.providers.echo.faults import refusal
from gateway.providers.echo.form import fields
from gateway.providers.echo.orders import NO_ORDERS, Orders, parse
from gateway.providers.echo.reply import Reply
from gateway.providers.echo.voices import SPEAKS, VOICES, Voice
from gateway.providers.failures import classify

if TYPE_CHECKING:
    from gateway.contracts import Answer, Exit, Provider

PLACE: Final = "echo://local/"
"""What stands before the dialect's name and its path in the URL of a request."""

_ODD: Final = (ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError)
"""What reading a tree of an unexpected shape may end in: such a call is refused, like a provider would."""


class Echo:
    """Speaks every dialect, needs no network and no key, and says what it was told.

    The answer repeats the last text of the user; embeddings, images and sounds are minimal. One token is
    counted for each four bytes of text, begun ones included, and 85 for an image. Tools are called
    when the caller forces it, structured answers are a minimal instance of their schema. The same
    question has the same answer, ids and times included.

    A directive in the last text of the user, or Config.defaults for all calls, orders more. It is
    `echo:` and names with values, without spaces: "Hello echo:tokens=200,delay=0.05". A bare name means 1.

        name           value        what is done
        -------------  -----------  --------------------------------------------------------------------
        first          seconds      wait before the head of the answer; at most 60
        delay          seconds      wait before each read after the first one; at most 60
        tokens         count        answer with so many tokens of filler; at most 100,000
        chunk          count        tokens in each event of a stream; 1
        burst          count        events in each read; 1
        status         400 to 599   refuse with this status, in the provider's words, quoting the prompt
        fault          a status     the same
        fault          unreachable  fail as if no connection could be made
        fault          timeout      fail as if no answer had come
        retry_after    seconds      with status: the pause to ask for
        cut            count        break off after so many events (of a whole answer: halves)
        torn           1            with cut: send half of the next event first
        error          count        report an error in the stream after so many events
        end            count        end quietly after so many events
        stall          count        send nothing more after so many events, for ten minutes, then break off
        no_end         1            leave out what ends a stream ([DONE], message_stop, the last chunk, …)
        no_usage       1            say nothing of usage
        zero_usage     1            say that nothing was used
        input, output  count        tokens to report instead of those counted
        cached         count        of the input: read from the cache
        write_5m       count        of the input: written to the cache; write_1h: for an hour
        reasoning      count        output tokens of thinking, on top of the text's
        aside          count        Anthropic: input tokens of a compaction, billed besides
        tool           name         call this tool; 1: the first one that was sent
        tools          count        calls of tools at once; at most 64
        finish         a word       the reason to have ended; Gemini: blocked; moderations: flagged
        tier           a word       the service tier to report
        poses          groq         answer chat as Groq does
    """

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Settings.

        Attributes:
            defaults: orders for every call, such as "delay=0.02,tokens=200".
            directives: the text of a call may hold orders.
            dialects: those that it speaks, such as ["anthropic_messages"]; empty: all. Calls in others are
                translated, as for a provider that has no other.
        """

        defaults: str = ""
        directives: bool = True
        dialects: tuple[str, ...] = ()

    def __init__(self, config: Config) -> None:
        orders = parse(config.defaults, strict=True) if config.defaults else NO_ORDERS
        self._defaults = replace(orders, obeys=config.directives)
        if not SPEAKS.issuperset(config.dialects):
            raise ValueError("dialects: known are " + ", ".join(sorted(SPEAKS)))
        self._speaks = frozenset(Slug(name) for name in config.dialects) or SPEAKS
        self._numbers = count(1)
        self.in_flight = 0

    @property
    def speaks(self) -> frozenset[Slug]:
        """Every dialect there is, or those that are configured."""
        return self._speaks

    def request(self, call: Call, model: str, key: Secret | None) -> UpstreamRequest:
        """The request, addressed to ourselves. A key is not needed, and not passed on."""
        return ask_for(PLACE + call.dialect, call, model, (), ask_usage=self.asks_usage(call))

    def failure(self, status: int, headers: Headers, body: Content) -> UpstreamError:
        """What an error stands for: read as from any other provider."""
        return classify(status, headers, body)

    def asks_usage(self, call: Call) -> bool:
        """As OpenAI: usage comes on a stream of chat only when it was asked for."""
        return call.stream and call.dialect == "openai_chat" and not self._defaults.poses

    async def open(self, request: UpstreamRequest, permit: Permit) -> EchoAnswer:
        """Answer.

        Raises:
            UpstreamError: so it was ordered.
        """
        name, _, path = request.url.removeprefix(PLACE).partition("/")
        voice = VOICES[name]
        try:
            ask = self._read(voice, request, "/" + path)
            orders, reply = ask.orders, voice.answer(ask)
        except _ODD:
            return self._answered(voice, 400, refusal(voice.family, 400, None), NO_ORDERS)
        if orders.first:
            await asyncio.sleep(orders.first)
        if orders.fault == "unreachable":
            raise UpstreamError("upstream_unreachable")
        if orders.fault == "timeout":
            raise UpstreamTimeout("upstream_timeout")
        if orders.status:
            return self._answered(voice, orders.status, refusal(voice.family, orders.status, ask), orders)
        return self._answered(voice, 200, reply, orders)

    def release(self, answer: "Answer") -> None:
        """There is nothing to keep or close; in_flight says how many answers are still held."""
        self.in_flight -= 1

    def _read(self, voice: Voice, request: UpstreamRequest, path: str) -> Ask:
        body = request.body.open(Purpose.ANSWER)
        tree = orjson.loads(body) if body[:1] == b"{" else fields(body, _content_type(request))
        return voice.read(tree, self._defaults, path)

    def _answered(self, voice: Voice, status: int, reply: Reply, orders: Orders) -> EchoAnswer:
        self.in_flight += 1
        headers = reply.headers
        if voice.id_field:
            headers = (*headers, (voice.id_field, f"req_echo{next(self._numbers)}"), *voice.fields)
        return EchoAnswer(status, headers, reply, orders)


def _content_type(request: UpstreamRequest) -> str:
    return next((value for name, value in request.headers if name == "content-type"), "")


if TYPE_CHECKING:
    _provider: type[Provider] = Echo
    _exit: type[Exit] = Echo
