"""What providers do with content: facts of their public terms, and what the operator says of them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any, Final

import orjson

from gateway.names import Slug

ANY: Final = Slug("any")
NO_TRAINING: Final = Slug("no-training")
NO_RETENTION: Final = Slug("no-retention")
LOCAL: Final = Slug("local")
POLICIES: Final = (ANY, NO_TRAINING, NO_RETENTION, LOCAL)
"""From loosest to strictest: the floors that keys may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What is known of some models at one host.

    Attributes:
        host: where it holds: a provider of the same kind at another address has other terms.
        models: a pattern with "*".
        training: content may be used to train or improve models.
        retention_days: how long content may be kept after the call; 0: not at all.
        region: where it is processed, as far as it is said.
        source: where the provider says so, and checked: when it was looked up.
        note: for people.
    """

    host: str
    models: str
    training: bool
    retention_days: int
    region: str
    source: str
    checked: str
    note: str = ""

    @property
    def policy(self) -> Slug:
        """The strictest floor that it satisfies."""
        if self.training:
            return ANY
        return NO_RETENTION if self.retention_days == 0 else NO_TRAINING


@cache
def known() -> Mapping[str, tuple[Fact, ...]]:
    """The bundled facts, by the kind of provider."""
    tree: dict[str, list[dict[str, Any]]] = orjson.loads(
        resources.files("gateway.upstreams").joinpath("data_policies.json").read_bytes()
    )
    names = {field.name for field in fields(Fact)}
    for facts in tree.values():
        for one in facts:
            if not names.issuperset(one):
                raise ValueError("data_policies.json has a key that is none")
    return {kind: tuple(Fact(**one) for one in facts) for kind, facts in tree.items()}


def policy_of(kind: str, host: str, model: str, *, answers_itself: bool) -> Slug | None:
    """The data policy of a model; None when nothing is known of it, which no floor admits.

    Args:
        kind: which plugin the provider is.
        host: where it is, with its port if that is no usual one.
        answers_itself: it needs no network: nothing leaves this machine.
    """
    if answers_itself:
        return LOCAL
    found = next(
        (one for one in known().get(kind, ()) if one.host == host and fnmatchcase(model, one.models)), None
    )
    return found.policy if found is not None else None
