"""The same number for calls that begin with the same words, and no more of them read than that takes."""

import time
from dataclasses import replace
from typing import Any

import pytest

from gateway.content import EMPTY, Document
from gateway.contracts import Call
from gateway.names import Slug
from gateway.records import PathKind
from gateway.upstreams import affinity

LONG = "x" * 10**6


def number(**tree: Any) -> int | None:
    return affinity.of_prompt(call(tree))


def call(tree: dict[str, Any]) -> Call:
    return Call(dialect=Slug("d"), kind=PathKind.CHAT, model="m", stream=False, body=Document(tree, size=1))


def says(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


USER, ANSWER, MORE = says("user", "hello"), says("assistant", "hi"), says("user", "and?")


@pytest.mark.parametrize("field", ["messages", "contents", "input"])
@pytest.mark.parametrize("before", [[], [says("system", "s")], [says("developer", "s"), says("system", "t")]])
def test_all_calls_of_a_conversation_have_one_number(field: str, before: list[Any]) -> None:
    numbers = {
        number(**{field: [*before, *turns]}) for turns in ([USER], [USER, ANSWER], [USER, ANSWER, MORE])
    }
    assert len(numbers) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [says("user", "hullo")]},
        {"messages": [says("system", "hello")]},
        {"messages": [USER], "system": "s"},
        {"messages": [USER], "instructions": "s"},
        {"messages": [USER], "tools": [{"name": "t"}]},
        {"messages": [says("system", "s"), USER]},
        {"contents": [{"parts": [{"text": "hello"}]}]},
    ],
)
def test_other_beginnings_have_other_numbers(other: dict[str, Any]) -> None:
    assert number(**other) != number(messages=[USER])


def test_what_does_not_stand_before_the_turns_changes_nothing() -> None:
    assert number(messages=[USER], temperature=1, model="x") == number(
        messages=[USER], metadata={"user": "u"}
    )


def test_parts_are_told_from_each_other_by_their_places() -> None:
    assert number(messages=[{"a": "bc"}]) != number(messages=[{"ab": "c"}])
    assert number(system="a", messages=["b"]) != number(instructions="a", messages=["b"])
    assert number(messages=[["a"], "b"]) != number(messages=[["a", "b"]])


def test_what_is_not_text_counts_too() -> None:
    assert len({number(messages=[{"n": value}]) for value in (1, 2, 1.5, True, None, 2**64 - 1)}) == 6


def test_a_text_alone_is_a_turn() -> None:
    assert number(input="hello") is not None
    assert number(input="hello") != number(input="hullo")


@pytest.mark.parametrize("tree", [{}, {"messages": []}, {"messages": {"a": 1}}, {"input": 7}])
def test_a_call_without_turns_has_no_number(tree: dict[str, Any]) -> None:
    assert affinity.of_prompt(call(tree)) is None


def test_a_form_has_no_number() -> None:
    assert affinity.of_prompt(replace(call({}), body=EMPTY)) is None


def test_only_the_beginning_of_each_part_is_read() -> None:
    beginning = LONG[: affinity.READ_BYTES]
    assert number(messages=[LONG]) == number(messages=[beginning + "y"])
    assert number(messages=[LONG]) != number(messages=["y" + LONG])
    assert number(messages=[[LONG, "a"]]) == number(messages=[[LONG, "b"]])


def deep(levels: int) -> Any:
    tree: Any = "x"
    for _ in range(levels):
        tree = [tree]
    return tree


@pytest.mark.parametrize(
    "turn",
    [
        deep(100_000),
        [[LONG] * 100] * 100,
        {f"name-{n}": LONG for n in range(10_000)},
        [{"a": [{"b": LONG}] * 50}] * 1000,
        "\ud800" * 10_000,
        "é€😀" * 100_000,
    ],
)
def test_the_longest_and_deepest_take_no_time(turn: Any) -> None:
    made = call({"messages": [turn], "system": turn, "tools": turn})
    began = time.thread_time()
    assert affinity.of_prompt(made) == affinity.of_prompt(made)
    assert time.thread_time() - began < 0.02


def test_names_have_the_same_number_in_every_process() -> None:
    assert affinity.of_name("session-1") == 12558777036138866604
    assert affinity.of_name("session-1") != affinity.of_name("session-2")
