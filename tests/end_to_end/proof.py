"""Proof: a real gateway process with folders of its own for everything it could write, and their search."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import orjson

from gateway.privacy.calling import Calls, Door, send
from gateway.privacy.canary import Canary, Hit
from gateway.privacy.cases import Case, Cases, Offers
from gateway.privacy.search import Search

TOP = Path(__file__).parents[2]
START_S = 15.0

CONFIGURATION = """
[server]
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin_port}"
workers = {workers}
drain_timeout = "1s"

[providers.odd]
use = "odd"
needs_key = false

[prices]
unknown = "record"

[upstream]
breaker = false

[records]
interval = "20ms"

[metrics]
folder = "gateway-data/metrics"
interval = "50ms"

[log]
level = "debug"
access = "gateway-data/access.log"
access_max = "2KiB"
"""

OFFERED = """
[providers.chatty]
use = "echo"
dialects = ["openai_chat"]

[providers.responder]
use = "echo"
dialects = ["openai_responses"]

[providers.claude]
use = "echo"
dialects = ["anthropic_messages"]

[providers.google]
use = "echo"
dialects = ["gemini_generate"]

[providers.failing]
use = "echo"
defaults = "error=0"

[providers.late]
use = "echo"
dialects = ["anthropic_messages"]
defaults = "error=0,no_usage=1"

[models.small]
provider = "google"
model = "echo-2"
price = { input = "0.1", output = "0.1" }

[classify]
use = ["odd", "shape", "linear"]

[routes.cached]
use = "sticky"
targets = ["claude/echo-1", "chatty/echo-1", "google/echo-1"]
by = "prompt"
allow_costlier = true

[routes.tasks]
use = "by_task"
rules = [
  { when = { task = ["tool_use", "vision"] }, to = "claude/echo-1", name = "seen" },
  { when = { task = ["chat"] }, to = { use = "sticky", targets = ["google/echo-1"], by = "prompt" } },
]
otherwise = "rescued"
allow_costlier = true

[routes.kept]
use = "quality"
targets = ["chatty/echo-1", "small"]
default = "chatty/echo-1"
evidence = "declared"
sure = 0.1
stand_ins = { "chatty/echo-1" = { "*" = ["small"] } }

[routes.tried]
use = "canary"
stable = "responder/echo-1"
trial = "claude/echo-1"
since = "2026-01-01"
share = 0.5
by = "call"
allow_costlier = true

[routes.rescued]
use = "fallback"
targets = ["failing/echo-1", "late/echo-1", "responder/echo-1"]
allow_costlier = true

