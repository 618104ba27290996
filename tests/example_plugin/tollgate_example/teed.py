"""Teed, a store: SQLite, and every record once more as a line of JSON, for a pipeline that reads files."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from gateway.contracts import AccountStore, Arm, OutcomeStore, RecordStore, SecretStore, Span, StoreError
from gateway.names import Slug
from gateway.records import Record
from gateway.store.sqlite import SqliteStore
from gateway.usage import Nanos


class TeedRecords:
    """Adds to both; asks the database. After a crash a line may be there twice: its id tells."""

    def __init__(self, inner: RecordStore, lines: Path) -> None:
        self._inner = inner
        self._lines = lines

    async def add(self, records: Sequence[Record]) -> int:
        """Store a batch. A file that cannot be written is a store that cannot: the batch comes again."""
        added = await self._inner.add(records)
        try:
            with self._lines.open("ab") as file:
                file.write(b"".join(orjson.dumps(asdict(record)) + b"\n" for record in records))
        except OSError as error:
            raise StoreError(f"the file of lines cannot be written (error {error.errno})") from None
        return added

    async def sums(self, span: Span, by: Sequence[str]) -> list[dict[str, Any]]:
        return await self._inner.sums(span, by)

    def export(self, span: Span) -> AsyncIterator[Record]:
        return self._inner.export(span)

    async def spent(self) -> dict[Slug, Nanos]:
        return await self._inner.spent()

    async def arms(self, route: Slug, since_us: int, after: int) -> tuple[int, list[Arm]]:
        return await self._inner.arms(route, since_us, after)

    async def find(self, ids: Sequence[Slug]) -> list[Record]:
        return await self._inner.find(ids)


class Teed:
    """A store around a store."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """path: of the database. lines: the file that each record is appended to, beside it by default."""

        path: str = "gateway-data/gateway.db"
        lines: str = ""

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        self._inner = SqliteStore(SqliteStore.Config(path=config.path))
        self._lines = Path(config.lines or f"{config.path}.jsonl")

    @property
    def accounts(self) -> AccountStore:
        return self._inner.accounts

    @property
    def secrets(self) -> SecretStore:
        return self._inner.secrets

    @property
    def records(self) -> RecordStore:
        return TeedRecords(self._inner.records, self._lines)

    @property
    def outcomes(self) -> OutcomeStore:
        return self._inner.outcomes

    async def start(self) -> None:
        """Open the database, which makes its folder; then the file, for its owner only."""
        await self._inner.start()
        self._lines.touch(mode=0o600)

    async def close(self) -> None:
        await self._inner.close()


if TYPE_CHECKING:
    from gateway.contracts import Store

    _: type[Store] = Teed
