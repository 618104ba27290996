"""Texts to features: what the model sees of a prompt. Training and serving both run this very code.

A feature is a text or a tuple of texts; features come in groups, each with tables of its own. Groups are
normalised on their own, so that a long document does not drown its one line of instruction.
"""
# ruff: noqa: RUF001

import re
from collections.abc import Collection, Hashable, Sequence
from itertools import chain, combinations, pairwise
from typing import Final

from gateway.routers.classifiers.lexicon import SIGNS, WORDS
from gateway.routers.classifiers.reading import Prompt

VERSION: Final = 2
"""Raised with every change of this file or of the lexicon: weights fit the features they were made with."""

GROUPS: Final = (
    "word", "pair", "head", "headpair", "start", "tail", "mean", "meanpair", "meanstart", "meantail",
    "system", "earlier", "shape", "plan",
)  # fmt: skip
SINGLE: Final = frozenset({"word", "head", "mean", "shape"})
"""Groups whose features are texts; those of the others are tuples."""

HEAD_TOKENS: Final = 16
EDGE_TOKENS: Final = 40
TAIL_TOKENS: Final = 24
LINE: Final = 200
_SIGN_HEAD: Final = 160
_SIGN_TAIL: Final = 60

_ASIAN: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_STOPS: Final = r"\s\d!-&(-/:-@\[-^`{-~\u2000-\u2018\u201a-\u206f\u3000-\u303f\uff00-\uff65«»"
_TOKEN: Final = re.compile(rf"[^\W\d_{_ASIAN}][^{_STOPS}{_ASIAN}]*(?:\+\+|#)?|\d+|[{_ASIAN}]|[^\w\s]")
_TOKEN_ASCII: Final = re.compile(
    r"[a-z][a-z'_\0-\x08\x0e-\x1b\x7f]*(?:\+\+|#)?|[0-9]+|[^a-z0-9_\s\x1c-\x1f]", re.ASCII
)
"""Finds the same in lower-case ASCII, in half the time."""

_HAS_ASIAN: Final = re.compile(f"[{_ASIAN}]")
_END: Final = re.compile(r"[:：。？！]|[.?!](?=\s|$)")
_QUESTION: Final = ("?", "？")
_ROOMS: Final = (12, 80, 300, 900)
_OPTION: Final = re.compile(r"\n\s{0,4}\(?[A-Da-d][).:]\s")
_BULLET: Final = re.compile(r"\n\s{0,8}(?:[-*•]|\d{1,2}[.)])\s")
_CODE: Final = (
    "```", ";\n", "{\n", "}", "def ", "class ", "return ", "#include", "=>", "import ", "</", "select ", "()",
    "==", "self.", "const ", "function", "void ", "print", "->", "//", "&&", "[0]", "\n    ", "\t", "error:",
)  # fmt: skip
_SYMBOLS: Final = re.compile(r"[=+*/^√∑∫≤≥π∈∀∃\\]")

_MARKS: Final = (
    ("?", "asks"), ("？", "asks"), ("\n\n", "blank"), ('"', "quote"), ("“", "quote"), ("「", "quote"),
    ("```", "fence"), (":\n", "colon"), ("：\n", "colon"), ("$", "dollar"), ("!", "loud"), ("！", "loud"),
)  # fmt: skip
_SCRIPTS: Final = (
    ("cyrillic", re.compile("[\u0400-\u04ff]")),
    ("arabic", re.compile("[\u0600-\u06ff]")),
    ("indic", re.compile("[\u0900-\u0dff]")),
    ("kana", re.compile("[\u3040-\u30ff]")),
    ("hangul", re.compile("[\uac00-\ud7af]")),
    ("han", re.compile("[\u4e00-\u9fff]")),
)


def _lexicon() -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]], dict[tuple[str, str], str]]:
    """Whole words, beginnings, and pairs of words; each with its meanings."""
    whole: dict[str, list[str]] = {}
    begins: dict[str, list[str]] = {}
    phrases: dict[tuple[str, str], str] = {}
    for meaning, words in WORDS.items():
        for word in words.lower().split():
            parts = word.split("_")
            if len(parts) > 1:
                phrases[(parts[0], parts[1])] = meaning
                continue
            held = begins.setdefault(word[:-1], []) if word.endswith("*") else whole.setdefault(word, [])
            if meaning not in held:
                held.append(meaning)
    return (
        {word: tuple(held) for word, held in whole.items()},
        {word: tuple(held) for word, held in begins.items()},
        phrases,
    )


