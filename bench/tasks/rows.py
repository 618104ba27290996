"""Rows of labelled prompts: reading them, and finding those that are nearly the same.

A row is a JSON object on a line: id, source, split, lang, messages, tools, label, accept. Only messages
and label are needed. Prompts of our own lie in prompts/, labels of rows given without in labels/.
"""

import gzip
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway.routers.classifiers.features import _TOKEN
from gateway.routers.classifiers.reading import Prompt, of_messages

HERE = Path(__file__).parent

LABELS = (
    "brainstorming", "chat", "classification", "closed_qa", "code_assist", "code_generation", "extraction",
    "open_qa", "reasoning", "rewriting", "summarization", "translation", "writing",
)  # fmt: skip

SHINGLE = 4
ALIKE = 0.4

SAMPLE = {"p3": 0.12, "gpteacher": 0.2, "gsm8k": 0.3, "bbh": 0.3, "humaneval": 0.3, "debugbench": 0.3}
"""The share of rows that is taken of large sources made by a template or by a machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One labelled prompt."""

    id: str
    source: str
    lang: str
    prompt: Prompt = field(repr=False)
    label: str
    accept: frozenset[str]
    hand: bool
    messages: list[dict[str, Any]] = field(repr=False)


def read(paths: Sequence[Path], own: bool = True, long: float = 0.3) -> list[Row]:
    """All rows with one of LABELS, in a fixed order.

    Args:
        own: add prompts/ and labels/ of this folder.
        long: the share of texts that come a second time as a long document.
    """
    labels = _labels() if own else {}
    rows: dict[str, Row] = {}
    for path in paths:
        for tree in lines(path):
            row = _row({**tree, **labels.get(str(tree.get("id")), {})}, path.stem, len(rows))
            if row is not None:
                rows.setdefault(row.id, row)
    for path in sorted((HERE / "prompts").glob("*.jsonl")) if own else ():
        for tree in lines(path):
            row = _row({"source": "own", **tree}, f"own-{path.stem}", len(rows))
            if row is not None:
                rows.setdefault(f"{path.stem}/{row.id}", row)
    whole = list(rows.values())
    return whole + lengthened(whole, long)


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, plain or gzip."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _labels() -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted((HERE / "labels").glob("*.jsonl")):
        for tree in lines(path):
            found[tree["id"]] = {
                "label": tree["label"],
                "accept": tree.get("accept") or [tree["label"]],
                "raw": "by hand",
            }
    return found


def _row(tree: dict[str, Any], place: str, number: int) -> Row | None:
    label = tree.get("label")
    prompt = of_messages(tree.get("messages"))
    if label not in LABELS or prompt is None or _tools(tree.get("tools")):
        return None
    if zlib.crc32(str(tree.get("id")).encode()) % 1000 >= 1000 * SAMPLE.get(str(tree.get("source")), 1):
        return None
    accept = frozenset(tree.get("accept") or ()) & frozenset(LABELS) | {label}
    return Row(
        id=str(tree.get("id") or f"{place}/{number}"),
        source=str(tree.get("source") or place),
        lang=str(tree.get("lang") or "en"),
        prompt=prompt,
        label=label,
        accept=accept,
        hand=tree.get("raw") == "by hand",
        messages=tree["messages"],
    )


def _tools(tools: object) -> bool:
    return bool(tools) if isinstance(tools, int | list) else False


def alike(rows: Sequence[Row], held: Sequence[Row]) -> set[int]:
    """Numbers of the rows that share much of their text with a held one."""
    where: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for number, row in enumerate(held):
        for shingle in _shingles(row):
            where[shingle].add(number)
    found = set()
    for number, row in enumerate(rows):
        own = _shingles(row)
        met = Counter(other for shingle in own for other in where.get(shingle, ()))
        if met and met.most_common(1)[0][1] >= ALIKE * max(len(own), 1):
            found.add(number)
    return found


def _shingles(row: Row) -> set[tuple[str, ...]]:
    tokens = _TOKEN.findall(row.prompt.last.lower())
    return {tuple(tokens[at : at + SHINGLE]) for at in range(max(1, len(tokens) - SHINGLE + 1))}


LENGTHENED = frozenset({"closed_qa", "summarization", "extraction", "rewriting", "classification"})
STUFFING = 9000
"""Characters of foreign text that make a long document of a short one."""


def lengthened(rows: Sequence[Row], share: float) -> list[Row]:
    """Copies of rows about a text, the text made long: what is asked then stands far from one end."""
    texts = [row.prompt.last for row in rows if row.label in LENGTHENED and row.prompt.length > 500]
    made = []
    for number, row in enumerate(rows):
        chance = zlib.crc32(row.id.encode()) % 1000
        text = row.prompt.last
        if row.label not in LENGTHENED or row.prompt.turns > 1 or chance >= 1000 * share or "\n" not in text:
            continue
        stuffing = "\n".join(texts[(number * 31 + at * 7) % len(texts)] for at in range(12))[:STUFFING]
        parts = (text, stuffing) if chance % 2 else (stuffing, text)
        messages = [*row.messages[:-1], {"role": "user", "content": "\n".join(parts)}]
        prompt = of_messages(messages)
        if prompt is not None:
            made.append(replace(row, id=f"{row.id}/long", prompt=prompt, messages=messages))
    return made
