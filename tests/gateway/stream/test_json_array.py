"""A JSON array that arrives piece by piece."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stream.json_array import Elements
from gateway.stream.sse import HEAD_BYTES, TAIL_BYTES

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('ab"\\[]{},:é\u2028\n'), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('a"\\{}[]', max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
ELEMENTS = st.lists(
    st.lists(JSON, max_size=3) | st.dictionaries(st.text(max_size=4), JSON, max_size=3), max_size=4
)


def cut(body: bytes, size: int, limit: int = 10_000) -> tuple[Elements, list[bytes]]:
    elements = Elements(limit)
    found = []
    for start in range(0, len(body), size):
        for name, data in elements.feed(body[start : start + size]):
            assert name is None
            found.append(data)
    return elements, found


@given(ELEMENTS, st.integers(1, 9), st.sampled_from([None, 2]), st.booleans())
def test_elements_are_the_same_wherever_the_array_is_cut(
    expected: list[Any], size: int, indent: int | None, ascii_only: bool
) -> None:
    body = json.dumps(expected, indent=indent, ensure_ascii=ascii_only).encode()
    elements, found = cut(body, size)
    assert [json.loads(data) for data in found] == expected
    assert elements.ended
    assert elements.rest() is None
    assert elements.oversize is None


def test_plain_values_between_elements_are_passed_over() -> None:
    for size in range(1, 30):
        assert cut(b'[1, "{[", null, {"a": 1}, "x\\"", [2]]', size)[1] == [b'{"a": 1}', b"[2]"]


def test_a_body_that_is_one_object_is_its_own_only_element() -> None:
    body = b' {"error": {"code": 429, "details": [{}]}}\n'
    for size in range(1, len(body) + 1):
        elements, found = cut(body, size)
        assert found == [body.strip()]
        assert elements.ended


def test_what_follows_the_array_is_not_looked_at() -> None:
    elements, found = cut(b'[{}] {"a": 1} ]]]', 4)
    assert found == [b"{}"]
    assert elements.feed(b"[{}]") == []


def test_an_unfinished_element_can_be_had_and_stays() -> None:
    elements = Elements()
    assert elements.rest() is None
    assert elements.feed(b'[{"a": [1') == []
    assert elements.rest() == (None, b'{"a": [1')
    assert not elements.ended
    assert elements.feed(b"]}") == [(None, b'{"a": [1]}')]


@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
def test_of_an_element_above_the_limit_only_the_ends_stay(size: int) -> None:
    big = b'{"begin":"' + b"x" * 20_000 + b'","end":1}'
    elements, found = cut(b"[{}," + big + b',{"a":2}]', size, limit=5000)
    assert found == [b"{}", b'{"a":2}']
    assert elements.dropped == 1
    large = elements.oversize
    assert large is not None
    assert (large.name, large.head, large.tail) == (None, big[:HEAD_BYTES], big[-TAIL_BYTES:])


def test_no_more_than_the_limit_is_held_of_an_element_without_end() -> None:
    elements = Elements(1000)
    elements.feed(b'[{"')
    for _ in range(100):
        elements.feed(b"x" * 400)
    assert elements.rest() is None
    assert elements.oversize is not None
    assert len(elements.oversize.tail) == TAIL_BYTES


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_garbage_never_raises(chunks: list[bytes]) -> None:
    elements = Elements(30)
    for chunk in chunks:
        elements.feed(chunk)
        elements.rest()


def test_a_stray_closing_bracket_ends_it() -> None:
    elements, found = cut(b"]{}", 3)
    assert (elements.ended, found) == (True, [])
