"""Rehearsal: a configuration built without serving, for check, explain and the provider commands."""

from dataclasses import replace
from typing import Any

from gateway import explain, flow, opening, wiring
from gateway.accounts.directory import Directory
from gateway.accounts.vault import Vault
from gateway.clock import SystemClock
from gateway.config import Config, ConfigError
from gateway.contracts import Caller
from gateway.ledger.ledger import Ledger
from gateway.names import Slug
from gateway.upstreams.trials import Trials


def provider_hosts(config: Config) -> list[tuple[Slug, str, bool]]:
    """Providers that take a key: name, host it may go to, and whether the configuration has one."""
    built = flow.build(config, _nothing_lasting())
    return [
        (loaded.name, loaded.host, bool(loaded.credentials)) for loaded in built.pool.all() if loaded.host
    ]


def build(config: Config) -> flow.Flow:
    """A flow that never serves a call, to ask its routes.

    Raises:
        ConfigError: see flow.build().
    """
    return flow.build(config, _nothing_lasting())


async def try_out(config: Config) -> None:
    """Build what a configuration asks for, without opening a store or a port.

    Raises:
        ConfigError: every problem that can be seen without starting.
    """
    problems: list[str] = []
    for attempt in (
        lambda: flow.build(config, _nothing_lasting()),
        lambda: opening._make_store(config),
        lambda: opening.master_key_source(config),
        lambda: wiring.tls(config),
        lambda: wiring.transport(config),
        lambda: wiring.edge_limits(config),
    ):
        try:
            attempt()
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


async def dry_run(config: Config, body: dict[str, Any], dialect: str, key_id: str | None) -> dict[str, Any]:
    """Explain a request against a configuration, for one key or for one that may do everything."""
    master = await opening.safe_master_key(config)
    store = await opening.open_store(config)
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
        ledger = Ledger(SystemClock())  # policies may ask what was spent
        await ledger.read(store.records.spent)
        lasting = replace(_nothing_lasting(), directory=directory, stored=vault.credentials, ledger=ledger)
        built = flow.build(config, lasting)
        flow.teach(built, await store.outcomes.cells())
        await Trials(store.records).look(built.routes)
    finally:
        await store.close()
    return await explain.explain(built, body, dialect, caller)


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
