"""What is accepted as JSON, and what is refused, by the name of its field."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import Content, Purpose
from gateway.errors import CallerError
from gateway.stream import json_body
from gateway.stream.json_body import (
    CONTROL_FIELDS,
    MOST_ELEMENTS,
    check_content_type,
    check_model,
    count_in,
    flag_in,
    list_in,
    model_in,
    object_in,
    read_object,
    write_object,
)


def tree_of(body: bytes) -> dict[str, Any]:
    return read_object(Content(body)).open(Purpose.READ)


def refused(body: bytes) -> str:
    with pytest.raises(CallerError) as caught:
        read_object(Content(body))
    assert caught.value.code == "bad_request"
    assert caught.value.__cause__ is None
    return str(caught.value.about)


def test_an_object_is_read_with_its_size() -> None:
    document = read_object(Content(b' {"a": [1, 2.5, "x", null, true]} '))
    assert document.open(Purpose.READ) == {"a": [1, 2.5, "x", None, True]}
    assert document.size == 34


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a":1}x',
        b'{"a":1}{"b":2}',
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":1/*x*/}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":01}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":' * 1025 + b"1" + b"}" * 1025,
    ],
)
def test_what_is_no_strict_json_is_refused(body: bytes) -> None:
    assert refused(body) == "json"


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"true"])
def test_only_an_object_will_do(body: bytes) -> None:
    assert refused(body) == "object"


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**64 - 1, 10**18, 0, -1])
def test_integers_of_64_bits_are_kept_exactly(number: int) -> None:
    assert tree_of(b'{"a":%d}' % number) == {"a": number}


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 2**70, -(10**30), 10**19 * 2])
def test_an_integer_beyond_64_bits_is_refused_and_never_made_a_float(number: int) -> None:
    assert refused(b'{"a":{"b":[%d]}}' % number) == "integer"


def test_long_runs_of_digits_in_texts_and_floats_are_no_integers() -> None:
    digits = b"1" * 40
    assert tree_of(b'{"a":"%s","b":0.%s,"c":"\\"%s"}' % (digits, digits, digits))["a"] == digits.decode()


def test_an_integer_cannot_hide_behind_depth() -> None:
    body = b'{"a":' * 1000 + b"1" + b"0" * 30 + b"}" * 1000
    assert refused(body) == "integer"


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(-1e300, 1e300)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_a_body_is_read_exactly_or_refused(value: Any) -> None:
    body = json.dumps({"value": value}).encode()
    try:
        tree = tree_of(body)
    except CallerError:
        return
    assert json.loads(body) == tree
    written = write_object(tree).open(Purpose.SEND)
    assert json.loads(written) == tree
    assert type(tree["value"]) is type(value)


def test_of_doubled_keys_one_is_left_and_that_one_is_sent() -> None:
    tree = tree_of(b'{"model":"cheap","model":"dear"}')
    assert write_object(tree).open(Purpose.SEND) == b'{"model":"dear"}'


def test_keys_that_look_like_others_are_plain_data() -> None:
    tree = tree_of(b'{"Model":"a","MODEL":"b","model\\u0000":"c","\\uff4dodel":"d","__class__":1}')
    assert "model" not in tree
    assert len(tree) == 5


def test_fields_that_steer_other_gateways_are_taken_out_of_the_top_only() -> None:
    body = dict.fromkeys(CONTROL_FIELDS, "https://evil.example") | {"metadata": {"api_key": "x"}, "a": 1}
    assert tree_of(orjson.dumps(body)) == {"metadata": {"api_key": "x"}, "a": 1}


def test_more_elements_than_the_limit_are_refused_before_they_are_parsed() -> None:
    assert refused(b'{"a":[' + b"0," * (MOST_ELEMENTS + 1) + b"0]}") == "size"
    assert len(tree_of(b'{"a":"' + b"x" * (MOST_ELEMENTS + 1) + b'"}')["a"]) > MOST_ELEMENTS


# --- content types ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json;",
    ],
)
def test_json_in_utf_8_is_accepted(value: str) -> None:
    check_content_type(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-7",
        "application/jsonx",
    ],
)
def test_other_content_types_are_refused(value: str) -> None:
    with pytest.raises(CallerError) as caught:
        check_content_type(value)
    assert caught.value.status == 415


# --- fields -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 5, True, "", "a" * 257, "a\nb", "a\x00", ["a"], {}])
def test_a_model_is_a_short_printable_text(value: Any) -> None:
    with pytest.raises(CallerError) as caught:
        model_in({"model": value})
    assert caught.value.about == "model"
    with pytest.raises(CallerError):
        check_model(value)


def test_a_model_may_have_any_printable_letters() -> None:
    assert model_in({"model": "ft:gpt-4o:größe/x y"}) == "ft:gpt-4o:größe/x y"
    assert model_in({"target": "a" * 256}, "target") == "a" * 256


@pytest.mark.parametrize("value", ["false", "true", 0, 1, [], {}])
def test_a_flag_is_true_or_false(value: Any) -> None:
    with pytest.raises(CallerError) as caught:
        flag_in({"stream": value}, "stream")
    assert caught.value.about == "stream"


def test_a_flag_that_is_missing_or_null_is_false() -> None:
    assert not flag_in({}, "stream")
    assert not flag_in({"stream": None}, "stream")
    assert not flag_in({"stream": False}, "stream")
    assert flag_in({"stream": True}, "stream")


@pytest.mark.parametrize("value", [-1, 0, 10**9, True, False, "10", 1.0, [1]])
def test_a_count_is_an_integer_in_range(value: Any) -> None:
    with pytest.raises(CallerError) as caught:
        count_in({"max_tokens": value}, "max_tokens", json_body.MOST_OUTPUT)
    assert caught.value.about == "max_tokens"


def test_a_count_may_be_missing_or_have_another_least() -> None:
    assert count_in({}, "n", 5) is None
    assert count_in({"n": None}, "n", 5) is None
    assert count_in({"n": 5}, "n", 5) == 5
    assert count_in({"n": 0}, "n", 5, least=0) == 0


def test_lists_and_objects_may_be_missing_but_nothing_else() -> None:
    assert list_in({}, "tools") == []
    assert list_in({"tools": [1]}, "tools") == [1]
    assert object_in({"text": None}, "text") == {}
    assert object_in({"text": {"a": 1}}, "text") == {"a": 1}
    for read in (list_in, object_in):
        with pytest.raises(CallerError) as caught:
            read({"field": "text"}, "field")
        assert caught.value.about == "field"


def test_a_body_with_more_levels_than_can_be_written_is_refused() -> None:
    document = read_object(Content(b'{"a":' * 400 + b"1" + b"}" * 400))
    with pytest.raises(CallerError) as caught:
        write_object(document.open(Purpose.SEND))
    assert (caught.value.code, caught.value.about) == ("bad_request", "levels")
