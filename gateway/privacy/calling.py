"""Calling: sends a case over a connection of its own and reads what comes back."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from gateway.privacy.cases import Case

LONGEST_S: Final = 10.0
"""How long an answer is waited for. Some requests are only half there, and are answered late or never."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where an installation is called."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


@dataclass(slots=True)
class Calls:
    """What became of the cases.

    Attributes:
        outcomes: how many answers there were of each status; "left" where the client did not wait for
            one, "none" where none came.
        heads: status lines and fields of all answers, to be searched.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    heads: list[bytes] = field(default_factory=list)

    async def run(self, door: Door, cases: Iterable[Case], at_once: int = 8) -> None:
        """Send every case, a few at a time."""
        waiting = iter(cases)

        async def work() -> None:
            for case in waiting:
                self.note(case, await send(door, case))

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())

    def note(self, case: Case, answer: bytes) -> None:
        """Count an answer."""
        head = answer.partition(b"\r\n\r\n")[0]
        words = head[:16].split()
        if len(words) > 1 and words[0] == b"HTTP/1.1" and words[1].isdigit():
            self.heads.append(head)
            self.outcomes[words[1].decode()] += 1
        else:
            self.outcomes["none" if case.leave_after is None else "left"] += 1


async def send(door: Door, case: Case) -> bytes:
    """The answer to a case, as far as it was read; empty when the connection broke."""
    answer = bytearray()
    try:
        async with asyncio.timeout(LONGEST_S):
            reader, writer = await asyncio.open_connection(door.host, door.port, ssl=door.tls)
            try:
                writer.write(case.sent)
                await writer.drain()
                if case.leave_after == 0:
                    await asyncio.sleep(0.02)  # so that the gateway has begun with it
                    return b""
                while chunk := await reader.read(65536):
                    answer += chunk
                    if case.leave_after is not None and len(answer) >= case.leave_after:
                        break
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        pass
    return bytes(answer)
