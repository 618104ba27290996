"""fixed: one target, always."""

import pytest

from gateway.names import Slug
from gateway.routers.fixed import Fixed
from tests.routers.questions import among, question


def test_it_names_its_one_target() -> None:
    router = Fixed(Fixed.Config(target="a"))
    assert router.targets() == ("a",)
    choice = router.plan(question(among("a", healthy=False)))
    assert (choice.order, choice.reason) == ((Slug("a"),), "fixed")


def test_it_names_nothing_that_cannot_serve_the_call() -> None:
    assert Fixed(Fixed.Config(target="a")).plan(question(among("b"))).order == ()


def test_a_target_that_is_no_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^target: a name has letters"):
        Fixed(Fixed.Config(target="two words"))
