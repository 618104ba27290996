"""selfcheck: canary calls through a running installation, then a search of everything it wrote."""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Final

import orjson

from gateway import opening, rehearsal
from gateway.accounts import keys, tree
from gateway.commands import setting
from gateway.config import Config, ConfigError
from gateway.content import Purpose
from gateway.contracts import KeyRow, Store
from gateway.flow import Flow
from gateway.names import Slug
from gateway.privacy import bodies, places
from gateway.privacy.calling import Calls, send
from gateway.privacy.canary import Canary
from gateway.privacy.cases import Case, Cases, Offers
from gateway.privacy.planting import self_test
from gateway.privacy.search import Search

KEY_NAME: Final = Slug("selfcheck-privacy")
KEY_LIFE_MS: Final = 3_600_000
READY_S: Final = 5.0
"""How long processes may take to learn of the key."""
SILENT_S: Final = 1.0
"""How long nobody may answer at all."""
PAGES: Final = (
    "/metrics", "/admin/config", "/admin/keys", "/admin/usage?hours=1", "/healthz", "/readyz",
    "/admin/usage?hours=1&by=model_requested,model_routed,feature,session,customer,error_code",
)  # fmt: skip


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    check = commands.add_parser("selfcheck", help="prove something about a running installation")
    subjects = check.add_subparsers(metavar="SUBJECT", required=True)
    privacy = subjects.add_parser(
        "privacy", parents=[shared], help="canary calls, then a search of everything that was written"
    )
    privacy.add_argument("--calls", type=int, help="at least so many calls (default: each case once)")
    privacy.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check and report; 1 when anything was found, or could not be searched."""
    report = asyncio.run(_check(setting.load_config(arguments), arguments.calls or 0))
    if report.problem:
        print(report.problem, file=sys.stderr)
        return setting.FAILED
    print(orjson.dumps(report.as_data()).decode() if arguments.json else report.as_text())
    return setting.GOOD if report.good else setting.FAILED


@dataclass(slots=True)
class Report:
    """What was done and found."""

    search: Search
    calls: Calls = field(default_factory=Calls)
    planted: tuple[int, int] = (0, 0)
    not_seen: list[str] = field(default_factory=list)
    problem: str | None = None

    @property
    def good(self) -> bool:
        """Nothing was found by a search that finds."""
        return self.search.clean and self.planted[0] == self.planted[1] > 0 and not self.problem

    def as_data(self) -> dict[str, Any]:
        """For programs."""
        return {
            "ok": self.good,
            "mark": self.search.canary.stem,
            "planted": {"found": self.planted[0], "of": self.planted[1]},
            "calls": self.calls.outcomes.total(),
            "outcomes": dict(sorted(self.calls.outcomes.items())),
            "searched": {"places": sorted(self.search.places), "bytes": self.search.size},
            "hits": [asdict(hit) for hit in self.search.hits],
            "unread": self.search.unread,
            "not_seen": self.not_seen,
        }

    def as_text(self) -> str:
        """For people."""
        found, planted = self.planted
        outcomes = ", ".join(f"{count} with {name}" for name, count in sorted(self.calls.outcomes.items()))
        lines = [
            f"search    finds {found} of {planted} kinds of leak when they are planted",
            f"calls     {self.calls.outcomes.total()} ({outcomes})",
            f"searched  {len(self.search.places)} files and pages, {self.search.size:,} bytes",
        ]
        for place in self.not_seen:
            lines.append(f"not seen  {place}; look there for {self.search.canary.stem}")
        lines += [f"unread    {place}" for place in self.search.unread]
        for hit in self.search.hits:
            part = f", from the part: {hit.part}" if hit.part else ""
            lines.append(f"FOUND     {hit.place}, byte {hit.at}, {hit.form}{part}")
        lines.append("result    nothing was kept" if self.good else "result    NOT GOOD")
        return "\n".join(lines)


async def _check(config: Config, calls: int) -> Report:
    since_ns = time.time_ns() - 10**9  # a file system may date to a coarse clock
    report = Report(Search(Canary()), planted=self_test())
    master = opening.load_master_key(config)
    store = await opening.open_store(config)
    try:
        project = await tree.ensure_root(store)
        expires_ms = since_ns // 10**6 + KEY_LIFE_MS
        row, clear = await keys.create_key(store, master.pepper, project, KEY_NAME, expires_ms=expires_ms)
        try:
            await _call(config, report, clear.open(Purpose.AUTH), calls)
        finally:
            await _revoke(store, row)
    finally:
        await store.close()
    if not report.problem:
        await asyncio.sleep(config.records.interval + config.metrics.interval + 0.5)
        await _search(config, report, since_ns)
    return report


async def _revoke(store: Store, row: KeyRow) -> None:
    await keys.revoke_key(store, row, (await store.accounts.load()).keys)


async def _call(config: Config, report: Report, key: str, calls: int) -> None:
    door = places.door(config.server.listen, config.server.tls_certificate)
    host = config.server.listen.replace("0.0.0.0", "127.0.0.1")
    cases = Cases(report.search.canary, host, key, _offers(config, report), gently=config.upstream.breaker)
    hello = Case(name="hello", sent=cases.post("/v1/chat/completions", HELLO))
    began = time.monotonic()
    while (answer := await send(door, hello))[9:12] != b"200":
        if time.monotonic() - began > (READY_S if answer else SILENT_S):
            report.problem = (
                f"{config.server.listen}: no installation answers there; start it first"
                if not answer
                else f"{config.server.listen}: answers, but not to a key of this store: check --config"
            )
            return
        await asyncio.sleep(0.1)
    await report.calls.run(door, cases.all())
    while (missing := calls - report.calls.outcomes.total()) > 0:
        await report.calls.run(door, islice(cases.all(), missing))


def _offers(config: Config, report: Report) -> Offers:
    try:
        return offers_of(rehearsal.build(config))
    except ConfigError:  # its plugins are elsewhere, or it changed since the installation began
        report.not_seen.append("routes and translations, as the configuration cannot be built here")
        return Offers()


def offers_of(built: Flow) -> Offers:
    """What a configuration offers that echo answers, and nobody else."""
    only: dict[str, str] = {}
    for loaded in built.pool.all():
        if loaded.use == ECHO and len(loaded.provider.speaks) == 1:
            [dialect] = loaded.provider.speaks
            only.setdefault(dialect, f"{loaded.name}/{bodies.MODEL}")
    return Offers(only, [name for name in built.routes if _stays_here(built, name)])


def _stays_here(built: Flow, route: Slug) -> bool:
    """Whether every model that a route can lead to is echo's: also where its policy fails."""
    policy = built.routes[route]
    names = {*policy.leaves(), *(name for chain in policy.on.values() for name in chain)}
    names |= {policy.baseline} if policy.baseline else set()
    found = [built.catalogue.resolve(name) for name in names]
    if any(one is None for one in found):
        return False
    asked = built.catalogue.resolve(route)  # a route may have the name of a model
    targets = [one[0] for one in (*found, asked) if one is not None]
    echoes = {loaded.name for loaded in built.pool.all() if loaded.use == ECHO}
    return all(target.provider_name in echoes for target in targets)


