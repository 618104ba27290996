"""A new master key while gateways run: no failed call, no lost key, whatever is cut short."""

import asyncio
import fcntl
import io
import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

import pytest

from gateway import log
from gateway.accounts import master_key, rotation
from gateway.accounts.master_key import InEnvironment, InFile, MasterKey, MasterKeyError
from gateway.accounts.rotation import VaultRefresher
from gateway.accounts.vault import Sealer, SealError, Vault
from gateway.content import Purpose, Secret
from gateway.contracts import SecretRow, StoreError
from gateway.names import Slug
from gateway.store.memory import MemoryStore

HOST = Slug("api.openai.com")
OPENAI = Slug("openai")


class FileSecrets:
    """Sealed rows in one file, each change whole: what a killed process leaves behind is what it wrote."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def version(self) -> int:
        return self._path.stat().st_mtime_ns

    async def load(self) -> tuple[SecretRow, ...]:
        rows = json.loads(self._path.read_text()) if self._path.exists() else {}
        return tuple(_row(one) for one in rows.values())

    async def put(self, rows) -> None:
        kept = {row.id: _plain(row) for row in [*await self.load(), *rows]}
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(kept))
        fresh.replace(self._path)

    async def delete(self, ids) -> None:
        raise AssertionError


def _plain(row: SecretRow) -> dict[str, object]:
    return {**asdict(row), "nonce": row.nonce.hex(), "sealed": row.sealed.hex()}


def _row(plain: dict[str, object]) -> SecretRow:
    slugs = {name: Slug(str(plain[name])) for name in ("id", "provider", "kek", "host")}
    row = SecretRow(**slugs, nonce=b"", sealed=b"", created_ms=1)
    return replace(row, nonce=bytes.fromhex(str(plain["nonce"])), sealed=bytes.fromhex(str(plain["sealed"])))


def clear(row: SecretRow, master: MasterKey) -> str:
    return Sealer(master).open(row, row.host).open(Purpose.SEND)


async def filled(secrets, path: Path, count: int = 3) -> None:
    for slot in range(1, count + 1):
        await rotation.set_key(secrets, InFile(path), OPENAI, slot, HOST, Secret(f"sk-{slot}"))


async def all_keys(secrets, path: Path) -> dict[str, str]:
    master = master_key.load(InFile(path))
    return {row.id: clear(row, master) for row in await secrets.load()}


WANTED = {"openai/1": "sk-1", "openai/2": "sk-2", "openai/3": "sk-3"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    master_key.create(tmp_path / "master.key")
    return tmp_path / "master.key"


@pytest.fixture(autouse=True)
def lines():
    out = io.StringIO()
    log.configure(out=out)
    yield out
    log.configure()


async def test_after_a_rotation_everything_is_under_one_new_kek(path):
    secrets, before = MemoryStore().secrets, master_key.load(InFile(path))
    await filled(secrets, path)
    stolen = await secrets.load()
    done = await rotation.rotate(secrets, path)
    after = master_key.load(InFile(path))
    assert (done.rows, done.resumed, done.kek) == (3, False, after.current.id)
    assert [kek.id for kek in after.keks] == [done.kek] != [before.current.id]
    assert after.pepper == before.pepper
    assert {row.kek for row in await secrets.load()} == {done.kek}
    assert await all_keys(secrets, path) == WANTED
    for row in stolen:
        with pytest.raises(SealError, match="unknown_kek"):
            clear(row, after)
    for row in await secrets.load():
        with pytest.raises(SealError, match="unknown_kek"):
            clear(row, before)


async def test_an_empty_store_rotates_too(path):
    done = await rotation.rotate(MemoryStore().secrets, path)
    assert (done.rows, done.kek) == (0, master_key.load(InFile(path)).current.id)


def test_a_rotation_killed_at_any_line_loses_nothing_and_goes_on(tmp_path):
    watched = tuple(
        str(Path(rotation.__file__).with_name(f"{name}.py")) for name in ("rotation", "master_key", "vault")
    )
    killed = at = 0
    while True:
        at += 4
        folder = tmp_path / str(at)
        folder.mkdir()
        path, secrets = folder / "master.key", FileSecrets(folder / "rows")
        pepper = master_key.create(path).pepper
        asyncio.run(filled(secrets, path))
        survived = _rotate_and_die(secrets, path, watched, at)
        assert asyncio.run(all_keys(secrets, path)) == WANTED
        asyncio.run(rotation.rotate(secrets, path))
        after = master_key.load(InFile(path))
        assert asyncio.run(all_keys(secrets, path)) == WANTED
        assert (len(after.keks), after.pepper) == (1, pepper)
        assert sorted(os.listdir(folder)) == ["master.key", "rows"]
        if survived:
            break
        killed += 1
    assert killed >= 50


def _rotate_and_die(secrets: FileSecrets, path: Path, watched: tuple[str, ...], at: int) -> bool:
    """Rotate in a process that is gone, without any clean-up, at a line. Whether it got through."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    count = 0

    def trace(frame: FrameType, event: str, _: object):
        nonlocal count
        if frame.f_code.co_filename not in watched:
            return None
        if event == "line":
            count += 1
            if count == at:
                os._exit(9)
        return trace

    try:
        sys.settrace(trace)
        asyncio.run(rotation.rotate(secrets, path))
        os._exit(0)
    finally:
        os._exit(1)


