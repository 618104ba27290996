"""Traffic: clients that call a gateway and note every call they began and how it ended for them."""

import asyncio
import itertools
import logging
import random
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LONGEST_S: Final = 60.0
PAUSE_S: Final = 0.02
"""Between a refused connection and the next try."""


class End(StrEnum):
    """How a call ended, as its client saw it."""

    STARTED = "started"
    COMPLETE = "complete"
    REFUSED = "refused"
    BROKEN = "broken"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of call.

    Attributes:
        model: as the client names it.
        input_nanos, output_nanos: price of a token.
        claude: in Anthropic's dialect, else OpenAI's.
        exact: the answer's usage is all that the call costs: no attempt before it was billed.
    """

    model: str
    stream: bool
    input_nanos: int
    output_nanos: int
    claude: bool = False
    exact: bool = True

    @property
    def path(self) -> str:
        """Where such a call goes."""
        return "/v1/messages" if self.claude else "/v1/chat/completions"

    def body(self, text: str) -> bytes:
        """A request; texts are plain words."""
        more = '"max_tokens":500,' if self.claude else ""
        if self.stream:
            more += '"stream":true,'
            more += "" if self.claude else '"stream_options":{"include_usage":true},'
        return f'{{"model":"{self.model}",{more}"messages":[{{"role":"user","content":"{text}"}}]}}'.encode()

    def cost(self, answer: bytes) -> int:
        """What the usage in an answer comes to, in nano-dollars."""
        inputs, outputs = (_CLAUDE_INPUT, _CLAUDE_OUTPUT) if self.claude else (_CHAT_INPUT, _CHAT_OUTPUT)
        found = inputs.findall(answer), outputs.findall(answer)
        # A translated stream cannot know the input when it begins: it says 0 there, and more at its end.
        return max(map(int, found[0])) * self.input_nanos + int(found[1][-1]) * self.output_nanos


_CHAT_INPUT: Final = re.compile(rb'"prompt_tokens":\s*(\d+)')
_CHAT_OUTPUT: Final = re.compile(rb'"completion_tokens":\s*(\d+)')
_CLAUDE_INPUT: Final = re.compile(rb'"input_tokens":\s*(\d+)')
_CLAUDE_OUTPUT: Final = re.compile(rb'"output_tokens":\s*(\d+)')

UPSTREAM: Final = (
    Kind("up-chat", True, 3_000, 7_000),
    Kind("up-chat", False, 3_000, 7_000),
    Kind("up-claude", True, 11_000, 13_000, claude=True),
    Kind("up-claude", False, 11_000, 13_000, claude=True),
)
TRANSLATED: Final = (
    Kind("up-claude", True, 11_000, 13_000),
    Kind("up-claude", False, 11_000, 13_000),
    Kind("up-chat", True, 3_000, 7_000, claude=True),
    Kind("up-chat", False, 3_000, 7_000, claude=True),
)
ROUTED: Final = (
    Kind("rescued", True, 3_000, 7_000, exact=False),
    Kind("rescued", True, 3_000, 7_000, claude=True, exact=False),
    Kind("rescued", False, 3_000, 7_000, exact=False),
    Kind("worded", True, 3_000, 7_000),
    Kind("worded", False, 3_000, 7_000, claude=True),
)
"""rescued: the first target fails in a stream's first event, so the hold grows. worded: by its words."""
ECHO: Final = (Kind("echo-1", True, 1_000, 2_000), Kind("echo-1", False, 1_000, 2_000))


@dataclass(slots=True)
class Note:
    """What a client knows of one call.

    Attributes:
        name: goes along as the call's session, and within its text.
        cost: in nano-dollars, as the usage in the answer has it.
        began_s, ended_s: on the monotonic clock.
    """

    name: str
    kind: Kind
    began_s: float
    end: End = End.STARTED
    status: int = 0
    cost: int = 0
    ended_s: float = 0.0


Orders = Callable[[random.Random], str]


def brisk(dice: random.Random) -> str:
    """Answers of a few hundredths of a second to half a second."""
    return (
        f"echo:first={dice.random() * 0.05:.3f},delay={dice.random() * 0.03:.3f},tokens={dice.randint(1, 16)}"
    )


