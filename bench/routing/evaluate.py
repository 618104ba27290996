"""Measures route-eval's decisions on public routing data: one split is feedback, the other is judged.

    python bench/routing/evaluate.py DATA_FOLDER [--floor 0.99] [--groups | --table] [--limit N] [--transfer]

DATA_FOLDER holds routellm.jsonl.gz, zeroeval.jsonl.gz and prices.json; they are not part of this repository.
"""

import argparse
import gzip
import json
import random
import time
from pathlib import Path
from statistics import mean, pstdev

from gateway.quality.calibration import calibration_error
from gateway.quality.fitting import Feedback, Reader, fit, worth

MINI, GPT35 = "gpt-4o-mini-2024-07-18", "gpt-3.5-turbo-0125"
GPT4O, SONNET, OPUS = "gpt-4o-2024-08-06", "claude-3-5-sonnet-20240620", "claude-3-opus-20240229"
HAIKU, GEMMA = "claude-3-haiku-20240307", "gemma-2-9b-it"
PAIRS = [
    ("routellm", "mmlu", "mixtral-8x7b-instruct-v0.1", "gpt-4-1106-preview"),
    ("routellm", "gsm8k", "mixtral-8x7b-instruct-v0.1", "gpt-4-1106-preview"),
    ("zeroeval", "", MINI, GPT4O),
    ("zeroeval", "", HAIKU, SONNET),
    ("zeroeval", "", GPT35, GPT4O),
    ("zeroeval", "", GEMMA, SONNET),
    ("zeroeval", "", MINI, OPUS),
    ("zeroeval", "", "Meta-Llama-3.1-70B-Instruct", SONNET),
    ("zeroeval", "", "Meta-Llama-3-8B-Instruct", "Meta-Llama-3-70B-Instruct"),
    ("zeroeval", "", HAIKU, OPUS),
    ("zeroeval", "", "gemini-1.5-flash", "gemini-1.5-pro"),
    ("zeroeval", "", MINI, "gpt-4-turbo-2024-04-09"),
    ("zeroeval", "", "claude-3-sonnet-20240229", OPUS),
    ("zeroeval", "", "Mixtral-8x7B-Instruct-v0.1", GPT4O),
]
HONEST = 0.04
"""Quality that the requested model must be ahead for a pair to count as honest."""


def load(folder: Path) -> tuple[dict[str, list[dict]], dict]:
    """The rows of both files, and the prices."""
    rows = {}
    for name in ("routellm", "zeroeval"):
        with gzip.open(folder / f"{name}.jsonl.gz") as lines:
            rows[name] = [json.loads(line) for line in lines]
    return rows, json.loads((folder / "prices.json").read_text("utf-8"))


def choose(rows: list[dict], part: str, cheap: str, requested: str) -> list[dict]:
    """The rows of a set that both models answered; a zebra grid without an answer counts as wrong."""
    found = []
    for row in rows:
        q = row["q"]
        missing = 0 if row["set"] == "zeroeval_zebra" else None
        one, two = q.get(cheap, missing), q.get(requested, missing)
        if one is not None and two is not None and row["set"].startswith(part):
            found.append({**row, "cheap": one, "requested": two})
    return found


def cost(row: dict, model: str, prices: dict) -> float:
    """Dollars of one answer; unknown lengths count as 200 tokens, unknown prices as 1 dollar a million."""
    price = prices.get(model, {"in": 1, "out": 1})
    return row["in_tok"] * price["in"] + ((row["out_tok"] or {}).get(model) or 200) * price["out"]


def apgr(rows: list[dict], scores: list[float]) -> float:
    """Average performance gap recovered, over all shares of calls to the requested model."""
    order = sorted(range(len(rows)), key=lambda place: -scores[place])
    gap = sum(row["requested"] - row["cheap"] for row in rows)
    lost, total = 0.0, 0.0
    for place in order:
        total += 1 - lost / gap if gap else 0.0
        lost += rows[place]["requested"] - rows[place]["cheap"]
    return (total + 1 - lost / gap) / (len(rows) + 1) if gap else float("nan")


def apgr_error(rows: list[dict], scores: list[float], draws: int = 60) -> float:
    """Its standard error, by drawing rows anew."""
    chance, found = random.Random(1), []
    for _ in range(draws):
        drawn = chance.choices(range(len(rows)), k=len(rows))
        if sum(rows[one]["requested"] - rows[one]["cheap"] for one in drawn):
            found.append(apgr([rows[one] for one in drawn], [scores[one] for one in drawn]))
    return pstdev(found)


