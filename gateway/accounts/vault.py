"""Providers' keys: sealed for the store, opened for one call, several for each provider."""

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway import log
from gateway.accounts.master_key import MasterKey, MasterKeyError, load
from gateway.content import Purpose, Secret
from gateway.contracts import SecretRow
from gateway.errors import OurError
from gateway.names import Slug
from gateway.upstreams.pool import Credential

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
    """A sealed key does not open.

    Attributes:
        code: unknown_kek, wrong_host, or broken: the ciphertext, or what it is bound to, was changed.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = Slug(code)


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

    def open(self, row: SecretRow, host: str) -> Secret:
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


class Vault:
    """The stored keys of all providers, sealed in memory as they are in the store.

    Args:
        master: read again from where it came from whenever the rows change.
    """

    def __init__(self, master: MasterKey, rows: Iterable[SecretRow] = ()) -> None:
        self._master = master
        self._sealer = Sealer(master)
        self._rows = {row.id: row for row in rows}

    def replace(self, rows: Iterable[SecretRow]) -> None:
        """Take over what the store holds now, and the master key as it is now.

        A kek that the master key no longer has is kept for as long as one of the rows needs it: the
        rows may have been read before a rotation ended.
        """
        fresh = {row.id: row for row in rows}
        self._reload({row.kek for row in fresh.values()})
        self._rows = fresh

    def credentials(self, provider: Slug, host: str) -> list[Credential]:
        """A provider's keys in order of slots; each is opened when it is revealed, for one call.

        Revealing raises OurError (no_credential) when the key was deleted, is bound to another host
        than this one, or does not open.
        """
        rows = [row for row in self._rows.values() if row.provider == provider]
        rows.sort(key=lambda row: slot_of(row.id))
        return [Credential(row.id, partial(self.reveal, provider, row.id, host)) for row in rows]

    def get(self, provider: Slug, host: str, slot: int = 1) -> Secret:
        """The key in a slot.

        Raises:
            OurError: no_credential, as credentials() says.
        """
        return self.reveal(provider, row_id(provider, slot), host)

    def reveal(self, provider: Slug, id: Slug, host: str) -> Secret:
        """The key of that id, opened.

        Raises:
            OurError: no_credential, as credentials() says.
        """
        row = self._rows.get(id)
        if row is None or row.provider != provider:
            raise OurError("no_credential", about=provider)
        try:
            return self._sealer.open(row, host)
        except SealError as error:
            log.fact("vault.sealed", log.Level.ERROR, key=id, reason=error.code)
            raise OurError("no_credential", about=provider) from None

    def _reload(self, needed: set[Slug]) -> None:
        if self._master.source is None:
            return
        try:
            fresh = load(self._master.source)
        except MasterKeyError:
            log.fact("vault.master_key_unreadable", log.Level.ERROR)
            return
        lost = needed - {kek.id for kek in fresh.keks}
        kept = tuple(kek for kek in self._master.keks if kek.id in lost)
        self._master = replace(fresh, keks=fresh.keks + kept)
        self._sealer = Sealer(self._master)


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


def _bound_to(id: Slug, provider: Slug, host: str, kek: Slug) -> bytes:
    return "\0".join((_FORM, _PURPOSE, id, provider, host, kek)).encode()  # no Slug holds a NUL
