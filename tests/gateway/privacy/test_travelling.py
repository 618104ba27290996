"""Calls that every dialect can be told: what a translation has to look at is in them, and goes through."""

from itertools import permutations

import pytest

from gateway.content import Document, Purpose
from gateway.privacy import travelling
from gateway.privacy.canary import Canary
from tests.gateway.translation.test_bridge import passage, read


@pytest.mark.parametrize(("caller", "provider"), list(permutations(travelling.BODIES, 2)))
def test_a_travelling_call_is_told_in_every_dialect(caller: str, provider: str) -> None:
    canary = Canary()
    body = travelling.BODIES[caller](canary, "", True)
    passed = passage(read(caller, body, True), provider).call.body
    assert isinstance(passed, Document)
    told = repr(passed.open(Purpose.SEND))
    carried = [part for part in canary.parts if canary.mark(part) in told]
    assert len(carried) >= 9
    for what in ("system", "user", "tool result", "tool name"):
        assert any(what in part for part in carried), what
