"""Embeddings, images, speech, transcription and moderations: every unit counted."""

from types import ModuleType
from typing import Any

import orjson
import pytest

from gateway.content import Content, Purpose
from gateway.contracts import Call, Envelope, Meter
from gateway.dialects import (
    openai_embeddings,
    openai_images,
    openai_moderations,
    openai_speech,
    openai_transcription,
)
from gateway.dialects.openai_embeddings import EmbeddingsReader
from gateway.dialects.openai_images import ImageReader
from gateway.dialects.openai_speech import SpeechReader
from gateway.dialects.openai_transcription import TranscriptReader, milliseconds
from gateway.errors import CallerError
from gateway.records import PathKind
from gateway.stream.tap import BodyMeter, EventMeter
from gateway.usage import Reading, Source, Usage

BODIES: dict[ModuleType, dict[str, Any]] = {
    openai_embeddings: {"model": "m", "input": "hello"},
    openai_images: {"model": "m", "prompt": "a cat"},
    openai_moderations: {"model": "m", "input": "hello"},
    openai_speech: {"model": "m", "input": "héllo 😀", "voice": "alloy"},
}
ANY = pytest.mark.parametrize("dialect", BODIES, ids=lambda module: module.NAME)


def call(dialect: ModuleType, **more: Any) -> Call:
    body = orjson.dumps(BODIES[dialect] | more)
    asked: Call = dialect.read_call(Envelope(kind=PathKind.OTHER, body=Content(body)))
    return asked


def refused(dialect: ModuleType, **more: Any) -> str:
    with pytest.raises(CallerError) as caught:
        call(dialect, **more)
    assert caught.value.code == "bad_request"
    return str(caught.value.about)


def fed(meter: Meter, *chunks: bytes) -> Reading:
    for chunk in chunks:
        meter.feed(chunk)
    return meter.finish()


def reported(**usage: int) -> Reading:
    return Reading(usage=Usage(**usage), source=Source.REPORTED)


# --- what all have in common -----------------------------------------------------------------------------


@ANY
def test_a_body_keeps_all_but_its_model(dialect: ModuleType) -> None:
    asked = call(dialect, unknown={"deep": [1]})
    written = orjson.loads(dialect.with_model(asked, "other", True).open(Purpose.SEND))
    assert written == BODIES[dialect] | {"model": "other", "unknown": {"deep": [1]}}
    assert asked.dialect == dialect.NAME
    assert asked.model == "m"
    assert dialect.FAMILY == "openai"
    assert dialect.filter(asked, True) is None


@ANY
def test_a_model_must_be_a_name_and_the_body_json(dialect: ModuleType) -> None:
    assert refused(dialect, model=7) == "model"
    with pytest.raises(CallerError):
        dialect.read_call(Envelope(kind=PathKind.OTHER, content_type="text/plain"))


@ANY
def test_before_anything_came_nothing_is_read(dialect: ModuleType) -> None:
    meter = dialect.meter(call(dialect))
    assert meter.finish() == Reading()
    assert not meter.complete


def test_paths_are_the_providers() -> None:
    assert [dialect.path(call(dialect), "m") for dialect in BODIES] == [
        "/embeddings",
        "/images/generations",
        "/moderations",
        "/audio/speech",
    ]


# --- embeddings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "inputs"), [("a", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2), (["a"] * 2048, 2048)]
)
def test_texts_to_embed_are_counted(value: Any, inputs: int) -> None:
    asked = call(openai_embeddings, input=value)
    assert asked.shape.inputs == inputs
    assert (asked.kind, asked.stream) == (PathKind.EMBEDDINGS, False)


@pytest.mark.parametrize("value", [None, 5, [], {}])
def test_an_input_must_be_there(value: Any) -> None:
    assert refused(openai_embeddings, input=value) == "input"


def test_embeddings_use_their_prompt_tokens() -> None:
    body = {"data": [{"embedding": "AAAA"}], "usage": {"prompt_tokens": 8, "total_tokens": 8}}
    meter = openai_embeddings.meter(call(openai_embeddings))
    assert fed(meter, orjson.dumps(body)) == reported(input=8)
    assert meter.complete


@pytest.mark.parametrize("tokens", [None, 0, -1, "8", 1.5])
def test_embeddings_without_a_believable_usage_have_no_output(tokens: Any) -> None:
    for usage in (tokens, {}, {"prompt_tokens": tokens}):
        meter = openai_embeddings.meter(call(openai_embeddings))
        assert fed(meter, orjson.dumps({"data": [], "usage": usage})) == Reading(source=Source.ESTIMATED)


def test_usage_of_large_embeddings_is_found_on_either_side() -> None:
    data = {"data": ["A" * 9000]}
    usage = {"usage": {"prompt_tokens": 8, "total_tokens": 8}}
    for body in (data | usage, usage | data):
        meter = BodyMeter(EmbeddingsReader(), limit=5000)
        assert fed(meter, orjson.dumps(body)) == Reading(usage=Usage(input=8), source=Source.SALVAGED)
    assert fed(BodyMeter(EmbeddingsReader(), limit=5000), orjson.dumps(data)).source is Source.ESTIMATED


