"""Keys: their form, their digests, and what making, rotating and revoking stores."""

import hmac
import re
from dataclasses import replace
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import grammar, keys, tree
from gateway.content import Purpose
from gateway.names import Slug
from gateway.store.memory import MemoryStore

PEPPER = bytes(range(32))
GARBAGE = [
    "",
    "tg_",
    "'",
    "' UNION SELECT 1 --",
    "\0" * 52,
    "tg_" + "é" * 49,
    "😀" * 52,
    "tg_" + "-" * 49,
    "x" * 10**6,
]


class FixedClock:
    def __init__(self, ms: int = 1_700_000_000_000) -> None:
        self.ms = ms

    def now_us(self) -> int:
        return self.ms * 1000

    def tick_ns(self) -> int:
        return 0


def made() -> str:
    return keys.make()[0].open(Purpose.AUTH)


def test_a_key_has_a_mark_256_random_bits_and_a_checksum():
    clear, prefix, last4 = keys.make()
    text = clear.open(Purpose.AUTH)
    assert re.fullmatch(r"tg_[0-9A-Za-z]{49}", text)
    assert len(text) == keys.LENGTH
    assert keys.well_formed(text)
    assert text.startswith(prefix)
    assert text.endswith(last4)
    assert len(prefix) + len(last4) == 11


def test_no_two_keys_are_alike():
    assert len({made() for _ in range(1000)}) == 1000


def test_the_checksum_is_the_crc_32_of_what_stands_before_it():
    text = made()
    number = 0
    for character in text[-6:]:
        number = number * 62 + "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".index(
            character
        )
    assert number == crc32(text[:-6].encode())


@pytest.mark.parametrize("text", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_no_key(text):
    assert not keys.well_formed(text)


@given(st.integers(3, 51), st.sampled_from("0aZ"))
def test_a_typing_mistake_is_seen_without_a_look_up(place, character):
    text = "tg_" + "7" * 43
    text = next(text + tail for tail in [_check(text)])
    assert keys.well_formed(text)
    wrong = text[:place] + character + text[place + 1 :]
    assert wrong == text or not keys.well_formed(wrong)


def _check(body: str) -> str:
    return keys._base62(crc32(body.encode()), 6)


def test_a_digest_is_hmac_sha_256_with_the_pepper():
    # RFC 4231, test case 2
    wanted = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert keys.digest(b"Jefe", "what do ya want for nothing?") == wanted
    assert keys.same(wanted, wanted)
    assert not keys.same(wanted, wanted[:-1] + "4")


@given(st.binary(max_size=200), st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_a_digest_is_the_same_as_the_standard_librarys_for_peppers_and_texts_of_every_length(pepper, text):
    assert keys.digest(pepper, text) == hmac.digest(pepper, text.encode(), "sha256").hex()


async def test_only_the_digest_and_the_marks_of_a_key_are_stored():
    store = MemoryStore()
    node = await tree.ensure_root(store)
    row, clear = await keys.create_key(
        store, PEPPER, node, Slug("ci"), [("models", "gpt-4*"), ("rate", "60")]
    )
    text = clear.open(Purpose.AUTH)
    accounts = await store.accounts.load()
    assert accounts.keys == (row,)
    assert row.digest == keys.digest(PEPPER, text)
    assert text not in repr(accounts)
    assert text[7:-4] not in repr(accounts)
    assert [(one.owner, one.what, one.value) for one in accounts.scopes] == [
        (row.id, "models", "gpt-4*"),
        (row.id, "rate", "60"),
    ]


async def test_a_key_with_a_broken_scope_is_not_made():
    store = MemoryStore()
    with pytest.raises(grammar.ScopeError):
        await keys.create_key(store, PEPPER, Slug("p"), Slug("ci"), [("rate", "0")])
    assert (await store.accounts.load()).keys == ()


async def test_rotation_keeps_the_id_and_moves_the_old_digest_to_a_row_that_ends():
    store, clock = MemoryStore(), FixedClock()
    node = await tree.ensure_root(store)
    row, _ = await keys.create_key(store, PEPPER, node, Slug("ci"), clock=clock)
    clock.ms += 1000
    fresh, clear = await keys.rotate_key(store, PEPPER, row, 5000, clock=clock)
    stored = {one.id: one for one in (await store.accounts.load()).keys}
    former = next(one for one in stored.values() if one.id != row.id)
    assert stored[row.id] == fresh
    assert fresh.digest == keys.digest(PEPPER, clear.open(Purpose.AUTH))
    assert (former.digest, former.replaced_by, former.expires_ms) == (row.digest, row.id, clock.ms + 5000)


async def test_grace_never_outlasts_the_key():
    store, clock = MemoryStore(), FixedClock()
    node = await tree.ensure_root(store)
    row, _ = await keys.create_key(store, PEPPER, node, Slug("ci"), expires_ms=clock.ms + 10, clock=clock)
    fresh, _ = await keys.rotate_key(store, PEPPER, row, 5000, clock=clock)
    ends = [one.expires_ms for one in (await store.accounts.load()).keys]
    assert ends == [clock.ms + 10] * 2
    assert fresh.expires_ms == clock.ms + 10


async def test_revoking_a_key_ends_its_former_secrets_too_and_no_others():
    store, clock = MemoryStore(), FixedClock()
    node = await tree.ensure_root(store)
    row, _ = await keys.create_key(store, PEPPER, node, Slug("ci"), clock=clock)
    other, _ = await keys.create_key(store, PEPPER, node, Slug("other"), clock=clock)
    await keys.rotate_key(store, PEPPER, row, 5000, clock=clock)
    await keys.revoke_key(store, row, (await store.accounts.load()).keys, clock=clock)
    stored = (await store.accounts.load()).keys
    assert {one.revoked_ms for one in stored if one.id != other.id} == {clock.ms}
    assert next(one for one in stored if one.id == other.id) == replace(other)


async def test_the_machines_clock_is_the_default():
    store = MemoryStore()
    row, _ = await keys.create_key(store, PEPPER, Slug("p"), Slug("ci"))
    assert row.created_ms > 1_700_000_000_000
