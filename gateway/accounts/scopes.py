"""What a key may do: the grammar of scopes, how the levels of the tree narrow each other, and the checks."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from ipaddress import IPv6Address, ip_address
from typing import Final, TypeVar

from gateway.accounts.grammar import ANY_POLICY, FLOORS, Level, Span
from gateway.content import Content, Purpose
from gateway.contracts import Call, Network, Rights
from gateway.errors import NotAllowed
from gateway.names import Slug
from gateway.usage import Nanos

# Each node of the tree and each key may have scopes. What is allowed in the end is what *every*
# level on the path allows, so that a child can only narrow:
#
#   models, providers     patterns, one group for each level; a name must fit one of each group
#   networks, hours       the same with networks and spans of the UTC day
#   paths, environments   sets; their intersection
#   max_cost, cap, rate, expires   the least
#   floor                 the strictest
#   baseline              no right: the nearest level's
#   store                 a node without it changes nothing, a node with "deny" forbids it to all
#                         below; a key has it only if it says "allow" itself
#
# A level without a scope says nothing about it. A scope that is there closes everything else.

T = TypeVar("T")
N = TypeVar("N", bound=int)

DAY_MINUTES: Final = 24 * 60
_MINUTE_US: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights with the two limits that the ledger keeps: dollars in all, and calls a minute."""

    rights: Rights
    cap: Nanos | None = None
    rate: int | None = None


EVERYTHING: Final = Grant(Rights(may_store=True))


def grant(level: Level, of_key: bool) -> Grant:
    """What one level allows by itself."""
    rights = Rights(
        models=_group(level.models),
        providers=_group(level.providers),
        paths=frozenset(level.paths) or None,
        environments=frozenset(level.environments) or None,
        networks=(tuple(level.networks),) if level.networks else (),
        hours=(tuple(level.hours),) if level.hours else (),
        expires_ms=level.expires_ms,
        max_cost=level.max_cost,
        floor=level.floor,
        may_store=level.store is True if of_key else level.store is not False,
        baseline=level.baseline,
    )
    return Grant(rights, level.cap, level.rate)


def narrow(upper: Grant, lower: Grant) -> Grant:
    """What both allow."""
    one, other = upper.rights, lower.rights
    rights = Rights(
        models=_joined(one.models, other.models),
        providers=_joined(one.providers, other.providers),
        paths=_both(one.paths, other.paths),
        environments=_both(one.environments, other.environments),
        networks=_joined(one.networks, other.networks),
        hours=_joined(one.hours, other.hours),
        expires_ms=_least(one.expires_ms, other.expires_ms),
        max_cost=_least(one.max_cost, other.max_cost),
        floor=_strictest(one.floor, other.floor),
        may_store=one.may_store and other.may_store,
        baseline=other.baseline or one.baseline,
    )
    return Grant(rights, _least(upper.cap, lower.cap), _least(upper.rate, lower.rate))


def intersect(grants: Iterable[Grant]) -> Grant:
    """What every level of a path allows."""
    return reduce(narrow, grants, EVERYTHING)


def allows(groups: tuple[frozenset[str], ...], *names: str) -> bool:
    """Whether each group has a pattern that fits one of the names."""
    return all(any(_fits(pattern, names) for pattern in group) for group in groups)


def allows_model(rights: Rights, provider: str, model: str, asked: str = "") -> bool:
    """Whether a model may be used: under its own name, as "provider/model", or by the name it was asked by.

    asked is the name of a route or a model of the configuration that leads to this target; empty if
    there is none. It must not be given for a target that another model merely falls back to.
    """
    if not rights.models:
        return True
    names = (model, f"{provider}/{model}", asked) if asked else (model, f"{provider}/{model}")
    return allows(rights.models, *names)


def check_call(rights: Rights, call: Call, address: Content, now_us: int) -> NotAllowed | None:
    """What of a key's scopes forbids a call, as far as it can be said before a target is known.

    Args:
        address: the peer's address as text; opened only for a key with networks.
        now_us: Unix time in microseconds.
    """
    if rights.networks and not _is_inside(rights.networks, address):
        return NotAllowed("not_allowed", about="networks")
    if rights.hours and not _is_open(rights.hours, now_us):
        return NotAllowed("not_allowed", about="hours")
    if rights.paths is not None and call.kind not in rights.paths:
        return NotAllowed("not_allowed", about="paths")
    if rights.environments is not None and call.tags.environment not in rights.environments:
        return NotAllowed("not_allowed", about="environments")
    if call.shape.wants_store and not rights.may_store:
        return NotAllowed("store_not_allowed", about="store")
    return None


def check_target(
    rights: Rights, provider: str, model: str, asked: str = "", policy: Slug | None = None
) -> NotAllowed | None:
    """What of a key's scopes forbids a target. To be asked for every target of a plan, fallbacks included.

    Args:
        asked: see allows_model.
        policy: the target's data policy, one of FLOORS; None when not known, which no floor admits.
    """
    if rights.providers and not allows(rights.providers, provider):
        return NotAllowed("not_allowed", about="providers")
    if not allows_model(rights, provider, model, asked):
        return NotAllowed("not_allowed", about="models")
    if rights.floor is not None and _rank(policy) < FLOORS.index(rights.floor):
        return NotAllowed("policy_not_known", about="floor")
    return None


def _fits(pattern: str, names: tuple[str, ...]) -> bool:
    if pattern.endswith("*"):
        start = pattern[:-1]
        return any(name.startswith(start) for name in names)
    return pattern in names


def _is_inside(groups: tuple[tuple[Network, ...], ...], address: Content) -> bool:
    try:
        place = ip_address(address.open(Purpose.AUTH).decode("ascii").partition("%")[0])
    except ValueError:
        return False
    if isinstance(place, IPv6Address) and place.ipv4_mapped is not None:
        place = place.ipv4_mapped
    return all(any(place in network for network in group) for group in groups)


def _is_open(groups: tuple[tuple[Span, ...], ...], now_us: int) -> bool:
    minute = now_us // _MINUTE_US % DAY_MINUTES
    return all(any(_spans(span, minute) for span in group) for group in groups)


def _spans(span: Span, minute: int) -> bool:
    begin, end = span
    if begin < end:
        return begin <= minute < end
    return minute >= begin or minute < end


def _rank(policy: Slug | None) -> int:
    return FLOORS.index(policy) if policy in FLOORS else FLOORS.index(ANY_POLICY)


def _group(patterns: Iterable[str]) -> tuple[frozenset[str], ...]:
    group = frozenset(patterns)
    return (group,) if group else ()


def _joined(one: tuple[T, ...], other: tuple[T, ...]) -> tuple[T, ...]:
    return one + tuple(group for group in other if group not in one)


def _both(one: frozenset[T] | None, other: frozenset[T] | None) -> frozenset[T] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _least(one: N | None, other: N | None) -> N | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _strictest(one: Slug | None, other: Slug | None) -> Slug | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other, key=FLOORS.index)
