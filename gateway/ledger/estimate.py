"""The most that a call can cost, before it is made; and its likely tokens, where nobody reports them.

The bound rests on bytes: vocabularies are made of bytes, so a text never has more tokens than bytes.
What is not text has a number of its own, from the settings: a picture, a file, what the provider's own
tools read, and text that the provider keeps and the body only points at. These four numbers are
assumptions about the providers, not bounds that hold in all cases. All arithmetic is in integers.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from gateway.content import Document, Purpose
from gateway.contracts import Call, Shape
from gateway.ledger import parts
from gateway.ledger.guess import StreamGuess as StreamGuess
from gateway.ledger.guess import guess_tokens as guess_tokens
from gateway.records import PathKind
from gateway.usage import Factor, Nanos, Price, Rates, Scheme

FREE: Final = frozenset({PathKind.COUNT, PathKind.MODELS, PathKind.MODERATIONS})
"""Kinds that providers answer for nothing."""

SILENT: Final = frozenset({PathKind.EMBEDDINGS})
"""Kinds without output tokens."""

FRAME_TOKENS: Final = 64
"""Tokens that a provider puts around a call. Source: providers' token counting guides, 3 to 20."""

TOOL_FRAME_TOKENS: Final = 1_000
"""Tokens of the instructions a provider adds for tools, once, and for each tool of its own.

Source: Anthropic's tool use pricing, 159 to 804 tokens.
"""

TOOL_READ_TOKENS: Final = 100_000
"""Tokens that one of the provider's own tools may read into a call."""

TOOL_USES: Final = 10
"""Times that one of the provider's own tools may be billed in a call."""

PICTURE_OUTPUT_TOKENS: Final = 20_000
"""Tokens of a picture made. Source: OpenAI's image generation guide, 6,240 at the most."""

AUDIO_MS_PER_BYTE: Final = 2
"""Sound of 4,000 bits a second, less than any accepted format needs."""

PICTURE_GUESS_TOKENS: Final = 1_000
"""Tokens that a picture usually has. Source: providers' vision guides, 85 to 1,600."""

HOUR_MS: Final = 3_600_000

REMEMBERED: Final = 4096
"""Prices whose dearest rates are kept."""


def bound_input(call: Call, *, image_tokens: int = 5_000, file_tokens: int = 100_000) -> int:
    """The most input tokens a call can have.

    Args:
        image_tokens: for one picture, however it is sent.
        file_tokens: for what one file, or one pointer to kept text, brings beyond the body's bytes.
    """
    tree = call.body.open(Purpose.BOUND) if isinstance(call.body, Document) else {}
    return _bound(call, tree, parts.provider_tools(tree), image_tokens, file_tokens)


def most(
    call: Call,
    price: Price | None,
    *,
    model_output: int | None = None,
    ceiling_output: int = 32_768,
    image_tokens: int = 5_000,
    file_tokens: int = 100_000,
) -> Nanos | None:
    """The most a call can cost on a target; None when no price is known for it.

    Args:
        model_output: most tokens the model writes in one answer, where known.
        ceiling_output: what is assumed when neither the call nor the model says it.
        image_tokens, file_tokens: as for bound_input.
    """
    if call.kind in FREE:
        return Nanos(0)
    if price is None:
        return None
    tree = call.body.open(Purpose.BOUND) if isinstance(call.body, Document) else {}
    shape = call.shape
    said = shape.max_output
    output = said if said is not None else model_output if model_output is not None else ceiling_output
    if (
        call.kind in _WORDED
        and _UNUSUAL.isdisjoint(tree)
        and not (shape.images or shape.audio or shape.files or shape.tools)
    ):
        return _most_of_text(shape, price, output)
    return _most_of_all(call, tree, price, output, image_tokens, file_tokens)


_WORDED: Final = frozenset({PathKind.CHAT, PathKind.RESPONSES, PathKind.MESSAGES, PathKind.GENERATE})

_UNUSUAL: Final = frozenset(
    {*parts.HIDDEN, *parts.READING, "tools", "service_tier", "serviceTier", "speed", "inference_geo"}
)
"""Fields without which a call of text has the bound of its text alone."""

_Steps = list[tuple[int, tuple[int, int, int] | None]]
"""Above so many input tokens: the rate of a call, the dearest of tokens in and out; None: not all known."""

_steps: Final[dict[int, tuple[Price, _Steps]]] = {}
"""By the id of a price, which is kept beside so that no other can have its id: to hash one takes long."""


