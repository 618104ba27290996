"""doctor: looks at the machine and the installation, and says of each thing whether it is as it should be."""

import argparse
import asyncio
import ctypes
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import orjson

from gateway import __version__
from gateway.clock import SystemClock
from gateway.commands import setting
from gateway.config import Config, LiteralSecret
from gateway.ledger import replay
from gateway.privacy import places
from gateway.privacy.calling import send
from gateway.privacy.cases import Case

PACKAGES: Final = ("aiohttp", "aiosqlite", "cryptography", "orjson", "pydantic", "structlog")
SQLITE_LEAST: Final = (3, 37, 0)
"""Strict tables. Source: SQLite's release notes."""
FREE_LEAST: Final = 1 << 30
"""Bytes. A journal alone may grow so large while the store is away."""
FILES_LEAST: Final = 4096
"""Descriptors that a process may have open: two for each call under way, and some."""
RELEASED_S: Final = 1_763_600_000
"""Unix time of this version's making: an earlier clock is wrong."""
TIME_ERROR: Final = 5
"""Of adjtimex(2): the clock is not synchronised."""
MEGABYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        good: None where it cannot be seen, or is a matter of choice.
        mend: what to do about it; empty when there is nothing to do.
    """

    name: str
    good: bool | None
    says: str
    mend: str = ""


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    doctor = commands.add_parser("doctor", parents=[shared], help="look at the machine and the installation")
    doctor.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every finding; 1 when one of them is not good."""
    config = setting.load_config(arguments)
    findings = [one for look in LOOKS for one in look(config, setting.config_path(arguments))]
    good = all(one.good is not False for one in findings)
    if arguments.json:
        print(orjson.dumps({"ok": good, "findings": [asdict(one) for one in findings]}).decode())
    else:
        for one in findings:
            mark = {True: "ok", False: "NOT OK", None: "-"}[one.good]
            print(f"{mark:<7} {one.name:<22} {one.says}" + (f"\n{'':31}→ {one.mend}" if one.mend else ""))
    return setting.GOOD if good else setting.FAILED


# --- the software -----------------------------------------------------------------------------------


def software(config: Config, path: Path | None) -> Iterator[Finding]:
    """Versions of what runs, and whether the faster event loop is there."""
    versions = ".".join(map(str, sys.version_info[:3]))
    yield Finding("gateway", True, f"{__version__} on Python {versions}")
    for name in PACKAGES:
        try:
            yield Finding(name, True, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, False, "is not installed", "install the package again")
    new = sqlite3.sqlite_version_info >= SQLITE_LEAST
    yield Finding(
        "sqlite", new, sqlite3.sqlite_version, "" if new else "3.37 or newer is needed: update Python"
    )
    try:
        yield Finding("uvloop", True, metadata.version("uvloop"))
    except metadata.PackageNotFoundError:
        mend = "it makes the event loop faster: pip install uvloop"
        yield Finding("uvloop", None, "is not installed", mend if config.server.uvloop else "")


# --- the machine ------------------------------------------------------------------------------------


def machine(config: Config, path: Path | None) -> Iterator[Finding]:
    """Clock, disk and swap."""
    yield from clock(SystemClock().now_us() / 10**6, clock_state())
    folder = existing(places.store_path(config).parent)
    free = shutil.disk_usage(folder).free
    enough = free >= FREE_LEAST
    yield Finding(
        "free disk",
        enough,
        f"{free // MEGABYTE:,} MiB for {folder}",
        "" if enough else "make room: without a journal no call is forwarded",
    )
    swaps = lines_of(Path("/proc/swaps"))[1:]
    mend = "memory that is swapped out rests on a disk: encrypt it, or set MemorySwapMax=0 for the service"
    yield Finding("swap", None if swaps else True, "is in use" if swaps else "none", mend if swaps else "")


def clock(now_s: float, state: int | None) -> Iterator[Finding]:
    """What a time and a state of adjtimex(2) say of the clock; None: it cannot be asked."""
    mend = "set it, and keep it right with NTP: keys expire by it and records are dated by it"
    if now_s < RELEASED_S:
        yield Finding("clock", False, "is before the release of this version", mend)
    elif state == TIME_ERROR:
        yield Finding("clock", None, "is not synchronised as far as the kernel knows", mend)
    else:
        yield Finding("clock", state is not None or None, "unknown" if state is None else "is kept right")


def clock_state() -> int | None:
    """What adjtimex(2) says of the clock."""
    if sys.platform != "linux":
        return None
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))  # modes 0: it only asks
    return None if state < 0 else int(state)


# --- the files ----------------------------------------------------------------------------------------


def files(config: Config, path: Path | None) -> Iterator[Finding]:
    """Who may read what the gateway keeps, and what dead processes left."""
    yield from configuration_file(config, path)
    found = [one for one in dict.fromkeys(places.own_files(config)) if one.exists()]
    wide = [one for one in found if one.stat().st_mode & 0o077]
    for one in wide:
        mode = one.stat().st_mode & 0o777
        yield Finding("permissions", False, f"{one} has mode {mode:o}", f"chmod 600 {one}")
    if not wide:
        yield Finding("permissions", True, f"{len(found)} files, none open to others")
    for folder in places.own_folders(config):
        if folder.exists() and folder.stat().st_mode & 0o077:
            yield Finding("permissions", False, f"{folder} is open to others", f"chmod 700 {folder}")
    yield from journal(Path(config.records.journal))


