"""Several processes on one port: start them, replace those that die, pass signals on, upgrade one by one.

The supervisor serves nothing. It binds the sockets and hands them to the workers: each has one of its
own on the shared port (SO_REUSEPORT, so that the kernel spreads connections), and the first one has the
admin listener's. A socket outlives the worker that accepts from it, so connections that wait in it are
not lost with the worker: its successor takes them. Else workers share nothing but the store; each has a
journal of its own, and what a dead worker left in it is taken over by the others.

SIGTERM, SIGINT: every worker drains, then all is over. SIGHUP: every worker reloads its
configuration. SIGUSR2: workers are replaced one after the other by new ones, which run the code that
is on disk now; each old one drains once its successor is ready. No signal waits for another: an
upgrade under way is given up when all is to end.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway import log
from gateway.config import Config, ConfigError

SIGNALS: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
RESTART_S: Final = 1.0
"""Least seconds between two starts of one worker, so that a broken one does not spin."""
START_S: Final = 15.0
"""How long a new worker may take to be ready."""
MARGIN_S: Final = 1.5
"""What a worker gets beyond its drain before it is killed."""
MOST_FAILED_STARTS: Final = 2
"""Starts that may fail, for each worker, before any worker was ready: then it is over."""
LOOK_S: Final = 0.5
LOOK_QUICKLY_S: Final = 0.02
PR_SET_PDEATHSIG: Final = 1
"""Source: prctl(2)."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Sockets that a worker was given: for calls, and for the admin listener."""

    calls: tuple[socket.socket, ...] = ()
    admin: tuple[socket.socket, ...] = ()

    @classmethod
    def inherited(cls, calls: str, admin: str) -> "Doors":
        """The sockets behind the descriptors' numbers that a command line names, such as "5,6"."""
        doors = cls(*(tuple(socket.socket(fileno=int(one)) for one in text.split(",") if one)
                      for text in (calls, admin)))  # fmt: skip
        for one in (*doors.calls, *doors.admin):
            one.set_inheritable(False)  # they were handed to this process, and go no further
        return doors

    @property
    def numbers(self) -> tuple[list[int], list[int]]:
        """The descriptors' numbers."""
        return [one.fileno() for one in self.calls], [one.fileno() for one in self.admin]


@dataclass(slots=True)
class _Worker:
    program: subprocess.Popen[bytes]
    marker: Path
    began_s: float
    due_s: float = float("inf")  # when it is killed
    was_ready: bool = False

    def ready(self) -> bool:
        self.was_ready = self.was_ready or self.marker.exists()
        return self.was_ready

    def leave(self, most_s: float) -> None:
        """Tell it to drain, and when it is killed if it does not end."""
        self.program.send_signal(signal.SIGTERM)
        self.due_s = time.monotonic() + most_s