class Cutting:
    """A store's secrets that fail once, before or after the n-th change."""

    def __init__(self, at: int, after: bool) -> None:
        self._secrets = MemoryStore().secrets
        self._left = at
        self._after = after
        self.on = False

    async def version(self) -> int:
        return await self._secrets.version()

    async def load(self):
        return await self._secrets.load()

    async def delete(self, ids) -> None:
        await self._secrets.delete(ids)

    async def put(self, rows) -> None:
        if self.on:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise StoreError("away")
        await self._secrets.put(rows)
        if self.on and self._left == 0:
            raise StoreError("away")


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("after", [False, True])
async def test_a_store_that_fails_leaves_a_rotation_to_go_on_with(path, at, after):
    secrets = Cutting(at, after)
    await filled(secrets, path)
    secrets.on = True
    with pytest.raises(StoreError):
        await rotation.rotate(secrets, path)
    assert len(master_key.load(InFile(path)).keks) == 2
    assert await all_keys(secrets, path) == WANTED
    secrets.on = False
    done = await rotation.rotate(secrets, path)
    assert done.resumed
    assert done.rows == 3 - (at if after else at - 1)
    assert await all_keys(secrets, path) == WANTED


async def test_gateways_that_run_answer_with_the_right_key_all_the_time(path):
    store = MemoryStore()
    secrets = store.secrets
    await filled(secrets, path)
    before = master_key.load(InFile(path))
    vaults = [Vault(before, await secrets.load()) for _ in range(2)]
    credentials = [one for vault in vaults for one in vault.credentials(OPENAI, HOST)]
    revealed = changes = 0

    def changed() -> None:
        nonlocal changes
        changes += 1

    async def call() -> None:
        nonlocal revealed
        while True:
            for number, credential in enumerate(credentials):
                assert credential.reveal().open(Purpose.SEND) == f"sk-{number % 3 + 1}"
                revealed += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(VaultRefresher(secrets, vault, InFile(path), changed, interval_s=0.001).run())
            for vault in vaults
        ]
        tasks.append(group.create_task(call()))
        for _ in range(10):
            await rotation.rotate(secrets, path)
            await asyncio.sleep(0.003)
        await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
    assert revealed > 100
    assert changes >= 4
    old = Sealer(before).seal(OPENAI, 1, HOST, Secret("sk-forged"), 1)
    for vault in vaults:
        assert vault._sealer.current == master_key.load(InFile(path)).current.id
        with pytest.raises(SealError, match="unknown_kek"):
            vault._sealer.open(old, HOST)


async def test_a_refresher_takes_over_nothing_when_nothing_changed(path):
    secrets = MemoryStore().secrets
    changes: list[int] = []
    refresher = VaultRefresher(
        secrets, Vault(master_key.load(InFile(path))), InFile(path), lambda: changes.append(1)
    )
    await refresher.load()
    await refresher.load()
    assert changes == [1]
    await filled(secrets, path, 1)
    await refresher.load()
    assert changes == [1, 1]
    path.unlink()
    await refresher.load()
    assert changes == [1, 1, 1]


async def test_a_master_key_in_a_variable_has_no_stamp():
    secrets, changes = MemoryStore().secrets, []
    master = MasterKey(keks=(master_key.new_kek(),), sealed_pepper=master_key.new_kek().secret)
    refresher = VaultRefresher(secrets, Vault(master), InEnvironment("KEY"), lambda: changes.append(1))
    await refresher.load()
    await refresher.load()
    assert changes == [1]


class Away(Cutting):
    async def version(self) -> int:
        raise StoreError("away")