def test_text_that_is_no_json_is_no_report() -> None:
    meter = EventMeter(EmbeddingsReader())
    assert fed(meter, b"data: [DONE]\n\n") == Reading(source=Source.ESTIMATED)


# --- moderations -------------------------------------------------------------------------------------------


def test_moderations_cost_nothing() -> None:
    meter = openai_moderations.meter(call(openai_moderations))
    assert fed(meter, b'{"results":[]}') == Reading(source=Source.REPORTED)
    assert meter.complete
    large = openai_moderations.meter(call(openai_moderations))
    assert fed(large, b'{"results":"' + b"x" * 1_100_000 + b'"}') == Reading(source=Source.REPORTED)
    assert fed(EventMeter(openai_moderations.ModerationReader()), b"data: x\n\n").source is Source.ESTIMATED


def test_a_moderation_may_leave_out_its_model() -> None:
    asked = call(openai_moderations, model=None)
    assert asked.model == openai_moderations.DEFAULT_MODEL


# --- images -------------------------------------------------------------------------------------------------

IMAGE_USAGE = {
    "input_tokens": 50,
    "output_tokens": 4160,
    "total_tokens": 4210,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0},
}
IMAGE_TOKENS = {"input": 50, "input_image": 40, "output": 4160, "output_image": 4160}


@pytest.mark.parametrize(
    ("field", "value"), [("n", 0), ("n", 11), ("n", "2"), ("prompt", None), ("stream", "yes")]
)
def test_an_image_call_names_what_is_wrong(field: str, value: Any) -> None:
    assert refused(openai_images, **{field: value}) == field


def test_images_asked_for_multiply_a_call() -> None:
    assert call(openai_images).shape.inputs == 1
    shape = call(openai_images, n=4).shape
    assert (shape.inputs, shape.choices) == (4, 4)


def test_images_are_metered_by_tokens_or_by_number() -> None:
    made = [{"b64_json": "A"}, {"b64_json": "B"}]
    for usage, expected in (
        (IMAGE_USAGE, reported(**IMAGE_TOKENS)),
        (None, reported(images=2)),
        ({"input_tokens": 0, "output_tokens": 0}, reported(images=2)),
        ({"input_tokens": -1}, reported(images=2)),
    ):
        meter = openai_images.meter(call(openai_images, n=3))
        assert fed(meter, orjson.dumps({"created": 1, "data": made, "usage": usage})) == expected
        assert meter.complete
    assert fed(openai_images.meter(call(openai_images, n=3)), b'{"created":1}') == reported(images=3)


def test_large_images_are_salvaged_or_counted_as_asked() -> None:
    large = {"data": [{"b64_json": "A" * 9000}], "usage": IMAGE_USAGE}
    meter = BodyMeter(ImageReader(2), limit=5000)
    assert fed(meter, orjson.dumps(large)) == Reading(usage=Usage(**IMAGE_TOKENS), source=Source.SALVAGED)
    bare = BodyMeter(ImageReader(2), limit=5000)
    assert fed(bare, orjson.dumps(large | {"usage": None})).usage == Usage(images=2)


def test_a_stream_of_images_is_metered_at_its_end() -> None:
    def event(kind: str, **fields: Any) -> bytes:
        return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))

    part = event("image_generation.partial_image", b64_json="A" * 900)
    for size in (10, 900):
        meter = EventMeter(ImageReader(1), limit=600)
        assert fed(meter, part) == Reading(source=Source.ESTIMATED)
        assert not meter.complete
        end = event("image_generation.completed", b64_json="A" * size, usage=IMAGE_USAGE)
        source = Source.REPORTED if size == 10 else Source.SALVAGED
        assert fed(meter, end) == Reading(usage=Usage(**IMAGE_TOKENS), source=source)
        assert meter.complete
    asked = openai_images.meter(call(openai_images, stream=True))
    assert fed(asked, b'data: ["image_generation.completed"]\n\ndata: x\n\n').source is Source.ESTIMATED
    assert fed(asked, event("x", of="image_generation.completed")).source is Source.ESTIMATED


# --- speech ----------------------------------------------------------------------------------------------


def test_speech_is_metered_by_its_letters_once_sound_came() -> None:
    meter = openai_speech.meter(call(openai_speech))
    assert fed(meter, b"") == Reading()
    assert fed(meter, b"\xff\xfb\x90", b"") == reported(characters=7)
    assert meter.complete


def test_speech_needs_a_text() -> None:
    assert refused(openai_speech, input=["a"]) == "input"


def test_a_stream_of_speech_is_metered_by_its_tokens() -> None:
    asked = call(openai_speech, stream_format="sse")
    assert asked.stream
    meter = openai_speech.meter(asked)
    assert fed(meter, b'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n').source is Source.ESTIMATED
    end = b'data: {"type":"speech.audio.done","usage":{"input_tokens":3,"output_tokens":9}}\n\n'
    assert not meter.complete
    assert fed(meter, end) == reported(input=3, output=9)
    assert meter.complete
    bare = openai_speech.meter(asked)
    assert fed(bare, b'data: {"type":"speech.audio.done"}\n\n') == reported(characters=7)
    large = EventMeter(SpeechReader(5), limit=50)
    odd = b'data: {"a":"speech.audio.done"}\n\ndata: x\n\ndata: ' + b"A" * 99 + b"\n\n"
    assert fed(large, odd).source is Source.ESTIMATED


