"""Process: the real gateway as a program of its own, with a folder, a configuration file and ports."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp

from gateway.contracts import Span
from gateway.records import Record
from gateway.store.sqlite import SqliteStore

FOREVER = Span(since_us=0, until_us=2**62)
READY_S = 60.0


class Process:
    """`gateway serve` in a folder of its own. The tree is the configuration; its paths are set here.

    Attributes:
        key: the first key, as it was printed.
        url, admin_url: where it listens.
        output: what it printed so far, both streams.
    """

    def __init__(
        self, folder: Path, tree: dict[str, Any] | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.data = folder / "gateway-data"
        self.path = folder / "gateway.toml"
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self.port, self.admin_port = free_ports(2)
        tree = tree or {}
        self.tree = {
            **tree,
            "server": {
                "listen": f"127.0.0.1:{self.port}",
                "admin_listen": f"127.0.0.1:{self.admin_port}",
                **tree.get("server", {}),
            },
            "records": {"interval": "20ms", **tree.get("records", {})},
            "metrics": {"interval": "100ms", **tree.get("metrics", {})},
        }
        self.output = b""
        self.key = ""
        self._program: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._program is not None and self._program.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._program.terminate()
            try:
                await self.ended(10)
            except TimeoutError:
                self._program.kill()
                await self._program.wait()
        if self._reading is not None:
            await self._reading

    @property
    def url(self) -> str:
        scheme = "https" if "tls_certificate" in self.tree["server"] else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def pid(self) -> int:
        assert self._program is not None
        return self._program.pid

    @property
    def admin_token(self) -> dict[str, str]:
        """The header for the admin listener."""
        return {"authorization": "Bearer " + (self.data / "admin.token").read_text().strip()}

    def write(self, tree: dict[str, Any] | None = None) -> None:
        """Write the configuration file."""
        self.folder.mkdir(exist_ok=True)
        self.path.write_text(toml(self.tree if tree is None else tree))

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.write()
        await self.launch()
        await self.ready()

    async def launch(self) -> None:
        """Start it, and wait for nothing."""
        self._program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "serve", "--config", str(self.path),
            cwd=self.folder, env=self.environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read(self._program))

    async def _read(self, program: asyncio.subprocess.Process) -> None:
        assert program.stdout is not None
        async for line in program.stdout:
            self.output += line
            if line.strip().startswith(b"tg") and not self.key:
                self.key = line.decode().strip()

    async def ready(self) -> None:
        """Wait until as many processes serve as are configured."""
        due = time.monotonic() + READY_S
        while len(self.workers()) < self.tree["server"].get("workers", 1):
            assert time.monotonic() < due, self.output.decode()
            assert self._program is not None
            assert self._program.returncode is None, self.output.decode()
            await asyncio.sleep(0.02)

    def workers(self) -> list[int]:
        """Numbers of the processes that serve now."""
        numbers = [int(path.name.removeprefix("ready-")) for path in (self.data / "metrics").glob("ready-*")]
        return sorted(number for number in numbers if Path("/proc", str(number)).exists())

    async def read_all(self) -> None:
        """Wait until it prints nothing more."""
        assert self._reading is not None
        await self._reading

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._program is not None
        self._program.send_signal(number)

    async def ended(self, most_s: float) -> int:
        """Its exit code, once it has ended."""
        assert self._program is not None
        return await asyncio.wait_for(self._program.wait(), most_s)

    async def says(self, event: str, times: int = 1) -> None:
        """Wait until it has logged an event so many times."""
        due = time.monotonic() + READY_S
        while self.output.count(f'"event":"{event}"'.encode()) < times:
            assert time.monotonic() < due, self.output.decode()
            await asyncio.sleep(0.02)

    async def run(self, *words: str, put: bytes = b"") -> tuple[int, str, str]:
        """Run another command on the same configuration: exit code, output, complaints."""
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", *words, "--config", str(self.path),
            cwd=self.folder, env=self.environment, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await program.communicate(put)
        assert program.returncode is not None
        return program.returncode, out.decode(), err.decode()

    async def python(self, text: str) -> int:
        """Run a piece of Python in its environment: the exit code."""
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-c", text, cwd=self.folder, env=self.environment
        )  # fmt: skip
        return await program.wait()

    async def records(self) -> list[Record]:
        """All records in the store, oldest first."""
        store = SqliteStore(SqliteStore.Config(path=str(self.data / "gateway.db")))
        await store.start()
        try:
            return [record async for record in store.records.export(FOREVER)]
        finally:
            await store.close()

    async def ask(
        self,
        text: str = "Hello",
        *,
        model: str = "echo-1",
        key: str | None = None,
        session: aiohttp.ClientSession | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """A chat call: status, body, headers. Without a session it has a connection of its own."""
        if session is None:
            async with aiohttp.ClientSession() as own:
                return await self.ask(text, model=model, key=key, session=own, headers=headers, **more)
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        fields = {"authorization": f"Bearer {key or self.key}", **(headers or {})}
        async with session.post(f"{self.url}/v1/chat/completions", json=body, headers=fields) as answer:
            return answer.status, await answer.read(), answer.headers


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def toml(tree: Mapping[str, Any]) -> str:
    """A configuration tree as TOML: tables of inline values."""
    lines = []
    for name, table in tree.items():
        lines.append(f"[{name}]")
        lines += [f"{json.dumps(key)} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)
