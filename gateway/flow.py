"""Flow: everything that the configuration decides about calls, built anew at each reload.

A call keeps the flow it began with; the process keeps what must outlive a reload (store, journal,
ledger, directory, listeners) in gateway.app.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, cast
from urllib.parse import urlsplit

from gateway import config as configuration
from gateway import log, outcomes, plugins
from gateway import routes as routing
from gateway.accounts.directory import Directory
from gateway.accounts.vault import host_of
from gateway.clock import Clock
from gateway.config import Config, ConfigError, Upstream
from gateway.content import Secret
from gateway.contracts import Call, Cell, Classifier, Exit, Learner, Observer, Router
from gateway.edge.guard import check_url
from gateway.errors import UpstreamError
from gateway.exchange import Estimate, Exchange, Target
from gateway.ledger import estimate, prices
from gateway.ledger.allowance import Allowance
from gateway.ledger.charges import Charges
from gateway.ledger.journal import Journal
from gateway.ledger.ledger import Ledger
from gateway.ledger.prices import PriceBook
from gateway.names import Slug
from gateway.pipeline import Pipeline
from gateway.stages.auth import Auth
from gateway.stages.classify import Classify
from gateway.stages.count import Count
from gateway.stages.forward import Bounds, Forward, Translate
from gateway.stages.limit import Limit
from gateway.stages.listing import Listing
from gateway.stages.record import Keep, Recording
from gateway.stages.route import Route
from gateway.translation.bridge import Passage, bridge
from gateway.translation.tongue import Aim, Reply
from gateway.upstreams.breaker import Rules
from gateway.upstreams.catalogue import Catalogue, Model
from gateway.upstreams.gate import Gate
from gateway.upstreams.health import Health
from gateway.upstreams.policy import Policies, Policy, Troubles
from gateway.upstreams.pool import EVEN, Credential, Loaded, Pool, Share
from gateway.upstreams.relay import Relay
from gateway.usage import Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """What outlives a reload, as the flow needs it.

    exit_for: the way to a provider's host, by its base URL and whether private addresses are fine.
    stored: the credentials kept in the store for a provider, by its name and host.
    troubles: how often routes were served without their policies.
    """

    clock: Clock
    directory: Directory
    ledger: Ledger
    journal: Journal
    keep: Keep
    observers: tuple[Observer, ...]
    exit: Exit
    stored: Callable[[Slug, str], list[Credential]]
    troubles: Troubles = field(default_factory=Troubles)
    health: Health | None = None  # what is known of the targets; None: begin anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One configuration at work."""

    config: Config
    pool: Pool
    book: PriceBook
    catalogue: Catalogue
    routes: Mapping[Slug, Policy]
    classify: Classify
    route: Route
    measure: Estimate
    translate: Translate
    pipeline: Pipeline


def build(config: Config, lasting: Lasting) -> Flow:
    """A flow for a configuration.

    Raises:
        ConfigError: a plugin is missing or its own keys are wrong; all such problems at once.
    """
    problems: list[str] = []
    loaded = _providers(config, lasting, problems)
    routes = _routes(config, problems)
    classifiers = _classifiers(config, problems)
    book, models = _prices(config, problems)
    if problems:
        raise ConfigError(problems)
    clock = lasting.clock
    pool = Pool(loaded, clock, config.upstream.breaker)
    catalogue = Catalogue(pool, book, models, clock)
    routing.check_names(routes, lambda name: catalogue.resolve(name) is not None, problems)
    if problems:
        raise ConfigError(problems)
    upstream = config.upstream
    gate = Gate(pool, lasting.health or Health(clock), clock, _rules(upstream))
    measure = _estimate(config, catalogue)
    charges = Charges(book, clock)
    record = Recording(lasting.ledger, charges, lasting.keep, lasting.observers, clock)
    classify = Classify(classifiers, clock, config.classify.time)
    route = Route(
        catalogue,
        routes,
        Policies(clock, round(config.routing.policy_time * 1e9), lasting.troubles),
        gate,
        measure,
        guess=estimate.guess_input,
        spent=lambda caller: lasting.ledger.used(caller),  # a rehearsal has no ledger
        refuse_unpriced=config.prices.unknown == "refuse",
    )
    allowance = Allowance(lasting.ledger, lasting.journal, measure, charges, record.opening)
    relay = Relay(
        charges,
        clock,
        whole_bytes=upstream.whole_answer,
        peek_bytes=upstream.peek,
        peek_s=upstream.peek_time,
    )
    translate = _translate(config, catalogue, clock)
    forward = Forward(gate, relay, translate, allowance, catalogue.context, clock, _bounds(upstream))
    pipeline = Pipeline(
        Auth(lasting.directory, clock, frozenset(Slug(name) for name in config.records.features)),
        Listing(catalogue),
        (classify, route, Limit(allowance), Count(estimate.guess_input), forward),
        record,
    )
    return Flow(
        config=config,
        pool=pool,
        book=book,
        catalogue=catalogue,
        routes=routes,
        classify=classify,
        route=route,
        measure=measure,
        translate=translate,
        pipeline=pipeline,
    )


