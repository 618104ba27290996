"""Opening: store, master key and admin token of a configuration; and what a first start makes."""

import os
import secrets
from dataclasses import fields
from pathlib import Path

from gateway import config as configuration
from gateway import flow, plugins
from gateway.accounts import keys, master_key, tree
from gateway.config import Config, ConfigError
from gateway.content import Purpose, Secret
from gateway.contracts import Store
from gateway.names import Slug


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
