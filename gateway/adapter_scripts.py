"""Requests and answers in each dialect, made here, for trying a provider's adapter without a network."""

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway.content import Content
from gateway.contracts import Envelope, Headers
from gateway.errors import UpstreamError
from gateway.names import Slug
from gateway.records import PathKind
from gateway.usage import Reading, Source, Usage

ASKED: Final = "kit-asked"
"""The model that the caller of every script asks for."""

CALLERS_KEY: Final = "kit-callers-own-key"
"""Comes with every generic request, in each place where a client may put it."""

UNKNOWN: Final = {"x_kit": {"kept": [1, 2.5, None, "\u2028"]}}
"""A field that no dialect knows; it must reach the provider as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One call, and what is expected of an adapter at it.

    Attributes:
        envelope: the caller's request.
        url: what the request's URL must be; None: not checked.
        headers: fields that the request must carry.
        status, answer_headers, answer: what the provider answers, as bytes of the wire.
        reading: what the meter must find in the answer; None: not checked.
        failure: the class that failure() must return, for a status of 400 and above; None: not checked.
    """

    name: str
    dialect: Slug
    envelope: Envelope
    url: str | None = None
    headers: Headers = ()
    status: int = 200
    answer_headers: Headers = ()
    answer: bytes = field(default=b"", repr=False)
    reading: Reading | None = None
    failure: type[UpstreamError] | None = None


def generic_scripts(dialect: Slug) -> list[Script]:
    """The scripts of one dialect: each form of request with the answer that belongs to it."""
    return [
        Script(
            name=f"{name}:{form}",
            dialect=dialect,
            envelope=_envelope(verb, query, body),
            answer=answer,
            reading=Reading(usage=usage, source=Source.REPORTED),
        )
        for name, form, verb, query, body, answer, usage in _CASES
        if name == dialect
    ]


def _envelope(verb: str, query: tuple[tuple[str, str], ...], body: dict[str, Any]) -> Envelope:
    return Envelope(
        kind=PathKind.OTHER,  # each dialect knows its own
        verb=verb,
        version="v1beta",
        headers={
            "authorization": f"Bearer {CALLERS_KEY}",
            "x-api-key": CALLERS_KEY,
            "x-goog-api-key": CALLERS_KEY,
            "cookie": f"session={CALLERS_KEY}",
            "x-forwarded-for": CALLERS_KEY,
        },
        query=(("key", CALLERS_KEY), *query),
        path_model=ASKED,
        body=Content(orjson.dumps({**body, **UNKNOWN})),
    )


# --- what goes up and what comes down ----------------------------------------------------------------

_TEXTS: Final = [{"role": "user", "content": "Say hello."}]
_CHAT: Final = {"model": ASKED, "messages": _TEXTS}
_MESSAGE: Final = {"model": ASKED, "messages": _TEXTS, "max_tokens": 50}
_CONTENTS: Final = {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}
_STREAM: Final = {"stream": True}
_USED: Final = Usage(input=12, output=34)


def _events(*trees: dict[str, Any], named: bool = False, end: bytes = b"\n") -> bytes:
    lines = []
    for tree in trees:
        if named:
            lines += [b"event: " + str(tree["type"]).encode()]
        lines += [b"data: " + orjson.dumps(tree), b""]
    return end.join([*lines, b""])


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"id": "c", "object": "chat.completion.chunk", "model": "kit", "choices": [
        {"index": 0, "delta": delta, "finish_reason": finish},
    ]}  # fmt: skip


_CHAT_USAGE: Final = {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46}
_CHAT_STREAM: Final = _events(
    _chunk({"role": "assistant", "content": "Hel\u2028"}),
    _chunk({"content": 'lo "usage": {"prompt_tokens": 1}'}),
    _chunk({}, "stop"),
    {"id": "c", "object": "chat.completion.chunk", "model": "kit", "choices": [], "usage": _CHAT_USAGE},
) + b"data: [DONE]\n\n"  # fmt: skip
_CHAT_WHOLE: Final = orjson.dumps({
    "id": "c", "object": "chat.completion", "model": "kit", "usage": _CHAT_USAGE,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
})  # fmt: skip

