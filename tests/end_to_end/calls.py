"""Calls in every dialect, streamed and not, with what clients send in them."""

from dataclasses import dataclass, field
from typing import Any

from tests.end_to_end.stand import CLAUDE, GEMINI, LLAMA, OPENAI, user

ODD_TEXT = 'Hällo, wörld! \u2028 \u2029 \u0085 "quotes" \\ \t 😀 \x7f'
PIXEL = "iVBORw0KGgo="
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["title", "count"],
}
FUNCTIONS: list[dict[str, Any]] = [
    {"name": "get_weather", "description": "…", "parameters": SCHEMA},
    {"name": "get_time", "parameters": {"type": "object", "properties": {}}},
]
TOOLS = [{"type": "function", "function": one} for one in FUNCTIONS]
FLAT_TOOLS = [{"type": "function", **one} for one in FUNCTIONS]
CLAUDE_TOOLS = [{"name": one["name"], "input_schema": one["parameters"]} for one in FUNCTIONS]


@dataclass(frozen=True)
class Case:
    """A call.

    Attributes:
        changed: fields that the gateway sets in the request besides, with their values.
        direct: fields that are set in the direct call, to ask for the same as the gateway does.
    """

    name: str
    path: str
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)
    direct: dict[str, Any] = field(default_factory=dict)
    status: int = 200


CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
OFF = {"store": False}
ASKS_USAGE = {"stream_options": {"include_usage": True}}


def chat(name: str, said: Any = ODD_TEXT, *, status: int = 200, **more: Any) -> list[Case]:
    body = {"model": OPENAI, "messages": user(said), **more}
    asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
    return [
        Case(f"chat-{name}", CHAT, body, status=status),
        Case(f"chat-{name}-streamed", CHAT, {**body, "stream": True}, changed=ASKS_USAGE, status=status),
        Case(f"chat-{name}-streamed-with-usage", CHAT, asked, status=status),
        Case(f"chat-{name}-prefixed", "/openai" + CHAT, {**body, "model": f"openai/{OPENAI}"}, status=status),
    ][: 4 if name == "plain" else 3]


def groq(name: str, said: Any = ODD_TEXT, *, status: int = 200, **more: Any) -> list[Case]:
    path = "/openai/v1/chat/completions"
    body = {"model": LLAMA, "messages": user(said), **more}
    return [
        Case(f"groq-{name}", path, body, status=status),
        Case(f"groq-{name}-streamed", path, {**body, "stream": True}, status=status),
    ]


def responses(name: str, said: Any = ODD_TEXT, *, status: int = 200, **more: Any) -> list[Case]:
    body = {"model": OPENAI, "input": said, **more}
    return [
        Case(f"responses-{name}", RESPONSES, body, direct=OFF, status=status),
        Case(f"responses-{name}-streamed", RESPONSES, {**body, "stream": True}, direct=OFF, status=status),
    ]


def messages(
    name: str, said: Any = ODD_TEXT, *, status: int = 200, path: str = MESSAGES, **more: Any
) -> list[Case]:
    headers = more.pop("headers", {})
    body = {"model": CLAUDE, "max_tokens": 400, "messages": user(said), **more}
    return [
        Case(f"messages-{name}", path, body, headers, status=status),
        Case(f"messages-{name}-streamed", path, {**body, "stream": True}, headers, status=status),
    ]


def gemini(name: str, said: Any = ODD_TEXT, *, status: int = 200, parts: Any = (), **more: Any) -> list[Case]:
    body = {"contents": [{"role": "user", "parts": [{"text": said}, *parts]}], **more}
    cases = []
    for version in ("v1beta", "v1") if name == "plain" else ("v1beta",):
        place = f"/{version}/models/{GEMINI}"
        cases += [
            Case(f"gemini-{version}-{name}", f"{place}:generateContent", body, status=status),
            Case(
                f"gemini-{version}-{name}-sse", f"{place}:streamGenerateContent?alt=sse", body, status=status
            ),
            Case(f"gemini-{version}-{name}-array", f"{place}:streamGenerateContent", body, status=status),
        ]
    return cases


def form(parts: dict[str, str], sound: bytes) -> tuple[bytes, dict[str, str]]:
    """A multipart form with a file in it, and its content type."""
    pieces = [
        f'--bound\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in parts.items()
    ]
    pieces.append(
        b'--bound\r\ncontent-disposition: form-data; name="file"; filename="secret plan.wav"\r\n'
        b"content-type: audio/wav\r\n\r\n" + sound + b"\r\n--bound--\r\n"
    )
    return b"".join(pieces), {"content-type": "multipart/form-data; boundary=bound"}


PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
CLAUDE_PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
STRANGE: dict[str, Any] = {
    "x_unknown": {"deep": [1, 2.5, None, True, {"ключ": "\u2028"}]},
    "another": -0.0,
    "big": 2**63,
}
REFUSED = (400, 404, 413, 422, 429, 500, 503)
OVERLOADED = (400, 404, 413, 429, 500, 529)


def refusal(status: int) -> str:
    """A text that makes echo refuse."""
    return f"x echo:status={status},retry_after=0"