def feedback(rows: list[dict], groups: bool, table: bool = False) -> list[Feedback]:
    """Rows as the fit takes them. table: without a word of the prompt."""
    return [
        Feedback(
            prompt="" if table else row["prompt"],
            group=row["group"] if groups else "",
            cheap=float(row["cheap"]),
            requested=float(row["requested"]),
        )
        for row in rows
    ]


def judge(
    rows: list[dict], chosen: list[bool], cheap: str, requested: str, prices: dict
) -> tuple[float, float]:
    """Quality kept and cost saved."""
    got = sum(row["cheap"] if one else row["requested"] for row, one in zip(rows, chosen, strict=True))
    paid = sum(cost(row, cheap if one else requested, prices) for row, one in zip(rows, chosen, strict=True))
    full = sum(cost(row, requested, prices) for row in rows)
    return got / sum(row["requested"] for row in rows), 1 - paid / full


def main() -> None:
    """Print one line for each pair, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--floor", type=float, default=0.99)
    parser.add_argument("--confidence", type=float, default=0.9)
    parser.add_argument("--limit", type=int, default=10**9, help="feedback rows at most")
    parser.add_argument("--groups", action="store_true", help="tell the group of each row, too")
    parser.add_argument("--table", action="store_true", help="tell the group of each row, and nothing else")
    parser.add_argument(
        "--transfer", action="store_true", help="learn from word problems, judge code, facts and grids"
    )
    parser.add_argument("--skip", default="", help="leave out sets of this name")
    options = parser.parse_args()
    data, prices = load(options.folder)
    groups = options.groups or options.table
    sums: list[tuple[bool, float, float, float, float]] = []
    for source, part, cheap, requested in PAIRS:
        if options.skip and options.skip == part:
            continue
        rows = choose(data[source], part, cheap, requested)
        train = [row for row in rows if row["split"] == "train"][: options.limit]
        dev = [row for row in rows if row["split"] == "dev"]
        if options.transfer:
            if source != "zeroeval":
                continue
            train = [row for row in rows if row["set"].endswith(("gsm", "math"))]
            dev = [row for row in rows if not row["set"].endswith(("gsm", "math"))]
        began = time.perf_counter()
        found = fit(feedback(train, groups, options.table), b"measured", options.floor, options.confidence)
        took = time.perf_counter() - began
        assert found is not None
        asked = feedback(dev, groups, options.table)
        began = time.perf_counter()
        readers = [Reader(row.prompt) for row in asked]
        scores = [found.model.score(reader, row.group) for reader, row in zip(readers, asked, strict=True)]
        each_us = (time.perf_counter() - began) / len(dev) * 1e6
        chosen = [
            worth(score, row.prompt) >= found.worth_cut.score and found.model.knows(reader)
            for score, row, reader in zip(scores, asked, readers, strict=True)
        ]
        kept, saved = judge(dev, chosen, cheap, requested, prices)
        p_ok = [found.curve.probability(score) for score in scores]
        error = calibration_error(p_ok, [row["cheap"] >= row["requested"] for row in dev])
        gap = sum(row["requested"] - row["cheap"] for row in dev) / len(dev)
        area, spread = apgr(dev, p_ok), apgr_error(dev, p_ok)
        sums.append((gap >= HONEST, area, kept, saved, error))
        rows_moved = sum(chosen) / len(dev)
        print(
            f"{part or source:9s}{cheap[:14]:15s}{requested[:14]:15s} {len(train):5d}/{len(dev):5d}"
            f" gap {gap:6.3f}  apgr {area:6.3f} ±{spread:.3f}  kept {kept:.3f}  saved {saved:6.3f}"
            f" (of rows {rows_moved:.2f},"
            f" promised {found.worth_cut.kept:.3f})  ece {error:.3f}  fit {took:.1f} s  {each_us:.0f} us",
            flush=True,
        )
    honest = [one for one in sums if one[0]]
    print(
        f"mean apgr over {len(honest)} honest pairs {mean(one[1] for one in honest):.3f};"
        f" worst kept {min(one[2] for one in sums):.3f}; mean saved {mean(one[3] for one in sums):.3f}"
        f" (honest {mean(one[3] for one in honest):.3f}); worst ece {max(one[4] for one in sums):.3f}"
    )


if __name__ == "__main__":
    main()
