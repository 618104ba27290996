"""Plugins are found without being imported, by names that are claimed once."""

import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from gateway import plugins
from gateway.plugins import GROUPS, PluginError

SETUP = Path(__file__).parent.parent.parent / "setup.cfg"


def installed(folder: Path, package: str, points: str, module: str = "") -> None:
    """A package in a folder, as installers leave one."""
    about = folder / f"{package.replace('-', '_')}-2.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.0\n")
    (about / "entry_points.txt").write_text(points)
    if module:
        (folder / f"{package.replace('-', '_')}.py").write_text(module)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_ours_are_found_as_they_are_written_down() -> None:
    setup = ConfigParser()
    setup.read(SETUP)
    points = setup["options.entry_points"]
    assert set(points) == {"console_scripts", *GROUPS}
    for group in GROUPS:
        lines = dict(line.replace(" ", "").split("=") for line in points[group].strip().splitlines())
        ours = {
            name: found for name, found in plugins.find(group).items() if found.package == "tollgate-gateway"
        }
        assert {name: found.target for name, found in ours.items()} == lines
        assert all(isinstance(plugins.load(group, name), type) for name in ours)


def test_others_are_found_with_package_and_version_and_not_imported(site: Path) -> None:
    module = "raise SystemExit('imported')"
    installed(site, "some-plugins", "[gateway.routers]\nmine = some_plugins:Mine\n", module)
    found = plugins.find("gateway.routers")["mine"]  # type: ignore[index]
    assert (found.package, found.version, found.target) == ("some-plugins", "2.0", "some_plugins:Mine")
    assert "some_plugins" not in sys.modules
    assert "EntryPoint" not in repr(found)


def test_a_name_that_two_packages_claim_is_refused_with_both_their_names(site: Path) -> None:
    installed(site, "one-plugin", "[gateway.stores]\nsame = one:Store\n")
    installed(site, "other-plugin", "[gateway.stores]\nsame = other:Store\n")
    with pytest.raises(PluginError, match="same is claimed by one-plugin and by other-plugin; uninstall one"):
        plugins.load("gateway.stores", "sqlite")
    assert plugins.load("gateway.routers", "fixed")  # other groups go on


def test_a_name_that_ours_have_cannot_be_taken(site: Path) -> None:
    installed(site, "another-openai", "[gateway.providers]\nopenai = another_openai:Thief\n")
    with pytest.raises(PluginError, match="openai is claimed by another-openai and by tollgate-gateway"):
        plugins.load("gateway.providers", "openai")


def test_one_package_that_is_installed_twice_is_one(site: Path) -> None:
    for folder in ("a", "b"):
        installed(site / folder, "same-plugin", "[gateway.routers]\ntwice = same_plugin:Router\n")
        sys.path.insert(0, str(site / folder))
    try:
        assert plugins.find("gateway.routers")["twice"].package == "same-plugin"  # type: ignore[index]
    finally:
        del sys.path[:2]


def test_what_nobody_offers_is_told_with_what_there_is() -> None:
    with pytest.raises(PluginError, match="no plugin is called nobody; installed: anthropic, "):
        plugins.load("gateway.providers", "nobody")
    with pytest.raises(PluginError, match="no plugin is called nobody; installed: none"):
        plugins.load("gateway.nothing", "nobody")


def test_an_entry_point_whose_name_is_a_sentence_is_refused(site: Path) -> None:
    installed(site, "odd-plugin", "[gateway.routers]\nnot a name at all = odd:Router\n")
    with pytest.raises(PluginError) as refusal:
        plugins.find("gateway.routers")
    assert "not a name at all" not in str(refusal.value)


@pytest.mark.parametrize(
    "module",
    [
        "raise RuntimeError('canary')",
        "import no_such_module",
        "syntax error(",
        "raise SystemError('canary')",
        "x = 1",
    ],
)
def test_a_package_that_cannot_be_imported_is_named_and_not_quoted(site: Path, module: str) -> None:
    installed(site, "broken-plugin", "[gateway.routers]\nbroken = broken_plugin:Router\n", module)
    sys.modules.pop("broken_plugin", None)
    with pytest.raises(PluginError, match="broken of broken-plugin cannot be imported") as refusal:
        plugins.load("gateway.routers", "broken")
    assert "canary" not in str(refusal.value)
    assert refusal.value.__cause__ is None
