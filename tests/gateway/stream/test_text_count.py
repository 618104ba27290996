"""The estimate is the same however the events come together."""

import random
from itertools import pairwise

import pytest

from gateway.stream.text_count import KEPT_BYTES, MEASURED, EventTexts, TextCount

KEYS = (b'"content":',)


def line(text: str) -> bytes:
    return b'data: {"content":"' + text.encode() + b'"}'


@pytest.mark.parametrize("seed", range(20))
def test_events_that_come_together_count_as_if_each_came_alone(seed: int) -> None:
    chance = random.Random(seed)
    events = [line("x" * chance.choice([0, 3, 9, 40, 2000])) for _ in range(MEASURED * 4)]
    alone, together = TextCount(), TextCount()
    for event in events:
        alone.add_event(event, KEYS)
    cuts = [0, *sorted(chance.sample(range(1, len(events)), 60)), len(events)]
    for start, end in pairwise(cuts):
        chunk = b"".join(event + b"\n\n" for event in events[start:end])
        together.add_events(chunk, end - start, KEYS)
    assert together.tokens == alone.tokens > 0


def test_what_was_kept_counts_as_if_it_had_been_measured_at_once() -> None:
    for number in (1, 20, 400):
        texts, count = EventTexts(KEYS), TextCount()
        for place in range(number):
            event = line("word " * (place % 30))
            texts.add(event, 1)
            texts.add(event + b"\n\n" + event + b"\n\n", 2)
            for _ in range(3):
                count.add_event(event, KEYS)
            if place == 2:
                assert texts.tokens == count.tokens  # asking early changes nothing
        assert texts.tokens == texts.tokens == count.tokens


def test_no_more_than_a_little_is_kept() -> None:
    for piece in (b"{}", line("x" * 100), line("x" * KEPT_BYTES)):
        texts, most = EventTexts(KEYS), 0
        for _ in range(1000):
            texts.add(piece, 1)
            most = max(most, sum(len(data) for data, _ in texts._kept))
            assert len(texts._kept) <= KEPT_BYTES // 64
        assert most <= KEPT_BYTES
