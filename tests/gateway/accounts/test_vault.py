"""The vault: sealed keys open in their own row, for their own host, and nowhere else."""

import io
import os
from dataclasses import fields, replace
from itertools import permutations

import pytest

from gateway import log
from gateway.accounts import master_key, vault
from gateway.accounts.master_key import InFile, MasterKey, MasterKeyError
from gateway.accounts.vault import Sealer, SealError, Vault
from gateway.content import Content, Purpose, Secret
from gateway.contracts import SecretRow
from gateway.errors import OurError
from gateway.names import Slug

KEY = "sk-canary-4d1f0c"
HOST = Slug("api.openai.com")


def fresh_master() -> MasterKey:
    return MasterKey(keks=(master_key.new_kek(),), sealed_pepper=Content(os.urandom(32)))


def sealed(
    sealer: Sealer, provider: str = "openai", slot: int = 1, host: str = HOST, key: str = KEY
) -> SecretRow:
    return sealer.seal(Slug(provider), slot, Slug(host), Secret(key), 1)


def code(sealer: Sealer, row: SecretRow, host: str = HOST) -> str:
    with pytest.raises(SealError) as caught:
        sealer.open(row, host)
    assert caught.value.__cause__ is None
    return caught.value.code


def text(secret: Secret) -> str:
    return secret.open(Purpose.SEND)


@pytest.fixture(autouse=True)
def lines():
    out = io.StringIO()
    log.configure(out=out)
    yield out
    log.configure()


def test_a_sealed_key_opens_as_it_was():
    sealer = Sealer(fresh_master())
    row = sealed(sealer)
    assert text(sealer.open(row, HOST)) == KEY
    assert (row.id, row.provider, row.host, row.kek) == ("openai/1", "openai", HOST, sealer.current)
    assert len(row.nonce) == 12
    assert len(row.sealed) == len(KEY) + 16
    assert KEY not in repr(row)
    assert KEY.encode() not in row.sealed


def test_ciphertext_moved_between_any_two_rows_does_not_open():
    first, second = fresh_master(), fresh_master()
    both = MasterKey(keks=first.keks + second.keks, sealed_pepper=first.sealed_pepper)
    other_way = MasterKey(keks=second.keks + first.keks, sealed_pepper=first.sealed_pepper)
    sealer, other = Sealer(both), Sealer(other_way)
    rows = [
        sealed(one, provider, slot, host)
        for one in (sealer, other)
        for provider in ("openai", "groq")
        for slot in (1, 2)
        for host in (HOST, "api.groq.com")
    ]
    for here, there in permutations(rows, 2):
        moved = replace(here, nonce=there.nonce, sealed=there.sealed)
        assert code(sealer, moved, here.host) == "broken"
        assert text(sealer.open(here, here.host)) == KEY


@pytest.mark.parametrize("name", [one.name for one in fields(SecretRow) if one.name != "created_ms"])
def test_a_row_that_was_changed_anywhere_does_not_open(name):
    master = fresh_master()
    spare = master_key.new_kek()
    sealer = Sealer(MasterKey(keks=(*master.keks, spare), sealed_pepper=master.sealed_pepper))
    row = sealed(sealer)
    value = getattr(row, name)
    if isinstance(value, bytes):
        changes = [value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :] for at in range(len(value))]
        changes += [b"", value[:-1], value + b"\0"]
    else:
        changes = [spare.id if name == "kek" else Slug(f"{value}x")]
    for change in changes:
        changed = replace(row, **{name: change})
        assert code(sealer, changed, changed.host) == "broken"


def test_a_key_goes_to_no_other_host():
    sealer = Sealer(fresh_master())
    row = sealed(sealer)
    for host in ("evil.example", "api.openai.com:8443", "", "api.openai.com\0"):
        assert code(sealer, row, host) == "wrong_host"
    assert code(sealer, replace(row, host=Slug("evil.example")), "evil.example") == "broken"


def test_without_its_kek_a_row_does_not_open():
    row = sealed(Sealer(fresh_master()))
    other = Sealer(fresh_master())
    assert code(other, row) == "unknown_kek"
    assert code(other, replace(row, kek=other.current)) == "broken"


def test_no_nonce_comes_twice():
    sealer = Sealer(fresh_master())
    assert len({sealed(sealer).nonce for _ in range(20_000)}) == 20_000


def test_a_worn_kek_seals_no_more_but_still_opens():
    sealer = Sealer(fresh_master(), most=2)
    row = sealed(sealer)
    sealed(sealer)
    with pytest.raises(MasterKeyError, match="master-key rotate"):
        sealed(sealer)
    assert text(sealer.open(row, HOST)) == KEY
    assert vault.SEALS_MAX == 2**31


