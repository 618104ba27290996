"""Every await of a call cancelled, every hook of a call failing: is there always one record, and no hold?

python tests/campaigns/fault_points.py

The real stages run over scripted answers, and over the real transport with a provider on a port. The
coroutine of a call is driven by hand: at its first suspension, then at its second, and so on, it is
cancelled, cancelled twice, given an exception, or closed. Then every hook (provider, router, classifier,
meter, filter, observer, …) is made to raise, one use after the other. Exits with 1 when anything is wrong.
"""

import asyncio
import gc
import io
import logging
import sys
import tempfile
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final, cast

import orjson

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gateway import log
from gateway.content import EMPTY, Content, Secret
from gateway.contracts import Call, Envelope, Headers
from gateway.dialects import DIALECTS
from gateway.edge.transport import Transport, tls_context
from gateway.errors import UpstreamError
from gateway.exchange import Exchange
from gateway.flow import Flow, Lasting
from gateway.names import Slug
from gateway.records import Outcome, PathKind
from gateway.translation import TONGUES
from gateway.upstreams.policy import Policy
from tests.campaigns.judge import Verdict
from tests.fakes.flow import BUSY, FAILED, REFUSED, UNREACHABLE, ListSink, OneCaller, Stand, stand, whole
from tests.upstream import Upstream

CANARY: Final = "canary-of-the-fault-points"
CHAT: Final = Slug("openai_chat")
CLAUDES: Final = Slug("anthropic_messages")
TLS: Final = tls_context(None)
MOST: Final = 500
"""Points of one call; more is a mistake of the campaign."""


class Sabotage(RuntimeError):
    """What no program expects."""


class Strike(Enum):
    """What is done to a call at a point."""

    CANCEL = "cancelled"
    CANCEL_TWICE = "cancelled twice"
    RAISE = "given an exception"
    CLOSE = "closed"


class Driven:
    """Runs a coroutine within the task that awaits this, and strikes at one of its suspensions.

    Attributes:
        points: suspensions so far.
        struck: whether it came to the point.
    """

    def __init__(self, work: Coroutine[Any, Any, None], at: int, strike: Strike) -> None:
        self._work, self._at, self._strike = work, at, strike
        self.points = 0
        self.struck = False

    def __await__(self) -> Generator[Any, Any, None]:
        step: Callable[[], Any] = lambda: self._work.send(None)  # noqa: E731
        while True:
            try:
                waits_for = step()
            except StopIteration:
                return
            self.points += 1
            if self.points == self._at and self._strike in (Strike.RAISE, Strike.CLOSE):
                self.struck = True
                if waits_for is not None:
                    waits_for._asyncio_future_blocking = False
                    waits_for.cancel()  # as a task does, so that what it stands for is given up
                if self._strike is Strike.CLOSE:
                    self._work.close()
                    return
                step = lambda: self._work.throw(Sabotage(CANARY))  # noqa: E731
                continue
            twice = self._strike is Strike.CANCEL_TWICE and self.points == self._at + 1
            if twice or (self.points == self._at and self._strike in (Strike.CANCEL, Strike.CANCEL_TWICE)):
                self.struck = True
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                told = yield waits_for
            except BaseException as error:  # whatever the task is given is the call's
                caught = error
                step = lambda: self._work.throw(caught)  # noqa: B023, E731
            else:
                step = lambda: self._work.send(told)  # noqa: B023, E731


class Hooks:
    """Counts the uses of hooks; one of them raises.

    Attributes:
        used: names of the hooks, in the order of their use.
    """

    def __init__(self) -> None:
        self._at: int | None = None
        self.used: list[str] = []

    def aim(self, at: int) -> None:
        """From now on the use of that number fails, counted from now."""
        self._at = at
        self.used = []

    @property
    def struck(self) -> bool:
        """Whether it came to that use."""
        return self._at is not None and len(self.used) >= self._at

    def hit(self, name: str) -> None:
        """A hook is used."""
        self.used.append(name)
        if len(self.used) == self._at:
            raise Sabotage(CANARY)


LAST: Final = frozenset({"release", "abort"})
"""Hooks that do their work before they fail: what they let go must count as let go."""
MAKERS: Final = frozenset({"meter", "filter", "reader", "writer"})


class Wired:
    """Anything, with its methods and properties wired to hooks."""

    def __init__(self, inner: Any, name: str, hooks: Hooks) -> None:
        self._inner, self._name, self._hooks = inner, name, hooks

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        label = f"{self._name}.{name}"
        if not callable(value):
            self._hooks.hit(label)
            return value

        def use(*arguments: Any, **named: Any) -> Any:
            if name not in LAST:
                self._hooks.hit(label)
            made = value(*arguments, **named)
            if name in LAST:
                self._hooks.hit(label)
            return Wired(made, name, self._hooks) if name in MAKERS and made is not None else made

        return use


