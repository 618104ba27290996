"""Callers' keys: making them, telling them from garbage, and the digest that is all we keep of one."""

import hashlib
import hmac
import os
import string
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final
from zlib import crc32

from gateway.accounts import grammar
from gateway.clock import Clock, SystemClock
from gateway.content import Purpose, Secret
from gateway.contracts import KeyRow, ScopeRow, Store
from gateway.names import Slug

# A key is "tg_", 43 base62 digits of 256 random bits, and 6 base62 digits of the CRC-32 of all that.
# The mark lets secret scanners find lost keys; the checksum lets them, and us, tell a key from text
# that only looks like one. It is no secret and adds none.

MARK: Final = "tg_"
LENGTH: Final = 52
"""Characters of every key."""

_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_BYTES: Final = 32
_RANDOM_DIGITS: Final = 43  # 62 ** 43 is just above 2 ** 256
_CHECK_DIGITS: Final = 6  # 62 ** 6 is above 2 ** 32
_BLOCK: Final = 64
"""Bytes that SHA-256 takes at a time."""
_SHOWN: Final = len(MARK) + 4


def make() -> tuple[Secret, Slug, Slug]:
    """A new key, with its first seven and last four characters for recognition."""
    body = MARK + _base62(int.from_bytes(os.urandom(_RANDOM_BYTES), "big"), _RANDOM_DIGITS)
    text = body + _base62(crc32(body.encode()), _CHECK_DIGITS)
    return Secret(text), Slug(text[:_SHOWN]), Slug(text[-4:])


def well_formed(text: str) -> bool:
    """Whether this can be a key of ours: length, alphabet, checksum. No secret is involved."""
    if len(text) != LENGTH or not text.startswith(MARK):
        return False
    body = text[:-_CHECK_DIGITS]
    if not (text.isascii() and text[len(MARK) :].isalnum()):
        return False
    return text[-_CHECK_DIGITS:] == _base62(crc32(body.encode()), _CHECK_DIGITS)


def digest(pepper: bytes, text: str) -> str:
    """64 hex digits of HMAC-SHA-256 (RFC 2104) of a key."""
    inner, outer = _begun(pepper)
    inner, outer = inner.copy(), outer.copy()
    inner.update(text.encode())
    outer.update(inner.digest())
    return outer.hexdigest()


@lru_cache(maxsize=4)
def _begun(pepper: bytes) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    # The halves of HMAC that do not depend on the message: beginning them anew costs three times as much.
    block = (hashlib.sha256(pepper).digest() if len(pepper) > _BLOCK else pepper).ljust(_BLOCK, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    return hashlib.sha256(inner), hashlib.sha256(outer)


def same(one: str, other: str) -> bool:
    """Whether two digests are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(one, other)


async def create_key(
    store: Store,
    pepper: bytes,
    node: Slug,
    name: Slug,
    scopes: Sequence[tuple[str, str]] = (),
    *,
    expires_ms: int | None = None,
    clock: Clock | None = None,
) -> tuple[KeyRow, Secret]:
    """Make a key below a node and store its row; the clear key exists only in what is returned.

    Args:
        scopes: (scope, value) pairs in the grammar of gateway.accounts.grammar.
        expires_ms: Unix time in milliseconds at which the key ends.

    Raises:
        ScopeError: a scope is not in the grammar.
        StoreError: the store cannot write.
    """
    grammar.read(scopes)
    clear, prefix, last4 = make()
    row = KeyRow(
        id=new_id(),
        node=node,
        name=name,
        digest=digest(pepper, clear.open(Purpose.AUTH)),
        prefix=prefix,
        last4=last4,
        created_ms=_now_ms(clock),
        expires_ms=expires_ms,
    )
    rows = [ScopeRow(owner=row.id, what=Slug(what), value=value) for what, value in scopes]
    await store.accounts.put(keys=[row], scopes=rows)
    return row, clear


async def rotate_key(
    store: Store, pepper: bytes, row: KeyRow, grace_ms: int, *, clock: Clock | None = None
) -> tuple[KeyRow, Secret]:
    """Give a key a new secret; the old one works for grace_ms milliseconds more.

    The key keeps its id, its scopes, its end and with them what it has spent. The old secret moves to
    a row of its own that stands for the same key until it ends.

    Raises:
        StoreError: the store cannot write.
    """
    now_ms = _now_ms(clock)
    clear, prefix, last4 = make()
    fresh = replace(
        row,
        digest=digest(pepper, clear.open(Purpose.AUTH)),
        prefix=prefix,
        last4=last4,
        created_ms=now_ms,
    )
    ends_ms = now_ms + grace_ms if row.expires_ms is None else min(row.expires_ms, now_ms + grace_ms)
    former = replace(row, id=new_id(), expires_ms=ends_ms, replaced_by=row.id)
    # In this order, so that the digest is free before the second row takes it.
    await store.accounts.put(keys=[fresh, former])
    return fresh, clear


async def revoke_key(
    store: Store, row: KeyRow, all_rows: Sequence[KeyRow], *, clock: Clock | None = None
) -> None:
    """End a key at once, and with it the secrets that a rotation left in grace.

    Raises:
        StoreError: the store cannot write.
    """
    now_ms = _now_ms(clock)
    ended = [one for one in all_rows if row.id in (one.id, one.replaced_by) and one.revoked_ms is None]
    await store.accounts.put(keys=[replace(one, revoked_ms=now_ms) for one in ended])


def new_id() -> Slug:
    """An id for a key; it is no secret."""
    return Slug(f"key-{os.urandom(8).hex()}")


def _now_ms(clock: Clock | None) -> int:
    return (clock or SystemClock()).now_us() // 1000


def _base62(number: int, digits: int) -> str:
    text = []
    for _ in range(digits):
        number, digit = divmod(number, 62)
        text.append(_DIGITS[digit])
    return "".join(reversed(text))
