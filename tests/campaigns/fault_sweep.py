"""Fault sweep: an exception with the call's text, or a cancellation, at every line that a call passes.

A call runs under a trace function that raises at its n-th new line of our code. What raises there stands
for whatever could: a parse, a plugin, a store, an await that is cancelled. After each, another call
must be served. In the end a search shows whether the text of any of the exceptions got out.

    python -m tests.campaigns.fault_sweep [--step 1] [--folder FOLDER]

raises at every step-th line; the last line it prints is a report as JSON; exit code 1 on any hit.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

import orjson

import gateway
from gateway import log
from gateway.hardening import quieten
from gateway.log import Level
from gateway.privacy import bodies
from gateway.privacy.calling import Door, send
from gateway.privacy.canary import Canary
from gateway.privacy.cases import Case, Cases
from gateway.privacy.search import Search
from tests.installation import Installation

HERE: Final = Path(gateway.__file__).parents[1]
WATCHED: Final = tuple(
    str(HERE / folder) for folder in (
        "gateway/edge/", "gateway/stages/", "gateway/stream/", "gateway/dialects/", "gateway/accounts/scopes",
        "gateway/accounts/directory", "gateway/upstreams/", "gateway/ledger/estimate", "gateway/ledger/guess",
        "gateway/ledger/charges", "gateway/ledger/ledger", "gateway/watch/", "gateway/pipeline", "providers/",
        "routers/", "gateway/translation/", "gateway/outcomes", "gateway/quality/", "gateway/exchange",
        "gateway/contracts", "gateway/content", "gateway/errors",
    )
)  # fmt: skip
"""Files that calls pass through. Those that only background work passes through are left out."""

ANSWER_S: Final = 0.3
"""How long the answer to a disturbed call is waited for: there may be none."""
HEALTHY_S: Final = 3.0
"""How long the next call may take, on a machine with other work."""

Point = tuple[str, int]
"""A file and a line in it."""

KINDS: Final[tuple[Callable[[str], BaseException], ...]] = (
    ValueError,
    lambda text: KeyError(text),
    lambda text: OSError(5, text, text),
    lambda text: UnicodeDecodeError("utf-8", text.encode(), 0, 1, text),
    lambda text: asyncio.CancelledError(text),
    lambda text: RuntimeError(text, {"text": text}),
)
"""What is raised, in turn."""


@dataclass(slots=True)
class Tracer:
    """Notes the lines that are passed, and raises once at one of them."""

    at: Point | None = None
    error: BaseException | None = None
    seen: dict[Point, None] = field(default_factory=dict)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        """The trace function of a new frame."""
        return self._line if frame.f_code.co_filename.startswith(WATCHED) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            point = (frame.f_code.co_filename, frame.f_lineno)
            self.seen[point] = None
            if point == self.at and (error := self.error) is not None:
                self.error = None
                raise error
        return self._line


async def traced(tracer: Tracer, door: Door, case: Case) -> bytes:
    """The answer to a call that runs under a tracer, in this very thread."""
    sys.settrace(tracer)
    try:
        async with asyncio.timeout(ANSWER_S):
            return await send(door, case)
    except TimeoutError:
        return b""
    finally:
        sys.settrace(None)


async def points(door: Door, case: Case) -> list[Point]:
    """All lines that a call passes through."""
    tracer = Tracer()
    await traced(tracer, door, case)
    return list(tracer.seen)


def faults(found: list[Point], text: str, step: int) -> Iterator[tuple[Point, BaseException]]:
    """Every step-th point, each with another kind of exception."""
    for number, point in enumerate(found[::step]):
        yield point, KINDS[number % len(KINDS)](text)


ROUNDS: Final = ((False, ""), (True, ""), (True, "status=500"), (True, "cut=2"))
"""Streamed or not, and what the provider does."""


class Sweep:
    """One sweep over all dialects.

    Attributes:
        raised: exceptions that were raised.
        broken: points after which the gateway did not serve any more, and was started anew.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.canary = Canary()
        self.raised = 0
        self.broken: list[str] = []
        self._folder = folder
        self._step = step
        self._heads: list[bytes] = []
        self._started = 0

    async def run(self) -> Search:
        """Sweep, then search."""
        await self._start()
        for dialect in bodies.CONVERSATIONS:
            for stream, order in ROUNDS:
                found = await points(self._door, self._cases.conversation(dialect, order, stream))
                for point, error in faults(found, self.canary.mark("exception"), self._step):
                    await self._disturb(point, error, dialect, order, stream)
        await asyncio.sleep(0.1)
        search = Search(self.canary)
        search.data("heads of answers", b"\n".join(self._heads))
        search.data("/metrics", await self._page("/metrics"))
        search.folder(self._folder)
        return search

    async def _disturb(
        self, point: Point, error: BaseException, dialect: str, order: str, stream: bool
    ) -> None:
        tracer = Tracer(point, error)
        answer = await traced(tracer, self._door, self._cases.conversation(dialect, order, stream))
        self._heads.append(answer.partition(b"\r\n\r\n")[0])
        self.raised += tracer.error is None
        if not await self._serves():
            self.broken.append(f"{Path(point[0]).relative_to(HERE)}:{point[1]} {type(error).__name__}")
            await self._start()

    async def _serves(self) -> bool:
        healthy = self._cases.conversation("openai_chat", "", False)
        try:
            async with asyncio.timeout(HEALTHY_S):
                return (await send(self._door, healthy))[9:12] == b"200"
        except TimeoutError:
            return False

    async def _start(self) -> None:
        self._started += 1
        tree = {"upstream": {"breaker": False}}  # what is raised must not set echo aside
        self._installation = Installation(self._folder / f"gateway-{self._started}", tree)
        await self._installation.start()
        self._door = Door("127.0.0.1", self._installation.port)
        self._cases = Cases(self.canary, f"127.0.0.1:{self._door.port}", self._installation.key)

    async def _page(self, path: str) -> bytes:
        door = Door("127.0.0.1", int(self._installation.admin_url.rpartition(":")[2]))
        head = f"GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {self._installation.admin_token}\r\n"
        return await send(door, Case(name=path, sent=f"{head}connection: close\r\n\r\n".encode()))


async def main(folder: Path, step: int) -> int:
    """Sweep and report."""
    with (folder / "log").open("w") as out:
        log.configure(Level.DEBUG, out)
        quieten()
        sweep = Sweep(folder, step)
        search = await sweep.run()
    hits = [f"{hit.place}: {hit.form}" for hit in search.hits]
    report = {"raised": sweep.raised, "broken": sweep.broken, "bytes": search.size, "hits": hits}
    sys.stdout.write(orjson.dumps(report).decode() + "\n")
    return 0 if search.clean else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="raise at every line that a call passes through")
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    if chosen.folder:
        sys.exit(asyncio.run(main(chosen.folder, chosen.step)))
    with TemporaryDirectory() as made:
        sys.exit(asyncio.run(main(Path(made), chosen.step)))