ECHO: Final = "echo"

HELLO: Final = b'{"model":"echo-1","messages":[{"role":"user","content":"Hello"}]}'


async def _search(config: Config, report: Report, since_ns: int) -> None:
    search = report.search
    search.data("heads of the answers", b"\n".join(report.calls.heads))
    for place, page in [one async for one in _pages(config, search.canary)]:
        search.data(place, page)
    places.search_files(search, config, since_ns)
    found = places.processes(config)
    for process in found:
        files, reason = places.outputs(process)
        for file in files:
            search.file(file)
        if reason is not None:
            report.not_seen.append(reason)
    if not found:
        report.not_seen.append("the running processes are not on this machine")


async def _pages(config: Config, canary: Canary) -> Any:
    door = places.door(config.server.admin_listen, None)
    token = opening.admin_token(config).open(Purpose.AUTH)
    for path, sent in _page_requests(config.server.admin_listen, token, canary):
        answer = await send(door, Case(name=path, sent=sent))
        yield f"admin {path}", answer


def _page_requests(host: str, token: str, canary: Canary) -> Iterator[tuple[str, bytes]]:
    head = f"host: {host}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n"
    wrong = head.replace(token, canary.mark("wrong admin token"))
    mark = canary.mark("admin request")

    def post(path: str, body: bytes) -> bytes:
        length = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        return f"POST {path} HTTP/1.1\r\n{head}{length}".encode() + body

    for turns in ([{"role": "user", "content": mark}], *bodies.odd_turns(canary), mark, {mark: mark}):
        explained = {"model": "echo-1", "messages": turns, mark: mark}
        yield "explain", post("/admin/explain", orjson.dumps(explained))
    yield "explain no JSON", post("/admin/explain", mark.encode())
    for name, rows in bodies.odd_outcomes(canary).items():
        yield f"outcomes, {name}", post("/admin/outcomes", rows)
    yield "wrong token", f"GET /admin/keys HTTP/1.1\r\n{wrong}\r\n".encode()
    yield "unknown", f"GET /admin/{mark}?{mark}={mark} HTTP/1.1\r\n{head}x-a: {mark}\r\n\r\n".encode()
    yield "wrong column", f"GET /admin/usage?by={mark} HTTP/1.1\r\n{head}\r\n".encode()
    yield "malformed", f"GET /{mark} HTTP/1.1\r\n{mark}\r\n\r\n".encode()
    for path in PAGES:  # last, so that they would show what the others left
        yield path, f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()
