"""What is measured: Tollgate, a bare aiohttp pass-through, nginx and LiteLLM, each in front of the mock."""

import importlib.util
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import machine

TOLLGATE = """
[server]
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin_port}"
max_connections_per_address = 10000
[secrets]
master_key = {{ file = "{folder}/master.key" }}
[admin]
token = {{ file = "{folder}/admin.token" }}
[store]
path = "{folder}/gateway.db"
[records]
journal = "{folder}/journal"
[metrics]
folder = "{folder}/metrics"
"""
MOCK = """
[providers.mock]
use = "compatible"
base_url = "http://127.0.0.1:{upstream}/v1"
allow_private = true
api_keys = [{{ env = "BENCH_KEY" }}]
[models.bench]
provider = "mock"
price = {{ input = "0.15", output = "0.60" }}
[upstream]
max_connections_per_host = 2000
max_idle_per_host = 2000
"""
UNLABELLED = """
[classify]
use = ["shape"]
"""
NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    client_max_body_size 32m;
    client_body_buffer_size 2m;
    keepalive_requests 100000000;
    upstream mock {{ server 127.0.0.1:{upstream}; keepalive 2000; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""
LITELLM = """
model_list:
  - model_name: bench
    litellm_params:
      model: openai/bench
      api_base: http://127.0.0.1:{upstream}/v1
      api_key: bench-key
"""


@dataclass(slots=True, kw_only=True)
class Contender:
    """Something that answers on a port. process is None for the mock asked directly."""

    name: str
    port: int
    process: subprocess.Popen[str] | None = None
    key: str = "none"
    folder: Path | None = None

    @property
    def pid(self) -> int:
        """Process id; 0 without a process of its own."""
        return self.process.pid if self.process else 0

    def stop(self) -> None:
        """End the process, as an operator would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def stored_records(self) -> int:
        """Records in Tollgate's store."""
        with sqlite3.connect(f"file:{self.folder}/gateway.db?mode=ro", uri=True) as db:
            return int(db.execute("select count(*) from records").fetchone()[0])


def start_tollgate(
    folder: Path, upstream: int | None, python: str = sys.executable, name: str = "tollgate", more: str = ""
) -> tuple[Contender, float]:
    """Tollgate with everything on; and the seconds from its start to its first answer.

    Args:
        upstream: the mock's port; None: nothing is configured but where files go.
        python: of the environment in which it is installed.
        more: further tables of the configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = machine.free_port()
    text = TOLLGATE.format(port=port, admin_port=machine.free_port(), folder=folder)
    if upstream is not None:
        text += MOCK.format(upstream=upstream) + more
    (folder / "gateway.toml").write_text(text)
    with (folder / "out").open("w") as out:
        began = time.monotonic()
        process = subprocess.Popen(
            machine.pinned([python, "-m", "gateway", "serve", "--config", f"{folder}/gateway.toml"], True),
            cwd=None if python == sys.executable else folder,  # where no checkout comes first
            stdout=out,
            stderr=subprocess.DEVNULL,
            text=True,
            env={"BENCH_KEY": "bench-key", "PATH": "/usr/bin:/bin"},
        )
    machine.await_port(port, "/readyz")
    took_s = time.monotonic() - began
    key = _first_key(folder / "out")
    return Contender(name=name, port=port, process=process, key=key, folder=folder), took_s


def _first_key(out: Path) -> str:
    """The key that a first start prints, which may be a moment after it answers; "none" if there is none."""
    due = time.monotonic() + 2
    while time.monotonic() < due:
        for line in out.read_text().splitlines(keepends=True):
            if line.startswith("    ") and line.endswith("\n"):
                return line.strip()
        time.sleep(0.01)
    return "none"


def start_passthrough(folder: Path, upstream: int) -> Contender:
    """The bare pass-through on aiohttp."""
    port = machine.free_port()
    script = str(Path(__file__).with_name("passthrough.py"))
    command = [sys.executable, script, str(port), f"http://127.0.0.1:{upstream}"]
    process = subprocess.Popen(machine.pinned(command, True), text=True, cwd=folder)
    machine.await_port(port, "/readyz")
    return Contender(name="passthrough", port=port, process=process)


def start_nginx(folder: Path, upstream: int) -> Contender | str:
    """nginx's proxy_pass, or why there is none."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        return "not installed"
    place = folder / "nginx"
    place.mkdir()
    port = machine.free_port()
    (place / "nginx.conf").write_text(NGINX.format(folder=place, port=port, upstream=upstream))
    command = [program, "-c", str(place / "nginx.conf"), "-p", str(place), "-e", str(place / "error.log")]
    process = subprocess.Popen(machine.pinned(command, True), text=True)
    machine.await_port(port, "/")
    return Contender(name="nginx", port=port, process=process)


def start_litellm(folder: Path, upstream: int) -> Contender | str:
    """LiteLLM's proxy with one worker and no database, or why there is none."""
    if importlib.util.find_spec("litellm") is None:
        return "not installed"
    port = machine.free_port()
    (folder / "litellm.yaml").write_text(LITELLM.format(upstream=upstream))
    program = shutil.which("litellm") or str(Path(sys.executable).with_name("litellm"))
    command = [program, "--config", str(folder / "litellm.yaml"), "--port", str(port), "--num_workers", "1"]
    process = subprocess.Popen(
        machine.pinned(command, True), text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        machine.await_port(port, "/health/liveliness", 120)
    except TimeoutError:
        process.kill()
        return "did not start"
    return Contender(name="litellm", port=port, process=process)


def write_bodies(folder: Path) -> None:
    """The requests' bodies, one file for each kind of load."""
    words = "how do I keep my tomatoes from the blight in a wet summer, and what grows well beside them? "
    prompt = (words * 12)[:850]
    streams = {
        "stream": "[[chunks=20 pause=0 first=0 burst=5]]",
        "slow": "[[chunks=20 pause=5000 first=0 burst=1]]",
        "open": "[[chunks=8 pause=400000 first=0 burst=1]]",
    }
    bodies = {"small": (prompt, False), "large": (words * 11_000, False)}
    bodies |= {name: (f"{prompt} {mark}", True) for name, mark in streams.items()}
    for name, (text, stream) in bodies.items():
        body = {"model": "bench", "stream": stream, "messages": [{"role": "user", "content": text}]}
        (folder / f"{name}.json").write_text(json.dumps(body, separators=(",", ":")))