CASES = [
    *chat("plain"),
    *chat(
        "parallel-tools", "Berlin echo:tools=3", tools=TOOLS, tool_choice="required", parallel_tool_calls=True
    ),
    *chat("pictures", [{"type": "text", "text": "what?"}, PICTURE]),
    *chat(
        "structured",
        "T",
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
    ),
    *chat("choices", "two of them", n=3),
    *chat("reasoning", "x echo:reasoning=7,cached=3", reasoning_effort="low", max_completion_tokens=50),
    *chat("cut-short", "many words are here", max_tokens=2),
    *chat("unknown-fields", **STRANGE),
    *chat("without-usage", "x echo:no_usage"),
    *chat("bursts", "a b c d e f g h i j echo:burst=4"),
    *chat("long", "echo:tokens=3000,chunk=7,burst=100"),
    *(case for status in REFUSED for case in chat(f"refused-{status}", refusal(status), status=status)),
    *groq("plain"),
    *groq("tools", "Berlin echo:tools=2", tools=TOOLS, tool_choice="required"),
    *groq("unknown-fields", **STRANGE),
    *groq("refused", "x echo:status=422", status=422),
    *responses("plain"),
    *responses("instructions", user("hello"), instructions="Be kind.", metadata={"a": "b"}),
    *responses("parallel-tools", "Berlin echo:tools=2", tools=FLAT_TOOLS, tool_choice="required"),
    *responses("structured", "T", text={"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}),
    *responses("reasoning", "x echo:reasoning=9", reasoning={"effort": "high", "summary": "auto"}),
    *responses("unknown-fields", **STRANGE),
    *responses("refused", "x echo:status=400", status=400),
    *messages("plain"),
    *messages("newest", headers={"anthropic-version": "2026-10-21"}),
    *messages("beta", path=MESSAGES + "?beta=true", headers={"anthropic-beta": "context-1m,other"}),
    *messages("prefixed", path="/anthropic" + MESSAGES)[:1],
    *messages("thinking", "x echo:reasoning=9", thinking={"type": "enabled", "budget_tokens": 1024}),
    *messages("parallel-tools", "Berlin echo:tools=2", tools=CLAUDE_TOOLS, tool_choice={"type": "any"}),
    *messages(
        "pictures", [{"type": "text", "text": "?", "cache_control": {"type": "ephemeral"}}, CLAUDE_PICTURE]
    ),
    *messages(
        "caching", "x echo:cached=50,write_5m=20,write_1h=10", system=[{"type": "text", "text": "Be kind."}]
    ),
    *messages("unknown-fields", **STRANGE),
    *(
        case
        for status in OVERLOADED
        for case in messages(f"refused-{status}", refusal(status), status=status)
    ),
    Case("messages-counted", MESSAGES + "/count_tokens", {"model": CLAUDE, "messages": user(ODD_TEXT)}),
    *gemini("plain"),
    *gemini(
        "tools",
        "Bern echo:tools=2",
        tools=[{"functionDeclarations": FUNCTIONS}],
        toolConfig={"functionCallingConfig": {"mode": "ANY"}},
    ),
    *gemini("pictures", parts=[{"inlineData": {"mimeType": "image/png", "data": PIXEL}}]),
    *gemini(
        "structured", "T", generationConfig={"responseMimeType": "application/json", "responseSchema": SCHEMA}
    ),
    *gemini("snake", "x echo:reasoning=3", generation_config={"max_output_tokens": 30}),
    *gemini("blocked", "x echo:finish=blocked"),
    *gemini("unknown-fields", **STRANGE),
    *gemini("refused", "x echo:status=429,retry_after=0", status=429),
    Case(
        "gemini-counted",
        f"/v1beta/models/{GEMINI}:countTokens",
        {"contents": [{"parts": [{"text": ODD_TEXT}]}]},
    ),
    Case(
        "gemini-embedded",
        "/v1beta/models/gemini-embedding-001:embedContent",
        {"content": {"parts": [{"text": "a"}]}},
    ),
    Case(
        "gemini-embedded-many",
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        {
            "requests": [
                {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}}
                for text in "ab"
            ]
        },
    ),
    Case(
        "embeddings",
        "/v1/embeddings",
        {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 8},
    ),
    Case(
        "embeddings-packed",
        "/v1/embeddings",
        {"model": "text-embedding-3-small", "input": [1, 2], "encoding_format": "base64"},
    ),
    Case(
        "moderations",
        "/v1/moderations",
        {"model": "omni-moderation-latest", "input": ["a", "b echo:finish=flagged"]},
    ),
    Case("images", "/v1/images/generations", {"model": "gpt-image-1", "prompt": "a cat", "n": 2}),
    Case(
        "images-streamed",
        "/v1/images/generations",
        {"model": "gpt-image-1", "prompt": "a", "stream": True, "partial_images": 2},
    ),
    Case("speech", "/v1/audio/speech", {"model": "tts-1", "voice": "alloy", "input": "12345678"}),
    Case(
        "speech-streamed",
        "/v1/audio/speech",
        {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "1234", "stream_format": "sse"},
    ),
    Case(
        "transcription",
        "/v1/audio/transcriptions",
        *form({"model": "whisper-1", "prompt": "well"}, b"\0\r\n--boun" * 5000),
    ),
    Case(
        "transcription-streamed",
        "/v1/audio/transcriptions",
        *form({"model": "gpt-4o-transcribe", "prompt": ODD_TEXT, "stream": "true"}, b"\0" * 9000),
    ),
    Case(
        "translation",
        "/v1/audio/translations",
        *form({"model": "whisper-1", "prompt": "ja", "response_format": "srt"}, b"\0" * 9000),
    ),
]
