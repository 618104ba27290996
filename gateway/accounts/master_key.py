"""The master key: the keys that wrap providers' keys, and the pepper of the digests; outside the database."""

import base64
import binascii
import glob
import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

from gateway.content import Content, Purpose
from gateway.names import Slug, is_name

# The text of a master key, in a file of mode 0600 or, with ";" for line ends, in an environment variable:
#
#     # comments and empty lines are skipped
#     pepper BASE64
#     kek kek-1f2e3d4c BASE64        the newest first: it seals; the others only open
#     kek kek-…        BASE64
#
# Each BASE64 is 32 random bytes. An environment variable may also hold one bare BASE64; the pepper is
# then derived from it (HKDF-SHA-256, RFC 5869). A rotation adds a kek and later drops the old one; the
# pepper stays, because with it all callers' keys would end.

KEY_BYTES: Final = 32
MAX_FILE_BYTES: Final = 16 * 1024
_LEAST_DISTINCT: Final = 16  # 32 random bytes have fewer distinct values once in 10^12 times
_HEADER: Final = (
    "# The gateway's master key. With it and the database, all stored provider keys can be read;\n"
    "# without it, none. Keep it out of backups of the database. Mode 0600.\n"
)


class MasterKeyError(Exception):
    """The master key cannot be used as it is. The text is ours and says how to mend it."""


@dataclass(frozen=True, slots=True)
class InFile:
    """A master key in a file."""

    path: Path


@dataclass(frozen=True, slots=True)
class InEnvironment:
    """A master key in a variable of an environment; None is the process's own."""

    name: str
    environment: Mapping[str, str] | None = field(default=None, repr=False, compare=False)


Source = InFile | InEnvironment


@dataclass(frozen=True, slots=True)
class Kek:
    """A key that wraps keys: 32 bytes."""

    id: Slug
    secret: Content


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A master key as read. keks: the newest first. source: where to read it again."""

    keks: tuple[Kek, ...]
    sealed_pepper: Content
    source: Source | None = None

    @property
    def pepper(self) -> bytes:
        """The secret of the digests of callers' keys."""
        return self.sealed_pepper.open(Purpose.AUTH)

    @property
    def current(self) -> Kek:
        """The kek that seals."""
        return self.keks[0]

    def kek(self, id: Slug) -> Kek | None:
        """The kek of that id."""
        for kek in self.keks:
            if kek.id == id:
                return kek
        return None


def load(source: Source) -> MasterKey:
    """Read a master key.

    Raises:
        MasterKeyError: it is missing, readable by others, a link to elsewhere, malformed or weak.
    """
    if isinstance(source, InFile):
        return replace(parse(_read_file(source.path)), source=source)
    environment = os.environ if source.environment is None else source.environment
    text = environment.get(source.name, "").strip()
    if not text:
        raise MasterKeyError("the environment variable of the master key is not set")
    if not any(mark in text for mark in ("\n", ";", " ")):
        return _derive(_decode(text))
    return parse(text.replace(";", "\n"))


def create(path: Path) -> MasterKey:
    """Make a new master key and write it to a new file of mode 0600.

    Raises:
        MasterKeyError: the file exists, or cannot be written.
    """
    master = MasterKey(keks=(new_kek(),), sealed_pepper=Content(os.urandom(KEY_BYTES)))
    write(path, master, over=False)
    return replace(master, source=InFile(path))


def load_or_create(path: Path) -> tuple[MasterKey, bool]:
    """Read the file, or make it when there is none; and whether it was made.

    Two processes that start at once get the same key.

    Raises:
        MasterKeyError: as load() and create() say.
    """
    if not os.path.lexists(path):
        try:
            return create(path), True
        except MasterKeyError:
            if not os.path.lexists(path):
                raise
    return load(InFile(path)), False


def new_kek() -> Kek:
    """A fresh key that wraps keys, with an id of its own."""
    return Kek(Slug(f"kek-{os.urandom(4).hex()}"), Content(os.urandom(KEY_BYTES)))


def write(path: Path, master: MasterKey, *, over: bool) -> None:
    """Write the whole file or nothing, and have the disk keep it.

    The text goes to a new file of mode 0600 beside the old one, which then takes its name.

    Raises:
        MasterKeyError: the file exists and over is false, or the folder cannot be written to.
    """
    place = path.resolve() if over else path
    fresh = place.with_name(f".{place.name}.{os.urandom(4).hex()}")
    try:
        _write_new(fresh, render(master).encode())
        try:
            if over:
                os.replace(fresh, place)
            else:
                _name_once(fresh, place)
        finally:
            fresh.unlink(missing_ok=True)
        _sync_folder(place.parent)
    except FileExistsError:
        raise MasterKeyError("the master key file exists already and is never overwritten") from None
    except OSError:
        raise MasterKeyError("the folder of the master key file cannot be written to") from None


