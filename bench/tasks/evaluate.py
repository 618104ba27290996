"""How well task types are told on sources the model has never seen: leave one source out.

    python bench/tasks/evaluate.py --data FILE.jsonl[.gz] ...

Each source of real prompts is judged by a model that saw neither it nor rows nearly like its own.
"""

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from model import SETTINGS, Settings, calibrate, fit, look, probabilities, with_settings
from rows import LABELS, Row, alike, read

FOLDS = (
    ("arena_hard_v2",), ("belle_eval",), ("mt_bench",), ("vicuna_bench",), ("mt_bench_101",), ("biggen",),
    ("self_instruct",), ("arena_hard_v01",),
)  # fmt: skip
"""Sources of real prompts; those in one fold are left out together."""

LONG = 6000
"""Characters from which a prompt counts as a long document."""


def judge(rows: list[Row], seen: list, settings: Settings) -> list[tuple[str, list[int], np.ndarray]]:
    """For each fold its name, the numbers of its rows, and their scores."""
    judged = []
    for fold in FOLDS:
        held = [number for number, row in enumerate(rows) if row.source in fold]
        rest = [number for number, row in enumerate(rows) if row.source not in fold]
        if not held:
            continue
        near = alike([rows[number] for number in rest], [rows[number] for number in held])
        kept = [number for at, number in enumerate(rest) if at not in near]
        model = fit([rows[n] for n in kept], [seen[n] for n in kept], settings)
        judged.append(("+".join(fold), held, model.scores([seen[n] for n in held])))
    return judged


def figures(rows: list[Row], chances: np.ndarray) -> dict[str, float]:
    """All figures of some rows with their probabilities."""
    best = chances.argmax(axis=1)
    sure = chances.max(axis=1)
    right = np.array([LABELS[one] in row.accept for one, row in zip(best, rows, strict=True)])
    strict = np.array([LABELS[one] == row.label for one, row in zip(best, rows, strict=True)])
    return {
        "n": len(rows),
        "accuracy": float(right.mean()),
        "strict": float(strict.mean()),
        "macro_f1": macro_f1([row.label for row in rows], [LABELS[one] for one in best]),
        "ece": ece(sure, right),
        "at_90": at_precision(sure, right, 0.9),
    }


def macro_f1(truth: list[str], told: list[str]) -> float:
    scores = []
    for label in sorted(set(truth)):
        hit = sum(a == b == label for a, b in zip(truth, told, strict=True))
        scores.append(2 * hit / (truth.count(label) + told.count(label)))
    return sum(scores) / len(scores)


