"""Directory: every usable key in memory, by digest; and Refresher, which keeps it as the store is."""

import asyncio
import heapq
from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway import log
from gateway.accounts import grammar, keys, scopes, tree
from gateway.accounts.scopes import EVERYTHING, Grant
from gateway.clock import Clock, SystemClock
from gateway.contracts import Accounts, AccountStore, Caller, KeyRow, NodeRow, ScopeRow, StoreError
from gateway.names import Slug

# A key is found with one HMAC and one look-up, whether it is right, wrong, revoked or expired: each
# takes the same path: what may not be used is not in the dictionary. Text that cannot be a key by its
# length is refused before that.
#
# What cannot be understood is closed: a key is left out when its own scopes or those of a node above
# it do not parse, when a node above it is missing or disabled, and when it was revoked.
#
# A key that was rotated keeps its id. Its former secret has a row of its own, replaced_by that id,
# and stands for the same key, so that limits and spending go on as they were.

FOREVER_MS: Final = 2**62
_CLOCK_SLACK_MS: Final = 1000
_AT_ONCE: Final = 100
"""Rows taken over before the event loop gets a turn: at most about a millisecond."""


class _Entry(NamedTuple):
    digest: str
    until_ms: int
    caller: Caller | None


class _Place(NamedTuple):
    """What a node hands down to its keys."""

    path: tuple[Slug, ...]
    org: Slug | None
    project: Slug | None
    grant: Grant


_NOBODY: Final = _Entry("0" * 64, 0, None)
_Pairs = dict[Slug, list[tuple[str, str]]]


class Directory:
    """Answers who a presented key stands for.

    Args:
        pepper: the secret that the digests in the store are made with.
    """

    def __init__(self, pepper: bytes, clock: Clock | None = None) -> None:
        self._pepper = pepper
        self._clock = clock or SystemClock()
        self._entries: dict[str, _Entry] = {}
        self._ends: list[tuple[int, str]] = []
        self._seen_ms = 0
        self.version: int | None = None
        """The version of the accounts in here; None before the first were loaded."""

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, presented: str) -> Caller | None:
        """The caller whose key this is; None if there is none, or its time is over."""
        if len(presented) != keys.LENGTH or not presented.isascii():
            return None
        digest = keys.digest(self._pepper, presented)
        entry = self._entries.get(digest, _NOBODY)
        alive = entry.until_ms > self._clock.now_us() // 1000
        return entry.caller if keys.same(entry.digest, digest) & alive else None

    def by_id(self, key_id: Slug) -> Caller | None:
        """The caller of a usable key, by the key's id: for explanations, not for calls."""
        now_ms = self._clock.now_us() // 1000
        for entry in self._entries.values():
            if entry.caller is not None and entry.caller.key_id == key_id and entry.until_ms > now_ms:
                return entry.caller
        return None

    def replace(self, accounts: Accounts) -> None:
        """Take over a reading of the store, at once."""
        for _ in self.replacing(accounts):
            pass

    def replacing(self, accounts: Accounts) -> Iterator[None]:
        """The same in steps of about a millisecond; nothing changes before the last."""
        reading = _Reading(accounts)
        for number, scope in enumerate(accounts.scopes):
            if number % _AT_ONCE == 0:
                yield
            reading.add(scope)
        entries: dict[str, _Entry] = {}
        for number, row in enumerate(accounts.keys):
            if number % _AT_ONCE == 0:
                yield
            entry = reading.entry(row)
            if entry is not None:
                entries[row.digest] = entry
        self._entries = entries
        self._ends = [
            (entry.until_ms, entry.digest) for entry in entries.values() if entry.until_ms < FOREVER_MS
        ]
        heapq.heapify(self._ends)
        self._seen_ms = self._clock.now_us() // 1000
        self.version = accounts.version
        self.forget_ended()

    def forget_ended(self) -> None:
        """Drop the keys whose time is over; from then on they are as unknown as any other text.

        When the clock was set back, what was dropped may not be over: version becomes None, so that
        the accounts are read again.
        """
        now_ms = self._clock.now_us() // 1000
        if now_ms < self._seen_ms - _CLOCK_SLACK_MS:
            self.version = None
        self._seen_ms = now_ms
        ended = set()
        while self._ends and self._ends[0][0] <= now_ms:
            ended.add(heapq.heappop(self._ends)[1])
        if ended:
            # A new dictionary: in the old one a deleted key leaves a mark that look-ups run into.
            self._entries = {one: entry for one, entry in self._entries.items() if one not in ended}


