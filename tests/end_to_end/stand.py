"""Stand: a running gateway with a real HTTP provider behind it, and ways to ask either of the two."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

from gateway.records import Record
from tests.installation import Installation
from tests.upstream import Upstream

OPENAI, CLAUDE, GEMINI = "gpt-4o-mini", "claude-sonnet-5-5", "gemini-2.5-flash"
LLAMA = "llama-3.3-70b-versatile"
"""One model of each provider that the price book knows."""

PROVIDER_KEYS = {name: f"sk-{name}-of-the-operator" for name in ("openai", "anthropic", "gemini", "groq")}


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: the body as bytes, and as the pieces in which it was read."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def events(self) -> list[bytes]:
        """The events of a stream, without the blank lines between them."""
        return self.body.replace(b"\r\n", b"\n").removesuffix(b"\n\n").split(b"\n\n")


def providers(upstream: Upstream, keys: bool = True) -> dict[str, dict[str, Any]]:
    """The [providers] tables that lead all four providers to the upstream, with keys or without."""
    places = {
        "openai": upstream.openai,
        "anthropic": upstream.anthropic,
        "gemini": upstream.gemini,
        "groq": upstream.groq + "/openai/v1",
    }
    return {
        name: {"base_url": place, "allow_private": True, **({"api_key": PROVIDER_KEYS[name]} if keys else {})}
        for name, place in places.items()
    }


def merge(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two configuration trees together; the other one's values win."""
    joined = dict(one)
    for name, value in other.items():
        held = joined.get(name)
        joined[name] = merge(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return joined


class Stand:
    """A gateway and the provider behind it.

    Attributes:
        upstream: answers for all four providers. A tree that needs its address is made by a function of it.
        gateway: the installation under test.
    """

    def __init__(
        self,
        folder: Path,
        tree: dict[str, Any] | Callable[[Upstream], dict[str, Any]] | None = None,
        defaults: str = "",
        keys: bool = True,
    ) -> None:
        self._keys = keys
        self._folder = folder
        self._tree = tree or {}
        self.upstream = Upstream(defaults)

    async def __aenter__(self) -> Self:
        await self.upstream.__aenter__()
        own = self._tree(self.upstream) if callable(self._tree) else self._tree
        tree = merge({"providers": providers(self.upstream, self._keys)}, own)
        self.gateway = Installation(self._folder, tree)
        await self.gateway.start()
        self.session = aiohttp.ClientSession(auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self.gateway.stop()
        await self.upstream.__aexit__(*_)

    @property
    def key(self) -> str:
        """The gateway's key that may do everything."""
        return self.gateway.key

    async def ask(
        self,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        method: str = "POST",
    ) -> Answered:
        """A call through the gateway; body is a JSON tree or bytes."""
        return await self._call(self.gateway.url + path, body, key or self.key, headers, method)

    async def ask_directly(self, path: str, body: Any, *, headers: dict[str, str] | None = None) -> Answered:
        """The same call straight to the provider."""
        return await self._call(self.upstream.url + path, body, "direct", headers, "POST")

    async def _call(
        self, url: str, body: Any, key: str, headers: dict[str, str] | None, method: str
    ) -> Answered:
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        fields = {"content-type": "application/json", **key_field(url, key), **(headers or {})}
        data = io.BytesIO(sent) if sent and len(sent) > 1 << 20 else sent  # aiohttp warns of large bytes
        async with self.session.request(method, url, data=data, headers=fields) as response:
            received = await response.read()
            return Answered(response.status, {n.lower(): v for n, v in response.headers.items()}, received)

    async def record(self) -> Record:
        """The only record there is, once nothing is held any more."""
        records = await self.gateway.records()
        assert len(records) == 1
        assert self.held == (0, 0)
        return records[0]

    async def record_of(self, request_id: str) -> Record:
        """The record of the call with that x-gateway-request-id."""
        for _ in range(400):
            for record in await self.gateway.records(0):
                if record.id == request_id:
                    return record
            await asyncio.sleep(0.005)
        raise AssertionError("there is no record of this call")

    @property
    def held(self) -> tuple[int, int]:
        """Nano-dollars and calls that are held now."""
        ledger = self.gateway.app._ledger
        return ledger.held, ledger.open_holds


def key_field(url: str, key: str) -> dict[str, str]:
    """The header in which clients of that path send their key."""
    if ":" in url.rpartition("/")[2] or "/v1beta/" in url:
        return {"x-goog-api-key": key}
    if "/v1/messages" in url:
        return {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return {"authorization": f"Bearer {key}"}


def user(text: str) -> Any:
    """Messages of one turn, as any library wants them."""
    return [{"role": "user", "content": text}]


@dataclass(frozen=True, slots=True)
class Place:
    """A dialect's stream: how to ask for one.

    Attributes:
        name: of the dialect, for test ids.
        done: what the whole stream ends with.
    """

    name: str
    path: str
    model: str
    done: bytes

    def body(self, text: str, **more: Any) -> dict[str, Any]:
        """A call's body with this text of the user."""
        match self.name:
            case "chat" | "groq":
                return {"model": self.model, "messages": user(text), "stream": True, **more}
            case "responses":
                return {"model": self.model, "input": text, "stream": True, **more}
            case "messages":
                return {
                    "model": self.model,
                    "max_tokens": 400,
                    "messages": user(text),
                    "stream": True,
                    **more,
                }
        return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


STREAMS: Sequence[Place] = (
    Place("chat", "/v1/chat/completions", OPENAI, b"[DONE]"),
    Place("responses", "/v1/responses", OPENAI, b"response.completed"),
    Place("messages", "/v1/messages", CLAUDE, b"message_stop"),
    Place("gemini", f"/v1beta/models/{GEMINI}:streamGenerateContent?alt=sse", GEMINI, b'"STOP"'),
    Place("groq", "/openai/v1/chat/completions", LLAMA, b"[DONE]"),
)


class RawClient:
    """A client on a socket of its own, that can leave at any moment.

    Attributes:
        body: the answer's bytes so far, chunk framing taken out.
        ended: how the answer ended: "whole" by its last chunk, "broken" without, None: not yet.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.head = b""
        self.body = b""
        self.ended: str | None = None

    @property
    def id(self) -> str:
        """The call's x-gateway-request-id."""
        return self.head.decode().lower().split("x-gateway-request-id: ")[1].split("\r\n")[0]

    async def read_head(self) -> int:
        """Read the answer's head; its status."""
        self.head = await self._reader.readuntil(b"\r\n\r\n")
        return int(self.head.split(b" ", 2)[1])

    async def read_piece(self) -> bytes:
        """The next chunk of the body; empty when it ended."""
        try:
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            piece = (await self._reader.readexactly(size + 2))[:-2]
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended = "broken"
            return b""
        self.body += piece
        if not piece:
            self.ended = "whole"
        return piece

    async def read_all(self) -> None:
        """Read until the answer's end."""
        while await self.read_piece():
            pass

    def leave(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()


@asynccontextmanager
async def connected(stand: Stand, path: str, body: Any, key: str | None = None) -> AsyncIterator[RawClient]:
    """A call sent to the gateway on a socket of its own; its answer is still to be read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stand.gateway.port)
    sent = json.dumps(body).encode()
    fields = {"host": "gateway", "content-type": "application/json", "content-length": str(len(sent))}
    fields |= key_field(path, key or stand.key)
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + sent)
    client = RawClient(reader, writer)
    try:
        yield client
    finally:
        client.leave()
        await asyncio.sleep(0)


async def eventually(true: Callable[[], bool], longest_s: float = 2.0) -> None:
    """Wait until something is so; AssertionError when it is not in time."""
    for _ in range(round(longest_s * 1000)):
        if true():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not happen in time")


async def drain(stream: Any, seen: list[Any]) -> None:
    """Read a library's stream to its end; what came is in seen, also when it raises."""
    async for event in stream:
        seen.append(event)
