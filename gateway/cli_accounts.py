"""The commands key, provider and master-key: what they are called with, what they do and print."""

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from gateway.accounts import facts, grammar, keys, master_key, rotation, tree, vault
from gateway.accounts.master_key import InFile
from gateway.cli_desk import (
    GOOD,
    MAX_KEY_LENGTH,
    MAX_SLOT,
    WRONG,
    CommandError,
    Desk,
    Place,
    as_json,
    now_ms,
    read_duration_ms,
    read_name,
    show,
)
from gateway.content import Purpose, Secret
from gateway.contracts import Accounts, KeyRow, NodeRow
from gateway.names import Slug

# A clear key is printed once, when it is made, alone on standard output; everything about it goes to
# standard error, so that KEY=$(gateway key create ci) works. Provider keys come from standard input or
# a variable, never from the command line, where every process on the machine could read them.

_LISTS: Final = {
    "models": 'models it may use, such as gpt-4o-mini or "claude-*"',
    "providers": "providers it may use",
    "paths": "kinds of calls it may make, such as chat,embeddings",
    "environments": "values of x-gateway-environment it may carry",
    "networks": "addresses it may be used from, such as 10.0.0.0/8",
    "hours": "spans of the UTC day it may be used in, such as 08:00-18:00",
}
_SINGLES: Final = {
    "max_cost": "the most one call may cost, in dollars",
    "cap": "the most it may spend in all, in dollars",
    "rate": "the most calls a minute",
    "floor": "the least data policy of a model: no-training, no-retention or local",
}


Command = Callable[[Desk, argparse.Namespace], Awaitable[None]]


async def run(desk: Desk, arguments: argparse.Namespace) -> int:
    """Run the command that add_parsers found; the exit code.

    Raises:
        StoreError, MasterKeyError: the store or the master key cannot be used.
    """
    command: Command = arguments.work
    try:
        await command(desk, arguments)
    except CommandError as refusal:
        desk.complain(str(refusal))
        return refusal.code
    return GOOD


