"""The least that a proxy on aiohttp can do, tuned: bytes in, bytes out, nothing read, checked or kept."""

import asyncio
import gc
import sys

import aiohttp
from aiohttp import web

try:
    import uvloop
except ImportError:
    uvloop = None

CARRIED = ("Content-Type", "Authorization", "Accept", "User-Agent")


class Passthrough:
    """Sends each request on to one address and streams the answer back."""

    def __init__(self, target: str, session: aiohttp.ClientSession) -> None:
        self._target = target
        self._session = session

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.path == "/readyz":
            return web.Response()
        headers = {name: request.headers[name] for name in CARRIED if name in request.headers}
        body = await request.read()
        async with self._session.request(
            request.method, self._target + request.path_qs, data=body, headers=headers, allow_redirects=False
        ) as answer:
            kind = answer.headers.get("Content-Type", "application/octet-stream")
            if answer.content_length is not None:
                return web.Response(
                    status=answer.status, body=await answer.read(), headers={"Content-Type": kind}
                )
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": kind})
            response.enable_chunked_encoding()
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


async def serve(port: int, target: str) -> None:
    """Serve until killed."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60, use_dns_cache=True)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
    ) as session:
        server = web.Server(Passthrough(target, session), access_log=None)
        runner = web.ServerRunner(server)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
        gc.collect()
        gc.freeze()
        await asyncio.Event().wait()


if __name__ == "__main__":
    run = uvloop.run if uvloop is not None else asyncio.run
    run(serve(int(sys.argv[1]), sys.argv[2]))
