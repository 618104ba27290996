"""node list, create, set, disable, enable: the tree of resellers, organisations and projects."""

import argparse
from dataclasses import replace
from typing import Any

from gateway.accounts import tree
from gateway.accounts.facts import Facts
from gateway.commands import scope_options
from gateway.commands.desk import CommandError, Desk, Family, Run, as_json, now_ms, read_name, show
from gateway.commands.naming import Naming
from gateway.commands.setting import WRONG
from gateway.contracts import NodeRow, ScopeRow
from gateway.names import Slug

# Every change raises the version of the accounts, which all processes look at several times a second.

KINDS = (tree.RESELLER, tree.ORGANISATION, tree.PROJECT)

MISPLACED = {
    "wrong_parent": "no {kind} can be below this {parent}",
    "too_deep": f"the tree has at most {tree.MAX_DEPTH} levels",
    "double_name": "{parent} {name} has a node of this name already: {node}",
}
"""Why a node cannot be where it should be, by the code of the TreeError."""


def add_parsers(commands: Any, shared: argparse.ArgumentParser, run: Run) -> None:
    """Add the commands to a parser."""
    family = Family(commands, shared, run, "node", "resellers, organisations and projects")
    family.add("list", list_nodes, "the tree, with what each node allows")
    create = family.add("create", create_node, "make a node; its id is printed")
    create.add_argument("name")
    create.add_argument("--kind", required=True, choices=KINDS)
    create.add_argument("--parent", required=True, metavar="NODE", help="id or name of the node above it")
    scope_options.add_for_node(create)
    setting = family.add("set", set_node, "change what the keys below a node may do")
    setting.add_argument("node", metavar="ID", help="id or name")
    scope_options.add_for_node(setting)
    setting.add_argument(
        "--clear",
        metavar="SCOPE,SCOPE",
        action="append",
        default=[],
        help="scopes to take away: models,rate",
    )
    for name, work, text in (
        ("disable", disable_node, "stop every key below a node, within a second"),
        ("enable", enable_node, "let them work again"),
    ):
        family.add(name, work, text).add_argument("node", metavar="ID", help="id or name")


async def list_nodes(desk: Desk, arguments: argparse.Namespace) -> None:
    """node list: as a tree, children below their parents."""
    shown = list(Facts(await desk.store.accounts.load(), now_ms(desk)).nodes())
    if arguments.json:
        desk.say(as_json({"nodes": shown}))
        return
    rows = [
        node
        | {
            "node": "  " * (len(node["path"]) - 1) + node["name"],
            "scopes": " ".join(f"{what}={','.join(values)}" for what, values in node["scopes"].items()),
        }
        for node in shown
    ]
    show(desk, False, "nodes", rows, ("node", "id", "kind", "state", "keys", "scopes"))


async def create_node(desk: Desk, arguments: argparse.Namespace) -> None:
    """node create: prints the new id alone, so that ID=$(gateway node create …) works."""
    pairs = scope_options.read_for_node(desk, arguments)
    name = read_name(arguments.name, "NAME")
    await tree.ensure_root(desk.store, desk.clock)
    naming = Naming((await desk.store.accounts.load()).nodes)
    parent = naming.get(arguments.parent, "--parent")
    row = tree.new_node(parent.id, Slug(arguments.kind), name, desk.clock)
    check_place(naming, row)
    await desk.store.accounts.put(nodes=[row], scopes=_rows(row, pairs))
    scope_options.say_what_they_do(desk, pairs)
    if arguments.json:
        await _tell(desk, arguments, row, "")
        return
    desk.say(row.id)
    desk.complain(f"This is the {row.kind} {row.name}, below {parent.id}.")


async def set_node(desk: Desk, arguments: argparse.Namespace) -> None:
    """node set: what is given takes the place of what the node had; scopes not named stay as they are."""
    pairs = scope_options.read_for_node(desk, arguments)
    cleared = scope_options.read_names(arguments.clear, "--clear")
    if not pairs and not cleared:
        raise CommandError("nothing to change: give scopes, or --clear some", WRONG)
    accounts = await desk.store.accounts.load()
    row = Naming(accounts.nodes).get(arguments.node, "ID")
    changed = {what for what, _ in pairs} | cleared
    kept = [
        (str(scope.what), scope.value)
        for scope in accounts.scopes
        if scope.owner == row.id and scope.what not in changed
    ]
    scope_options.check([*kept, *pairs])
    await desk.store.accounts.put(scopes=_rows(row, [*kept, *pairs]), clear=[row.id])
    scope_options.say_what_they_do(desk, pairs)
    await _tell(desk, arguments, row, f"{row.id} ({row.name}) is changed, for every key below it")


async def disable_node(desk: Desk, arguments: argparse.Namespace) -> None:
    """node disable: every key below the node is refused."""
    await _switch(desk, arguments, True)


async def enable_node(desk: Desk, arguments: argparse.Namespace) -> None:
    """node enable: undoes node disable; what was disabled further down stays so."""
    await _switch(desk, arguments, False)


def check_place(naming: Naming, row: NodeRow) -> None:
    """Whether a new node may be where it says.

    Raises:
        CommandError: it may not.
    """
    try:
        tree.check_new(naming.nodes, row)
    except tree.TreeError as error:
        parent = naming.nodes.get(row.parent or row.id, row)
        text = MISPLACED.get(error.code, "the tree above it is broken: see gateway node list")
        raise CommandError(
            text.format(kind=row.kind, parent=parent.kind, name=parent.name, node=error.node), WRONG
        ) from None


async def _switch(desk: Desk, arguments: argparse.Namespace, disabled: bool) -> None:
    accounts = await desk.store.accounts.load()
    naming = Naming(accounts.nodes)
    row = naming.get(arguments.node, "ID")
    if row.disabled != disabled:
        await desk.store.accounts.put(nodes=[replace(row, disabled=disabled)])
    below = [key for key in accounts.keys if row in naming.path(naming.nodes.get(key.node, row))]
    count = sum(key.revoked_ms is None and key.replaced_by is None for key in below)
    if disabled:
        text = f"{row.id} ({row.name}) is disabled; keys that stop within a second: {count}"
    elif any(one.disabled for one in naming.path(row)[:-1]):
        text = f"{row.id} ({row.name}) is enabled, but a node above it is disabled; keys below: {count}"
    else:
        text = f"{row.id} ({row.name}) is enabled; keys below: {count}"
    await _tell(desk, arguments, row, text)


async def _tell(desk: Desk, arguments: argparse.Namespace, row: NodeRow, text: str) -> None:
    if not arguments.json:
        desk.complain(text + ".")
        return
    accounts = await desk.store.accounts.load()
    fresh = next(one for one in accounts.nodes if one.id == row.id)
    desk.say(as_json(Facts(accounts, now_ms(desk)).node(fresh)))


def _rows(row: NodeRow, pairs: list[tuple[str, str]]) -> list[ScopeRow]:
    return [ScopeRow(owner=row.id, what=Slug(what), value=value) for what, value in pairs]
