"""The tables of docs/translation.md say what the code says."""

from pathlib import Path

from gateway.translation import TONGUES, matrix

PAGE = Path(__file__).parents[3] / "docs" / "translation.md"


def test_the_page_is_current() -> None:
    text = PAGE.read_text("utf-8")
    assert matrix.renewed(text) == text, "run: python -m gateway.translation.matrix docs/translation.md"


def test_all_dialects_are_in_the_tables() -> None:
    assert set(matrix.TITLES) == set(TONGUES)
    assert matrix.pairs().count("as it is") == 4
    assert matrix.pairs().count(" refused") == 12


def test_the_page_is_written_anew(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- begin pairs -->\nold\n<!-- end pairs -->\nb\n", "utf-8")
    for name in ("callers", "providers"):
        page.write_text(page.read_text("utf-8") + f"<!-- begin {name} --><!-- end {name} -->", "utf-8")
    matrix.main(page)
    written = page.read_text("utf-8")
    assert "old" not in written
    assert written.startswith("a\n<!-- begin pairs -->\n| called in")
    assert "`cache_control`" in written
