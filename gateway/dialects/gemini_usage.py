"""The numbers in Gemini's answers."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.stream.tap import child, count, find_object
from gateway.usage import NOTHING, Reading, ServiceTier, Source, Usage

# Every chunk of a stream has a usageMetadata. The last one counts, whole: neither sums nor maxima
# of single fields are right, as fields come and go between chunks. Thoughts are not inside the
# candidates' count, and what tools put into the prompt is not inside the prompt's. Source: Gemini
# API reference, GenerateContentResponse; recorded answers.

TIERS: Final = {
    "standard": ServiceTier.STANDARD,
    "on_demand": ServiceTier.STANDARD,
    "batch": ServiceTier.BATCH,
    "flex": ServiceTier.FLEX,
    "priority": ServiceTier.PRIORITY,
}

PER_PROMPT: Final = ("gemini-1", "gemini-2")
"""Models whose grounding is billed once a prompt, not by the search. Source: Gemini API, Pricing."""

_version = re.compile(rb'"modelVersion"\s*:\s*"([^"\\]{1,128})"').search


class AnswerReader:
    """Reads generated content.

    Args:
        stream: it comes in chunks, so that only a finish reason tells the last one.
    """

    __slots__ = ("_fields", "_finished", "_salvaged", "_searches", "_version")

    marks = (b'"usageMetadata"', b'"finishReason"', b'"blockReason"', b'"groundingMetadata"')
    texts = (b'"text":',)

    def __init__(self, stream: bool) -> None:
        self._fields: dict[str, Any] = {}
        self._finished = not stream
        self._salvaged = False
        self._searches = 0
        self._version = ""

    def read(self, name: bytes | None, tree: Any) -> None:
        """One chunk, or the whole answer."""
        if type(tree) is not dict:
            return
        usage = child(tree, "usageMetadata")
        if usage:
            self._fields = usage
            self._salvaged = False
        version = tree.get("modelVersion")
        if isinstance(version, str):
            self._version = version
        candidates = tree.get("candidates")
        for candidate in candidates if type(candidates) is list else []:
            self._read_candidate(candidate)
        if child(tree, "promptFeedback").get("blockReason"):
            self._finished = True

    def close(self, data: bytes) -> bool:
        """Nothing but JSON is in this stream."""
        return False

    def salvage(self, name: bytes | None, head: bytes, tail: bytes) -> None:
        """An answer's usage follows its content; the stream's end, once seen, had the last word."""
        if self._finished and self._fields:
            return
        usage = find_object(tail, b'"usageMetadata"')
        if usage:
            self._fields = usage
            self._salvaged = True
            self._finished = self._finished or b'"finishReason"' in tail
            named = _version(tail)
            self._version = named[1].decode("utf-8", "replace") if named else self._version

    def reading(self, seen: int) -> Reading | None:
        """The last report; before the end, its output is not yet all there is."""
        usage = _usage(self._fields, self._billed_searches())
        if not self._fields or usage is None:
            return None
        source = Source.SALVAGED if self._salvaged else Source.REPORTED
        if not self._finished:
            source = Source.ESTIMATED
            usage = replace(usage, output=max(usage.output, seen))
        return Reading(usage=usage, source=source, tier=_tier(self._fields))

    @property
    def complete(self) -> bool:
        """A candidate has finished, or the prompt was refused."""
        return self._finished

    def _read_candidate(self, candidate: Any) -> None:
        if type(candidate) is not dict:
            return
        if candidate.get("finishReason"):
            self._finished = True
        queries = child(candidate, "groundingMetadata").get("webSearchQueries")
        if type(queries) is list:
            self._searches = max(self._searches, len(queries))

    def _billed_searches(self) -> int:
        return min(self._searches, 1) if self._version.startswith(PER_PROMPT) else self._searches


class EmbeddingReader:
    """Reads embeddings: their answers are large, and say their usage not always."""

    __slots__ = ("_fields", "_salvaged")

    marks = (b'"usageMetadata"',)
    texts: tuple[bytes, ...] = ()

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._salvaged = False

    def read(self, name: bytes | None, tree: Any) -> None:
        """The whole answer."""
        self._fields = child(tree, "usageMetadata")

    def close(self, data: bytes) -> bool:
        """Never a stream."""
        return False

    def salvage(self, name: bytes | None, head: bytes, tail: bytes) -> None:
        """The usage stands before or behind the vectors."""
        self._fields = find_object(tail, b'"usageMetadata"') or find_object(head, b'"usageMetadata"')
        self._salvaged = True

    def reading(self, seen: int) -> Reading:
        """The input, or an estimate without numbers, which only the request can give."""
        usage = _usage(self._fields, 0)
        if usage is None or not usage.input:
            return Reading(usage=NOTHING, source=Source.ESTIMATED)
        return Reading(usage=usage, source=Source.SALVAGED if self._salvaged else Source.REPORTED)

    @property
    def complete(self) -> bool:
        """Never a stream; for whole answers the meter knows."""
        return True


def _tier(fields: Mapping[str, Any]) -> ServiceTier:
    """Google writes STANDARD, standard or SERVICE_TIER_STANDARD, and says nothing for the usual one."""
    said = fields.get("serviceTier")
    if said is None:
        return ServiceTier.STANDARD
    name = str(said).lower().removeprefix("service_tier_")
    return ServiceTier.STANDARD if name == "unspecified" else TIERS.get(name, ServiceTier.UNKNOWN)


def _usage(fields: Mapping[str, Any], searches: int) -> Usage | None:
    """One report; None when a number in it is not to be believed."""
    try:
        thoughts = _number(fields, "thoughtsTokenCount")
        return Usage(
            input=_number(fields, "promptTokenCount") + _number(fields, "toolUsePromptTokenCount"),
            cached=_number(fields, "cachedContentTokenCount"),
            input_audio=_of(fields, "AUDIO", "promptTokensDetails", "toolUsePromptTokensDetails"),
            cached_audio=_of(fields, "AUDIO", "cacheTokensDetails"),
            input_image=_of(fields, "IMAGE", "promptTokensDetails", "toolUsePromptTokensDetails"),
            output=_number(fields, "candidatesTokenCount") + thoughts,
            reasoning=thoughts,
            input_video=_of(fields, "VIDEO", "promptTokensDetails", "toolUsePromptTokensDetails"),
            output_audio=_of(fields, "AUDIO", "candidatesTokensDetails"),
            output_image=_of(fields, "IMAGE", "candidatesTokensDetails"),
            searches=searches,
        )
    except ValueError:
        return None


def _of(fields: Mapping[str, Any], modality: str, *lists: str) -> int:
    """Tokens of one modality in these lists."""
    total = 0
    for name in lists:
        details = fields.get(name)
        for detail in details if type(details) is list else []:
            if type(detail) is dict and detail.get("modality") == modality:
                total += _number(detail, "tokenCount")
    return total


def _number(tree: Mapping[str, Any], key: str) -> int:
    value = count(tree, key)
    if value is None:
        raise ValueError("no count")
    return value
