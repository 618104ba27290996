"""Stage 3: which targets, in which order, and why."""

import random
from collections.abc import Callable, Mapping
from typing import Final

from gateway.accounts import scopes
from gateway.contracts import Call, Caller, Candidate, Question
from gateway.errors import CallerError, GatewayError, NoRoute, OverLimit
from gateway.exchange import Estimate, Exchange, Plan, Target
from gateway.names import UNKNOWN, Slug
from gateway.translation.bridge import bridge
from gateway.upstreams import affinity
from gateway.upstreams.catalogue import Catalogue
from gateway.upstreams.gate import Gate
from gateway.upstreams.policy import POLICY_FAILED, Policies, Policy

REQUESTED: Final = Slug("requested")
NO_CANDIDATES: Final = Slug("no_candidates")
"""Reason of a plan: none of the route's models can serve the call, so the one that it named does."""

CONTEXT: Final = Slug("context")
"""Reason of an exclusion: the call is longer than what the model is known to take."""

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
            CallerError: cannot_translate, no target can be spoken to in the caller's words; model_lacks, none
                takes what the call brings.
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
        prefers = exchange.prefers
        found = self._catalogue.resolve(call.model, prefers) if policy is None else self._model_of(exchange)
        if found is None:
            return NoRoute("unknown_model"), []
        target, asked = found
        error = self._unfit(exchange, target, call.model)
        if error is not None:
            return error, [(target.name, error.code)]
        return Plan(targets=(target,), reason=REQUESTED, requested=target, asked=asked, baseline=target), []

    def _routed(self, exchange: Exchange, policy: Policy) -> tuple[Plan | GatewayError, Excluded]:
        requested = self._model_of(exchange)
        tokens = self._guess(exchange.call)
        targets, excluded, error = self._fitting(exchange, policy, tokens)
        if targets:
            question = self._question(exchange, policy, requested, targets, tokens)
            choice = self._policies.choose(policy, question)
            order, reason = tuple(targets[name] for name in choice.order), choice.reason
            if reason == POLICY_FAILED:
                order = self._without_policy(exchange, policy, requested) or order
            elif policy.keeps_order and not policy.allow_costlier:
                order = _as_declared(order, policy, targets, question)
        elif requested is not None and self._unfit(exchange, requested[0], policy.name) is None:
            order, reason = (requested[0],), NO_CANDIDATES
        else:
            return error or NoRoute("unknown_model"), excluded
        declared = policy.baseline or exchange.caller.rights.baseline or policy.usual
        baseline = requested or (self._catalogue.resolve(declared) if declared else None)
        return Plan(
            targets=order,
            reason=reason,
            requested=requested[0] if requested else None,
            asked=policy.name,
            baseline=baseline[0] if baseline else None,
            chains={kind: self._chain(exchange, policy, names) for kind, names in policy.on.items()},
            allow_costlier=policy.allow_costlier,
        ), excluded

    def _model_of(self, exchange: Exchange) -> tuple[Target, Slug] | None:
        """The model that has the name of the route that was asked for: a known one, none that a provider
        might have."""
        name = exchange.call.model
        for found in (self._catalogue.resolve(name, exchange.prefers), self._catalogue.resolve(name)):
            if found is not None:
                target, asked = found
                if asked != UNKNOWN or name == f"{target.provider_name}/{target.model}":
                    return found
        return None

    def _without_policy(
        self, exchange: Exchange, policy: Policy, requested: tuple[Target, Slug] | None
    ) -> tuple[Target, ...]:
        """Where a call goes whose policy was not heard: to the model that it named, or else the declared
        baseline; empty where the caller may use neither."""
        declared = self._catalogue.resolve(policy.baseline) if policy.baseline else None
        # That the caller may use the route says nothing of a model beside the route's own.
        inside = policy.name if policy.baseline in tuple(policy.leaves()) else ""
        for found, asked in ((requested, policy.name), (declared, inside)):
            if found is not None and self._unfit(exchange, found[0], asked) is None:
                return (found[0],)
        return ()

    def _fitting(
        self, exchange: Exchange, policy: Policy, tokens: int
    ) -> tuple[dict[Slug, Target], Excluded, GatewayError | None]:
        """The models of a policy that can serve the call, the others with their reasons, the first error."""
        targets: dict[Slug, Target] = {}
        short: dict[Slug, tuple[int, Target]] = {}
        excluded: Excluded = []
        first: GatewayError | None = None
        shape = exchange.call.shape
        needed = tokens + (shape.max_output or 0)
        for name in dict.fromkeys(policy.leaves()):
            found = self._catalogue.resolve(name)
            error = self._unfit(exchange, found[0], policy.name) if found else NoRoute("unknown_model")
            if found is None or error is not None:
                first = first or error
                excluded.append((name, error.code if error else UNKNOWN))
            elif (lack := self._catalogue.lacks(found[0], shape)) is not None:
                first = first or CallerError("model_lacks", about=lack)
                excluded.append((name, lack))
            elif (context := self._catalogue.context(found[0])) is not None and context < needed:
                short[name] = (context, found[0])
                excluded.append((name, CONTEXT))
            else:
                targets[name] = found[0]
        if short and not targets:  # the guess may be too high: the model that takes most may do
            name = max(short, key=lambda name: short[name][0])
            targets[name] = short[name][1]
            excluded.remove((name, CONTEXT))
        return targets, excluded, first

    def _question(
        self,
        exchange: Exchange,
        policy: Policy,
        requested: tuple[Target, Slug] | None,
        targets: Mapping[Slug, Target],
        tokens: int,
    ) -> Question:
        call, caller = exchange.call, exchange.caller
        model = (requested[0].provider_name, requested[0].model) if requested else None
        named = (name for name, target in targets.items() if (target.provider_name, target.model) == model)
        return Question(
            kind=call.kind,
            shape=call.shape,
            labels=exchange.labels,
            tags=call.tags,
            key=caller.key_id,
            candidates={name: self.candidate(call, target) for name, target in targets.items()},
            seed=random.getrandbits(32),
            requested=next(named, None),
            at_us=exchange.at_us,
            tokens=tokens,
            affinity=affinity.of_prompt(call) if policy.by_prompt else None,
            session=affinity.of_name(call.tags.session or caller.key_id),
            spent=self._spent(caller),
        )

    def _chain(self, exchange: Exchange, policy: Policy, names: tuple[Slug, ...]) -> tuple[Target, ...]:
        found = (self._catalogue.resolve(name) for name in names)
        return tuple(
            one[0]
            for one in found
            if one is not None
            and self._unfit(exchange, one[0], policy.name) is None
            and self._catalogue.lacks(one[0], exchange.call.shape) is None
        )

    def candidate(self, call: Call, target: Target) -> Candidate:
        """A target as policies see it now."""
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


def _as_declared(
    order: tuple[Target, ...], policy: Policy, targets: Mapping[Slug, Target], question: Question
) -> tuple[Target, ...]:
    """The same with the declared first target in front again where what was put before it is dearer.

    Then it stays the measure of what may follow: that its breaker opened is no leave to spend more.
    """
    name = next((one for one in policy.targets if one in policy.parts or one in targets), None)
    if name is None or name in policy.parts or targets[name] == order[0]:
        return order
    costs = {targets[one].name: question.candidates[one].estimate for one in targets}
    first, now = costs[targets[name].name], costs[order[0].name]
    if first is None or (now is not None and now <= first):
        return order
    return (targets[name], *(one for one in order if one != targets[name]))
