"""The schema, as steps that are only ever added to; each is recorded in the transaction that makes it.

Every text column is a name (see gateway.names), one of a list of values, or has a rule of its own:
there is no column that could hold a sentence. Bytes are only what a provider's key was sealed into.
"""

import sqlite3
import time
from typing import Final

import aiosqlite

from gateway.contracts import StoreError
from gateway.store.sqlite.connection import Database

APPLICATION_ID: Final = 0x546F6C6C
"""Marks the file as ours: "Toll"."""

SLUG_COLUMNS: Final = frozenset(
    {
        ("versions", "name"),
        *(("nodes", name) for name in ("id", "parent", "name")),
        *(("keys", name) for name in ("id", "node", "name", "prefix", "last4", "replaced_by")),
        *(("scopes", name) for name in ("owner", "what")),
        *(("secrets", name) for name in ("id", "provider", "kek", "host")),
        *(("records", name) for name in ("id", "org", "project", "key_id", "feature", "environment")),
        *(("records", name) for name in ("customer", "session", "dialect", "model_requested")),
        *(("records", name) for name in ("model_routed", "provider", "credential", "tier")),
        *(("records", name) for name in ("route_reason", "task", "error_code", "price_version")),
        ("records", "baseline_model"),
        ("spent", "key_id"),
        *(("outcomes", name) for name in ("call", "source", "task", "model", "against")),
    }
)
"""The text columns that hold names. All others are one of a list of values, or in RULED_COLUMNS."""

RULED_COLUMNS: Final = frozenset({("keys", "digest"), ("scopes", "value")})
"""Text columns with a rule of their own: 64 hex digits; a name, a pattern, a network or hours."""


# The makers of columns are as frozen as the steps that use them. Lists of values are written out with
# "or", because SQLite builds a table for each "in" of each row, and null is looked for first for the same
# reason: these rules are half of what storing a record costs. To look at each character costs the most,
# so what may stand there is told in as few ranges as there are (- to :, @ to Z), what a name begins with
# is found by comparing (+ < - and @ < A), and columns that mostly hold one of a few names know those.


def _slug(column: str, null: bool = False, mostly: str = "", like: str = "") -> str:
    rule = (
        f"{column} >= '-' and ({column} < '@' or {column} >= 'A') and {column} not glob '*[^--:@-Z_a-z+]*'"
        f" and length(cast({column} as blob)) <= 128 and instr(cast({column} as blob), x'00') = 0"
    )
    if mostly:
        rule = " or ".join([*(f"{column} = '{name}'" for name in mostly.split()), rule])
    if like:  # a column with the same rule, that mostly holds the same name
        rule = f"{column} is {like} or {rule}"
    return (
        f"{column} text check ({column} is null or {rule})"
        if null
        else f"{column} text not null check ({rule})"
    )


def _flag(column: str) -> str:
    return f"{column} integer not null check ({column} between 0 and 1)"


def _one_of(column: str, values: str) -> str:
    allowed = " or ".join(f"{column} = '{value}'" for value in values.split())
    return f"{column} text not null check ({allowed})"


def _counts(columns: str) -> str:
    return ", ".join(f"{column} integer not null default 0" for column in columns.split())


_M001_ACCOUNTS: Final = (
    f"""create table versions ({_slug("name")}, value integer not null, primary key (name))
        strict, without rowid""",
    "insert into versions values ('accounts', 0), ('secrets', 0)",
    f"""create table nodes (
        {_slug("id")}, {_slug("parent", null=True)},
        {_one_of("kind", "platform reseller organisation project")},
        {_slug("name")}, created_ms integer not null, {_flag("disabled")}, primary key (id)
    ) strict, without rowid""",
    f"""create table keys (
        {_slug("id")}, {_slug("node")}, {_slug("name")},
        digest text not null unique check (length(digest) = 64 and digest not glob '*[^0-9a-f]*'),
        {_slug("prefix")}, {_slug("last4")},
        created_ms integer not null, expires_ms integer, revoked_ms integer,
        {_slug("replaced_by", null=True)}, primary key (id)
    ) strict, without rowid""",
    f"""create table scopes (
        {_slug("owner")}, {_slug("what")},
        value text not null check (value not glob '*[^A-Za-z0-9._:/@+*,-]*'
            and length(cast(value as blob)) between 1 and 128 and instr(cast(value as blob), x'00') = 0),
        primary key (owner, what, value)
    ) strict, without rowid""",
    f"""create table secrets (
        {_slug("id")}, {_slug("provider")}, {_slug("kek")}, {_slug("host")},
        nonce blob not null check (length(nonce) = 12),
        sealed blob not null check (length(sealed) between 16 and 16400),
        created_ms integer not null, primary key (id)
    ) strict, without rowid""",
)

