"""The real stages over a scripted provider and a list as client: no sockets, no store."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from gateway import config as configuration
from gateway import flow
from gateway.clock import SystemClock
from gateway.content import EMPTY, Content, Secret
from gateway.contracts import (
    NO_TAGS,
    Call,
    Caller,
    Envelope,
    Headers,
    Permit,
    Tags,
    UpstreamRequest,
)
from gateway.dialects import DIALECTS
from gateway.errors import ClientGone, GatewayError, UpstreamError
from gateway.exchange import Exchange
from gateway.ledger.journal import Journal
from gateway.ledger.ledger import Ledger
from gateway.names import Slug
from gateway.records import PathKind, Record
from gateway.upstreams.pool import Credential

JSON: Headers = (("content-type", "application/json"),)
CALLER = Caller(key_id=Slug("key-1"), key_name=Slug("test"), org=Slug("org"), project=Slug("project"))

Step = bytes | GatewayError | type[asyncio.CancelledError]
Script = tuple[int, Sequence[Step]] | GatewayError


def whole(text: str = "hi", tokens: tuple[int, int] = (5, 7)) -> bytes:
    """A chat completion."""
    return orjson.dumps(
        {
            "object": "chat.completion",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            ],
            "usage": {
                "prompt_tokens": tokens[0],
                "completion_tokens": tokens[1],
                "total_tokens": sum(tokens),
            },
        }
    )


class ListSink:
    """A client that keeps what it is sent.

    Args:
        leaves_after: pieces of the body after which it closes the connection; None: never.
    """

    def __init__(self, leaves_after: int | None = None) -> None:
        self.extra: list[tuple[str, str]] = []
        self.status: int | None = None
        self.headers: Headers = ()
        self.parts: list[bytes] = []
        self.finished = False
        self.aborted = False
        self._leaves_after = leaves_after

    @property
    def started(self) -> bool:
        return self.status is not None

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        self.status, self.headers = status, headers

    async def write(self, chunk: bytes) -> None:
        if self._leaves_after is not None and len(self.parts) >= self._leaves_after:
            raise ClientGone("client_closed")
        self.parts.append(chunk)

    async def finish(self) -> None:
        self.finished = True

    def abort(self) -> None:
        self.aborted = True


class ScriptedAnswer:
    """An answer that follows a script."""

    def __init__(self, status: int, steps: Sequence[Step]) -> None:
        self.status = status
        self.headers = JSON
        self._steps = list(steps)

    async def read(self) -> bytes:
        if not self._steps:
            return b""
        step = self._steps.pop(0)
        if isinstance(step, bytes):
            return step
        raise step


class ScriptedExit:
    """A way to a provider that answers one script after the other, and keeps what it was asked."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self._scripts = list(scripts)
        self.requests: list[UpstreamRequest] = []
        self.permits: list[Permit] = []
        self.released = 0

    async def open(self, request: UpstreamRequest, permit: Permit) -> ScriptedAnswer:
        self.requests.append(request)
        self.permits.append(permit)
        script = self._scripts.pop(0)
        if isinstance(script, GatewayError):
            raise script
        return ScriptedAnswer(*script)

    def release(self, answer: Any) -> None:
        self.released += 1


class OneCaller:
    """A directory with a single key: "right"."""

    def __init__(self, caller: Caller = CALLER) -> None:
        self._caller = caller

    def find(self, presented: str) -> Caller | None:
        return self._caller if presented == "right" else None


@dataclass
class Stand:
    """A flow under test.

    Attributes:
        records: every Record made, in order.
    """

    flow: flow.Flow
    exit: ScriptedExit
    ledger: Ledger
    journal: Journal
    records: list[Record] = field(default_factory=list)

    async def call(self, body: dict[str, Any] | None = None, **options: Any) -> tuple[Exchange, ListSink]:
        """Run one chat call; options: key, client, read."""
        return await run(self.flow, body, **options)


def stand(
    folder: Path, *scripts: Script, tree: dict[str, Any] | None = None, caller: Caller = CALLER, keys: int = 1
) -> Stand:
    """The real flow, with providers "one" and "two" (both OpenAI-compatible) behind one scripted exit."""
    url = {"use": "compatible", "base_url": "https://one.example/v1"}
    tree = {
        "providers": {"one": url, "two": {**url, "base_url": "https://two.example/v1"}},
        "models": {
            "m1": {"provider": "one", "price": {"input": "1", "output": "2"}},
            "m2": {"provider": "two", "price": {"input": "10", "output": "20"}},
            "free": {"provider": "one"},
        },
        "routes": {"both": {"use": "fallback", "targets": ["m1", "m2"], "allow_costlier": True}},
        **(tree or {}),
    }
    tree["upstream"] = {"retry_pause": "1ms", **tree.get("upstream", {})}
    config = configuration.parse(tree, "test", {})
    exit, clock = ScriptedExit(scripts), SystemClock()
    made = Stand(
        flow=None,  # type: ignore[arg-type]
        exit=exit,
        ledger=Ledger(clock),
        journal=Journal(folder / "journal", Slug("test")),
    )

    def keep(record: Record, opened: bool) -> None:
        made.records.append(record)
        made.journal.close(record)

    made.flow = flow.build(
        config,
        flow.Lasting(
            clock=clock,
            directory=OneCaller(caller),  # type: ignore[arg-type]
            ledger=made.ledger,
            journal=made.journal,
            keep=keep,
            observers=(),
            exit=exit,
            stored=lambda name, host: [
                Credential(Slug(f"{name}/{n}"), lambda n=n: Secret(f"sk-{n}"))
                for n in range(1, keys + 1)  # type: ignore[misc]
            ],
        ),
    )
    return made


async def run(
    built: flow.Flow,
    body: dict[str, Any] | None = None,
    key: str | None = "right",
    client: ListSink | None = None,
    read: Callable[[], Awaitable[Call]] | None = None,
    tags: Tags = NO_TAGS,
) -> tuple[Exchange, ListSink]:
    """One chat call through a flow."""
    sink = client or ListSink()
    exchange = Exchange(Slug("req-1"), 1, 1, sink, Secret(key) if key else None, EMPTY)

    async def parse() -> Call:
        tree = {"model": "m1", "messages": [{"role": "user", "content": "hello"}]} | (body or {})
        envelope = Envelope(kind=PathKind.CHAT, body=Content(orjson.dumps(tree)))
        return replace(DIALECTS[Slug("openai_chat")].read_call(envelope), tags=tags)

    await built.pipeline(exchange, read or parse)
    return exchange, sink


BUSY = (429, [b'{"error":{"message":"slow down"}}'])
FAILED = (500, [b"oops"])
REFUSED = (400, [b'{"error":{"message":"no such thing"}}'])
DEAD = (401, [b'{"error":{"message":"bad key"}}'])
UNREACHABLE = UpstreamError("upstream_unreachable")
