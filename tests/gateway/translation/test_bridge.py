"""The bridge: every pair of dialects through the echo provider, and what is lost on the way."""

from itertools import permutations
from typing import Any

import orjson
import pytest

from gateway.content import Content, Purpose
from gateway.contracts import Call, Envelope
from gateway.dialects import DIALECTS
from gateway.errors import CallerError, UpstreamAnswer, UpstreamBusy, UpstreamError
from gateway.ledger.ledger import Hold
from gateway.names import Slug
from gateway.providers.echo import Echo
from gateway.records import PathKind
from gateway.translation import TONGUES
from gateway.translation.bridge import Passage, bridge, losses_of
from gateway.translation.tongue import Aim, Reply
from gateway.usage import Nanos

PAIRS = list(permutations(TONGUES, 2))
PERMIT = Hold(Slug("call-1"), Slug("key-1"), Nanos(0))
KINDS = {
    "openai_chat": PathKind.CHAT,
    "openai_responses": PathKind.RESPONSES,
    "anthropic_messages": PathKind.MESSAGES,
    "gemini_generate": PathKind.GENERATE,
}
MODELS = {
    "openai_chat": "gpt-4o-mini",
    "openai_responses": "gpt-4o-mini",
    "anthropic_messages": "claude-sonnet-5-5",
    "gemini_generate": "gemini-2.5-flash",
}
WORDS = "Hello\u2028there echo:chunk=50"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def body(dialect: str, text: str, tools: bool) -> dict[str, Any]:
    """A question in a dialect, with a system text and perhaps a tool."""
    if dialect == "openai_chat":
        tree: dict[str, Any] = {
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
        }
        tool: dict[str, Any] = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
    elif dialect == "openai_responses":
        tree = {"instructions": "Be brief.", "input": text}
        tool = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}
    elif dialect == "anthropic_messages":
        tree = {
            "system": "Be brief.",
            "messages": [{"role": "user", "content": text}],
            "max_tokens": 100,
        }
        tool = {"name": "weather", "input_schema": SCHEMA}
    else:
        tree = {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": text}]}],
        }
        tool = {"functionDeclarations": [{"name": "weather", "parametersJsonSchema": SCHEMA}]}
    return {**tree, **({"tools": [tool]} if tools else {})}


def read(dialect: str, tree: dict[str, Any], stream: bool) -> Call:
    """The call of a client."""
    gemini = dialect == "gemini_generate"
    if not gemini:
        tree = {**tree, "model": "asked", **({"stream": True} if stream else {})}
    envelope = Envelope(
        kind=KINDS[dialect],
        verb="streamGenerateContent" if stream and gemini else "generateContent" if gemini else "",
        version="v1beta" if gemini else "v1",
        query=(("alt", "sse"),) if stream and gemini else (),
        path_model="asked" if gemini else None,
        body=Content(orjson.dumps(tree)),
    )
    return DIALECTS[Slug(dialect)].read_call(envelope)


def passage(call: Call, to: str, strict: bool = False) -> Passage:
    """The call, put into another dialect."""
    aim = Aim(model=MODELS[to], max_output=4096)
    reply = Reply(id=Slug("req-1"), model=call.model, created_s=1_800_000_000, call=call)
    return Passage(call, Slug(to), aim, reply, strict)


async def carried(one: Passage, to: str, size: int) -> bytes:
    """Echo's answer to it, carried back in pieces of size."""
    echo = Echo(Echo.Config())
    answer = await echo.open(echo.request(one.call, MODELS[to], None), PERMIT)
    assert answer.status == 200, b"".join([chunk async for chunk in chunks(answer)])
    raw = b"".join([chunk async for chunk in chunks(answer)])
    carrier = one.carrier()
    parts = [carrier.feed(raw[place : place + size]) for place in range(0, len(raw), size)]
    return b"".join(parts) + carrier.finish()


