"""Tokens and money: what a call used, in one shape for all providers."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import NewType

from gateway.names import Slug

Nanos = NewType("Nanos", int)
"""Nano-dollars: an integer of 10^-9 US dollars."""

Picos = NewType("Picos", int)
"""Pico-dollars: an integer of 10^-12 US dollars; prices per unit are kept in these."""


class Source(StrEnum):
    """Where the numbers of a usage come from."""

    REPORTED = "reported"  # the provider said so
    SALVAGED = "salvaged"  # found in the tail of an event that was too large to hold
    ESTIMATED = "estimated"  # measured here, because the provider said nothing
    NONE = "none"  # nothing was used: the call did not reach a provider


class ServiceTier(StrEnum):
    """What the provider says it billed the call as; it changes the price."""

    STANDARD = "standard"
    BATCH = "batch"
    FLEX = "flex"
    PRIORITY = "priority"
    UNKNOWN = "unknown"  # a tier that no price is known for


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Units of one answer. Parts are counted inside their whole, never beside it.

    input holds all input tokens: cached, written to cache, audio and image tokens are inside it.
    output holds all output tokens: reasoning, audio and image tokens are inside it.
    cached_audio is inside both cached and input_audio.
    All other units stand alone.
    """

    input: int = 0
    cached: int = 0  # read from the provider's cache
    write_5m: int = 0  # written to the provider's cache, for its default time
    write_1h: int = 0  # written to the provider's cache, for its longer time
    input_audio: int = 0
    cached_audio: int = 0
    input_image: int = 0
    output: int = 0
    reasoning: int = 0
    output_audio: int = 0
    output_image: int = 0
    searches: int = 0  # web searches the provider made
    tool_units: int = 0  # other billed uses of the provider's own tools
    characters: int = 0  # of text turned into speech
    audio_ms: int = 0  # milliseconds of sound heard or made
    images: int = 0  # images made

    def __post_init__(self) -> None:
        for name in _NAMES:
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value < LIMIT:
                raise ValueError(f"{name} is no count")
        if self.cached + self.write_5m + self.write_1h > self.input:
            raise ValueError("cached and written tokens exceed input tokens")
        if self.reasoning > self.output:
            raise ValueError("reasoning tokens exceed output tokens")


LIMIT = 10**12
"""No single call uses this many units; a larger report is taken for an error."""

_NAMES = tuple(field.name for field in fields(Usage))

NOTHING = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """Usage that the same answer billed at another model's price."""

    model: str  # as the provider names it; never stored
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All numbers that a meter took from an answer."""

    usage: Usage = NOTHING
    source: Source = Source.NONE
    tier: ServiceTier = ServiceTier.STANDARD
    asides: tuple[Aside, ...] = ()
    regional: bool = False  # billed with the surcharge for a pinned region
    fast: bool = False  # billed at the price of the faster mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Prices of a model; completed in this file by the price work."""

    version: Slug
