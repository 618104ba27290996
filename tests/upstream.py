"""A real HTTP provider for tests and benchmarks: echo behind a server on a port, with a recorder.

    async with Upstream() as upstream:
        upstream.url                   # "http://127.0.0.1:PORT"; the four APIs at their native paths:
        upstream.openai, .anthropic, .gemini, .groq    # what the official libraries take as base URL
        upstream.requests              # list of Received: method, target, headers, body, closed_s
        upstream.script(Scripted(200, [("content-type", "text/event-stream")], [b"data", 0.05, b"…"]))
        upstream.add_headers([("x-request-id", "req_1"), *NOISE])   # on every answer
        upstream.require_key("sk-test")                             # 401 otherwise, wherever the key stands

A script holds for one request, the next one for the next; without one, echo answers: the same bytes for the
same question, so that a call through the gateway can be compared with a call made here. A number among
a script's chunks is a pause in seconds, CUT breaks the connection there.
On a shell: `python -m tests.upstream --port 9000 [--defaults delay=0.02,tokens=200]`.
"""

import argparse
import asyncio
import contextlib
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

if __name__ == "__main__":  # run as a file: its own folder holds tests of the gateway, not the gateway
    sys.path[:] = [place for place in sys.path if not place.endswith("/tests")]

import orjson
from aiohttp import web

from gateway.content import Content
from gateway.contracts import UpstreamRequest
from gateway.errors import UpstreamError
from gateway.names import Slug
from gateway.providers.echo import PLACE, Echo
from gateway.providers.echo.answer import EchoAnswer
from gateway.providers.echo.faults import refusal
from gateway.usage import Nanos

MODELS: Final = ("echo-1", "echo-2")

_PATHS: Final = {
    "/v1/chat/completions": "openai_chat",
    "/v1/responses": "openai_responses",
    "/v1/embeddings": "openai_embeddings",
    "/v1/images/generations": "openai_images",
    "/v1/images/edits": "openai_images",
    "/v1/images/variations": "openai_images",
    "/v1/audio/speech": "openai_speech",
    "/v1/audio/transcriptions": "openai_transcription",
    "/v1/audio/translations": "openai_transcription",
    "/v1/moderations": "openai_moderations",
    "/v1/messages": "anthropic_messages",
    "/v1/messages/count_tokens": "anthropic_count",
}
_VERBS: Final = {
    "generateContent": "gemini_generate",
    "streamGenerateContent": "gemini_generate",
    "countTokens": "gemini_count",
    "embedContent": "gemini_embed",
    "batchEmbedContents": "gemini_embed",
}

CUT: Final = "cut"
"""Among the chunks of a script: break the connection."""

HOP_BY_HOP: Final = (
    "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "proxy-authentication-info", "te", "trailer", "upgrade", "http2-settings", "x-named-by-connection",
)  # fmt: skip
"""Fields that concern one connection; the last one where `connection: x-named-by-connection` names it."""

NOISE: Final = (
    ("set-cookie", "session=canary; Path=/"),
    ("set-cookie", "other=canary"),
    ("server", "canary/1.0"),
    ("via", "1.1 canary"),
    ("x-powered-by", "canary"),
    ("strict-transport-security", "max-age=31536000"),
    ("alt-svc", 'h3=":443"'),
    ("location", "http://canary.invalid/"),
    ("refresh", "0; url=http://canary.invalid/"),
    ("link", "<http://canary.invalid/>; rel=preload"),
    ("access-control-allow-origin", "*"),
    ("access-control-allow-credentials", "true"),
    ("www-authenticate", "Basic realm=canary"),
    ("x-envoy-upstream-service-time", "12"),
    ("cf-ray", "canary"),
    ("report-to", '{"group":"canary"}'),
    ("nel", '{"report_to":"canary"}'),
    ("content-security-policy", "default-src canary.invalid"),
    ("x-internal-host", "canary.internal"),
    ("x-forwarded-for", "192.0.2.77"),
    ("etag", '"canary"'),
    ("age", "7"),
    ("warning", "199 - canary"),
    ("clear-site-data", '"*"'),
    ("x-gateway-model", "canary/canary"),
    ("x-gateway-cost-usd", "0"),
    ("x-request-id", "req_noise"),
    ("request-id", "req_noise"),
    ("x-ratelimit-remaining-requests", "41"),
    ("anthropic-ratelimit-requests-remaining", "42"),
    ("keep-alive", "timeout=77, max=canary"),
    ("proxy-authenticate", "Basic realm=canary"),
    ("proxy-connection", "keep-alive"),
    ("x-named-by-connection", "canary"),
    *((f"x-canary-{at}", "canary") for at in range(12)),
)
"""Forty fields that providers, proxies and attackers put on answers; few of them may reach a client."""


