"""The tree of nodes: platform, resellers, organisations, projects; pure rules over stored rows."""

import os
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.clock import Clock, SystemClock
from gateway.contracts import NodeRow, Store
from gateway.names import Slug

MAX_DEPTH: Final = 16
"""Nodes on the longest path, the root included."""

PLATFORM: Final = Slug("platform")
RESELLER: Final = Slug("reseller")
ORGANISATION: Final = Slug("organisation")
PROJECT: Final = Slug("project")
DEFAULT: Final = Slug("default")

ROOT_ID: Final = Slug("platform")
DEFAULT_ORGANISATION_ID: Final = Slug("organisation-default")
DEFAULT_PROJECT_ID: Final = Slug("project-default")
"""Fixed ids of the nodes of the first start, so that two processes starting at once make the same."""

_INSIDE: Final[Mapping[str, frozenset[str]]] = {
    PLATFORM: frozenset(),
    RESELLER: frozenset({PLATFORM, RESELLER}),
    ORGANISATION: frozenset({PLATFORM, RESELLER, ORGANISATION}),
    PROJECT: frozenset({PLATFORM, RESELLER, ORGANISATION}),
}
"""kind: the kinds of parent that it may have."""


class TreeError(Exception):
    """The rows make no tree. The text is a code; node is the id where it was seen."""

    def __init__(self, code: str, node: Slug | None = None) -> None:
        super().__init__(code)
        self.code = Slug(code)
        self.node = node


def check_new(nodes: Mapping[Slug, NodeRow], row: NodeRow) -> None:
    """Whether a node can be added to a tree.

    Raises:
        TreeError: double_name, with the node that has the name below this parent, or what path() raises.
    """
    path({**nodes, row.id: row}, row.id)
    for other in nodes.values():
        if (other.parent, other.name) == (row.parent, row.name):
            raise TreeError("double_name", other.id)


def path(nodes: Mapping[Slug, NodeRow], node: Slug) -> tuple[NodeRow, ...]:
    """The nodes from the root down to this one.

    Raises:
        TreeError: unknown_node, unknown_kind, wrong_parent, or too_deep, which a cycle is too.
    """
    upwards: list[NodeRow] = []
    current: Slug | None = node
    while current is not None:
        row = nodes.get(current)
        if row is None:
            raise TreeError("unknown_node", current)
        if len(upwards) == MAX_DEPTH:
            raise TreeError("too_deep", node)
        _check_place(row, None if row.parent is None else nodes.get(row.parent))
        upwards.append(row)
        current = row.parent
    return tuple(reversed(upwards))


def nearest(nodes: Iterable[NodeRow], kind: Slug) -> Slug | None:
    """The name of the lowest node of a kind on a path."""
    name = None
    for row in nodes:
        if row.kind == kind:
            name = row.name
    return name


def new_node(parent: Slug, kind: Slug, name: Slug, clock: Clock | None = None) -> NodeRow:
    """A row for a new node; not stored yet."""
    created_ms = (clock or SystemClock()).now_us() // 1000
    return NodeRow(
        id=Slug(f"{kind}-{os.urandom(6).hex()}"), parent=parent, kind=kind, name=name, created_ms=created_ms
    )


async def ensure_root(store: Store, clock: Clock | None = None) -> Slug:
    """Make what every installation has: platform, organisation "default", project "default".

    May run any number of times, in any number of processes. Returns the project's id.

    Raises:
        StoreError: the store cannot be used.
    """
    created_ms = (clock or SystemClock()).now_us() // 1000
    there = {row.id for row in (await store.accounts.load()).nodes}
    wanted = (
        (ROOT_ID, None, PLATFORM, PLATFORM),
        (DEFAULT_ORGANISATION_ID, ROOT_ID, ORGANISATION, DEFAULT),
        (DEFAULT_PROJECT_ID, DEFAULT_ORGANISATION_ID, PROJECT, DEFAULT),
    )
    missing = [
        NodeRow(id=id, parent=parent, kind=kind, name=name, created_ms=created_ms)
        for id, parent, kind, name in wanted
        if id not in there
    ]
    if missing:
        await store.accounts.put(nodes=missing)
    return DEFAULT_PROJECT_ID


def _check_place(row: NodeRow, parent: NodeRow | None) -> None:
    allowed = _INSIDE.get(row.kind)
    if allowed is None:
        raise TreeError("unknown_kind", row.id)
    if row.parent is None:
        if row.kind != PLATFORM:
            raise TreeError("wrong_parent", row.id)
    elif parent is not None and parent.kind not in allowed:
        raise TreeError("wrong_parent", row.id)
