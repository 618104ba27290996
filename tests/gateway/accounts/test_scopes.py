"""Scopes: a child can only narrow, and what the rights of a key let through."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import grammar, scopes
from gateway.accounts.scopes import EVERYTHING, Grant
from gateway.content import Content, Document
from gateway.contracts import Call, Rights, Shape, Tags
from gateway.names import Slug
from gateway.records import PathKind

NAMES = ["gpt-4", "gpt-4o", "gpt-4o-mini", "gpt-5", "claude-3", "claude-4", "auto"]
PATTERNS = [*NAMES, "*", "gpt-*", "gpt-4*", "gpt-4o*", "claude-*", "a*"]
ADDRESSES = ["10.0.0.1", "10.1.0.1", "192.0.2.7", "2001:db8::1", "::1"]
NETWORKS = ["10.0.0.0/8", "10.0.0.0/16", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32", "::/0"]
HOURS = ["08:00-18:00", "22:00-06:00", "00:00-24:00", "12:00-12:30"]
HERE = Content(b"192.0.2.7")
NOON_US = (20_000 * 1440 + 12 * 60) * 60_000_000

pairs = st.lists(
    st.one_of(
        st.tuples(st.just("models"), st.sampled_from(PATTERNS)),
        st.tuples(st.just("providers"), st.sampled_from(["openai", "groq", "open*", "*"])),
        st.tuples(st.just("paths"), st.sampled_from(list(PathKind))),
        st.tuples(st.just("environments"), st.sampled_from(["prod", "test"])),
        st.tuples(st.just("networks"), st.sampled_from(NETWORKS)),
        st.tuples(st.just("hours"), st.sampled_from(HOURS)),
        st.tuples(st.just("max_cost"), st.sampled_from(["0", "0.5", "2"])),
        st.tuples(st.just("cap"), st.sampled_from(["1", "20"])),
        st.tuples(st.just("rate"), st.sampled_from(["1", "60"])),
        st.tuples(st.just("floor"), st.sampled_from(list(grammar.FLOORS))),
        st.tuples(st.just("store"), st.sampled_from(["allow", "deny"])),
        st.tuples(st.just("expires"), st.sampled_from(["2030-01-01T00:00Z", "2031-01-01T00:00Z"])),
    ),
    max_size=6,
    unique_by=lambda pair: pair if pair[0] in grammar.MANY else pair[0],
)
levels = st.lists(pairs, min_size=1, max_size=5)


def grants(path: list[list[tuple[str, str]]]) -> list[Grant]:
    last = len(path) - 1
    return [scopes.grant(grammar.read(level), place == last) for place, level in enumerate(path)]


def call(kind: PathKind = PathKind.CHAT, environment: str | None = None, store: bool = False) -> Call:
    return Call(
        dialect=Slug("openai_chat"),
        kind=kind,
        model="m",
        stream=False,
        body=Document({}, 2),
        shape=Shape(wants_store=store),
        tags=Tags(environment=environment and Slug(environment)),
    )


def about(rights: Rights, asked: Call, address: Content = HERE, now_us: int = NOON_US) -> str | None:
    refusal = scopes.check_call(rights, asked, address, now_us)
    assert refusal is None or refusal.status == 403
    return refusal and refusal.about


@given(
    levels,
    st.sampled_from(list(PathKind)),
    st.sampled_from([None, "prod", "test"]),
    st.sampled_from(ADDRESSES),
    st.integers(0, 1439),
    st.booleans(),
)
def test_a_call_is_allowed_if_and_only_if_every_level_allows_it(
    path, kind, environment, address, minute, store
):
    asked, place, now_us = call(kind, environment, store), Content(address.encode()), minute * 60_000_000
    each = [scopes.check_call(one.rights, asked, place, now_us) is None for one in grants(path)]
    effective = scopes.intersect(grants(path)).rights
    assert (scopes.check_call(effective, asked, place, now_us) is None) == all(each)


@given(
    levels,
    st.sampled_from(["openai", "groq", "openrouter"]),
    st.sampled_from(NAMES),
    st.sampled_from(["", "auto"]),
    st.sampled_from([None, *grammar.FLOORS]),
)
def test_a_target_is_allowed_if_and_only_if_every_level_allows_it(path, provider, model, asked, policy):
    each = [scopes.check_target(one.rights, provider, model, asked, policy) is None for one in grants(path)]
    effective = scopes.intersect(grants(path)).rights
    assert (scopes.check_target(effective, provider, model, asked, policy) is None) == all(each)


@given(levels)
def test_limits_are_the_least_on_the_path(path):
    each, effective = grants(path), scopes.intersect(grants(path))
    for limits, limit in [
        ([one.cap for one in each], effective.cap),
        ([one.rate for one in each], effective.rate),
        ([one.rights.max_cost for one in each], effective.rights.max_cost),
        ([one.rights.expires_ms for one in each], effective.rights.expires_ms),
    ]:
        assert limit == min((one for one in limits if one is not None), default=None)


@given(levels, pairs)
def test_one_level_more_never_allows_more(path, more):
    wide = scopes.intersect(grants([*path, []])[:-1])
    narrow = scopes.narrow(wide, scopes.grant(grammar.read(more), False))
    for model in NAMES:
        if scopes.check_target(narrow.rights, "openai", model) is None:
            assert scopes.check_target(wide.rights, "openai", model) is None
    assert wide.rights.may_store or not narrow.rights.may_store
    assert wide.cap is None or (narrow.cap is not None and narrow.cap <= wide.cap)


@given(pairs)
def test_saying_the_same_twice_changes_nothing(level):
    one = scopes.grant(grammar.read(level), False)
    assert scopes.narrow(one, one) == one
    assert scopes.narrow(EVERYTHING, one) == one == scopes.narrow(one, EVERYTHING)


def test_overlapping_patterns_of_two_levels_allow_only_what_both_fit():
    rights = scopes.intersect(
        grants([[("models", "gpt-4*"), ("models", "o3")], [("models", "gpt-4o*")]])
    ).rights
    allowed = [name for name in [*NAMES, "o3", "gpt-4-turbo"] if scopes.allows_model(rights, "openai", name)]
    assert allowed == ["gpt-4o", "gpt-4o-mini"]


def test_disjoint_sets_allow_nothing():
    rights = scopes.intersect(grants([[("paths", "chat")], [("paths", "embeddings")]])).rights
    assert rights.paths == frozenset()
    assert {about(rights, call(kind)) for kind in PathKind} == {"paths"}


def test_a_model_may_be_named_with_its_provider_and_by_what_leads_to_it():
    for pattern, asked, allowed in [
        ("groq/llama", "", True),
        ("groq/*", "", True),
        ("llama", "", True),
        ("openai/llama", "", False),
        ("auto", "auto", True),
        ("auto", "", False),
        ("llama-2", "auto", False),
    ]:
        rights = Rights(models=(frozenset({pattern}),))
        refusal = scopes.check_target(rights, "groq", "llama", asked)
        assert (refusal is None) == allowed
        assert refusal is None or (refusal.code, refusal.about) == ("not_allowed", "models")


def test_a_route_does_not_lead_around_the_models_of_a_key():
    rights = Rights(models=(frozenset({"gpt-4o-mini"}),))
    assert scopes.check_target(rights, "openai", "gpt-4o-mini", "auto") is None
    refusal = scopes.check_target(rights, "openai", "gpt-4o", "auto")
    assert refusal is not None


def test_a_provider_that_is_not_listed_is_refused():
    refusal = scopes.check_target(Rights(providers=(frozenset({"openai"}),)), "groq", "llama")
    assert refusal is not None
    assert refusal.about == "providers"


def test_the_baseline_is_that_of_the_nearest_level():
    def level(*pairs):
        return scopes.grant(grammar.read(pairs), False)

    upper, lower, plain = level(("baseline", "gpt-4o")), level(("baseline", "o3")), level()
    assert scopes.intersect([upper, plain]).rights.baseline == "gpt-4o"
    assert scopes.intersect([upper, lower, plain]).rights.baseline == "o3"
    assert scopes.intersect([plain]).rights.baseline is None


def test_no_floor_admits_a_target_whose_policy_is_not_known():
    for floor in grammar.FLOORS[1:]:
        rights = Rights(floor=floor)
        passed = [
            policy for policy in grammar.FLOORS if scopes.check_target(rights, "p", "m", "", policy) is None
        ]
        assert passed == list(grammar.FLOORS[grammar.FLOORS.index(floor) :])
        for unknown in (None, Slug("excellent")):
            refusal = scopes.check_target(rights, "p", "m", "", unknown)
            assert refusal is not None
            assert (refusal.code, refusal.about) == ("policy_not_known", "floor")
    assert scopes.check_target(Rights(floor=grammar.ANY_POLICY), "p", "m") is None


def test_a_key_without_scopes_may_do_everything_but_store():
    rights = scopes.intersect(grants([[], [], []])).rights
    assert all(about(rights, call(kind, "prod")) is None for kind in PathKind)
    refusal = scopes.check_call(rights, call(store=True), HERE, NOON_US)
    assert refusal is not None
    assert (refusal.code, refusal.about) == ("store_not_allowed", "store")


def test_a_key_stores_if_it_says_so_and_no_node_forbids_it():
    allow, deny, silent = [("store", "allow")], [("store", "deny")], []
    for path, may in [
        ([silent, silent, allow], True),
        ([allow, silent, allow], True),
        ([allow, allow, silent], False),
        ([deny, silent, allow], False),
        ([silent, deny, allow], False),
        ([silent, silent, deny], False),
    ]:
        assert scopes.intersect(grants(path)).rights.may_store is may


def test_an_untagged_call_is_no_call_of_a_listed_environment():
    rights = Rights(environments=frozenset({Slug("prod")}))
    assert about(rights, call()) == "environments"
    assert about(rights, call(environment="test")) == "environments"
    assert about(rights, call(environment="prod")) is None


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.0.0.1", True),
        ("11.0.0.1", False),
        ("::ffff:10.0.0.1", True),
        ("::ffff:11.0.0.1", False),
        ("2001:db8::1%eth0", True),
        ("2001:db9::1", False),
        ("", False),
        ("localhost", False),
        ("10.0.0.1é", False),
    ],
)
def test_an_address_is_in_a_network_or_the_call_is_refused(address, inside):
    rights = Rights(networks=((ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32")),))
    assert about(rights, call(), Content(address.encode())) == (None if inside else "networks")


@pytest.mark.parametrize(
    ("hours", "minute", "is_open"),
    [
        ("08:00-18:00", 479, False),
        ("08:00-18:00", 480, True),
        ("08:00-18:00", 1079, True),
        ("08:00-18:00", 1080, False),
        ("22:00-06:00", 1320, True),
        ("22:00-06:00", 0, True),
        ("22:00-06:00", 359, True),
        ("22:00-06:00", 360, False),
        ("22:00-06:00", 1319, False),
        ("00:00-24:00", 1439, True),
        ("18:00-24:00", 1439, True),
    ],
)
def test_hours_are_of_the_utc_day_and_may_pass_midnight(hours, minute, is_open):
    rights = scopes.grant(grammar.read([("hours", hours)]), True).rights
    now_us = (20_000 * 1440 + minute) * 60_000_000 + 59_999_999
    assert about(rights, call(), HERE, now_us) == (None if is_open else "hours")
