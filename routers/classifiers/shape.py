"""Labels that follow from a call's shape alone: exact, never guessed, no content opened."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.contracts import Call, Classifier, Labels
from gateway.names import Slug
from gateway.records import PathKind

NAME = Slug("shape-1")
CERTAIN = 1000

_BY_KIND = {
    PathKind.EMBEDDINGS: Slug("embedding"),
    PathKind.IMAGES: Slug("image_generation"),
    PathKind.SPEECH: Slug("audio"),
    PathKind.TRANSCRIPTION: Slug("audio"),
    PathKind.MODERATIONS: Slug("moderation"),
}
_TOOL_USE = Slug("tool_use")
_VISION = Slug("vision")


class Shape:
    """Knows the tasks that the endpoint, the tools, their results or the images of a call tell."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Nothing to set."""

    def __init__(self, config: Config) -> None:
        pass

    def labels(self, call: Call) -> Labels:
        """The task that the shape tells; confidence 0 when it tells none."""
        task = _BY_KIND.get(call.kind)
        if task is None and (call.shape.tools or call.shape.tool_results):
            task = _TOOL_USE
        if task is None and call.shape.images:
            task = _VISION
        if task is None:
            return Labels(classifier=NAME)
        return Labels(task=task, confidence=CERTAIN, classifier=NAME)


if TYPE_CHECKING:
    _: type[Classifier] = Shape
