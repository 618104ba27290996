"""How scopes are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import grammar
from gateway.accounts.grammar import ScopeError
from gateway.records import PathKind

GOOD = [
    ("models", "gpt-4o-mini", "gpt-4o-mini"),
    ("models", "claude-*", "claude-*"),
    ("models", "*", "*"),
    ("models", "groq/llama-3.3-70b-versatile", "groq/llama-3.3-70b-versatile"),
    ("providers", "open*", "open*"),
    ("paths", "chat", PathKind.CHAT),
    ("environments", "prod", "prod"),
    ("hours", "08:00-18:30", (480, 1110)),
    ("hours", "22:00-06:00", (1320, 360)),
    ("hours", "00:00-24:00", (0, 1440)),
    ("expires", "2030-01-31T00:00:00Z", 1_896_048_000_000),
    ("expires", "2030-01-31T01:00+01:00", 1_896_048_000_000),
    ("max_cost", "0.25", 250_000_000),
    ("max_cost", "0", 0),
    ("cap", "25.000000001", 25_000_000_001),
    ("cap", "999999999.999999999", 999_999_999_999_999_999),
    ("floor", "no-training", "no-training"),
    ("baseline", "openai/gpt-4o", "openai/gpt-4o"),
    ("store", "allow", True),
    ("store", "deny", False),
    ("rate", "60", 60),
]

BAD = [
    ("models", ""),
    ("models", "a*b"),
    ("models", "**"),
    ("models", "*a"),
    ("models", "gpt 4"),
    ("models", "x" * 200),
    ("paths", "chats"),
    ("environments", "two words"),
    ("networks", "10.0.0.1/8"),
    ("networks", "10.0.0.0/33"),
    ("networks", "everywhere"),
    ("hours", "8:00-18:00"),
    ("hours", "08:00-25:00"),
    ("hours", "08:60-18:00"),
    ("hours", "24:00-08:00"),
    ("hours", "08:00-24:01"),
    ("hours", "08:00-08:00"),
    ("hours", "08:00"),
    ("expires", "tomorrow"),
    ("expires", "2030-01-31"),
    ("expires", "9999-12-31T23:59:59-12:00"),
    ("max_cost", "-1"),
    ("max_cost", "1e3"),
    ("max_cost", "0.1234567890"),
    ("max_cost", "1."),
    ("max_cost", "٣"),
    ("cap", "1000000000"),
    ("floor", "best"),
    ("baseline", "the best one"),
    ("floor", "no training"),
    ("store", "yes"),
    ("rate", "0"),
    ("rate", "1.5"),
    ("rate", "-1"),
]


@pytest.mark.parametrize(("what", "value", "meant"), GOOD)
def test_a_good_value_is_understood(what, value, meant):
    assert grammar.parse(what, value) == meant


@pytest.mark.parametrize("value", ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1", "0.0.0.0/0"])
def test_networks_are_of_either_kind(value):
    assert grammar.parse("networks", value)


@pytest.mark.parametrize(("what", "value"), BAD)
def test_a_bad_value_is_refused_with_what_is_expected(what, value):
    with pytest.raises(ScopeError) as caught:
        grammar.parse(what, value)
    assert caught.value.what == what
    assert str(caught.value).startswith("must be ")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_bad_value_is_not_quoted():
    for what in (*grammar.MANY, *grammar.ONE):
        with pytest.raises(ScopeError) as caught:
            grammar.parse(what, "canary \0 7c1f")
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "call", [lambda: grammar.parse("colour", "red"), lambda: grammar.read([("colour", "red")])]
)
def test_an_unknown_scope_is_refused_with_those_there_are(call):
    with pytest.raises(ScopeError) as caught:
        call()
    assert "models" in str(caught.value)
    assert "rate" in str(caught.value)
    assert "colour" not in str(caught.value)


def test_a_single_value_given_twice_is_refused():
    for what, value, _ in GOOD:
        if what in grammar.ONE:
            with pytest.raises(ScopeError):
                grammar.read([(what, value), (what, value)])


def test_there_is_a_limit_to_the_values_of_one_owner():
    pairs = [("models", f"m{number}") for number in range(grammar.MAX_VALUES)]
    assert len(grammar.read(pairs).models) == grammar.MAX_VALUES
    with pytest.raises(ScopeError):
        grammar.read([*pairs, ("models", "one-more")])


@given(st.text(max_size=60))
def test_any_text_is_a_value_or_a_scope_error(text):
    for what in (*grammar.MANY, *grammar.ONE):
        try:
            grammar.parse(what, text)
        except ScopeError:
            pass


@given(st.integers(0, 10**18 - 1))
def test_dollars_are_exact(nanos):
    assert grammar.dollars(f"{nanos // 10**9}.{nanos % 10**9:09d}") == nanos
