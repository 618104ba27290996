"""The composition root: builds one process of the gateway, starts it, reloads it, stops it, in order."""

import asyncio
import gc
import os
import secrets
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from gateway import config as configuration
from gateway import explain, flow, log, plugins, workers
from gateway.accounts import keys, master_key, tree
from gateway.accounts.directory import Directory, Refresher
from gateway.accounts.rotation import VaultRefresher
from gateway.accounts.vault import Vault
from gateway.admin.api import AdminApi, Services
from gateway.admin.listener import AdminListener
from gateway.clock import SystemClock
from gateway.config import Config, ConfigError
from gateway.content import Purpose, Secret
from gateway.contracts import Call, Caller, Store, StoreError
from gateway.edge.limits import EdgeLimits
from gateway.edge.server import DataPlane
from gateway.edge.transport import Transport
from gateway.edge.upstream_connection import TransportLimits
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
from gateway.watch.access_log import AccessLog
from gateway.watch.exposition import Exposition
from gateway.watch.metrics import Metrics
from gateway.watch.stall import StallWatch

GARBAGE = 10_000
"""Objects that come alive before Python looks for cycles among the young ones; calls leave hardly any."""


async def open_store(config: Config) -> Store:
    """The configured store, started.

    Raises:
        ConfigError: the plugin or its keys are wrong. StoreError: it cannot be opened.
    """
    store = _make_store(config)
    await store.start()
    return store


def _make_store(config: Config) -> Store:
    keys = configuration.plugin_keys(config.store)
    if config.records.durability == "power" and _has_durability(config.store.use):
        keys.setdefault("durability", "power")
    store: Store = flow.construct("gateway.stores", config.store.use, keys, "store")[0]
    return store


def _has_durability(name: str) -> bool:
    """Whether a store has a durability of its own to set."""
    try:
        kind = plugins.load("gateway.stores", name)
        return "durability" in {field.name for field in fields(kind.Config)}
    except (plugins.PluginError, AttributeError, TypeError):
        return False


async def prepare(config: Config) -> Secret | None:
    """Make what a first start needs: folders, master key, admin token, the tree, and one key.

    Returns:
        The first key, in clear, at the very first start only.

    Raises:
        ConfigError, StoreError, MasterKeyError: with a text that says how to mend it.
    """
    master = await make_secrets(config)
    store = await open_store(config)
    try:
        return await make_tree(store, master)
    finally:
        await store.close()


async def make_secrets(config: Config) -> master_key.MasterKey:
    """The master key and the admin token, made where they are missing."""
    master = await safe_master_key(config)
    admin_token(config, make=True)
    return master


async def make_tree(store: Store, master: master_key.MasterKey) -> Secret | None:
    """The tree that keys stand in; and in a store that has none yet, one key."""
    fresh = not (await store.accounts.load()).nodes
    project = await tree.ensure_root(store)
    if not fresh:
        return None
    _, clear = await keys.create_key(store, master.pepper, project, Slug("first"))
    return clear


async def safe_master_key(config: Config) -> master_key.MasterKey:
    """The master key; made only where nothing depends on one that got lost.

    Raises:
        ConfigError: the file is missing, and the store holds keys that were made with it.
    """
    source = master_key_source(config)
    if isinstance(source, master_key.InFile) and not source.path.exists():
        store = await open_store(config)
        try:
            if (await store.accounts.load()).keys or await store.secrets.load():
                raise ConfigError(
                    [
                        f"secrets.master_key: {source.path} is missing, but the store holds keys made "
                        "with it. Bring the file back: without it none of them works again"
                    ]
                )
        finally:
            await store.close()
    return load_master_key(config, make=True)


def master_key_source(config: Config) -> master_key.Source:
    """Where the master key is."""
    source = config.secrets.master_key
    if isinstance(source, configuration.LiteralSecret):
        raise ConfigError(["secrets.master_key: name a file or a variable, never the key itself"])
    if source.env is not None:
        return master_key.InEnvironment(source.env)
    return master_key.InFile(Path(source.file or ""))


def load_master_key(config: Config, make: bool = False) -> master_key.MasterKey:
    """The master key the configuration names; a file that is not there is made, once, when asked."""
    source = master_key_source(config)
    if make and isinstance(source, master_key.InFile):
        source.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return master_key.load_or_create(source.path)[0]
    return master_key.load(source)


def provider_hosts(config: Config) -> list[tuple[Slug, str, bool]]:
    """Providers that take a key: name, host it may go to, and whether the configuration has one."""
    built = flow.build(config, _nothing_lasting())
    return [
        (loaded.name, loaded.host, bool(loaded.credentials)) for loaded in built.pool.all() if loaded.host
    ]


