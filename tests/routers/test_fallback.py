"""fallback: the declared order, the sick last."""

from hypothesis import given

from gateway.contracts import Question
from gateway.routers.fallback import Fallback
from tests.routers.questions import NAMES, among, plan_all, question, questions

ROUTER = Fallback(Fallback.Config(targets=NAMES))


def test_it_keeps_its_order_and_puts_the_sick_last() -> None:
    assert ROUTER.targets() == NAMES
    asked = question(among("b", "c") | among("a", healthy=False))
    assert ROUTER.plan(asked).order == ("b", "c", "a")
    assert ROUTER.plan(asked).reason == "fallback"


@given(questions())
def test_all_that_can_serve_the_call_come_in_the_declared_order(asked: Question) -> None:
    order = plan_all(ROUTER, asked).order
    assert order == tuple(sorted(order, key=lambda name: (not asked.candidates[name].healthy, name)))
