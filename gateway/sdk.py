"""A client for what a gateway cannot see: how well its answers served. One file, standard library only.

    from gateway.sdk import Reporter

    reporter = Reporter("http://127.0.0.1:8080", "tg_…")
    reporter.outcome(response.headers["x-gateway-request-id"], thumb="up")
    reporter.outcome(request_id, score=0.8, source="judge")

Reports wait in a bounded queue and are sent in batches by a thread of their own. A report never blocks
its host, never raises for what the gateway or the network does, and is dropped, and counted, when the
queue is full. What is still there is sent when the process ends, for as long as flush_s allows. There is no
parameter that takes a text: ids, names and numbers only. The file may be copied into another project.
"""

import atexit
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from typing import Any, Final, Literal

MOST_ROWS: Final = 1_000
"""Rows that the gateway takes at once."""

_name = re.compile(r"[A-Za-z0-9._:/-][A-Za-z0-9._:/@+-]{0,127}").fullmatch
_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class Reporter:
    """Sends outcomes to a gateway.

    Args:
        url: of the gateway, without a path: "https://gateway.example".
        key: the key that the calls were made with; it may judge its own calls only.
        queue: most reports that wait; more are dropped and counted.
        batch: most reports in one request, at most 1,000.
        interval_s: how long a report waits at most for others to go with it.
        timeout_s: for one request.
        attempts: how often a batch is sent before it is dropped.
        flush_s: how long the end of the process may wait for what is left.

    Attributes:
        sent, dropped: reports that the gateway has taken, and that were given up.
        refused: reports of calls that the gateway does not know as this key's.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        queue: int = 10_000,
        batch: int = 200,
        interval_s: float = 1.0,
        timeout_s: float = 5.0,
        attempts: int = 3,
        flush_s: float = 2.0,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError('url: expected "http://HOST" or "https://HOST"')
        self._url = url.rstrip("/") + "/v1/outcomes"
        self._key = key
        self._most = max(1, queue)
        self._batch = min(max(1, batch), MOST_ROWS)
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._attempts = max(1, attempts)
        self._flush_s = flush_s
        self._rows: deque[dict[str, Any]] = deque()
        self._changed = threading.Condition()
        self._busy = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self.sent = self.dropped = self.refused = 0

    def __repr__(self) -> str:
        return f"<reporter: {self.sent} sent, {self.dropped} dropped, {len(self._rows)} waiting>"

    def outcome(
        self,
        request_id: str,
        *,
        score: float | None = None,
        thumb: Literal["up", "down"] | None = None,
        source: str | None = None,
        against: str | None = None,
    ) -> bool:
        """Say how well a call was served.

        Args:
            request_id: of the answer's x-gateway-request-id.
            score: 0 to 1; or thumb.
            source: who judges, a short name such as "judge"; one outcome a call and source counts.
            against: the model it was compared with; then 1 means: served as well as that.

        Returns:
            Whether the report waits to be sent; False: it was dropped.

        Raises:
            ValueError: what is reported is not valid. This is the caller's mistake; nothing else raises.
        """
        if (score is None) == (thumb is None):
            raise ValueError("either a score or a thumb")
        if score is not None and not 0 <= score <= 1:
            raise ValueError("score: 0 to 1")
        if thumb not in (None, "up", "down"):
            raise ValueError('thumb: "up" or "down"')
        row = {"request_id": request_id, "source": source, "against": against}
        for field, value in row.items():
            if value is not None and _name(value) is None:
                raise ValueError(f"{field}: a name of letters, digits and . _ : / @ + - only")
        row = {field: value for field, value in row.items() if value is not None}
        return self._put(row | ({"thumb": thumb} if thumb is not None else {"score": score}))

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything is sent or given up; False: there was not enough time."""
        due = time.monotonic() + timeout_s
        with self._changed:
            self._changed.notify_all()
            while (self._rows or self._busy) and (left := due - time.monotonic()) > 0:
                self._changed.wait(min(left, 0.1))
            return not self._rows and not self._busy

    def close(self, timeout_s: float | None = None) -> None:
        """Send what is left, for so long, and take no more."""
        with self._changed:
            self._closed = True
        self.flush(self._flush_s if timeout_s is None else timeout_s)
        with self._changed:
            self.dropped += len(self._rows)
            self._rows.clear()
            self._changed.notify_all()
        atexit.unregister(self.close)

    # --- the thread ------------------------------------------------------------------------------

    def _put(self, row: dict[str, Any]) -> bool:
        with self._changed:
            if self._closed or len(self._rows) >= self._most:
                self.dropped += 1
                return False
            self._rows.append(row)
            if self._thread is None or not self._thread.is_alive():  # first report, or a fork of the process
                atexit.unregister(self.close)
                atexit.register(self.close)
                self._thread = threading.Thread(target=self._run, name="tollgate-reporter", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return True

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._rows and not self._closed:
                    self._changed.wait()
                if not self._rows:
                    return
                due = time.monotonic() + self._interval_s
                while len(self._rows) < self._batch and not self._closed:
                    left = due - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        break
                rows = [self._rows.popleft() for _ in range(min(self._batch, len(self._rows)))]
                self._busy = True
            taken = self._send(rows)
            with self._changed:
                self._busy = False
                if taken is None:
                    self.dropped += len(rows)
                else:
                    self.sent += len(rows) - taken
                    self.refused += taken
                self._changed.notify_all()

    def _send(self, rows: list[dict[str, Any]]) -> int | None:
        """Send a batch; how many of it the gateway did not know, None when it was given up."""
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        request = urllib.request.Request(self._url, json.dumps(rows).encode(), headers, method="POST")  # noqa: S310 - checked
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(min(0.2 * 2**attempt, self._interval_s + 0.2))
            try:
                with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:  # noqa: S310 - checked
                    told = json.loads(answer.read(65_536))
                    return int(told.get("unknown", 0))
            except urllib.error.HTTPError as error:
                error.close()
                if error.code not in _RETRIED:
                    return None
            except (OSError, ValueError, AttributeError, TypeError):
                continue  # no connection, cut, too slow, or nonsense: the next attempt may do better
        return None
