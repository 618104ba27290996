"""The supervisor's parts: sockets, markers, and what it does with workers that end."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway import config, workers
from gateway.config import Config, ConfigError
from gateway.workers import Doors, Supervisor, _Worker, bind


def settings(tmp_path: Path, count: int = 2) -> Config:
    server = {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", "workers": count, "drain_timeout": "1s"}
    (tmp_path / "metrics").mkdir(exist_ok=True)
    return config.parse({"server": server, "metrics": {"folder": str(tmp_path / "metrics")}}, "test", {})


def close(*groups: tuple[socket.socket, ...]) -> None:
    for group in groups:
        for one in group:
            one.close()


def test_a_shared_address_can_be_bound_again_and_another_one_cannot() -> None:
    first = bind("127.0.0.1:0", "here", shared=True)
    address = f"127.0.0.1:{first[0].getsockname()[1]}"
    second = bind(address, "here", shared=True)
    first[0].listen()
    with pytest.raises(ConfigError, match=f"here: {address} cannot be listened on"):
        bind(address, "here")
    close(first, second)


@pytest.mark.parametrize("address", ["no-such-host.invalid:80", "192.0.2.1:1"])
def test_an_address_that_cannot_be_had_is_told_with_its_place(address: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        bind(address, "server.listen")
    [problem] = refusal.value.problems
    assert problem.startswith(f"server.listen: {address} cannot be listened on (")


def test_addresses_of_both_families_can_be_bound() -> None:
    four = bind("127.0.0.1:0", "here")
    assert [one.family for one in four] == [socket.AF_INET]
    try:
        six = bind("[::1]:0", "here")
    except ConfigError:
        pytest.skip("no IPv6 here")
    assert [one.family for one in six] == [socket.AF_INET6]
    assert workers._text_of(six[0]).startswith("[::1]:")
    close(four, six)


def test_sockets_are_handed_on_by_their_numbers() -> None:
    calls, admin = bind("127.0.0.1:0", "here"), bind("127.0.0.1:0", "here")
    copies = [os.dup(one.fileno()) for one in (*calls, *admin)]
    for copy in copies:
        os.set_inheritable(copy, True)  # as they come from the supervisor
    doors = Doors.inherited(str(copies[0]), str(copies[1]))
    assert doors.numbers == ([copies[0]], [copies[1]])
    assert not any(os.get_inheritable(copy) for copy in copies)
    assert doors.calls[0].getsockname() == calls[0].getsockname()
    assert Doors.inherited("", "").numbers == ([], [])
    close(calls, admin, doors.calls, doors.admin)


def sleeper(tmp_path: Path, code: str = "import time; time.sleep(60)") -> _Worker:
    program = subprocess.Popen([sys.executable, "-c", code])
    return _Worker(program, tmp_path / f"ready-{program.pid}", time.monotonic())


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """One whose workers are programs that sleep."""
    made = Supervisor(settings(tmp_path), None)

    def start(number: int) -> None:
        if number not in made._calls:
            made._calls[number] = bind(made._address, "server.listen", shared=True)
        made._workers[number] = sleeper(tmp_path)

    monkeypatch.setattr(made, "_start", start)
    return made


def end(supervisor: Supervisor) -> None:
    for worker in (*supervisor._workers.values(), *supervisor._leaving):
        worker.program.kill()
        worker.program.wait()
    close(*supervisor._calls.values(), supervisor._admin)


def test_a_worker_that_never_got_ready_loses_its_socket_and_one_that_was_keeps_it(
    supervisor: Supervisor,
) -> None:
    for number in (0, 1):
        supervisor._start(number)
    supervisor._workers[1].marker.touch()
    supervisor._reap()
    assert supervisor._was_ready
    kept = supervisor._calls[1]
    for worker in supervisor._workers.values():
        worker.program.kill()
        worker.program.wait()
    supervisor._reap()
    assert 0 not in supervisor._calls
    assert supervisor._calls[1] is kept
    end(supervisor)


def test_a_worker_that_died_is_started_again_but_not_at_once(supervisor: Supervisor) -> None:
    supervisor._start(0)
    first = supervisor._workers[0]
    first.marker.touch()
    supervisor._reap()
    first.program.kill()
    first.program.wait()
    supervisor._reap()
    assert supervisor._workers[0] is first
    assert not first.marker.exists()
    first.began_s -= workers.RESTART_S
    supervisor._reap()
    assert supervisor._workers[0] is not first
    end(supervisor)


def test_an_upgrade_goes_from_worker_to_worker_and_each_old_one_leaves_after_its_successor_is_ready(
    supervisor: Supervisor,
) -> None:
    for number in (0, 1):
        supervisor._start(number)
    old = dict(supervisor._workers)
    supervisor._act(signal.SIGUSR2)
    supervisor._act(signal.SIGUSR2)  # asked again: nothing more
    for number in (0, 1):
        supervisor._upgrade()
        assert supervisor._workers[number] is not old[number]
        assert old[number].program.poll() is None
        supervisor._upgrade()
        assert old[number] not in supervisor._leaving  # the new one is not ready yet
        supervisor._workers[number].marker.touch()
        supervisor._upgrade()
        assert old[number] in supervisor._leaving
        old[number].program.wait(5)
    assert supervisor._to_upgrade == []
    supervisor._reap()
    assert supervisor._leaving == []
    end(supervisor)


@pytest.mark.parametrize("how", ["ends", "takes too long"])
def test_an_upgrade_whose_first_worker_does_not_get_ready_is_given_up(
    supervisor: Supervisor, how: str
) -> None:
    for number in (0, 1):
        supervisor._start(number)
    old = dict(supervisor._workers)
    supervisor._act(signal.SIGUSR2)
    supervisor._upgrade()
    new = supervisor._workers[0]
    if how == "ends":
        new.program.kill()
        new.program.wait()
    else:
        new.began_s -= workers.START_S + 1
    supervisor._reap()
    supervisor._upgrade()
    assert supervisor._workers == old
    assert supervisor._to_upgrade == []
    assert [one.program.poll() for one in old.values()] == [None, None]
    end(supervisor)


def test_an_end_comes_before_an_upgrade_and_reaches_old_and_new(supervisor: Supervisor) -> None:
    for number in (0, 1):
        supervisor._start(number)
    old = supervisor._workers[0]
    supervisor._act(signal.SIGUSR2)
    supervisor._upgrade()
    new = supervisor._workers[0]
    supervisor._act(signal.SIGTERM)
    supervisor._act(signal.SIGUSR2)
    for worker in (old, new, supervisor._workers[1]):
        assert worker.program.wait(5) == -signal.SIGTERM
    supervisor._upgrade()
    supervisor._reap()
    assert (supervisor._workers, supervisor._leaving) == ({}, [])
    end(supervisor)


def test_a_worker_that_does_not_end_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); time.sleep(60)"
    program = subprocess.Popen([sys.executable, "-u", "-c", stubborn], stdout=subprocess.PIPE)
    assert program.stdout is not None
    program.stdout.readline()
    worker = _Worker(program, tmp_path / "ready-x", time.monotonic())
    supervisor._workers[0] = worker
    supervisor._act(signal.SIGINT)
    supervisor._reap()
    assert program.poll() is None
    worker.due_s = 0
    supervisor._reap()
    assert program.wait(5) == -signal.SIGKILL
    program.stdout.close()
    end(supervisor)


def test_the_marker_of_a_worker_names_its_process(tmp_path: Path) -> None:
    assert workers.ready_marker(settings(tmp_path), 77) == tmp_path / "metrics" / "ready-77"
