"""Stage 3: which targets, in which order, and why."""

import random
from collections.abc import Callable, Mapping

from gateway.accounts import scopes
from gateway.contracts import Call, Caller, Candidate, Question
from gateway.errors import CallerError, GatewayError, NoRoute, OverLimit
from gateway.exchange import Estimate, Exchange, Plan, Target
from gateway.names import Slug
from gateway.translation.bridge import bridge
from gateway.upstreams import affinity
from gateway.upstreams.catalogue import Catalogue
from gateway.upstreams.gate import Gate
from gateway.upstreams.policy import Policies, Policy

REQUESTED = Slug("requested")

Excluded = list[tuple[Slug, Slug]]
"""What was left out of a plan: target and code of the reason."""


class Route:
    """Turns a model's name, or a route's, into targets.

    Args:
        routes: the configured routes by name.
        guess: the input tokens of a call, more or less.
        spent: thousandths of a caller's tightest budget that are used; None without a budget.
        refuse_unpriced: leave out targets without a price ([prices] unknown = "refuse").
    """

    def __init__(
        self,
        catalogue: Catalogue,
        routes: Mapping[Slug, Policy],
        policies: Policies,
        gate: Gate,
        estimate: Estimate,
        *,
        guess: Callable[[Call], int],
        spent: Callable[[Caller], int | None],
        refuse_unpriced: bool,
    ) -> None:
        self._catalogue = catalogue
        self._routes = routes
        self._policies = policies
        self._gate = gate
        self._estimate = estimate
        self._guess = guess
        self._spent = spent
        self._refuse_unpriced = refuse_unpriced

    async def __call__(self, exchange: Exchange) -> None:
        """Reads call, caller, labels. Fills plan.

        Raises:
            NoRoute: unknown_model.
            CallerError: cannot_translate, no target can be spoken to in the caller's words.
            NotAllowed: not_allowed, the key may not use any of the targets.
            OverLimit: unpriced_model.
        """
        plan, _ = self.explain(exchange)
        if isinstance(plan, GatewayError):
            raise plan
        exchange.plan = plan

    def explain(self, exchange: Exchange) -> tuple[Plan | GatewayError, Excluded]:
        """The plan for an exchange whose caller, call and labels are known, or why there is none.

        Returns:
            The plan or the error, and what was left out of it.
        """
        call = exchange.call
        policy = self._routes.get(Slug(call.model)) if call.model in self._routes else None
        if policy is not None and not call.tags.route_off:
            return self._routed(exchange, policy)
        found = self._catalogue.resolve(call.model, exchange.prefers)
        if found is None:
            return NoRoute("unknown_model"), []
        target, asked = found
        error = self._unfit(exchange, target, call.model)
        if error is not None:
            return error, [(target.name, error.code)]
        return Plan(targets=(target,), reason=REQUESTED, requested=target, asked=asked, baseline=target), []

    def _routed(self, exchange: Exchange, policy: Policy) -> tuple[Plan | GatewayError, Excluded]:
        requested = self._catalogue.resolve(policy.name, exchange.prefers)
        targets, excluded, error = self._fitting(exchange, policy)
        if not targets:
            return error or NoRoute("unknown_model"), excluded
        choice = self._policies.choose(policy, self._question(exchange, policy, requested, targets))
        declared = policy.baseline or exchange.caller.rights.baseline
        baseline = requested or (self._catalogue.resolve(declared) if declared else None)
        return Plan(
            targets=tuple(targets[name] for name in choice.order),
            reason=choice.reason,
            requested=requested[0] if requested else None,
            asked=policy.name,
            baseline=baseline[0] if baseline else None,
            chains={kind: self._chain(exchange, policy, names) for kind, names in policy.on.items()},
            allow_costlier=policy.allow_costlier,
        ), excluded

    def _fitting(
        self, exchange: Exchange, policy: Policy
    ) -> tuple[dict[Slug, Target], Excluded, GatewayError | None]:
        """The models of a policy that can serve the call, the others with their reasons, the first error."""
        targets: dict[Slug, Target] = {}
        excluded: Excluded = []
        first: GatewayError | None = None
        for name in dict.fromkeys(policy.leaves()):
            found = self._catalogue.resolve(name)
            error = self._unfit(exchange, found[0], policy.name) if found else NoRoute("unknown_model")
            if found is not None and error is None:
                targets[name] = found[0]
            elif error is not None:
                excluded.append((name, error.code))
                first = first or error
        return targets, excluded, first

    def _question(
        self,
        exchange: Exchange,
        policy: Policy,
        requested: tuple[Target, Slug] | None,
        targets: Mapping[Slug, Target],
    ) -> Question:
        call, caller = exchange.call, exchange.caller
        named = (name for name, target in targets.items() if requested and target.name == requested[0].name)
        return Question(
            kind=call.kind,
            shape=call.shape,
            labels=exchange.labels,
            tags=call.tags,
            key=caller.key_id,
            candidates={name: self._candidate(call, target) for name, target in targets.items()},
            seed=random.getrandbits(32),
            requested=next(named, None),
            at_us=exchange.at_us,
            tokens=self._guess(call),
            affinity=affinity.of_prompt(call) if policy.by_prompt else None,
            session=affinity.of_name(call.tags.session or caller.key_id),
            spent=self._spent(caller),
        )

    def _chain(self, exchange: Exchange, policy: Policy, names: tuple[Slug, ...]) -> tuple[Target, ...]:
        found = (self._catalogue.resolve(name) for name in names)
        return tuple(one[0] for one in found if one and self._unfit(exchange, one[0], policy.name) is None)

    def _candidate(self, call: Call, target: Target) -> Candidate:
        price, vitals = target.price, self._gate.look(target)
        return Candidate(
            name=target.name,
            healthy=vitals.healthy,
            input_price=price.input_rate if price else None,
            output_price=price.output_rate if price else None,
            estimate=self._estimate(call, target),
            latency_us=vitals.latency_us,
            in_flight=vitals.in_flight,
            tier=target.tier,
        )

    def _unfit(self, exchange: Exchange, target: Target, asked: str) -> GatewayError | None:
        refusal = scopes.check_target(
            exchange.caller.rights, target.provider_name, target.model, asked, target.policy
        )
        if refusal is not None:
            return refusal
        if bridge(exchange.call, target.provider.speaks) is None:
            return CallerError("cannot_translate")
        if target.price is None and self._refuse_unpriced:
            return OverLimit("unpriced_model")
        return None
