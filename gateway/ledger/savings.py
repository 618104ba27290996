"""What a call would have cost with the model it is measured against, and where the difference comes from."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.exchange import Plan, Target
from gateway.names import Slug
from gateway.quick import quick
from gateway.usage import NOTHING, Nanos, Price, Reading, Usage, cost

# Three amounts, each rounded up once to whole nano-dollars by gateway.usage.cost():
#
#   answer     what the attempt that answered cost, as it was billed
#   plain      the same usage on the same model, all input at the plain rate: no prompt cache
#   baseline   the same usage on the model that is measured against, again without a prompt cache
#
# and one that is known: total, what all attempts of the call cost together. Then
#
#   cache      = plain - answer
#   routing    = baseline - plain - (total - answer)
#   cache + routing = baseline - total
#
# for whole numbers, whatever was rounded. What failed attempts cost is a loss of routing. A cache that
# was written and not yet read costs more than it saves: cache is then below 0.

DOWNGRADE = "downgrade"
"""How the reason of a plan begins that a budget made: its part is kept in a column of its own."""

AsidePrice = Callable[[str], Price | None]


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What was saved, by kind. The parts add up to baseline - cost; all are 0 where baseline is None.

    Attributes:
        baseline: what it would have cost; None when that cannot be told.
        model: what it is measured against, as "provider/model"; None when nothing was declared.
        estimated: another model answered, so that the baseline's own answer would have had other tokens.
    """

    baseline: Nanos | None = None
    model: Slug | None = None
    routing: Nanos = Nanos(0)
    downgrade: Nanos = Nanos(0)
    cache: Nanos = Nanos(0)
    estimated: bool = False


UNTOLD = Saving()
"""Something has no known price."""

UNSPENT = Saving(baseline=Nanos(0))
"""Nothing was used."""


def saving(
    plan: Plan,
    target: Target,
    reading: Reading,
    answer: Nanos | None,
    total: Nanos | None,
    answered: bool,
    aside_price: AsidePrice,
) -> Saving:
    """What a call saved.

    Args:
        target, reading, answer: of the attempt that answered: what it used and what that cost.
        total: what all attempts cost.
        answered: the client got what it asked for. A call without an answer is not held against another
            model, which might have answered: only what it lost on the way counts.
        aside_price: finds the price of another model of the same provider.
    """
    other = plan.baseline
    name = other.name if other is not None else None
    if answer is None or total is None:
        return Saving(model=name)
    bare = without_cache(reading)
    if other is target and bare is reading and answer == total:
        return Saving(baseline=answer, model=name)  # the usual call: neither moved, nor cached, nor repeated
    plain = answer if bare is reading else _price(bare, target.price, aside_price)
    baseline = plain
    if answered and other is not None and other.price is not target.price:
        baseline = _price(bare, other.price, aside_price)
    if plain is None or baseline is None:
        return Saving(model=name)
    moved = Nanos(baseline - plain - (total - answer))
    downgraded = plan.reason.startswith(DOWNGRADE)
    return Saving(
        baseline=baseline,
        model=name,
        routing=Nanos(0) if downgraded else moved,
        downgrade=moved if downgraded else Nanos(0),
        cache=Nanos(plain - answer),
        estimated=answered and other is not None and other.model != target.model,
    )


def without_cache(reading: Reading) -> Reading:
    """The same reading as if the provider had no prompt cache; the very same where it used none."""
    if not reading.asides:
        bare = _bare(reading.usage)
        return reading if bare is reading.usage else replace(reading, usage=bare)
    asides = tuple(replace(aside, usage=_bare(aside.usage)) for aside in reading.asides)
    usage = _bare(reading.usage)
    if usage is reading.usage and all(
        one.usage is other.usage for one, other in zip(asides, reading.asides, strict=True)
    ):
        return reading
    return replace(reading, usage=usage, asides=asides)


def _bare(usage: Usage) -> Usage:
    if not (usage.cached or usage.write_5m or usage.write_1h):
        return usage
    return replace(usage, cached=0, write_5m=0, write_1h=0, cached_audio=0)


def _price(reading: Reading, price: Price | None, aside_price: AsidePrice) -> Nanos | None:
    if reading.usage == NOTHING and not reading.asides:
        return Nanos(0)
    return None if price is None else cost(reading, price, aside_price)
