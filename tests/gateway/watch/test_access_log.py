"""The access log: addresses cut short, rotated, tied to nothing."""

import os
from pathlib import Path

import pytest

from gateway.content import Content
from gateway.records import PathKind
from gateway.watch.access_log import AccessLog, shortened


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0000:0000:0000:0000:0000"),
        ("fe80::1%eth0", "fe80:0000:0000:0000:0000:0000:0000:0000"),
        ("", "unknown"),
        ("what is this", "unknown"),
    ],
)
def test_addresses_are_cut_short(address: str, shown: str) -> None:
    assert shortened(Content(address.encode())) == shown


def test_a_line_has_the_minute_and_no_more(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "logs" / "access.log", 1 << 20, 3)
    log.write(90_000_000, Content(b"203.0.113.77"), PathKind.CHAT, 200)
    log.close()
    path = tmp_path / "logs" / "access.log"
    assert path.read_text() == "1970-01-01T00:01Z 203.0.113.0 chat 200\n"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("files", [1, 3])
def test_files_are_rotated_and_bounded(tmp_path: Path, files: int) -> None:
    log = AccessLog(tmp_path / "access.log", 100, files)
    for _ in range(50):
        log.write(0, Content(b"203.0.113.77"), PathKind.CHAT, 200)
    log.close()
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == files
    assert all(path.stat().st_size <= 100 for path in kept)


def test_a_disk_that_fails_costs_the_line_only(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "access.log", 1 << 20, 3)
    os.close(log._handle)
    log.write(0, Content(b"203.0.113.77"), PathKind.CHAT, 200)
