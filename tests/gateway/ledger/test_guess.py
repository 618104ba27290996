"""Guessed tokens: near the truth for prose, never far below it for text built to fool the guess.

No vocabulary is at hand offline, so the corpus has known ratios: bytes or characters for one token in
vocabularies of 100,000 tokens, the dearest end of what is published of them.
"""

import base64
import random
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.guess import StreamGuess, guess_tokens

PROSE = (
    "The committee met on Tuesday morning to talk about the new bridge. Nobody was sure how long the work "
    "would take, but everyone agreed that the old crossing could not carry another winter of heavy lorries. "
    "After two hours, and a great deal of tea, they decided to ask an engineer for a second opinion. She "
    "arrived a week later, walked along the river with a notebook, and said very little. Her report was "
    "short: close the bridge to traffic, repair the northern pier first, and do not build anything before "
    "the spring floods have passed. The council read it twice. Then they voted, nine to three, to follow "
    "her advice, and the road was closed that same evening while the children of the village watched.\n"
) * 4

seeded = random.Random(7)
NOISE = bytes(seeded.randrange(256) for _ in range(6_000))


def letters(first: int, last: int) -> str:
    return "".join(chr(seeded.randrange(first, last)) for _ in range(1_000))


def test_prose_is_guessed_within_its_usual_range() -> None:
    assert 4 <= len(PROSE) / guess_tokens(PROSE.encode()) <= 5


DEAREST = [
    # name, text, characters for one token at the dearest
    ("hex", NOISE.hex(), 1.6),
    ("hex in capitals", NOISE.hex().upper(), 1.6),
    ("base64", base64.b64encode(NOISE).decode(), 1.7),
    ("base64 for addresses", base64.urlsafe_b64encode(NOISE).decode(), 1.7),
    ("base64 in lines", base64.encodebytes(NOISE).decode(), 1.7),
    ("base32", base64.b32encode(NOISE).decode(), 1.9),
    ("ids", " ".join(str(uuid.UUID(bytes=NOISE[at : at + 16])) for at in range(0, 4_000, 16)), 1.55),
    ("digits", "".join(str(byte % 10) for byte in NOISE), 3.0),
    ("letters without sense", "".join(chr(97 + byte % 26) for byte in NOISE), 2.1),
    ("letters of both cases", "".join(chr((65, 97)[byte >> 7] + byte % 26) for byte in NOISE), 1.8),
    ("capitals", PROSE.upper(), 2.7),
    ("emoji", letters(0x1F600, 0x1F64F), 1 / 3),
    ("animals", letters(0x1F400, 0x1F43F), 1 / 3),
    ("family emoji", "\U0001f468\u200d\U0001f469\u200d\U0001f467\ufe0f" * 300, 1 / 2),
    ("chinese", letters(0x4E00, 0x9FA5), 1 / 1.3),
    ("kana", letters(0x3041, 0x3096), 1 / 1.1),
    ("hangul", letters(0xAC00, 0xD7A3), 1 / 1.4),
    ("cyrillic", letters(0x430, 0x44F), 1 / 0.6),
    ("greek", letters(0x3B1, 0x3C9), 1 / 0.9),
    ("arabic", letters(0x627, 0x64A), 1 / 1.1),
    ("hebrew", letters(0x5D0, 0x5EA), 1 / 1.1),
    ("devanagari", letters(0x905, 0x939), 1 / 1.7),
    ("thai", letters(0xE01, 0xE2E), 1 / 1.8),
    ("ethiopic", letters(0x1200, 0x1248), 1 / 3),
    ("cherokee", letters(0x13A0, 0x13F5), 1 / 3),
    ("yi", letters(0xA000, 0xA48C), 1 / 3),
    ("braille", letters(0x2800, 0x28FF), 1 / 3),
    ("private use", letters(0xE000, 0xF8FF), 1 / 3),
    ("rare ideographs", letters(0x3400, 0x4DB5), 1 / 2.2),
    ("n'ko", letters(0x7C1, 0x7EA), 1 / 2),
    ("combining marks", letters(0x300, 0x36F), 1 / 2),
    ("gothic", letters(0x10330, 0x1034A), 1 / 4),
    ("cuneiform", letters(0x12000, 0x12300), 1 / 4),
    ("letters of mathematics", letters(0x1D400, 0x1D454), 1 / 4),
    ("hieroglyphs", letters(0x13000, 0x13300), 1 / 4),
]


@pytest.mark.parametrize(("text", "ratio"), [case[1:] for case in DEAREST], ids=[case[0] for case in DEAREST])
def test_a_text_is_never_guessed_below_nineteen_twentieths(text: str, ratio: float) -> None:
    assert guess_tokens(text.encode()) >= 0.95 * len(text) / ratio


@pytest.mark.parametrize(("text", "ratio"), [case[1:] for case in DEAREST], ids=[case[0] for case in DEAREST])
def test_hiding_a_text_in_prose_does_not_make_it_cheaper(text: str, ratio: float) -> None:
    hidden = guess_tokens((PROSE + text + PROSE).encode())
    assert hidden >= 0.95 * (len(text) / ratio + 2 * guess_tokens(PROSE.encode()))


def test_no_text_has_more_tokens_than_twice_its_bytes() -> None:
    for _, text, _ in DEAREST:
        assert guess_tokens(text.encode()) <= 2 * len(text.encode())


def test_nothing_is_no_token_and_something_is_at_least_one() -> None:
    assert guess_tokens(b"") == 0
    for text in (b"a", b"A", b"7", b".", b"\n", "é".encode(), "人".encode(), "🙂".encode()):
        assert guess_tokens(text) >= 1
    assert guess_tokens(b" ") == 0


def test_space_is_cheap() -> None:
    assert guess_tokens(b" " * 4_000) < 1_000
    assert guess_tokens(b"\n" * 4_000) < 1_000


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 16, 17, 64, 1_000])
def test_a_text_in_pieces_is_guessed_as_the_whole(step: int) -> None:
    for _, text, _ in [("", PROSE, 0), ("", "x" * 500 + "X" * 77, 0), *DEAREST]:
        data = text.encode()[:2_000]
        guess = StreamGuess()
        for start in range(0, len(data), step):
            guess.add(data[start : start + step])
        whole = guess_tokens(data)
        assert abs(guess.tokens - whole) <= 1 + whole // 50


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_a_guess_only_grows_by_what_it_is_fed(pieces: list[bytes]) -> None:
    guess = StreamGuess()
    for piece in pieces:
        guess.add(piece)
    whole = guess_tokens(b"".join(pieces))
    assert guess.tokens >= 0
    assert abs(guess.tokens - whole) <= 2 + whole // 10


def test_bytes_that_were_not_looked_at_count_a_third() -> None:
    guess = StreamGuess()
    guess.feed(0)
    assert guess.tokens == 0
    guess.feed(3_001)
    assert guess.tokens == 1_001
    guess.add(b"")
    assert guess.tokens == 1_001


def test_a_stream_guess_holds_numbers_only() -> None:
    guess = StreamGuess()
    guess.add(PROSE.encode())
    assert all(type(getattr(guess, name)) is int for name in StreamGuess.__slots__)