def configuration_file(config: Config, path: Path | None) -> Iterator[Finding]:
    """Whether others may read or change the configuration."""
    if path is None:
        yield Finding("configuration", True, "built-in defaults")
        return
    mode = path.stat().st_mode
    secret = any(
        isinstance(source, LiteralSecret)
        for table in config.providers.values()
        for source in (table.api_key, *table.api_keys)
    )
    if mode & 0o022:
        yield Finding("configuration", False, f"{path} can be changed by others", f"chmod 644 {path}")
    elif secret and mode & 0o044:
        mend = f'chmod 600 {path}, or move its keys out of it: {{ env = "NAME" }}'
        yield Finding("configuration", False, f"{path} holds a key and can be read by others", mend)
    else:
        yield Finding("configuration", True, str(path))


def journal(folder: Path) -> Iterator[Finding]:
    """Journals whose process has ended without handing its records over."""
    left = []
    for remains in replay.dead(folder):
        try:
            left.append(sum(1 for _ in remains.records()))
        finally:
            remains.release()
    if not left:
        yield Finding("journal", True, "nothing left over")
        return
    yield Finding(
        "journal",
        None,
        f"{sum(left)} records in {len(left)} journals of processes that have ended",
        "start the gateway: it takes them over; none is lost or counted twice",
    )


# --- the processes ------------------------------------------------------------------------------------


def running(config: Config, path: Path | None) -> Iterator[Finding]:
    """Whether it serves, and what its processes could give away."""
    yield asyncio.run(readiness(config))
    listen = config.server.admin_listen
    if not listen.startswith(("127.", "localhost:", "[::1]")):
        mend = "let it listen on loopback, or see to it that only operators reach it"
        yield Finding("admin listener", None, f"{listen} is not on loopback", mend)
    for number in places.processes(config):
        yield from process(Path("/proc", str(number)))
    pattern = " ".join(lines_of(Path("/proc/sys/kernel/core_pattern")))
    if pattern.startswith("|"):
        says = "go to a program, whatever the limit says; a process that is not dumpable gives none"
        yield Finding("core files", None, says)


async def readiness(config: Config) -> Finding:
    """What /readyz says."""
    door = places.door(config.server.listen, config.server.tls_certificate)
    sent = f"GET /readyz HTTP/1.1\r\nhost: {config.server.listen}\r\nconnection: close\r\n\r\n".encode()
    answer = await send(door, Case(name="ready", sent=sent))
    if answer[9:12] == b"200":
        return Finding("serving", True, f"on {config.server.listen}")
    if not answer:
        return Finding("serving", None, f"nothing answers on {config.server.listen}", "gateway serve")
    mend = "a full disk or a store that cannot be opened; the log says which"
    return Finding("serving", False, "answers, but cannot take calls", mend)


def process(folder: Path) -> Iterator[Finding]:
    """One process's limits, and whether its memory can be read or dumped. folder: its place in /proc."""
    name = f"process {folder.name}"
    limits = {line[:26].strip(): line[26:].split()[:1] for line in lines_of(folder / "limits")}
    core = limits.get("Max core file size")
    mend = "set LimitCORE=0 for the service: a core file holds prompts"
    yield Finding(name, seen(core, "0"), "writes no core file" if core == ["0"] else "may write core files",
                  "" if core == ["0"] else mend)  # fmt: skip
    yield dumpable(folder)
    open_files = limits.get("Max open files", ["0"])[0]
    enough = open_files == "unlimited" or int(open_files) >= FILES_LEAST
    yield Finding(name, enough, f"may open {open_files} files", "" if enough else "set LimitNOFILE=65536")
    swapped = [line.split()[1] for line in lines_of(folder / "status") if line.startswith("VmSwap:")]
    if swapped and swapped != ["0"]:
        mend = "set MemorySwapMax=0 for the service, and restart it: what is swapped out rests on a disk"
        yield Finding(name, False, f"{swapped[0]} KiB of it are swapped out", mend)


def dumpable(folder: Path) -> Finding:
    """Whether others of the same user can read a process's memory: /proc tells by what it hides."""
    name = f"process {folder.name}"
    try:
        (folder / "environ").read_bytes()
    except PermissionError:
        return Finding(name, True, "its memory is closed to other processes")
    except OSError:
        return Finding(name, None, "has ended")
    if os.geteuid() == 0:
        mend = "run it as a user of its own, and ask as that user"
        return Finding(name, None, "root may read any memory, so this cannot be told", mend)
    return Finding(name, False, "its memory is open to processes of the same user", "start it as a gateway")


def seen(value: object, expected: str) -> bool | None:
    """Whether a limit is as expected; None where it cannot be seen."""
    return None if value is None else value == [expected]


def lines_of(path: Path) -> list[str]:
    """Lines of a small file of the kernel; none where it is not there."""
    try:
        return path.read_text("ascii", "replace").splitlines()
    except OSError:
        return []


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


Look = Callable[[Config, Path | None], Iterator[Finding]]
LOOKS: Final[tuple[Look, ...]] = (software, machine, files, running)