# --- transcription ---------------------------------------------------------------------------------------

TYPE = "multipart/form-data; boundary=edge"


def form(**fields: str) -> bytes:
    parts = [
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    sound = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n\xff\x00\r\n'
    return b"".join(parts) + sound + b"--edge--\r\n"


def transcription(verb: str = "transcriptions", **fields: str) -> Call:
    envelope = Envelope(
        kind=PathKind.TRANSCRIPTION, verb=verb, content_type=TYPE, body=Content(form(**fields))
    )
    return openai_transcription.read_call(envelope)


def test_a_form_is_understood_and_only_its_model_changes() -> None:
    asked = transcription(model="whisper-1", prompt="naïve")
    assert (asked.model, asked.stream, asked.content_type, asked.shape.audio) == ("whisper-1", False, TYPE, 1)
    written = openai_transcription.with_model(asked, "whisper-large-v3", False).open(Purpose.SEND)
    assert written == form(model="whisper-large-v3", prompt="naïve")
    assert openai_transcription.path(asked, "m") == "/audio/transcriptions"
    assert openai_transcription.path(transcription("translations", model="w"), "m") == "/audio/translations"
    assert openai_transcription.filter(asked, True) is None
    assert transcription(model="w", stream="true").stream


@pytest.mark.parametrize(
    ("fields", "about"),
    [({}, "model"), ({"model": ""}, "model"), ({"model": "m", "stream": "yes"}, "stream")],
)
def test_a_form_with_a_wrong_field_is_refused(fields: dict[str, str], about: str) -> None:
    with pytest.raises(CallerError) as caught:
        transcription(**fields)
    assert caught.value.about == about


TOKENS = {
    "type": "tokens",
    "input_tokens": 14,
    "output_tokens": 45,
    "total_tokens": 59,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
}


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        ({"text": "hi", "usage": TOKENS}, {"input": 14, "input_audio": 10, "output": 45}),
        ({"text": "hi", "usage": {"type": "duration", "seconds": 27}}, {"audio_ms": 27_000}),
        ({"text": "hi", "usage": {"type": "duration", "seconds": 8.4705}}, {"audio_ms": 8_471}),
        ({"text": "hi", "duration": 8.4, "task": "transcribe"}, {"audio_ms": 8_400}),
        ({"text": "hi", "duration": "8.47"}, {"audio_ms": 8_470}),
    ],
)
def test_a_transcript_is_metered_by_tokens_or_seconds(answer: dict[str, Any], usage: dict[str, int]) -> None:
    meter = openai_transcription.meter(transcription(model="m"))
    assert fed(meter, b"\n", orjson.dumps(answer)) == reported(**usage)
    assert meter.complete
    large = BodyMeter(TranscriptReader(), limit=5000)
    reading = fed(large, orjson.dumps({"text": "x" * 9000} | answer | {"text": "x" * 9000}))
    if "usage" in answer:
        assert reading == Reading(usage=Usage(**usage), source=Source.SALVAGED)
        assert fed(large, b" ") == reading
    assert large.complete


@pytest.mark.parametrize(
    "text", [b"These are about fifteen letters a second.", b'{"text":"no usage"}', b'{"text":"cu']
)
def test_a_transcript_that_reports_nothing_is_estimated_and_never_free(text: bytes) -> None:
    meter = openai_transcription.meter(transcription(model="m", response_format="text"))
    assert meter.finish() == Reading()
    reading = fed(meter, text[:1], text[1:])
    assert reading == Reading(usage=Usage(audio_ms=len(text) * 66), source=Source.ESTIMATED)
    assert meter.complete is not text.endswith(b"cu")


def test_a_stream_of_a_transcript_is_metered_at_its_end() -> None:
    meter = openai_transcription.meter(transcription(model="m", stream="true"))
    for _ in range(9):
        meter.feed(b'data: {"type":"transcript.text.delta","delta":" word"}\n\n')
    assert meter.finish() == Reading(usage=Usage(output=9), source=Source.ESTIMATED)
    assert not meter.complete
    meter.feed(b'data: {"of":"transcript.text.done","type":"x"}\n\ndata: [DONE]\n\n')
    meter.feed(b'data: ["transcript.text.done"]\n\n')
    assert not meter.complete
    done = {"type": "transcript.text.done", "text": " word" * 9, "usage": TOKENS}
    assert fed(meter, b"data: " + orjson.dumps(done) + b"\n\n").usage == Usage(
        input=14, input_audio=10, output=45
    )
    assert meter.complete


@pytest.mark.parametrize("seconds", [None, 0, -1, "x", "nan", "inf", float("inf"), True, [1], 10**15])
def test_unbelievable_seconds_are_none(seconds: Any) -> None:
    assert milliseconds(seconds) == 0