def learners(flow: Flow) -> list[Policy]:
    """The policies whose routers learn from outcomes, also those inside others."""
    found: list[Policy] = []
    waiting = list(flow.routes.values())
    while waiting:
        policy = waiting.pop()
        waiting += policy.parts.values()
        if callable(getattr(policy.router, "learn", None)):
            found.append(policy)
    return found


def teach(flow: Flow, cells: Sequence[Cell]) -> None:
    """Hand outcomes to all learners, by their own targets' names; one that raises keeps what it knew."""
    for policy in learners(flow):
        names = {
            found[0].name: target
            for target in policy.targets
            if (found := flow.catalogue.resolve(target)) is not None
        }
        try:
            cast(Learner, policy.router).learn(outcomes.renamed(cells, names))
        except Exception as failure:  # a plugin's mistake costs what it would have learnt
            log.fact(
                "route.unteachable", log.Level.WARNING, error=log.kind(failure), place=log.place(failure)
            )


def _rules(upstream: Upstream) -> Rules | None:
    if not upstream.breaker:
        return None
    return Rules(
        failures=upstream.breaker_failures,
        window_ns=round(upstream.breaker_window * 1e9),
        rest_ns=round(upstream.breaker_rest * 1e9),
    )


def _bounds(upstream: Upstream) -> Bounds:
    first_byte_s = upstream.connect_timeout + upstream.wait_timeout
    first_byte_s += upstream.first_byte_timeout + upstream.gap_timeout
    return Bounds(
        attempts=upstream.attempts,
        call_s=upstream.call_timeout,
        first_byte_s=first_byte_s,
        pause_s=upstream.retry_pause,
        error_bytes=upstream.error_answer,
    )


def refresh_credentials(flow: Flow, lasting: Lasting) -> None:
    """Take over the store's credentials, after they changed."""
    for loaded in flow.pool.all():
        if not loaded.configured:
            loaded.credentials = lasting.stored(loaded.name, loaded.host)


def _providers(config: Config, lasting: Lasting, problems: list[str]) -> dict[Slug, Loaded]:
    loaded: dict[Slug, Loaded] = {}
    for name, table in config.providers.items():
        slug = Slug(name)
        keys = configuration.plugin_keys(table)
        made = _construct("gateway.providers", table.use or name, keys, f"providers.{name}", problems)
        if made is None:
            continue
        provider, options = made
        base_url = str(getattr(options, "base_url", ""))
        host = host_of(base_url) if base_url else ""
        sources = ([table.api_key] if table.api_key else []) + list(table.api_keys)
        credentials = [
            _credential(slug, number, secret, source)
            for number, source in enumerate(sources, 1)
            if (secret := source.read()) is not None
        ]
        answers_itself = callable(getattr(provider, "open", None))
        loaded[slug] = Loaded(
            name=slug,
            provider=provider,
            exit=provider if answers_itself else lasting.exit,
            host=host,
            credentials=credentials or lasting.stored(slug, host),
            configured=bool(credentials),
            needs_key=table.needs_key and not answers_itself,
            use=table.use or name,
            policy=Slug(table.data_policy) if table.data_policy else None,
        )
    return loaded


def blocked_places(config: Config) -> list[str]:
    """A problem for each provider whose base_url no call could reach: the guard would refuse it.

    Names are not resolved here; what they lead to is looked at when a connection is made.
    """
    problems = []
    for name, table in config.providers.items():
        try:
            _, options = construct(
                "gateway.providers", table.use or name, configuration.plugin_keys(table), ""
            )
        except ConfigError:
            continue  # told elsewhere
        base_url = str(getattr(options, "base_url", ""))
        listed = {origin_of(base_url)} if table.allow_private else set()
        try:
            if base_url:
                check_url(base_url, frozenset(origin for origin in listed if origin is not None))
        except UpstreamError as error:
            problems.append(f"providers.{name}.base_url: {_BLOCKED[error.about or 'url']}")
    return problems


_BLOCKED: Final = {
    "address": "is on loopback or another special network; if that is meant, set allow_private = true",
    "scheme": "is not https; for a server of your own, set allow_private = true",
    "host": "has no plain host name or address",
    "port": "has no valid port",
    "url": "is no plain URL such as https://api.example.com/v1",
}


