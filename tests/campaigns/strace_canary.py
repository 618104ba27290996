"""The proof by system calls: under strace, content is handed to the kernel for sockets and for nothing else.

    python -m tests.campaigns.strace_canary

Every call of the kernel by which bytes leave a process is recorded, of all threads and children. Wherever
a piece of a mark stands in one, its descriptor must be a TCP socket. The last line is a report as JSON.
"""

import asyncio
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from gateway.privacy import bodies
from gateway.privacy.canary import Canary
from gateway.privacy.cases import Case
from gateway.privacy.search import Search
from tests.end_to_end.proof import Proof

WATCHED: Final = (
    "write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg",
    "sendfile", "splice", "tee", "vmsplice", "copy_file_range", "memfd_create", "rename",
    "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "open", "openat", "openat2",
    "creat", "mkdir", "mkdirat", "execve", "setxattr", "fsetxattr", "io_uring_setup",
    "io_uring_enter", "prctl", "process_vm_writev", "mq_timedsend", "msgsnd",
)  # fmt: skip
"""By which bytes, or names, leave a process."""

NEVER: Final = frozenset({"io_uring_enter", "memfd_create", "process_vm_writev", "splice"})
"""By which bytes could leave without standing in the record."""

_line = re.compile(rb"^(?:\d+ +)?([a-z0-9_]+)\((?:(\d+)<([^>]*)>)?").match


def strace() -> list[str] | None:
    """The command before a process that is to be recorded; None where strace cannot be used."""
    found = shutil.which("strace")
    if found is None:
        return None
    works = subprocess.run([found, "-o", "/dev/null", "true"], capture_output=True, check=False)
    if works.returncode:
        return None
    # -yy: what each descriptor is; -s: all bytes of each call; -f: threads and children too.
    # libuv batches its own epoll_ctl calls by io_uring; where that fails, the record is seen to be whole.
    refuse = "inject=io_uring_setup:error=ENOSYS"
    watch = f"trace={','.join(WATCHED)}"
    return [found, "-f", "-yy", "-s", str(4 << 20), "--seccomp-bpf", "-e", watch, "-e", refuse]


def judge(record: Path, canary: Canary) -> tuple[Counter[str], list[str]]:
    """How many calls had content for which kind of descriptor; and those that should not have."""
    kinds: Counter[str] = Counter()
    wrong: list[str] = []
    for line in _lines(record):
        found = _line(line)
        if found is None:
            continue
        name, target = found[1].decode(), (found[3] or b"").decode("ascii", "replace")
        if name in NEVER:
            wrong.append(name)
        if not canary.find(line, name):
            continue
        kind = target.partition(":")[0] or "no descriptor"
        kinds[kind] += 1
        if kind not in ("TCP", "TCPv6"):
            wrong.append(f"{name} to {target or kind}")
    return kinds, wrong


def _lines(record: Path) -> Iterator[bytes]:
    with record.open("rb") as file:
        yield from file


async def prove(folder: Path, cases: int | None = None, deed: str = "raise-in-read") -> dict[str, Any]:
    """Run the suite, or the first cases of it, under strace; the report. deed: of the odd provider."""
    command = strace()
    assert command is not None
    proof = Proof(folder / "proof", before=[*command, "-o", str(folder / "record")])
    async with proof:
        for number, case in enumerate(chosen(proof)):
            if cases is None or number < cases:
                await proof.calls.run(proof.door, [case])
        for stream in (False, True):
            await proof.chat(f"odd/{deed}", proof.canary.mark(deed), stream)
        await proof.settle()
    kinds, wrong = judge(folder / "record", proof.canary)
    search = Search(proof.canary)
    search.folder(folder / "proof")
    return {
        "calls": proof.calls.outcomes.total(),
        "content": dict(kinds),
        "wrong": wrong,
        "hits": [f"{hit.place}: {hit.form}" for hit in search.hits],
        "recorded": (folder / "record").stat().st_size,
    }


def chosen(proof: Proof) -> Iterator[Case]:
    """Conversations first, in turns, so that a short run has some of each."""
    yield from (proof.cases.conversation(dialect, "", True) for dialect in bodies.CONVERSATIONS)
    yield from proof.cases.departures()
    yield from proof.cases.all()


async def main() -> int:
    """Prove and report."""
    with TemporaryDirectory() as made:
        report = await prove(Path(made))
    sys.stdout.write(orjson.dumps(report).decode() + "\n")
    return 1 if report["wrong"] or report["hits"] else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()) if strace() else "strace is not here, or may not be used")
