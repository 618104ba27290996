"""Stage 3: which targets, in which order, and why."""

import random
from collections.abc import Mapping

from gateway import log
from gateway.accounts import scopes
from gateway.contracts import Call, Candidate, Question, Router
from gateway.errors import CallerError, GatewayError, NoRoute, OverLimit
from gateway.exchange import Estimate, Exchange, Plan, Target
from gateway.names import Slug
from gateway.upstreams.catalogue import Catalogue

REQUESTED = Slug("requested")
POLICY_FAILED = Slug("policy_failed")


class Route:
    """Turns a model's name, or a route's, into targets.

    Args:
        routers: the configured routes by name.
        refuse_unpriced: leave out targets without a price ([prices] unknown = "refuse").
    """

    def __init__(
        self, catalogue: Catalogue, routers: Mapping[Slug, Router], estimate: Estimate, refuse_unpriced: bool
    ) -> None:
        self._catalogue = catalogue
        self._routers = routers
        self._estimate = estimate
        self._refuse_unpriced = refuse_unpriced

    async def __call__(self, exchange: Exchange) -> None:
        """Reads call, caller, labels. Fills plan.

        Raises:
            NoRoute: unknown_model.
            CallerError: cannot_translate, no target speaks the caller's dialect.
            NotAllowed: not_allowed, the key may not use any of the targets.
            OverLimit: unpriced_model.
        """
        plan, _ = self.explain(exchange)
        if isinstance(plan, GatewayError):
            raise plan
        exchange.plan = plan

    def explain(self, exchange: Exchange) -> tuple[Plan | GatewayError, list[tuple[Slug, Slug]]]:
        """The plan for an exchange whose caller, call and labels are known, or why there is none.

        Returns:
            The plan or the error, and what was left out of it: target and code of the reason.
        """
        call = exchange.call
        router = self._routers.get(Slug(call.model)) if call.model in self._routers else None
        if router is not None and not call.tags.route_off:
            return self._routed(exchange, Slug(call.model), router)
        found = self._catalogue.resolve(call.model, exchange.prefers)
        if found is None:
            return NoRoute("unknown_model"), []
        target, asked = found
        error = self._unfit(exchange, target, call.model)
        if error is not None:
            return error, [(target.name, error.code)]
        return Plan(targets=(target,), reason=REQUESTED, requested=target, asked=asked), []

    def _routed(
        self, exchange: Exchange, name: Slug, router: Router
    ) -> tuple[Plan | GatewayError, list[tuple[Slug, Slug]]]:
        targets: dict[Slug, Target] = {}
        excluded: list[tuple[Slug, Slug]] = []
        first_error: GatewayError | None = None
        for text in router.targets():
            found = self._catalogue.resolve(text)
            error = self._unfit(exchange, found[0], name) if found else NoRoute("unknown_model")
            if found is None or error is not None:
                excluded.append((Slug(text), (error or NoRoute("unknown_model")).code))
                first_error = first_error or error
            else:
                targets[Slug(text)] = found[0]
        if not targets:
            return first_error or NoRoute("unknown_model"), excluded
        order, reason = self._ask(exchange, router, targets)
        return Plan(targets=tuple(targets[one] for one in order), reason=reason, asked=name), excluded

    def _ask(
        self, exchange: Exchange, router: Router, targets: Mapping[Slug, Target]
    ) -> tuple[tuple[Slug, ...], Slug]:
        question = Question(
            kind=exchange.call.kind,
            shape=exchange.call.shape,
            labels=exchange.labels,
            tags=exchange.call.tags,
            key=exchange.caller.key_id,
            candidates={name: self._candidate(exchange.call, target) for name, target in targets.items()},
            seed=random.getrandbits(32),
        )
        try:
            choice = router.plan(question)
            order = tuple(dict.fromkeys(Slug(name) for name in choice.order if name in targets))
            reason = Slug(choice.reason)
        except Exception as failure:  # a plugin's mistake costs its choice, never a call
            log.fact("route.failed", log.Level.WARNING, error=log.kind(failure), place=log.place(failure))
            return tuple(targets), POLICY_FAILED
        return (order, reason) if order else (tuple(targets), POLICY_FAILED)

    def _candidate(self, call: Call, target: Target) -> Candidate:
        price = target.price
        return Candidate(
            name=target.name,
            healthy=True,
            input_price=price.input_rate if price else None,
            output_price=price.output_rate if price else None,
            estimate=self._estimate(call, target),
        )

    def _unfit(self, exchange: Exchange, target: Target, asked: str) -> GatewayError | None:
        refusal = scopes.check_target(exchange.caller.rights, target.provider_name, target.model, asked)
        if refusal is not None:
            return refusal
        if exchange.call.dialect not in target.provider.speaks:
            return CallerError("cannot_translate")
        if target.price is None and self._refuse_unpriced:
            return OverLimit("unpriced_model")
        return None
