"""Providers' keys: sealed for the store, opened for one call, several for each provider."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway import log
from gateway.accounts.master_key import Kek, MasterKey, MasterKeyError
from gateway.content import Purpose, Secret
from gateway.contracts import SecretRow
from gateway.errors import OurError
from gateway.names import Slug

# A key is sealed with AES-256-GCM under the newest kek of the master key, with a random 96-bit nonce.
# The associated data binds it to its row, its provider, the host it may be sent to, what it is for,
# the kek and the version of this form: ciphertext that was moved to another row does not open, and
# neither does a key whose provider now has another host.
#
# What the store holds stays sealed in memory too, and is opened for each call.

NONCE_BYTES: Final = 12
SEALS_MAX: Final = 2**31
"""Seals under one kek: with random nonces, half of what NIST SP 800-38D (8.3) allows."""

_FORM: Final = "tollgate sealed key v1"
_PURPOSE: Final = "provider-key"
_DEFAULT_PORT: Final = 443


class SealError(Exception):
    """A sealed key does not open. The text is a code.

    Codes: unknown_kek, wrong_host, broken (the ciphertext, or what it is bound to, was changed).
    """


class Sealer:
    """Seals and opens rows.

    Args:
        most: seals under one kek in the life of this object.
    """

    def __init__(self, master: MasterKey, most: int = SEALS_MAX) -> None:
        self._master = master
        self._most = most
        self._seals = 0
        self._ciphers = {kek.id: AESGCM(kek.secret.open(Purpose.AUTH)) for kek in master.keks}

    @property
    def current(self) -> Slug:
        """Id of the kek that seals."""
        return self._master.current.id

    def seal(self, provider: Slug, slot: int, host: Slug, key: Secret, created_ms: int) -> SecretRow:
        """A row for the store.

        Raises:
            MasterKeyError: the kek has sealed as often as it may.
        """
        if self._seals >= self._most:
            raise MasterKeyError("the master key has sealed as often as is safe: gateway master-key rotate")
        self._seals += 1
        id, kek, nonce = row_id(provider, slot), self.current, os.urandom(NONCE_BYTES)
        sealed = self._ciphers[kek].encrypt(
            nonce, key.open(Purpose.AUTH).encode(), _bound_to(id, provider, host, kek)
        )
        return SecretRow(
            id=id, provider=provider, kek=kek, host=host, nonce=nonce, sealed=sealed, created_ms=created_ms
        )

    def open(self, row: SecretRow, host: Slug) -> Secret:
        """The key in a row, if it may be sent to this host.

        Raises:
            SealError: it may not, or the row was not sealed as it is here.
        """
        cipher = self._ciphers.get(row.kek)
        if cipher is None:
            raise SealError("unknown_kek")
        if row.host != host:
            raise SealError("wrong_host")
        try:
            clear = cipher.decrypt(row.nonce, row.sealed, _bound_to(row.id, row.provider, host, row.kek))
            return Secret(clear.decode())
        except (InvalidTag, ValueError):
            raise SealError("broken") from None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One key of a provider: "provider/slot", and how it is had for one call.

    reveal raises OurError (no_credential) when the key is gone or does not open.
    """

    id: Slug
    reveal: Callable[[], Secret]


class Vault:
    """The keys of all providers, by provider and slot.

    Args:
        hosts: where each provider's keys may be sent; see host_of().
        fixed: keys that the configuration gives, read when they are used; a provider that has any
            has no other.
    """

    def __init__(
        self,
        master: MasterKey,
        hosts: Mapping[Slug, Slug],
        fixed: Mapping[Slug, Sequence[Callable[[], Secret | None]]] | None = None,
    ) -> None:
        self._hosts = dict(hosts)
        self._fixed = {
            provider: tuple(
                StoredKey(_fixed_id(provider, number), partial(_read_fixed, provider, read))
                for number, read in enumerate(reads, 1)
            )
            for provider, reads in (fixed or {}).items()
            if reads
        }
        self._keks = {kek.id: kek for kek in master.keks}
        self._sealer = Sealer(master)
        self._rows: dict[Slug, SecretRow] = {}

    def replace(self, rows: Iterable[SecretRow], master: MasterKey | None = None) -> None:
        """Take over what the store holds, and the master key as it is now.

        A kek that the new master key no longer has is kept for as long as one of the rows needs it.
        """
        fresh = {row.id: row for row in rows}
        if master is not None:
            needed = {row.kek for row in fresh.values()} - {kek.id for kek in master.keks}
            kept: tuple[Kek, ...] = tuple(self._keks[id] for id in sorted(needed & self._keks.keys()))
            joined = MasterKey(keks=master.keks + kept, sealed_pepper=master.sealed_pepper)
            self._keks = {kek.id: kek for kek in joined.keks}
            self._sealer = Sealer(joined)
        self._rows = fresh

    def knows(self, kek: Slug) -> bool:
        """Whether rows under this kek can be opened."""
        return kek in self._keks

    def keys(self, provider: Slug) -> tuple[StoredKey, ...]:
        """A provider's keys: those of the configuration, or else the stored ones in order of slots."""
        if provider in self._fixed:
            return self._fixed[provider]
        rows = [row for row in self._rows.values() if row.provider == provider]
        rows.sort(key=lambda row: slot_of(row.id))
        return tuple(StoredKey(row.id, partial(self._reveal, provider, row.id)) for row in rows)

    def get(self, provider: Slug, slot: int = 1) -> Secret:
        """The stored key in a slot.

        Raises:
            OurError: no_credential, there is none, or it does not open.
        """
        return self._reveal(provider, row_id(provider, slot))

    def _reveal(self, provider: Slug, id: Slug) -> Secret:
        row = self._rows.get(id)
        host = self._hosts.get(provider)
        if row is None or host is None or row.provider != provider:
            raise OurError("no_credential", about=provider)
        try:
            return self._sealer.open(row, host)
        except SealError as error:
            log.fact("vault.unopened", log.Level.ERROR, key=id, reason=Slug(str(error)))
            raise OurError("no_credential", about=provider) from None


def row_id(provider: Slug, slot: int) -> Slug:
    """The id of a stored key: "provider/slot"."""
    return Slug(f"{provider}/{slot}")


def slot_of(id: Slug) -> int:
    """The slot in a stored key's id; 0 where there is none."""
    slot = id.rpartition("/")[2]
    return int(slot) if slot.isdecimal() else 0


def host_of(base_url: str) -> Slug:
    """The host a provider's keys are bound to: the name in lower case, and the port unless it is 443.

    Raises:
        ValueError: the URL has no usable host. It is not quoted.
    """
    try:
        parts = urlsplit(base_url)
        name = (parts.hostname or "").rstrip(".").encode("idna").decode("ascii")
        port = parts.port or {"http": 80}.get(parts.scheme, _DEFAULT_PORT)
        if ":" in name:
            return Slug(f"{IPv6Address(name).exploded}:{port}")
        return Slug(name if port == _DEFAULT_PORT else f"{name}:{port}")
    except ValueError:
        raise ValueError("no URL with a host") from None


def _bound_to(id: Slug, provider: Slug, host: Slug, kek: Slug) -> bytes:
    return "\0".join((_FORM, _PURPOSE, id, provider, host, kek)).encode()  # no Slug holds a NUL


def _fixed_id(provider: Slug, number: int) -> Slug:
    return Slug(f"{provider}/config" if number == 1 else f"{provider}/config-{number}")


def _read_fixed(provider: Slug, read: Callable[[], Secret | None]) -> Secret:
    secret = read()
    if secret is None:
        raise OurError("no_credential", about=provider)
    return secret
