"""key create, list, revoke, rotate: callers' keys."""

import argparse
from typing import Any

from gateway.accounts import keys, master_key, tree
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
from gateway.commands.naming import Naming
from gateway.commands.node import check_place
from gateway.content import Purpose, Secret
from gateway.contracts import Accounts, KeyRow, NodeRow
from gateway.names import Slug

# A clear key is printed once, when it is made, alone on standard output; everything about it goes to
# standard error, so that KEY=$(gateway key create ci) works.

OPTIONS = {tree.ORGANISATION: "--org", tree.PROJECT: "--project"}


def add_parsers(commands: Any, shared: argparse.ArgumentParser, run: Run) -> None:
    """Add the commands to a parser."""
    family = Family(commands, shared, run, "key", "callers' keys")
    create = family.add("create", create_key, "make a key; it is printed once")
    create.add_argument("name")
    create.add_argument("--org", help="id or name of its organisation, anywhere in the tree")
    create.add_argument("--project", help="id or name of its project, in that organisation if one is given")
    create.add_argument("--make", action="store_true", help="make what is missing of the two")
    scope_options.add_end(create, "when it ends")
    scope_options.add(create)
    family.add("list", list_keys, "every key, without its secret")
    family.add("revoke", revoke_key, "end a key at once").add_argument("id")
    rotate = family.add("rotate", rotate_key, "give a key a new secret")
    rotate.add_argument("id")
    rotate.add_argument("--grace", default="24h", help="how long the old secret works on (default 24h)")


async def create_key(desk: Desk, arguments: argparse.Namespace) -> None:
    """key create: prints the clear key, once."""
    pairs, expires_ms = scope_options.read(arguments), scope_options.read_end(desk, arguments.expires)
    name = read_name(arguments.name, "NAME")
    pepper = master_key.load(desk.source).pepper
    node = await _node(desk, arguments)
    row, clear = await keys.create_key(
        desk.store, pepper, node, name, pairs, expires_ms=expires_ms, clock=desk.clock
    )
    scope_options.say_what_they_do(desk, pairs)
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


async def _node(desk: Desk, arguments: argparse.Namespace) -> Slug:
    """The node that a new key is to be below, wherever it is in the tree; made with --make only."""
    default = await tree.ensure_root(desk.store, desk.clock)
    naming = Naming((await desk.store.accounts.load()).nodes)
    node, above, added = naming.nodes[default], None, []
    for kind, text in ((tree.ORGANISATION, arguments.org), (tree.PROJECT, arguments.project)):
        if text is None:
            continue
        option = OPTIONS[kind]
        name = read_name(text, option)
        found = naming.find(name, option, kind, above)
        if found is None:
            found = tree.new_node(_parent(kind, above), kind, name, desk.clock)
            if not arguments.make:
                raise CommandError(_unknown(naming, option, found))
            check_place(naming, found)
            naming.nodes[found.id] = found
            added.append(found)
        node = above = found
    if added:
        await desk.store.accounts.put(nodes=added)
    for row in added:
        desk.complain(f"new {row.kind}: {row.name}")
    if not naming.is_open(node):
        desk.complain(f"note: {node.id} or a node above it is disabled, and with it this key")
    return node.id


def _parent(kind: Slug, above: NodeRow | None) -> Slug:
    if above is not None:
        return above.id
    return tree.ROOT_ID if kind == tree.ORGANISATION else tree.DEFAULT_ORGANISATION_ID


def _unknown(naming: Naming, option: str, row: NodeRow) -> str:
    return (
        f"{option}: there is no {row.kind} {row.name} here.{naming.near(row.name, row.kind)}\n"
        f"  To make it: gateway node create {row.name} --kind {row.kind} --parent {row.parent}\n"
        "  or say --make, which makes what is missing"
    )


def _find(accounts: Accounts, id: str) -> KeyRow:
    for row in accounts.keys:
        if row.id == id:
            return row
    raise CommandError("no key has this id: see gateway key list")
