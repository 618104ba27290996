"""What only the gateway asked for is taken out, and not one byte more."""

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.openai_usage_filter import UsageFilter

DELTA = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"h\xc3\xa9"}}]%s}\n\n'
LAST = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"

# as it comes, as the client is to see it
PAIRS = [
    (DELTA % b',"usage":null', DELTA % b""),
    (DELTA % b',"usage":null,"obfuscation":"ab"', DELTA % b',"obfuscation":"ab"'),
    (DELTA % b', "usage" : null , "obfuscation": "ab"', DELTA % b' , "obfuscation": "ab"'),
    (b'data: {"usage":null,"choices":[1]}\n\n', b'data: {"choices":[1]}\n\n'),
    (b'data: { "usage": null , "choices":[1] }\n\n', b'data: { "choices":[1] }\n\n'),
    (b'data:{"usage":null}\n\n', b"data:{}\n\n"),
    (b'data: {"a":{"usage":null},"usage":null}\n\n', b'data: {"a":{"usage":null}}\n\n'),
    (
        b'data: {"a":["usage",{"usage":null}],"usage":null,"b":1}\n\n',
        b'data: {"a":["usage",{"usage":null}],"b":1}\n\n',
    ),
    (
        b'data: {"a":"usage","usage":null,"b":"\\"usage\\":null"}\n\n',
        b'data: {"a":"usage","b":"\\"usage\\":null"}\n\n',
    ),
    (
        b'event: x\nid: 1\ndata: {"choices":[1],"usage":null}\n\n',
        b'event: x\nid: 1\ndata: {"choices":[1]}\n\n',
    ),
    (
        b'data: {"choices":[],"usage":null,"prompt_filter_results":[]}\n\n',
        b'data: {"choices":[],"prompt_filter_results":[]}\n\n',
    ),
    (LAST, b""),
    (b'data: {"choices": [], "usage": {"prompt_tokens": 1}}\n\n', b""),
    (b'data: {"choices":[],\ndata: "usage":{"prompt_tokens":1}}\n\n', b""),
]
# what stays as it is
KEPT = [
    DELTA % b"",
    DONE,
    b": comment\n\n",
    b"\n",
    b'data: {"choices":[{"delta":{"content":"\\"usage\\":null"}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"usage"}}]}\n\n',
    b'data: {"x_groq":{"usage":null}}\n\n',
    b'data: {"a":[{"b":{"usage":null}}]}\n\n',
    DELTA % b',"usage":{"prompt_tokens":1}',
    b'data: {"choices":[{"x":1}],"usage":{"prompt_tokens":1}}\n\n',
    b'data: {"usage":null,,}\n\n',
    b'data: ["usage",null]\n\n',
    b'data: {"us\\u0061ge":null,"x":"usage"}\n\n',
    b'data: {"x":["usage"],"us\\u0061ge":null,"y":["usage"]}\n\n',
    b'data: {"error":{"usage":null,"message":"\xff"}}\n\n',
    b'data: {"choices":[1],\ndata: "usage":null}\n\n',
    b"data: \xe2\x80\xa8\n\n",
]


def passed(chunks: list[bytes], limit: int = 1 << 18) -> bytes:
    keeper = UsageFilter(limit)
    return b"".join([*map(keeper.feed, chunks), keeper.finish()])


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.mark.parametrize(("event", "expected"), PAIRS)
def test_an_event_loses_the_key_or_goes_whole(event: bytes, expected: bytes) -> None:
    assert passed([event]) == expected
    assert passed([DELTA % b"" + event + DONE]) == DELTA % b"" + expected + DONE


@pytest.mark.parametrize("event", KEPT)
def test_every_other_byte_stays(event: bytes) -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        changed = event.replace(b"\n", end)
        assert passed([changed]) == changed
        assert passed(cut(changed, 1)) == changed


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_the_result_is_the_same_at_every_cut(end: bytes) -> None:
    body = b"".join(event for event, _ in PAIRS) + b"".join(KEPT[:3]) + DONE
    expected = b"".join(after for _, after in PAIRS) + b"".join(KEPT[:3]) + DONE
    body, expected = body.replace(b"\n", end), expected.replace(b"\n", end)
    for size in range(1, len(body) + 1):
        result = passed(cut(body, size))
        if end == b"\r\n":  # an LF that comes after its CR may be left behind a removed event
            assert result.replace(b"\n", b"") == expected.replace(b"\n", b"")
        else:
            assert result == expected


