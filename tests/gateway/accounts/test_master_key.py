"""The master key: what is accepted, what is refused, and how its file is written."""

import base64
import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.accounts import master_key
from gateway.accounts.master_key import InEnvironment, InFile, MasterKeyError
from gateway.content import Purpose

RANDOM = bytes.fromhex("3dd5f6c0a32d45b71a6e770c706e9730934c915bb318819fe8481d8339a47e91")
OTHER = bytes.fromhex("31c4a18f424741cbd983561bb1ebdb3f913db4d10d096d0c4348956e9e0616f8")


def b64(secret: bytes) -> str:
    return base64.b64encode(secret).decode()


GOOD = f"pepper {b64(RANDOM)}\nkek kek-1 {b64(OTHER)}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "master.key"


def put(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def opened(kek: master_key.Kek | None) -> bytes:
    assert kek is not None
    return kek.secret.open(Purpose.AUTH)


def refusal(path: Path) -> str:
    with pytest.raises(MasterKeyError) as caught:
        master_key.load(InFile(path))
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_new_master_key_is_a_file_for_its_owner_only(path):
    made = master_key.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = master_key.load(InFile(path))
    assert read.pepper == made.pepper
    assert read.current.id == made.current.id
    assert opened(read.current) == opened(made.current)
    assert read.source == made.source == InFile(path)
    assert sorted(os.listdir(path.parent)) == ["master.key"]


def test_no_umask_opens_the_file_to_others(path):
    before = os.umask(0)
    try:
        master_key.create(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_never_overwritten(path):
    put(path, "precious")
    with pytest.raises(MasterKeyError, match="exists"):
        master_key.create(path)
    assert path.read_text() == "precious"
    assert sorted(os.listdir(path.parent)) == ["master.key"]


def test_a_dangling_link_is_not_followed_to_write(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MasterKeyError):
        master_key.create(path)
    assert not (tmp_path / "elsewhere").exists()


def test_the_first_start_makes_a_key_and_the_next_reads_it(path):
    made, fresh = master_key.load_or_create(path)
    again, second = master_key.load_or_create(path)
    assert (fresh, second) == (True, False)
    assert again.pepper == made.pepper


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(MasterKeyError, match="folder"):
        master_key.load_or_create(tmp_path / "missing" / "master.key")
    with pytest.raises(MasterKeyError, match="folder"):
        master_key.write(tmp_path / "missing" / "key", master_key.parse(GOOD), over=True)


class Contended(type(Path())):
    """A path whose file another process makes just before this one does."""

    def with_name(self, name: str) -> Path:
        if not self.exists():
            master_key.create(Path(self))
        return super().with_name(name)


def test_the_loser_of_a_race_reads_the_winners_key(path):
    loser, made = master_key.load_or_create(Contended(path))
    assert not made
    assert loser.pepper == master_key.load(InFile(path)).pepper


def test_processes_that_start_at_once_get_one_key(path):
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(master_key.load_or_create, [path] * 8))
    assert len({master.pepper for master, _ in found}) == 1
    assert [made for _, made in found].count(True) == 1


def test_keks_are_found_by_id_and_the_first_seals():
    master = master_key.parse(GOOD + f"kek kek-0 {b64(RANDOM)}\n")
    assert [kek.id for kek in master.keks] == ["kek-1", "kek-0"]
    assert master.current.id == "kek-1"
    assert opened(master.kek(master.keks[1].id)) == RANDOM
    assert master.kek(master_key.new_kek().id) is None


def test_the_text_is_read_as_it_was_written():
    master = master_key.parse(GOOD)
    assert master_key.parse(master_key.render(master)).pepper == master.pepper == RANDOM


def test_the_key_is_in_no_text_of_its_object():
    master = master_key.parse(GOOD)
    for secret in (RANDOM, OTHER):
        for form in (secret.hex(), b64(secret), repr(secret)):
            assert form not in repr(master)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610, 0o601])
def test_a_file_that_others_may_open_is_refused(path, mode):
    assert "chmod 600" in refusal(put(path, GOOD, mode))


def test_a_file_of_mode_0400_is_enough(path):
    assert master_key.load(InFile(put(path, GOOD, 0o400))).pepper == RANDOM


def test_a_link_to_another_folder_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    put(tmp_path / "real", GOOD)
    (tmp_path / "a" / "key").symlink_to(tmp_path / "real")
    assert "link" in refusal(tmp_path / "a" / "key")


def test_a_link_within_the_folder_is_followed_as_secret_mounts_have_them(tmp_path):
    (tmp_path / "..2030").mkdir()
    put(tmp_path / "..2030" / "key", GOOD)
    (tmp_path / "..data").symlink_to("..2030")
    (tmp_path / "key").symlink_to("..data/key")
    assert master_key.load(InFile(tmp_path / "key")).pepper == RANDOM


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "circle").symlink_to("circle")
    assert "no regular file" in refusal(tmp_path / "pipe")
    tmp_path.joinpath("folder").mkdir(mode=0o700)
    assert refusal(tmp_path / "folder")
    assert "cannot be opened" in refusal(tmp_path / "circle")
    assert "there is no master key file" in refusal(tmp_path / "missing")


