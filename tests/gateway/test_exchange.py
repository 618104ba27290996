"""Facts of an exchange: filled once, and not read before."""

import pytest

from gateway.content import EMPTY
from gateway.contracts import Call, Caller, Labels
from gateway.exchange import Exchange, Plan
from gateway.names import Slug
from gateway.records import PathKind
from tests.fakes.flow import ListSink

CALLER = Caller(key_id=Slug("key-1"), key_name=Slug("key"))
CALL = Call(dialect=Slug("openai_chat"), kind=PathKind.CHAT, model="m", stream=False, body=EMPTY)
PLAN = Plan(targets=(), reason=Slug("requested"))
FACTS = {"caller": CALLER, "call": CALL, "labels": Labels(), "plan": PLAN}


def an_exchange() -> Exchange:
    return Exchange(Slug("req-1"), 1, 1, ListSink(), None, EMPTY)


@pytest.mark.parametrize("name", ["call", "caller", "labels", "plan", "hold"])
def test_a_fact_is_filled_once_and_not_read_before(name: str) -> None:
    exchange = an_exchange()
    with pytest.raises(LookupError, match=f"^{name} is not known yet$"):
        getattr(exchange, name)
    assert exchange.known(name) is None
    value = object()
    setattr(exchange, name, value)
    assert getattr(exchange, name) is value
    assert exchange.known(name) is value
    with pytest.raises(LookupError, match=f"^{name} was filled before$"):
        setattr(exchange, name, object())
    assert getattr(exchange, name) is value


def test_what_is_known_is_told_whatever_else_is_not() -> None:
    exchange = an_exchange()
    expected = [None] * 5
    assert exchange.all_known() == (None,) * 5
    for place, (name, value) in enumerate(FACTS.items()):
        setattr(exchange, name, value)
        expected[place] = value  # type: ignore[call-overload]
        assert exchange.all_known() == tuple(expected)