def test_credentials_come_in_order_of_slots_and_are_opened_when_revealed():
    master = fresh_master()
    sealer = Sealer(master)
    rows = [sealed(sealer, slot=slot, key=f"sk-{slot}") for slot in (10, 2, 1)]
    held = Vault(master, [*rows, sealed(sealer, "groq", host="api.groq.com")])
    found = held.credentials(Slug("openai"), HOST)
    assert [one.id for one in found] == ["openai/1", "openai/2", "openai/10"]
    assert [text(one.reveal()) for one in found] == ["sk-1", "sk-2", "sk-10"]
    assert text(held.get(Slug("groq"), "api.groq.com")) == KEY
    assert held.credentials(Slug("nobody"), HOST) == []


def refused(reveal) -> None:
    with pytest.raises(OurError) as caught:
        reveal()
    assert (caught.value.code, caught.value.about) == ("no_credential", "openai")
    assert caught.value.__cause__ is None


def test_a_deleted_key_is_gone_for_who_still_holds_its_credential():
    master = fresh_master()
    held = Vault(master, [sealed(Sealer(master))])
    credential = held.credentials(Slug("openai"), HOST)[0]
    held.replace([])
    refused(credential.reveal)


def test_a_key_that_does_not_open_is_no_credential_and_said_without_it(lines):
    master = fresh_master()
    row = sealed(Sealer(master))
    refused(lambda: Vault(master, [row]).get(Slug("openai"), "evil.example"))
    refused(lambda: Vault(fresh_master(), [row]).get(Slug("openai"), HOST))
    refused(lambda: Vault(master, [row]).get(Slug("openai"), HOST, 2))
    refused(lambda: Vault(master, [replace(row, provider=Slug("groq"))]).get(Slug("openai"), HOST))
    assert "wrong_host" in lines.getvalue()
    assert "unknown_kek" in lines.getvalue()
    assert "canary" not in lines.getvalue()


def test_the_vault_keeps_keys_sealed():
    master = fresh_master()
    held = Vault(master, [sealed(Sealer(master))])
    assert KEY not in repr(vars(held))
    assert KEY.encode().hex() not in repr(vars(held))


def test_a_kek_that_left_the_file_stays_while_a_row_needs_it(tmp_path):
    path = tmp_path / "master.key"
    old = master_key.create(path)
    row = sealed(Sealer(old))
    held = Vault(old, [row])
    new = master_key.new_kek()
    master_key.write(path, MasterKey(keks=(new,), sealed_pepper=old.sealed_pepper), over=True)
    held.replace([row])
    assert text(held.get(Slug("openai"), HOST)) == KEY
    current = Sealer(master_key.load(InFile(path)))
    again = sealed(current, key="sk-2")
    held.replace([again])
    assert text(held.get(Slug("openai"), HOST)) == "sk-2"
    held.replace([row])
    refused(lambda: held.get(Slug("openai"), HOST))


def test_a_master_key_that_cannot_be_read_again_leaves_the_old_one(tmp_path, lines):
    path = tmp_path / "master.key"
    master = master_key.create(path)
    held = Vault(master)
    path.unlink()
    held.replace([sealed(Sealer(master))])
    assert text(held.get(Slug("openai"), HOST)) == KEY
    assert "vault.master_key_unreadable" in lines.getvalue()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.openai.com/v1", "api.openai.com"),
        ("https://API.OpenAI.com:443/v1", "api.openai.com"),
        ("https://api.openai.com./v1", "api.openai.com"),
        ("https://api.openai.com:8443", "api.openai.com:8443"),
        ("http://127.0.0.1:11434/v1", "127.0.0.1:11434"),
        ("http://localhost", "localhost:80"),
        ("http://localhost:443", "localhost"),
        ("https://[::1]:8080", "0000:0000:0000:0000:0000:0000:0000:0001:8080"),
        ("https://[2001:db8::1]", "2001:0db8:0000:0000:0000:0000:0000:0001:443"),
        ("https://user:pass@api.openai.com", "api.openai.com"),
        ("https://bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_a_host_is_a_name_and_a_port(url, host):
    assert vault.host_of(url) == host


@pytest.mark.parametrize(
    "url", ["", "x", "https://", "https://a b", "https://x:99999", "https://" + "a" * 64 + ".com"]
)
def test_a_url_without_a_host_is_refused_and_not_quoted(url):
    with pytest.raises(ValueError, match=r"^no URL with a host$"):
        vault.host_of(url)


def test_slots_are_read_from_ids():
    assert vault.slot_of(Slug("openai/12")) == 12
    assert vault.slot_of(Slug("openai/config")) == 0
    assert vault.slot_of(Slug("openai")) == 0