def admin_token(config: Config, make: bool = False) -> Secret:
    """The token of the admin listener; its file is made, mode 0600, when asked and not there."""
    source = config.admin.token
    if make and isinstance(source, configuration.SecretRef) and source.file is not None:
        path = Path(source.file)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
    token = source.read()
    if token is None or len(token.open(Purpose.AUTH)) < 16:
        raise ConfigError(["admin.token: is missing or shorter than 16 characters"])
    return token


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
        master = load_master_key(config)
        self.store = await open_store(config)
        self._directory = Directory(master.pepper, self._clock)
        refresher = self._refresher = Refresher(self.store.accounts, self._directory)
        await refresher.load()
        self._vault = Vault(master, await self.store.secrets.load())
        self._vault_refresher = VaultRefresher(
            self.store.secrets, self._vault, master_key_source(config), self._credentials_changed
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
        await self._ledger.read(self.store.records.spent)
        self._exposition = Exposition(Path(config.metrics.folder), self._worker)
        self._metrics = Metrics(self._gauges(), self._exposition.before())
        self._access = _access_log(config, self._worker)
        self._transport = _transport(config)
        self._lasting = flow.Lasting(
            clock=self._clock,
            directory=self._directory,
            ledger=self._ledger,
            journal=self._journal,
            keep=Keeping(self._writer, self._clock, config.records.unknown_callers_per_minute),
            observers=(self._metrics,),
            exit=self._transport,
            stored=self._vault.credentials,
        )
        self._flow = flow.build(config, self._lasting)
        own = Own(self._directory, self._ledger, self.store.records, self._clock)
        self._hooks = {"/v1/me": own.me, "/v1/usage": own.usage}
        self._plane = DataPlane(
            self._serve, _edge_limits(config), self._clock, self, config.records.feature_headers
        )
        self._tasks.start("accounts.refresh", refresher.run())
        self._tasks.start("secrets.refresh", self._vault_refresher.run())
        self._tasks.start("ledger.refresh", self._watch_spending())
        self._tasks.start("metrics.leave", self._exposition.run(self._metrics, config.metrics.interval))
        with _listening("server.listen", config.server.listen):
            address, tls = _address(config.server.listen), _tls(config)
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
            self._flow, self._config = new, config
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
        transport = _transport(config) if _reaches(config) != _reaches(self._config) else self._transport
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

    # --- what the data plane asks for

    def ready(self) -> bool:
        """Whether calls can be served."""
        return self._ready and not self._journal.refuses

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

    # --- the admin side

    async def _start_admin(self) -> None:
        services = Services(
            store=self.store,
            clock=self._clock,
            metrics=lambda: self._exposition.page(self._metrics),
            ready=self.ready,
            explain=self._explain,
            configuration=lambda: shown(self._config),
            token=admin_token(self._config),
        )
        self._admin = AdminListener(AdminApi(services).application())
        address = self._config.server.admin_listen
        with _listening("server.admin_listen", address):
            await self._admin.start(*_address(address), sockets=self._doors.admin)

    async def _explain(self, body: dict[str, Any]) -> dict[str, Any]:
        caller = Caller(key_id=Slug("admin"), key_name=Slug("admin"))
        return await explain.explain(self._flow, body, "openai_chat", caller)

    def _gauges(self) -> dict[str, tuple[str, Callable[[], int]]]:
        return {
            "gateway_open_calls": ("Calls under way.", lambda: self._plane.open_calls),
            "gateway_connections": ("Clients' connections.", lambda: self._plane.connections),
            "gateway_held_nanodollars": ("Money set aside for calls under way.", lambda: self._ledger.held),
            "gateway_open_holds": ("Calls with money set aside.", lambda: self._ledger.open_holds),
            "gateway_records_waiting": ("Records not in the store yet.", lambda: self._writer.waiting),
            "gateway_records_lost": ("Records lost; stays 0.", lambda: self._writer.lost),
            "gateway_journal_bytes": ("Size of the journal.", lambda: self._journal.total_bytes),
            "gateway_loop_lag_microseconds": ("Latest delay of the event loop.", lambda: self._stall.lag_us),
            "gateway_log_lines_lost": ("Log lines that could not be written.", log.lost),
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
        await make_secrets(config)
    await app.start()
    if greet is not None and (first := await make_tree(app.store, load_master_key(config))) is not None:
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


async def try_out(config: Config) -> None:
    """Build what a configuration asks for, without opening a store or a port.

    Raises:
        ConfigError: every problem that can be seen without starting.
    """
    problems: list[str] = []
    for attempt in (
        lambda: flow.build(config, _nothing_lasting()),
        lambda: _make_store(config),
        lambda: master_key_source(config),
        lambda: _tls(config),
        lambda: _transport(config),
        lambda: _edge_limits(config),
    ):
        try:
            attempt()
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


async def dry_run(config: Config, body: dict[str, Any], dialect: str, key_id: str | None) -> dict[str, Any]:
    """Explain a request against a configuration, for one key or for one that may do everything."""
    master = await safe_master_key(config)
    store = await open_store(config)
    try:
        directory = Directory(master.pepper)
        directory.replace(await store.accounts.load())
        caller = (
            directory.by_id(Slug(key_id))
            if key_id
            else Caller(key_id=Slug("anyone"), key_name=Slug("anyone"))
        )
        if caller is None:
            raise ConfigError(["--key: no usable key has this id"])
        vault = Vault(master, await store.secrets.load())
    finally:
        await store.close()
    lasting = replace(_nothing_lasting(), directory=directory, stored=vault.credentials)
    return await explain.explain(flow.build(config, lasting), body, dialect, caller)


def _nothing_lasting() -> flow.Lasting:
    """For flows that never serve a call."""
    nothing: Any = None
    return flow.Lasting(
        clock=SystemClock(),
        directory=nothing,
        ledger=nothing,
        journal=nothing,
        keep=nothing,
        observers=(),
        exit=nothing,
        stored=lambda name, host: [],
    )


def shown(config: Config) -> dict[str, Any]:
    """The configuration without its secrets: where they are, never what they are."""

    def hide(value: Any) -> Any:
        if isinstance(value, configuration.LiteralSecret):
            return "<secret>"
        if isinstance(value, BaseModel):
            return {name: hide(getattr(value, name)) for name in type(value).model_fields}
        if isinstance(value, dict):
            return {name: hide(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [hide(part) for part in value]
        return value

    hidden: dict[str, Any] = hide(config)
    return hidden


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


@contextmanager
def _listening(place: str, address: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise workers.unavailable(place, address, error) from None


def _tls(config: Config) -> ssl.SSLContext | None:
    certificate, key = config.server.tls_certificate, config.server.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ConfigError(["server.tls_certificate and server.tls_key: give both or neither"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        raise ConfigError(["server.tls_certificate: the certificate or its key cannot be read"]) from None
    return context


def _access_log(config: Config, worker: int) -> AccessLog | None:
    """Each process has a file of its own, because each rotates its own."""
    if config.log.access is None:
        return None
    path = Path(config.log.access)
    path = path.with_name(f"{path.name}-{worker}") if worker else path
    return AccessLog(path, config.log.access_max, config.log.access_files)


def _edge_limits(config: Config) -> EdgeLimits:
    server = config.server
    return EdgeLimits(
        head_s=server.header_timeout,
        body_s=server.body_timeout,
        body_bytes_per_s=server.body_rate,
        linger_s=server.linger_timeout,
        linger_bytes=server.max_linger,
        max_head_bytes=server.max_head,
        max_line_bytes=server.max_line,
        max_fields=server.max_fields,
        max_buffer_bytes=server.max_buffer,
        max_pipelined=server.max_pipelined,
        idle_s=server.keepalive_timeout,
        stall_s=server.write_timeout,
        max_body_bytes=server.max_body,
        max_connections=server.max_connections,
        max_connections_per_address=server.max_connections_per_address,
        max_open_calls=server.max_open_calls,
        trusted_proxies=_networks(server.trusted_proxies),
    )


def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(map(ip_network, texts))
    except ValueError:
        raise ConfigError(
            ['server.trusted_proxies: expected addresses or networks such as "10.0.0.0/8"']
        ) from None


def _transport_limits(config: Config) -> TransportLimits:
    upstream = config.upstream
    return TransportLimits(
        connect_timeout_s=upstream.connect_timeout,
        first_byte_timeout_s=upstream.first_byte_timeout,
        gap_timeout_s=upstream.gap_timeout,
        total_timeout_s=upstream.total_timeout,
        idle_timeout_s=upstream.idle_timeout,
        stale_window_s=upstream.stale_window,
        max_waiting_per_host=upstream.max_waiting_per_host,
        wait_timeout_s=upstream.wait_timeout,
        buffer_bytes=upstream.max_buffer,
        answer_bytes=upstream.max_answer,
        max_connections_per_host=upstream.max_connections_per_host,
        max_idle_per_host=upstream.max_idle_per_host,
        ca_file=upstream.ca_file,
    )


def _transport(config: Config) -> Transport:
    try:
        return Transport(_transport_limits(config), allowed=_private_origins(config))
    except (OSError, ssl.SSLError):
        raise ConfigError(["upstream.ca_file: cannot be read as certificates in PEM form"]) from None


def _reaches(config: Config) -> tuple[Any, ...]:
    """What a transport is made of: when it differs after a reload, a new one is needed."""
    return config.upstream, _private_origins(config)


def _private_origins(config: Config) -> frozenset[tuple[str, int]]:
    tables = [table for table in config.providers.values() if table.allow_private]
    origins = {flow.origin_of(str(configuration.plugin_keys(table).get("base_url", ""))) for table in tables}
    return frozenset(origin for origin in origins if origin is not None)
