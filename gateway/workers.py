"""Several processes on one port: start them, replace those that die, pass signals on, upgrade one by one.

The supervisor serves nothing. Workers share the port by SO_REUSEPORT and share nothing else but the
store; each has a journal of its own, and what a dead worker left in it is taken over by the others.

SIGTERM, SIGINT: every worker drains, then all is over. SIGHUP: every worker reloads its
configuration. SIGUSR2: workers are replaced one after the other by new ones, which run the code that
is on disk now; each old one drains after its successor is ready.
"""

import ctypes
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from gateway import log
from gateway.config import Config

SIGNALS: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
RESTART_S: Final = 1.0
"""Least seconds between two starts of one worker, so that a broken one does not spin."""
START_S: Final = 15.0
"""How long a new worker may take to be ready."""
MARGIN_S: Final = 5.0
"""What a worker gets beyond its drain before it is killed."""
PR_SET_PDEATHSIG: Final = 1
"""Source: prctl(2)."""


class Supervisor:
    """Keeps the workers of one configuration running."""

    def __init__(self, config: Config, path: Path | None) -> None:
        self._config = config
        self._command = [sys.executable, "-m", "gateway", "serve"]
        if path is not None:
            self._command += ["--config", str(path)]
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._leaving: list[tuple[subprocess.Popen[bytes], float]] = []
        self._started_s: dict[int, float] = {}
        self._ending_s: float | None = None

    def run(self) -> int:
        """Supervise until a signal ends it; the exit code."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        for number in range(self._config.server.workers):
            self._start(number)
        while self._workers or self._leaving:
            told = signal.sigtimedwait(SIGNALS, 0.5)
            if told is not None:
                self._act(told.si_signo)
            self._reap()
        return 0

    def _act(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._ending_s = time.monotonic() + self._config.server.drain_timeout + MARGIN_S
            self._tell(signal.SIGTERM)
        elif number == signal.SIGHUP:
            self._tell(signal.SIGHUP)
        elif number == signal.SIGUSR2 and self._ending_s is None:
            self._upgrade()

    def _tell(self, number: signal.Signals) -> None:
        for worker in self._workers.values():
            worker.send_signal(number)

    def _upgrade(self) -> None:
        for number in list(self._workers):
            old = self._workers[number]
            if number == 0:
                # The admin listener's port is not shared: its owner goes before its successor comes.
                old.send_signal(signal.SIGTERM)
                self._leave(old)
                _wait(old, self._config.server.drain_timeout + MARGIN_S)
                self._start(number)
                self._await_ready(number)
                continue
            self._start(number)
            if self._await_ready(number):
                old.send_signal(signal.SIGTERM)
                self._leave(old)
            else:
                log.fact("workers.upgrade_failed", log.Level.ERROR, worker=number)
                self._workers[number].send_signal(signal.SIGTERM)
                self._leave(self._workers[number])
                self._workers[number] = old
                return
        log.fact("workers.upgraded", workers=len(self._workers))

    def _leave(self, worker: subprocess.Popen[bytes]) -> None:
        due = time.monotonic() + self._config.server.drain_timeout + MARGIN_S
        self._leaving.append((worker, due))

    def _start(self, number: int) -> None:
        self._started_s[number] = time.monotonic()
        self._workers[number] = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*self._command, "--worker", str(number)], preexec_fn=_become_worker
        )

    def _await_ready(self, number: int) -> bool:
        worker = self._workers[number]
        marker = ready_marker(self._config, worker.pid)
        due = time.monotonic() + START_S
        while time.monotonic() < due and worker.poll() is None:
            if marker.exists():
                return True
            time.sleep(0.05)
        return False

    def _reap(self) -> None:
        now = time.monotonic()
        for worker, due in list(self._leaving):
            if worker.poll() is not None:
                self._leaving.remove((worker, due))
            elif now > due:
                worker.kill()
        for number, worker in list(self._workers.items()):
            if worker.poll() is None:
                if self._ending_s is not None and now > self._ending_s:
                    worker.kill()
                continue
            ready_marker(self._config, worker.pid).unlink(missing_ok=True)
            if self._ending_s is not None:
                del self._workers[number]
            elif now - self._started_s[number] >= RESTART_S:
                log.fact("workers.died", log.Level.ERROR, worker=number, code=worker.returncode)
                self._start(number)


def supervise(config: Config, path: Path | None) -> int:
    """Start the workers and keep them running until told to stop; the exit code."""
    return Supervisor(config, path).run()


def ready_marker(config: Config, pid: int) -> Path:
    """The empty file by which a worker says that it serves."""
    return Path(config.metrics.folder) / f"ready-{pid}"


def _wait(worker: subprocess.Popen[bytes], most_s: float) -> None:
    try:
        worker.wait(most_s)
    except subprocess.TimeoutExpired:
        worker.kill()


def _become_worker() -> None:
    # Between fork and exec: signals are the worker's own again, and it ends when the supervisor does.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
