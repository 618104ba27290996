"""Echo without a network: its orders, its faults, and that the dialects and their meters agree with it."""

import asyncio
from typing import Any

import orjson
import pytest

from gateway.content import Content, Purpose
from gateway.contracts import UpstreamRequest
from gateway.dialects import DIALECTS, find
from gateway.errors import UpstreamBusy, UpstreamError, UpstreamTimeout
from gateway.names import Slug
from gateway.providers.echo import PLACE, Echo
from gateway.providers.echo.orders import NO_ORDERS, parse
from gateway.providers.echo.voices import VOICES
from gateway.usage import Source
from tests.providers.echo_calls import ask, call_of, everything, said, talk
from tests.upstream import PERMIT

TALKING = [
    ("openai_chat", False),
    ("openai_chat", True),
    ("openai_responses", False),
    ("openai_responses", True),
    ("anthropic_messages", False),
    ("anthropic_messages", True),
    ("gemini_generate", False),
    ("gemini_generate", True),
    ("gemini_array", True),
]
STREAMS = [dialect for dialect, stream in TALKING if stream]


@pytest.mark.parametrize(("dialect", "stream"), TALKING)
async def test_the_meter_of_each_dialect_reads_what_echo_reports(dialect: str, stream: bool) -> None:
    text = "Hello there echo:cached=3,reasoning=4,input=50,output=20"
    call, pieces = await talk(dialect, text, stream)
    meter = DIALECTS[call.dialect].meter(call)
    for piece in pieces:
        meter.feed(piece)
    reading = meter.finish()
    assert meter.complete
    assert reading.source is Source.REPORTED
    usage = reading.usage
    assert (usage.input, usage.cached, usage.output, usage.reasoning) == (50, 3, 20, 4)