class Supervisor:
    """Keeps the workers of one configuration running.

    Raises:
        ConfigError: an address cannot be had.
    """

    def __init__(self, config: Config, path: Path | None) -> None:
        self._config = config
        self._command = [sys.executable, "-m", "gateway", "serve"]
        if path is not None:
            self._command += ["--config", str(path)]
        self._most_s = config.server.drain_timeout + MARGIN_S
        first = bind(config.server.listen, "server.listen", shared=True)
        self._address = _text_of(first[0]) if len(first) == 1 else config.server.listen
        self._calls: dict[int, tuple[socket.socket, ...]] = {0: first}
        self._admin = bind(config.server.admin_listen, "server.admin_listen")
        self._workers: dict[int, _Worker] = {}
        self._leaving: list[_Worker] = []
        self._to_upgrade: list[int] = []
        self._old: _Worker | None = None
        self._ending = False
        self._was_ready = False
        self._failed = 0

    def run(self) -> int:
        """Supervise until a signal ends it; the exit code."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        for number in range(self._config.server.workers):
            self._start(number)
        while self._workers or self._leaving:
            told = signal.sigtimedwait(SIGNALS, LOOK_QUICKLY_S if self._to_upgrade else LOOK_S)
            if told is not None:
                self._act(told.si_signo)
            self._reap()
            self._upgrade()
        return 0 if self._was_ready or self._failed == 0 else 1

    def _act(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT) and not self._ending:
            self._ending = True
            self._give_up_upgrade()
            for worker in self._workers.values():
                worker.leave(self._most_s)
        elif number == signal.SIGHUP:
            for worker in self._everybody():
                worker.program.send_signal(signal.SIGHUP)
        elif number == signal.SIGUSR2 and not self._ending and not self._to_upgrade:
            self._to_upgrade = sorted(self._workers)

    # --- upgrade: _to_upgrade[0] is being replaced, and _old is who served before

    def _upgrade(self) -> None:
        if not self._to_upgrade:
            return
        number = self._to_upgrade[0]
        new = self._workers[number]
        if self._old is None:
            self._old = new
            self._start(number)
        elif new.ready():
            self._leave(self._old)
            self._old = None
            self._to_upgrade.pop(0)
            if not self._to_upgrade:
                log.fact("workers.upgraded", workers=len(self._workers))
        elif new.program.poll() is not None or time.monotonic() - new.began_s > START_S:
            log.fact("workers.upgrade_failed", log.Level.ERROR, worker=number)
            self._workers[number] = self._old
            self._old = None
            self._to_upgrade = []
            self._leave(new)

    def _give_up_upgrade(self) -> None:
        if self._old is not None:
            self._leave(self._old)
        self._to_upgrade, self._old = [], None

    def _leave(self, worker: _Worker) -> None:
        worker.leave(self._most_s)
        self._leaving.append(worker)

    def _everybody(self) -> list[_Worker]:
        return [*self._workers.values(), *([self._old] if self._old else [])]

    # --- starting and ending

    def _start(self, number: int) -> None:
        calls = self._calls.get(number) or bind(self._address, "server.listen", shared=True)
        self._calls[number] = calls
        doors = Doors(calls, self._admin if number == 0 else ())
        words = ["--worker", str(number)]
        calls_numbers, admin_numbers = doors.numbers
        for name, numbers in (("--call-sockets", calls_numbers), ("--admin-sockets", admin_numbers)):
            words += [name, ",".join(map(str, numbers))]
        program = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*self._command, *words], preexec_fn=_become_worker, pass_fds=calls_numbers + admin_numbers
        )
        marker = ready_marker(self._config, program.pid)
        marker.unlink(missing_ok=True)
        self._workers[number] = _Worker(program, marker, time.monotonic())

    def _reap(self) -> None:
        now_s = time.monotonic()
        for worker in (*self._leaving, *self._workers.values()):
            if worker.program.poll() is None and now_s > worker.due_s:
                worker.program.kill()
        self._leaving = [worker for worker in self._leaving if not self._ended(worker)]
        for number, worker in list(self._workers.items()):
            self._was_ready = self._was_ready or worker.ready()
            if number in self._to_upgrade[:1] and self._old is not None:
                continue  # _upgrade looks after it
            if self._ended(worker):
                self._replace(number, worker, now_s)

    def _replace(self, number: int, worker: _Worker, now_s: float) -> None:
        if self._ending:
            del self._workers[number]
            return
        if not worker.was_ready and number in self._calls:
            # It cannot even start: nobody shall wait in its queue. The others get its connections.
            for one in self._calls.pop(number):
                one.close()
            self._failed += 1
        if not self._was_ready and self._failed >= MOST_FAILED_STARTS * self._config.server.workers:
            del self._workers[number]
            self._ending = True
        elif now_s - worker.began_s >= RESTART_S:
            log.fact("workers.died", log.Level.ERROR, worker=number, code=worker.program.returncode)
            self._start(number)

    @staticmethod
    def _ended(worker: _Worker) -> bool:
        if worker.program.poll() is None:
            return False
        worker.marker.unlink(missing_ok=True)
        return True


def supervise(config: Config, path: Path | None) -> int:
    """Start the workers and keep them running until told to stop; the exit code."""
    return Supervisor(config, path).run()


def bind(address: str, place: str, *, shared: bool = False) -> tuple[socket.socket, ...]:
    """Sockets on an address, "HOST:PORT", that do not listen yet: one for each address of the host.

    Args:
        place: where the address stands in the configuration.
        shared: others may bind the same.

    Raises:
        ConfigError: it cannot be had.
    """
    host, _, port = address.rpartition(":")
    made: list[socket.socket] = []
    try:
        for family, kind, protocol, _, where in socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            one = socket.socket(family, kind, protocol)
            made.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(where)
    except OSError as error:
        for one in made:
            one.close()
        raise unavailable(place, address, error) from None
    return tuple(made)


def unavailable(place: str, address: str, error: OSError) -> ConfigError:
    """What to say of an address that cannot be listened on."""
    return ConfigError([f"{place}: {address} cannot be listened on ({error.strerror or 'no such host'})"])


def ready_marker(config: Config, pid: int) -> Path:
    """The empty file by which a worker says that it serves."""
    return Path(config.metrics.folder) / f"ready-{pid}"


def forget_dead(config: Config) -> None:
    """Remove the markers of processes that were killed."""
    for marker in Path(config.metrics.folder).glob("ready-*"):
        pid = marker.name.removeprefix("ready-")
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            marker.unlink(missing_ok=True)
        except (PermissionError, ValueError, OverflowError):  # alive, or none of ours
            continue


def _text_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _become_worker() -> None:
    # Between fork and exec: signals are the worker's own again, and it ends when the supervisor does.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