class _Reading:
    """Turns rows into entries; what nodes hand down is worked out once for each."""

    def __init__(self, accounts: Accounts) -> None:
        self._nodes = {row.id: row for row in accounts.nodes}
        self._keys = {row.id: row for row in accounts.keys}
        self._pairs: _Pairs = defaultdict(list)
        self._places: dict[Slug, _Place | None] = {}
        self._grants: dict[Slug, Grant | None] = {}
        self._key_grants: dict[tuple[Slug, tuple[tuple[str, str], ...]], Grant] = {}

    def add(self, scope: ScopeRow) -> None:
        """Take up a scope; all of them before the first entry()."""
        self._pairs[scope.owner].append((scope.what, scope.value))

    def entry(self, row: KeyRow) -> _Entry | None:
        """None for a key that cannot be used."""
        if row.revoked_ms is not None:
            return None
        if row.replaced_by is not None:
            return self._former(row, self._keys.get(row.replaced_by))
        place = self._place(row.node)
        if place is None:
            return None
        grant = self._key_grant(row, place)
        if grant is None:
            return None
        caller = Caller(
            key_id=row.id,
            key_name=row.name,
            path=place.path,
            org=place.org,
            project=place.project,
            rights=grant.rights,
            cap=grant.cap,
            rate=grant.rate,
        )
        until_ms = FOREVER_MS if row.expires_ms is None else row.expires_ms
        if grant.rights.expires_ms is not None:
            until_ms = min(until_ms, grant.rights.expires_ms)
        return _Entry(row.digest, until_ms, caller)

    def _former(self, row: KeyRow, current: KeyRow | None) -> _Entry | None:
        """A secret that rotation replaced: it stands for the current key while both last."""
        if current is None or current.replaced_by is not None:
            return None
        entry = self.entry(current)
        if entry is None:
            return None
        until_ms = entry.until_ms if row.expires_ms is None else min(entry.until_ms, row.expires_ms)
        return _Entry(row.digest, until_ms, entry.caller)

    def _key_grant(self, row: KeyRow, place: _Place) -> Grant | None:
        pairs = tuple(self._pairs.get(row.id, ()))
        known = self._key_grants.get((row.node, pairs))
        if known is None and (own := self._grant(row.id, True)) is not None:
            known = self._key_grants[(row.node, pairs)] = scopes.narrow(place.grant, own)
        return known

    def _place(self, node: Slug) -> _Place | None:
        if node not in self._places:
            self._places[node] = self._find_place(node)
        return self._places[node]

    def _find_place(self, node: Slug) -> _Place | None:
        try:
            path = tree.path(self._nodes, node)
        except tree.TreeError as error:
            log.fact("accounts.broken_tree", log.Level.ERROR, node=node, error=error.code)
            return None
        grants = [self._node_grant(row) for row in path]
        if any(row.disabled for row in path):
            return None
        known = [grant for grant in grants if grant is not None]
        if len(known) < len(path):
            return None
        return _Place(
            path=tuple(row.id for row in path),
            org=tree.nearest(path, tree.ORGANISATION),
            project=tree.nearest(path, tree.PROJECT),
            grant=scopes.intersect(known),
        )

    def _node_grant(self, row: NodeRow) -> Grant | None:
        if row.id not in self._grants:
            self._grants[row.id] = self._grant(row.id, False)
        return self._grants[row.id]

    def _grant(self, owner: Slug, of_key: bool) -> Grant | None:
        pairs = self._pairs.get(owner)
        if pairs is None:
            return _PLAIN_KEY if of_key else EVERYTHING
        try:
            return scopes.grant(grammar.read(pairs), of_key)
        except grammar.ScopeError as error:
            log.fact("accounts.broken_scope", log.Level.ERROR, owner=owner, scope=error.what)
            return None


_PLAIN_KEY: Final = scopes.grant(grammar.Level(), True)


class Refresher:
    """Reads the store's version several times a second and takes over what changed.

    Runs in every process, so that a revoked key ends in all of them within a second. While the
    store cannot be read, everything stays as it was: an outage must not turn keys away.
    """

    def __init__(self, store: AccountStore, directory: Directory, interval_s: float = 0.25) -> None:
        self._store = store
        self._directory = directory
        self._interval_s = interval_s
        self._failing = False

    async def load(self) -> None:
        """Take over the store's accounts now, if they are newer than what is known.

        Raises:
            StoreError: they cannot be read.
        """
        self._directory.forget_ended()
        if await self._store.version() == self._directory.version:
            return
        accounts = await self._store.load()
        for _ in self._directory.replacing(accounts):
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s)
            await self._try()

    async def _try(self) -> None:
        try:
            await self.load()
        except StoreError:
            if not self._failing:
                log.fact("accounts.store_unreachable", log.Level.WARNING)
            self._failing = True
            return
        if self._failing:
            log.fact("accounts.store_back")
        self._failing = False