@pytest.mark.parametrize(("dialect", "stream"), TALKING)
async def test_the_text_comes_back_and_is_counted(dialect: str, stream: bool) -> None:
    text = 'Grüße \u2028 an alle 🙂 \\ " \n'
    call, pieces = await talk(dialect, text, stream)
    assert said(dialect, stream, pieces) == text
    meter = DIALECTS[call.dialect].meter(call)
    meter.feed(b"".join(pieces))
    assert meter.finish().usage.output == -(-len(text.encode()) // 4)


@pytest.mark.parametrize(("dialect", "stream"), TALKING)
async def test_usage_can_be_left_out_or_be_nothing(dialect: str, stream: bool) -> None:
    call, pieces = await talk(dialect, "Hi echo:no_usage", stream)
    meter = DIALECTS[call.dialect].meter(call)
    meter.feed(b"".join(pieces))
    assert meter.finish().source is Source.ESTIMATED
    assert said(dialect, stream, pieces) == "Hi"
    call, pieces = await talk(dialect, "Hi echo:zero_usage", stream)
    meter = DIALECTS[call.dialect].meter(call)
    meter.feed(b"".join(pieces))
    assert meter.finish().usage.input == 0  # of the output, some meters rather believe what they saw


@pytest.mark.parametrize("dialect", STREAMS)
async def test_an_answer_without_its_end_is_not_complete(dialect: str) -> None:
    call, pieces = await talk(dialect, "Hello echo:no_end", True)
    meter = DIALECTS[call.dialect].meter(call)
    meter.feed(b"".join(pieces))
    if dialect == "openai_chat":  # its finish reason is an end, too
        assert b"[DONE]" not in b"".join(pieces)
    else:
        assert not meter.complete
    assert said(dialect, True, pieces) == "Hello"


@pytest.mark.parametrize(("dialect", "stream"), TALKING)
async def test_the_same_question_has_the_same_answer_from_every_echo(dialect: str, stream: bool) -> None:
    _, first = await talk(dialect, "Again", stream)
    _, second = await talk(dialect, "Again", stream)
    assert first == second


@pytest.mark.parametrize("dialect", STREAMS)
async def test_filler_is_as_long_as_ordered_with_one_token_for_each_event(dialect: str) -> None:
    _, few = await talk(dialect, "echo:tokens=1", True)
    _, many = await talk(dialect, "echo:tokens=201", True)
    assert len(many) - len(few) == 200
    assert len(said(dialect, True, many)) == 804
    _, larger = await talk(dialect, "echo:tokens=201,chunk=100", True)
    assert len(larger) - len(few) == 2
    _, bursts = await talk(dialect, "echo:tokens=201", True, Echo.Config(defaults="burst=50"))
    assert b"".join(bursts) == b"".join(many)
    assert len(bursts) <= 5


@pytest.mark.parametrize("dialect", STREAMS)
async def test_the_most_tokens_are_a_hundred_thousand(dialect: str) -> None:
    _, pieces = await talk(dialect, "echo:tokens=999999999,chunk=5000", True)
    assert len(said(dialect, True, pieces)) == 400_000


# --- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dialect", "stream"), TALKING)
async def test_a_break_comes_after_the_ordered_number_of_events(dialect: str, stream: bool) -> None:
    _, whole = await talk(dialect, "Hello there", stream)
    for torn in (0, 1):
        config = Echo.Config(defaults=f"cut=1,torn={torn}")
        echo, answer = await ask(dialect, "Hello there", stream, config)
        first = await answer.read()
        assert first
        assert (first == whole[0]) is (stream and not torn)
        for _ in range(2):
            with pytest.raises(UpstreamError, match="upstream_cut"):
                await answer.read()
        assert echo.in_flight == 1
        echo.release(answer)
        assert echo.in_flight == 0


async def test_a_break_may_come_before_everything() -> None:
    _, answer = await ask("openai_chat", "echo:cut=0,burst=4", True)
    with pytest.raises(UpstreamError, match="upstream_cut"):
        await answer.read()


async def test_what_stands_before_the_break_is_delivered_in_bursts() -> None:
    _, answer = await ask("openai_chat", "Hello echo:cut=2,burst=4", True)
    assert (await answer.read()).count(b"data: ") == 2
    with pytest.raises(UpstreamError, match="upstream_cut"):
        await answer.read()


@pytest.mark.parametrize("dialect", STREAMS)
async def test_an_error_is_reported_inside_the_stream(dialect: str) -> None:
    _, pieces = await talk(dialect, "Hello there echo:error=2", True)
    assert len(pieces) == 3
    assert b'"error"' in pieces[2]
    if dialect == "gemini_array":
        assert "error" in orjson.loads(b"".join(pieces))[-1]


@pytest.mark.parametrize("dialect", STREAMS)
async def test_a_stream_may_end_in_silence(dialect: str) -> None:
    _, whole = await talk(dialect, "Hello there", True)
    _, pieces = await talk(dialect, "Hello there", True, Echo.Config(defaults="end=2"))
    assert pieces == whole[:2]


async def test_a_stall_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    _, answer = await ask("openai_chat", "Hello echo:stall=1", True)
    assert await answer.read()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await answer.read()
    monkeypatch.setattr("gateway.providers.echo.answer.STALL_S", 0.0)
    with pytest.raises(UpstreamError, match="upstream_cut"):
        await answer.read()


async def test_pauses_are_kept() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await talk("openai_chat", "Hello echo:first=0.03", False)
    assert 0.025 < loop.time() - began < 0.5
    began = loop.time()
    _, pieces = await talk("openai_chat", "Hi echo:delay=0.01", True)
    assert len(pieces) == 5
    assert 0.035 < loop.time() - began < 0.5


async def test_faults_before_the_head_are_raised() -> None:
    with pytest.raises(UpstreamError, match="upstream_unreachable"):
        await ask("openai_chat", "echo:fault=unreachable", False)
    with pytest.raises(UpstreamTimeout):
        await ask("openai_chat", "echo:fault=timeout", False)


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "gemini_generate", "gemini_array"])
@pytest.mark.parametrize("status", [400, 418, 429, 529])
async def test_a_refusal_quotes_the_prompt_and_is_classified(dialect: str, status: int) -> None:
    echo, answer = await ask(dialect, f"canary echo:status={status},retry_after=2", dialect == "gemini_array")
    assert answer.status == status
    body = await everything(answer)
    assert b"canary" in body
    error = echo.failure(status, answer.headers, Content(body))
    assert error.fault == "upstream"
    if status in (429, 529):
        assert isinstance(error, UpstreamBusy)
        assert error.after_s == 2


@pytest.mark.parametrize("dialect", sorted(VOICES))
@pytest.mark.parametrize("body", [b"{", b"{}", b'{"messages":5,"contents":5}', b"[]", b"", b"\xff"])
async def test_a_body_of_a_wrong_shape_never_raises(dialect: str, body: bytes) -> None:
    request = UpstreamRequest(
        method="POST", url=f"{PLACE}{dialect}/v1/models/m:generateContent", headers=(), body=Content(body)
    )
    answer = await Echo(Echo.Config()).open(request, PERMIT)
    assert answer.status in (200, 400)
    await everything(answer)


