"""The operational access log: off by default, rotated, addresses cut short, tied to no record.

A line has the minute, the shortened address, the kind of path and the status. It has no request id,
no key, no exact time and no user agent, so it cannot be joined with the records.
"""

import os
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

from gateway import log
from gateway.content import Content, Purpose
from gateway.names import Slug
from gateway.records import PathKind


class AccessLog:
    """Appends lines to a file, and keeps a bounded number of older files beside it.

    Args:
        max_bytes: size at which the file is rotated.
        files: how many files there are at most, the current one included.
    """

    def __init__(self, path: Path, max_bytes: int, files: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._files = files
        self._handle = self._open()
        self._size = os.fstat(self._handle).st_size

    def write(self, at_us: int, peer: Content, kind: PathKind, status: int) -> None:
        """Note one call. A disk that fails costs the line, never the call."""
        minute = datetime.fromtimestamp(at_us // 60_000_000 * 60, UTC).strftime("%Y-%m-%dT%H:%MZ")
        line = f"{minute} {shortened(peer)} {kind} {status}\n".encode()
        try:
            if self._size + len(line) > self._max_bytes:
                self._rotate()
            self._size += os.write(self._handle, line)
        except OSError as error:
            log.fact("access_log.failed", log.Level.WARNING, error=log.kind(error))

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _rotate(self) -> None:
        for number in range(self._files - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path if number == 1 else self._path.with_name(f"{self._path.name}.{number - 1}")
            if newer.exists():
                newer.replace(older)
        if self._files == 1:
            self._path.unlink()
        os.close(self._handle)
        self._handle = self._open()
        self._size = 0


def shortened(peer: Content) -> Slug:
    """An address without its last part: an IPv4 /24, an IPv6 /48."""
    try:
        address = ip_address(peer.open(Purpose.AUTH).decode("ascii").partition("%")[0])
    except ValueError:
        return Slug("unknown")
    bits = 24 if address.version == 4 else 48
    network = ip_network((address, bits), strict=False)
    return Slug(network.network_address.exploded)