[routes.bewildered]
use = "odd"
targets = ["chatty/echo-1", "claude/echo-1"]
"""
"""Providers of one dialect each, ones that fail, a route by each policy, and choosers that fail."""

OFFERS = Offers(
    {
        "openai_chat": "chatty/echo-1",
        "openai_responses": "responder/echo-1",
        "anthropic_messages": "claude/echo-1",
        "gemini_generate": "google/echo-1",
    },
    ("cached", "tasks", "kept", "tried", "rescued", "bewildered"),
)
"""The same as the cases need it."""

PAGES = ("/metrics", "/admin/config", "/admin/keys", "/admin/usage?hours=1", "/admin/nothing",
         "/admin/usage?by=model_requested,model_routed,feature,session,customer,error_code,task")  # fmt: skip

COMMANDS = (
    ("usage", "--by", "model_requested,feature,error_code"),
    ("export", "--format", "jsonl"),
    ("export", "--format", "csv"),
    ("key", "list"),
    ("check",),
)


class Proof:
    """One gateway.

    Args:
        before: a command to start it under, such as strace with its options.
        more: added to the configuration.
        offered: with OFFERED in the configuration.

    Attributes:
        canary: what calls should carry, and what is searched for.
    """

    def __init__(
        self,
        folder: Path,
        workers: int = 1,
        before: Sequence[str] = (),
        more: str = "",
        offered: bool = True,
        **environment: str,
    ) -> None:
        self.folder = folder
        self.canary = Canary()
        self.calls = Calls()
        self._before = list(before)
        for name in ("work", "home", "tmp", "plugins/odd-1.0.dist-info"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._offer_plugin()
        self.port, self.admin_port = free_ports(2)
        text = CONFIGURATION.format(port=self.port, admin_port=self.admin_port, workers=workers) + more
        text += OFFERED * offered
        (self.work / "gateway.toml").write_text(text)
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONPATH": f"{folder / 'plugins'}:{TOP}",
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        }

    @property
    def work(self) -> Path:
        """The working directory."""
        return self.folder / "work"

    @property
    def door(self) -> Door:
        """Where it is called."""
        return Door("127.0.0.1", self.port)

    @property
    def cases(self) -> Cases:
        """Cases with this canary and key."""
        return Cases(self.canary, f"127.0.0.1:{self.port}", self.key, OFFERS)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop(signal.SIGKILL)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it, and wait until it serves."""
        with (self.folder / "out").open("ab") as out, (self.folder / "err").open("ab") as err:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - a process outlives no loop here
                [*self._before, sys.executable, "-m", "gateway"],
                cwd=self.work,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        due = time.monotonic() + START_S
        ready = Case(name="ready", sent=b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        while (await send(self.door, ready))[9:12] != b"200":
            assert self.process.poll() is None, (self.folder / "err").read_text()
            assert time.monotonic() < due, (self.folder / "err").read_text()
            await asyncio.sleep(0.05)
        while not (found := re.search(r"tg_\w{49}", (self.folder / "out").read_text())):
            assert time.monotonic() < due, "no key was printed"
            await asyncio.sleep(0.02)
        self.key = found[0]

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal, and wait until it has ended."""
        if self.process.poll() is None:
            os.kill(self._number(), number)
        await asyncio.to_thread(self.process.wait, 20)

    async def chat(self, model: str, text: str, stream: bool = False, **more: Any) -> bytes:
        """The answer to a chat call, head and body."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream, **more}
        case = Case(name=model, sent=self.cases.post("/v1/chat/completions", orjson.dumps(body), CLOSE))
        answer = await send(self.door, case)
        self.calls.note(case, answer)
        return answer

    async def settle(self) -> None:
        """Wait until records and metrics are where they go."""
        await asyncio.sleep(0.3)

    async def search(self, canary: Canary | None = None) -> Search:
        """Search everything that it has written, said and answered."""
        search = Search(canary or self.canary)
        search.data("heads of answers", b"\n".join(self.calls.heads))
        for path in PAGES if self.process.poll() is None else ():
            search.data(path, await self.admin(path))
        search.folder(self.folder)
        return search

    async def admin(self, path: str, token: str | None = None) -> bytes:
        """An answer of the admin listener."""
        token = token or (self.work / "gateway-data/admin.token").read_text().strip()
        sent = f"GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        return await send(Door("127.0.0.1", self.admin_port), Case(name=path, sent=sent.encode()))

    async def admin_post(self, path: str, body: bytes) -> bytes:
        """An answer of the admin listener to a POST."""
        token = (self.work / "gateway-data/admin.token").read_text().strip()
        head = f"POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\nconnection: close\r\n"
        length = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        case = Case(name=path, sent=f"{head}{length}".encode() + body)
        return await send(Door("127.0.0.1", self.admin_port), case)

    async def command(self, *words: str, told: bytes = b"", code: int = 0) -> bytes:
        """What a command prints, to standard output and error."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", *words,
            cwd=self.work, env=self._environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        printed, _ = await process.communicate(told)
        assert process.returncode == code, printed
        return printed

    def _number(self) -> int:
        """The process of the gateway: our own child, or below the command it was started under."""
        number = self.process.pid
        if not self._before:
            return number
        return int(Path(f"/proc/{number}/task/{number}/children").read_text().split()[0])

    def _offer_plugin(self) -> None:
        info = self.folder / "plugins/odd-1.0.dist-info"
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(PLUGINS)


PLUGINS = """
[gateway.providers]
odd = tests.fakes.odd_provider:Odd
[gateway.classifiers]
odd = tests.fakes.odd_choosers:OddClassifier
[gateway.routers]
odd = tests.fakes.odd_choosers:OddRouter
"""

CLOSE = [("connection", "close")]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def told(hits: list[Hit]) -> str:
    """Hits, one a line, for the message of a test."""
    return "".join(f"\n{hit.place} at {hit.at}: {hit.form} ({hit.part})" for hit in hits)
