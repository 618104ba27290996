"""The machine under measurement: its cores, its programs, and what a process takes of it."""

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cores() -> tuple[int, int] | None:
    """A core for the proxy and one for load and mock; None where there is one core only."""
    found = sorted(os.sched_getaffinity(0))
    return (found[0], found[1]) if len(found) > 1 else None


def pinned(command: list[str], proxy: bool) -> list[str]:
    """The command, bound to its core."""
    both = cores()
    if both is None or shutil.which("taskset") is None:
        return command
    return ["taskset", "-c", str(both[0] if proxy else both[1]), *command]


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def await_port(port: int, path: str, most_s: float = 60) -> None:
    """Wait until GET path answers below 500.

    Raises:
        TimeoutError: it did not in time.
    """
    due = time.monotonic() + most_s
    while time.monotonic() < due:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
                return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.005)
    raise TimeoutError(f"nothing answers on port {port}")


def processes(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from processes(int(child))


def cpu_s(pid: int) -> float:
    """Processor seconds that a process and its descendants have taken, in all threads."""
    total = 0
    for one in processes(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def resident_kb(pid: int) -> int:
    """Memory that a process and its descendants have to themselves, in kilobytes."""
    total = 0
    for one in processes(pid):
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def build(folder: Path) -> tuple[Path, Path]:
    """Compile the mock provider and the load generator.

    Raises:
        RuntimeError: there is no C compiler.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError("a C compiler (gcc or cc) is needed: the load must be cheaper than what it loads")
    here = Path(__file__).parent
    made = []
    for name in ("mock_upstream", "loadgen"):
        command = [compiler, "-O2", "-o", str(folder / name), str(here / f"{name}.c"), "-lm"]
        subprocess.run(command, check=True)
        made.append(folder / name)
    return made[0], made[1]


def line() -> str:
    """The machine and the versions, on one line."""
    model = platform.machine()
    with contextlib.suppress(OSError):
        for text in Path("/proc/cpuinfo").read_text().splitlines():
            if text.startswith("model name"):
                model = text.partition(":")[2].strip()
                break
    versions = [f"Python {platform.python_version()}"]
    for package in ("aiohttp", "uvloop", "orjson"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append(f"{package} {metadata.version(package)}")
    if nginx := shutil.which("nginx"):
        said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False).stderr
        versions.append(said.strip().rpartition(" ")[2])
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}; {', '.join(versions)}"