class Traffic:
    """Clients, each with a connection of its own, calling one after the other.

    Args:
        kinds: of calls, one of which is drawn each time.
        orders: what echo is told to do.
        leaving: how many of a thousand calls are left by their client halfway.
        most: calls altogether; None: until stopped.
        keep: keep the notes; else only count.

    Attributes:
        notes: of all calls, oldest first.
        counts: calls by how they ended.
        unsent: how often no connection could be made; no call was begun then.
    """

    def __init__(
        self,
        port: int,
        key: str,
        *,
        users: int = 16,
        kinds: Sequence[Kind] = (*UPSTREAM, *ECHO, *TRANSLATED, *ROUTED),
        orders: Orders = brisk,
        leaving: int = 30,
        most: int | None = None,
        seed: int = 1,
        keep: bool = True,
    ) -> None:
        self.notes: list[Note] = []
        self.counts = dict.fromkeys(End, 0)
        self.unsent = 0
        self._port, self._key, self._users = port, key, users
        self._kinds, self._orders, self._leaving = kinds, orders, leaving
        self._dice = random.Random(seed)
        self._numbers = itertools.count(1)
        self._most = most
        self._keep = keep
        self._ending = False

    async def run(self) -> None:
        """Call until stopped."""
        logging.getLogger("aiohttp.server").disabled = True  # the provider's: it minds clients that leave
        async with asyncio.TaskGroup() as users:
            for _ in range(self._users):
                users.create_task(self._user())

    def stop(self) -> None:
        """Let the calls under way end, and begin no other."""
        self._ending = True

    async def _user(self) -> None:
        client = _Client(self._port)
        try:
            while not self._ending:
                number = next(self._numbers)
                if self._most is not None and number > self._most:
                    return
                note = Note(f"c{number:08}", self._dice.choice(self._kinds), time.monotonic())
                if not await client.connect():
                    self.unsent += 1
                    await asyncio.sleep(PAUSE_S)
                    continue
                if self._keep:
                    self.notes.append(note)
                await self._call(client, note)
                note.ended_s = time.monotonic()
                self.counts[note.end] += 1
                if note.end in (End.BROKEN, End.REFUSED):
                    await asyncio.sleep(PAUSE_S)
        finally:
            client.close()

    async def _call(self, client: "_Client", note: Note) -> None:
        kind = note.kind
        body = kind.body(f"call {note.name} {self._orders(self._dice)}".rstrip())
        head = (
            f"POST {kind.path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {self._key}\r\nx-gateway-session: {note.name}\r\n"
            f"anthropic-version: 2023-06-01\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        leaves = self._dice.randrange(1000) < self._leaving
        try:
            async with asyncio.timeout(self._dice.random() * 0.3 if leaves else LONGEST_S):
                note.status, answer = await client.ask(head.encode() + body)
        except TimeoutError:
            client.close()
            note.end = End.LEFT if leaves else End.BROKEN
            return
        except (OSError, EOFError, ValueError):
            client.close()
            note.end = End.BROKEN
            return
        if note.status != 200:
            note.end = End.REFUSED
            return
        note.end = End.COMPLETE
        note.cost = kind.cost(answer)


class _Client:
    # HTTP/1.1 as far as the gateway's own answers go, in as few steps as possible.

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self) -> bool:
        if self._writer is None or self._writer.is_closing():
            try:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                return False
        return True

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        assert self._writer is not None
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        place = head.find(b"\r\ncontent-length: ")
        if place >= 0:
            body = await self._reader.readexactly(int(head[place + 18 :].partition(b"\r\n")[0]))
        else:
            body = await self._chunks()
        if b"\r\nconnection: close" in head:
            self.close()
        return status, body

    async def _chunks(self) -> bytes:
        parts = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            parts.append((await self._reader.readexactly(size + 2))[:-2])
        await self._reader.readexactly(2)
        return b"".join(parts)


async def settle(traffic: Traffic, run: "asyncio.Task[None]", longest_s: float = LONGEST_S) -> None:
    """Stop traffic and wait until its last calls have ended."""
    traffic.stop()
    with suppress(asyncio.CancelledError):
        await asyncio.wait_for(run, longest_s)
