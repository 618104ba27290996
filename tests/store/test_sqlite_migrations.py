"""The schema: no column can hold a sentence, and the columns of records are the fields of Record."""

import re
import sqlite3
from collections.abc import Iterator

import pytest

from gateway.names import is_name
from gateway.records import NAMES, VALUES, restore
from gateway.store.sqlite.migrations import MIGRATIONS, RULED_COLUMNS, SLUG_COLUMNS
from gateway.store.sqlite.records import RARE
from tests.sample_records import a_record

SENTENCES = [
    "two words",
    "",
    " lead",
    "+plus",
    "tab\t",
    "line\n",
    "quote'",
    'a"b',
    "ünï",
    "a" * 129,
    "{x}",
    "nul\0 x",
]


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statements in MIGRATIONS:
        for statement in statements:
            connection.execute(statement)
    yield connection
    connection.close()


def columns(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    return [
        (table, name, kind.lower())
        for (table,) in db.execute("select name from sqlite_master where type = 'table'").fetchall()
        for _, name, kind, *_ in db.execute(f"pragma table_info({table})").fetchall()
    ]


def rule(db: sqlite3.Connection, table: str, column: str) -> str:
    (text,) = db.execute("select sql from sqlite_master where name = ?", (table,)).fetchone()
    found = re.search(rf"\b{column} text (?:not null )?(?:unique )?check \((.*)", text)
    assert found is not None, f"{table}.{column} has no rule"
    return found[1]


def test_every_table_is_strict_and_has_only_numbers_names_and_sealed_keys(db: sqlite3.Connection) -> None:
    for (text,) in db.execute("select sql from sqlite_master where type = 'table'"):
        assert "strict" in text[text.rindex(")") :], text
    assert {kind for _, _, kind in columns(db)} == {"integer", "text", "blob"}
    blobs = {(table, name) for table, name, kind in columns(db) if kind == "blob"}
    assert blobs == {("secrets", "nonce"), ("secrets", "sealed")}


def test_every_text_column_has_a_rule(db: sqlite3.Connection) -> None:
    lists = 0
    for table, name, kind in columns(db):
        if kind == "text" and (table, name) not in SLUG_COLUMNS | RULED_COLUMNS:
            assert re.match(rf"{name} = '[a-z_]+'(?: or {name} = '[a-z_]+')+\)", rule(db, table, name)), (
                table,
                name,
            )
            lists += 1
    assert lists == 5
    texts = {(table, name) for table, name, kind in columns(db) if kind == "text"}
    assert texts >= SLUG_COLUMNS | RULED_COLUMNS


@pytest.mark.parametrize("table_and_name", sorted(SLUG_COLUMNS | RULED_COLUMNS))
def test_a_column_of_names_takes_no_sentence(db: sqlite3.Connection, table_and_name: tuple[str, str]) -> None:
    table, column = table_and_name
    values: dict[str, object] = {}
    for name, kind in ((name, kind) for where, name, kind in columns(db) if where == table):
        if kind == "text":
            first = re.match(rf"{name} = '([a-z_]+)'", rule(db, table, name))
            values[name] = first[1] if first else "ab" * 32
        else:
            values[name] = 1 if kind == "integer" else bytes(12 if name == "nonce" else 20)
    insert = f"insert into {table} ({', '.join(values)}) values ({', '.join('?' * len(values))})"
    db.execute(insert, tuple(values.values()))
    db.execute(f"delete from {table}")
    for sentence in SENTENCES:
        if table_and_name == ("scopes", "value") and sentence == "+plus":
            continue
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(insert, tuple((values | {column: sentence}).values()))
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(insert, tuple((values | {column: b"bytes"}).values()))


@pytest.mark.parametrize(
    ("column", "value"), [("nonce", bytes(11)), ("sealed", bytes(15)), ("sealed", bytes(20_000))]
)
def test_sealed_keys_have_their_size(db: sqlite3.Connection, column: str, value: bytes) -> None:
    row = {
        "id": "a",
        "provider": "b",
        "kek": "c",
        "host": "d",
        "nonce": bytes(12),
        "sealed": bytes(20),
        "created_ms": 1,
    }
    db.execute("insert into secrets values (?, ?, ?, ?, ?, ?, ?)", tuple(row.values()))
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(
            "insert into secrets values (?, ?, ?, ?, ?, ?, ?)",
            tuple((row | {"id": "e", column: value}).values()),
        )


def test_the_columns_of_records_are_the_fields_of_a_record(db: sqlite3.Connection) -> None:
    assert tuple(name for table, name, _ in columns(db) if table == "records") == NAMES


def test_the_rare_columns_have_the_defaults_of_a_record(db: sqlite3.Connection) -> None:
    usual = {name: value for name, value in zip(NAMES, VALUES(a_record()), strict=True) if name not in RARE}
    row = {name: str(value) if isinstance(value, str) else value for name, value in usual.items()}
    db.execute(
        f"insert into records ({', '.join(row)}) values ({', '.join('?' * len(row))})", tuple(row.values())
    )
    assert restore(db.execute(f"select {', '.join(NAMES)} from records").fetchone()) == a_record()


# What may not stand at the beginning, and what may not stand at all, each character from 0 to 255.
@pytest.mark.parametrize("column", ["org", "dialect", "route_reason", "task"])
def test_a_name_has_the_characters_of_a_slug(db: sqlite3.Connection, column: str) -> None:
    values = dict(zip(NAMES, VALUES(a_record()), strict=True))
    row = {name: str(value) if isinstance(value, str) else value for name, value in values.items()}
    insert = f"insert into records ({', '.join(row)}) values ({', '.join('?' * len(row))})"
    for text in [form.format(chr(code)) for code in range(256) for form in ("{}", "{}a", "a{}", "a{}a")]:
        if is_name(text):
            db.execute(insert, tuple((row | {column: text}).values()))
            db.execute("delete from records")
        else:
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(insert, tuple((row | {column: text}).values()))


def test_a_span_of_records_is_found_by_an_index(db: sqlite3.Connection) -> None:
    plan = (
        "explain query plan select * from records where {} and at >= 1 and at < 2 and (at, id) > (1, '')"
        " order by at, id limit 1000"
    )
    for where, index in (("1", "records_by_time"), ("key_id = 'k'", "records_by_key")):
        steps = [row[3] for row in db.execute(plan.format(where))]
        assert any(index in step for step in steps)
        assert not any("TEMP B-TREE" in step for step in steps)
