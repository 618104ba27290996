"""Labels that the shape of a call tells, and none that it does not."""

import pytest

from gateway.content import EMPTY
from gateway.contracts import Call, Shape
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


def test_plain_text_tells_nothing() -> None:
    assert labelled(PathKind.CHAT) == ("other", 0)
