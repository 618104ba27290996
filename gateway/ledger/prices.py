"""The price book: what models cost, from when on, out of a file that ships with the gateway.

Layers: the bundle, then the operator's own prices. A model's name is matched by the rules that the
data brings along, first model first, so dated names such as gpt-4o-mini-2024-07-18 are found. The
file is read when first asked for, and a Price is built when first needed: both are kept.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson

from gateway.ledger.price_entry import Entry, Shelf, matches, names
from gateway.ledger.price_text import price_from_config as price_from_config
from gateway.names import Slug
from gateway.usage import Price

FILE: Final = Path(__file__).with_name("prices.json")

REMEMBERED: Final = 4096
"""Names whose entries are kept at hand."""

LONGEST_NAME: Final = 200
"""Characters; no model has a longer name, and longer ones are not looked up."""

NO_OVERRIDES: Final[Mapping[tuple[str, str], Price]] = MappingProxyType({})
NO_ALIASES: Final[Mapping[str, str]] = MappingProxyType({})


class PriceBookError(Exception):
    """The file of prices cannot be used. The text is ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A difference between two books, or between two moments of one.

    old and new: the rates of a standard call in pico-dollars, by class; None: no price.
    """

    provider: str
    model: str
    old: Mapping[str, int] | None
    new: Mapping[str, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Everything the book says of one model."""

    provider: str
    model: str
    entry: str
    price: Price | None
    links: tuple[str, ...]
    date: str
    context: int | None
    max_output: int | None


class PriceBook:
    """Finds prices. Unchanging: with_overrides and with_aliases give another book.

    Attributes:
        version: of the data and of the operator's own prices; goes into every record.
        date: of the data.
        catalogue: model name → provider, for names that need no provider in front.
    """

    def __init__(
        self,
        tree: Mapping[str, Any],
        version: Slug,
        overrides: Mapping[tuple[str, str], Price] = NO_OVERRIDES,
        aliases: Mapping[str, str] = NO_ALIASES,
    ) -> None:
        self._tree = tree
        self._providers: Mapping[str, Any] = tree["providers"]
        self._data_version = version
        self._overrides = dict(overrides)
        self._aliases = dict(aliases)
        self._shelves: dict[str, Shelf] = {}
        self._entries: dict[tuple[str, int], Entry] = {}
        self._entry = lru_cache(maxsize=REMEMBERED)(self._search)
        self.date = str(tree["date"])
        self.version = _with(version, self._overrides)
        self.catalogue: Mapping[str, str] = _Catalogue(self)

    @staticmethod
    def bundled() -> "PriceBook":
        """The book that ships with the gateway.

        Raises:
            PriceBookError: its file is damaged.
        """
        return _bundled()

    @staticmethod
    def parse(data: bytes) -> "PriceBook":
        """A book from the bytes of its file. All of it is checked, so that no price is wrong by a slip.

        Raises:
            PriceBookError: it is no price book.
        """
        book = _read(data)
        try:
            for provider, table in book._providers.items():
                for index in range(len(table["models"])):
                    book._at(provider, index).check()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, re.error):
            raise PriceBookError("the price book holds an entry that cannot be read") from None
        return book

    def with_overrides(self, overrides: Mapping[tuple[str, str], Price]) -> "PriceBook":
        """A book in which these prices, by (provider, model), stand before all others."""
        return PriceBook(self._tree, self._data_version, {**self._overrides, **overrides}, self._aliases)

    def with_aliases(self, aliases: Mapping[str, str]) -> "PriceBook":
        """A book that looks for a configured provider's models under another provider's name."""
        return PriceBook(self._tree, self._data_version, self._overrides, {**self._aliases, **aliases})

    def find(self, provider: str, model: str, at_us: int) -> Price | None:
        """The price of a model at a moment (Unix time in microseconds); None: not known."""
        if self._overrides:
            own = self._overrides.get((provider, model))
            if own is not None:
                return own
        if len(model) > LONGEST_NAME:
            return None
        entry = self._entry(provider, model)
        return None if entry is None else entry.at(at_us)

    def canonical(self, provider: str, model: str) -> Slug | None:
        """A name for the record: the model's own if the book lists it or only a date was added, else the
        name of the entry that prices it. None: not known. Holds no text that a client made up."""
        if (provider, model) in self._overrides:
            return _slug(model)
        entry = self._entry(provider, model) if len(model) <= LONGEST_NAME else None
        if entry is None:
            return None
        listed = tuple(name.lower() for name in names(entry.clause))
        known = model.lower() in listed or _is_dated(model, (entry.id.lower(), *listed))
        return _slug(model if known else entry.id)

    def limits(self, provider: str, model: str) -> tuple[int | None, int | None] | None:
        """Most tokens of the context and most output tokens, where known; None: the model is not."""
        entry = self._entry(provider, model) if len(model) <= LONGEST_NAME else None
        return None if entry is None else (entry.context, entry.max_output)

    def models(self, provider: str) -> tuple[str, ...]:
        """Every model name of a provider that has a price, in the book's order."""
        found: dict[str, None] = {}
        for index in range(len(self._models(provider))):
            entry = self._at(self._aliases.get(provider, provider), index)
            if entry.priced:
                shown = (entry.id,) if matches(entry.clause, entry.id.lower()) else ()
                found.update(dict.fromkeys((*shown, *names(entry.clause))))
        found.update({model: None for own, model in self._overrides if own == provider})
        return tuple(found)

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers the data knows."""
        return tuple(self._providers)

    def home(self, model: str) -> str | None:
        """The provider that makes a model, by name, by the rules of its entries, or by its family."""
        text = model.lower()
        if len(text) > LONGEST_NAME:
            return None
        homes = [name for name, table in self._providers.items() if table.get("home")]
        for provider in homes:
            entry = self._entry(provider, text)
            if entry is not None and entry.priced:
                return provider
        for provider, table in self._providers.items():
            if "family" in table and matches(table["family"], text):
                return provider
        return None

    def show(self, provider: str, model: str, at_us: int) -> Shown | None:
        """All that is known of a model; None: nothing."""
        price = self.find(provider, model, at_us)
        entry = self._entry(provider, model) if len(model) <= LONGEST_NAME else None
        if entry is None and price is None:
            return None
        table = self._providers.get(self._aliases.get(provider, provider), {})
        return Shown(
            provider=provider,
            model=model,
            entry=entry.id if entry else model,
            price=price,
            links=tuple(table.get("links", ())) if (provider, model) not in self._overrides else (),
            date=self.date,
            context=entry.context if entry else None,
            max_output=entry.max_output if entry else None,
        )

    def _models(self, provider: str) -> list[Any]:
        table = self._providers.get(self._aliases.get(provider, provider))
        models: list[Any] = table["models"] if table is not None else []
        return models

    def _search(self, provider: str, model: str) -> Entry | None:
        name = self._aliases.get(provider, provider)
        text = model.lower()
        index = self._index(name, text)
        if index is None and (dated := dashed_date(text)) != text:
            index = self._index(name, dated)
        if index is not None:
            return self._at(name, index)
        for other in self._providers.get(name, {}).get("fallback", ()):
            if (index := self._index(other, text)) is not None:
                return self._at(other, index)
        return None

    def _index(self, provider: str, text: str) -> int | None:
        shelf = self._shelves.get(provider)
        if shelf is None:
            table = self._providers.get(provider)
            if table is None:
                return None
            shelf = self._shelves[provider] = Shelf(table["models"])
        return shelf.find(text)

    def _at(self, provider: str, index: int) -> Entry:
        entry = self._entries.get((provider, index))
        if entry is None:
            model = self._providers[provider]["models"][index]
            entry = self._entries[provider, index] = Entry(model, self._data_version)
        return entry


def diff(old: PriceBook, new: PriceBook, at_us: int) -> tuple[Change, ...]:
    """What changes for standard calls when a book replaces another, by provider and model."""
    changes: list[Change] = []
    for provider in dict.fromkeys((*old.providers, *new.providers)):
        for model in dict.fromkeys((*old.models(provider), *new.models(provider))):
            one, two = rates(old.find(provider, model, at_us)), rates(new.find(provider, model, at_us))
            if one != two:
                changes.append(Change(provider=provider, model=model, old=one, new=two))
    return tuple(changes)


def rates(price: Price | None) -> Mapping[str, int] | None:
    """Standard rates as a flat table; above a bound, "input>200000"."""
    if price is None:
        return None
    scheme = price.standard
    table: dict[str, int] = {}
    for suffix, step in (("", scheme.base), *((f">{bound}", step) for bound, step in scheme.steps)):
        for name in step.__dataclass_fields__:
            value = getattr(step, name)
            if value is not None and (value or name != "request"):
                table[name + suffix] = value
    return MappingProxyType(table)


class _Catalogue(Mapping[str, str]):
    """Model name → provider. Finds by rule what it does not list: dated names, new members of a family."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._home = lru_cache(maxsize=REMEMBERED)(book.home)

    def __getitem__(self, model: str) -> str:
        home = self._home(model) if len(model) <= LONGEST_NAME else None
        if home is None:
            raise KeyError("unknown model") from None
        return home

    def __iter__(self) -> Iterator[str]:
        book = self._book
        homes = (provider for provider, table in book._providers.items() if table.get("home"))
        yield from dict.fromkeys(name for provider in homes for name in book.models(provider))

    def __len__(self) -> int:
        return sum(1 for _ in self)


