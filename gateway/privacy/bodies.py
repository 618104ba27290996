"""Bodies of calls in every dialect, with a mark in each place where a caller can put text."""

import base64
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

from gateway.privacy.canary import Canary

MODEL: Final = "echo-1"
"""What the calls ask for: the provider that answers from itself, so that nothing leaves the machine."""

Body = dict[str, Any]


def image(canary: Canary, part: str) -> str:
    """A picture that nobody can show, as base64, with a mark in its bytes."""
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + canary.mark(part).encode()).decode()


def chat(canary: Canary, orders: str, stream: bool) -> Body:
    """OpenAI's chat completions."""
    mark = canary.mark
    tool_call = {
        "id": f"call_{mark('chat call id')}",
        "type": "function",
        "function": {"name": mark("chat called tool"), "arguments": _json({"city": mark("chat arguments")})},
    }
    picture = f"data:image/png;base64,{image(canary, 'chat image')}"
    return {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": mark("chat system"), "name": mark("chat name")},
            {"role": "developer", "content": mark("chat developer")},
            {"role": "user", "content": f'Zürich "{mark("chat earlier user")}"\n\u2028'},
            {"role": "assistant", "content": mark("chat assistant"), "tool_calls": [tool_call]},
            {"role": "tool", "tool_call_id": mark("chat tool id"), "content": mark("chat tool result")},
            {"role": "assistant", "content": None, "refusal": mark("chat refusal")},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": picture}},
                    {"type": "image_url", "image_url": {"url": f"https://a.test/{mark('chat image url')}"}},
                    {"type": "file", "file": {"filename": mark("chat file name"), "file_data": picture}},
                    {"type": "input_audio", "input_audio": {"data": image(canary, "sound"), "format": "wav"}},
                    {"type": "text", "text": f"{mark('chat user')} {orders}"},
                ],
            },
        ],
        "tools": [{"type": "function", "function": _tool(canary, "chat", "parameters")}],
        "metadata": {mark("chat metadata name"): mark("chat metadata")},
        "user": mark("chat user id"),
        "safety_identifier": mark("chat safety identifier"),
        "prompt_cache_key": mark("chat cache key"),
        "stop": [mark("chat stop")],
        "prediction": {"type": "content", "content": mark("chat prediction")},
        "web_search_options": {"user_location": {"approximate": {"city": mark("chat city")}}},
        mark("chat unknown field"): mark("chat unknown value"),
        "max_tokens": 500,
        "stream": stream,
    }


def responses(canary: Canary, orders: str, stream: bool) -> Body:
    """OpenAI's responses."""
    mark = canary.mark
    return {
        "model": MODEL,
        "instructions": mark("responses instructions"),
        "input": [
            {"role": "system", "content": mark("responses system")},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": mark("reasoning")},
            {
                "type": "function_call",
                "call_id": mark("responses call id"),
                "name": mark("responses called tool"),
                "arguments": _json({"city": mark("responses arguments")}),
            },
            {"type": "function_call_output", "call_id": "c", "output": mark("responses tool result")},
            {
                "role": "user",
                "content": [
                    {"type": "input_file", "filename": mark("responses file"), "file_data": "data:,x"},
                    {"type": "input_image", "image_url": f"data:,{image(canary, 'responses image')}"},
                    {"type": "input_text", "text": f"{mark('responses user')} {orders}"},
                ],
            },
        ],
        "tools": [{"type": "function", **_tool(canary, "responses", "parameters")}],
        "metadata": {"trace": mark("responses metadata")},
        "client_metadata": {"installation": mark("responses client metadata")},
        "user": mark("responses user id"),
        "safety_identifier": mark("responses safety identifier"),
        "prompt_cache_key": mark("responses cache key"),
        "max_output_tokens": 500,
        "store": False,
        "stream": stream,
    }


def messages(canary: Canary, orders: str, stream: bool) -> Body:
    """Anthropic's messages."""
    mark = canary.mark
    source = {"type": "base64", "media_type": "image/png", "data": image(canary, "messages image")}
    return {
        "model": MODEL,
        "max_tokens": 500,
        "system": [{"type": "text", "text": mark("messages system"), "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": mark("messages earlier user")},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": mark("messages thinking"), "signature": "c2ln"},
                    {"type": "text", "text": mark("messages assistant")},
                    {
                        "type": "tool_use",
                        "id": mark("messages tool id"),
                        "name": mark("messages called tool"),
                        "input": {"city": mark("messages tool input")},
                    },
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": source},
                    {"type": "document", "title": mark("messages title"), "source": source},
                    {"type": "text", "text": f"{mark('messages user')} {orders}"},
                ],
            },
        ],
        "tools": [_tool(canary, "messages", "input_schema")],
        "stop_sequences": [mark("messages stop")],
        "metadata": {"user_id": _json({"device": mark("messages user id")})},
        "stream": stream,
    }


