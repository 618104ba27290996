"""OpenAI's own library against the tongues: what it sends is read, what they write it puts together."""

from typing import Any

import httpx2
import openai
import orjson
import pytest
from pydantic import BaseModel

from gateway.content import Content
from gateway.contracts import Call, Envelope
from gateway.dialects import DIALECTS
from gateway.names import Slug
from gateway.translation.canonical import (
    Ask,
    Begin,
    End,
    Event,
    Format,
    Image,
    Maker,
    Refusal,
    Role,
    Stop,
    Tally,
    Text,
    TextDelta,
    Thought,
    ThoughtDelta,
    ToolBegin,
    ToolCall,
    ToolDelta,
    ToolResult,
    Turn,
)
from gateway.translation.losses import Losses
from gateway.translation.tongue import Reply, Tongue
from gateway.usage import Usage
from tests.gateway.translation.openai_samples import CHAT, KINDS, RESPONSES


class Server:
    """Answers every call with the same events, in the dialect of its path, and keeps what was asked.

    Attributes:
        asks: the calls, read.
    """

    def __init__(self, events: list[Event]) -> None:
        self._events = events
        self.asks: list[Ask] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        tongue = RESPONSES if request.url.path.endswith("/responses") else CHAT
        envelope = Envelope(kind=KINDS[tongue.NAME], body=Content(request.content))
        call = DIALECTS[tongue.NAME].read_call(envelope)
        self.asks.append(tongue.read_ask(call, Losses(True)))
        return httpx2.Response(
            200, headers=tongue.headers(_reply(tongue, call)), content=self._body(tongue, call)
        )

    def _body(self, tongue: Tongue, call: Call) -> bytes:
        writer = tongue.writer(_reply(tongue, call))
        return writer.write(self._events) + writer.finish()


def _reply(tongue: Tongue, call: Call) -> Reply:
    return Reply(id=Slug("call-1"), model="asked/for", created_s=1_700_000_000, call=call)


def client_of(server: Server) -> openai.OpenAI:
    http = httpx2.Client(transport=httpx2.MockTransport(server))
    return openai.OpenAI(api_key="k", base_url="http://127.0.0.1/v1", http_client=http, max_retries=0)


WORDS: list[Event] = [
    Begin("x"),
    ThoughtDelta("hm"),
    ThoughtDelta("", "SEAL", Maker.ANTHROPIC),
    TextDelta('{"city":'),
    TextDelta('"K\u2028\u00f8ln"}'),
    Tally(Usage(input=9, cached=2, output=5, reasoning=1)),
    End(Stop.END),
]
CALLS: list[Event] = [
    Begin("x"),
    ThoughtDelta("hm"),
    ThoughtDelta("", "SEAL", Maker.ANTHROPIC),
    TextDelta("let me see"),
    ToolBegin(0, "c1", "f", "AA=="),
    ToolDelta(0, '{"a"'),
    ToolDelta(0, ":1}"),
    ToolBegin(1, "c2", "g"),
    Tally(Usage(input=9, output=5)),
    End(Stop.TOOLS),
]
TOOL: dict[str, Any] = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}


class City(BaseModel):
    city: str


def test_a_response_streams_into_the_library() -> None:
    server = Server(WORDS)
    with client_of(server).responses.stream(model="m", input="hi", text_format=City) as stream:
        seen = [event.type for event in stream]
        answer = stream.get_final_response()
    assert answer.output_parsed == City(city="K\u2028\u00f8ln")
    assert answer.output_text == '{"city":"K\u2028\u00f8ln"}'
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens_details.reasoning_tokens) == (9, 1)
    assert (seen[0], seen[-1]) == ("response.created", "response.completed")
    form = server.asks[0].format
    assert isinstance(form, Format)
    assert form.schema is not None
    assert form.strict


def test_calls_of_a_response_go_round_through_the_library() -> None:
    server = Server(CALLS)
    client = client_of(server)
    with client.responses.stream(model="m", input="hi", tools=[TOOL]) as stream:  # type: ignore[list-item]
        deltas = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        answer = stream.get_final_response()
    assert deltas == ['{"a"', ":1}", "{}"]
    history: list[Any] = [{"role": "user", "content": "hi"}, *answer.output]
    calls = [item for item in answer.output if item.type == "function_call"]
    history += [{"type": "function_call_output", "call_id": call.call_id, "output": "1"} for call in calls]
    client.responses.create(model="m", input=history, store=False, include=["reasoning.encrypted_content"])
    assert server.asks[1].turns == (
        Turn(Role.USER, (Text("hi"),)),
        Turn(
            Role.ASSISTANT,
            (
                Thought("hm", "SEAL", Maker.ANTHROPIC),
                Text("let me see"),
                ToolCall("c1", "f", '{"a":1}', "AA=="),
                ToolCall("c2", "g", "{}"),
            ),
        ),
        Turn(Role.USER, (ToolResult("c1", (Text("1"),)), ToolResult("c2", (Text("1"),)))),
    )


def test_a_response_that_was_cut_short_streams_into_the_library() -> None:
    events = [*WORDS[:-1], End(Stop.LENGTH)]
    stream = client_of(Server(events)).responses.create(model="m", input="hi", stream=True)
    last = list(stream)[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"


def test_a_chat_completion_streams_into_the_library() -> None:
    server = Server(WORDS)
    with client_of(server).chat.completions.stream(
        model="m",
        messages=[{"role": "user", "content": "hi"}],
        response_format=City,
        stream_options={"include_usage": True},
    ) as stream:
        answer = stream.get_final_completion()
    assert answer.choices[0].message.parsed == City(city="K\u2028\u00f8ln")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 9
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 2


@pytest.mark.parametrize("streamed", [True, False])
def test_calls_of_a_chat_completion_go_round_through_the_library(streamed: bool) -> None:
    server = Server(CALLS)
    client = client_of(server)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ==", "detail": "low"}}
    messages: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "hi"}, image]}]
    tools: list[Any] = [{"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}}]
    if streamed:
        with client.chat.completions.stream(model="m", messages=messages, tools=tools) as stream:
            message: Any = stream.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(model="m", messages=messages, tools=tools).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "1"} for call in message.tool_calls]
    client.chat.completions.create(model="m", messages=[*messages, message, *results])
    assert server.asks[1].turns == (
        Turn(Role.USER, (Text("hi"), Image(media_type="image/png", data="QQ==", detail="low"))),
        Turn(
            Role.ASSISTANT,
            (
                Thought("hm"),
                Text("let me see"),
                ToolCall("c1", "f", '{"a":1}', "AA=="),
                ToolCall("c2", "g", "{}"),
            ),
        ),
        Turn(Role.USER, (ToolResult("c1", (Text("1"),)), ToolResult("c2", (Text("1"),)))),
    )


def test_a_refusal_is_one_for_the_library() -> None:
    client = client_of(Server([Begin(), Refusal("I "), Refusal("won't"), End(Stop.END)]))
    chat = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert (chat.choices[0].message.refusal, chat.choices[0].message.content) == ("I won't", None)
    item: Any = client.responses.create(model="m", input="hi").output[0]
    assert item.content[0].refusal == "I won't"


def test_an_error_is_one_for_the_library() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        body = CHAT.write_complaint(CHAT.read_complaint(429, orjson.dumps({"error": {"message": "slow"}})))
        return httpx2.Response(429, headers={"content-type": "application/json"}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = openai.OpenAI(api_key="k", base_url="http://127.0.0.1/v1", http_client=http, max_retries=0)
    with pytest.raises(openai.RateLimitError, match="slow"):
        client.responses.create(model="m", input="hi")
