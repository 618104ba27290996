"""Rows of nodes, keys and scopes."""

from collections.abc import Sequence
from typing import Final

from gateway.contracts import Accounts, KeyRow, NodeRow, ScopeRow, StoreError
from gateway.names import Slug
from gateway.store.sqlite.connection import Database, Row

_VERSION: Final = "select value from versions where name = 'accounts'"
_RAISE: Final = "update versions set value = value + 1 where name = 'accounts'"
_NODES: Final = "select id, parent, kind, name, created_ms, disabled from nodes order by id"
_KEY: Final = "id, node, name, digest, prefix, last4, created_ms, expires_ms, revoked_ms, replaced_by"
_KEYS: Final = f"select {_KEY} from keys order by id"  # noqa: S608
_SCOPES: Final = "select owner, what, value from scopes order by owner, what, value"
_PUT_NODE: Final = (
    "insert into nodes (id, parent, kind, name, created_ms, disabled) values (?, ?, ?, ?, ?, ?)"
    " on conflict (id) do update set parent = excluded.parent, kind = excluded.kind, name = excluded.name,"
    " created_ms = excluded.created_ms, disabled = excluded.disabled"
)
_PUT_KEY: Final = (
    f"insert into keys ({_KEY}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
    " on conflict (id) do update set node = excluded.node, name = excluded.name, digest = excluded.digest,"
    " prefix = excluded.prefix, last4 = excluded.last4, created_ms = excluded.created_ms,"
    " expires_ms = excluded.expires_ms, revoked_ms = excluded.revoked_ms, replaced_by = excluded.replaced_by"
)
_DROP_SCOPES: Final = "delete from scopes where owner = ?"
_PUT_SCOPE: Final = "insert or ignore into scopes (owner, what, value) values (?, ?, ?)"


class SqliteAccounts:
    """Nodes, keys and scopes in one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self) -> int:
        """How often put() was called, by any process."""
        ((row,),) = await self._database.look(_VERSION)
        return int(row[0])

    async def load(self) -> Accounts:
        """All rows, as of one moment.

        Raises:
            StoreError: the file cannot be read, or a row in it was changed by another hand.
        """
        version, nodes, keys, scopes = await self._database.look(_VERSION, _NODES, _KEYS, _SCOPES)
        try:
            return Accounts(
                int(version[0][0]),
                tuple(_node(row) for row in nodes),
                tuple(_key(row) for row in keys),
                tuple(ScopeRow(owner=Slug(row[0]), what=Slug(row[1]), value=row[2]) for row in scopes),
            )
        except ValueError:
            raise StoreError("a row of the accounts is not valid; restore a backup") from None

    async def put(
        self,
        *,
        nodes: Sequence[NodeRow] = (),
        keys: Sequence[KeyRow] = (),
        scopes: Sequence[ScopeRow] = (),
        clear: Sequence[Slug] = (),
    ) -> None:
        """Insert or replace.

        Raises:
            StoreError: the work cannot be done now. ValueError: the schema refuses a row.
        """
        owners = dict.fromkeys([*clear, *(row.owner for row in scopes)])
        async with self._database.transaction() as db:
            await db.executemany(
                _PUT_NODE,
                [(row.id, row.parent, row.kind, row.name, row.created_ms, row.disabled) for row in nodes],
            )
            await db.executemany(_PUT_KEY, [_values(row) for row in keys])
            await db.executemany(_DROP_SCOPES, [(owner,) for owner in owners])
            await db.executemany(_PUT_SCOPE, [(row.owner, row.what, row.value) for row in scopes])
            await db.execute(_RAISE)


def _values(row: KeyRow) -> Row:
    dates = (row.created_ms, row.expires_ms, row.revoked_ms)
    return (row.id, row.node, row.name, row.digest, row.prefix, row.last4, *dates, row.replaced_by)


def _maybe(text: str | None) -> Slug | None:
    return None if text is None else Slug(text)


def _node(row: Row) -> NodeRow:
    id, parent, kind, name, created_ms, disabled = row
    return NodeRow(
        id=Slug(id),
        parent=_maybe(parent),
        kind=Slug(kind),
        name=Slug(name),
        created_ms=created_ms,
        disabled=bool(disabled),
    )


def _key(row: Row) -> KeyRow:
    id, node, name, digest, prefix, last4, created_ms, expires_ms, revoked_ms, replaced_by = row
    return KeyRow(
        id=Slug(id),
        node=Slug(node),
        name=Slug(name),
        digest=digest,
        prefix=Slug(prefix),
        last4=Slug(last4),
        created_ms=created_ms,
        expires_ms=expires_ms,
        revoked_ms=revoked_ms,
        replaced_by=_maybe(replaced_by),
    )