_WHOLE, _BEGINS, _PHRASES = _lexicon()
_LENGTHS: Final = tuple(sorted({len(begin) for begin in _BEGINS}, reverse=True))
_OPENERS: Final = frozenset(begin[:3] for begin in _BEGINS)
_SIGN: Final = {sign: meaning for meaning, signs in SIGNS.items() for sign in signs.split()}


def features(prompt: Prompt) -> list[Collection[Hashable]]:
    """The features of a prompt, one collection for each of GROUPS, in that order."""
    text = prompt.last.strip().lower()
    tokens = tokenize(text)
    head = tokens[:HEAD_TOKENS]
    tail = tokens[-TAIL_TOKENS:] if len(tokens) > TAIL_TOKENS else []
    asian = not text.isascii() and _HAS_ASIAN.search(text) is not None
    front, back = _meanings(text, tokens, asian)
    size = _bucket(prompt.length)
    return [
        set(tokens),
        set(pairwise(tokens)),
        set(head),
        set(pairwise(head)),
        [("1", *head[:1]), ("2", *head[:2]), ("3", *head[:3])],
        set(chain(zip(tail, strict=True), pairwise(tail))),
        set(front),
        {*combinations(sorted(set(front[:10])), 2), *pairwise(front)},
        _opening(prompt, text, asian, front, back),
        {*zip(back, strict=True), *pairwise(back)},
        _system(prompt),
        _earlier(prompt),
        _shape(prompt, text, tokens, size, front),
        _plan(prompt, text, tokens, asian, front),
    ]


def _meanings(text: str, tokens: list[str], asian: bool) -> tuple[list[str], list[str]]:
    """What the words at the beginning mean, and those at the end, in order."""
    front = meanings(tokens[:EDGE_TOKENS])
    back = meanings(tokens[-TAIL_TOKENS:]) if len(tokens) > EDGE_TOKENS else []
    if asian:
        front += signs(text[:_SIGN_HEAD])
        back += signs(text[-_SIGN_TAIL:]) if len(text) > _SIGN_HEAD else []
    return front, back


def _opening(
    prompt: Prompt, text: str, asian: bool, front: list[str], back: list[str]
) -> set[tuple[str, ...]]:
    """What is meant first, and with how much text behind it."""
    length = prompt.length * (3 if asian else 1)  # such texts need a third of the characters
    room = "short" if length < 160 else "medium" if length < 800 else "large"
    found = {("first", *front[:1]), ("firsts", *front[:2]), ("edges", *front[:1], *back[-1:])}
    found |= {(room, one) for one in front[:4]}
    if prompt.turns > 1:
        found |= {("later", one) for one in front[:4]}
    return found | _lines(text, asian)


def _plan(
    prompt: Prompt, text: str, tokens: list[str], asian: bool, front: list[str]
) -> set[tuple[str, ...]]:
    """What is asked, and of how much material: the first sentence and the last line against all between."""
    if prompt.turns > 1:
        return set()  # the material is then in the turns before
    first, _, rest = text.partition("\n")
    end = _END.search(first, 0, LINE)
    asked = first[: LINE if end is None else end.end()]
    rest = rest.strip()
    last = rest.rpartition("\n")[2][-LINE:]
    size = (len(first) - len(asked) + len(rest) + prompt.length - len(text)) * (3 if asian else 1)
    room = "m" + str(sum(size > most for most in _ROOMS))
    asks = "asks" if asked.endswith(_QUESTION) else "tells"
    closes = "none" if not last else "asks" if last.endswith(_QUESTION) else "tells"
    lines = "one" if not rest else "many" if "\n" in rest else "two"
    return {
        ("room", room), ("room", room, lines), ("form", asks, room, closes),
        ("open", *tokens[:1], room), ("open", *tokens[:1], asks), ("opens", *tokens[:2], room),
        ("or", "or" if " or " in asked else "no", asks, room),
        ("commas", str(min(text.count(",").bit_length(), 5)), lines, room),
        *((one, room) for one in front[:3]),
        *((one, lines, asks) for one in front[:3]),
    }  # fmt: skip


