"""Changes to what is sealed while gateways run: a provider's key, a new master key, keeping up with both."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway import log
from gateway.accounts import master_key
from gateway.accounts.master_key import InFile, MasterKey, MasterKeyError, Source
from gateway.accounts.vault import Sealer, SealError, Vault
from gateway.clock import Clock, SystemClock
from gateway.content import Secret
from gateway.contracts import SecretRow, SecretStore, StoreError
from gateway.names import Slug

# A rotation has four steps, and each leaves something that works:
#
#   1. a new kek is written into the master key file, in front of the old one
#   2. every row is opened and sealed again under the new kek, one at a time
#   3. the store is read once more, until no row under an old kek is left
#   4. the old keks are taken out of the file
#
# Whoever finds a file with two keks finds a rotation that was cut short, and goes on with step 2.
# Gateways that run notice a row under a kek they do not know, or a changed file, and read the file.
# A lock on the file's folder keeps two writers apart, so that no key that is set or deleted
# meanwhile is overwritten by its older self.

LOCK_WAIT_S: Final = 10.0
_LOCK_RETRY_S: Final = 0.02
_PASSES_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """What a rotation did: the kek that all rows are under now, how many were sealed again.

    resumed: it went on with one that was cut short.
    """

    kek: Slug
    rows: int
    resumed: bool


async def rotate(secrets: SecretStore, path: Path) -> Rotated:
    """Put a new kek into the master key file, seal every row under it, and drop the old one.

    May be cut short at any point and run again.

    Raises:
        MasterKeyError: the file cannot be used or written, or a row does not open.
        StoreError: the store cannot be used.
    """
    async with locked(InFile(path)):
        master = master_key.load(InFile(path))
        master_key.remove_leftovers(path)
        resumed = len(master.keks) > 1
        if not resumed:
            master = with_new_kek(master)
            master_key.write(path, master, over=True)
        rows = await reseal(secrets, master)
        alone = MasterKey(keks=(master.current,), sealed_pepper=master.sealed_pepper)
        master_key.write(path, alone, over=True)
    return Rotated(kek=alone.current.id, rows=rows, resumed=resumed)


def with_new_kek(master: MasterKey) -> MasterKey:
    """The same master key with a fresh kek in front."""
    return MasterKey(keks=(master_key.new_kek(), *master.keks), sealed_pepper=master.sealed_pepper)


async def reseal(secrets: SecretStore, master: MasterKey) -> int:
    """Seal every row that is under another kek under the current one; returns how many.

    Raises:
        MasterKeyError: a row does not open, or others keep adding rows under an old kek.
        StoreError: the store cannot be used.
    """
    sealer = Sealer(master)
    done = 0
    for _ in range(_PASSES_MAX):
        old = [row for row in await secrets.load() if row.kek != sealer.current]
        if not old:
            return done
        for row in old:
            await secrets.put([_sealed_again(sealer, row)])
            done += 1
    raise MasterKeyError("another process keeps storing keys under an old master key")


def _sealed_again(sealer: Sealer, row: SecretRow) -> SecretRow:
    provider, _, slot = row.id.rpartition("/")
    if provider != row.provider or not slot.isdecimal():
        raise MasterKeyError(f"the stored key {row.id} has no place: delete it")
    try:
        key = sealer.open(row, row.host)
    except SealError:
        raise MasterKeyError(f"the stored key {row.id} does not open: delete it and set it again") from None
    return sealer.seal(row.provider, int(slot), row.host, key, row.created_ms)


async def set_key(
    secrets: SecretStore,
    source: Source,
    provider: Slug,
    slot: int,
    host: Slug,
    key: Secret,
    clock: Clock | None = None,
) -> SecretRow:
    """Seal a provider's key and store it in a slot, in place of what was there.

    Raises:
        MasterKeyError: the master key cannot be used.
        StoreError: the store cannot be used.
    """
    created_ms = (clock or SystemClock()).now_us() // 1000
    async with locked(source):
        # Read again each time: a rotation may have been here since this process started.
        sealer = Sealer(master_key.load(source))
        row = sealer.seal(provider, slot, host, key, created_ms)
        await secrets.put([row])
    return row


async def delete_keys(
    secrets: SecretStore, source: Source, provider: Slug, slot: int | None = None
) -> tuple[Slug, ...]:
    """Delete a provider's keys, or the one in a slot; returns the ids of those that were there.

    Raises:
        MasterKeyError: the lock was not to be had.
        StoreError: the store cannot be used.
    """
    async with locked(source):
        ids = [row.id for row in await secrets.load() if row.provider == provider]
        if slot is not None:
            ids = [id for id in ids if id == f"{provider}/{slot}"]
        if ids:
            await secrets.delete(ids)
    return tuple(ids)


@asynccontextmanager
async def locked(source: Source, wait_s: float = LOCK_WAIT_S) -> AsyncIterator[None]:
    """Hold the lock of those who change what is sealed. A key in the environment has no lock.

    Raises:
        MasterKeyError: another process held it for longer than wait_s seconds.
    """
    if not isinstance(source, InFile):
        yield
        return
    try:
        handle = os.open(source.path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        raise MasterKeyError("the folder of the master key file cannot be opened") from None
    try:
        await _lock(handle, wait_s)
        yield
    finally:
        os.close(handle)


async def _lock(handle: int, wait_s: float) -> None:
    for _ in range(round(wait_s / _LOCK_RETRY_S) + 1):
        if _try_lock(handle):
            return
        await asyncio.sleep(_LOCK_RETRY_S)
    raise MasterKeyError("the master key is in use by another process: try again later")


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class VaultRefresher:
    """Keeps a Vault as the store and the master key file are. Runs in every process.

    Args:
        changed: called after the vault took over something new.
    """

    def __init__(
        self,
        secrets: SecretStore,
        vault: Vault,
        source: Source,
        changed: Callable[[], None] = lambda: None,
        interval_s: float = 0.25,
    ) -> None:
        self._secrets = secrets
        self._vault = vault
        self._source = source
        self._changed = changed
        self._interval_s = interval_s
        self._seen: tuple[int, object] | None = None
        self._failing = False

    async def load(self) -> None:
        """Take over now what is new.

        Raises:
            StoreError: the store cannot be read.
        """
        seen = (await self._secrets.version(), self._stamp())
        if seen == self._seen:
            return
        rows = await self._secrets.load()
        self._vault.replace(rows)
        self._seen = seen
        self._changed()

    async def run(self) -> None:
        """Refresh until cancelled. What cannot be read changes nothing."""
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.load()
            except StoreError:
                if not self._failing:
                    log.fact("vault.store_unreachable", log.Level.WARNING)
                self._failing = True
            else:
                self._failing = False

    def _stamp(self) -> object:
        """Changes when the file does; a variable of the environment never does."""
        if not isinstance(self._source, InFile):
            return None
        try:
            facts = os.stat(self._source.path)
        except OSError:
            return None
        return facts.st_ino, facts.st_ctime_ns