@dataclass(slots=True)
class Received:
    """A request as it came.

    Attributes:
        target: path and query, as they stood in the request line.
        headers: names as they were written, in order.
        closed_s: seconds after its arrival at which its connection was found closed by the other side
            while it was being answered; None when the answer went out whole.
        finished: the answer went out whole.
    """

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    closed_s: float | None = None
    finished: bool = False

    def header(self, name: str) -> str | None:
        """The value of the first field of that name, whatever its case."""
        return next((value for held, value in self.headers if held.lower() == name.lower()), None)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Scripted:
    """An answer by the letter: chunks are sent one by one; a number is a pause in seconds; CUT breaks off."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = (("content-type", "application/json"),)
    chunks: Sequence[bytes | float | str] = ()


@dataclass(frozen=True, slots=True)
class _Free:
    id: Slug
    amount: Nanos


PERMIT: Final = _Free(Slug("test-permit"), Nanos(0))
"""A Permit for tests that drive an Exit without a ledger."""


class Upstream:
    """The provider.

    Attributes:
        requests: all requests so far, oldest first.
        echo: answers where no script does.
    """

    def __init__(self, defaults: str = "", port: int = 0) -> None:
        self.echo = Echo(Echo.Config(defaults=defaults))
        self._groq = Echo(Echo.Config(defaults=f"{defaults},poses=groq".lstrip(",")))
        self.requests: list[Received] = []
        self._port = port
        self._scripts: deque[Scripted] = deque()
        self._added: list[tuple[str, str]] = []
        self._key: str | None = None
        self._arrived = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(
            web.Server(self._handle, handler_cancellation=True, access_log=None),
            shutdown_timeout=0.1,
        )
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await self._site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai(self) -> str:
        """Base URL for OpenAI's library."""
        return self.url + "/v1"

    @property
    def anthropic(self) -> str:
        """Base URL for Anthropic's library."""
        return self.url

    @property
    def gemini(self) -> str:
        """Base URL for Google's library."""
        return self.url

    @property
    def groq(self) -> str:
        """Base URL for Groq's library (it adds /openai/v1); a gateway's own is this with /openai/v1."""
        return self.url

    @property
    def last(self) -> Received:
        """The newest request."""
        return self.requests[-1]

    def script(self, *answers: Scripted) -> None:
        """Give these answers to the next requests, one each."""
        self._scripts.extend(answers)

    def add_headers(self, fields: Iterable[tuple[str, str]]) -> None:
        """Put these fields on every answer from now on, in place of echo's own of the same name."""
        self._added.extend(fields)

    def require_key(self, key: str | None) -> None:
        """Answer 401 (in Gemini's dialect 400) to every call without this key; None: needs no key."""
        self._key = key

    async def until(self, count: int, longest_s: float = 2.0) -> None:
        """Wait until so many requests have come; TimeoutError when they do not."""
        async with asyncio.timeout(longest_s):
            while len(self.requests) < count:
                self._arrived.clear()
                await self._arrived.wait()

    # --- one request -----------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        began = time.monotonic()
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers]
        received = Received(request.method, request.raw_path, fields, b"")
        try:
            received.body = await request.content.read()
        finally:
            self.requests.append(received)
            self._arrived.set()
        try:
            response = await self._respond(request, received)
        except (asyncio.CancelledError, ConnectionError):
            received.closed_s = time.monotonic() - began
            raise
        received.finished = True
        return response

    async def _respond(self, request: web.BaseRequest, received: Received) -> web.StreamResponse:
        if self._scripts:
            return await self._play(request, self._scripts.popleft())
        path = request.raw_path.partition("?")[0]
        if not self._may(request):
            return self._refuse(path)
        if request.method != "POST":
            return self._models(request, path)
        groq = path.startswith("/openai/v1/")
        native = path.removeprefix("/openai") if groq else path
        dialect = _PATHS.get(native) or _VERBS.get(native.rpartition(":")[2])
        if dialect is None:
            return web.json_response({"error": {"message": "no such path", "type": "not_found"}}, status=404)
        asked = UpstreamRequest(
            method="POST",
            url=PLACE + dialect + request.raw_path,
            headers=tuple((name.lower(), value) for name, value in received.headers),
            body=Content(received.body),
        )
        echo = self._groq if groq else self.echo
        try:
            answer = await echo.open(asked, PERMIT)
        except UpstreamError:
            self._break(request)
            return web.Response()
        try:
            return await self._relay(request, answer)
        finally:
            echo.release(answer)

    async def _relay(self, request: web.BaseRequest, answer: EchoAnswer) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status)
        self._put(response, answer.headers)
        try:
            if answer.streamed:
                await response.prepare(request)
                while chunk := await answer.read():
                    await response.write(chunk)
            else:
                await self._whole(request, response, answer)
        except UpstreamError:
            self._break(request)
            return response
        await response.write_eof()
        return response

    async def _whole(
        self, request: web.BaseRequest, response: web.StreamResponse, answer: EchoAnswer
    ) -> None:
        parts: list[bytes] = []
        broken = None
        try:
            while chunk := await answer.read():
                parts.append(chunk)
        except UpstreamError as error:
            broken = error
        body = b"".join(parts)
        response.content_length = len(body) if broken is None else len(body) * 2 + 10
        await response.prepare(request)
        await response.write(body)
        if broken is not None:
            await asyncio.sleep(0.005)  # so that the break does not overtake the bytes
            raise broken

    async def _play(self, request: web.BaseRequest, scripted: Scripted) -> web.StreamResponse:
        response = web.StreamResponse(status=scripted.status)
        self._put(response, scripted.headers)
        await response.prepare(request)
        for chunk in scripted.chunks:
            if isinstance(chunk, bytes):
                await response.write(chunk)
            elif chunk == CUT:
                self._break(request)
                return response
            else:
                await asyncio.sleep(float(chunk))
        await response.write_eof()
        return response

    def _put(self, response: web.StreamResponse, fields: Iterable[tuple[str, str]]) -> None:
        added = {name.lower() for name, _ in self._added}
        for name, value in fields:
            if name.lower() not in added:
                response.headers.add(name, value)
        for name, value in self._added:
            response.headers.add(name, value)

    def _break(self, request: web.BaseRequest) -> None:
        if request.transport is not None:
            request.transport.abort()

    def _may(self, request: web.BaseRequest) -> bool:
        shown = (
            request.headers.get("authorization", "").removeprefix("Bearer "),
            request.headers.get("x-api-key"),
            request.headers.get("x-goog-api-key"),
        )
        return self._key is None or self._key in shown

    def _refuse(self, path: str) -> web.Response:
        family, status = "openai", 401
        if "/models/" in path and ":" in path:
            family, status = "gemini", 400
        elif path.startswith("/v1/messages"):
            family = "anthropic"
        body = next(refusal(family, status, None).events)
        if family == "gemini":
            body = body.replace(b'"error":{', b'"error":{"details":[{"reason":"API_KEY_INVALID"}],', 1)
        return web.Response(body=body, status=status, content_type="application/json")

    def _models(self, request: web.BaseRequest, path: str) -> web.Response:
        if "x-goog-api-key" in request.headers or path.startswith("/v1beta/"):
            listed: dict[str, Any] = {"models": [{"name": f"models/{name}"} for name in MODELS]}
        elif "anthropic-version" in request.headers:
            data: list[Any] = [{"type": "model", "id": name, "display_name": name} for name in MODELS]
            listed = {"data": data, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
        else:
            data = [{"id": name, "object": "model", "created": 1, "owned_by": "echo"} for name in MODELS]
            listed = {"object": "list", "data": data}
        return web.json_response(listed)


async def serve(port: int, defaults: str) -> None:
    """Serve until interrupted."""
    async with Upstream(defaults, port) as upstream:
        print(upstream.url, flush=True)
        while True:
            await asyncio.sleep(3600)
            upstream.requests.clear()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description="a provider for tests: all four APIs, answered by echo")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--defaults", default="", help="orders for every call, such as delay=0.02,tokens=200")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments.port, arguments.defaults))


if __name__ == "__main__":
    main()
