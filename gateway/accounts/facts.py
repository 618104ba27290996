"""What may be shown of keys and stored secrets: names, marks, times and states; the only such list."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from gateway.accounts import tree, vault
from gateway.contracts import Accounts, KeyRow, SecretRow
from gateway.names import Slug


def of_key(accounts: Accounts, row: KeyRow, now_ms: int) -> dict[str, Any]:
    """A key: never its digest, and of the key itself only the first seven and last four characters."""
    scopes: dict[str, list[str]] = defaultdict(list)
    for scope in accounts.scopes:
        if scope.owner == (row.replaced_by or row.id):
            scopes[str(scope.what)].append(scope.value)
    try:
        path = tree.path({node.id: node for node in accounts.nodes}, row.node)
    except tree.TreeError:
        path = ()
    return {
        "id": row.id,
        "name": row.name,
        "prefix": row.prefix,
        "last4": row.last4,
        "org": tree.nearest(path, tree.ORGANISATION),
        "project": tree.nearest(path, tree.PROJECT),
        "state": state(accounts, row, now_ms),
        "created": moment(row.created_ms),
        "expires": moment(row.expires_ms),
        "revoked": moment(row.revoked_ms),
        "replaced_by": row.replaced_by,
        "scopes": dict(scopes),
    }


def state(accounts: Accounts, row: KeyRow, now_ms: int) -> Slug:
    """revoked, expired, disabled (a node above it is, or is missing), replaced (in grace) or active."""
    if row.revoked_ms is not None:
        return Slug("revoked")
    if row.expires_ms is not None and row.expires_ms <= now_ms:
        return Slug("expired")
    try:
        path = tree.path({node.id: node for node in accounts.nodes}, row.node)
    except tree.TreeError:
        return Slug("disabled")
    if any(node.disabled for node in path):
        return Slug("disabled")
    return Slug("active" if row.replaced_by is None else "replaced")


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