def generate(canary: Canary, orders: str, stream: bool) -> Body:
    """Gemini's generateContent; whether it streams is said by the path."""
    mark = canary.mark
    return {
        "systemInstruction": {"parts": [{"text": mark("generate system")}]},
        "contents": [
            {"role": "user", "parts": [{"text": mark("generate earlier user")}]},
            {
                "role": "model",
                "parts": [
                    {"text": mark("generate thought"), "thought": True, "thoughtSignature": "c2ln"},
                    {"functionCall": {"name": mark("called tool"), "args": {"city": mark("generate args")}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"inlineData": {"mimeType": "image/png", "data": image(canary, "generate image")}},
                    {"fileData": {"mimeType": "text/plain", "fileUri": f"gs://a/{mark('generate file')}"}},
                    {"text": f"{mark('generate user')} {orders}"},
                ],
            },
        ],
        "tools": [{"functionDeclarations": [_tool(canary, "generate", "parameters")]}],
        "generationConfig": {"stopSequences": [mark("generate stop")], "maxOutputTokens": 500},
        "labels": {"team": mark("generate label")},
    }


def others(canary: Canary) -> dict[str, Body]:
    """path: body, for the calls that do not converse."""
    mark = canary.mark
    text = {"parts": [{"text": mark("embedded part")}]}
    embed = {"model": f"models/{MODEL}", "content": text, "title": mark("embedded title")}
    counted = {"model": MODEL, "messages": [{"role": "user", "content": mark("counted text")}]}
    gemini = f"/v1beta/models/{MODEL}"
    return {
        "/v1/embeddings": {"model": MODEL, "input": [mark("embedded text")], "user": mark("embedding user")},
        "/v1/images/generations": {"model": MODEL, "prompt": mark("drawn text"), "user": mark("draw user")},
        "/v1/audio/speech": {"model": MODEL, "input": mark("spoken text"), "voice": "alloy"},
        "/v1/moderations": {"model": MODEL, "input": mark("moderated text")},
        "/v1/messages/count_tokens": {**counted, "system": mark("counted system")},
        f"{gemini}:countTokens": {"contents": [text]},
        f"{gemini}:embedContent": embed,
        f"{gemini}:batchEmbedContents": {"requests": [embed]},
    }


def form(canary: Canary, boundary: str) -> bytes:
    """A transcription's form, with marks in a field, in a file's name and in its bytes."""
    mark = canary.mark
    fields = {"model": MODEL, "prompt": mark("form prompt"), mark("form field name"): mark("form field")}
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    name = mark("form file name")
    parts.append(
        f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{name}.wav"'
        f"\r\ncontent-type: audio/wav\r\n\r\n{mark('form file')}\r\n--{boundary}--\r\n"
    )
    return "".join(parts).encode()


def odd_turns(canary: Canary) -> Iterator[list[Any]]:
    """Turns that are hardly any, for those who read texts out of them."""
    text = canary.mark("odd text")
    yield [{"role": "user", "content": ""}, {"role": "assistant", "content": text}]
    yield [{"role": "user", "content": [{"type": "text", "text": 7}, {"type": text}, text, None]}]
    yield [{"role": "user", "content": {"text": text}}]
    yield [{"role": text, "content": text}]
    yield [{"content": text}, {"role": "user"}, {}]
    yield [None, text, [text], {"role": "user", "content": text}]
    yield [{"role": "system", "content": [{"type": "text", "text": text}] * 200}]
    yield [{"role": "user", "content": f"{text} \0\u202e\ufeff\U0001f600\u2028 " * 2000}]
    yield [{"role": "user", "content": text * 20_000}]
    yield [{"role": ("user", "assistant")[at % 2], "content": text} for at in range(3000)]
    yield [{"role": "user", "content": [{"type": "text", "text": [[[{"text": text}]]]}]}]
    yield [{"role": "user", "content": "translate: " + "\n```\n{%" * 5000 + text}]


def odd_outcomes(canary: Canary) -> dict[str, bytes]:
    """Lists of judgements, none of which may be stored."""
    text = canary.mark("judgement")
    row = {"request_id": canary.mark("judged call"), "score": 1}
    rows: dict[str, Any] = {
        "a call that is not known": [row],
        "an unknown field": [{**row, "comment": text}],
        "a name of a field": [{**row, text: 1}],
        "a sentence as a source": [{**row, "source": f"{text} said so"}],
        "a sentence as a call": [{**row, "request_id": f"{text} {text}"}],
        "a text as a score": [{**row, "score": text}],
        "a text as a thumb": [{"request_id": "a", "thumb": text}],
        "a list as a thumb": [{"request_id": "a", "thumb": [text]}],
        "an object as a model": [{**row, "against": {text: text}}],
        "a text as a row": [text],
        "no list": {"rows": [text]},
        "too many rows": [{**row, "comment": text}] * 1001,
    }
    return {name: orjson.dumps(tree) for name, tree in rows.items()} | {
        "no JSON": text.encode(),
        "torn JSON": b'[{"comment":"' + text.encode(),
    }


CONVERSATIONS: Final[dict[str, tuple[Callable[[Canary, str, bool], Body], str, str]]] = {
    "openai_chat": (chat, "/v1/chat/completions", "/v1/chat/completions"),
    "openai_responses": (responses, "/v1/responses", "/v1/responses"),
    "anthropic_messages": (messages, "/v1/messages", "/v1/messages"),
    "gemini_generate": (
        generate,
        f"/v1beta/models/{MODEL}:generateContent",
        f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse",
    ),
}
"""Dialects that converse: the body's maker, the path, and the path for a stream."""


def _tool(canary: Canary, dialect: str, schema: str) -> Body:
    mark = canary.mark
    return {
        "name": mark(f"{dialect} tool name"),
        "description": mark(f"{dialect} tool description"),
        schema: {
            "type": "object",
            "properties": {mark(f"{dialect} argument name"): {"type": "string", "enum": [mark("enum")]}},
        },
    }


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