def remove_leftovers(path: Path) -> int:
    """Delete what a write() that was cut short left beside the file; returns how many files.

    To be called by who holds the lock of gateway.accounts.rotation.

    Raises:
        MasterKeyError: the folder cannot be read or written to.
    """
    place = path.resolve()
    removed = 0
    try:
        for left in place.parent.glob(f".{glob.escape(place.name)}.????????"):
            left.unlink(missing_ok=True)
            removed += 1
    except OSError:
        raise MasterKeyError("the folder of the master key file cannot be written to") from None
    return removed


def render(master: MasterKey) -> str:
    """The text of the file. It is a secret."""
    lines = [f"pepper {_encode(master.sealed_pepper)}"]
    lines += [f"kek {kek.id} {_encode(kek.secret)}" for kek in master.keks]
    return _HEADER + "\n".join(lines) + "\n"


def parse(text: str) -> MasterKey:
    """Read the text of a master key.

    Raises:
        MasterKeyError: it is malformed or weak; nothing of it is quoted.
    """
    pepper: Content | None = None
    keks: list[Kek] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "pepper" and len(words) == 2 and pepper is None:
            pepper = Content(_decode(words[1]))
        elif words[0] == "kek" and len(words) == 3 and is_name(words[1]):
            keks.append(Kek(Slug(words[1]), Content(_decode(words[2]))))
        else:
            raise MasterKeyError(f"line {number} of the master key cannot be read")
    if pepper is None or not keks:
        raise MasterKeyError("the master key is not complete: it needs a pepper and at least one kek")
    if len({kek.id for kek in keks}) < len(keks):
        raise MasterKeyError("two keks of the master key have the same id")
    return MasterKey(keks=tuple(keks), sealed_pepper=pepper)


def _derive(secret: bytes) -> MasterKey:
    kek = _hkdf(secret, b"tollgate kek v1", KEY_BYTES)
    name = _hkdf(secret, b"tollgate kek id v1", 4).hex()
    pepper = _hkdf(secret, b"tollgate pepper v1", KEY_BYTES)
    return MasterKey(keks=(Kek(Slug(f"kek-{name}"), Content(kek)),), sealed_pepper=Content(pepper))


def _hkdf(secret: bytes, info: bytes, size: int) -> bytes:
    """HKDF-SHA-256 without salt, for at most 32 bytes (RFC 5869, sections 2.2 and 2.3)."""
    extracted = hmac.digest(bytes(hashlib.sha256().digest_size), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")[:size]


def _decode(text: str) -> bytes:
    try:
        secret = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise MasterKeyError("the master key is no base64") from None
    if len(secret) != KEY_BYTES:
        raise MasterKeyError("the master key needs 32 bytes: openssl rand -base64 32 makes them")
    if _is_weak(secret):
        raise MasterKeyError("the master key is not random: openssl rand -base64 32 makes a better one")
    return secret


def _is_weak(secret: bytes) -> bool:
    """What 32 random bytes never are: few values, steps of one width, or plain text."""
    steps = {(after - before) % 256 for before, after in pairwise(secret)}
    return len(set(secret)) < _LEAST_DISTINCT or len(steps) < 4 or all(32 <= byte < 127 for byte in secret)


def _encode(secret: Content) -> str:
    return base64.b64encode(secret.open(Purpose.AUTH)).decode()


def _read_file(path: Path) -> str:
    try:
        place = path.resolve(strict=True)
        if path.is_symlink() and not place.is_relative_to(path.parent.resolve(strict=True)):
            raise MasterKeyError("the master key file is a link to another folder: name the file itself")
        handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise MasterKeyError("there is no master key file: gateway init makes one") from None
    except (OSError, RuntimeError):
        raise MasterKeyError("the master key file cannot be opened") from None
    try:
        _check_facts(os.fstat(handle), os.geteuid())
        data = os.read(handle, MAX_FILE_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > MAX_FILE_BYTES or not data.isascii():
        raise MasterKeyError("the master key file holds something else")
    return data.decode("ascii")


def _check_facts(facts: os.stat_result, user: int) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise MasterKeyError("the master key file is no regular file")
    if facts.st_mode & 0o077:
        raise MasterKeyError("the master key file is open to others: chmod 600")
    if user not in (0, facts.st_uid) and facts.st_uid != 0:
        raise MasterKeyError("the master key file belongs to another user")


def _write_new(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, 0o600)
        file.write(data)
        file.flush()
        os.fsync(handle)


def _name_once(fresh: Path, place: Path) -> None:
    """Give a whole file its name, unless the name is taken.

    Where the file system has no links the file is written in place: still never over another one.
    """
    try:
        os.link(fresh, place)
    except FileExistsError:
        raise
    except OSError:
        _write_new(place, fresh.read_bytes())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