_DIALECTS: Final = "openai_chat openai_responses anthropic_messages gemini"

_M002_RECORDS: Final = (
    f"""create table records (
        {_slug("id")}, at integer not null,
        {_slug("org", null=True)}, {_slug("project", null=True)}, {_slug("key_id", null=True)},
        {_slug("feature", null=True)}, {_slug("environment", null=True)}, {_slug("customer", null=True)},
        {_slug("session", null=True)}, {_slug("dialect", null=True, mostly=_DIALECTS)},
        {
        _one_of(
            "path_kind",
            "chat responses messages generate embeddings count models images speech transcription"
            " moderations other",
        )
    },
        {_slug("model_requested", null=True)}, {_slug("model_routed", null=True)},
        {_slug("provider", null=True)}, {_slug("credential", null=True)}, {_slug("tier", null=True)},
        {_slug("route_reason", null=True, mostly="requested")}, {_slug("task", null=True, mostly="other")},
        task_confidence integer,
        attempts integer not null, {_flag("stream")}, status integer not null,
        {_one_of("outcome", "ok client_closed upstream_error refused failed interrupted")},
        {_slug("error_code", null=True)},
        {_counts("tokens_input tokens_cached tokens_cache_write_5m tokens_cache_write_1h tokens_output")},
        {_counts("tokens_reasoning tokens_input_audio tokens_cached_audio tokens_input_image")},
        {_counts("tokens_output_audio tokens_output_image")},
        {_counts("units_searches units_tools units_characters units_audio_ms units_images")},
        {_one_of("usage_source", "reported salvaged estimated none")},
        cost_nanos integer, {_slug("baseline_model", null=True, like="model_routed")}, baseline_nanos integer,
        {_counts("saved_routing_nanos saved_downgrade_nanos saved_cache_nanos")},
        saved_estimated integer not null default 0 check (saved_estimated between 0 and 1),
        {_counts("held_nanos")},
        {_slug("price_version", null=True)}, {_flag("priced")},
        {_counts("queue_us overhead_us")}, first_byte_us integer, total_us integer not null,
        {_one_of("source", "proxied reported")},
        primary key (id)
    ) strict""",
    "create index records_by_time on records (at, id)",
    "create index records_by_key on records (key_id, at, id)",
    f"""create table spent ({_slug("key_id")}, nanos integer not null, primary key (key_id))
        strict, without rowid""",
)

_M003_OUTCOMES: Final = (
    f"""create table outcomes (
        {_slug("call")}, {_slug("source")}, at_ms integer not null,
        {_slug("task")}, {_slug("model")}, {_slug("against", null=True)},
        score integer not null check (score between 0 and 1000), primary key (call, source)
    ) strict, without rowid""",
    "create index outcomes_by_cell on outcomes (task, model, against, score)",
)

MIGRATIONS: Final = (_M001_ACCOUNTS, _M002_RECORDS, _M003_OUTCOMES)
"""Statements by number, from 1. Never change one that was released: add the next."""


async def migrate(database: Database) -> None:
    """Bring the file to this version of the schema.

    Raises:
        StoreError: it belongs to another program, or to a later version of this one.
    """
    async with database.transaction() as db:
        mark = await _number(db, "pragma application_id")
        if mark != APPLICATION_ID:
            if mark or await _number(db, "select count(*) from sqlite_master"):
                raise StoreError(f"{database.path} is the database of another program; choose another path")
            await db.execute(f"pragma application_id = {APPLICATION_ID}")
            await db.execute(
                "create table migrations (number integer primary key, at_ms integer not null) strict"
            )
        try:
            done = await _number(db, "select coalesce(max(number), 0) from migrations")
        except sqlite3.OperationalError:
            raise StoreError(f"{database.path} is damaged: it has no list of migrations") from None
        if done > len(MIGRATIONS):
            raise StoreError(
                f"{database.path} was written by a later version (schema {done}, this one knows"
                f" {len(MIGRATIONS)}); install that version again"
            )
        for number, statements in enumerate(MIGRATIONS[done:], done + 1):
            for statement in statements:
                await db.execute(statement)
            values = (number, time.time_ns() // 1_000_000)
            await db.execute("insert into migrations values (?, ?)", values)


async def _number(db: aiosqlite.Connection, query: str) -> int:
    ((number,),) = await db.execute_fetchall(query)
    return int(number)
