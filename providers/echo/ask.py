"""Ask: a request as echo understands it, the same for all dialects, and the answer composed from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

from gateway.providers.echo.instance import instance
from gateway.providers.echo.orders import MARK, Orders, obey

TOKEN_BYTES: Final = 4
"""Echo counts one token for each four bytes of text, rounded up."""

IMAGE_TOKENS: Final = 85
"""Tokens of an image or another part that is not text."""

CREATED: Final = 1_767_225_600
"""The time that all answers carry, so that the same question has the same answer: 2026-01-01."""

_FILLER: Final = "one two six ten all far sky sea sun day oak ivy fog dew ash elm "


def weigh(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def to_tokens(size_bytes: int) -> int:
    """Tokens for that many bytes of text."""
    return -(-size_bytes // TOKEN_BYTES)


class Tally:
    """Adds up what a request holds: bytes of text, and parts that are not text."""

    __slots__ = ("last", "others", "size", "turns")

    def __init__(self) -> None:
        self.size = 0
        self.others = 0
        self.turns = 0
        self.last = ""

    def text(self, text: str) -> None:
        """Count a text."""
        self.size += weigh(text)

    @property
    def tokens(self) -> int:
        """Input tokens of everything counted."""
        return to_tokens(self.size) + self.others * IMAGE_TOKENS


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function the model may call."""

    name: str
    schema: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request, understood.

    Attributes:
        text: the last user text without its directive.
        input_tokens: tokens of all that was sent.
        stream: the answer is to be streamed.
        usage_wanted: usage was asked for on the stream, where that must be asked for.
        max_output: most output tokens, None when not said.
        forced: a tool must be called: its name, "*" for any of them, "" for none.
        schema: of a structured answer; {} when only JSON was asked for; None for free text.
        answered: the last turn is the result of a tool.
        others: parts that are not text.
        extra: what only the dialect itself understands.
    """

    model: str
    text: str
    input_tokens: int
    orders: Orders
    stream: bool = False
    usage_wanted: bool = False
    max_output: int | None = None
    choices: int = 1
    tools: tuple[Tool, ...] = ()
    forced: str = ""
    schema: Any = None
    answered: bool = False
    turns: int = 1
    others: int = 0
    extra: Any = None

    @property
    def seed(self) -> str:
        """Eight hex digits that are the same for the same question: for the ids in the answer."""
        return f"{crc32(self.text.encode('utf-8', 'replace'), self.turns):08x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of a tool that the answer asks for. arguments is an object, ready for JSON."""

    name: str
    arguments: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of an answer; cached and written ones are inside input, reasoning inside output."""

    input: int
    cached: int
    write_5m: int
    write_1h: int
    output: int
    reasoning: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """What is answered: a text or calls of tools. ended: stop, length or tools. usage None: not told."""

    text: str
    calls: tuple[ToolCall, ...]
    ended: str
    usage: Usage | None


def heed(text: str, orders: Orders) -> tuple[str, Orders]:
    """The text to echo and the orders that hold for it."""
    return obey(text, orders) if MARK in text and orders.obeys else (text, orders)


def compose(ask: Ask, dumps: Any) -> Composed:
    """Decide on the answer.

    Args:
        dumps: turns a value into JSON bytes.
    """
    calls = _calls(ask)
    if calls:
        size = sum(weigh(call.name) + len(dumps(call.arguments)) for call in calls)
        return Composed(text="", calls=calls, ended="tools", usage=_usage(ask, to_tokens(size)))
    text, ended = _shorten(_text(ask, dumps), ask.max_output)
    return Composed(text=text, calls=(), ended=ended, usage=_usage(ask, to_tokens(weigh(text))))


def pieces(text: str, orders: Orders) -> Iterator[str]:
    """The text in the pieces that are streamed: so many times four characters each."""
    step = TOKEN_BYTES * orders.chunk
    return (text[at : at + step] for at in range(0, len(text), step))


def _text(ask: Ask, dumps: Any) -> str:
    if ask.schema is not None:
        value = instance(ask.schema, ask.text) if ask.schema else {"echo": ask.text}
        return str(dumps(value), "utf-8")
    if ask.orders.tokens is not None:
        size = ask.orders.tokens * TOKEN_BYTES
        return (_FILLER * (size // len(_FILLER) + 1))[:size]
    return ask.text or "echo"


def _shorten(text: str, max_output: int | None) -> tuple[str, str]:
    if max_output is None or len(text) * 4 <= max_output * TOKEN_BYTES:
        return text, "stop"
    limit = max(0, max_output) * TOKEN_BYTES
    if weigh(text) <= limit:
        return text, "stop"
    return str(text.encode("utf-8", "replace")[:limit], "utf-8", "ignore"), "length"


def _calls(ask: Ask) -> tuple[ToolCall, ...]:
    orders = ask.orders
    ordered = (orders.tool or orders.tools) and not ask.answered
    if not ordered and not ask.forced:
        return ()
    name = orders.tool if orders.tool not in ("", "1") else ask.forced
    chosen = tuple(tool for tool in ask.tools if tool.name == name)
    if not chosen and name not in ("", "*"):
        chosen = (Tool(name=name),)
    chosen = chosen or ask.tools
    if not chosen:
        return ()
    return tuple(_call(chosen[at % len(chosen)], ask.text) for at in range(orders.tools or 1))


def _call(tool: Tool, text: str) -> ToolCall:
    arguments = instance(tool.schema, text)
    return ToolCall(name=tool.name, arguments=arguments if isinstance(arguments, dict) else {})


def _usage(ask: Ask, output: int) -> Usage | None:
    orders = ask.orders
    if orders.no_usage:
        return None
    if orders.zero_usage:
        return Usage(input=0, cached=0, write_5m=0, write_1h=0, output=0, reasoning=0)
    written = orders.cached + orders.write_5m + orders.write_1h
    counted = ask.input_tokens if orders.input is None else orders.input
    return Usage(
        input=counted if counted > written else written,
        cached=orders.cached,
        write_5m=orders.write_5m,
        write_1h=orders.write_1h,
        output=output + orders.reasoning if orders.output is None else max(orders.output, orders.reasoning),
        reasoning=orders.reasoning,
    )
