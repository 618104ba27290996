"""Files by which a worker says that it serves."""

import os
import subprocess
import sys
from pathlib import Path

from gateway import config, workers


def test_the_marker_of_a_killed_process_goes_and_those_of_others_stay(tmp_path: Path) -> None:
    tree = config.parse({"metrics": {"folder": str(tmp_path)}}, "test", {})
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid in (ended.pid, os.getpid(), 1):
        workers.ready_marker(tree, pid).touch()
    (tmp_path / "ready-set").touch()
    workers.forget_dead(tree)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"ready-{os.getpid()}", "ready-1", "ready-set"}
