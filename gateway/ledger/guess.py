"""How many tokens a text has, guessed from its bytes, without a tokenizer and at the speed of C.

Each byte becomes a class; tokens are then counted from runs and neighbours of classes. A word of
Latin letters is about one token, more if it is long or mixes cases; digits go by threes; each
character of another script costs what the vocabularies of 100,000 tokens spend on it. Where
vocabularies differ, the one that needs most tokens counts: the guess may be too high for small
scripts under newer vocabularies; it is not fooled downwards by hex, base64, emoji or rare scripts.
Ratios: English prose 4 to 4.7 bytes a token, hex 1.6 to 2.2, base64 1.7 to 2.0, Chinese 0.7 to 1.4
tokens a character, emoji 2 to 3, rare scripts 2 to 4.
"""

from typing import Final

MILLI: Final = 1000

LETTER, RARE, CAPITAL, DIGIT, SPACE, LINE, MARK = b"a", b"x", b"A", b"0", b" ", b"\n", b"."

# Following bytes of a character, by range: what they say depends on the first byte.
LOW, EARLY, MIDDLE, FACE, HIGH, LAST = b"q", b"r", b"s", b"z", b"t", b"u"

FIRST: Final[tuple[tuple[int, int, bytes, int], ...]] = (
    (0xC2, 0xC3, b"B", 2200),  # Latin-1: one stands for words of a language that is not English
    (0xC4, 0xC8, b"C", 2000),  # Latin, extended
    (0xC9, 0xCD, b"D", 2000),  # phonetic, combining marks
    (0xCE, 0xCF, b"E", 900),  # Greek
    (0xD0, 0xD1, b"F", 600),  # Cyrillic
    (0xD2, 0xD6, b"G", 2000),  # further Cyrillic, Armenian
    (0xD7, 0xDB, b"H", 1100),  # Hebrew, Arabic
    (0xDC, 0xDF, b"I", 2000),  # Syriac, Thaana, N'Ko
    (0xE0, 0xE0, b"J", 2000),  # India, Thai, Lao, Tibetan
    (0xE1, 0xE1, b"K", 3000),  # Georgian, Ethiopic, Khmer, …
    (0xE2, 0xE2, b"L", 3000),  # symbols
    (0xE3, 0xE3, b"M", 3000),  # rare ideographs
    (0xE4, 0xE4, b"T", 3000),  # rare ideographs
    (0xE5, 0xE9, b"N", 1350),  # ideographs
    (0xEA, 0xEA, b"O", 3000),  # Yi, Vai, …
    (0xEB, 0xED, b"P", 1400),  # Hangul
    (0xEE, 0xEE, b"U", 3000),  # private use
    (0xEF, 0xEF, b"Q", 3000),  # compatibility forms
    (0xF0, 0xF0, b"R", 4000),  # hieroglyphs, cuneiform, letters of mathematics
    (0xF1, 0xF4, b"S", 4000),
)
"""First byte from, to, class, thousandths of a token for the character."""

PAIRS: Final[tuple[tuple[bytes, int], ...]] = (
    (b"K" + HIGH, 1500 - 3000),  # Vietnamese
    (b"L" + LOW, 1300 - 3000),  # quotation marks, dashes
    (b"M" + LOW, 1100 - 3000),  # kana
    (b"T" + HIGH, 1350 - 3000),  # ideographs
    (b"T" + LAST, 1350 - 3000),
    (b"O" + HIGH, 1400 - 3000),  # Hangul
    (b"O" + LAST, 1400 - 3000),
    (b"Q" + LAST, 1800 - 3000),  # full-width forms
    (b"R" + FACE, 3000 - 4000),  # emoji
)
"""First and second byte, and how far their characters differ from the first byte's cost."""


