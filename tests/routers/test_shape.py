"""Labels that the shape of a call tells, and none that it does not."""

from typing import Any

import orjson
import pytest

from gateway.content import EMPTY, Content
from gateway.contracts import Call, Dialect, Envelope, Shape
from gateway.dialects import anthropic_messages, gemini_generate, openai_chat, openai_responses
from gateway.names import Slug
from gateway.records import PathKind
from gateway.routers.classifiers.shape import Shape as ShapeClassifier


def labelled(kind: PathKind, shape: Shape | None = None) -> tuple[str, int]:
    call = Call(
        dialect=Slug("openai_chat"), kind=kind, model="m", stream=False, body=EMPTY, shape=shape or Shape()
    )
    labels = ShapeClassifier(ShapeClassifier.Config()).labels(call)
    return labels.task, labels.confidence


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        (PathKind.EMBEDDINGS, "embedding"),
        (PathKind.IMAGES, "image_generation"),
        (PathKind.SPEECH, "audio"),
        (PathKind.TRANSCRIPTION, "audio"),
        (PathKind.MODERATIONS, "moderation"),
    ],
)
def test_the_endpoint_tells_the_task(kind: PathKind, task: str) -> None:
    assert labelled(kind) == (task, 1000)


def test_tools_tell_before_images() -> None:
    assert labelled(PathKind.CHAT, Shape(tools=1, images=1)) == ("tool_use", 1000)
    assert labelled(PathKind.MESSAGES, Shape(images=1)) == ("vision", 1000)


@pytest.mark.parametrize(
    ("dialect", "tree"),
    [
        (openai_chat, {"messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}]}),
        (openai_chat, {"messages": [{"role": "function", "content": "b"}], "max_tokens": 5}),
        (openai_responses, {"input": [{"type": "function_call_output", "output": "b"}]}),
        (anthropic_messages, {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}),
        (gemini_generate, {"contents": [{"parts": [{"functionResponse": {}}]}]}),
        (gemini_generate, {"contents": {"parts": [{"function_response": {}}]}}),
    ],
)
def test_a_tools_result_tells_that_tools_are_used(dialect: Dialect, tree: dict[str, Any]) -> None:
    body = Content(orjson.dumps({"model": "m", **tree}))
    call = dialect.read_call(Envelope(kind=PathKind.CHAT, body=body, verb="generateContent", path_model="m"))
    assert call.shape.tool_results == 1
    assert ShapeClassifier(ShapeClassifier.Config()).labels(call).task == "tool_use"


def test_plain_text_tells_nothing() -> None:
    assert labelled(PathKind.CHAT) == ("other", 0)