# --- orders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("echo:delay=0", ""),
        ("before echo:delay=0 after", "before  after"),
        ("Please. echo:cut=99999999,nonsense=7,first=abc,delay=nan.", "Please."),
        ("echo: is a word", "echo: is a word"),
        ("my echo:", "my echo:"),
        ("ECHO:tokens=5", "ECHO:tokens=5"),
    ],
)
async def test_directives_are_taken_out_of_the_text(text: str, rest: str) -> None:
    _, pieces = await talk("openai_chat", text, True)
    assert said("openai_chat", True, pieces) == (rest or "echo")


def test_values_are_brought_into_their_bounds() -> None:
    orders = parse("delay=1e9,first=-4,tokens=-1,chunk=0,status=999,tools=1000,fault=503")
    assert (orders.delay, orders.first, orders.tokens, orders.chunk, orders.tools) == (60.0, 0.0, 0, 1, 64)
    assert orders.status == 503
    assert not NO_ORDERS.disturbs
    disturbances = ("delay=1", "burst=2", "cut=0", "error=0", "end=0", "stall=0")
    assert all(parse(order).disturbs for order in disturbances)


@pytest.mark.parametrize("defaults", ["nonsense=1", "tokens=many", "first=", "delay"])
def test_defaults_are_read_strictly(defaults: str) -> None:
    if defaults in ("first=", "delay"):
        Echo(Echo.Config(defaults=defaults))
        return
    with pytest.raises(ValueError, match="expected") as error:
        Echo(Echo.Config(defaults=defaults))
    assert "many" not in str(error.value)
    assert "nonsense" not in str(error.value)


async def test_defaults_hold_until_the_text_says_otherwise() -> None:
    config = Echo.Config(defaults="tokens=5, input=77")
    _, pieces = await talk("openai_chat", "Hi", False, config)
    assert orjson.loads(pieces[0])["usage"]["completion_tokens"] == 5
    assert orjson.loads(pieces[0])["usage"]["prompt_tokens"] == 77
    _, pieces = await talk("openai_chat", "echo:tokens=6", False, config)
    assert orjson.loads(pieces[0])["usage"]["completion_tokens"] == 6


async def test_directives_in_texts_can_be_forbidden() -> None:
    _, pieces = await talk("openai_chat", "echo:status=500", True, Echo.Config(directives=False))
    assert said("openai_chat", True, pieces) == "echo:status=500"


async def test_a_long_stream_lets_others_have_their_turn() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    await asyncio.sleep(0)
    await talk("openai_chat", "echo:tokens=1000", True)
    await talk("openai_chat", "echo:tokens=1000,cut=99999", True)
    task.cancel()
    assert turns > 25


# --- the provider ----------------------------------------------------------------------------------------


def test_it_speaks_every_dialect_there_is() -> None:
    assert Echo(Echo.Config()).speaks == frozenset(DIALECTS)


def test_usage_is_asked_for_on_streams_of_chat_only() -> None:
    echo = Echo(Echo.Config())
    assert echo.asks_usage(call_of("openai_chat", "x", True))
    assert not echo.asks_usage(call_of("openai_chat", "x", False))
    assert not echo.asks_usage(call_of("openai_responses", "x", True))
    assert not Echo(Echo.Config(defaults="poses=groq")).asks_usage(call_of("openai_chat", "x", True))


def test_the_request_names_the_dialect_and_carries_the_model() -> None:
    echo = Echo(Echo.Config())
    chat = echo.request(call_of("openai_chat", "x", True), "echo-2", None)
    assert chat.url == "echo://local/openai_chat/chat/completions"
    tree = orjson.loads(chat.body.open(Purpose.SEND))
    assert tree["model"] == "echo-2"
    assert tree["stream_options"] == {"include_usage": True}
    gemini = echo.request(call_of("gemini_array", "x", True), "echo-2", None)
    assert gemini.url.startswith("echo://local/gemini_generate/")
    assert "echo-2:streamGenerateContent" in gemini.url


async def test_each_answer_has_an_id_of_its_own_that_says_nothing() -> None:
    echo = Echo(Echo.Config())
    ids = []
    for dialect, name in (("openai_chat", "x-request-id"), ("anthropic_messages", "request-id")):
        request = echo.request(call_of(dialect, "x", False), "echo-1", None)
        ids += [dict((await echo.open(request, PERMIT)).headers)[name] for _ in range(2)]
    assert ids == ["req_echo1", "req_echo2", "req_echo3", "req_echo4"]


