"""The tables of docs/privacy.md say what the code says."""

from pathlib import Path

import pytest

from gateway.privacy import tables
from gateway.records import NAMES

DOCUMENT = Path(__file__).parents[3] / "docs" / "privacy.md"


def test_the_document_is_up_to_date() -> None:
    text = DOCUMENT.read_text("utf-8")
    renew = "run: python -m gateway.privacy.tables docs/privacy.md"
    assert tables.renewed(text) == text, renew


def test_every_column_is_explained_or_says_it_itself() -> None:
    assert set(tables.MEANINGS) <= set(NAMES)
    assert all(name.startswith(("tokens_", "units_")) for name in set(NAMES) - set(tables.MEANINGS))


def test_every_table_has_its_place() -> None:
    text = DOCUMENT.read_text("utf-8")
    for name in tables.TABLES:
        assert text.count(f"<!-- begin {name} -->") == text.count(f"<!-- end {name} -->") == 1


def test_a_document_is_written_anew(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(
        "".join(f"a<!-- begin {name} -->OUTDATED<!-- end {name} -->z\n" for name in tables.TABLES)
    )
    tables.main(file)
    assert "OUTDATED" not in file.read_text()
    assert file.read_text().count("a<!-- begin") == len(tables.TABLES)
    assert "`tokens_input`" in file.read_text()


@pytest.mark.parametrize("part", ["chat system", "messages user id", "form file name", "`user-agent`"])
def test_what_the_calls_carry_is_listed(part: str) -> None:
    assert part in tables.never_kept()
