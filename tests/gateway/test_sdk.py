"""The client for outcomes: it never blocks or breaks its host, whatever the gateway does."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gateway.sdk import Reporter

ID = "req-0123456789abcdef-1"


class Fake:
    """A server that answers as told: a status with a body, or "cut", or "hang"."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.got: list[list[dict[str, Any]]] = []
        self.keys: list[str | None] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = fake.answers.pop(0) if fake.answers else (200, b'{"unknown": 0}')
                if answer == "hang":
                    time.sleep(0.6)
                    return
                if answer == "cut":
                    self.connection.close()
                    return
                status, text = answer
                if status == 200:
                    fake.got.append(json.loads(body))
                fake.keys.append(self.headers["authorization"])
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def fake() -> Iterator[Fake]:
    one = Fake()
    yield one
    one.server.shutdown()
    one.server.server_close()


def quick(fake: Fake, **more: Any) -> Reporter:
    return Reporter(fake.url, "tg_key", **{"interval_s": 0.02, "timeout_s": 0.2, **more})


def test_reports_go_out_in_batches(fake: Fake) -> None:
    reporter = quick(fake, batch=3)
    for number in range(7):
        assert reporter.outcome(f"req-{number}", thumb="up")
    assert reporter.flush()
    reporter.close()
    assert [row["request_id"] for rows in fake.got for row in rows] == [f"req-{n}" for n in range(7)]
    assert max(map(len, fake.got)) <= 3
    assert fake.keys[0] == "Bearer tg_key"
    assert (reporter.sent, reporter.dropped, reporter.refused) == (7, 0, 0)


def test_scores_sources_and_comparisons_are_told(fake: Fake) -> None:
    reporter = quick(fake)
    reporter.outcome(ID, score=0.25, source="judge", against="openai/gpt-4o")
    reporter.close(2)
    assert fake.got == [[{"request_id": ID, "source": "judge", "against": "openai/gpt-4o", "score": 0.25}]]


@pytest.mark.parametrize("answer", [(503, b"no"), (429, b""), "cut", "hang", (200, b"nonsense")])
def test_a_bad_moment_is_tried_over(fake: Fake, answer: Any) -> None:
    fake.answers.append(answer)
    reporter = quick(fake)
    reporter.outcome(ID, thumb="down")
    assert reporter.flush()
    reporter.close()
    assert reporter.sent == 1
    assert fake.got[-1] == [{"request_id": ID, "thumb": "down"}]


def test_a_refusal_is_not_repeated(fake: Fake) -> None:
    fake.answers.append((401, b"{}"))
    reporter = quick(fake)
    reporter.outcome(ID, thumb="up")
    reporter.close(2)
    assert (reporter.sent, reporter.dropped) == (0, 1)
    assert len(fake.keys) == 1


def test_calls_that_the_gateway_does_not_know_are_counted(fake: Fake) -> None:
    fake.answers.append((200, b'{"unknown": 1}'))
    reporter = quick(fake, interval_s=0.2)
    reporter.outcome(ID, thumb="up")
    reporter.outcome("req-2", thumb="up")
    reporter.close(2)
    assert (reporter.sent, reporter.refused) == (1, 1)


def test_a_full_queue_drops_and_counts_and_never_blocks() -> None:
    reporter = Reporter("http://127.0.0.1:9", "tg_key", queue=5, interval_s=5, timeout_s=0.1, attempts=1)
    begun = time.monotonic()
    taken = [reporter.outcome(f"req-{number}", thumb="up") for number in range(1000)]
    assert time.monotonic() - begun < 1
    assert sum(taken) >= 5
    assert reporter.dropped >= 900
    reporter.close(0)
    assert reporter.outcome(ID, thumb="up") is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": 1.5}, {}, {"score": 0.5, "thumb": "up"}, {"thumb": "sideways"},
        {"thumb": "up", "source": "a sentence is no name"}, {"thumb": "up", "against": "x" * 200},
    ],
)  # fmt: skip
def test_what_is_not_valid_is_told_at_once(wrong: dict[str, Any]) -> None:
    reporter = Reporter("http://127.0.0.1:9", "tg_key")
    with pytest.raises(ValueError):
        reporter.outcome(ID, **wrong)
    with pytest.raises(ValueError):
        reporter.outcome("an id with spaces", thumb="up")
    with pytest.raises(ValueError):
        Reporter("gateway.example", "tg_key")
    assert "tg_key" not in repr(reporter)


def test_the_end_of_the_process_sends_what_is_left(fake: Fake) -> None:
    code = (
        "from gateway.sdk import Reporter\n"
        f"Reporter({fake.url!r}, 'tg_key', interval_s=30).outcome({ID!r}, thumb='up')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
    assert fake.got == [[{"request_id": ID, "thumb": "up"}]]


def test_the_file_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import sys, sysconfig, gateway.sdk\n"
        "names = {name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(name for name in names if not name.startswith('_')),"
        " sorted(name for name in sys.modules if name.startswith('gateway.')))"
    )
    out = subprocess.run([sys.executable, "-S", "-c", code], check=True, capture_output=True, text=True)
    assert "gateway.sdk" in out.stdout
    assert "structlog" not in out.stdout
    assert out.stdout.count("gateway.") == 1
