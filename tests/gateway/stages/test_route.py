"""The route stage: what is left out of a plan and why, the way around routes, and whose scopes hold."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.accounts import scopes
from gateway.content import EMPTY, Content
from gateway.contracts import NO_TAGS, Caller, Choice, Envelope, Labels, Question, Rights, Tags
from gateway.dialects import DIALECTS
from gateway.errors import Failure, GatewayError
from gateway.exchange import Exchange, Plan
from gateway.flow import Flow
from gateway.names import Slug
from gateway.records import PathKind
from gateway.upstreams.policy import POLICY_FAILED
from tests.fakes.flow import CALLER, ListSink, stand

PRICE = {"input": "1", "output": "2"}
LONG = "word " * 2000  # some 2,000 tokens


def model(provider: str = "one", **facts: Any) -> dict[str, Any]:
    return {"provider": provider, "price": PRICE, **facts}


MODELS = {
    "m1": model(),
    "m2": model("two"),
    "small": model(context=100),
    "middle": model("two", context=1000),
    "plain": model(tools=False, vision=False),
    "blind": model("two", vision=False),
}


def built(**tree: Any) -> Flow:
    with tempfile.TemporaryDirectory() as folder:
        return stand(Path(folder), tree={"models": MODELS, "routing": {"policy_time": "1s"}, **tree}).flow


def fallback(*targets: str, **facts: Any) -> dict[str, Any]:
    return {"use": "fallback", "targets": list(targets), **facts}


def asked(
    flow: Flow,
    model: str,
    text: str = "hello",
    *,
    caller: Caller = CALLER,
    tags: Tags = NO_TAGS,
    prefers: str | None = None,
    **body: Any,
) -> tuple[Plan | GatewayError, list[tuple[Slug, Slug]]]:
    tree = {"model": model, "messages": [{"role": "user", "content": text}], **body}
    exchange = Exchange(Slug("req-1"), 1, 1, ListSink(), None, EMPTY)
    envelope = Envelope(kind=PathKind.CHAT, body=Content(orjson.dumps(tree)))
    exchange.call = replace(DIALECTS[Slug("openai_chat")].read_call(envelope), tags=tags)
    exchange.caller = caller
    exchange.labels = Labels()
    exchange.prefers = Slug(prefers) if prefers else None
    return flow.route.explain(exchange)


def planned(flow: Flow, model: str, text: str = "hello", **facts: Any) -> list[str]:
    """Names of the targets at their providers, in order."""
    plan, _ = asked(flow, model, text, **facts)
    assert isinstance(plan, Plan), plan
    return [target.model for target in plan.targets]


def refused(flow: Flow, model: str, text: str = "hello", **facts: Any) -> GatewayError:
    error, _ = asked(flow, model, text, **facts)
    assert isinstance(error, GatewayError)
    return error


TOOLS = {"tools": [{"type": "function", "function": {"name": "f"}}]}
PICTURE = {
    "messages": [
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
        }
    ]
}


# --- exclusions


def test_a_call_longer_than_a_model_takes_goes_to_the_others() -> None:
    flow = built(routes={"auto": fallback("small", "m1")})
    assert planned(flow, "auto") == ["small", "m1"]
    assert planned(flow, "auto", LONG) == ["m1"]
    assert asked(flow, "auto", LONG)[1] == [("small", "context")]


def test_the_answer_that_is_asked_for_counts() -> None:
    flow = built(routes={"auto": fallback("small", "m1")})
    assert planned(flow, "auto", max_tokens=50) == ["small", "m1"]
    assert planned(flow, "auto", max_tokens=100) == ["m1"]


def test_of_models_that_are_all_too_small_the_largest_is_asked() -> None:
    flow = built(routes={"auto": fallback("small", "middle"), "all": fallback("plain", "small", "middle")})
    assert planned(flow, "auto", LONG) == ["middle"]
    assert asked(flow, "auto", LONG)[1] == [("small", "context")]
    assert planned(flow, "all", LONG, **TOOLS) == ["middle"]


def test_a_model_that_is_named_plainly_is_always_sent_to() -> None:
    flow = built()
    for name in ("small", "plain"):
        assert planned(flow, name, LONG, **TOOLS) == [name]


def test_the_price_books_context_is_known_and_a_table_of_ones_own_stands_before_it() -> None:
    tree = {"providers": {"openai": {"api_key": "sk-x"}}, "routes": {"auto": fallback("openai/gpt-4", "m1")}}
    url = {"use": "compatible", "base_url": "https://one.example/v1"}
    tree["providers"] |= {"one": url, "two": url}
    book = built(**tree)
    assert planned(book, "auto", LONG) == ["gpt-4", "m1"]
    assert planned(book, "auto", LONG, max_tokens=100_000) == ["m1"]
    own = {"big": {"provider": "openai", "model": "gpt-4", "context": 10**6}}
    told = built(**tree | {"models": MODELS | own})
    assert planned(told, "auto", LONG, max_tokens=100_000) == ["gpt-4", "m1"]


@pytest.mark.parametrize(
    ("body", "left", "excluded"),
    [
        ({}, ["plain", "blind", "m1"], []),
        (TOOLS, ["blind", "m1"], [("plain", "tools")]),
        (PICTURE, ["m1"], [("plain", "vision"), ("blind", "vision")]),
        (TOOLS | PICTURE, ["m1"], [("plain", "tools"), ("blind", "vision")]),
    ],
)
def test_what_a_model_lacks_leaves_it_out(
    body: dict[str, Any], left: list[str], excluded: list[tuple[str, str]]
) -> None:
    flow = built(routes={"auto": fallback("plain", "blind", "m1")})
    plan, out = asked(flow, "auto", **body)
    assert isinstance(plan, Plan)
    assert [target.model for target in plan.targets] == left
    assert out == excluded


def test_where_every_model_lacks_something_the_call_is_refused_with_its_name() -> None:
    error = refused(built(routes={"auto": fallback("plain")}), "auto", **TOOLS)
    assert (error.code, error.about, error.public) == ("model_lacks", "tools", "bad_request")


def test_or_goes_to_the_model_that_was_named() -> None:
    flow = built(routes={"m1": fallback("plain"), "plain": fallback("plain")})
    for name in ("m1", "plain"):
        plan, out = asked(flow, name, **TOOLS)
        assert isinstance(plan, Plan)
        assert ([target.model for target in plan.targets], plan.reason) == ([name], "no_candidates")
        assert out == [("plain", "tools")]


def test_a_target_after_a_failure_is_left_out_too_for_what_it_lacks() -> None:
    flow = built(routes={"auto": fallback("m1", on={"rate": ["plain", "m2"]})})
    plan, _ = asked(flow, "auto", **TOOLS)
    assert isinstance(plan, Plan)
    assert [target.model for target in plan.chains[Failure.RATE]] == ["m2"]


def test_a_model_that_two_tables_tell_differently_is_a_mistake() -> None:
    models = {"a": model(model="x", tools=False), "b": model(model="x", tools=True)}
    with pytest.raises(Exception, match=r"models\.b\.tools: one/x has another tools in another table"):
        built(models=models, routes={})


# --- the way around routes


OFF = Tags(route_off=True)


def test_off_goes_to_exactly_the_model_of_that_name() -> None:
    flow = built(routes={"m1": fallback("m2", "small")})
    assert planned(flow, "m1") == ["m2", "small"]
    plan, _ = asked(flow, "m1", tags=OFF)
    assert isinstance(plan, Plan)
    assert [target.model for target in plan.targets] == ["m1"]
    assert (plan.reason, plan.requested) == ("requested", plan.targets[0])


@pytest.mark.parametrize("prefers", [None, "one"])
def test_off_with_a_route_that_no_model_is_named_like_finds_nothing(prefers: str | None) -> None:
    flow = built(routes={"auto": fallback("m1"), "claude-auto": fallback("m1")})
    for name in ("auto", "claude-auto"):
        assert refused(flow, name, tags=OFF, prefers=prefers).code == "unknown_model"


def test_off_says_nothing_of_models_that_are_no_routes() -> None:
    assert planned(built(), "m1", tags=OFF) == ["m1"]
    assert planned(built(prices={"unknown": "record"}), "one/anything", tags=OFF) == ["anything"]


def test_off_keeps_the_callers_scopes() -> None:
    flow = built(routes={"m1": fallback("m2")})
    caller = replace(CALLER, rights=Rights(models=(frozenset({"m2"}),)))
    assert refused(flow, "m1", tags=OFF, caller=caller).code == "not_allowed"


# --- what was asked for


def test_a_route_that_is_named_like_a_model_is_compared_with_it() -> None:
    plan, _ = asked(built(routes={"m1": fallback("m2", "m1", baseline="m2")}), "m1")
    assert isinstance(plan, Plan)
    assert plan.requested is not None
    assert plan.baseline is not None
    assert (plan.requested.model, plan.baseline.model) == ("m1", "m1")


@pytest.mark.parametrize("prefers", [None, "one"])
def test_a_route_with_a_name_of_its_own_is_compared_with_the_declared_baseline(prefers: str | None) -> None:
    # A path that speaks for a provider would send it any name: that makes no model of a route.
    plan, _ = asked(built(routes={"auto": fallback("m1", baseline="m2")}), "auto", prefers=prefers)
    assert isinstance(plan, Plan)
    assert plan.requested is None
    assert plan.baseline is not None
    assert plan.baseline.model == "m2"


def test_models_that_no_price_is_known_for_are_told_from_each_other() -> None:
    flow = built(
        prices={"unknown": "record"},
        routes={"one/y": fallback("one/x", "one/y"), "z": fallback("m1")},
    )
    told: list[Question] = []
    policy = flow.routes[Slug("one/y")]
    plan_before: Callable[[Question], Choice] = policy.router.plan

    class Watching:
        def targets(self) -> tuple[str, ...]:
            return ()

        def plan(self, question: Question) -> Choice:
            told.append(question)
            return plan_before(question)

    object.__setattr__(policy, "router", Watching())
    assert planned(flow, "one/y") == ["x", "y"]
    assert told[0].requested == "one/y"


# --- a policy that is not heard


class Silent:
    """A router that answers nothing."""

    def targets(self) -> tuple[str, ...]:
        return ()

    def plan(self, question: Question) -> Any:
        return None


def silenced(flow: Flow, route: str) -> Flow:
    object.__setattr__(flow.routes[Slug(route)], "router", Silent())
    return flow


def test_without_its_policy_a_call_goes_to_the_model_it_named_even_beside_the_route() -> None:
    plan, _ = asked(silenced(built(routes={"m1": fallback("m2", "small")}), "m1"), "m1")
    assert isinstance(plan, Plan)
    assert ([target.model for target in plan.targets], plan.reason) == (["m1"], POLICY_FAILED)


def test_or_else_to_the_declared_baseline_or_else_in_the_configurations_order() -> None:
    flow = built(routes={"auto": fallback("m2", "small", baseline="m1"), "none": fallback("m2", "small")})
    assert planned(silenced(flow, "auto"), "auto") == ["m1"]
    assert planned(silenced(flow, "none"), "none") == ["m2", "small"]


def test_but_to_neither_where_the_caller_may_not_use_it() -> None:
    flow = silenced(built(routes={"auto": fallback("m2", baseline="m1")}), "auto")
    for rights in (Rights(models=(frozenset({"auto"}),)), Rights(providers=(frozenset({"two"}),))):
        assert planned(flow, "auto", caller=replace(CALLER, rights=rights)) == ["m2"]


# --- whose scopes hold


POLICIES = ("any", "no-training", "no-retention", "local")
MADE = {f"x{n}": model(("one", "two")[n % 2], data_policy=POLICIES[n % 4]) for n in range(8)}
NAMES = (*MADE, "r1", "r2", "r3")


def tables(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Policies of any kind over these names."""
    one = st.sampled_from(names)
    plain = st.lists(one, min_size=1, max_size=4, unique=True)
    lists = st.builds(
        lambda use, targets: {"use": use, "targets": targets},
        st.sampled_from(["fallback", "cheapest", "fastest", "least_busy", "sticky"]),
        plain,
    )
    weights = st.builds(lambda targets: {"use": "weighted", "weights": dict.fromkeys(targets, 1)}, plain)
    leaf = lists | weights | st.builds(lambda target: {"use": "fixed", "target": target}, one)
    return st.builds(
        lambda to, otherwise: {
            "use": "by_task", "rules": [{"when": {"max_tokens": 10**6}, "to": to}], "otherwise": otherwise,
        },
        one | leaf,
        one | leaf,
    ) | leaf  # fmt: skip


