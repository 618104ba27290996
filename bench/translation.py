"""What translation costs: microseconds for a call and for each chunk of its answer, by pair of dialects.

    python bench/translation.py [--seconds 0.2]

Calls are read, put into the other dialect and written as JSON; answers are echo's, and their chunks go
through a carrier one by one, as they do on the wire. The best of five runs is printed.
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from itertools import permutations
from typing import Any

import orjson

from gateway.content import Content
from gateway.contracts import Call, Envelope
from gateway.dialects import DIALECTS
from gateway.ledger.ledger import Hold
from gateway.names import Slug
from gateway.providers.echo import Echo
from gateway.records import PathKind
from gateway.translation import TONGUES
from gateway.translation.bridge import Passage
from gateway.translation.tongue import Aim, Reply
from gateway.usage import Nanos

KINDS = {
    "openai_chat": PathKind.CHAT,
    "openai_responses": PathKind.RESPONSES,
    "anthropic_messages": PathKind.MESSAGES,
    "gemini_generate": PathKind.GENERATE,
}
MODELS = {
    "openai_chat": "gpt-5-mini",
    "openai_responses": "gpt-5-mini",
    "anthropic_messages": "claude-sonnet-5-5",
    "gemini_generate": "gemini-2.5-flash",
}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHUNKS = 400
RUNS = 5


def body(dialect: str, turns: list[str]) -> dict[str, Any]:
    """A conversation with a tool; users and assistants in turns."""
    roles = ["user" if place % 2 == 0 else "assistant" for place in range(len(turns))]
    if dialect == "gemini_generate":
        names = {"user": "user", "assistant": "model"}
        contents = [
            {"role": names[role], "parts": [{"text": text}]} for role, text in zip(roles, turns, strict=True)
        ]
        tools = [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": SCHEMA}]}]
        return {"contents": contents, "tools": tools, "generationConfig": {"maxOutputTokens": 500}}
    messages = [{"role": role, "content": text} for role, text in zip(roles, turns, strict=True)]
    if dialect == "openai_responses":
        tool: dict[str, Any] = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}
        return {"input": messages, "tools": [tool], "max_output_tokens": 500}
    if dialect == "anthropic_messages":
        tool = {"name": "weather", "input_schema": SCHEMA}
        return {"messages": messages, "tools": [tool], "max_tokens": 500}
    tool = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
    return {"messages": messages, "tools": [tool], "max_completion_tokens": 500}


def call_of(dialect: str, turns: list[str]) -> Call:
    """A streamed call, as its dialect reads it."""
    gemini = dialect == "gemini_generate"
    tree = body(dialect, turns)
    if not gemini:
        tree |= {"model": "asked", "stream": True}
    envelope = Envelope(
        kind=KINDS[dialect],
        verb="streamGenerateContent" if gemini else "",
        version="v1beta" if gemini else "v1",
        query=(("alt", "sse"),) if gemini else (),
        path_model="asked" if gemini else None,
        body=Content(orjson.dumps(tree)),
    )
    return DIALECTS[Slug(dialect)].read_call(envelope)


def passage(call: Call, to: str) -> Passage:
    """The call in the other dialect."""
    aim = Aim(model=MODELS[to], max_output=4096)
    reply = Reply(id=Slug("req-1"), model=call.model, created_s=1_800_000_000, call=call)
    return Passage(call, Slug(to), aim, reply, strict=False)


async def answer(to: str) -> list[bytes]:
    """Echo's answer in that dialect: one chunk for each token."""
    echo = Echo(Echo.Config())
    call = call_of(to, [f"Go on. echo:tokens={CHUNKS}"])
    permit = Hold(Slug("call-1"), Slug("key-1"), Nanos(0))
    opened = await echo.open(echo.request(call, MODELS[to], None), permit)
    chunks = []
    while chunk := await opened.read():
        chunks.append(chunk)
    return chunks


def best_us(work: Callable[[], object], seconds: float) -> float:
    """Microseconds of one run: the mean of many, the best of RUNS."""
    begin = time.perf_counter()
    work()
    once = max(time.perf_counter() - begin, 1e-7)
    count = max(1, round(seconds / RUNS / once))
    found = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        for _ in range(count):
            work()
        found.append((time.perf_counter() - begin) / count)
    return min(found) * 1e6


def measure(caller: str, provider: str, chunks: list[bytes], seconds: float) -> tuple[float, float, float]:
    """Microseconds for a call of 50 tokens, for one of 8,000 in 20 turns, and for a chunk."""
    dialect = DIALECTS[Slug(provider)]

    def translate(call: Call) -> None:
        made = passage(call, provider).call
        dialect.with_model(made, MODELS[provider], True)

    short = call_of(caller, ["word " * 40])
    long = call_of(caller, ["word " * 400] * 19 + ["echo"])
    one = passage(short, provider)

    def carry() -> None:
        carrier = one.carrier()
        for chunk in chunks:
            carrier.feed(chunk)
        carrier.finish()

    return (
        best_us(lambda: translate(short), seconds),
        best_us(lambda: translate(long), seconds),
        best_us(carry, seconds) / len(chunks),
    )


def main() -> None:
    """Measure all pairs and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.2, help="for each number")
    seconds = parser.parse_args().seconds
    print("| caller | provider | 50 tokens, µs | 8,000 tokens, µs | a chunk, µs |")
    print("|---|---|---|---|---|")
    for caller, provider in permutations(TONGUES, 2):
        chunks = asyncio.run(answer(provider))
        numbers = " | ".join(f"{one:.1f}" for one in measure(caller, provider, chunks, seconds))
        print(f"| {caller} | {provider} | {numbers} |")


if __name__ == "__main__":
    main()
