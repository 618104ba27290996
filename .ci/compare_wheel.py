"""Compares a wheel with the tree: same files, same bytes, nothing else, same entry points."""

import configparser
import sys
import zipfile
from pathlib import Path

FOLDERS = {"providers": "gateway/providers", "routers": "gateway/routers", "store": "gateway/store"}
DATA = {
    "gateway/py.typed": "gateway/py.typed",
    "gateway/starter.toml": "gateway/starter.toml",
    "gateway/ledger/prices.json": "gateway/ledger/prices.json",
    "gateway/upstreams/data_policies.json": "gateway/upstreams/data_policies.json",
    "gateway/routers/classifiers/tasks-1.bin": "routers/classifiers/tasks-1.bin",
}
"""Files that are no code: in the wheel, and in the tree."""


def tree(top: Path) -> dict[str, bytes]:
    """What should be in the wheel, by its path in there."""
    files = {path.relative_to(top).as_posix(): path.read_bytes() for path in (top / "gateway").rglob("*.py")}
    files |= {name: (top / place).read_bytes() for name, place in DATA.items()}
    for folder, inside in FOLDERS.items():
        for path in (top / folder).rglob("*.py"):
            files[f"{inside}/{path.relative_to(top / folder).as_posix()}"] = path.read_bytes()
    return files


def main(top: Path, wheel: Path) -> int:
    """Print every difference; how many there are."""
    expected, problems = tree(top), []
    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
        [points] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        offered = configparser.ConfigParser()
        offered.read_string(archive.read(points).decode())
    problems += [f"missing: {name}" for name in expected.keys() - found.keys()]
    problems += [f"not in the tree: {name}" for name in found.keys() - expected.keys()]
    problems += [
        f"differs: {name}" for name in expected.keys() & found.keys() if expected[name] != found[name]
    ]
    declared = configparser.ConfigParser()
    declared.read(top / "setup.cfg")
    for group, text in declared["options.entry_points"].items():
        names = {line.split("=")[0].strip() for line in text.split("\n") if "=" in line}
        if names != set(offered[group]):
            problems.append(f"entry points differ: {group}")
    print("\n".join(problems) if problems else f"{wheel.name}: {len(found)} files as in the tree")
    return len(problems)


if __name__ == "__main__":
    sys.exit(min(1, main(Path(sys.argv[1]), Path(sys.argv[2]))))
