"""key create, list, revoke, rotate: callers' keys."""

import argparse
from typing import Any

from gateway.accounts import grammar, keys, master_key, tree
from gateway.accounts.facts import Facts
from gateway.commands import scope_options
from gateway.commands.desk import (
    CommandError,
    Desk,
    Family,
    Run,
    as_json,
    now_ms,
    read_duration_ms,
    read_name,
    show,
)
from gateway.commands.setting import WRONG
from gateway.content import Purpose, Secret
from gateway.contracts import Accounts, KeyRow, NodeRow
from gateway.names import Slug

# A clear key is printed once, when it is made, alone on standard output; everything about it goes to
# standard error, so that KEY=$(gateway key create ci) works.


def add_parsers(commands: Any, shared: argparse.ArgumentParser, run: Run) -> None:
    """Add the commands to a parser."""
    family = Family(commands, shared, run, "key", "callers' keys")
    create = family.add("create", create_key, "make a key; it is printed once")
    create.add_argument("name")
    create.add_argument("--org", help="its organisation; made if there is none of that name")
    create.add_argument("--project", help="its project in that organisation; made likewise")
    create.add_argument(
        "--expires", metavar="AFTER", help='when it ends: "30d", or a time such as 2030-01-31T00:00Z'
    )
    scope_options.add(create)
    family.add("list", list_keys, "every key, without its secret")
    family.add("revoke", revoke_key, "end a key at once").add_argument("id")
    rotate = family.add("rotate", rotate_key, "give a key a new secret")
    rotate.add_argument("id")
    rotate.add_argument("--grace", default="24h", help="how long the old secret works on (default 24h)")


async def create_key(desk: Desk, arguments: argparse.Namespace) -> None:
    """key create: prints the clear key, once."""
    pairs, expires_ms = scope_options.read(arguments), _end(desk, arguments.expires)
    name = read_name(arguments.name, "NAME")
    pepper = master_key.load(desk.source).pepper
    node = await _node(desk, arguments.org, arguments.project)
    row, clear = await keys.create_key(
        desk.store, pepper, node, name, pairs, expires_ms=expires_ms, clock=desk.clock
    )
    await _hand_over(desk, arguments, row, clear)


async def list_keys(desk: Desk, arguments: argparse.Namespace) -> None:
    """key list: names, marks and states of all keys."""
    accounts = await desk.store.accounts.load()
    shown = list(Facts(accounts, now_ms(desk)).keys())
    columns = ("id", "name", "prefix", "last4", "org", "project", "state", "expires")
    show(desk, arguments.json, "keys", shown, columns)


async def revoke_key(desk: Desk, arguments: argparse.Namespace) -> None:
    """key revoke: ends a key in every process within a second."""
    accounts = await desk.store.accounts.load()
    row = _find(accounts, arguments.id)
    if row.revoked_ms is None:
        await keys.revoke_key(desk.store, row, accounts.keys, clock=desk.clock)
    if arguments.json:
        desk.say(as_json({"id": row.id, "revoked": True}))
    else:
        desk.complain(f"{row.id} is revoked; no process accepts it after a second.")


async def rotate_key(desk: Desk, arguments: argparse.Namespace) -> None:
    """key rotate: prints the new clear key, once."""
    grace_ms = read_duration_ms(arguments.grace, "--grace")
    accounts = await desk.store.accounts.load()
    row = _find(accounts, arguments.id)
    state = Facts(accounts, now_ms(desk)).state(row)
    if state != "active":
        raise CommandError(f"{row.id} is {state} and cannot be rotated")
    pepper = master_key.load(desk.source).pepper
    fresh, clear = await keys.rotate_key(desk.store, pepper, row, grace_ms, clock=desk.clock)
    await _hand_over(desk, arguments, fresh, clear)


async def _hand_over(desk: Desk, arguments: argparse.Namespace, row: KeyRow, clear: Secret) -> None:
    text = clear.open(Purpose.AUTH)
    if arguments.json:
        shown = Facts(await desk.store.accounts.load(), now_ms(desk)).key(row)
        desk.say(as_json({"id": row.id, "key": text, **shown}))
        return
    desk.say(text)
    desk.complain(f"This is the key {row.id} ({row.name}). It is shown this once and cannot be shown again.")


async def _node(desk: Desk, org: str | None, project: str | None) -> Slug:
    """The node of a new key; an organisation or project that is not there yet is made."""
    default = await tree.ensure_root(desk.store, desk.clock)
    if org is None and project is None:
        return default
    nodes = {row.id: row for row in (await desk.store.accounts.load()).nodes}
    added: list[NodeRow] = []
    node = tree.DEFAULT_ORGANISATION_ID
    if org is not None:
        node = _child(desk, nodes, added, tree.ROOT_ID, tree.ORGANISATION, read_name(org, "--org"))
    if project is not None:
        node = _child(desk, nodes, added, node, tree.PROJECT, read_name(project, "--project"))
    if added:
        await desk.store.accounts.put(nodes=added)
    for row in added:
        desk.complain(f"new {row.kind}: {row.name}")
    return node


def _child(
    desk: Desk, nodes: dict[Slug, NodeRow], added: list[NodeRow], parent: Slug, kind: Slug, name: Slug
) -> Slug:
    row = tree.child(nodes, parent, kind, name)
    if row is None:
        row = tree.new_node(parent, kind, name, desk.clock)
        try:
            tree.build([*nodes.values(), row])
        except tree.TreeError:
            raise CommandError("another kind of node has this name there", WRONG) from None
        nodes[row.id] = row
        added.append(row)
    return row.id


def _end(desk: Desk, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        ends_ms = grammar.parse("expires", text)
    except grammar.ScopeError:
        ends_ms = now_ms(desk) + read_duration_ms(text, "--expires")
    if not isinstance(ends_ms, int) or ends_ms <= now_ms(desk):
        raise CommandError("--expires: is over already", WRONG)
    return ends_ms


def _find(accounts: Accounts, id: str) -> KeyRow:
    for row in accounts.keys:
        if row.id == id:
            return row
    raise CommandError("no key has this id: see gateway key list")