async def chunks(answer: Any) -> Any:
    while chunk := await answer.read():
        yield chunk


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_words_and_numbers_arrive_in_every_pair(caller: str, provider: str, stream: bool) -> None:
    call = read(caller, body(caller, WORDS, False), stream)
    one = passage(call, provider)
    answers = {size: await carried(one, provider, size) for size in (1, 7, 1 << 20)}
    if not stream:
        assert len(set(answers.values())) == 1
    for answer in answers.values():
        meter = DIALECTS[Slug(caller)].meter(call)
        meter.feed(answer)
        assert meter.complete
        assert b"there" in answer
        if not (stream and caller == "openai_chat"):  # which says its usage only when asked
            direct = await asked_directly(read(provider, body(provider, WORDS, False), stream))
            assert meter.finish().usage.output == direct


async def asked_directly(call: Call) -> int:
    """Output tokens that echo counts for a call in its own dialect."""
    echo = Echo(Echo.Config())
    answer = await echo.open(echo.request(call, "echo-1", None), PERMIT)
    meter = DIALECTS[call.dialect].meter(call)
    async for chunk in chunks(answer):
        meter.feed(chunk)
    return meter.finish().usage.output


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_a_tool_is_called_in_every_pair(caller: str, provider: str, stream: bool) -> None:
    call = read(caller, body(caller, "Rain? echo:tool=weather,tools=2", True), stream)
    answer = await carried(passage(call, provider), provider, 5)
    assert answer.count(b"weather") >= 2
    meter = DIALECTS[Slug(caller)].meter(call)
    meter.feed(answer)
    assert meter.complete


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_an_error_inside_a_stream_ends_the_answer(caller: str, provider: str) -> None:
    call = read(caller, body(caller, "Hello echo:tokens=9,error=4", False), True)
    with pytest.raises(UpstreamError):
        await carried(passage(call, provider), provider, 64)


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_an_answer_without_its_end_is_cut(caller: str, provider: str) -> None:
    call = read(caller, body(caller, "Hello echo:tokens=9,end=4", False), True)
    with pytest.raises(UpstreamError):
        await carried(passage(call, provider), provider, 64)


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
async def test_a_refusal_is_told_in_the_words_of_the_caller(caller: str, provider: str) -> None:
    call = read(caller, body(caller, "Hello echo:status=400", False), False)
    echo = Echo(Echo.Config())
    one = passage(call, provider)
    answer = await echo.open(echo.request(one.call, MODELS[provider], None), PERMIT)
    raw = b"".join([chunk async for chunk in chunks(answer)])
    said = one.complaint(UpstreamAnswer(400, (("content-type", "text/x"), ("request-id", "r")), Content(raw)))
    tree = orjson.loads(said.body.open(Purpose.RELAY))
    assert said.status == 400
    assert ("request-id", "r") in said.headers
    assert ("content-type", "text/x") not in said.headers
    assert tree["error"]["message"]


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
def test_what_is_dropped_is_declared_and_refused_when_strict(caller: str, provider: str) -> None:
    odd: dict[str, Any] = {
        "openai_chat": {"seed": 3, "logprobs": True, "top_logprobs": 2, "user": "u", "logit_bias": {"1": 2}},
        "openai_responses": {"metadata": {"a": "b"}, "prompt_cache_key": "k", "top_logprobs": 2},
        "anthropic_messages": {"top_k": 5, "metadata": {"user_id": "u"}},
        "gemini_generate": {"generationConfig": {"topK": 5, "seed": 3}, "labels": {"a": "b"}},
    }[caller]
    call = read(caller, {**body(caller, "Hi", False), **odd}, False)
    one = passage(call, provider)
    declared = losses_of(TONGUES[Slug(caller)], TONGUES[Slug(provider)])
    assert set(one.dropped) <= set(declared)
    if one.dropped:
        with pytest.raises(CallerError, match="cannot_translate"):
            passage(call, provider, strict=True)


def test_the_callers_own_dialect_is_never_translated() -> None:
    call = read("openai_chat", body("openai_chat", "Hi", False), False)
    assert bridge(call, frozenset(map(Slug, ("openai_chat", "anthropic_messages")))) == "openai_chat"
    assert bridge(call, frozenset({Slug("anthropic_messages")})) == "anthropic_messages"
    assert bridge(call, frozenset({Slug("openai_embeddings")})) is None


async def test_a_busy_provider_inside_an_answer_is_told_apart() -> None:
    call = read("openai_chat", body("openai_chat", "Hi", False), True)
    carrier = passage(call, "anthropic_messages").carrier()
    event = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    with pytest.raises(UpstreamBusy):
        carrier.feed(event)
