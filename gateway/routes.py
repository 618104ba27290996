"""Routes: builds the policies of a configuration, nested in each other, and checks the names in them.

Wherever a route's table names a target, a whole policy may stand: the name of another route, or a table
with a "use" of its own. The router inside sees a name in its place. The name of a route means the model of
that name inside the route itself, however deep.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from gateway import config as configuration
from gateway import log
from gateway.config import Config, ConfigError, RouteTable
from gateway.contracts import Router
from gateway.errors import Failure
from gateway.names import Slug
from gateway.upstreams.policy import Policy

DEEPEST: Final = 8
"""Policies that may stand inside each other."""

MOST_POLICIES: Final = 5_000
"""In all routes together; a named route counts wherever it stands."""

MOST_TARGETS: Final = 1_000
"""Of one policy."""

_OF_ROUTES: Final = frozenset(RouteTable.model_fields) - {"use"}

Make = Callable[[str, dict[str, Any], str], Router]
"""A router by its name, its keys and the place where they stand. Raises ConfigError."""


def build(config: Config, make: Make, problems: list[str]) -> dict[Slug, Policy]:
    """All routes, each with the policies inside it. Problems are added to problems, each once."""
    told: list[str] = []
    nest = _Nest(config, make, told)
    made = {Slug(name): nest.route(Slug(name), ()) for name in config.routes}
    problems += dict.fromkeys(told)
    return {name: policy for name, policy in made.items() if policy is not None}


def check_names(routes: Mapping[Slug, Policy], serves: Callable[[Slug], bool], problems: list[str]) -> None:
    """Tell of every name that leads nowhere.

    Args:
        serves: whether a configured provider serves a model of that name.
    """
    told: list[str] = []
    for name, policy in routes.items():
        for path, target in _named(policy, routes, (name,)):
            if serves(target):
                continue
            if target == name:
                way = " > ".join((*path, target))
                told.append(f"routes.{name}: leads back to itself ({way}), and no model has its name")
            elif len(path) == 1:
                told.append(f"routes.{name}: no configured provider serves the model {target}")
        beside = [one for names in policy.on.values() for one in names]
        if policy.baseline is not None:
            beside.append(policy.baseline)
        for target in beside:
            if not serves(target):
                hint = "; a route cannot stand here" if target in routes else ""
                told.append(f"routes.{name}: no configured provider serves the model {target}{hint}")
    problems += dict.fromkeys(told)


def _named(
    policy: Policy, routes: Mapping[Slug, Policy], path: tuple[Slug, ...]
) -> Iterator[tuple[tuple[Slug, ...], Slug]]:
    """Every model that a policy names, with the routes that it stands in."""
    for name in policy.targets:
        part = policy.parts.get(name)
        if part is None:
            yield path, name
        else:
            yield from _named(part, routes, (*path, name) if name in routes else path)


class _Nest:
    """Builds policies and those inside them."""

    def __init__(self, config: Config, make: Make, problems: list[str]) -> None:
        self._config = config
        self._make = make
        self._problems = problems
        self._count = 0

    def route(self, name: Slug, around: tuple[Slug, ...], depth: int = 1) -> Policy | None:
        """A route by its name.

        Args:
            around: the routes that this one stands in. Their names mean models here.
        """
        table = self._config.routes[name]
        keys = configuration.plugin_keys(table)
        policy = self._policy(name, f"routes.{name}", table.use, keys, (*around, name), depth)
        if policy is None:
            return None
        return replace(
            policy,
            baseline=Slug(table.baseline) if table.baseline else None,
            allow_costlier=table.allow_costlier,
            on={Failure(kind): tuple(Slug(one) for one in names) for kind, names in table.on.items()},
        )

    def _policy(
        self, name: Slug, place: str, use: str, keys: dict[str, Any], around: tuple[Slug, ...], depth: int
    ) -> Policy | None:
        self._count += 1
        if depth > DEEPEST:
            self._problems.append(f"{place}: more than {DEEPEST} policies stand inside each other")
            return None
        if self._count > MOST_POLICIES:
            self._problems.append(f"routes: more than {MOST_POLICIES} policies, nested ones included")
            return None
        before = len(self._problems)
        parts: dict[Slug, Policy] = {}
        keys = {
            key: self._taken_out(value, f"{place}.{key}", name, around, depth, parts)
            for key, value in keys.items()
        }
        try:
            router = self._make(use, keys, place)
        except ConfigError as error:
            self._problems += error.problems
        if len(self._problems) > before:
            return None
        targets = self._targets(router, place)
        for target in targets:
            if target in self._config.routes and target not in around and target not in parts:
                part = self.route(target, around, depth + 1)
                if part is not None:
                    parts[target] = part
        if len(self._problems) > before:
            return None
        by_prompt = getattr(router, "by_prompt", None) is True
        by_prompt = by_prompt or any(part.by_prompt for part in parts.values())
        keeps_order = getattr(router, "keeps_order", None) is True
        usual = getattr(router, "usual", None)
        return Policy(
            name=name,
            router=router,
            targets=targets,
            parts=parts,
            by_prompt=by_prompt,
            keeps_order=keeps_order,
            usual=usual if usual in targets and usual not in parts else None,
        )

    def _taken_out(
        self,
        value: Any,
        place: str,
        outer: Slug,
        around: tuple[Slug, ...],
        depth: int,
        parts: dict[Slug, Policy],
    ) -> Any:
        """The same with a name in the place of each table that is a policy; parts takes the policies."""
        if isinstance(value, list):
            return [
                self._taken_out(one, f"{place}.{number}", outer, around, depth, parts)
                for number, one in enumerate(value)
            ]
        if not isinstance(value, dict):
            return value
        if "use" not in value:
            return {
                key: self._taken_out(one, f"{place}.{key}", outer, around, depth, parts)
                for key, one in value.items()
            }
        name = self._free_name(outer, parts)
        use, rest = value["use"], {key: one for key, one in value.items() if key != "use"}
        if not isinstance(use, str):
            self._problems.append(f"{place}.use: is the name of a policy, in quotes")
            return name
        for key in sorted(_OF_ROUTES.intersection(rest)):
            del rest[key]
            self._problems.append(
                f"{place}.{key}: belongs to the table of a route, not to a policy inside it"
            )
        part = self._policy(name, place, use, rest, around, depth + 1)
        if part is not None:
            parts[name] = part
        return name

    def _free_name(self, outer: Slug, parts: Mapping[Slug, Policy]) -> Slug:
        """For a policy without one: that of the policy around it, with a number."""
        number = len(parts) + 1
        while True:
            name = Slug(f"{outer[:100]}.{number}")
            if name not in parts and name not in self._config.routes and name not in self._config.models:
                return name
            number += 1

    def _targets(self, router: Router, place: str) -> tuple[Slug, ...]:
        """What a router chooses among; empty, and the problem told, where that is nothing."""
        try:
            told = router.targets()
            names = tuple(islice((Slug(one) for one in told), MOST_TARGETS + 1))
        except Exception as failure:  # another package's code
            self._problems.append(f"{place}: its targets cannot be told ({log.kind(failure)})")
            return ()
        if not names:
            self._problems.append(f"{place}: names no target")
        if len(names) > MOST_TARGETS:
            self._problems.append(f"{place}: names more than {MOST_TARGETS} targets")
        return tuple(dict.fromkeys(names))
