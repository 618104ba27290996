"""Advice on routes that work, yet not as they may be read: targets that are never fallen back to."""

from collections.abc import Iterable, Iterator
from itertools import permutations

from gateway.flow import Flow
from gateway.names import Slug
from gateway.upstreams.policy import Policy
from gateway.usage import Price

MOST_LINES = 5
"""Of one route."""


def on_routes(flow: Flow) -> Iterator[str]:
    """A warning for each target of a route after which another one would not be asked, as it is dearer."""
    for name, policy in flow.routes.items():
        if policy.allow_costlier:
            continue
        named = _price(flow, name)
        silent: dict[Slug, list[Slug]] = {}
        for first, following in dict.fromkeys(_pairs(policy)):
            price = _price(flow, following)
            if _dearer(_price(flow, first), price) and (named is None or _dearer(named, price)):
                silent.setdefault(first, []).append(following)
        for first, left_out in list(silent.items())[:MOST_LINES]:
            yield (
                f"routes.{name}: where {first} fails, {', '.join(left_out)} will not be asked, "
                "as a call can cost more there; allow_costlier = true lets it"
            )
        leaves = [_price(flow, leaf) for leaf in dict.fromkeys(policy.leaves())]
        for kind, chain in policy.on.items():
            for target in chain:
                if all(_dearer(leaf, _price(flow, target)) for leaf in leaves):
                    yield (
                        f"routes.{name}.on.{kind}: {target} will not be asked, "
                        "as a call can cost more there; allow_costlier = true lets it"
                    )


def _pairs(policy: Policy) -> Iterator[tuple[Slug, Slug]]:
    """Models of a policy, each with one that may follow it. A router may tell them by follows()."""
    for part in policy.parts.values():
        yield from _pairs(part)
    follows = getattr(policy.router, "follows", None)
    told: Iterable[tuple[Slug, Slug]] = follows() if callable(follows) else permutations(policy.targets, 2)
    for first, following in told:
        for one in _leaves(policy, first):
            for other in _leaves(policy, following):
                yield one, other


def _leaves(policy: Policy, name: Slug) -> Iterable[Slug]:
    part = policy.parts.get(name)
    return (name,) if part is None else part.leaves()


def _price(flow: Flow, name: Slug) -> Price | None:
    found = flow.catalogue.resolve(name)
    return None if found is None else found[0].price


def _dearer(first: Price | None, following: Price | None) -> bool:
    """Whether some call can cost more on the second, as far as both prices are known."""
    if first is None or following is None:
        return False
    pairs = ((following.input_rate, first.input_rate), (following.output_rate, first.output_rate))
    return any(one is not None and other is not None and one > other for one, other in pairs)
