"""Which target serves a model's name: the configuration first, then the price book's catalogue."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock
from gateway.contracts import Shape
from gateway.dialects.models import Listed
from gateway.exchange import Target
from gateway.ledger.prices import PriceBook
from gateway.names import UNKNOWN, Slug, is_name
from gateway.upstreams.data_policies import POLICIES, policy_of
from gateway.upstreams.pool import Loaded, Pool

TOOLS: Final = Slug("tools")
VISION: Final = Slug("vision")

REMEMBERED = 4096
"""Resolved names that are kept; beyond that all are forgotten and found again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model named in the configuration.

    Attributes:
        model: the provider's own name for it.
        context: the most tokens it takes, with its answer. tools, vision: whether it takes tools and
            pictures. None: not said.
    """

    name: Slug
    provider: Slug
    model: str
    tier: Slug | None = None
    context: int | None = None
    tools: bool | None = None
    vision: bool | None = None
    policy: Slug | None = None  # what its provider does with content, as the configuration says


@dataclass(frozen=True, slots=True)
class _Place:
    loaded: Loaded
    model: str
    name: Slug
    asked: Slug
    tier: Slug | None
    policy: Slug | None


class Catalogue:
    """Finds targets by name. Only names the configuration or the price book knows are ever stored."""

    def __init__(self, pool: Pool, book: PriceBook, models: Mapping[Slug, Model], clock: Clock) -> None:
        self._pool = pool
        self._book = book
        self._models = models
        self._clock = clock
        told = models.values()
        self._contexts = {(one.provider, one.model): one.context for one in told if one.context is not None}
        self._without_tools = {(one.provider, one.model) for one in told if one.tools is False}
        self._without_vision = {(one.provider, one.model) for one in told if one.vision is False}
        self._places: dict[tuple[str, Slug | None], _Place | None] = {}
        self._found: dict[tuple[str, Slug | None], tuple[Target, Slug]] = {}
        self._policies = _said(models)

    def resolve(self, asked: str, prefers: Slug | None = None) -> tuple[Target, Slug] | None:
        """The target that serves a name, and the name as a record may show it.

        Args:
            asked: the client's text: a model, or "provider/model".
            prefers: the provider tried first for a bare model name.
        """
        key = (asked, prefers)
        if key in self._places:
            place = self._places[key]
        else:
            if len(self._places) >= REMEMBERED:
                self._places.clear()
                self._found.clear()
            place = self._places[key] = self._find(asked, prefers)
        if place is None:
            return None
        price = self._book.find(place.loaded.name, place.model, self._clock.now_us())
        found = self._found.get(key)
        if found is not None and found[0].price is price:
            return found
        target = Target(
            name=place.name,
            provider_name=place.loaded.name,
            provider=place.loaded.provider,
            model=place.model,
            exit=place.loaded.exit,
            price=price,
            tier=place.tier,
            policy=place.policy,
        )
        found = self._found[key] = (target, place.asked)
        return found

    def listed(self) -> Iterator[Listed]:
        """Every model that is offered: the configuration's by name, then each provider's."""
        seen: set[str] = set()
        for model in sorted(self._models.values(), key=lambda one: one.name):
            seen |= {model.name, model.model, f"{model.provider}/{model.model}"}
            yield self._listed(model.name, model.provider, model.model)
        for loaded in self._pool.all():
            for name in self._book.models(loaded.name):
                public = name if self._book.home(name) == loaded.name else f"{loaded.name}/{name}"
                if public not in seen and is_name(public):
                    yield self._listed(Slug(public), loaded.name, name)

    def max_output(self, target: Target) -> int | None:
        """The most tokens the target's model writes, where known."""
        limits = self._book.limits(target.provider_name, target.model)
        return limits[1] if limits else None

    def context(self, target: Target) -> int | None:
        """The most tokens the target's model takes, where known."""
        if self._contexts and (told := self._contexts.get((target.provider_name, target.model))) is not None:
            return told
        limits = self._book.limits(target.provider_name, target.model)
        return limits[0] if limits else None

    def lacks(self, target: Target, shape: Shape) -> Slug | None:
        """What a call needs and the target's model is known not to take: tools or vision."""
        if shape.tools and (target.provider_name, target.model) in self._without_tools:
            return TOOLS
        if shape.images and (target.provider_name, target.model) in self._without_vision:
            return VISION
        return None

    def _listed(self, name: Slug, provider: Slug, model: str) -> Listed:
        limits = self._book.limits(provider, model) or (None, None)
        price = self._book.find(provider, model, self._clock.now_us())
        return Listed(
            name=name,
            provider=provider,
            context=limits[0],
            max_output=limits[1],
            input_price=price.input_rate if price else None,
            output_price=price.output_rate if price else None,
        )

    def _find(self, asked: str, prefers: Slug | None) -> _Place | None:
        if is_name(asked) and (model := self._models.get(Slug(asked))) is not None:
            loaded = self._pool.get(model.provider)
            if loaded is not None:
                return _Place(
                    loaded,
                    model.model,
                    _join(loaded, model.model),
                    model.name,
                    model.tier,
                    self._policy(loaded, model.model),
                )
        if prefers is not None and (loaded := self._pool.get(prefers)) and self._knows(loaded, asked):
            return self._place(loaded, asked, asked)
        home = self._book.home(asked)
        at_home = self._pool.get(home) if home is not None else None
        if at_home is not None and self._knows(at_home, asked):
            return self._place(at_home, asked, asked)
        provider, slash, model_name = asked.partition("/")
        if slash and model_name and (loaded := self._pool.get(provider)):
            return self._place(loaded, model_name, asked)
        if at_home is not None:
            return self._place(at_home, asked, asked)
        if prefers is not None and (loaded := self._pool.get(prefers)):
            return self._place(loaded, asked, asked)
        return None

    def _place(self, loaded: Loaded, model: str, asked: str) -> _Place:
        canonical = self._book.canonical(loaded.name, model)
        policy = self._policy(loaded, model)
        if canonical is None:
            return _Place(loaded, model, Slug(f"{loaded.name}/{UNKNOWN}"), UNKNOWN, None, policy)
        name = _join(loaded, canonical)
        known = Slug(asked) if canonical == model and is_name(asked) else name
        return _Place(loaded, model, name, known, None, policy)

    def _policy(self, loaded: Loaded, model: str) -> Slug | None:
        """What the configuration says of the model, else of its provider, else what is known."""
        said = self._policies.get((loaded.name, model), loaded.policy)
        if said is not None:
            return said
        return policy_of(loaded.use, loaded.host, model, answers_itself=loaded.answers_itself)

    def _knows(self, loaded: Loaded, model: str) -> bool:
        return self._book.canonical(loaded.name, model) is not None


def _said(models: Mapping[Slug, Model]) -> dict[tuple[Slug, str], Slug]:
    """Data policies by provider and model. Of two for one model the looser holds, whatever its name."""
    said: dict[tuple[Slug, str], Slug] = {}
    for model in models.values():
        if model.policy is not None:
            place = (model.provider, model.model)
            said[place] = min(said.get(place, model.policy), model.policy, key=POLICIES.index)
    return said


def _join(loaded: Loaded, model: str) -> Slug:
    text = f"{loaded.name}/{model}"
    return Slug(text) if is_name(text) else Slug(f"{loaded.name}/{UNKNOWN}")