def ece(sure: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: how far probabilities are from frequencies, in ten bins of width 0.1."""
    place = np.minimum((sure * bins).astype(int), bins - 1)
    total = 0.0
    for one in range(bins):
        here = place == one
        if here.any():
            total += here.mean() * abs(float(sure[here].mean()) - float(right[here].mean()))
    return float(total)


def at_precision(sure: np.ndarray, right: np.ndarray, precision: float) -> float:
    """The largest share of rows that can be answered, surest first, at this precision."""
    order = np.argsort(-sure, kind="stable")
    running = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.nonzero(running >= precision)[0]
    return float((good[-1] + 1) / len(order)) if len(good) else 0.0


def show(name: str, shown: dict[str, float]) -> None:
    print(
        f"{name:18s} {shown['n']:5d}  {shown['accuracy']:.3f}  {shown['strict']:.3f}  {shown['macro_f1']:.3f}"
        f"  {shown['ece']:.3f}  {shown['at_90']:.3f}",
        flush=True,
    )


def report(rows: list[Row], judged: list) -> dict[str, float]:
    """Print the table. Each fold's temperature comes from the other folds."""
    print(f"{'source':18s} {'n':>5s}  {'acc':5s}  {'strict':5s} {'macroF1':5s} {'ece':5s}  {'at90':5s}")
    pooled_rows: list[Row] = []
    pooled: list[np.ndarray] = []
    averages = []
    lengthened: list[Row] = []
    stretched: list[np.ndarray] = []
    for name, held, scores in judged:
        others = [one for one in judged if one[0] != name]
        other_rows = [rows[n] for one in others for n in one[1]]
        weight = np.concatenate([np.full(len(one[1]), 1 / len(one[1]) ** 0.5) for one in others])
        temperature = calibrate(np.concatenate([one[2] for one in others]), other_rows, weight)
        chances = probabilities(scores, temperature)
        made = np.array([rows[n].id.endswith("/long") for n in held])
        lengthened += [rows[n] for n in held if rows[n].id.endswith("/long")]
        stretched.append(chances[made])
        chances = chances[~made]
        mine = [rows[n] for n in held if not rows[n].id.endswith("/long")]
        result = figures(mine, chances)
        averages.append(result)
        show(name, result)
        pooled_rows += mine
        pooled.append(chances)
    chances = np.concatenate(pooled)
    shown = figures(pooled_rows, chances)
    show("POOLED", shown)
    mean = {key: float(np.mean([one[key] for one in averages])) for key in averages[0]}
    show("MEAN", {**mean, "n": len(averages)})
    parts: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(pooled_rows):
        parts["lang " + row.lang].append(number)
        if row.prompt.length >= LONG:
            parts["long"].append(number)
    for name in sorted(parts):
        show(name, figures([pooled_rows[n] for n in parts[name]], chances[parts[name]]))
    if lengthened:
        show("made long", figures(lengthened, np.concatenate(stretched)))
    return {**shown, "mean": mean["accuracy"]}


def confusion(rows: list[Row], judged: list) -> None:
    counts = defaultdict(int)
    for _, held, scores in judged:
        for number, best in zip(held, scores.argmax(axis=1), strict=True):
            counts[rows[number].label, LABELS[best], LABELS[best] in rows[number].accept] += 1
    print(
        "\nprimary label      "
        + " ".join(label[:6].rjust(6) for label in LABELS)
        + "   (told; accepted ones count, too)"
    )
    for label in LABELS:
        line = [counts[label, told, True] + counts[label, told, False] for told in LABELS]
        print(f"{label:18s} " + " ".join(f"{one:6d}" for one in line))


SHORT_TEXT = (
    "Please write a short note to our neighbours about the party on Saturday evening. Say that there will be"
    " music until eleven, that they are welcome to join us for food and drinks, and that they may call us at"
    " any time when it is too loud for them."
)
"""Some 50 tokens."""


def timing(rounds: int = 2000) -> None:
    """Print how long the shipped classifier takes, call to label, in this process."""
    from gateway.content import Document
    from gateway.contracts import Call
    from gateway.names import Slug
    from gateway.records import PathKind
    from gateway.routers.classifiers.linear import FILE, Linear

    begun = time.perf_counter()
    classifier = Linear(Linear.Config())
    print(f"loaded in {(time.perf_counter() - begun) * 1000:.0f} ms; the file has", end=" ")
    print((Path(__file__).parents[2] / "routers" / "classifiers" / FILE).stat().st_size, "bytes")
    for name, text in (("50 tokens", SHORT_TEXT), ("8,000 tokens", SHORT_TEXT * 160)):
        tree = {"messages": [{"role": "user", "content": text}]}
        call = Call(
            dialect=Slug("openai_chat"), kind=PathKind.CHAT, model="m", stream=False, body=Document(tree, 1)
        )
        taken = []
        for _ in range(rounds):
            begun = time.perf_counter()
            classifier.labels(call)
            taken.append(time.perf_counter() - begun)
        taken.sort()
        print(
            f"{name}: p50 {taken[rounds // 2] * 1000:.3f} ms, p99 {taken[rounds * 99 // 100] * 1000:.3f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", type=Path, default=[])
    parser.add_argument("--set", nargs="*", default=[], help="NAME=VALUE of the settings")
    parser.add_argument("--confusion", action="store_true")
    parser.add_argument("--time", action="store_true", help="only measure the time of the shipped classifier")
    arguments = parser.parse_args()
    if arguments.time:
        timing()
        return
    rows = read(arguments.data)
    seen = look(rows)
    judged = judge(rows, seen, with_settings(SETTINGS, arguments.set))
    report(rows, judged)
    if arguments.confusion:
        confusion(rows, judged)


if __name__ == "__main__":
    main()
