"""A look at the beginning of an answer: content, only a preamble, or an error that came with status 200."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import orjson

from gateway.contracts import Call
from gateway.dialects import gemini_wire
from gateway.names import Slug
from gateway.stream.json_array import Elements
from gateway.stream.sse import Event, Frames

# Decided by byte marks: keys with both quotes, which stand in no JSON string, as quotes are escaped there.
# Only an event that may be an error is parsed. What is not known counts as content, so that a new kind
# of event is never held back.

Match = Callable[[bytes], object]


class Finding(Enum):
    """What the beginning of an answer is."""

    NOTHING = 0
    CONTENT = 1
    ERROR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What one dialect's events are told by.

    Attributes:
        content: an event with text, a tool call, or other output.
        frame: an event that is known and has none.
        refused: an answer without content that a content policy is the reason of.
        error: what of a parsed event is its error; None: it is no error.
    """

    content: Match
    frame: Match
    refused: Match
    error: Callable[[Any], Any]


def _mark(pattern: str) -> Match:
    return re.compile(pattern.replace(" ", r"\s*").encode()).search


def _error_key(tree: Any) -> Any:
    return tree.get("error") if type(tree) is dict else None


def _anthropic_error(tree: Any) -> Any:
    return tree.get("error") if type(tree) is dict and tree.get("type") == "error" else None


def _responses_error(tree: Any) -> Any:
    """Of "error", whose fields may stand in the event itself, and of "response.failed"."""
    if type(tree) is not dict:
        return None
    response = tree["response"] if type(tree.get("response")) is dict else tree
    if tree.get("type") == "error":
        return tree.get("error") or {key: value for key, value in tree.items() if key != "type"}
    return response.get("error") if response.get("status", "failed") == "failed" else None


MARKS: Final[dict[Slug, Marks]] = {
    Slug("openai_chat"): Marks(
        content=_mark(
            r'"(?:content|reasoning|reasoning_content|refusal|arguments|text|transcript|data)" : "[^"]'
            r'|"(?:content|tool_calls|reasoning_details|executed_tools)" : \[ \{|"function_call" : \{'
        ),
        frame=_mark(r'"choices"|"usage"|^\[DONE\]'),
        refused=_mark(r'"finish_reason" : "content_filter"'),
        error=_error_key,
    ),
    Slug("openai_responses"): Marks(
        content=_mark(
            r'"type" : "(?:response\.[a-z_.]*delta|[a-z_]*_call)"|"(?:text|delta|refusal|result)" : "[^"]'
        ),
        frame=_mark(
            r'"type" : "response\.(?:created|in_progress|queued|completed|incomplete'
            r'|(?:output_item|content_part)\.(?:added|done))"|"object" : "response"'
        ),
        refused=_mark(r'"reason" : "content_filter"'),
        error=_responses_error,
    ),
    Slug("anthropic_messages"): Marks(
        content=_mark(
            r'"type" : "content_block_delta"|"(?:text|thinking|data)" : "[^"]'
            r'|"type" : "(?:redacted_thinking|compaction|[a-z_]*tool_use|[a-z_]*tool_result)"'
        ),
        frame=_mark(
            r'"type" : "(?:ping|content_block_start|content_block_stop|message(?:_start|_delta|_stop)?)"'
        ),
        refused=_mark(r'"stop_reason" : "refusal"'),
        error=_anthropic_error,
    ),
    Slug("gemini_generate"): Marks(
        content=_mark(
            r'"text" : "[^"]'
            r'|"(?:functionCall|inlineData|fileData|executableCode|codeExecutionResult|toolCall)" : \{'
        ),
        frame=_mark(r'"candidates"|"usageMetadata"|"promptFeedback"'),
        refused=_mark(
            r'"blockReason" : "|"finishReason" : "(?:SAFETY|PROHIBITED_CONTENT|BLOCKLIST|SPII|RECITATION'
            r'|IMAGE_SAFETY)"'
        ),
        error=_error_key,
    ),
}

