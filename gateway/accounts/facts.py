"""What may be shown of nodes, keys and stored secrets: names, marks, times and states; the only such list."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from gateway.accounts import grammar, tree, vault
from gateway.accounts.grammar import Level
from gateway.contracts import Accounts, KeyRow, NodeRow, SecretRow
from gateway.names import Slug

ACTIVE: Final = Slug("active")
BROKEN: Final = Slug("broken")
CLOSED: Final = Slug("closed")
DISABLED: Final = Slug("disabled")
EXPIRED: Final = Slug("expired")
REPLACED: Final = Slug("replaced")
REVOKED: Final = Slug("revoked")


class Facts:
    """What may be shown of one reading of the accounts.

    Args:
        now_ms: Unix time in milliseconds, for states.
    """

    def __init__(self, accounts: Accounts, now_ms: int) -> None:
        self._accounts = accounts
        self._now_ms = now_ms
        self._nodes = {row.id: row for row in accounts.nodes}
        self._paths: dict[Slug, tuple[NodeRow, ...]] = {}
        self._scopes: dict[Slug, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for scope in accounts.scopes:
            self._scopes[scope.owner][str(scope.what)].append(scope.value)
        self._levels: dict[Slug, Level | None] = {}
        self._keys = Counter(row.node for row in accounts.keys if row.replaced_by is None)

    def key(self, row: KeyRow) -> dict[str, Any]:
        """A key: never its digest, and of the key itself only the first seven and last four characters."""
        path = self._path(row.node)
        return {
            "id": row.id,
            "name": row.name,
            "prefix": row.prefix,
            "last4": row.last4,
            "node": row.node,
            "org": tree.nearest(path, tree.ORGANISATION),
            "project": tree.nearest(path, tree.PROJECT),
            "state": self.state(row),
            "created": moment(row.created_ms),
            "expires": moment(row.expires_ms),
            "revoked": moment(row.revoked_ms),
            "replaced_by": row.replaced_by,
            "scopes": self._shown_scopes(row.replaced_by or row.id),
        }

    def keys(self) -> Iterator[dict[str, Any]]:
        """All keys, the oldest first."""
        for row in sorted(self._accounts.keys, key=lambda row: (row.created_ms, row.id)):
            yield self.key(row)

    def state(self, row: KeyRow) -> Slug:
        """Why a key cannot be used, or that it can.

        Returns:
            revoked, expired, disabled (a node above it is, or is missing), broken (a scope on its path
            cannot be read), replaced (in grace) or active.
        """
        if row.revoked_ms is not None:
            return REVOKED
        path = self._path(row.node)
        levels = [self._level(node.id) for node in path] + [self._level(row.replaced_by or row.id)]
        ends = [row.expires_ms] + [level.expires_ms for level in levels if level is not None]
        if any(end is not None and end <= self._now_ms for end in ends):
            return EXPIRED
        if not path or any(node.disabled for node in path):
            return DISABLED
        if None in levels:
            return BROKEN
        return ACTIVE if row.replaced_by is None else REPLACED

    def node(self, row: NodeRow) -> dict[str, Any]:
        """A node. keys: how many are right below it, whatever their state."""
        path = self._path(row.id)
        return {
            "id": row.id,
            "parent": row.parent,
            "kind": row.kind,
            "name": row.name,
            "path": [node.name for node in path],
            "state": self.node_state(row),
            "disabled": row.disabled,
            "created": moment(row.created_ms),
            "keys": self._keys[row.id],
            "scopes": self._shown_scopes(row.id),
        }

    def nodes(self) -> Iterator[dict[str, Any]]:
        """All nodes as a tree, children by name below their parents; at the end those without a place."""
        below: dict[Slug | None, list[NodeRow]] = defaultdict(list)
        lost = [row for row in self._accounts.nodes if not self._path(row.id)]
        for row in sorted(self._accounts.nodes, key=lambda row: (row.name, row.id), reverse=True):
            if self._path(row.id):
                below[row.parent].append(row)
        waiting = below[None]
        while waiting:
            row = waiting.pop()
            yield self.node(row)
            waiting += below[row.id]
        yield from map(self.node, lost)

    def node_state(self, row: NodeRow) -> Slug:
        """Whether keys below a node can be used.

        Returns:
            disabled, broken (it has no place in the tree, or a scope on its path cannot be read),
            closed (a node above it is disabled) or active.
        """
        if row.disabled:
            return DISABLED
        path = self._path(row.id)
        if not path or any(self._level(node.id) is None for node in path):
            return BROKEN
        return CLOSED if any(node.disabled for node in path) else ACTIVE

    def _shown_scopes(self, owner: Slug) -> dict[str, list[str]]:
        return dict(self._scopes[owner]) if owner in self._scopes else {}

    def _level(self, owner: Slug) -> Level | None:
        """The scopes of a node or key as they are understood; None when one of them is not."""
        if owner not in self._levels:
            pairs = [(what, value) for what, values in self._shown_scopes(owner).items() for value in values]
            try:
                self._levels[owner] = grammar.read(pairs)
            except grammar.ScopeError:
                self._levels[owner] = None
        return self._levels[owner]

    def _path(self, node: Slug) -> tuple[NodeRow, ...]:
        """From the root down to a node; empty when it has no place in the tree."""
        if node not in self._paths:
            try:
                self._paths[node] = tree.path(self._nodes, node)
            except tree.TreeError:
                self._paths[node] = ()
        return self._paths[node]


def of_secret(row: SecretRow, host: str | None) -> dict[str, Any]:
    """A stored provider key: nothing of the key. usable: it is bound to the provider's present host."""
    return {
        "id": row.id,
        "slot": vault.slot_of(row.id),
        "host": row.host,
        "kek": row.kek,
        "created": moment(row.created_ms),
        "usable": row.host == host,
    }


def moment(at_ms: int | None) -> str | None:
    """Unix milliseconds as ISO 8601 in UTC, to the second."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms // 1000, UTC).isoformat().replace("+00:00", "Z")