def test_a_whole_event_waits_for_nothing() -> None:
    keeper = UsageFilter()
    for end in (b"\n\n", b"\r\n\r\n", b"\r\r"):
        event = b'data: {"choices":[1],"usage":null}' + end
        assert keeper.feed(event) == event.replace(b',"usage":null', b"")


@given(st.lists(st.sampled_from([*PAIRS, *((event, event) for event in KEPT if event != b"\n")]), max_size=9))
def test_events_that_come_together_are_edited_as_if_each_came_alone(pairs: list[tuple[bytes, bytes]]) -> None:
    keeper = UsageFilter()
    assert keeper.feed(b"".join(event for event, _ in pairs)) == b"".join(after for _, after in pairs)
    assert keeper.finish() == b""


def test_a_chunk_of_usual_events_loses_all_its_keys() -> None:
    usual = DELTA % b',"usage":null'
    assert UsageFilter().feed(usual * 3) == DELTA % b"" * 3
    assert UsageFilter().feed(usual * 2 + DELTA % b"") == DELTA % b"" * 3
    inner = b'data: {"choices":[1],\ndata: "a":{"b":1,"usage":null}\n\n'  # not the end of one whole line
    assert UsageFilter().feed(usual + inner) == DELTA % b"" + inner


def test_a_chunk_without_the_key_goes_on_as_the_same_object() -> None:
    chunk = DELTA % b"" * 5
    assert UsageFilter().feed(chunk) is chunk


def test_a_part_of_an_event_waits_for_its_end_only() -> None:
    keeper = UsageFilter()
    assert keeper.feed(DELTA % b"" + b'data: {"choices":[1]') == DELTA % b""
    assert keeper.feed(b',"usage":null}\n') == b""
    assert keeper.feed(b"\n") == b'data: {"choices":[1]}\n\n'
    assert keeper.finish() == b""


def test_what_was_held_is_given_out_at_the_end() -> None:
    assert passed([b'data: {"choices":[1],"usa']) == b'data: {"choices":[1],"usa'
    assert passed([b'data: {"choices":[1],"usage":null}']) == b'data: {"choices":[1]}'
    assert passed([b'data: {"choices":[],"usage":{}}\n']) == b""
    assert passed([]) == b""


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_an_event_above_the_limit_passes_untouched(end: bytes) -> None:
    large = (b'data: {"text":"' + b"x" * 200 + b'","usage":null}\n\n').replace(b"\n", end)
    small = (b'data: {"a":1,"usage":null}\n\n').replace(b"\n", end)
    for size in range(1, 100):
        result = passed(cut(small + large + small + large, size), limit=100)
        assert (
            result
            == small.replace(b',"usage":null', b"") + large + small.replace(b',"usage":null', b"") + large
        )
    assert passed(cut(large[:-2], 50), limit=100) == large[:-2]


@given(
    st.lists(
        st.sampled_from(
            [*KEPT, DELTA % b',"usage":null', LAST, b"\r", b"\n", b"data: ", b"{", b'"usage":null']
        )
        | st.binary(max_size=9),
        max_size=12,
    ),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_no_bytes_make_it_raise_and_what_has_no_mark_is_equal(pieces: list[bytes], cuts: list[int]) -> None:
    body = b"".join(pieces)
    places = [0, *sorted(min(place, len(body)) for place in cuts), len(body)]
    chunks = [body[start:end] for start, end in pairwise(places)]
    for limit in (20, 1 << 18):
        result = passed(chunks, limit)
        assert len(result) <= len(body)
        if b'"usage"' not in body:
            assert result == body


def test_the_tree_of_an_event_changes_only_by_its_usage() -> None:
    tree = {
        "z": 1.0,
        "usage": None,
        "choices": [{"delta": {"content": "\u2028"}}],
        "a": {"usage": {"b": None}},
    }
    for option in (0, orjson.OPT_SORT_KEYS):
        event = b"data: " + orjson.dumps(tree, option=option) + b"\n\n"
        result = passed([event])
        assert orjson.loads(result[6:]) == {key: value for key, value in tree.items() if key != "usage"}
