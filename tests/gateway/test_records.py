"""A Record holds numbers and names, whoever makes it, and comes back from a store as it was."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import Content, Secret
from gateway.names import Slug
from gateway.records import (
    NAMES,
    OPENING_NAMES,
    OPENING_VALUES,
    VALUES,
    Opening,
    Origin,
    Outcome,
    PathKind,
    Record,
    restore,
    restore_field,
)
from gateway.usage import Nanos, Source
from tests.sample_records import a_record

CANARY = "canary"

OTHERS: list[Any] = [
    CANARY,
    CANARY.encode(),
    1.5,
    [CANARY],
    {"a": CANARY},
    (1,),
    Content(b"canary"),
    Secret(CANARY),
    object(),
    type("Text", (str,), {})(CANARY),
    type("Number", (int,), {})(1),
]


@pytest.mark.parametrize("name", NAMES)
def test_no_column_takes_a_text(name: str) -> None:
    with pytest.raises(TypeError) as caught:
        replace(a_record(), **{name: CANARY})
    assert str(caught.value) == f"{name} is neither a number nor a name"


@pytest.mark.parametrize("value", OTHERS, ids=lambda one: type(one).__name__)
def test_a_column_takes_no_other_type(value: Any) -> None:
    with pytest.raises(TypeError) as caught:
        replace(a_record(), feature=value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("name", OPENING_NAMES)
@pytest.mark.parametrize("value", OTHERS, ids=lambda one: type(one).__name__)
def test_an_opening_takes_numbers_and_names_only(name: str, value: Any) -> None:
    with pytest.raises(TypeError) as caught:
        replace(Opening(Slug("call-1"), 1), **{name: value})
    assert str(caught.value) == f"{name} is neither a number nor a name"


def test_an_opening_has_columns_of_a_record() -> None:
    opening = Opening(Slug("call-1"), 1)
    record = Record(id=Slug("call-1"), at=1)
    for name, value in zip(OPENING_NAMES, OPENING_VALUES(opening), strict=True):
        assert getattr(record, name) == value


def test_a_record_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        a_record().feature = Slug("other")  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        a_record().note = CANARY  # type: ignore[attr-defined]


def test_a_record_needs_an_id_and_a_time_only() -> None:
    record = Record(id=Slug("call-1"), at=1)
    assert record.outcome is Outcome.OK
    assert record.path_kind is PathKind.OTHER
    assert record.source is Origin.PROXIED
    assert record.cost_nanos is None
    assert record.baseline_nanos is None


def test_values_stand_in_the_order_of_the_names() -> None:
    record = a_record(7)
    assert dict(zip(NAMES, VALUES(record), strict=True)) == {name: getattr(record, name) for name in NAMES}


@given(
    st.builds(
        a_record,
        st.integers(1, 10**6),
        feature=st.none() | st.just(Slug("chat")),
        cost_nanos=st.none() | st.integers(0, 10**15).map(Nanos),
        stream=st.booleans(),
        outcome=st.sampled_from(Outcome),
        usage_source=st.sampled_from(Source),
    )
)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    kept = [
        value.value if isinstance(value, (PathKind, Outcome, Source, Origin)) else value
        for value in VALUES(record)
    ]
    kept = [str(value) if isinstance(value, Slug) else value for value in kept]
    kept = [int(value) if isinstance(value, bool) else value for value in kept]
    assert restore(kept) == record


@pytest.mark.parametrize(
    ("name", "value"),
    [("id", "two words"), ("feature", ""), ("outcome", CANARY), ("usage_source", CANARY), ("key_id", "\n")],
)
def test_what_is_no_name_and_no_known_value_does_not_come_back(name: str, value: str) -> None:
    kept = list(VALUES(a_record()))
    kept[NAMES.index(name)] = value
    with pytest.raises(ValueError, match="not the values of a record") as caught:
        restore(kept)
    assert CANARY not in str(caught.value)
    assert caught.value.__suppress_context__


def test_the_number_of_values_must_fit() -> None:
    with pytest.raises(ValueError, match="not the values of a record"):
        restore(list(VALUES(a_record()))[:-1])


def test_a_number_that_is_none_does_not_come_back() -> None:
    kept = list(VALUES(a_record()))
    kept[NAMES.index("tokens_input")] = 1.5
    with pytest.raises(TypeError):
        restore(kept)


def test_single_fields_come_back_too() -> None:
    assert restore_field("feature", "chat") == Slug("chat")
    assert restore_field("feature", None) is None
    assert restore_field("stream", 1) is True
    assert restore_field("at", 5) == 5
    assert restore_field("outcome", "ok") is Outcome.OK
    with pytest.raises(ValueError, match="not in"):
        restore_field("prompt", CANARY)
