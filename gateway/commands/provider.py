"""provider set-key, delete-key, list and master-key rotate: providers' keys in the store."""

import argparse
from pathlib import Path
from typing import Any, Final

from gateway.accounts import facts, master_key, rotation, vault
from gateway.accounts.master_key import InFile
from gateway.commands.desk import (
    MAX_KEY_LENGTH,
    CommandError,
    Desk,
    Family,
    Place,
    Run,
    as_json,
    read_name,
    show,
)
from gateway.commands.setting import WRONG
from gateway.content import Secret
from gateway.names import Slug

# Provider keys come from standard input or a variable, never from the command line, where every
# process on the machine could read them.

MAX_SLOT: Final = 99


def add_parsers(commands: Any, shared: argparse.ArgumentParser, run: Run) -> None:
    """Add the commands to a parser."""
    family = Family(commands, shared, run, "provider", "providers' keys in the store")
    setting = family.add("set-key", set_key, "store a key, read from standard input")
    setting.add_argument("name")
    setting.add_argument("--from-env", metavar="VAR", help="read it from this variable instead")
    setting.add_argument("--slot", type=int, default=1, help="for several keys: 1, 2, … (default 1)")
    deleting = family.add("delete-key", delete_key, "delete its stored keys")
    deleting.add_argument("name")
    deleting.add_argument("--slot", type=int, help="only the key in this slot")
    family.add("list", list_providers, "configured providers and where their keys are")

    master = Family(commands, shared, run, "master-key", "the key that stored provider keys are under")
    rotating = master.add("rotate", rotate_master_key, "seal everything under a new master key, online")
    rotating.add_argument(
        "--write", type=Path, metavar="FILE", help="for a master key in a variable: put the new text there"
    )


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
