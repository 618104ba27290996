"""OpenAI's embeddings, images, speech, transcriptions and moderations, answered by echo."""

import zlib
from base64 import b64encode
from collections.abc import Iterator
from struct import pack
from typing import Any, Final

from orjson import dumps

from gateway.providers.echo.ask import CREATED, Ask, Tally, heed, pieces, to_tokens, weigh
from gateway.providers.echo.orders import Orders
from gateway.providers.echo.reply import EVENTS, JSON, Reply, whole
from gateway.providers.echo.vectors import check, packed, vector

IMAGE_OUTPUT_TOKENS: Final = 272
"""Tokens of an image made: the smallest square one of the provider's table."""

BYTES_PER_SECOND: Final = 32_000
"""Of sound that is heard: 16 bits at 16 kHz."""

_CATEGORIES: Final = ("harassment", "hate", "illicit", "self-harm", "sexual", "violence")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))


PNG: Final = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\0\xff\xff\xff"))
    + _chunk(b"IEND", b"")
)
"""A white point."""

_PICTURE: Final = b64encode(PNG).decode()


# --- embeddings -----------------------------------------------------------------------------------


def read_embeddings(tree: dict[str, Any], orders: Orders, path: str) -> Ask:
    """Understand a request for embeddings of texts or of lists of token ids."""
    given = tree["input"]
    single = isinstance(given, str) or (bool(given) and isinstance(given[0], int))
    inputs = [given] if single else list(given)
    check(len(inputs), tree.get("dimensions"))
    tally = Tally()
    ids = 0
    for one in inputs:
        if isinstance(one, str):
            tally.text(one)
        else:
            ids += len(one)
    text, orders = heed(inputs[0] if inputs and isinstance(inputs[0], str) else "", orders)
    return Ask(
        model=tree["model"], text=text, input_tokens=tally.tokens + ids, orders=orders, extra=(tree, inputs)
    )


def answer_embeddings(ask: Ask) -> Reply:
    """Vectors as numbers or as base64."""
    tree, inputs = ask.extra
    vectors = [vector(one if isinstance(one, str) else str(one), tree.get("dimensions")) for one in inputs]
    by_text = tree.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": at, "embedding": packed(one) if by_text else one}
        for at, one in enumerate(vectors)
    ]
    body: dict[str, Any] = {"object": "list", "data": data, "model": ask.model}
    if not ask.orders.no_usage:
        tokens = _input(ask)
        body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return whole(dumps(body))


# --- images -----------------------------------------------------------------------------------------


def read_images(tree: dict[str, Any], orders: Orders, path: str) -> Ask:
    """Understand a request to make, edit or vary images; JSON or a form."""
    tally = Tally()
    prompt = str(tree.get("prompt") or "")
    tally.text(prompt)
    given = tree.get("image") or tree.get("image[]") or ()
    tally.others = len(given) if isinstance(given, list) else 1
    text, orders = heed(prompt, orders)
    return Ask(
        model=str(tree.get("model") or "gpt-image-1"),
        text=text,
        input_tokens=tally.tokens,
        orders=orders,
        stream=tree.get("stream") in (True, "true"),
        choices=min(max(int(tree.get("n") or 1), 1), 10),
        others=tally.others,
        extra=("image_edit" if "/edits" in path else "image_generation", tree),
    )


def answer_images(ask: Ask) -> Reply:
    """White points."""
    event, tree = ask.extra
    if ask.stream:
        return Reply(headers=EVENTS, events=_image_events(ask, event, tree))
    by_url = tree.get("response_format") == "url"
    picture = {"url": "https://example.com/echo.png"} if by_url else {"b64_json": _PICTURE}
    body: dict[str, Any] = {"created": CREATED, "data": [picture] * ask.choices}
    if not ask.orders.no_usage:
        body["usage"] = _image_usage(ask)
    return whole(dumps(body))


def _image_usage(ask: Ask) -> dict[str, Any]:
    images = min(_input(ask), ask.others * 85)
    output = ask.orders.output if ask.orders.output is not None else IMAGE_OUTPUT_TOKENS * ask.choices
    return {
        "input_tokens": _input(ask),
        "input_tokens_details": {"image_tokens": images, "text_tokens": _input(ask) - images},
        "output_tokens": output,
        "output_tokens_details": {"image_tokens": output, "text_tokens": 0},
        "total_tokens": _input(ask) + output,
    }


def _image_events(ask: Ask, event: str, tree: dict[str, Any]) -> Iterator[bytes]:
    picture = {
        "b64_json": _PICTURE, "created_at": CREATED, "size": "1024x1024", "quality": "low",
        "background": "opaque", "output_format": "png",
    }  # fmt: skip
    for at in range(min(int(tree.get("partial_images") or 0), 3)):
        yield _event({"type": f"{event}.partial_image", "partial_image_index": at, **picture})
    if not ask.orders.no_end:
        usage = {} if ask.orders.no_usage else {"usage": _image_usage(ask)}
        yield _event({"type": f"{event}.completed", **picture, **usage})


# --- sound --------------------------------------------------------------------------------------------

_SOUNDS: Final = {
    "mp3": "audio/mpeg", "opus": "audio/opus", "aac": "audio/aac", "flac": "audio/flac",
    "wav": "audio/wav", "pcm": "audio/pcm",
}  # fmt: skip


def read_speech(tree: dict[str, Any], orders: Orders, path: str) -> Ask:
    """Understand a request to speak a text."""
    text, orders = heed(tree["input"], orders)
    return Ask(
        model=tree["model"],
        text=text,
        input_tokens=to_tokens(weigh(tree["input"])),
        orders=orders,
        stream=tree.get("stream_format") == "sse",
        extra=str(tree.get("response_format") or "mp3"),
    )


