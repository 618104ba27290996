"""serve and init: start the gateway, or write its configuration."""

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from typing import Any

from gateway import app, log, opening, rehearsal, workers
from gateway.commands import setting
from gateway.config import Config, ConfigError
from gateway.content import Purpose, Secret


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the commands of this module."""
    serve = commands.add_parser("serve", parents=[shared], help="start the gateway (the default)")
    serve.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    serve.add_argument("--call-sockets", default="", help=argparse.SUPPRESS)
    serve.add_argument("--admin-sockets", default="", help=argparse.SUPPRESS)
    serve.set_defaults(run=run_serve)
    init = commands.add_parser(
        "init", parents=[shared], help="write a commented gateway.toml and the master key"
    )
    init.set_defaults(run=run_init)


def run_serve(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    config = setting.load_config(arguments)
    log.configure(log.Level[config.log.level.upper()])
    path = setting.config_path(arguments)
    try:
        return _start(config, path, arguments)
    except ConfigError as error:
        raise ConfigError([setting.in_file(path, problem) for problem in error.problems]) from None


def _start(config: Config, path: Path | None, arguments: argparse.Namespace) -> int:
    if arguments.worker is None:
        asyncio.run(rehearsal.try_out(config))
        taken = _taken(config)
        if taken is not None:
            print(taken, file=sys.stderr)
            return setting.FAILED
        if config.server.workers == 1:
            return _run(config)(app.serve(config, path, 0, workers.Doors(), _greet))
        first = asyncio.run(opening.prepare(config))
        if first is not None:
            _greet(config, first)
        return workers.supervise(config, path)
    doors = workers.Doors.inherited(arguments.call_sockets, arguments.admin_sockets)
    return _run(config)(app.serve(config, path, arguments.worker, doors))


def run_init(arguments: argparse.Namespace) -> int:
    """Write a configuration and a master key; never over what is there."""
    path = setting.named_path(arguments) or Path("gateway.toml")
    text = resources.files("gateway").joinpath("starter.toml").read_text("utf-8")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{path} is there already: nothing was written", file=sys.stderr)
        return setting.FAILED
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    config = Config()
    opening.load_master_key(config, make=True)
    print(f"wrote {path} and the master key {config.secrets.master_key.file}")  # type: ignore[union-attr]
    return setting.GOOD


def _taken(config: Config) -> str | None:
    """Why one of the addresses cannot be listened on, told before anything is made."""
    with ExitStack() as stack:
        for place in ("listen", "admin_listen"):
            address: str = getattr(config.server, place)
            host, _, port = address.rpartition(":")
            try:
                found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
                family, kind, _, _, where = found[0]
                one = stack.enter_context(socket.socket(family, kind))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind(where)
            except OSError as error:
                return f"server.{place}: {address} cannot be listened on: {error.strerror}"
    return None


def _greet(config: Config, first: Secret) -> None:
    key = first.open(Purpose.AUTH)
    scheme = "https" if config.server.tls_certificate else "http"
    print(
        "A first key was made. It is shown this once:\n\n"
        f"    {key}\n\n"
        "Try it:\n\n"
        f"    curl {scheme}://{config.server.listen}/v1/chat/completions \\\n"
        f'      -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\\n'
        """      -d '{"model": "echo-1", "messages": [{"role": "user", "content": "Hello"}]}'\n""",
        flush=True,
    )


def _run(config: Config) -> Callable[[Coroutine[Any, Any, int]], int]:
    if config.server.uvloop:
        try:
            import uvloop
        except ImportError:
            pass
        else:
            return uvloop.run
    return asyncio.run
