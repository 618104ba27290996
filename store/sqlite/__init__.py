"""The store in one SQLite file: all that most installations need."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gateway.contracts import AccountStore, OutcomeStore, RecordStore, SecretStore, Store, StoreError
from gateway.store.sqlite.accounts import SqliteAccounts
from gateway.store.sqlite.connection import Database
from gateway.store.sqlite.migrations import migrate
from gateway.store.sqlite.outcomes import SqliteOutcomes
from gateway.store.sqlite.records import SqliteRecords
from gateway.store.sqlite.secrets import SqliteSecrets


class SqliteStore:
    """One file, any number of processes of one machine."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Keys of [store].

        Attributes:
            path: the database; its folder is made, readable for the owner only.
            durability: "process" loses nothing when the process dies, "power" nor when the power does.
            busy_timeout_s: how long other processes' locks are waited for.
            query_timeout_s: how long one query of a report may take.
            check_bytes: a file up to this size is checked as a whole when it is opened (30 ms per MiB).
        """

        path: str = "gateway-data/gateway.db"
        durability: Literal["process", "power"] = "process"
        busy_timeout_s: float = 5.0
        query_timeout_s: float = 30.0
        check_bytes: int = 8 << 20

    def __init__(self, config: Config | None = None) -> None:
        self._config = config = config or self.Config()
        self._database = Database(
            Path(config.path),
            durable=config.durability == "power",
            busy_timeout_s=config.busy_timeout_s,
            query_timeout_s=config.query_timeout_s,
        )
        self._accounts = SqliteAccounts(self._database)
        self._secrets = SqliteSecrets(self._database)
        self._records = SqliteRecords(self._database)
        self._outcomes = SqliteOutcomes(self._database)

    @property
    def accounts(self) -> AccountStore:
        """Nodes, keys, scopes."""
        return self._accounts

    @property
    def secrets(self) -> SecretStore:
        """Sealed provider keys."""
        return self._secrets

    @property
    def records(self) -> RecordStore:
        """Records."""
        return self._records

    @property
    def outcomes(self) -> OutcomeStore:
        """Outcomes."""
        return self._outcomes

    async def start(self) -> None:
        """Open, migrate, check.

        Raises:
            StoreError: the file cannot be used as it is; the text says how to mend it.
        """
        try:
            await self._database.open()
            await migrate(self._database)
            await self._database.open_readers()
            if self._database.path.stat().st_size <= self._config.check_bytes:
                await self._check()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close, in two seconds at most."""
        await self._database.close()

    async def _check(self) -> None:
        if await self._database.report("pragma quick_check(1)", ()) != [("ok",)]:
            raise StoreError(
                f"{self._database.path} is damaged; stop the gateway, keep a copy, and restore a backup"
            )


if TYPE_CHECKING:
    _: type[Store] = SqliteStore