def answer_speech(ask: Ask) -> Reply:
    """Silence, 2,000 bytes for each token; a right WAV file where one is asked for."""
    tokens = ask.orders.tokens if ask.orders.tokens is not None else to_tokens(weigh(ask.text))
    if ask.stream:
        return Reply(headers=EVENTS, events=_speech_events(ask, tokens))
    size = 2000 * tokens
    begin = b""
    if ask.extra == "wav":
        shape = pack("<IHHIIHH", 16, 1, 1, 24_000, 48_000, 2, 16)
        begin = b"RIFF" + pack("<I", 36 + size) + b"WAVEfmt " + shape + b"data" + pack("<I", size)
    headers = (("content-type", _SOUNDS.get(ask.extra, "audio/mpeg")),)
    events = (begin * (not at) + bytes(2000) for at in range(tokens))
    return Reply(headers=headers, events=events if tokens else iter((begin,)))


def _speech_events(ask: Ask, tokens: int) -> Iterator[bytes]:
    sound = b64encode(bytes(2000)).decode()
    for _ in range(tokens):
        yield _event({"type": "speech.audio.delta", "audio": sound})
    if not ask.orders.no_end:
        counts = {"input_tokens": _input(ask), "output_tokens": tokens, "total_tokens": _input(ask) + tokens}
        yield _event({"type": "speech.audio.done", "usage": counts})


def read_transcription(tree: dict[str, Any], orders: Orders, path: str) -> Ask:
    """Understand a form with sound in it. The prompt is what will have been heard."""
    prompt = str(tree.get("prompt") or "")
    text, orders = heed(prompt, orders)
    size = tree["file"]["size"]
    return Ask(
        model=tree["model"],
        text=text or "echo",
        input_tokens=to_tokens(weigh(prompt)) + -(-size // BYTES_PER_SECOND) * 10,
        orders=orders,
        stream=tree.get("stream") in (True, "true"),
        extra=(-(-size // BYTES_PER_SECOND), str(tree.get("response_format") or "json")),
    )


def answer_transcription(ask: Ask) -> Reply:
    """The prompt, said to have been heard."""
    seconds, form = ask.extra
    if ask.stream:
        return Reply(headers=EVENTS, events=_heard(ask, seconds))
    if form in ("text", "srt", "vtt"):
        begin = {"text": "", "srt": "1\n00:00:00,000 --> 00:00:01,000\n", "vtt": "WEBVTT\n\n"}[form]
        return whole(f"{begin}{ask.text}\n".encode(), (("content-type", "text/plain; charset=utf-8"),))
    body: dict[str, Any] = {"text": ask.text}
    if form == "verbose_json":
        body = {
            "task": "transcribe",
            "language": "english",
            "duration": float(seconds),
            **body,
            "segments": [],
        }
    if not ask.orders.no_usage:
        body["usage"] = _heard_usage(ask, seconds)
    return whole(dumps(body))


def _heard_usage(ask: Ask, seconds: int) -> dict[str, Any]:
    if ask.model.startswith("whisper"):
        return {"type": "duration", "seconds": seconds}
    output = to_tokens(weigh(ask.text)) if ask.orders.output is None else ask.orders.output
    return {
        "type": "tokens",
        "input_tokens": _input(ask),
        "input_token_details": {"audio_tokens": seconds * 10, "text_tokens": _input(ask) - seconds * 10},
        "output_tokens": output,
        "total_tokens": _input(ask) + output,
    }


def _heard(ask: Ask, seconds: int) -> Iterator[bytes]:
    for piece in pieces(ask.text, ask.orders):
        yield _event({"type": "transcript.text.delta", "delta": piece, "logprobs": []})
    if not ask.orders.no_end:
        usage = {} if ask.orders.no_usage else {"usage": _heard_usage(ask, seconds)}
        yield _event({"type": "transcript.text.done", "text": ask.text, "logprobs": [], **usage})


# --- moderations ------------------------------------------------------------------------------------------


def read_moderations(tree: dict[str, Any], orders: Orders, path: str) -> Ask:
    """Understand a request to judge texts and pictures."""
    given = tree["input"]
    parts = [given] if isinstance(given, str) else given
    texts = [part if isinstance(part, str) else part.get("text") or "" for part in parts]
    together = bool(parts) and not isinstance(parts[0], str)
    text, orders = heed(texts[0] if texts else "", orders)
    return Ask(
        model=tree.get("model") or "omni-moderation-latest",
        text=text,
        input_tokens=to_tokens(sum(weigh(one) for one in texts)),
        orders=orders,
        choices=1 if together else len(parts),
    )


def answer_moderations(ask: Ask) -> Reply:
    """Nothing is ever wrong, unless the order finish=flagged says so."""
    flagged = ask.orders.finish == "flagged"
    result = {
        "flagged": flagged,
        "categories": dict.fromkeys(_CATEGORIES, flagged),
        "category_scores": dict.fromkeys(_CATEGORIES, 0.9 if flagged else 0.0001),
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }
    body = {"id": f"modr-echo{ask.seed}", "model": ask.model, "results": [result] * ask.choices}
    return whole(dumps(body), JSON)


def _input(ask: Ask) -> int:
    if ask.orders.zero_usage:
        return 0
    return ask.input_tokens if ask.orders.input is None else ask.orders.input


def _event(data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (data["type"].encode(), dumps(data))
