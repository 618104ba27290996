"""AdminListener: the admin application on a port, behind connections that never quote a request."""

import asyncio
from collections.abc import Sequence
from socket import socket
from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway import log

QUIET: Final = {"Server": "tollgate"}
"""Not which software in which version."""


class AdminListener:
    """Serves one application.

    Attributes:
        port: what it listens on, once started.
    """

    def __init__(self, application: web.Application) -> None:
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False)
        self._servers: list[asyncio.Server] = []
        self.port = 0

    async def start(self, host: str, port: int, sockets: Sequence[socket] = ()) -> None:
        """Listen; on sockets, where some are bound already.

        Raises:
            OSError: the address cannot be had.
        """
        await self._runner.setup()
        manager, loop = self._runner.server, asyncio.get_running_loop()
        assert manager is not None
        places: list[dict[str, Any]] = [{"sock": one} for one in sockets] or [{"host": host, "port": port}]
        for place in places:
            server = await loop.create_server(lambda: _Connection(manager, loop=loop), **place)
            self._servers.append(server)
        self.port = int(self._servers[0].sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop, and close all connections."""
        for server in self._servers:
            server.close()
        await self._runner.cleanup()


class _Connection(RequestHandler):
    """A connection whose refusals have a fixed text."""

    __slots__ = ()

    def __init__(self, manager: web.Server, *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(manager, loop=loop, access_log=None, debug=False)  # type: ignore[arg-type]

    def handle_error(
        self, request: Any, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer a request that cannot be read, or that a handler failed at."""
        if exc is not None and status >= 500:
            log.fact("admin.failed", log.Level.ERROR, error=log.kind(exc), place=log.place(exc))
        if request.writer is not None and request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        name = "bad_request" if status < 500 else "unavailable"
        response = web.Response(
            body=orjson.dumps({"error": name}), status=status, content_type="application/json", headers=QUIET
        )
        response.force_close()
        return response

    def log_debug(self, *args: Any, **kw: Any) -> None:
        """Nothing: the arguments may quote the request."""

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Nothing: the arguments may quote the request."""
