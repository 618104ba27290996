"""The composition root: builds one process of the gateway, starts it, reloads it, stops it, in order."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway import config as configuration
from gateway import explain, flow, log, opening, wiring, workers
from gateway.accounts.directory import Directory, Refresher
from gateway.accounts.rotation import VaultRefresher
from gateway.accounts.vault import Vault
from gateway.admin.api import AdminApi, Services
from gateway.admin.listener import AdminListener
from gateway.clock import SystemClock
from gateway.config import Config, ConfigError
from gateway.content import Secret
from gateway.contracts import Call, Caller, Store, StoreError
from gateway.edge.server import DataPlane, PostHook
from gateway.edge.transport import Transport
from gateway.exchange import Exchange
from gateway.hardening import harden
from gateway.ledger.journal import Journal
from gateway.ledger.keeping import Keeping
from gateway.ledger.ledger import Ledger
from gateway.ledger.writer import RecordWriter
from gateway.names import Slug
from gateway.records import PathKind
from gateway.stages.own import Own
from gateway.tasks import Tasks
from gateway.upstreams import standings
from gateway.upstreams.health import Health
from gateway.upstreams.policy import Troubles
from gateway.upstreams.trials import Trials
from gateway.watch.exposition import Exposition
from gateway.watch.metrics import Gauges, Metrics
from gateway.watch.stall import StallWatch

GARBAGE = 10_000
"""Objects that come alive before Python looks for cycles among the young ones; calls leave hardly any."""


class App:
    """One process: listeners, store, journal, ledger, and the flow that the configuration makes.

    Args:
        path: where the configuration came from, to be read again at a reload.
        worker: its number among the processes that share the port; number 0 has the admin listener.
        doors: sockets that it was given by the process that started it.

    Attributes:
        store: the store, once started.
    """

    store: Store

    def __init__(
        self, config: Config, path: Path | None = None, worker: int = 0, doors: workers.Doors | None = None
    ) -> None:
        self._path = path
        self._doors = doors or workers.Doors()
        self._worker = worker
        self._clock = SystemClock()
        self._tasks = Tasks()
        self._ready = False
        self._reloading = asyncio.Lock()
        self._stall = StallWatch()
        self._troubles = Troubles()
        self._config = config

    async def start(self) -> None:
        """Open everything, in order; the listeners last.

        Raises:
            ConfigError, StoreError, JournalError, MasterKeyError, OSError: with nothing left open.
        """
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise

    async def _start(self) -> None:
        config = self._config
        master = opening.load_master_key(config)
        self.store = await opening.open_store(config)
        self._directory = Directory(master.pepper, self._clock)
        refresher = self._refresher = Refresher(self.store.accounts, self._directory)
        await refresher.load()
        self._vault = Vault(master, await self.store.secrets.load())
        self._vault_refresher = VaultRefresher(
            self.store.secrets, self._vault, opening.master_key_source(config), self._credentials_changed
        )
        self._journal = Journal(
            Path(config.records.journal), Slug(f"worker-{self._worker}"), config.records.durability
        )
        self._ledger = Ledger(self._clock)
        self._writer = RecordWriter(
            self._journal,
            self.store.records,
            stored=self._ledger.stored,
            batch=config.records.batch,
            interval_s=config.records.interval,
            queue_limit=config.records.queue,
        )
        await self._writer.start()
        self._trials = Trials(self.store.records)
        await self._ledger.read(self.store.records.spent)
        self._targets = Health(self._clock)
        self._exposition = Exposition(Path(config.metrics.folder), self._worker)
        self._metrics = Metrics(self._gauges(), self._exposition.before())
        self._access = wiring.access_log(config, self._worker)
        self._transport = wiring.transport(config)
        self._lasting = flow.Lasting(
            clock=self._clock,
            directory=self._directory,
            ledger=self._ledger,
            journal=self._journal,
            keep=Keeping(self._writer, self._clock, config.records.unknown_callers_per_minute),
            observers=(self._metrics,),
            exit=self._transport,
            stored=self._vault.credentials,
            health=self._targets,
            troubles=self._troubles,
        )
        self._flow = flow.build(config, self._lasting)
        await self.look_at_trials(self._flow)
        own = Own(self._directory, self._ledger, self.store, self._clock)
        self._hooks = {"/v1/me": own.me, "/v1/usage": own.usage}
        self._posts = {"/v1/outcomes": own.outcomes}
        self._plane = DataPlane(
            self._serve, wiring.edge_limits(config), self._clock, self, config.records.feature_headers
        )
        self._tasks.start("accounts.refresh", refresher.run())
        self._tasks.start("secrets.refresh", self._vault_refresher.run())
        self._tasks.start("ledger.refresh", self._watch_spending())
        self._tasks.start("outcomes.refresh", self._watch_outcomes())
        self._tasks.start("trials.look", self._watch_trials())
        self._tasks.start("metrics.leave", self._exposition.run(self._metrics, config.metrics.interval))
        with wiring.listening("server.listen", config.server.listen):
            address, tls = wiring.address(config.server.listen), wiring.tls(config)
            await self._plane.start(*address, tls=tls, sockets=self._doors.calls)
        if self._worker == 0:
            await self._start_admin()
        self._stall.start()
        self._ready = True
        log.fact("gateway.ready", worker=self._worker, models=len(list(self._flow.catalogue.listed())))

    async def close(self) -> None:
        """Stop taking calls, let those under way finish, store what is known, close."""
        self._ready = False
        if hasattr(self, "_admin") and self._doors.admin:
            await self._admin.close()  # a successor answers there
        if hasattr(self, "_plane"):
            await self._plane.close(self._config.server.drain_timeout)
        if hasattr(self, "_admin"):
            await self._admin.close()
        await self._tasks.close(0)
        self._stall.close()
        if hasattr(self, "_exposition"):
            self._exposition.close(self._metrics.series() if hasattr(self, "_plane") else None)
        if (access := getattr(self, "_access", None)) is not None:
            access.close()
            self._access = None
        if hasattr(self, "_transport"):
            await self._transport.close()
        if hasattr(self, "_writer"):
            await self._writer.close()
        if hasattr(self, "_journal"):
            self._journal.stop()
        if hasattr(self, "store"):
            await self.store.close()

    async def reload(self) -> bool:
        """Take over the configuration as it is on disk now; the old one stays if it has a mistake."""
        async with self._reloading:  # the later one wins
            try:
                config, transport, new = await asyncio.to_thread(self._read_again)
            except ConfigError as error:
                log.fact("config.refused", log.Level.ERROR, problems=len(error.problems))
                for problem in error.problems:
                    sys.stderr.write(problem + "\n")
                return False
            self._lasting = replace(self._lasting, exit=transport)
            await self.look_at_trials(new)
            self._flow, self._config = new, config
            await self.refresh_outcomes()
            self._credentials_changed()  # if they have meanwhile
            if transport is not self._transport:
                self._transport.retire()  # calls under way go on; what idles is closed
                self._transport = transport
            log.configure(log.Level[config.log.level.upper()])
            log.fact("config.reloaded")
            return True

    def _read_again(self) -> tuple[Config, Transport, flow.Flow]:
        """Everything that takes time at a reload: runs beside the loop, and changes nothing."""
        config = configuration.read(self._path)
        transport = (
            wiring.transport(config)
            if wiring.reaches(config) != wiring.reaches(self._config)
            else self._transport
        )
        return config, transport, flow.build(config, replace(self._lasting, exit=transport))

    @property
    def ports(self) -> tuple[int, ...]:
        """Ports of the data plane."""
        return self._plane.ports

    @property
    def admin_port(self) -> int:
        """Port of the admin listener."""
        return self._admin.port

    async def refresh_accounts(self) -> None:
        """Take over changed keys now, rather than within a quarter of a second."""
        await self._refresher.load()

    async def refresh_outcomes(self) -> None:
        """Hand the outcomes to the routes now, rather than at the next interval."""
        taught = self._flow
        if flow.learners(taught):
            with suppress(StoreError):  # what was learnt before holds on
                cells = await self.store.outcomes.cells()
                # Bounds take milliseconds for each cell: not on the loop.
                await asyncio.to_thread(flow.teach, taught, cells)

    async def look_at_trials(self, looked_at: flow.Flow) -> None:
        """Judge what routes try out by the records that there are now."""
        with suppress(StoreError):  # what was known before holds on; a trial not judged yet does not begin
            await self._trials.look(looked_at.routes)

    # --- what the data plane asks for

    def ready(self) -> bool:
        """Whether calls can be served."""
        return self._ready and not self._journal.refuses

    @property
    def posts(self) -> Mapping[str, PostHook]:
        """POST paths of the data plane that are no calls."""
        return self._posts

    @property
    def hooks(self) -> Mapping[str, Callable[[Exchange], Awaitable[None]]]:
        """Paths that answer for the caller's own key."""
        return self._hooks

    async def _serve(self, exchange: Exchange, read: Callable[[], Awaitable[Call]]) -> None:
        try:
            await self._flow.pipeline(exchange, read)
        finally:
            if self._access is not None:
                call, error = exchange.known("call"), exchange.error
                kind = call.kind if call else PathKind.OTHER
                self._access.write(exchange.at_us, exchange.peer, kind, error.status if error else 200)

    def _credentials_changed(self) -> None:
        if self._ready:
            flow.refresh_credentials(self._flow, self._lasting)

    # --- background

    async def _watch_spending(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            try:
                await self._ledger.read(self.store.records.spent)
            except StoreError:
                continue

    async def _watch_trials(self) -> None:
        while True:
            await asyncio.sleep(self._config.routing.trial_interval)
            await self.look_at_trials(self._flow)

    async def _watch_outcomes(self) -> None:
        while True:
            await self.refresh_outcomes()
            await asyncio.sleep(self._config.outcomes.interval)

    # --- the admin side

    async def _start_admin(self) -> None:
        services = Services(
            store=self.store,
            clock=self._clock,
            metrics=lambda: self._exposition.page(self._metrics),
            ready=self.ready,
            explain=self._explain,
            targets=lambda: standings.rows(self._targets),
            configuration=lambda: wiring.shown(self._config),
            token=opening.admin_token(self._config),
        )
        self._admin = AdminListener(AdminApi(services).application())
        address = self._config.server.admin_listen
        with wiring.listening("server.admin_listen", address):
            await self._admin.start(*wiring.address(address), sockets=self._doors.admin)

    async def _explain(self, body: dict[str, Any]) -> dict[str, Any]:
        caller = Caller(key_id=Slug("admin"), key_name=Slug("admin"))
        return await explain.explain(self._flow, body, "openai_chat", caller)

    def _gauges(self) -> Gauges:
        troubles = self._troubles
        return {
            **standings.gauges(self._targets),
            "gateway_open_calls": ("Calls under way.", lambda: self._plane.open_calls),
            "gateway_connections": ("Clients' connections.", lambda: self._plane.connections),
            "gateway_held_nanodollars": ("Money set aside for calls under way.", lambda: self._ledger.held),
            "gateway_open_holds": ("Calls with money set aside.", lambda: self._ledger.open_holds),
            "gateway_trials_stopped": (
                "Canaries that were stopped.",
                lambda: self._trials.stopped if self._worker == 0 else 0,  # all workers know of all
            ),
            "gateway_records_waiting": ("Records not in the store yet.", lambda: self._writer.waiting),
            "gateway_records_lost": ("Records lost; stays 0.", lambda: self._writer.lost),
            "gateway_journal_bytes": ("Size of the journal.", lambda: self._journal.total_bytes),
            "gateway_loop_lag_microseconds": ("Latest delay of the event loop.", lambda: self._stall.lag_us),
            "gateway_log_lines_lost": ("Log lines that could not be written.", log.lost),
            "gateway_policy_failures": ("Routing policies that were wrong.", lambda: troubles.failed),
            "gateway_policy_late": ("Routing policies that took too long.", lambda: troubles.late),
            "gateway_policy_rests": ("Routing policies set aside for a minute.", lambda: troubles.rests),
        }


Greet = Callable[[Config, Secret], None]
"""Shows the first key."""


async def serve(
    config: Config, path: Path | None, worker: int, doors: workers.Doors, greet: Greet | None = None
) -> int:
    """Run one process until a signal ends it: SIGTERM and SIGINT drain, SIGHUP reloads.

    Args:
        greet: for a process that nobody has prepared: it makes what a first start needs itself, so that
            a store that lives in its memory has it too.
    """
    harden()
    app = App(config, path, worker, doors)
    if greet is not None:
        await opening.make_secrets(config)
    await app.start()
    if (
        greet is not None
        and (first := await opening.make_tree(app.store, opening.load_master_key(config))) is not None
    ):
        await app.refresh_accounts()
        greet(config, first)
    loop, ended, tasks = asyncio.get_running_loop(), asyncio.Event(), Tasks()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: tasks.start("config.reload", app.reload()))
    # An upgrade is the supervisor's work; a process that has none must not die of being asked for one.
    loop.add_signal_handler(signal.SIGUSR2, lambda: log.fact("upgrade.needs_workers", log.Level.WARNING))
    gc.collect()
    gc.freeze()  # what is there now stays: it need not be looked at again
    gc.set_threshold(GARBAGE, 20, 20)
    workers.forget_dead(config)
    marker = workers.ready_marker(config, os.getpid())
    marker.touch(mode=0o600)
    await ended.wait()
    marker.unlink(missing_ok=True)
    log.fact("gateway.stopping", worker=worker)
    await app.close()
    return 0
