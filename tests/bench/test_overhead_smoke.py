"""The benchmark works from its command line. Nothing is said about time here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.mark.skipif(not shutil.which("gcc") and not shutil.which("cc"), reason="needs a C compiler")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_the_overhead_is_measured_and_no_record_is_lost(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH / "overhead.py"), "--tiny", "--only", "none"]
    done = subprocess.run(
        [*command, "--results", str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    (report,) = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert report["valid"]
    assert report["calls"] > 0
    assert set(report["medians"]) == {"tollgate", "direct"}
    for figure in ("calls_per_s", "streams_per_s", "latency_p99_us", "chunk_p50_us", "open_stream_kb"):
        assert report["medians"]["tollgate"][figure] >= 0
    assert "| calls/s |" in done.stdout