async def test_an_outage_of_the_store_takes_no_key_away_and_is_said_once(path, lines):
    row = Sealer(master_key.load(InFile(path))).seal(OPENAI, 1, HOST, Secret("sk-1"), 1)
    held = Vault(master_key.load(InFile(path)), [row])
    refresher = VaultRefresher(Away(1, False), held, InFile(path), interval_s=0.001)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(refresher.run())
        await asyncio.sleep(0.03)
        task.cancel()
    assert held.get(OPENAI, HOST).open(Purpose.SEND) == "sk-1"
    assert lines.getvalue().count("vault.store_unreachable") == 1


async def test_keys_set_and_deleted_during_a_rotation_stay_set_and_deleted(path):
    secrets = MemoryStore().secrets
    await filled(secrets, path)
    async with asyncio.TaskGroup() as group:
        group.create_task(rotation.rotate(secrets, path))
        group.create_task(rotation.set_key(secrets, InFile(path), OPENAI, 1, HOST, Secret("sk-new")))
        group.create_task(rotation.delete_keys(secrets, InFile(path), OPENAI, 2))
        group.create_task(rotation.rotate(secrets, path))
    assert await all_keys(secrets, path) == {"openai/1": "sk-new", "openai/3": "sk-3"}
    assert len(master_key.load(InFile(path)).keks) == 1


async def test_a_row_that_does_not_open_stops_the_rotation_before_the_old_kek_goes(path):
    secrets = MemoryStore().secrets
    await filled(secrets, path)
    broken = replace((await secrets.load())[1], sealed=bytes(32))
    await secrets.put([broken])
    with pytest.raises(MasterKeyError, match="openai/2 does not open"):
        await rotation.rotate(secrets, path)
    assert len(master_key.load(InFile(path)).keks) == 2
    assert await rotation.delete_keys(secrets, InFile(path), OPENAI, 2) == ("openai/2",)
    assert (await rotation.rotate(secrets, path)).resumed
    assert await all_keys(secrets, path) == {"openai/1": "sk-1", "openai/3": "sk-3"}


async def test_a_row_without_a_place_stops_the_rotation(path):
    secrets = MemoryStore().secrets
    await filled(secrets, path, 1)
    row = (await secrets.load())[0]
    for id in ("groq/1", "openai/x", "openai"):
        await secrets.delete([one.id for one in await secrets.load()])
        await secrets.put([replace(row, id=Slug(id))])
        with pytest.raises(MasterKeyError, match="has no place"):
            await rotation.rotate(secrets, path)


class Stubborn(Cutting):
    """Each row that is sealed again is followed by another under the old kek."""

    def __init__(self, row: SecretRow) -> None:
        super().__init__(1, False)
        self.row = row

    async def load(self):
        return (self.row,)


async def test_a_rotation_does_not_go_on_for_ever(path):
    row = Sealer(master_key.load(InFile(path))).seal(OPENAI, 1, HOST, Secret("sk-1"), 1)
    with pytest.raises(MasterKeyError, match="keeps storing"):
        await rotation.rotate(Stubborn(row), path)
    assert len(master_key.load(InFile(path)).keks) == 2


async def test_only_one_process_changes_what_is_sealed_at_a_time(path):
    handle = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(MasterKeyError, match="in use"):
        async with rotation.locked(InFile(path), wait_s=0.05):
            raise AssertionError
    os.close(handle)
    async with rotation.locked(InFile(path), wait_s=0):
        pass


async def test_without_its_folder_nothing_is_locked(tmp_path):
    with pytest.raises(MasterKeyError, match="folder"):
        async with rotation.locked(InFile(tmp_path / "missing" / "key")):
            raise AssertionError


async def test_all_keys_of_a_provider_are_deleted_and_no_others(path):
    secrets = MemoryStore().secrets
    await filled(secrets, path)
    await rotation.set_key(secrets, InFile(path), Slug("groq"), 1, Slug("api.groq.com"), Secret("gsk"))
    assert await rotation.delete_keys(secrets, InFile(path), OPENAI, 9) == ()
    assert await rotation.delete_keys(secrets, InFile(path), OPENAI) == ("openai/1", "openai/2", "openai/3")
    assert [row.id for row in await secrets.load()] == ["groq/1"]


def test_leftovers_of_a_killed_write_are_removed_and_nothing_else(path):
    left = path.with_name(".master.key.0badf00d")
    left.write_text("x")
    other = path.with_name(".master.key.of-somebody")
    other.write_text("x")
    assert master_key.remove_leftovers(path) == 1
    assert (left.exists(), other.exists(), path.exists()) == (False, True, True)
    left.mkdir()
    with pytest.raises(MasterKeyError):
        master_key.remove_leftovers(path)