def origin_of(url: str) -> tuple[str, int] | None:
    """Host and port of a URL; None where it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None


def _credential(provider: Slug, number: int, secret: Secret, source: Any) -> Credential:
    share = EVEN
    if isinstance(source, configuration.KeyRef):
        bears = Share(
            weight=source.weight, calls_per_minute=source.calls_per_minute, open_calls=source.open_calls
        )
        share = bears if bears != EVEN else EVEN
    return Credential(Slug(f"{provider}/{number}"), lambda: secret, share)


def _routes(config: Config, problems: list[str]) -> dict[Slug, Policy]:
    load = lru_cache(plugins.load)  # to look through what is installed takes milliseconds

    def make(use: str, keys: dict[str, Any], place: str) -> Router:
        router: Router = construct("gateway.routers", use, keys, place, load)[0]
        return router

    return routing.build(config, make, problems)


def _classifiers(config: Config, problems: list[str]) -> list[Classifier]:
    made = [
        _construct(
            "gateway.classifiers",
            name,
            config.classify.options.get(name, {}),
            f"classify.{name}",
            problems,
        )
        for name in config.classify.use
    ]
    return [one[0] for one in made if one is not None]


def construct(
    group: str, name: str, table: dict[str, Any], place: str, load: Callable[[str, str], Any] = plugins.load
) -> tuple[Any, Any]:
    """A plugin and its options.

    Args:
        table: the plugin's own keys, as they stand in the configuration.
        place: where they stand, for the problems.

    Raises:
        ConfigError: the plugin is missing, its keys are wrong, or it fails when it is made.
    """
    try:
        kind = load(group, name)
        options = configuration.parse_options(kind.Config, table, place)
        return kind(options), options
    except plugins.PluginError as error:
        raise ConfigError([f"{place}: {error}"]) from None
    except ValueError as error:  # a plugin's own check of its values; the text is the plugin author's
        raise ConfigError([f"{place}: {error}"]) from None
    except ConfigError:
        raise
    except Exception as failure:  # another package's code: what it raises may quote anything
        where = f"{log.kind(failure)} at {log.place(failure)}"
        raise ConfigError([f"{place}: the plugin {name} cannot be made ({where})"]) from None


def _construct(
    group: str, name: str, table: dict[str, Any], place: str, problems: list[str]
) -> tuple[Any, Any] | None:
    """The same; None, and the problems told, when there is something wrong."""
    try:
        return construct(group, name, table, place)
    except ConfigError as error:
        problems += error.problems
        return None


def _prices(config: Config, problems: list[str]) -> tuple[PriceBook, dict[Slug, Model]]:
    overrides = {}
    models: dict[Slug, Model] = {}
    said: dict[str, dict[tuple[str, str], Any]] = {key: {} for key in ("price", "context", "tools", "vision")}
    for name, table in config.models.items():
        if table.provider not in config.providers:
            problems.append(f"models.{name}.provider: no such provider is configured")
            continue
        model = table.model or name
        models[Slug(name)] = Model(
            name=Slug(name),
            provider=Slug(table.provider),
            model=model,
            tier=Slug(table.tier) if table.tier else None,
            context=table.context,
            tools=table.tools,
            vision=table.vision,
            policy=Slug(table.data_policy) if table.data_policy else None,
        )
        for key, known in said.items():
            value = getattr(table, key)
            if value is not None and known.setdefault((table.provider, model), value) != value:
                problems.append(
                    f"models.{name}.{key}: {table.provider}/{model} has another {key} in another table"
                )
    for (provider, model), price in said["price"].items():
        try:
            overrides[provider, model] = prices.price_from_config(price)
        except ValueError as error:
            problems.append(f"models.{model}.price: {error}")
    aliases = {name: table.use for name, table in config.providers.items() if table.use not in (None, name)}
    return PriceBook.bundled().with_aliases(aliases).with_overrides(overrides), models


def _translate(config: Config, catalogue: Catalogue, clock: Clock) -> Translate:
    ceiling, strict = config.limits.max_output_tokens, config.translation.strict

    def translate(exchange: Exchange, target: Target) -> Passage | None:
        call = exchange.call
        to = bridge(call, target.provider.speaks)
        if to is None or to == call.dialect:
            return None
        aim = Aim(model=target.model, max_output=catalogue.max_output(target) or ceiling)
        reply = Reply(id=exchange.id, model=call.model, created_s=clock.now_us() // 10**6, call=call)
        return Passage(call, to, aim, reply, strict or call.tags.strict)

    return translate


def _estimate(config: Config, catalogue: Catalogue) -> Estimate:
    limits = config.limits

    def measure(call: Call, target: Target) -> Nanos | None:
        return estimate.most(
            call,
            target.price,
            model_output=catalogue.max_output(target),
            ceiling_output=limits.max_output_tokens,
            image_tokens=limits.image_tokens,
            file_tokens=limits.file_tokens,
        )

    return measure