class Slow:
    """An Exit whose answers come only after the loop has turned; counts what it opened."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.opened = 0

    async def open(self, request: Any, permit: Any) -> "SlowAnswer":
        await asyncio.sleep(0)
        answer = await self._inner.open(request, permit)
        self.opened += 1
        return SlowAnswer(answer)

    def release(self, answer: "SlowAnswer") -> None:
        self._inner.release(answer)


class SlowAnswer:
    """See Slow."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.status, self.headers = inner.status, inner.headers

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        chunk = cast(bytes, await self._inner.read())
        await asyncio.sleep(0)
        return chunk


class SlowSink(ListSink):
    """A client that is written to only after the loop has turned."""

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        await asyncio.sleep(0)
        await super().start(status, headers, length)

    async def write(self, chunk: bytes) -> None:
        await asyncio.sleep(0)
        await super().write(chunk)
        await asyncio.sleep(0)

    async def finish(self) -> None:
        await asyncio.sleep(0)
        await super().finish()


@dataclass(frozen=True, slots=True)
class Scene:
    """A call and what becomes of it when nothing is done to it."""

    name: str
    scripts: tuple[Any, ...]
    body: dict[str, Any] = field(default_factory=dict)
    upstream: dict[str, Any] = field(default_factory=dict)
    leaves_after: int | None = None
    power: bool = False


EVENT: Final = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
USAGE: Final = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}\n\n'
DONE: Final = b"data: [DONE]\n\n"
STREAM: Final = (200, [EVENT, EVENT, USAGE, DONE])
ASKED: Final = {"stream": True, "stream_options": {"include_usage": True}}
BOTH: Final = {"model": "both"}
SMALL: Final = {"whole_answer": "64B"}

