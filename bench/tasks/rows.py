"""Rows of labelled prompts: reading them, and finding those that are nearly the same.

A row is a JSON object on a line: id, source, split, lang, messages, tools, label, accept. Only messages
and label are needed. Prompts of our own lie in prompts/, labels of rows given without in labels/, and
labels/hand_audit.jsonl has wider ones, which models are trained with and never judged by.
"""

import gzip
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway.routers.classifiers.features import tokenize
from gateway.routers.classifiers.reading import Prompt, of_messages

HERE = Path(__file__).parent
AUDIT = "hand_audit.jsonl"

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
    """One labelled prompt.

    Attributes:
        label, accept: what it is judged by.
        taught, allowed: what a model is trained with.
    """

    id: str
    source: str
    lang: str
    prompt: Prompt = field(repr=False)
    label: str
    accept: frozenset[str]
    taught: str
    allowed: frozenset[str]
    hand: bool
    messages: list[dict[str, Any]] = field(repr=False)


def read(paths: Sequence[Path], own: bool = True, long: float = 0.3) -> list[Row]:
    """All rows with one of LABELS, in a fixed order.

    Args:
        own: add prompts/ and labels/ of this folder.
        long: the share of texts that come a second time as a long document.
    """
    labels = _labels() if own else {}
    wider = {tree["id"]: tree for tree in _audit()} if own else {}
    rows: dict[str, Row] = {}
    for path in paths:
        for tree in lines(path):
            name = str(tree.get("id"))
            row = _row({**tree, **labels.get(name, {})}, path.stem, len(rows), wider.get(name))
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
        for tree in lines(path) if path.name != AUDIT else ():
            found[tree["id"]] = {
                "label": tree["label"],
                "accept": tree.get("accept") or [tree["label"]],
                "raw": "by hand",
            }
    return found


def _audit() -> Iterator[dict[str, Any]]:
    path = HERE / "labels" / AUDIT
    return lines(path) if path.exists() else iter(())


def _row(tree: dict[str, Any], place: str, number: int, wider: dict[str, Any] | None = None) -> Row | None:
    label = tree.get("label")
    prompt = of_messages(tree.get("messages"))
    if label not in LABELS or prompt is None or _tools(tree.get("tools")):
        return None
    if zlib.crc32(str(tree.get("id")).encode()) % 1000 >= 1000 * SAMPLE.get(str(tree.get("source")), 1):
        return None
    accept = _accept(tree, label)
    taught = wider["label"] if wider is not None and wider.get("label") in LABELS else label
    return Row(
        id=str(tree.get("id") or f"{place}/{number}"),
        source=str(tree.get("source") or place),
        lang=str(tree.get("lang") or "en"),
        prompt=prompt,
        label=label,
        accept=accept,
        taught=taught,
        allowed=accept if wider is None else _accept(wider, taught),
        hand=tree.get("raw") == "by hand",
        messages=tree["messages"],
    )


def _accept(tree: dict[str, Any], label: str) -> frozenset[str]:
    return frozenset(tree.get("accept") or ()) & frozenset(LABELS) | {label}


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
    tokens = tokenize(row.prompt.last.lower())
    return {tuple(tokens[at : at + SHINGLE]) for at in range(max(1, len(tokens) - SHINGLE + 1))}


LENGTHENED = frozenset({"closed_qa", "summarization", "extraction", "rewriting", "classification"})
STUFFING = 9000
"""Characters of foreign text that make a long document of a short one."""

PARAGRAPH = 200
"""Characters from which a line is taken for a text, not for what is asked."""


def lengthened(rows: Sequence[Row], share: float) -> list[Row]:
    """Copies of rows about a text, the text made long: what is asked then stands far from the other end."""
    texts = [text for row in rows if row.label in LENGTHENED and (text := _longest(row.prompt.last))]
    made = []
    for number, row in enumerate(rows):
        chance = zlib.crc32(row.id.encode()) % 1000
        text = _longest(row.prompt.last)
        if row.label not in LENGTHENED or row.prompt.turns > 1 or chance >= 1000 * share or not text:
            continue
        stuffing = "\n".join(texts[(number * 31 + at * 7) % len(texts)] for at in range(40))[:STUFFING]
        # The foreign text goes into the document, so that what is asked stays at its end.
        before, _, after = row.prompt.last.partition(text)
        messages = [
            *row.messages[:-1],
            {"role": "user", "content": f"{before}{text}\n{stuffing}{after}"},
        ]
        prompt = of_messages(messages)
        if prompt is not None:
            made.append(replace(row, id=f"{row.id}/long", prompt=prompt, messages=messages))
    return made


def _longest(text: str) -> str:
    """The longest line, when it is one of a text."""
    line = max(text.split("\n"), key=len)
    return line if len(line) >= PARAGRAPH else ""
