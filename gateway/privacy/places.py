"""Places: everywhere that an installation writes, or could have written by mistake."""

import os
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway import config as configuration
from gateway.config import Config, LiteralSecret
from gateway.privacy.calling import Door
from gateway.privacy.search import Search, files_below

COMMON: Final = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - searched, not written
STORE_PATH: Final = "gateway-data/gateway.db"
_MARKER: Final = "ready-"


def own_files(config: Config) -> Iterator[Path]:
    """The files that the configuration names, and all that belongs to them."""
    yield from beside(store_path(config))
    if config.log.access is not None:
        yield from beside(Path(config.log.access))
    for source in (config.secrets.master_key, config.admin.token):
        if not isinstance(source, LiteralSecret) and source.file is not None:
            yield from beside(Path(source.file))
    for folder in own_folders(config):
        yield from files_below(folder)


def own_folders(config: Config) -> tuple[Path, ...]:
    """The folders that belong to the installation alone."""
    return Path(config.records.journal), Path(config.metrics.folder)


def store_path(config: Config) -> Path:
    """The database's file, where the store has one."""
    return Path(str(configuration.plugin_keys(config.store).get("path", STORE_PATH)))


def beside(path: Path) -> list[Path]:
    """The file and those whose names begin with its: write-ahead log, rotated ones, temporary ones."""
    return sorted(one for one in path.parent.glob("*") if one.name.startswith(path.name) and one.is_file())


def search_files(search: Search, config: Config, since_ns: int) -> None:
    """Search what the installation wrote, and what anybody wrote since then where it could have."""
    seen: set[Path] = set()

    def look(path: Path) -> None:
        path = path.absolute()
        if path not in seen:
            seen.add(path)
            search.file(path)

    for path in own_files(config):
        look(path)
    folders = {Path.cwd(), store_path(config).parent, Path(tempfile.gettempdir()), *map(Path, COMMON)}
    for folder in sorted(folders):
        for path in files_below(folder, since_ns):
            if os.access(path, os.R_OK):
                look(path)


def processes(config: Config) -> list[int]:
    """Numbers of the processes that serve now."""
    found = []
    for marker in sorted(Path(config.metrics.folder).glob(_MARKER + "*")):
        number = marker.name.removeprefix(_MARKER)
        if number.isdecimal() and Path("/proc", number).exists():
            found.append(int(number))
    return found


def outputs(process: int) -> tuple[list[Path], str | None]:
    """The files that a process prints to, and why its output cannot be searched where it cannot."""
    files = []
    for number in (1, 2):
        try:
            target = os.readlink(f"/proc/{process}/fd/{number}")
        except PermissionError:
            return [], f"process {process} hides where its output goes"
        except OSError:
            return [], f"process {process} has ended"
        path = Path(target)
        if path.is_file():
            files.append(path)
        elif target != os.devnull:
            return files, f"process {process} prints to {target.partition(':')[0]}"
    return files, None


def door(address: str, certificate: str | None) -> Door:
    """Where an installation on this machine is called, by the address it listens on."""
    host, _, port = address.rpartition(":")
    host = ANY.get(host, host).strip("[]")
    context = None
    if certificate is not None:
        # Its own certificate is all that is believed; the name in it is another one than loopback.
        context = ssl.create_default_context(cafile=certificate)
        context.check_hostname = False
    return Door(host, int(port), context)


ANY: Final = {"0.0.0.0": "127.0.0.1", "[::]": "::1", "::": "::1"}
"""Addresses that stand for all of a machine's, and the one to call."""
