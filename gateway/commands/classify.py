"""classify: names the task of prompts on standard input, as the server would, without calling anybody."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import orjson

from gateway import flow
from gateway.commands import setting
from gateway.config import Config
from gateway.content import Content
from gateway.contracts import Call, Classifier, Envelope, Labels
from gateway.dialects import openai_chat
from gateway.errors import CallerError
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stages.classify import Classify

MOST_LINE_BYTES: Final = 64 << 20

_PATIENCE_S: Final = 3600.0
"""Here nobody waits for a call, so no classifier is given a rest."""


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    classify = commands.add_parser(
        "classify",
        parents=[shared],
        help="name the task of prompts: JSON lines with id, messages and tools on standard input",
    )
    classify.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print an object for each line; 1 if a line could not be read."""
    judge = Judge(setting.load_config(arguments))
    good = True
    out = sys.stdout.buffer
    for number, line in enumerate(_lines(sys.stdin.buffer), 1):
        shown = judge.line(number, line)
        good = good and "error" not in shown
        out.write(orjson.dumps(shown, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS))
    out.flush()
    return setting.GOOD if good else setting.FAILED


class Judge:
    """The configured classifiers, asked one line at a time.

    Raises:
        ConfigError: a classifier is missing or cannot be made.
    """

    def __init__(self, config: Config) -> None:
        self._classifiers: list[Classifier] = [
            flow.construct(
                "gateway.classifiers", name, config.classify.options.get(name, {}), f"classify.{name}"
            )[0]
            for name in config.classify.use
        ]
        self._classify = Classify(self._classifiers, time_s=_PATIENCE_S)
        self._scorers: dict[Slug, Any] = {}

    def line(self, number: int, line: bytes) -> dict[str, Any]:
        """What is shown for a line. An error names what is wrong and quotes nothing."""
        if len(line) > MOST_LINE_BYTES:
            return {"id": number, "error": "longer than 64 MiB"}
        try:
            tree = orjson.loads(line.removeprefix(b"\xef\xbb\xbf"))  # editors put it before a file
        except orjson.JSONDecodeError:
            return {"id": number, "error": "is not valid JSON"}
        if not isinstance(tree, dict):
            return {"id": number, "error": "is no JSON object"}
        name = tree.get("id")
        name = name if isinstance(name, str | int) else number
        try:
            call = call_of(tree)
        except CallerError as error:
            return {"id": name, "error": f"{error.about or 'messages'}: cannot be read"}
        labels = self._classify.labels(call)
        return {
            "id": name,
            "label": labels.task,
            "confidence": labels.confidence / 1000,
            "scores": self._scores(labels, call),
        }

    def _scores(self, labels: Labels, call: Call) -> dict[str, float]:
        """All labels' probabilities where the classifier tells them, else the one it is certain of."""
        if labels.classifier not in self._scorers:
            self._scorers[labels.classifier] = self._scorer(labels, call)
        scorer = self._scorers[labels.classifier]
        if scorer is None:
            return {labels.task: labels.confidence / 1000}
        return {task: round(chance, 6) for task, chance in scorer(call).items()}

    def _scorer(self, labels: Labels, call: Call) -> Any:
        for one in self._classifiers:
            scorer = getattr(one, "scores", None)
            if scorer is not None and one.labels(call).classifier == labels.classifier:
                return scorer
        return None


def call_of(tree: dict[str, Any]) -> Call:
    """A line's call, read as one of chat completions; a prompt in place of messages is one of the user.

    Raises:
        CallerError: messages or tools cannot be read.
    """
    messages, prompt = tree.get("messages"), tree.get("prompt")
    if messages is None and isinstance(prompt, str):
        messages = [{"role": "user", "content": prompt}]
    body: dict[str, Any] = {"model": "classify", "messages": messages}
    tools = tree.get("tools")
    if tools:
        body["tools"] = tools if isinstance(tools, list) else [{}]
    return openai_chat.read_call(Envelope(kind=PathKind.CHAT, body=Content(orjson.dumps(body))))


def _lines(source: BinaryIO) -> Iterator[bytes]:
    """The lines that are not blank, in order, without holding more than one. Too long ones come cut."""
    while line := source.readline(MOST_LINE_BYTES + 2):
        ended = line.endswith(b"\n")
        while not ended:
            rest = source.readline(MOST_LINE_BYTES)
            ended = not rest or rest.endswith(b"\n")
        if line.strip():
            yield line