@pytest.mark.parametrize(("owner", "user", "good"), [(7, 7, True), (0, 7, True), (7, 0, True), (8, 7, False)])
def test_the_file_belongs_to_the_user_or_to_root(owner, user, good):
    facts = os.stat_result((0o100600, 1, 1, 1, owner, 0, 10, 0, 0, 0))
    if good:
        master_key._check_facts(facts, user)
    else:
        with pytest.raises(MasterKeyError, match="another user"):
            master_key._check_facts(facts, user)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing but a comment\n",
        f"pepper {b64(RANDOM)}\n",
        f"kek kek-1 {b64(RANDOM)}\n",
        GOOD + f"pepper {b64(OTHER)}\n",
        GOOD + f"kek kek-1 {b64(RANDOM)}\n",
        GOOD + "something else\n",
        GOOD + f"kek @x {b64(RANDOM)}\n",
        "pepper x\n",
        "x" * 20_000,
        "é",
        "\0" * 100,
    ],
    ids=range(12),
)
def test_a_malformed_file_is_refused_and_not_quoted(path, text):
    message = refusal(put(path, text))
    for part in text.split():
        assert len(part) < 10 or part not in message


@pytest.mark.parametrize(
    "secret",
    [
        b"",
        RANDOM[:31],
        RANDOM + b"x",
        bytes(32),
        b"\xff" * 32,
        bytes(range(32)),
        bytes(range(0, 96, 3)),
        RANDOM[:8] * 4,
        b"correct horse battery staple 123",
    ],
    ids=range(9),
)
def test_a_weak_key_is_refused_in_every_place(path, secret):
    for text in (f"pepper {b64(secret)}\nkek k {b64(RANDOM)}", f"pepper {b64(RANDOM)}\nkek k {b64(secret)}"):
        refusal(put(path, text))
    with pytest.raises(MasterKeyError):
        master_key.load(InEnvironment("KEY", {"KEY": b64(secret)}))


def test_a_variable_holds_the_same_text_with_semicolons():
    master = master_key.load(InEnvironment("KEY", {"KEY": GOOD.strip().replace("\n", ";")}))
    assert master.pepper == RANDOM
    assert opened(master.current) == OTHER


def test_a_variable_holds_one_bare_key_from_which_all_is_derived():
    first = master_key.load(InEnvironment("KEY", {"KEY": b64(RANDOM)}))
    urlsafe = master_key.load(InEnvironment("KEY", {"KEY": base64.urlsafe_b64encode(RANDOM).decode() + "\n"}))
    other = master_key.load(InEnvironment("KEY", {"KEY": b64(OTHER)}))
    assert first.pepper == urlsafe.pepper
    assert first.current.id == urlsafe.current.id
    assert len({first.pepper, opened(first.current), RANDOM, other.pepper, opened(other.current)}) == 5


def test_the_derivation_is_hkdf_sha_256():
    # RFC 5869, test case 3 (no salt, no info), first 32 bytes
    wanted = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert master_key._hkdf(b"\x0b" * 22, b"", 32).hex() == wanted


@pytest.mark.parametrize("environment", [{}, {"KEY": ""}, {"KEY": " \n"}, {"KEY": "?"}])
def test_a_variable_without_a_key_is_refused(environment):
    with pytest.raises(MasterKeyError):
        master_key.load(InEnvironment("KEY", environment))


def test_the_process_environment_is_the_default(monkeypatch):
    monkeypatch.setenv("TOLLGATE_TEST_KEY", b64(RANDOM))
    assert master_key.load(InEnvironment("TOLLGATE_TEST_KEY")).source is None


def test_a_replaced_file_is_the_whole_new_text_and_keeps_its_link(tmp_path):
    (tmp_path / "real").mkdir()
    target = put(tmp_path / "real" / "key", GOOD)
    (tmp_path / "key").symlink_to("real/key")
    master = master_key.parse(GOOD.replace("kek-1", "kek-2"))
    master_key.write(tmp_path / "key", master, over=True)
    assert (tmp_path / "key").is_symlink()
    assert master_key.load(InFile(target)).current.id == "kek-2"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "real") == ["key"]


def test_a_whole_file_takes_a_name_only_once(path, tmp_path):
    fresh = put(tmp_path / "fresh", GOOD)
    master_key._name_once(fresh, path)
    with pytest.raises(FileExistsError):
        master_key._name_once(fresh, path)
    assert path.read_text() == GOOD


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs a second file system")
def test_where_no_link_can_be_made_the_file_is_written_in_place_and_only_once(tmp_path):
    fresh = put(tmp_path / "fresh", GOOD)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        place = Path(elsewhere) / "master.key"
        master_key._name_once(fresh, place)
        assert master_key.load(InFile(place)).pepper == RANDOM
        with pytest.raises(FileExistsError):
            master_key._name_once(fresh, place)