def add_parsers(
    commands: Any, shared: argparse.ArgumentParser, run_command: Callable[[argparse.Namespace], int]
) -> None:
    """Add the commands to a parser; each gets run=run_command and work=the function for run()."""
    common: dict[str, Any] = {"parents": [shared]}

    def leaf(parser: Any, name: str, work: Command, text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = parser.add_parser(name, help=text, **common)
        added.set_defaults(run=run_command, work=work)
        return added

    key = _family(commands, "key", "callers' keys")
    _add_key_options(leaf(key, "create", create_key, "make a key; it is printed once"))
    leaf(key, "list", list_keys, "every key, without its secret")
    leaf(key, "revoke", revoke_key, "end a key at once").add_argument("id")
    rotate = leaf(key, "rotate", rotate_key, "give a key a new secret")
    rotate.add_argument("id")
    rotate.add_argument("--grace", default="24h", help="how long the old secret works on (default 24h)")

    provider = _family(commands, "provider", "providers' keys in the store")
    setting = leaf(provider, "set-key", set_key, "store a key, read from standard input")
    setting.add_argument("name")
    setting.add_argument("--from-env", metavar="VAR", help="read it from this variable instead")
    setting.add_argument("--slot", type=int, default=1, help="for several keys: 1, 2, … (default 1)")
    deleting = leaf(provider, "delete-key", delete_key, "delete its stored keys")
    deleting.add_argument("name")
    deleting.add_argument("--slot", type=int, help="only the key in this slot")
    leaf(provider, "list", list_providers, "configured providers and where their keys are")

    master = _family(commands, "master-key", "the key that stored provider keys are under")
    rotating = leaf(master, "rotate", rotate_master_key, "seal everything under a new master key, online")
    rotating.add_argument(
        "--write", type=Path, metavar="FILE", help="for a master key in a variable: put the new text there"
    )


async def create_key(desk: Desk, arguments: argparse.Namespace) -> None:
    """key create: prints the clear key, once."""
    pairs, expires_ms = _scopes(arguments), _end(desk, arguments.expires)
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
    shown = [
        facts.of_key(accounts, row, now_ms(desk))
        for row in sorted(accounts.keys, key=lambda row: row.created_ms)
    ]
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
    state = facts.state(accounts, row, now_ms(desk))
    if state != "active":
        raise CommandError(f"{row.id} is {state} and cannot be rotated")
    pepper = master_key.load(desk.source).pepper
    fresh, clear = await keys.rotate_key(desk.store, pepper, row, grace_ms, clock=desk.clock)
    await _hand_over(desk, arguments, fresh, clear)


async def set_key(desk: Desk, arguments: argparse.Namespace) -> None:
    """provider set-key: seals a provider's key into the store."""
    provider, place = _provider(desk, arguments.name)
    if not 1 <= arguments.slot <= MAX_SLOT:
        raise CommandError(f"--slot counts from 1 to {MAX_SLOT}", WRONG)
    text = _provider_key(desk, arguments.from_env)
    row = await rotation.set_key(
        desk.store.secrets, desk.source, provider, arguments.slot, place.host, Secret(text), desk.clock
    )
    if place.configured:
        desk.complain("note: the configuration gives this provider a key, which goes before stored ones")
    if arguments.json:
        desk.say(as_json(facts.of_secret(row, place.host)))
    else:
        desk.complain(f"{row.id} is stored, sealed under {row.kek}, for {row.host} only.")


async def delete_key(desk: Desk, arguments: argparse.Namespace) -> None:
    """provider delete-key: deletes at once. Works for providers that are no longer configured, too."""
    provider = read_name(arguments.name, "NAME")
    ids = await rotation.delete_keys(desk.store.secrets, desk.source, provider, arguments.slot)
    if not ids:
        raise CommandError("no key is stored there")
    if arguments.json:
        desk.say(as_json({"deleted": list(ids)}))
    else:
        desk.complain("deleted: " + ", ".join(ids))


async def list_providers(desk: Desk, arguments: argparse.Namespace) -> None:
    """provider list: where each provider's keys are; nothing of a key."""
    rows = await desk.store.secrets.load()
    shown = []
    for name in sorted({*desk.places, *(row.provider for row in rows)}):
        place = desk.places.get(name)
        own = sorted((row for row in rows if row.provider == name), key=lambda row: vault.slot_of(row.id))
        shown.append(
            {
                "provider": name,
                "host": place.host if place else None,
                "configured_key": place is not None and place.configured,
                "keys": [facts.of_secret(row, place.host if place else None) for row in own],
            }
        )
    columns = ("provider", "host", "configured_key", "keys")
    show(desk, arguments.json, "providers", shown, columns)


async def rotate_master_key(desk: Desk, arguments: argparse.Namespace) -> None:
    """master-key rotate: a new kek for every stored key, while gateways run."""
    if isinstance(desk.source, InFile):
        done = await rotation.rotate(desk.store.secrets, desk.source.path)
    elif arguments.write is not None:
        _write_for_variable(desk, arguments.write)
        return
    else:
        done = await _rotate_variable(desk)
    if arguments.json:
        desk.say(as_json({"kek": done.kek, "rows": done.rows, "resumed": done.resumed}))
    else:
        desk.complain(f"{done.rows} stored keys are now under {done.kek}.")


def _write_for_variable(desk: Desk, path: Path) -> None:
    wider = rotation.with_new_kek(master_key.load(desk.source))
    master_key.write(path, wider, over=False)
    desk.complain(
        "The new master key, with the old one behind it, is in that file. Put its text into the variable "
        "(line ends may be ';'), restart, and run this again without --write."
    )


async def _rotate_variable(desk: Desk) -> rotation.Rotated:
    master = master_key.load(desk.source)
    if len(master.keks) == 1:
        raise CommandError(
            "the master key is in a variable, which no command can change: use --write FILE", WRONG
        )
    rows = await rotation.reseal(desk.store.secrets, master)
    desk.complain("Now take the older kek lines out of the variable.")
    return rotation.Rotated(kek=master.current.id, rows=rows, resumed=False)


async def _hand_over(desk: Desk, arguments: argparse.Namespace, row: KeyRow, clear: Secret) -> None:
    text = clear.open(Purpose.AUTH)
    if arguments.json:
        shown = facts.of_key(await desk.store.accounts.load(), row, now_ms(desk))
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


def _family(commands: Any, name: str, text: str) -> Any:
    return commands.add_parser(name, help=text).add_subparsers(metavar="COMMAND", required=True)


def _add_key_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    parser.add_argument("--org", help="its organisation; made if there is none of that name")
    parser.add_argument("--project", help="its project in that organisation; made likewise")
    parser.add_argument(
        "--expires", metavar="AFTER", help='when it ends: "30d", or a time such as 2030-01-31T00:00Z'
    )
    for name, text in _LISTS.items():
        parser.add_argument(f"--{name}", metavar="A,B", action="append", help=text)
    for name, text in _SINGLES.items():
        parser.add_argument("--" + name.replace("_", "-"), metavar="VALUE", help=text)
    parser.add_argument("--store", action="store_true", help="the provider may be asked to keep answers")


def _scopes(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """The scopes of key create as pairs, checked.

    Raises:
        CommandError: one is not in the grammar.
    """
    pairs = [
        (name, value.strip())
        for name in _LISTS
        for given in getattr(arguments, name) or ()
        for value in given.split(",")
    ]
    pairs += [(name, value) for name in _SINGLES if (value := getattr(arguments, name)) is not None]
    pairs += [("store", "allow")] if arguments.store else []
    try:
        grammar.read(pairs)
    except grammar.ScopeError as error:
        option = f"--{error.what.replace('_', '-')}: " if error.what else ""
        raise CommandError(f"{option}{error}", WRONG) from None
    return list(dict.fromkeys(pairs))


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


def _provider(desk: Desk, text: str) -> tuple[Slug, Place]:
    name = read_name(text, "NAME")
    place = desk.places.get(name)
    if place is None:
        raise CommandError("no provider with stored keys is configured by this name", WRONG)
    return name, place


def _provider_key(desk: Desk, variable: str | None) -> str:
    text = desk.read_secret() if variable is None else desk.environment.get(variable, "")
    text = text.strip()
    if not text:
        raise CommandError(
            "the variable is not set" if variable else "there is no key on standard input", WRONG
        )
    if len(text) > MAX_KEY_LENGTH or not text.isascii() or not text.isprintable() or " " in text:
        raise CommandError("this is no key: printable ASCII without spaces, at most 4096 characters", WRONG)
    return text