STATUS: Final = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "rate_limit_reached": 429,
    "insufficient_quota": 429,
    "RESOURCE_EXHAUSTED": 429,
    "overloaded_error": 529,
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "content_policy_violation": 400,
    "content_filter": 400,
    "invalid_prompt": 400,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "UNAUTHENTICATED": 401,
    "billing_error": 402,
    "permission_error": 403,
    "PERMISSION_DENIED": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "NOT_FOUND": 404,
    "request_too_large": 413,
    "timeout_error": 504,
    "DEADLINE_EXCEEDED": 504,
}
"""The status that an error would have come with, had it not come inside an answer. Source: the providers'
lists of error codes. All others count as 500."""


class Peek:
    """Looks at one answer.

    Args:
        cutter: cuts a stream into events; None: the answer is whole.

    Attributes:
        refused: a content policy is the reason why there is no content.
        status: of the error found, as it would have come on its own, and error the same as a JSON body.
    """

    __slots__ = ("_cutter", "_marks", "_started", "error", "refused", "status")

    def __init__(self, marks: Marks, cutter: Frames | Elements | None) -> None:
        self._marks = marks
        self._cutter = cutter
        self._started = False
        self.refused = False
        self.status = 0
        self.error = b""

    @property
    def in_events(self) -> bool:
        """Whether the answer is a stream of events, as far as it is known."""
        return self._cutter is not None

    def feed(self, chunk: bytes) -> Finding:
        """The next bytes of a stream. After CONTENT or ERROR there is nothing more to ask."""
        if self._cutter is None:
            return Finding.NOTHING
        if not self._started and chunk.lstrip().startswith(b"{") and type(self._cutter) is Frames:
            self._cutter = None  # it is not streamed; whole() knows
            return Finding.NOTHING
        self._started = True
        if b'"error"' not in chunk and self._marks.content(chunk):
            return Finding.CONTENT
        for event in self._cutter.feed(chunk):
            finding = self._event(event)
            if finding is not Finding.NOTHING:
                return finding
        return Finding.NOTHING if self._cutter.oversize is None else Finding.CONTENT

    def whole(self, body: bytes) -> Finding:
        """A whole answer of which nothing tells that it has content."""
        return self._event((None, body))

    def _event(self, event: Event) -> Finding:
        name, data = event
        if (name == b"error" or b'"error"' in data) and self._is_error(name, data):
            return Finding.ERROR
        if self._marks.content(data):
            return Finding.CONTENT
        if self._marks.refused(data):
            self.refused = True
        return Finding.NOTHING if self._marks.frame(data) else Finding.CONTENT

    def _is_error(self, name: bytes | None, data: bytes) -> bool:
        try:
            tree = orjson.loads(data)
        except orjson.JSONDecodeError:
            tree = None
        if type(tree) is list and tree:
            tree = tree[-1]
        error = self._marks.error(tree)
        if not error and name != b"error":
            return False
        if type(error) is not dict:
            error = {"message": error if type(error) is str else ""}
        self.status = _status(error)
        self.error = orjson.dumps({"error": error})
        return True


def peek(call: Call) -> Peek | None:
    """A look at an answer to a call, in the call's own dialect; None where its answers cannot be judged."""
    marks = MARKS.get(call.dialect)
    if marks is None:
        return None
    if not call.stream:
        return Peek(marks, None)
    in_elements = call.dialect == "gemini_generate" and not gemini_wire.in_events(call)
    return Peek(marks, Elements() if in_elements else Frames())


def _status(error: dict[str, Any]) -> int:
    for key in ("code", "status", "type"):
        value = error.get(key)
        if type(value) is int and 400 <= value < 600:
            return value
        if type(value) is str and (value.isascii() and value.isdigit() and len(value) == 3):
            return int(value) if 400 <= int(value) < 600 else 500
        if type(value) is str and value in STATUS:
            return STATUS[value]
    return 500
