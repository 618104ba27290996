"""Tokens and money: what a call used, in one shape for all providers."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Final, NewType

from gateway.names import Slug
from gateway.quick import quick

Nanos = NewType("Nanos", int)
"""Nano-dollars: an integer of 10^-9 US dollars."""

Picos = NewType("Picos", int)
"""Pico-dollars: an integer of 10^-12 US dollars; prices per unit are kept in these."""


class Source(StrEnum):
    """Where the numbers of a usage come from."""

    __hash__ = str.__hash__  # in C, as these are looked up for each call

    REPORTED = "reported"  # the provider said so
    SALVAGED = "salvaged"  # found in the tail of an event that was too large to hold
    ESTIMATED = "estimated"  # measured here, because the provider said nothing
    NONE = "none"  # nothing was used: the call did not reach a provider


class ServiceTier(StrEnum):
    """What the provider says it billed the call as; it changes the price."""

    __hash__ = str.__hash__

    STANDARD = "standard"
    BATCH = "batch"
    FLEX = "flex"
    PRIORITY = "priority"
    UNKNOWN = "unknown"  # a tier that no price is known for


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Units of one answer. Parts are counted inside their whole, never beside it.

    input holds all input tokens: cached, written to cache, audio, image and video tokens are inside it.
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
    input_video: int = 0
    output: int = 0
    reasoning: int = 0
    output_audio: int = 0
    output_image: int = 0
    searches: int = 0  # web searches the provider made
    tool_units: int = 0  # other billed uses of the provider's own tools
    characters: int = 0  # of text turned into speech
    audio_ms: int = 0  # milliseconds of sound heard or made
    images: int = 0  # images made

    @staticmethod
    def check_all(values: tuple[int, ...]) -> None:
        """Refuse what no answer can have used.

        Raises:
            ValueError: with the unit's name.
        """
        if set(map(type, values)) != _INT or min(values) < 0 or max(values) >= LIMIT:
            raise ValueError(f"{_wrong(values)} is no count")
        if values[1] + values[2] + values[3] > values[0]:
            raise ValueError("cached and written tokens exceed input tokens")
        if values[9] > values[8]:
            raise ValueError("reasoning tokens exceed output tokens")


LIMIT = 10**12
"""No single call uses this many units; a larger report is taken for an error."""

_INT: Final = {int}
_NAMES = tuple(field.name for field in fields(Usage))


def _wrong(values: tuple[int, ...]) -> str:
    """The name of the first unit that is no count."""
    named = zip(_NAMES, values, strict=True)
    return next(name for name, value in named if type(value) is not int or not 0 <= value < LIMIT)


NOTHING = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """Usage that the same answer billed at another model's price."""

    model: str  # as the provider names it; never stored
    usage: Usage


@quick
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
class Rates:
    """Pico-dollars for one unit of each class; None: the class has no price of its own.

    A class of tokens without a price of its own is billed as the class it is part of: cached, written,
    audio, image and video tokens as input (cached_audio as cached if audio has no price, else as
    audio), write_1h as write_5m, reasoning, audio and image tokens as output. Units that stand alone
    (search, tool_unit, character, audio_hour, image) have no such fallback.
    """

    input: int | None = None
    cached: int | None = None
    write_5m: int | None = None
    write_1h: int | None = None
    input_audio: int | None = None
    cached_audio: int | None = None
    input_image: int | None = None
    cached_image: int | None = None
    input_video: int | None = None
    output: int | None = None
    reasoning: int | None = None
    output_audio: int | None = None
    output_image: int | None = None
    search: int | None = None
    tool_unit: int | None = None
    character: int | None = None
    audio_hour: int | None = None  # for one hour of sound
    image: int | None = None
    request: int = 0  # for each call that reaches the provider

    def __post_init__(self) -> None:
        for name in RATES:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not 0 <= value < MOST_PICOS):
                raise ValueError(f"{name} is no price")


RATES: Final = tuple(field.name for field in fields(Rates))
"""The classes that can have a price."""

