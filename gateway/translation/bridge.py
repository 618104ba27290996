"""Which dialect a call goes out in, and what carries its answer back."""

from collections.abc import Collection
from typing import Final

from gateway.contracts import Call
from gateway.names import Slug
from gateway.translation.tongue import Tongue

TONGUES: Final[dict[Slug, Tongue]] = {}
"""The dialects that can be translated, the one preferred for a provider that speaks several first."""


def bridge(call: Call, speaks: Collection[Slug]) -> Slug | None:
    """The dialect in which a provider is to be asked; None when there is none.

    The caller's own where the provider speaks that, else one that the call can be translated to.
    """
    if call.dialect in speaks:
        return call.dialect
    if call.dialect not in TONGUES:
        return None
    return next((name for name in TONGUES if name in speaks), None)