def _classes() -> bytes:
    table = bytearray(MARK * 256)
    ranges: list[tuple[int, int, bytes]] = [
        (0x61, 0x7A, LETTER),
        *((ord(letter), ord(letter), RARE) for letter in "jqxz"),
        (0x41, 0x5A, CAPITAL),
        (0x30, 0x39, DIGIT),
        (0x20, 0x20, SPACE),
        (0x09, 0x09, SPACE),
        (0x0A, 0x0D, LINE),
        (0x80, 0x83, LOW),
        (0x84, 0x8F, EARLY),
        (0x90, 0xAF, MIDDLE),
        (0x9F, 0x9F, FACE),
        (0xB0, 0xBB, HIGH),
        (0xBC, 0xBF, LAST),
        *((start, end, name) for start, end, name, _ in FIRST),
    ]
    for start, end, name in ranges:
        table[start : end + 1] = name * (end + 1 - start)
    return bytes(table)


def _only(names: bytes) -> bytes:
    """A table that leaves these classes as the first of them and makes all others blank."""
    table = bytearray(b" " * 256)
    for name in names:
        table[name] = names[0]
    return bytes(table)


CLASSES: Final = _classes()
_LETTERS: Final = _only(LETTER + RARE + CAPITAL)
_DIGITS: Final = _only(DIGIT)
_MARKS: Final = _only(MARK)
_SPACES: Final = _only(SPACE)
_LINES: Final = _only(LINE)

RUN: Final = 16
"""Neighbours that matter at most."""


def guess_tokens(text: bytes) -> int:
    """Tokens of a text in UTF-8, rounded up."""
    return -(-_cost(text.translate(CLASSES)) // MILLI)


class StreamGuess:
    """Guesses the tokens of a text that comes in pieces, however it is cut.

    Holds numbers only: the cost so far, and the class and length of the run that the text ended with.
    """

    __slots__ = ("_class", "_letters", "_milli", "_run")

    def __init__(self) -> None:
        self._milli = 0
        self._class = 0
        self._run = 0  # neighbours of the same class at the end of the text
        self._letters = 0  # letters at its end, of any class

    def add(self, text: bytes) -> None:
        """The next piece, cut at any byte."""
        if not text:
            return
        classes = text.translate(CLASSES)
        before = LETTER * (self._letters - self._run) + bytes((self._class,)) * self._run
        self._milli += _cost(before + classes) - _cost(before)
        whole = before + classes
        self._class = whole[-1]
        # Blocks of a long run are paid for, so that counting it may begin again.
        self._run = _wrapped(len(whole) - len(whole.rstrip(whole[-1:])))
        self._letters = _wrapped(len(whole) - len(whole.rstrip(LETTER + RARE + CAPITAL)))

    def feed(self, n_bytes: int) -> None:
        """Bytes that could not be looked at: a token for three, as text that is part prose, part not."""
        self._milli += n_bytes * MILLI // 3

    @property
    def tokens(self) -> int:
        """So far, rounded up."""
        return -(-self._milli // MILLI)


def _wrapped(run: int) -> int:
    """A length that continues to count blocks of RUN as the real one would."""
    return run if run < 2 * RUN else RUN + run % RUN


def _cost(classes: bytes) -> int:
    """Thousandths of tokens."""
    letters = classes.translate(_LETTERS)
    cost = 1000 * _runs(letters, LETTER) + 700 * classes.count(RARE)
    cost += 600 * letters.count(LETTER * 8) + 4400 * letters.count(LETTER * RUN)
    cost += 750 * classes.count(b"aA") + 300 * classes.count(b"AAa") + 450 * classes.count(b"AA")
    digits = classes.count(DIGIT)
    if digits:
        cost += 333 * digits + 667 * _runs(classes.translate(_DIGITS), DIGIT)
    marks = classes.count(MARK)
    if marks:
        cost += 500 * marks + 500 * _runs(classes.translate(_MARKS), MARK)
    lines = classes.count(LINE)
    if lines:
        cost += 900 * _runs(classes.translate(_LINES), LINE) + 60 * lines
    if classes.count(b"  "):
        cost += 500 * classes.count(b"  ") - 440 * classes.count(b"    ")
    if len(classes) != len(classes.translate(None, _WIDE)):
        cost += sum(classes.count(name) * each for _, _, name, each in FIRST)
        cost += sum(classes.count(pair) * each for pair, each in PAIRS)
    return cost


_WIDE: Final = b"".join(name for _, _, name, _ in FIRST)


def _runs(classes: bytes, name: bytes) -> int:
    return classes.count(b" " + name) + classes.startswith(name)