MOST_PICOS: Final = 10**17
"""No unit costs 100,000 dollars; a larger price is taken for an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """What token prices are multiplied by, as an exact fraction."""

    over: int = 1
    under: int = 1

    def __post_init__(self) -> None:
        if any(type(value) is not int or not 0 < value < LIMIT for value in (self.over, self.under)):
            raise ValueError("not a factor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """The rates of one mode of service. The size of a call's input decides on the rates of all its units.

    Attributes:
        base: rates up to the first bound.
        steps: (input tokens, rates above them), by rising bound.
        factor: multiplies the tokens' part of the bill.
    """

    base: Rates
    steps: tuple[tuple[int, Rates], ...] = ()
    factor: Factor = Factor()
    _flat: "Flat | None" = field(init=False, repr=False, compare=False)
    _long: "tuple[tuple[int, Flat | None], ...]" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        bounds = [bound for bound, _ in self.steps]
        if any(type(bound) is not int or bound < 0 for bound in bounds) or bounds != sorted(set(bounds)):
            raise ValueError("steps do not rise")
        object.__setattr__(self, "_flat", _flat(self.base, self.factor))
        steps = tuple((bound, _flat(rates, self.factor)) for bound, rates in self.steps)
        object.__setattr__(self, "_long", steps)

    def at(self, input_tokens: int) -> Rates:
        """The rates for a call with so many input tokens."""
        reached = [rates for bound, rates in self.steps if input_tokens > bound]
        return reached[-1] if reached else self.base


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """All prices of a model at one moment. A mode that is None has no known price.

    Attributes:
        version: of the price book or configuration it comes from.
        fast: the provider's faster mode.
        regional: surcharge on tokens for a pinned region.
        least_audio_ms: sound shorter than this is billed as this.
    """

    version: Slug
    standard: Scheme
    batch: Scheme | None = None
    flex: Scheme | None = None
    priority: Scheme | None = None
    fast: Scheme | None = None
    regional: Factor | None = None
    least_audio_ms: int = 0

    @property
    def input_rate(self) -> Picos | None:
        """Pico-dollars for a plain input token of a small standard call."""
        return _picos(self.standard.base.input)

    @property
    def output_rate(self) -> Picos | None:
        """Pico-dollars for a plain output token of a small standard call."""
        return _picos(self.standard.base.output)

    def scheme(self, tier: ServiceTier, fast: bool = False) -> Scheme | None:
        """The rates of a mode of service; None: no price is known for it."""
        if fast:
            # Providers that call a tier fast and ones that have a speed besides: never both at once.
            if tier is ServiceTier.STANDARD or self.fast == self.priority:
                return self.fast
            return None
        modes = {
            ServiceTier.STANDARD: self.standard,
            ServiceTier.BATCH: self.batch,
            ServiceTier.FLEX: self.flex,
            ServiceTier.PRIORITY: self.priority,
        }
        return modes.get(tier)


def cost(reading: Reading, price: Price, aside_price: Callable[[str], Price | None]) -> Nanos | None:
    """What an answer cost, exactly, rounded up once to whole nano-dollars.

    Args:
        aside_price: finds the price of another model of the same provider.

    Returns:
        None when anything was used that no price is known for: a class of units, a service tier, a
        surcharge or another model. Never 0 in place of an unknown price.
    """
    usage = reading.usage
    flat = price.standard._flat
    for bound, long in price.standard._long:
        if usage.input > bound:
            flat = long
    if (
        flat is not None
        and reading.tier is ServiceTier.STANDARD
        and not (reading.asides or reading.fast or reading.regional)
        and not (usage.input_audio or usage.input_image or usage.output_audio or usage.output_image)
        and not (usage.input_video or usage.searches or usage.tool_units)
        and not (usage.characters or usage.audio_ms or usage.images)
    ):
        # The common call: text in, text out.
        whole, cached, short, longer, output = flat
        plain = usage.input - usage.cached - usage.write_5m - usage.write_1h
        picos = plain * whole + usage.cached * cached + usage.output * output
        picos += usage.write_5m * short + usage.write_1h * longer
        return Nanos(-(-picos // 1000))
    return _exact(reading, price, aside_price)


def _exact(reading: Reading, price: Price, aside_price: Callable[[str], Price | None]) -> Nanos | None:
    used = reading.source is not Source.NONE or reading.usage != NOTHING
    bills = [_bill(reading, reading.usage, price, used)]
    for aside in reading.asides:
        other = aside_price(aside.model)
        bills.append(None if other is None else _bill(reading, aside.usage, other, False))
    over, under = 0, 1
    for bill in bills:
        if bill is None:
            return None
        over, under = _sum((over, under), bill)
    return Nanos(-(-over // (under * 1000)))


Exact = tuple[int, int]  # pico-dollars as a fraction: over, under


def _sum(one: Exact, two: Exact) -> Exact:
    return one[0] * two[1] + two[0] * one[1], one[1] * two[1]


def _bill(reading: Reading, usage: Usage, price: Price, used: bool) -> Exact | None:
    scheme = price.scheme(reading.tier, reading.fast)
    if scheme is None or (reading.regional and price.regional is None):
        return None
    rates = scheme.at(usage.input)
    inward = _input_picos(usage, rates)
    outward = _output_picos(usage, rates)
    alone = _alone_picos(usage, rates, max(usage.audio_ms, price.least_audio_ms if usage.audio_ms else 0))
    if inward is None or outward is None or alone is None:
        return None
    regional = price.regional if reading.regional and price.regional is not None else Factor()
    over = scheme.factor.over * regional.over
    under = scheme.factor.under * regional.under
    alone += rates.request * HOUR_MS if used else 0
    return _sum(((inward + outward) * over, under), (alone, HOUR_MS))


HOUR_MS: Final = 3_600_000


def _input_picos(usage: Usage, rates: Rates) -> int | None:
    if not usage.input:
        return 0
    if (whole := rates.input) is None:
        return None
    sound = rates.input_audio if rates.input_audio is not None else rates.cached_audio
    cached_rate = _first(rates.cached, whole)
    write_rate = _first(rates.write_5m, whole)
    rest = usage.input - usage.cached - usage.write_5m - usage.write_1h
    heard = usage.input_audio if sound is not None else 0
    heard_cached = min(usage.cached_audio, usage.cached, heard)
    heard -= heard_cached
    seen = usage.input_image if rates.input_image is not None else 0
    watched = usage.input_video if rates.input_video is not None else 0
    # Where a report splits by kind and by cache without saying how the two overlap, what exceeds the
    # whole must be cached.
    excess = max(0, heard + seen + watched - rest)
    seen_cached = min(excess, seen)
    seen -= seen_cached
    excess = min(excess - seen_cached, heard)
    heard -= excess
    heard_cached += excess
    return (
        max(0, rest - heard - seen - watched) * whole
        + max(0, usage.cached - heard_cached - seen_cached) * cached_rate
        + usage.write_5m * write_rate
        + usage.write_1h * _first(rates.write_1h, write_rate)
        + heard * _first(rates.input_audio, whole)
        + heard_cached * _first(rates.cached_audio, _first(rates.input_audio, whole))
        + watched * _first(rates.input_video, whole)
        + seen * _first(rates.input_image, whole)
        + seen_cached * _first(rates.cached_image, _first(rates.input_image, whole))
    )


def _output_picos(usage: Usage, rates: Rates) -> int | None:
    if not usage.output:
        return 0
    if (whole := rates.output) is None:
        return None
    thought = usage.reasoning if rates.reasoning is not None else 0
    spoken = usage.output_audio if rates.output_audio is not None else 0
    drawn = usage.output_image if rates.output_image is not None else 0
    return (
        max(0, usage.output - thought - spoken - drawn) * whole
        + thought * _first(rates.reasoning, whole)
        + spoken * _first(rates.output_audio, whole)
        + drawn * _first(rates.output_image, whole)
    )


def _alone_picos(usage: Usage, rates: Rates, audio_ms: int) -> int | None:
    """The bill of units that stand alone, times HOUR_MS; None when one of them has no price.

    Characters, sound and images may be a second measure of what the tokens say already: they may lack
    a price where tokens were reported.
    """
    if (usage.searches and rates.search is None) or (usage.tool_units and rates.tool_unit is None):
        return None
    others = ((usage.characters, rates.character), (audio_ms, rates.audio_hour), (usage.images, rates.image))
    if not (usage.input or usage.output) and any(units and rate is None for units, rate in others):
        return None
    picos = (
        usage.searches * _first(rates.search, 0)
        + usage.tool_units * _first(rates.tool_unit, 0)
        + usage.characters * _first(rates.character, 0)
        + usage.images * _first(rates.image, 0)
    )
    return picos * HOUR_MS + audio_ms * _first(rates.audio_hour, 0)


def _picos(rate: int | None) -> Picos | None:
    return None if rate is None else Picos(rate)


def _first(rate: int | None, other: int) -> int:
    return other if rate is None else rate


Flat = tuple[int, int, int, int, int]
"""Rates of plain, cached, written (5 minutes), written (1 hour) and output tokens."""


def _flat(rates: Rates, factor: Factor) -> Flat | None:
    """The rates, if they say all there is to say of a text call; None: see _exact."""
    if factor != Factor() or rates.request or rates.reasoning is not None:
        return None
    if rates.input is None or rates.output is None:
        return None
    write = _first(rates.write_5m, rates.input)
    cached = _first(rates.cached, rates.input)
    return rates.input, cached, write, _first(rates.write_1h, write), rates.output
