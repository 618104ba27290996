"""Providers that break the rules, behind calls that are translated: each fault, asked in every dialect.

    python -m tests.campaigns.broken_providers [--fuzz 5000] [--seed 1]

Before its first byte a caller must get an error in its own dialect; after that an error event of its own
dialect, where one can still be read, and a connection that breaks. No call may hang or end as a mistake of
ours, each has one record, and nothing is held in the end. Then the same with answers that were good once, of
which bytes, values and whole events were changed. Exits with 1 when anything is wrong.
"""

import argparse
import asyncio
import io
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import orjson

from gateway import log
from gateway.privacy.calling import Door, send
from gateway.privacy.cases import Case
from gateway.records import Outcome
from tests import hostile
from tests.campaigns.judge import Verdict
from tests.hostile import CANARY, FAULTS, Fault, Hostile, Peer
from tests.installation import Installation
from tests.upstream import Upstream

PATIENCE_S: Final = 0.1
LONGEST_S: Final = 3.0
"""No call may take longer, on a machine with other work."""

PROVIDERS: Final = {
    "openai_chat": "chatty/m",
    "openai_responses": "responder/m",
    "anthropic_messages": "claude/m",
    "gemini_generate": "google/m",
}


def tree(url: str) -> dict[str, Any]:
    """One provider for each dialect, all at the same place."""
    place = {"api_key": "sk-x", "allow_private": True}
    openai = {"use": "openai", "base_url": f"{url}/v1", **place}
    return {
        "providers": {
            "chatty": {**openai, "dialects": ["openai_chat"]},
            "responder": {**openai, "dialects": ["openai_responses"]},
            "claude": {"use": "anthropic", "base_url": url, **place},
            "google": {"use": "gemini", "base_url": url, **place},
        },
        "prices": {"unknown": "record"},
        "upstream": {
            "attempts": 1,
            "breaker": False,
            "first_byte_timeout": f"{round(PATIENCE_S * 1000)}ms",
            "gap_timeout": f"{round(PATIENCE_S * 1000)}ms",
            "total_timeout": "300ms",
            "max_answer": "8MiB",
        },
    }


