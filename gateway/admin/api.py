"""The admin listener: health, readiness, metrics, and sums for operators; loopback by default.

Everything but /healthz and /readyz asks for the admin token. No answer holds a secret, and none can
hold content, because what is served is made of Records and names.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from gateway import outcomes
from gateway.accounts.facts import Facts
from gateway.clock import Clock
from gateway.content import Purpose, Secret
from gateway.contracts import Span, Store, StoreError

DAY_US = 86_400 * 10**6
AT_ONCE = 100
"""Keys that are listed before calls get a turn of the event loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the admin API speaks for."""

    store: Store
    clock: Clock
    metrics: Callable[[], str]
    ready: Callable[[], bool]
    explain: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
    targets: Callable[[], list[dict[str, Any]]] = list
    configuration: Callable[[], dict[str, Any]]
    token: Secret


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminApi:
    """Builds the admin application."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def application(self) -> web.Application:
        """An aiohttp application with its routes; whatever is not listed as open asks for the token."""
        app = web.Application(middlewares=[self._guard], client_max_size=1 << 20)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._readiness)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/admin/usage", self._usage)
        app.router.add_get("/admin/keys", self._keys)
        app.router.add_get("/admin/health", self._targets)
        app.router.add_get("/admin/config", self._config)
        app.router.add_post("/admin/explain", self._explain)
        app.router.add_post("/admin/outcomes", self._outcomes)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.http_exception is not None:
            return _json({"error": "not_found"}, 404)
        if request.path not in OPEN and not self._is_authorised(request):
            return _json({"error": "invalid_token"}, 401)
        try:
            response = await handler(request)
        except StoreError:
            response = _json({"error": "unavailable"}, 503)
        except ValueError:
            response = _json({"error": "bad_request"}, 400)
        response.headers.update(SAFE)
        return response

    def _is_authorised(self, request: web.Request) -> bool:
        presented = request.headers.get("authorization", "").removeprefix("Bearer ")
        expected = self._services.token.open(Purpose.AUTH)
        return hmac.compare_digest(presented.encode("utf-8", "surrogateescape"), expected.encode())

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readiness(self, request: web.Request) -> web.Response:
        ready = self._services.ready()
        return web.Response(text="ready\n" if ready else "not ready\n", status=200 if ready else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(text=self._services.metrics(), content_type="text/plain")

    async def _usage(self, request: web.Request) -> web.Response:
        now = self._services.clock.now_us()
        hours = int(request.query.get("hours", "24"))
        if not 0 < hours <= 24 * 3660:
            raise ValueError("hours")
        by = [name for name in request.query.get("by", "").split(",") if name]
        span = Span(since_us=now - hours * 3600 * 10**6, until_us=now + DAY_US)
        return _json({"rows": await self._services.store.records.sums(span, by)})

    async def _keys(self, request: web.Request) -> web.Response:
        accounts = await self._services.store.accounts.load()
        keys = []
        for number, shown in enumerate(Facts(accounts, self._services.clock.now_us() // 1000).keys()):
            keys.append(shown)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        return _json({"keys": keys})

    async def _targets(self, request: web.Request) -> web.Response:
        """Which targets this process sets aside; other workers have breakers of their own."""
        return _json({"targets": self._services.targets()})

    async def _config(self, request: web.Request) -> web.Response:
        return _json(self._services.configuration())

    async def _explain(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        if not isinstance(body, dict):
            raise ValueError("an object is expected")
        return _json(await self._services.explain(body))

    async def _outcomes(self, request: web.Request) -> web.Response:
        rows = orjson.loads(await request.read())
        rows = [rows] if isinstance(rows, dict) else rows
        if not isinstance(rows, list) or len(rows) > outcomes.MOST_ROWS:
            raise ValueError("a list of so many rows is expected")
        try:
            judgements = outcomes.read_judgements(rows)
        except outcomes.OutcomeError as error:
            return _json({"error": "bad_request", "row": error.place, "about": error.field}, 400)
        now_ms = self._services.clock.now_us() // 1000
        taken = await outcomes.take(self._services.store, judgements, now_ms)
        return _json({"added": taken.added, "known": taken.known, "unknown": taken.unknown})


OPEN = frozenset({"/healthz", "/readyz"})

SAFE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Server": "tollgate",
}


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=SAFE)