def _lines(text: str, asian: bool) -> set[tuple[str, str]]:
    """What the words of the first line mean, and those of the last: often only one of them is a task."""
    if "\n" not in text:
        return set()
    found = set()
    ends = (("line", text.partition("\n")[0][:LINE]), ("lastline", text.rpartition("\n")[2][-LINE:]))
    for name, line in ends:
        told = meanings(tokenize(line))
        if asian:
            told += signs(line[:_SIGN_TAIL])
        found |= {(name, one) for one in told}
    return found


def tokenize(text: str) -> list[str]:
    return (_TOKEN_ASCII if text.isascii() else _TOKEN).findall(text)


def meanings(tokens: Sequence[str]) -> list[str]:
    """The meanings of the words that have one."""
    found: list[str] = []
    for token in tokens:
        held = _WHOLE.get(token)
        if held is None and token[:3] in _OPENERS:
            held = _begin(token)
        if held is not None:
            found += held
    for pair in pairwise(tokens):
        meaning = _PHRASES.get(pair)
        if meaning is not None:
            found.append(meaning)
    return found


def _begin(token: str) -> tuple[str, ...] | None:
    for length in _LENGTHS:
        held = _BEGINS.get(token[:length])
        if held is not None and len(token) >= length:
            return held
    return None


def signs(text: str) -> list[str]:
    """The meanings of the words in a text without spaces."""
    found = []
    for place in range(len(text)):
        for length in (4, 3, 2, 1):
            meaning = _SIGN.get(text[place : place + length])
            if meaning is not None:
                found.append(meaning)
                break
    return found


def _system(prompt: Prompt) -> set[tuple[str, ...]]:
    if not prompt.system:
        return set()
    text = prompt.system.lower()
    tokens = tokenize(text)
    told = meanings(tokens) + (signs(text) if _HAS_ASIAN.search(text) else [])
    return {*zip(tokens, strict=True), *(("means", one) for one in told)}


def _earlier(prompt: Prompt) -> set[tuple[str, ...]]:
    if not prompt.earlier:
        return set()
    text = prompt.earlier.lower()
    tokens = tokenize(text)[:EDGE_TOKENS]
    told = meanings(tokens) + (signs(text[:_SIGN_HEAD]) if _HAS_ASIAN.search(text) else [])
    return {*zip(tokens[:HEAD_TOKENS], strict=True), *(("means", one) for one in told)}


def _bucket(length: int) -> str:
    return str(max(length, 1).bit_length())


def _shape(prompt: Prompt, text: str, tokens: list[str], size: str, front: list[str]) -> list[str]:
    """What is seen from afar: lengths, lines, code, numbers, scripts, question marks."""
    lines = text.count("\n")
    total = len(text) or 1
    found = [
        "all",
        "size" + size,
        "lines" + str(min(lines.bit_length(), 7)),
        "turns" + str(min(prompt.turns, 5)),
        "digits" + str(min(sum(map(str.isdecimal, tokens)).bit_length(), 6)),
        "symbols" + str(min(len(_SYMBOLS.findall(text)) * 100 // total, 8)),
        "code" + str(min(sum(mark in text for mark in _CODE), 9)),
        "joined" + str(min(text.count("_").bit_length(), 5)),
        "slashes" + str(min(text.count("/").bit_length(), 4)),
        "first" + str(min(len(text.partition("\n")[0]) // 40, 9)),
        "means" + str(min(len(set(front)), 8)),
        "words" + str(min(len(tokens) // 4, 9)),
    ]
    if not text.isascii():
        found += [name for name, pattern in _SCRIPTS if pattern.search(text)]
    last = text[-1:]
    found.append("ends" + (last if not last.isalnum() else "0" if last.isdigit() else "a"))
    found += [name for mark, name in _MARKS if mark in text]
    if prompt.system:
        found.append("system")
    if _OPTION.search("\n" + text):
        found.append("options")
    if _BULLET.search(text):
        found.append("bullets")
    return found