HIDDEN: Final = (200, [b'data: {"error":{"message":"not now","type":"server_error"}}\n\n'])
CLAUDE: Final = orjson.dumps({
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m3", "stop_reason": "end_turn",
    "content": [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"type": "text", "text": "hi"}],
    "usage": {"input_tokens": 5, "output_tokens": 7},
})  # fmt: skip
CLAUDE_STREAM: Final = [
    b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))
    for event in (
        {"type": "message_start", "message": {**orjson.loads(CLAUDE), "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    )
]

SCENES: Final = (
    Scene("whole", ((200, [whole()[:40], whole()[40:]]),)),
    Scene("whole, made durable", ((200, [whole()]),), power=True),
    Scene("too large to hold", ((200, [whole()[:90], whole()[90:]]),), upstream=SMALL),
    Scene("stream", (STREAM,), ASKED),
    Scene("stream whose usage is taken out", (STREAM,), {"stream": True}),
    Scene("stream that breaks", ((200, [EVENT, UpstreamError("upstream_cut")]),), ASKED),
    Scene("stream without its end", ((200, [EVENT]),), ASKED),
    Scene("stream, second target", (BUSY, STREAM, STREAM), {**ASKED, **BOTH}),
    Scene("unreachable, second target", (UNREACHABLE, (200, [whole()])), BOTH),
    Scene("all fail", (FAILED, FAILED, FAILED), BOTH),
    Scene("refused", (REFUSED,) * 5),
    Scene("client leaves", (STREAM,), ASKED, leaves_after=1),
    Scene("by task and words", (STREAM,), {**ASKED, "model": "tasks"}),
    Scene("error in a 200, second target", (HIDDEN, HIDDEN, STREAM), {**ASKED, "model": "tasks"}),
    Scene("dearer target", (UNREACHABLE, UNREACHABLE, (200, [whole()])), {"model": "dearer"}),
    Scene("translated", ((200, [CLAUDE[:90], CLAUDE[90:]]),), {"model": "m3"}),
    Scene("translated stream", ((200, CLAUDE_STREAM),), {"model": "m3", **ASKED}),
    Scene("translated stream that breaks", ((200, CLAUDE_STREAM[:3]),), {"model": "m3", **ASKED}),
    Scene("translated, garbled", ((200, [b"oops"]),) * 5, {"model": "m3"}),
    Scene("translated, refused", ((400, [b'{"type":"error","error":{"message":"no"}}']),), {"model": "m3"}),
    Scene("translated after another", (BUSY, (200, CLAUDE_STREAM), (200, CLAUDE_STREAM)),
          {"model": "any", **ASKED}),
    Scene("not to be translated", ((200, [whole()]),), {"model": "other-any", "audio": {"voice": "alloy"},
                                                        "modalities": ["audio"]}),
)  # fmt: skip


@contextmanager
def wired(one: Stand, hooks: Hooks) -> Iterator[None]:
    """The parts of a flow that plugins and dialects provide, wired."""
    built: Any = one.flow
    for loaded in built.pool.all():
        loaded.provider = Wired(loaded.provider, "provider", hooks)
    _lead(one, Wired(one.exit, "exit", hooks))
    built.route._routes = {name: _wire(policy, hooks) for name, policy in built.route._routes.items()}
    built.classify._classifiers = [Wired(one, "classifier", hooks) for one in built.classify._classifiers]
    built.pipeline._record._observers = (Wired(Watching(), "observer", hooks),)
    built.pipeline._auth._directory = Wired(built.pipeline._auth._directory, "directory", hooks)
    dialects, tongues = dict(DIALECTS), dict(TONGUES)
    for name in (CHAT, CLAUDES):
        DIALECTS[name] = cast(Any, Wired(dialects[name], "dialect", hooks))
        cast(Any, TONGUES)[name] = Wired(tongues[name], "tongue", hooks)
    try:
        yield
    finally:
        DIALECTS.update(dialects)
        cast(Any, TONGUES).update(tongues)


def _wire(policy: Policy, hooks: Hooks) -> Policy:
    """The same, with the routers of all policies inside it wired."""
    parts = {name: _wire(part, hooks) for name, part in policy.parts.items()}
    return replace(policy, router=Wired(policy.router, "router", hooks), parts=parts)


KINDS: Final = {"request": "provider", "plan": "router", "labels": "classifier", "find": "directory"}
"""A method that only one kind of hook has, and the kind."""


def bare(built: Any) -> set[str]:
    """Kinds of plugins that the stages of a flow can reach without a wire between."""
    found: set[str] = set()
    seen: set[int] = set()
    waiting: list[Any] = [built.pipeline]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, Wired | Stand | Flow | Lasting | type | ModuleType):
            continue
        seen.add(id(one))
        if isinstance(one, FunctionType):  # what it was made with; all modules are behind its globals
            waiting += [cell.cell_contents for cell in one.__closure__ or ()]
            continue
        home = type(one).__module__
        if home.startswith(("gateway.providers", "gateway.routers")) or isinstance(one, OneCaller):
            found |= {kind for method, kind in KINDS.items() if callable(getattr(one, method, None))}
        waiting += gc.get_referents(one)
    return found


def _lead(one: Stand, exit: Any) -> None:
    for loaded in one.flow.pool.all():
        loaded.exit = exit
    catalogue: Any = one.flow.catalogue  # which remembers the targets that it has made
    catalogue._places.clear()
    catalogue._found.clear()


class Watching:
    """An observer."""

    def saw(self, record: object) -> None:
        """Look."""


def _parse(body: dict[str, Any]) -> Call:
    tree = {"model": "m1", "messages": [{"role": "user", "content": "hello"}]} | body
    return DIALECTS[CHAT].read_call(Envelope(kind=PathKind.CHAT, body=Content(orjson.dumps(tree))))


def _begin(one: Stand, scene: Scene) -> tuple[Exchange, SlowSink, Coroutine[Any, Any, None]]:
    client = SlowSink(scene.leaves_after)
    exchange = Exchange(Slug("req-1"), 1, 1, client, Secret("right"), EMPTY)

    async def read() -> Call:
        await asyncio.sleep(0)
        return _parse(scene.body)

    return exchange, client, one.flow.pipeline(exchange, read)


def _judge(verdict: Verdict, one: Stand, exchange: Exchange, client: ListSink, what: str) -> None:
    verdict.need(len(one.records) == 1, f"{what}: {len(one.records)} records")
    verdict.need((one.ledger.held, one.ledger.open_holds) == (0, 0), f"{what}: money is still held")
    verdict.need(one.journal.open_calls == 0, f"{what}: the journal waits for the call's end")
    for record in one.records:
        finished = record.outcome is not Outcome.OK or client.finished
        verdict.need(finished, f"{what}: recorded as ok, and the client has not got all of it")
        answered = client.finished or client.aborted or exchange.error is not None
        verdict.need(answered, f"{what}: neither an answer nor an error")
        most = record.held_nanos * max(1, len(exchange.attempts))
        verdict.need((record.cost_nanos or 0) <= most, f"{what}: costs more than was held")


def _place(name: str, use: str = "compatible") -> dict[str, str]:
    return {"use": use, "base_url": f"https://{name}.example{'/v1' * (use == 'compatible')}"}


def _route(use: str, **keys: Any) -> dict[str, Any]:
    return {"use": use, "allow_costlier": True, **keys}


TREE: Final[dict[str, Any]] = {
    "providers": {"one": _place("one"), "two": _place("two"), "three": _place("three", "anthropic")},
    "models": {
        "m1": {"provider": "one", "price": {"input": "1", "output": "2"}},
        "m2": {"provider": "two", "price": {"input": "10", "output": "20"}},
        "m3": {"provider": "three", "price": {"input": "3", "output": "5"}},
        "free": {"provider": "one"},
    },
    "routes": {
        "both": _route("fallback", targets=["m1", "m2"]),
        "dearer": _route("fallback", targets=["m1", "m2"]),
        "any": _route("fallback", targets=["m1", "m3"]),
        "other-any": _route("fallback", targets=["m3", "m1"]),
        "tasks": _route(
            "by_task",
            rules=[{"when": {"task": ["chat"]}, "to": "m2"}],
            otherwise={"use": "sticky", "targets": ["m1", "m2"], "by": "prompt"},
        ),
    },
}


@dataclass(slots=True)
class Table:
    """A stand that is used again and again, for building one takes longer than a call."""

    one: Stand
    scene: Scene

    def lay(self) -> None:
        """As if it were new."""
        self.one.records.clear()
        self.one.exit._scripts[:] = self.scene.scripts
        self.one.exit.requests.clear()
        self.one.exit.released = 0


@contextmanager
def laid(scene: Scene, tree: dict[str, Any] | None = None) -> Iterator[Table]:
    """A table for one scene. Keys are never set aside, so that one call is like the other."""
    with tempfile.TemporaryDirectory() as folder:
        tree = {**TREE, "upstream": {"breaker": False, **scene.upstream}, **(tree or {})}
        one = stand(Path(folder), tree=tree)
        one.journal.power = scene.power
        yield Table(one, scene)
        one.journal.stop()


async def _strike_awaits(verdict: Verdict, scene: Scene, strike: Strike) -> int:
    with laid(scene) as table:
        one = table.one
        for at in range(1, MOST):
            table.lay()
            exit = Slow(one.exit)
            _lead(one, exit)
            exchange, client, work = _begin(one, scene)
            what = f"{scene.name}, {strike.value} at await {at}"
            struck = await _drive(verdict, work, at, strike, what)
            _judge(verdict, one, exchange, client, what)
            released, opened = one.exit.released, exit.opened
            verdict.need(released == opened, f"{what}: {released} of {opened} answers released")
            if not struck:
                return at - 1
    raise AssertionError("too many points")


async def _drive(
    verdict: Verdict, work: Coroutine[Any, Any, None], at: int, strike: Strike, what: str
) -> bool:
    driven = Driven(work, at, strike)

    async def within() -> None:
        await driven

    task = asyncio.ensure_future(within())
    await asyncio.wait([task])
    cancelled = task.cancelled()
    if not cancelled and (error := task.exception()) is not None:
        verdict.need(False, f"{what}: {type(error).__name__} came through")
    if driven.struck and strike in (Strike.CANCEL, Strike.CANCEL_TWICE):
        verdict.need(cancelled, f"{what}: the cancellation was swallowed")
    return driven.struck


async def _strike_hooks(verdict: Verdict, scene: Scene) -> set[str]:
    hooks = Hooks()
    with laid(scene) as table:
        found = bare(table.one.flow)
        verdict.need(found == set(KINDS.values()), f"of the kinds of plugins only {found} are seen")
        with wired(table.one, hooks):
            return await _strike_wired(verdict, scene, table, hooks)


async def _strike_wired(verdict: Verdict, scene: Scene, table: Table, hooks: Hooks) -> set[str]:
    used: set[str] = set()
    one = table.one
    found = bare(one.flow)
    verdict.need(not found, f"not wired: {found}")
    for at in range(1, MOST):
        table.lay()
        hooks.aim(at)
        exchange, client, work = _begin(one, scene)
        await _drive(verdict, work, MOST, Strike.RAISE, scene.name)
        what = f"{scene.name}, {hooks.used[at - 1] if hooks.struck else 'nothing'} fails"
        _judge(verdict, one, exchange, client, what)
        asked = len(one.exit.requests)
        answered = asked - sum(script is UNREACHABLE for script in scene.scripts[:asked])
        released = one.exit.released
        verdict.need(released == answered, f"{what}: {released} of {answered} answers released")
        used |= set(hooks.used)
        if not hooks.struck:
            return used
    raise AssertionError("too many points")


# --- over the real transport ---------------------------------------------------------------------

WIRE_SCENES: Final = (
    Scene("wire: whole", ()),
    Scene("wire: stream", (), {"stream": True}),
    Scene("wire: slow stream", (), {"stream": True, "messages": [
        {"role": "user", "content": "echo:first=0.005,delay=0.002,tokens=4"}]}),
    Scene("wire: refused", (), {"messages": [{"role": "user", "content": "echo:status=400"}]}),
    Scene("wire: broken off", (), {"stream": True, "messages": [
        {"role": "user", "content": "echo:cut=2,tokens=9"}]}),
    Scene("wire: translated", (), {"model": "m3"}),
    Scene("wire: translated stream", (), {"stream": True, "model": "m3"}),
    Scene("wire: translated, broken off", (), {"stream": True, "model": "m3", "messages": [
        {"role": "user", "content": "echo:cut=4,tokens=9"}]}),
    Scene("wire: second target", (), {**BOTH, "messages": [
        {"role": "user", "content": "echo:status=503"}]}),
)  # fmt: skip


async def _strike_wire(verdict: Verdict, upstream: Upstream, scene: Scene, strike: Strike) -> int:
    url = {"use": "compatible", "base_url": upstream.openai, "allow_private": True, "needs_key": False}
    port = int(upstream.url.rpartition(":")[2])
    scene = replace(scene, body={"max_tokens": 50, **scene.body})
    three = {"use": "anthropic", "base_url": upstream.anthropic, "allow_private": True}
    with laid(scene, {"providers": {"one": url, "two": url, "three": three}}) as table:
        one = table.one
        for at in range(1, MOST):
            table.lay()
            transport = Transport(allowed=frozenset({("127.0.0.1", port)}), tls=TLS)
            _lead(one, transport)
            exchange, client, work = _begin(one, scene)
            what = f"{scene.name}, {strike.value} at await {at}"
            struck = await _drive(verdict, work, at, strike, what)
            _judge(verdict, one, exchange, client, what)
            left = await _busy(transport)
            verdict.need(not left, f"{what}: {left} connections are neither resting nor closed")
            await transport.close()
            if not struck:
                return at - 1
    raise AssertionError("too many points")


async def _busy(transport: Transport) -> int:
    # Sockets are closed in the next turn of the loop.
    for _ in range(20):
        if transport.open_connections == transport.resting_connections:
            return 0
        await asyncio.sleep(0.001)
    return transport.open_connections - transport.resting_connections


NEEDED: Final = frozenset(
    {"provider.request", "provider.failure", "provider.speaks", "router.plan", "classifier.labels"}
    | {"observer.saw", "directory.find", "dialect.meter", "dialect.filter", "dialect.error_event"}
    | {"exit.open", "exit.release", "meter.feed", "meter.finish", "filter.feed", "filter.finish"}
    | {f"tongue.{name}" for name in ("read_ask", "write_ask", "call", "reader", "writer", "headers")}
    | {"tongue.read_complaint", "tongue.write_complaint", "reader.feed", "reader.finish"}
    | {"writer.write", "writer.finish"}
)
"""Hooks that must have failed at least once, or the campaign is blind."""


async def campaign() -> Verdict:
    """All of it."""
    verdict = Verdict()
    logging.getLogger("aiohttp.server").disabled = True  # the provider's: it minds connections that break
    said = io.StringIO()
    log.configure(log.Level.DEBUG, said)
    try:
        points, hooks = 0, set[str]()
        for scene in SCENES:
            for strike in Strike:
                points += await _strike_awaits(verdict, scene, strike)
            hooks |= await _strike_hooks(verdict, scene)
        async with Upstream() as upstream:
            for scene in WIRE_SCENES:
                for strike in Strike:
                    points += await _strike_wire(verdict, upstream, scene, strike)
    finally:
        log.configure()
    missing = NEEDED - hooks
    verdict.need(not missing, f"hooks that no scene has used: {missing}")
    verdict.need(CANARY not in said.getvalue(), "the text of an exception was logged")
    verdict.figures["awaits struck"] = points
    verdict.figures["hooks that failed"] = ", ".join(sorted(hooks))
    return verdict


def main() -> int:
    """Run."""
    verdict = asyncio.run(campaign())
    print(verdict)
    return 1 if verdict.findings else 0


if __name__ == "__main__":
    sys.exit(main())