@dataclass(frozen=True, slots=True)
class Caller:
    """How a dialect's caller asks, and what it takes for an error."""

    path: str
    streamed: str
    body: dict[str, Any]
    in_body: bool = True

    def request(self, model: str, key: str, stream: bool) -> bytes:
        """The bytes of a call."""
        path = (self.streamed if stream else self.path).format(model=model)
        body = {**self.body, "model": model, "stream": stream} if self.in_body else self.body
        data = orjson.dumps(body)
        head = (
            f"POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data


PAIRS: Final = tuple(permutations(PROVIDERS, 2))
"""(caller's dialect, provider's dialect)"""

CHAT: Final = [{"role": "user", "content": "Hello"}]
CALLERS: Final = {
    "openai_chat": Caller("/v1/chat/completions", "/v1/chat/completions", {"messages": CHAT}),
    "openai_responses": Caller("/v1/responses", "/v1/responses", {"input": "Hello", "store": False}),
    "anthropic_messages": Caller("/v1/messages", "/v1/messages", {"messages": CHAT, "max_tokens": 50}),
    "gemini_generate": Caller(
        "/v1beta/models/{model}:generateContent",
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
        in_body=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller got.

    Attributes:
        whole: it came to its end; else the connection broke.
    """

    status: int
    fields: dict[str, str]
    body: bytes
    whole: bool


def answer_of(data: bytes) -> Answer | None:
    """An answer's bytes, taken apart; None where there is none."""
    head, mark, body = data.partition(b"\r\n\r\n")
    if not mark:
        return None
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    whole = len(body) == int(fields["content-length"]) if "content-length" in fields else False
    if fields.get("transfer-encoding") == "chunked":
        body, whole = joined(body)
    return Answer(int(lines[0].split()[1]), fields, body, whole)


def joined(body: bytes) -> tuple[bytes, bool]:
    """The chunks of a body put together, and whether the last one was there."""
    parts = []
    while found := re.match(rb"([0-9a-f]+)\r\n", body):
        size = int(found[1], 16)
        if size == 0:
            return b"".join(parts), True
        parts.append(body[found.end() : found.end() + size])
        body = body[found.end() + size + 2 :]
    return b"".join(parts), False


def is_error(dialect: str, tree: Any) -> bool:
    """Whether this is how a dialect tells of an error."""
    if not isinstance(tree, dict):
        return False
    if dialect == "openai_responses" and tree.get("type") == "error" and "message" in tree:
        return isinstance(tree["message"], str)  # an event
    error = tree.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return False
    match dialect:
        case "anthropic_messages":
            return tree.get("type") == "error" and isinstance(error["type"], str)
        case "gemini_generate":
            return isinstance(error["code"], int) and isinstance(error["status"], str)
    return isinstance(error["type"], str)


def last_event(body: bytes) -> Any:
    """The data of the last event of a stream; None for what is none."""
    events = [one for one in body.replace(b"\r\n", b"\n").split(b"\n\n") if one.strip()]
    data = events[-1].rpartition(b"data: ")[2] if events else b""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data


class Scene:
    """A hostile provider behind a gateway.

    Attributes:
        verdict: what was wrong, and how calls ended.
    """

    def __init__(self, folder: Path) -> None:
        self.server = Hostile()
        self.verdict = Verdict()
        self.ends: Counter[str] = Counter()
        self.longest_s = 0.0
        self._folder = folder
        self._said = io.StringIO()

    async def __aenter__(self) -> Self:
        log.configure(log.Level.DEBUG, self._said)
        await self.server.__aenter__()
        self.gateway = Installation(self._folder, tree(self.server.url))
        await self.gateway.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gateway.stop()
        await self.server.__aexit__()
        log.configure()

    async def call(self, what: str, fault: Fault, caller: str, provider: str, stream: bool) -> None:
        """One call while the provider has a fault, and its judgement."""
        self.server._faults, self.server._played = (fault,), 0
        what = f"{what}: {caller} to {provider}{', streamed' * stream}"
        sent = CALLERS[caller].request(PROVIDERS[provider], self.gateway.key, stream)
        began_s = time.monotonic()
        data = await send(Door("127.0.0.1", self.gateway.port), Case(name=what, sent=sent))
        took_s = time.monotonic() - began_s
        self.longest_s = max(self.longest_s, took_s)
        self.verdict.need(took_s < LONGEST_S, f"{what}: took {took_s:.1f} s")
        self._judge(what, caller, stream, data)

    def _judge(self, what: str, caller: str, stream: bool, data: bytes) -> None:
        answer = answer_of(data)
        if answer is None:
            self.ends["nothing"] += 1
            self.verdict.need(False, f"{what}: no answer")
            return
        code = answer.fields.get("x-gateway-error", "")
        self.ends[f"{answer.status}{' broken' * (not answer.whole)} {code}".strip()] += 1
        self.verdict.need(answer.status != 500 and code != "bug", f"{what}: a mistake of ours")
        if answer.status >= 400:
            good = answer.whole and is_error(caller, json_of(answer.body))
            self.verdict.need(good, f"{what}: {answer.status}, which is no error of that dialect")
            self.verdict.need(not code or CANARY not in answer.body, f"{what}: an error of ours quotes")
        elif not stream:
            good = answer.whole and isinstance(json_of(answer.body), dict)
            self.verdict.need(good, f"{what}: a whole answer that cannot be read")
        elif not answer.whole:
            event = last_event(answer.body)
            self.verdict.need(is_error(caller, event), f"{what}: broke without an error event")
            self.verdict.need(b"bug" not in answer.body[-300:], f"{what}: a mistake of ours in the stream")

    async def end(self) -> Verdict:
        """Compare the records with the calls."""
        verdict, calls = self.verdict, self.ends.total()
        records = await self.gateway.records(calls)
        verdict.need(len(records) == len({one.id for one in records}) == calls, "a call has not one record")
        bad = [one for one in records if one.outcome is Outcome.FAILED]
        verdict.need(not bad, f"{len(bad)} records tell of a mistake of ours")
        ledger = self.gateway.app._ledger
        verdict.need((ledger.held, ledger.open_holds) == (0, 0), "money is still held")
        verdict.need(CANARY not in self._said.getvalue().encode(), "the log has the provider's words")
        verdict.need("call.bug" not in self._said.getvalue(), "the log tells of a mistake of ours")
        verdict.figures |= {
            "calls": calls,
            "how they ended": dict(self.ends.most_common()),
            "longest, in seconds": round(self.longest_s, 2),
        }
        return verdict


def json_of(body: bytes) -> Any:
    """A body's JSON; None for what is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


# --- answers that were good once ---------------------------------------------------------------------

ORDERS: Final = ("tokens=12", "tools=2", "reasoning=9", "tokens=3,finish=length")


async def good_answers() -> dict[tuple[str, bool], list[bytes]]:
    """What a provider answers in each dialect, whole and streamed."""
    found: dict[tuple[str, bool], list[bytes]] = {}
    async with Upstream() as upstream, aiohttp.ClientSession() as session:
        for dialect, caller in CALLERS.items():
            for stream in (False, True):
                for order in ORDERS:
                    sent = caller.request("echo-1", "x", stream).replace(
                        b"Hello", f"canary echo:{order}".encode()
                    )
                    head, _, body = sent.partition(b"\r\n\r\n")
                    path = head.split()[1].decode()
                    async with session.post(upstream.url + path, data=body) as answer:
                        assert answer.status == 200, (dialect, await answer.read())
                        found.setdefault((dialect, stream), []).append(await answer.read())
    return found


ODD: Final = (None, True, 0, -1, 2**53, 1e300, "", "canary", [], {}, [None], {"canary": None}, [[]], [{}])


def spoiled(dice: random.Random, tree: Any) -> Any:
    """The tree with one value in it replaced, left out, or in it twice."""
    if isinstance(tree, dict) and tree and dice.random() < 0.85:
        name = dice.choice(sorted(tree))
        if dice.random() < 0.1:
            return {key: value for key, value in tree.items() if key != name}
        return {**tree, name: spoiled(dice, tree[name])}
    if isinstance(tree, list) and tree and dice.random() < 0.85:
        at = dice.randrange(len(tree))
        return [*tree[:at], spoiled(dice, tree[at]), *tree[at + dice.randint(0, 1) :]]
    return dice.choice(ODD)


def changed(dice: random.Random, body: bytes) -> bytes:
    """An answer that is no longer quite what it was."""
    kind = dice.randrange(5)
    if kind == 0:
        events = body.split(b"\n\n")
        if len(events) > 2:  # events left out, doubled and in another order
            for _ in range(dice.randint(1, 3)):
                at, to = dice.randrange(len(events)), dice.randrange(len(events))
                events.insert(to, events[at] if dice.random() < 0.5 else events.pop(at))
            return b"\n\n".join(events)
    if kind <= 2:
        return b"\n".join(_respoiled(dice, line) for line in body.split(b"\n"))
    for _ in range(dice.randint(1, 4)):
        begin = dice.randrange(len(body) + 1)
        end = min(len(body), begin + dice.randint(0, 30))
        put = dice.choice(
            (b"", b"canary", dice.randbytes(3), b"\n\n", b"[" * 3000, body[begin:end] * 2, b'"')
        )
        body = body[:begin] + put + body[end:]
    return body


def _respoiled(dice: random.Random, line: bytes) -> bytes:
    begin = line.find(b"{")
    tree = json_of(line[begin:]) if begin >= 0 and dice.random() < 0.4 else None
    return line if tree is None else line[:begin] + orjson.dumps(spoiled(dice, tree))


def answer_in_pieces(dice: random.Random, body: bytes, stream: bool) -> Fault:
    """A well framed answer of these bytes, in pieces of any size; sometimes it breaks off."""
    borders = sorted(dice.randrange(len(body) + 1) for _ in range(dice.randint(0, 6)))
    pieces = [body[a:b] for a, b in zip([0, *borders], [*borders, len(body)], strict=True)]
    cut = dice.random() < 0.1
    kind = "text/event-stream" if stream else "application/json"

    async def fault(peer: Peer) -> None:
        await peer.send(hostile.head(200, ("content-type", kind), ("transfer-encoding", "chunked")))
        for piece in filter(None, pieces):
            await peer.chunk(piece)
            await asyncio.sleep(0)
        if cut:
            peer.reset()
            return
        await peer.send(b"0\r\n\r\n")

    return fault


def fuzz_calls(
    dice: random.Random, good: dict[tuple[str, bool], list[bytes]], count: int
) -> Iterator[tuple[str, Fault, str, str, bool]]:
    """So many calls over all pairs."""
    for number in range(count):
        caller, provider = PAIRS[number % len(PAIRS)]
        stream = dice.random() < 0.7
        told = stream if dice.random() < 0.95 else not stream
        body = changed(dice, dice.choice(good[provider, told]))
        yield f"changed {number}", answer_in_pieces(dice, body, stream), caller, provider, stream


async def campaign(
    folder: Path, fuzz: int, *, pairs: Sequence[tuple[str, str]] = PAIRS, seed: int = 1
) -> Verdict:
    """Every fault over these pairs, then so many changed answers."""
    good = await good_answers()
    async with Scene(folder) as scene:
        for number, (name, fault) in enumerate(FAULTS.items()):
            for caller, provider in pairs or [PAIRS[number % len(PAIRS)]]:
                for stream in (False, True):
                    await scene.call(name, fault, caller, provider, stream)
        for call in fuzz_calls(random.Random(seed), good, fuzz):
            await scene.call(*call)
        return await scene.end()


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="providers that break the rules behind translated calls")
    parser.add_argument("--fuzz", type=int, default=5000, help="answers that were changed")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        verdict = asyncio.run(campaign(Path(folder), given.fuzz, seed=given.seed))
    print(verdict)
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    sys.exit(main())
