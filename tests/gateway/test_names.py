"""Names are short, plain, and never made of what merely looks like one."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.names import MAX_LENGTH, UNKNOWN, Ids, Slug, is_name

ALLOWED = string.ascii_letters + string.digits + "._:/@+-"


@given(
    st.text(ALLOWED, min_size=0, max_size=MAX_LENGTH - 1), st.sampled_from(string.ascii_letters + "0._:/-")
)
def test_plain_characters_behind_one_that_begins_no_formula(rest: str, first: str) -> None:
    assert is_name(first + rest)
    assert Slug(first + rest) == first + rest
    assert type(Slug(first + rest)) is Slug


@given(st.text())
def test_a_name_is_what_the_rule_says_and_nothing_else(text: str) -> None:
    fits = 1 <= len(text) <= MAX_LENGTH and set(text) <= set(ALLOWED) and text[0] not in "@+"
    assert is_name(text) is fits
    if not fits:
        with pytest.raises(ValueError, match="not a name") as caught:
            Slug(text)
        assert len(text) < 12 or text not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b",
        "+a",
        "a\n",
        "a\0",
        "ä",
        "\u0661",
        "a" * 129,
        "a\u202e",
        "=1+1",
        "@SUM(A1)",
        "\uff1d1",
    ],
)
def test_what_could_mislead_a_reader_is_no_name(text: str) -> None:
    assert not is_name(text)
    with pytest.raises(ValueError, match="not a name"):
        Slug(text)


def test_a_name_is_taken_for_one_without_another_look() -> None:
    name = Slug("gpt-4o")
    assert Slug(name) is name
    assert UNKNOWN == "unknown"
    assert isinstance(name, str)


def test_a_name_has_no_room_for_attributes() -> None:
    with pytest.raises(AttributeError):
        Slug("gpt-4o").note = "text"  # type: ignore[attr-defined]


def test_ids_are_names_that_differ_and_sort() -> None:
    one, two = Ids("req"), Ids("req")
    made = [one() for _ in range(9)]
    assert all(type(id) is Slug and is_name(id) for id in made)
    assert made == sorted(set(made))
    assert not set(made) & {two() for _ in range(9)}
    assert made[0].startswith("req-")
    assert made[0].endswith("-1")