@pytest.mark.parametrize(
    ("path", "body", "count"),
    [
        ("/v1/messages/count_tokens", {"model": "m", "messages": [{"role": "user", "content": "12345"}]}, 2),
        ("/v1beta/models/m:countTokens", {"contents": [{"parts": [{"text": "12345"}]}]}, 2),
        ("/v1beta/models/m:countTokens", {"contents": [{"parts": [{"text": "echo:input=9"}]}]}, 9),
        ("/v1beta/models/m:embedContent", {"content": {"parts": [{"text": "12345"}]}}, 2),
        ("/v1beta/models/m:embedContent", {"content": {"parts": [{"text": "echo:zero_usage"}]}}, 0),
        (
            "/v1beta/models/m:batchEmbedContents",
            {"requests": [{"content": {"parts": [{"text": "12345"}]}}] * 2},
            3,
        ),
        ("/v1/embeddings", {"model": "m", "input": "12345"}, 2),
        ("/v1/embeddings", {"model": "m", "input": ["12345", [1, 2]]}, 4),
        ("/v1/embeddings", {"model": "m", "input": "echo:zero_usage"}, 0),
    ],
)
async def test_small_answers_count_their_input(path: str, body: dict[str, Any], count: int) -> None:
    found = find(path, {})
    assert found is not None
    request = UpstreamRequest(
        method="POST", url=PLACE + found.dialect + path, headers=(), body=Content(orjson.dumps(body))
    )
    answer = await Echo(Echo.Config()).open(request, PERMIT)
    assert answer.status == 200
    tree = orjson.loads(await everything(answer))
    counts = {**tree, **tree.get("usage", {}), **tree.get("usageMetadata", {})}
    names = ("input_tokens", "totalTokens", "promptTokenCount", "prompt_tokens")
    assert count in [counts[name] for name in names if name in counts]


async def test_conversations_are_counted_with_all_that_is_in_them() -> None:
    chat = {"model": "m", "tools": [], "messages": [
        {"role": "system", "content": "1234"},
        {"role": "user", "content": [{"type": "text", "text": "1234"}, {"type": "input_audio"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"arguments": "1234"}}]},
        {"role": "tool", "content": "1234"},
    ]}  # fmt: skip
    messages = {"model": "m", "max_tokens": 9, "system": [{"type": "text", "text": "1234"}], "messages": [
        {"role": "user", "content": [{"type": "text", "text": "1234"}, {"type": "image"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "content": "1"}, {"type": "tool_result"}]},
    ]}  # fmt: skip
    responses = {"instructions": "1234", "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "1234"}, {"type": "input_image"}]},
        {"type": "function_call", "arguments": "1234"},
        {"type": "function_call_output", "output": [1]},
        {"role": "assistant", "content": "1"},
    ]}  # fmt: skip
    generate = {"systemInstruction": {"parts": [{"text": "1234"}]}, "contents": [
        {"role": "user", "parts": [{"text": "1234"}, {"inlineData": {}}]},
        {"role": "model", "parts": [{"functionCall": {}}]},
    ]}  # fmt: skip
    asks: dict[str, tuple[dict[str, Any], int]] = {
        "openai_chat": (chat, 4 + 85), "anthropic_messages": (messages, 4 + 85),
        "openai_responses": (responses, 4 + 85), "gemini_generate": (generate, 7 + 85),
    }  # fmt: skip
    for dialect, (body, tokens) in asks.items():
        read = VOICES[Slug(dialect)].read(body, NO_ORDERS, "/v1/models/m:generateContent")
        assert (dialect, read.input_tokens) == (dialect, tokens)


def test_a_compaction_is_billed_beside_the_message() -> None:
    async def main() -> None:
        for stream in (False, True):
            call, pieces = await talk("anthropic_messages", "Hi echo:aside=500,write_5m=2", stream)
            meter = DIALECTS[call.dialect].meter(call)
            meter.feed(b"".join(pieces))
            reading = meter.finish()
            billed = reading.usage.input + sum(aside.usage.input for aside in reading.asides)
            assert billed == 500 + 7
            assert reading.usage.write_5m == 2

    asyncio.run(main())


async def test_written_tokens_are_told_by_chat() -> None:
    _, pieces = await talk("openai_chat", "Hi echo:write_1h=3", False)
    assert orjson.loads(pieces[0])["usage"]["prompt_tokens_details"]["cache_write_tokens"] == 3


def test_dialects_limit_what_is_spoken() -> None:
    echo = Echo(Echo.Config(dialects=("anthropic_messages",)))
    assert echo.speaks == {"anthropic_messages"}
    with pytest.raises(ValueError, match="known are"):
        Echo(Echo.Config(dialects=("esperanto",)))