_RESPONSE: Final = {
    "id": "r", "object": "response", "model": "kit", "status": "completed", "output": [],
    "usage": {"input_tokens": 12, "output_tokens": 34, "total_tokens": 46},
}  # fmt: skip
_RESPONSE_STREAM: Final = _events(
    {"type": "response.created", "sequence_number": 0, "response": {**_RESPONSE, "usage": None}},
    {"type": "response.output_text.delta", "sequence_number": 1, "delta": "Hello"},
    {"type": "response.completed", "sequence_number": 2, "response": _RESPONSE},
    named=True,
)

_MESSAGE_STREAM: Final = _events(
    {"type": "message_start", "message": {"model": "kit", "usage": {"input_tokens": 7, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
     "usage": {"input_tokens": 12, "output_tokens": 34}},
    {"type": "message_stop"},
    named=True,
)  # fmt: skip
_MESSAGE_WHOLE: Final = orjson.dumps({
    "type": "message", "role": "assistant", "model": "kit", "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn", "usage": {"input_tokens": 12, "output_tokens": 34},
})  # fmt: skip


def _candidate(usage: dict[str, int], finish: str | None = None) -> dict[str, Any]:
    candidate = {"index": 0, "content": {"role": "model", "parts": [{"text": "Hel\u2028lo"}]}}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": usage}


_CANDIDATES: Final = (
    _candidate({"promptTokenCount": 99, "thoughtsTokenCount": 500}),
    _candidate({"promptTokenCount": 12, "candidatesTokenCount": 34}, "STOP"),
)
_EMBEDDED: Final = {"prompt_tokens": 12, "total_tokens": 12}

_Case = tuple[str, str, str, tuple[tuple[str, str], ...], dict[str, Any], bytes, Usage]

_CASES: Final[tuple[_Case, ...]] = (
    ("openai_chat", "stream", "", (), {**_CHAT, **_STREAM}, _CHAT_STREAM, _USED),
    ("openai_chat", "whole", "", (), _CHAT, _CHAT_WHOLE, _USED),
    ("openai_responses", "stream", "", (), {"model": ASKED, "input": "Hi", "store": False, **_STREAM},
     _RESPONSE_STREAM, _USED),
    ("openai_responses", "whole", "", (), {"model": ASKED, "input": "Hi", "store": False},
     orjson.dumps(_RESPONSE), _USED),
    ("openai_embeddings", "whole", "", (), {"model": ASKED, "input": "Hi"},
     orjson.dumps({"object": "list", "data": [], "usage": _EMBEDDED}), Usage(input=12)),
    ("anthropic_messages", "stream", "", (), {**_MESSAGE, **_STREAM}, _MESSAGE_STREAM, _USED),
    ("anthropic_messages", "whole", "", (), _MESSAGE, _MESSAGE_WHOLE, _USED),
    ("anthropic_count", "whole", "count_tokens", (), _CHAT, b'{"input_tokens":9}', Usage()),
    ("gemini_generate", "events", "streamGenerateContent", (("alt", "sse"),), _CONTENTS,
     _events(*_CANDIDATES, end=b"\r\n"), _USED),
    ("gemini_generate", "array", "streamGenerateContent", (), _CONTENTS, orjson.dumps(_CANDIDATES), _USED),
    ("gemini_generate", "whole", "generateContent", (), _CONTENTS, orjson.dumps(_CANDIDATES[-1]), _USED),
    ("gemini_embed", "one", "embedContent", (), {"content": {"parts": [{"text": "Hi"}]}},
     b'{"embedding":{"values":[0.5]},"usageMetadata":{"promptTokenCount":12}}', Usage(input=12)),
    ("gemini_embed", "batch", "batchEmbedContents", (), {"requests": [{"model": f"models/{ASKED}"}]},
     b'{"embeddings":[{"values":[0.5]}],"usageMetadata":{"promptTokenCount":12}}', Usage(input=12)),
    ("gemini_count", "whole", "countTokens", (), _CONTENTS, b'{"totalTokens":9}', Usage()),
)  # fmt: skip
"""Dialect, form, verb, query, request, answer, what the answer used."""
