"""Lists of targets: every mistake has its place, and none quotes what is no name."""

from typing import Any

import pytest

from gateway.routers.cheapest import Cheapest
from gateway.routers.fallback import Fallback
from gateway.routers.fastest import Fastest
from gateway.routers.least_busy import LeastBusy
from gateway.routers.sticky import Sticky


@pytest.mark.parametrize("kind", [Fallback, Cheapest, Fastest, LeastBusy, Sticky])
@pytest.mark.parametrize(
    ("targets", "problem"),
    [
        ((), "^targets: name at least one model, provider/model or policy$"),
        (("a", "b", "a"), r"^targets\.2: a comes twice$"),
        (("a", "two words"), r"^targets\.1: a name has letters, digits and [^w]*, at most 128$"),
        (("",), r"^targets\.0: a name"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(kind: Any, targets: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        kind(kind.Config(targets=targets))