_compact_date = re.compile(r"-(20[0-9]{2})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(?=-|:|$)")
_date_suffix = re.compile(r"[-@](?:20[0-9]{6}|20[0-9]{2}-[0-9]{2}-[0-9]{2}|[0-9]{3,4}|latest|preview)")


def dashed_date(model: str) -> str:
    """A model's name with its date -20251211 written -2025-12-11."""

    def dash(found: re.Match[str]) -> str:
        try:
            return "-" + date(int(found[1]), int(found[2]), int(found[3])).isoformat()
        except ValueError:
            return found[0]

    return _compact_date.sub(dash, model)


def _is_dated(model: str, bases: tuple[str, ...]) -> bool:
    text = model.lower()
    return any(
        text.startswith(base) and _date_suffix.fullmatch(text, len(base)) is not None
        for base in bases
        if base
    )


def _slug(text: str) -> Slug | None:
    try:
        return Slug(text)
    except ValueError:
        return None


def _with(version: Slug, overrides: Mapping[tuple[str, str], Price]) -> Slug:
    if not overrides:
        return version
    stated = "\n".join(
        sorted(f"{provider}/{model}={price!r}" for (provider, model), price in overrides.items())
    )
    return Slug(f"{version}+{hashlib.sha256(stated.encode()).hexdigest()[:8]}")


def _read(data: bytes) -> PriceBook:
    try:
        tree = orjson.loads(data)
        if tree["format"] != 1:
            raise PriceBookError("the price book has a format of another version")
        day = date.fromisoformat(tree["date"])
        digest = hashlib.sha256(data).hexdigest()[:8]
        return PriceBook(tree, Slug(f"{day.isoformat()}-{digest}"))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise PriceBookError("the price book cannot be read") from None


@cache
def _bundled() -> PriceBook:
    return _read(FILE.read_bytes())
