"""Site: a real gateway in processes of its own, with a configuration on disk, to be killed and started."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONFIG: Final = """
[server]
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin_port}"
workers = {workers}
max_connections_per_address = 10000
drain_timeout = "5s"
[secrets]
master_key = {{ file = "{folder}/master.key" }}
[admin]
token = {{ file = "{folder}/admin.token" }}
[store]
path = "{data}/gateway.db"
[records]
journal = "{data}/journal"
{records}
[metrics]
folder = "{data}/metrics"
interval = "200ms"
[providers.echo]
[providers.chat]
use = "compatible"
base_url = "{upstream}/v1"
allow_private = true
needs_key = false
[providers.claude]
use = "anthropic"
base_url = "{upstream}"
allow_private = true
api_keys = [{{ env = "CAMPAIGN_KEY" }}]
[models.up-chat]
provider = "chat"
model = "echo-1"
price = {{ input = "3", output = "7" }}
[models.up-claude]
provider = "claude"
model = "echo-2"
price = {{ input = "11", output = "13" }}
[providers.broken]
use = "echo"
defaults = "error=0"
[models.failing]
provider = "broken"
model = "echo-1"
price = {{ input = "2", output = "5" }}
[routes.rescued]
use = "fallback"
targets = ["failing", "up-chat"]
allow_costlier = true
[routes.worded]
use = "by_task"
rules = [{{ when = {{ task = ["chat"] }}, to = "up-chat" }}]
otherwise = {{ use = "sticky", targets = ["up-chat"], by = "prompt" }}
"""
STEP_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Resources:
    """What the processes of a gateway hold: bytes in memory, open descriptors, threads."""

    rss_bytes: int
    descriptors: int
    threads: int


class Site:
    """A gateway's folder, and the processes that serve it.

    Args:
        folder: for keys, configuration and what the gateway prints.
        data: for the store, the journal and the counters, if these are to be on another disk.
        records: more lines of the table [records].

    Attributes:
        key: the first key, after the first start.
        data: see above.
        starts: how often the gateway was started.
    """

    def __init__(
        self,
        folder: Path,
        upstream: str,
        *,
        workers: int = 1,
        data: Path | None = None,
        records: str = "",
        command: tuple[str, ...] = ("-m", "gateway", "serve", "--config"),
    ) -> None:
        self.folder = folder
        self.data = data or folder
        self.workers = workers
        self.key = ""
        self.starts = 0
        self.port, self.admin_port = _free_port(), _free_port()
        self._command = [sys.executable, *command, str(folder / "gateway.toml")]
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: list[int] = []
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "gateway.toml").write_text(
            CONFIG.format(
                port=self.port,
                admin_port=self.admin_port,
                workers=workers,
                folder=folder,
                data=self.data,
                records=records,
                upstream=upstream,
            )
        )

    # --- life

    def start(self) -> None:
        """Start the processes; they are in a group of their own."""
        self.starts += 1
        with (self.folder / "out").open("ab") as out, (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=out,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "CAMPAIGN_KEY": "sk-campaign"},
                cwd=self.folder,
            )
        self._groups.append(self._process.pid)

    async def ready(self, longest_s: float = 15.0) -> float:
        """Wait until a process that was started last serves calls; the seconds that took.

        Raises:
            TimeoutError: they are not.
            ChildProcessError: the process has ended.
        """
        assert self._process is not None
        began = time.monotonic()
        async with asyncio.timeout(longest_s):
            while not (self.marked() and await self.serves()):
                if not self.alive:
                    said = (self.folder / "log").read_text()[-1000:]
                    raise ChildProcessError(f"the gateway ended with {self._process.returncode}: {said}")
                await asyncio.sleep(STEP_S)
        if not self.key:
            said = (self.folder / "out").read_text().splitlines()
            self.key = next(line.strip() for line in said if line.startswith("    "))
        return time.monotonic() - began

    def marked(self) -> int:
        """How many of the processes that were started last have said that they serve."""
        return sum((self.data / "metrics" / f"ready-{pid}").exists() for pid in self.serving())

    async def serves(self) -> bool:
        """Whether /readyz says so."""
        try:
            status, _ = await fetch(self.port, "/readyz")
        except (OSError, EOFError, TimeoutError):
            return False
        return status == 200

    @property
    def alive(self) -> bool:
        """Whether the process that was started last lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process that was started last: the supervisor if there are several workers."""
        assert self._process is not None
        return self._process.pid

    def serving(self) -> list[int]:
        """The processes that serve calls."""
        if self.workers == 1:
            return [self.pid]
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        try:
            return [int(one) for one in children.read_text().split()]
        except OSError:
            return []

    def kill(self, which: str = "all") -> None:
        """kill -9: "all" processes, the "supervisor" alone, or one "worker"."""
        assert self._process is not None
        if which == "worker":
            workers = self.serving()
            if workers:
                with suppress(ProcessLookupError):
                    os.kill(random.choice(workers), signal.SIGKILL)
            return
        if which == "supervisor":
            self._process.kill()
        else:
            _kill_group(self._process.pid)
        self._process.wait()

    async def stop(self, longest_s: float = 20.0) -> float:
        """SIGTERM, as an operator would; the seconds until it was gone."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(longest_s):
            while self.alive:  # noqa: ASYNC110 - a process tells nobody
                await asyncio.sleep(STEP_S)
        return time.monotonic() - began

    def clear(self) -> None:
        """End whatever is left of it."""
        for group in self._groups:
            _kill_group(group)
        if self._process is not None:
            self._process.wait()

    # --- what it tells

    async def gauges(self) -> dict[str, float]:
        """The metrics without labels.

        Raises:
            OSError, EOFError: the admin listener does not answer.
        """
        token = (self.folder / "admin.token").read_text().strip()
        _, body = await fetch(self.admin_port, "/metrics", (f"authorization: Bearer {token}",))
        rows = [line.split() for line in body.decode().splitlines() if line and line[0] != "#"]
        return {row[0]: float(row[1]) for row in rows if len(row) == 2 and "{" not in row[0]}

    async def own_account(self) -> int:
        """What the gateway believes that the key has spent, in nano-dollars."""
        _, body = await fetch(self.port, "/v1/me", (f"authorization: Bearer {self.key}",))
        text = body.decode().partition('"spent_usd":')[2].partition(",")[0].strip('" ')
        dollars, _, rest = text.partition(".")
        return int(dollars) * 10**9 + int(rest[:9].ljust(9, "0"))

    def resources(self) -> Resources:
        """Of all processes that serve."""
        rss = descriptors = threads = 0
        for pid in self.serving():
            rss += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            descriptors += len(os.listdir(f"/proc/{pid}/fd"))
            threads += len(os.listdir(f"/proc/{pid}/task"))
        return Resources(rss, descriptors, threads)

    def journals(self) -> list[Path]:
        """The folders in the journal, but those that are being made or removed."""
        found = sorted(self.journal.iterdir()) if self.journal.is_dir() else []
        return [one for one in found if not one.name.startswith(".")]

    @property
    def journal(self) -> Path:
        """Its place."""
        return self.data / "journal"

    @property
    def database(self) -> Path:
        """The store's file."""
        return self.data / "gateway.db"

    def cpu_s(self) -> float:
        """Seconds that the processes of this start have computed."""
        ticks = 0
        for pid in {self.pid, *self.serving()}:
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def problems(self, but: str = "nothing") -> list[str]:
        """Lines that the gateway logged as errors, but those of one event."""
        lines = (self.folder / "log").read_text().splitlines()
        return [one for one in lines if ('"level":"error"' in one and but not in one) or "Traceback" in one]


async def fetch(port: int, path: str, fields: tuple[str, ...] = ()) -> tuple[int, bytes]:
    """GET over a connection of its own.

    Raises:
        OSError, EOFError, TimeoutError: no whole answer came within five seconds.
    """
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            lines = [f"GET {path} HTTP/1.1", "host: localhost", "connection: close", *fields, "", ""]
            writer.write("\r\n".join(lines).encode())
            answer = await reader.read(-1)
        finally:
            writer.close()
    head, mark, body = answer.partition(b"\r\n\r\n")
    if not mark:
        raise EOFError("no answer")
    return int(head.split(b" ", 2)[1]), body


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
