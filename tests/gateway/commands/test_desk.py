"""The desk: where secrets are read from."""

import io
import os
import pty
import sys

import pytest

from gateway.accounts.master_key import InEnvironment
from gateway.commands.desk import Desk
from gateway.store.memory import MemoryStore


def test_standard_input_is_read_to_the_end_of_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(store=MemoryStore(), source=InEnvironment("X"), places={}, say=print, complain=print)
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-first\nsk-second\n"))
    assert desk.read_secret() == "sk-first\n"
    assert desk.clock.now_us() > 0
    assert "PATH" in desk.environment


def test_a_terminal_is_asked_without_echo() -> None:
    # A pseudo-terminal stands for the one that getpass opens; what is typed must not come back.
    program = (
        "import sys\n"
        "from gateway.commands.desk import _read_secret\n"
        "sys.exit(0 if _read_secret() == 'sk-typed' else 1)\n"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", program])
    seen = os.read(terminal, 100)
    assert b"Key:" in seen
    os.write(terminal, b"sk-typed\n")
    try:
        while chunk := os.read(terminal, 1000):
            seen += chunk
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert b"sk-typed" not in seen
