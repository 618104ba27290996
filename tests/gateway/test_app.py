"""One process from its first start to its end: what is made, what is refused, what is left behind."""

import asyncio
import base64
import os
import shutil
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway import config, opening, rehearsal, wiring
from gateway.accounts.master_key import MasterKeyError
from gateway.app import App
from gateway.config import Config, ConfigError
from gateway.content import Purpose
from gateway.contracts import StoreError
from gateway.ledger.journal import JournalError
from tests.conftest import Start
from tests.installation import Installation


def tree(folder: Path, **tables: Any) -> Config:
    """A configuration whose files are all in the folder."""
    data = folder / "data"
    return config.parse(
        {
            "server": {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0"},
            "secrets": {"master_key": {"file": str(data / "master.key")}},
            "admin": {"token": {"file": str(data / "admin.token")}},
            "store": {"path": str(data / "gateway.db")},
            "records": {"journal": str(data / "journal"), "interval": "10ms"},
            "metrics": {"folder": str(data / "metrics")},
            **tables,
        },
        "test",
        {},
    )


# --- the first start


async def test_the_first_start_makes_everything_for_its_owner_only_and_one_key(tmp_path: Path) -> None:
    made = tree(tmp_path)
    first = await opening.prepare(made)
    assert first is not None
    assert first.open(Purpose.AUTH).startswith("tg_")
    for name in ("master.key", "admin.token", "gateway.db"):
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    clear = first.open(Purpose.AUTH).encode()
    assert all(clear not in path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert await opening.prepare(made) is None


async def test_a_lost_master_key_is_told_and_not_replaced(tmp_path: Path) -> None:
    made = tree(tmp_path)
    await opening.prepare(made)
    (tmp_path / "data" / "master.key").unlink()
    with pytest.raises(ConfigError, match=r"master\.key is missing, but the store holds keys"):
        await opening.prepare(made)
    assert not (tmp_path / "data" / "master.key").exists()


async def test_a_master_key_in_the_file_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="never the key itself") as refusal:
        await rehearsal.try_out(tree(tmp_path, secrets={"master_key": "canary"}))
    assert "canary" not in str(refusal.value)


async def test_a_master_key_in_a_variable_makes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tree(tmp_path, secrets={"master_key": {"env": "SOME_MASTER_KEY"}})
    monkeypatch.delenv("SOME_MASTER_KEY", raising=False)
    with pytest.raises(MasterKeyError):
        await opening.prepare(made)
    monkeypatch.setenv("SOME_MASTER_KEY", base64.b64encode(os.urandom(32)).decode())
    assert await opening.prepare(made) is not None
    assert not (tmp_path / "data" / "master.key").exists()


@pytest.mark.parametrize("token", ["", "short", "x" * 15])
def test_an_admin_token_that_can_be_guessed_is_refused(tmp_path: Path, token: str) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    with pytest.raises(ConfigError, match=r"admin\.token"):
        opening.admin_token(tree(tmp_path, admin={"token": {"file": str(file)}}), make=True)


# --- starts that fail


@pytest.mark.parametrize(
    ("tables", "error"),
    [
        ({"store": {"path": "/proc/nowhere/gateway.db"}}, StoreError),
        ({"records": {"journal": "/proc/nowhere"}}, JournalError),
        ({"metrics": {"folder": "/proc/nowhere"}}, OSError),
        ({"upstream": {"ca_file": "/proc/nowhere"}}, ConfigError),
        ({"server": {"listen": "192.0.2.1:1", "admin_listen": "127.0.0.1:0"}}, ConfigError),
        ({"server": {"listen": "127.0.0.1:0", "admin_listen": "192.0.2.1:1"}}, ConfigError),
        ({"providers": {"x": {"use": "no-such"}}}, ConfigError),
    ],
)
async def test_a_start_that_fails_leaves_nothing_open(
    tmp_path: Path, tables: dict[str, Any], error: type[Exception]
) -> None:
    good = tree(tmp_path)
    await opening.prepare(good)
    before = set(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
    process = App(tree(tmp_path, **tables))
    with pytest.raises(error):
        await process.start()
    await asyncio.sleep(0.05)
    assert (set(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())) == before
    again = App(good)
    await again.start()
    assert again.ready()
    await again.close()


async def test_closing_twice_or_before_the_start_is_no_error(tmp_path: Path) -> None:
    await App(tree(tmp_path)).close()
    await opening.prepare(tree(tmp_path))
    process = App(tree(tmp_path))
    await process.start()
    await process.close()
    await process.close()
    assert not process.ready()


# --- life


async def test_one_port_gives_up_what_another_installation_has(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        made = tree(tmp_path, server={"listen": where, "admin_listen": "127.0.0.1:0"})
        await opening.prepare(made)
        with pytest.raises(ConfigError, match=f"server.listen: {where} cannot be listened on"):
            await App(made).start()


async def test_two_installations_in_one_folder_share_the_store_and_not_the_journal(tmp_path: Path) -> None:
    made = tree(tmp_path)
    await opening.prepare(made)
    one, other = App(made), App(made, worker=1)
    await one.start()
    await other.start()
    assert one._journal.folder != other._journal.folder
    await one.close()
    assert other.ready()
    await other.close()


async def test_a_process_that_drains_is_not_ready(gateway: Installation) -> None:
    assert gateway.app.ready()
    closing = asyncio.ensure_future(gateway.app.close())
    await asyncio.sleep(0)
    assert not gateway.app.ready()
    await closing


async def test_a_journal_that_is_removed_under_it_costs_no_call_that_was_forwarded(
    gateway: Installation,
) -> None:
    shutil.rmtree(gateway.app._journal.folder)
    assert gateway.app.ready()  # its file is still open: what is written is kept by the system


async def test_a_reload_with_the_same_file_keeps_the_transport_and_another_one_replaces_it(
    start: Start, tmp_path: Path
) -> None:
    gateway = await start()
    file = tmp_path / "gateway.toml"
    gateway.app._path = file
    file.write_text("")
    assert await gateway.app.reload()
    before = gateway.app._transport
    assert await gateway.app.reload()
    assert gateway.app._transport is before
    file.write_text('[upstream]\ngap_timeout = "7s"\n')
    assert await gateway.app.reload()
    assert gateway.app._transport is not before


async def test_each_process_has_an_access_log_of_its_own(start: Start, tmp_path: Path) -> None:
    for worker, name in ((0, "access.log"), (2, "access.log-2")):
        gateway = await start({"log": {"access": str(tmp_path / "access.log")}}, f"{worker}", worker=worker)
        assert (tmp_path / name).exists()
        assert gateway.app._access is not None
        await gateway.app.close()
        assert gateway.app._access is None


def test_what_is_shown_of_a_configuration_holds_no_secret(tmp_path: Path) -> None:
    made = tree(
        tmp_path,
        providers={"openai": {"api_key": "sk-canary", "api_keys": ["sk-canary-2", {"env": "VARIABLE"}]}},
        admin={"token": "canary-admin-token"},
    )
    shown = wiring.shown(made)
    assert "canary" not in str(shown) + repr(made)
    assert shown["providers"]["openai"]["api_keys"] == [
        "<secret>",
        {"env": "VARIABLE", "file": None, "weight": 1, "calls_per_minute": None, "open_calls": None},
    ]


async def test_a_dry_run_is_made_for_a_key_or_for_anyone(tmp_path: Path) -> None:
    made = tree(tmp_path)
    await opening.prepare(made)
    body = {"model": "echo-1", "messages": [{"role": "user", "content": "Hello"}]}
    assert (await rehearsal.dry_run(made, body, "openai_chat", None))["error"] is None
    with pytest.raises(ConfigError, match="no usable key has this id"):
        await rehearsal.dry_run(made, body, "openai_chat", "key-1")


def test_all_problems_of_a_configuration_are_told_together(tmp_path: Path) -> None:
    made = tree(
        tmp_path,
        server={"tls_certificate": "cert.pem", "trusted_proxies": ["nonsense"]},
        upstream={"ca_file": "/proc/nowhere"},
        store={"use": "sqlite", "no_such_key": 1},
        secrets={"master_key": "literal"},
        routes={"auto": {"use": "fixed", "target": "no-such"}},
    )
    with pytest.raises(ConfigError) as refusal:
        asyncio.run(rehearsal.try_out(made))
    told = "\n".join(refusal.value.problems)
    for place in (
        "routes.auto", "store.no_such_key", "secrets.master_key", "server.tls_certificate",
        "upstream.ca_file", "server.trusted_proxies",
    ):  # fmt: skip
        assert place in told, place
