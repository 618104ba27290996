"""The measurement of translation runs and names every pair."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_measurement_prints_all_pairs() -> None:
    ran = subprocess.run(
        [sys.executable, "bench/translation.py", "--seconds", "0.0001"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout.count("\n") == 14