def _most_of_text(shape: Shape, price: Price, output: int) -> Nanos | None:
    """The same as _most_of_all for the common call: text in, text out, at the standard price."""
    known = _steps.get(id(price))
    if known is None:
        if len(_steps) >= REMEMBERED:
            _steps.clear()
        known = _steps[id(price)] = (price, _steps_of(price.standard))
    tokens = shape.body_bytes + FRAME_TOKENS
    made = output * shape.choices if shape.choices > 1 else output
    factor = price.standard.factor
    highest = 0
    for bound, rates in known[1]:
        if tokens > bound:
            if rates is None:
                return None
            alone, inward, outward = rates
            bill = alone - (-(tokens * inward + made * outward) * factor.over // factor.under)
            if bill > highest:
                highest = bill
    return Nanos(-(-highest // 1000))


def _steps_of(scheme: Scheme) -> _Steps:
    return [(bound, _dearest_rates(rates)) for bound, rates in ((-1, scheme.base), *scheme.steps)]


def _dearest_rates(rates: Rates) -> tuple[int, int, int] | None:
    if rates.input is None or rates.output is None:
        return None
    return rates.request, _dearest_inward(rates, False, False, False), _dearest_outward(rates)


def _most_of_all(
    call: Call, tree: Mapping[str, Any], price: Price, output: int, image_tokens: int, file_tokens: int
) -> Nanos | None:
    own_tools = parts.provider_tools(tree)
    tokens = _bound(call, tree, own_tools, image_tokens, file_tokens)
    highest = 0
    for scheme in _schemes(tree, price):
        if scheme is None:
            return None
        for rates in _applicable(scheme, tokens):
            bill = _bill(call, rates, tokens, output, scheme.factor, own_tools * TOOL_USES)
            if bill is None:
                return None
            highest = max(highest, bill)
    if _is_pinned(tree) and price.regional is not None:
        highest = -(-highest * price.regional.over // price.regional.under)
    return Nanos(-(-highest // 1000))


def guess_input(call: Call) -> int:
    """The likely input tokens of a call whose provider reported none. 0 where sound is billed instead."""
    if not isinstance(call.body, Document) or call.kind is PathKind.SPEECH:
        return 0
    tree = call.body.open(Purpose.BOUND)
    text = "\n".join(parts.texts(tree)).encode("utf-8", "surrogatepass")
    tokens = guess_tokens(text) + 4 * call.shape.turns
    return tokens + call.shape.images * PICTURE_GUESS_TOKENS


def _bound(call: Call, tree: Mapping[str, Any], own_tools: int, image_tokens: int, file_tokens: int) -> int:
    shape = call.shape
    tokens = shape.body_bytes + FRAME_TOKENS + shape.images * image_tokens
    tokens += (shape.files + parts.hidden(tree)) * file_tokens
    tokens += own_tools * (TOOL_FRAME_TOKENS + TOOL_READ_TOKENS)
    if shape.tools:
        tokens += TOOL_FRAME_TOKENS
    if shape.images:
        tokens -= sum(map(len, parts.pictures(tree)))
    if shape.audio:
        tokens += parts.sounds_elsewhere(tree) * file_tokens
    return max(tokens, FRAME_TOKENS)


def _schemes(tree: Mapping[str, Any], price: Price) -> list[Scheme | None]:
    """The modes of service that the provider may bill for what the call asks for."""
    tier = tree.get("service_tier", tree.get("serviceTier"))
    if tree.get("speed") == "fast":
        return [price.fast]
    if isinstance(tier, str) and tier.lower() in ("priority", "fast"):
        # A call that asks for more may be served at standard, or, as on some accounts, at no other price.
        return [price.standard, price.priority or price.fast or price.standard]
    return [price.standard]


def _is_pinned(tree: Mapping[str, Any]) -> bool:
    geo = tree.get("inference_geo")
    return isinstance(geo, str) and geo not in ("", "global")


def _applicable(scheme: Scheme, tokens: int) -> list[Rates]:
    return [scheme.base, *(rates for bound, rates in scheme.steps if tokens > bound)]


def _bill(call: Call, rates: Rates, tokens: int, output: int, factor: Factor, tool_uses: int) -> int | None:
    """Pico-dollars, rounded up; None when a class that the call needs has no price."""
    shape = call.shape
    alone = rates.request + tool_uses * max(rates.search or 0, rates.tool_unit or 0)
    if call.kind is PathKind.TRANSCRIPTION and rates.audio_hour is not None:
        alone += -(-shape.body_bytes * AUDIO_MS_PER_BYTE * rates.audio_hour // HOUR_MS)
    elif call.kind is PathKind.SPEECH and rates.character is not None:
        alone += shape.body_bytes * rates.character
    elif call.kind is PathKind.IMAGES and rates.image is not None:
        alone += max(1, shape.inputs) * rates.image
    elif rates.input is None or (rates.output is None and call.kind not in SILENT):
        return None
    made = 0 if call.kind in SILENT else output * max(1, shape.choices)
    if call.kind is PathKind.IMAGES:
        made = max(1, shape.inputs) * PICTURE_OUTPUT_TOKENS
    media = call.kind is PathKind.TRANSCRIPTION or shape.files > 0
    inward = tokens * _dearest_inward(rates, media, media or shape.audio > 0, media or shape.images > 0)
    outward = made * _dearest_outward(rates)
    return alone + -(-(inward + outward) * factor.over // factor.under)


@lru_cache(maxsize=4096)
def _dearest_inward(rates: Rates, video: bool, audio: bool, image: bool) -> int:
    """The dearest rate that input tokens can be billed at. A model that has a price for cache writes may
    write at the provider's own decision, so those always count."""
    applicable = [rates.input, rates.cached, rates.write_5m, rates.write_1h]
    if audio:
        applicable.append(rates.input_audio)
    if image:
        applicable.append(rates.input_image)
    if video:
        applicable.append(rates.input_video)
    return _dearest(applicable)


@lru_cache(maxsize=4096)
def _dearest_outward(rates: Rates) -> int:
    return _dearest((rates.output, rates.reasoning, rates.output_audio, rates.output_image))


def _dearest(rates: Iterable[int | None]) -> int:
    return max((rate for rate in rates if rate is not None), default=0)