patterns = st.frozensets(st.sampled_from([*NAMES, "x*", "one/*", "two/x1", "nothing"]), min_size=1)
rights = st.builds(
    Rights,
    models=st.tuples() | st.tuples(patterns) | st.tuples(patterns, patterns),
    providers=st.tuples() | st.tuples(st.frozensets(st.sampled_from(["one", "two"]), min_size=1)),
    floor=st.none() | st.sampled_from(POLICIES).map(Slug),
)


@settings(max_examples=40, deadline=None)
@given(
    first=tables([*MADE, "r2", "r3"]),
    second=tables([*MADE, "r3"]),
    third=tables(list(MADE)),
    chain=st.lists(st.sampled_from(list(MADE)), max_size=3),
    rights=rights,
    name=st.sampled_from(["r1", "r2", "r3", "x0", "x1"]),
    off=st.booleans(),
    silent=st.booleans(),
)
def test_no_plan_holds_a_target_that_the_callers_scopes_forbid(
    first: dict[str, Any],
    second: dict[str, Any],
    third: dict[str, Any],
    chain: list[str],
    rights: Rights,
    name: str,
    off: bool,
    silent: bool,
) -> None:
    routes = {
        "r1": first | {"on": {"rate": chain}, "baseline": "x2"},
        "r2": second | {"on": {"context": chain}},
        "r3": third,
        "x0": {"use": "fallback", "targets": ["x0", "x1"]},
    }
    flow = built(models=MADE, routes=routes)
    if silent and name in routes:
        silenced(flow, name)
    plan, _ = asked(flow, name, caller=replace(CALLER, rights=rights), tags=Tags(route_off=off))
    if isinstance(plan, GatewayError):
        assert plan.code in ("not_allowed", "policy_not_known", "unknown_model")
        return
    reached = [*plan.targets, *(one for targets in plan.chains.values() for one in targets)]
    assert plan.targets
    for target in reached:
        where = (target.provider_name, target.model, name)
        assert scopes.check_target(rights, *where, policy=MADE_POLICY[target.model]) is None
        assert not rights.providers or all(target.provider_name in group for group in rights.providers)
        if rights.floor is not None:
            assert POLICIES.index(MADE_POLICY[target.model]) >= POLICIES.index(rights.floor)


MADE_POLICY = {name: Slug(table["data_policy"]) for name, table in MADE.items()}
