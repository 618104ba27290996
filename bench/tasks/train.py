"""Trains the task classifier's weights.

    python bench/tasks/train.py --data FILE.jsonl[.gz] ... --out routers/classifiers/tasks-1.bin

Needs the extra "train". The features are those of the running classifier; the same data gives the same
file. The temperature comes from prompts of sources that the judged model has not seen.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from evaluate import judge, report
from model import SETTINGS, calibrate, export, fit, look, with_settings
from rows import read

TEMPERATURE = 1.0
FLOOR = 0.02
"""Features that move no label's score by so much are left out of the file."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version", default="tasks-1")
    parser.add_argument("--date", default="2026-11-21")
    parser.add_argument("--threshold", type=float, default=0.15, help='below it the label is "other"')
    parser.add_argument("--temperature", type=float, help="default: measured by leaving sources out")
    parser.add_argument("--floor", type=float, default=FLOOR)
    parser.add_argument("--no-own", action="store_true", help="without prompts/ and labels/ of this folder")
    parser.add_argument("--set", nargs="*", default=[], help="NAME=VALUE of the settings")
    arguments = parser.parse_args()
    settings = with_settings(SETTINGS, arguments.set)
    rows = read(arguments.data, own=not arguments.no_own)
    seen = look(rows)
    temperature = arguments.temperature
    if temperature is None:
        judged = judge(rows, seen, settings)
        report(rows, judged) if judged else None
        weight = np.concatenate([np.full(len(held), 1 / len(held) ** 0.5) for _, held, _ in judged])
        scores = np.concatenate([one[2] for one in judged])
        temperature = calibrate(scores, [rows[n] for _, held, _ in judged for n in held], weight)
    model = fit(rows, seen, settings)
    data = export(
        model,
        version=arguments.version,
        date=arguments.date,
        threshold=arguments.threshold,
        temperature=temperature,
        floor=arguments.floor,
    )
    arguments.out.write_bytes(data)
    print(
        f"{len(rows)} rows, {len(model.weights)} features, temperature {temperature:.3f}, {len(data)} bytes"
    )


if __name__ == "__main__":
    main()
