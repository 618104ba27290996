"""Installation: the real gateway in this process, on free ports, with a folder and keys of its own."""

import asyncio
from pathlib import Path
from typing import Any

from gateway import app, config, opening
from gateway.accounts import keys, tree
from gateway.content import Purpose
from gateway.contracts import Span, Store
from gateway.names import Slug
from gateway.records import Record

FOREVER = Span(since_us=0, until_us=2**62)


class Installation:
    """One process's worth of gateway.

    Attributes:
        key: a key that may do everything.
        url: of the data plane, without a path.
        admin_url, admin_token: of the admin listener.
        store: the gateway's own store.
    """

    def __init__(self, folder: Path, tree: dict[str, Any], worker: int = 0) -> None:
        self.folder = folder
        data = folder / "data"
        tree = {name: dict(table) for name, table in tree.items()}
        tree.setdefault("server", {})
        tree["server"] = {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", **tree["server"]}
        tree.setdefault("secrets", {"master_key": {"file": str(data / "master.key")}})
        tree.setdefault("admin", {"token": {"file": str(data / "admin.token")}})
        tree.setdefault("store", {"path": str(data / "gateway.db")})
        tree["records"] = {"journal": str(data / "journal"), "interval": "10ms", **tree.get("records", {})}
        tree.setdefault("metrics", {"folder": str(data / "metrics")})
        tree["upstream"] = {"retry_pause": "1ms", **tree.get("upstream", {})}
        self.config = config.parse(tree, "test", {})
        self.worker = worker

    async def start(self) -> None:
        """Prepare the folder and serve."""
        first = await opening.prepare(self.config)
        self.app = app.App(self.config, worker=self.worker)
        await self.app.start()
        self.key = first.open(Purpose.AUTH) if first is not None else await self.make_key("test")

    async def stop(self) -> None:
        """Drain and close, as SIGTERM does."""
        await self.app.close()

    @property
    def url(self) -> str:
        """http://127.0.0.1:PORT of the data plane."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """The data plane's port."""
        return self.app.ports[0]

    @property
    def admin_url(self) -> str:
        """http://127.0.0.1:PORT of the admin listener."""
        return f"http://127.0.0.1:{self.app.admin_port}"

    @property
    def admin_token(self) -> str:
        """What the admin listener asks for."""
        return opening.admin_token(self.config).open(Purpose.AUTH)

    @property
    def store(self) -> Store:
        """The gateway's store."""
        return self.app.store

    async def make_key(self, name: str, **scopes: str) -> str:
        """A new key below the default project, usable at once; scopes by their names."""
        _, clear = await keys.create_key(
            self.store,
            opening.load_master_key(self.config).pepper,
            tree.DEFAULT_PROJECT_ID,
            Slug(name),
            [(Slug(what), value) for what, value in scopes.items()],
        )
        await self.app.refresh_accounts()
        return clear.open(Purpose.AUTH)

    async def records(self, count: int = 1) -> list[Record]:
        """All records, once there are at least count of them, oldest first."""
        for _ in range(500):
            found = [record async for record in self.store.records.export(FOREVER)]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"{count} records were expected")
