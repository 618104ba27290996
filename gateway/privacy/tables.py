"""The tables of docs/privacy.md, made from the code itself: what is kept, what never is, what goes where.

    python -m gateway.privacy.tables docs/privacy.md

writes them anew, each between its two marks; a test tells when they are out of date.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, fields
from enum import Enum
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from gateway import plugins
from gateway.config import Config, SecretRef
from gateway.privacy.bodies import CONVERSATIONS
from gateway.privacy.canary import FORMS, Canary
from gateway.privacy.cases import Cases, Offers
from gateway.privacy.places import STORE_PATH
from gateway.privacy.unpacking import PACKINGS
from gateway.records import NAMES, Record

MEANINGS: Final[dict[str, str]] = {
    "id": "id of the call, made here",
    "at": "time of arrival, microseconds",
    "org": "organisation of the key",
    "project": "project of the key",
    "key_id": "id of the key, never the key",
    "feature": "tag the caller sent to have kept",
    "environment": "tag the caller sent to have kept",
    "customer": "tag the caller sent to have kept",
    "session": "tag the caller sent to have kept",
    "dialect": "whose API was spoken",
    "path_kind": "what was asked for",
    "model_requested": "model or route asked for; `unknown` where nobody knows it here",
    "model_routed": "provider and model that were asked",
    "provider": "name of the provider in the configuration",
    "credential": "number of the provider's key that was used",
    "tier": "label of the model in the configuration",
    "route_reason": "why this model, as a code",
    "task": "kind of task, as a name",
    "task_confidence": "how sure of it, in thousandths",
    "attempts": "requests sent to providers",
    "stream": "whether the answer was streamed",
    "status": "HTTP status of the answer",
    "outcome": "how the call ended",
    "error_code": "code of ours, never a provider's words",
    "usage_source": "where the numbers of tokens come from",
    "cost_nanos": "what it cost, nano-dollars",
    "baseline_model": "model that the saving is measured against",
    "baseline_nanos": "what it would have cost there, without a prompt cache",
    "saved_routing_nanos": "saved by routing",
    "saved_downgrade_nanos": "saved by a downgrade",
    "saved_cache_nanos": "saved by the provider's cache",
    "saved_estimated": "whether another model answered than the one measured against",
    "held_nanos": "what was set aside for it",
    "price_version": "version of the price that was used",
    "priced": "whether its price was known",
    "queue_us": "waited, microseconds",
    "overhead_us": "in the gateway before it went out, microseconds",
    "first_byte_us": "until the provider's first byte, microseconds",
    "total_us": "from arrival to end, microseconds",
    "source": "how we know of the call",
}
"""What the columns are; those of tokens and units say it themselves."""

ROUTES: Final = ("sticky", "by_task", "quality", "canary", "fallback")
"""A route by each policy that has to do with words, sessions, outcomes or failures."""

PROVIDERS: Final = ("openai", "anthropic", "gemini", "groq", "compatible", "echo")


def kept() -> str:
    """What a record holds."""
    hints = get_type_hints(Record)
    rows = []
    for name in NAMES:
        meaning = MEANINGS.get(name) or name.replace("_", " ")
        rows.append((f"`{name}`", _holds(hints[name]), meaning))
    return _table(("column", "holds", "what it is"), rows)


def never_kept() -> str:
    """Every part of a request or an answer that carries a mark in the proof."""
    canary = Canary()
    every = Offers({dialect: f"{dialect}/echo-1" for dialect in CONVERSATIONS}, ROUTES)
    cases = list(Cases(canary, "host", "key", every).all())
    parts = sorted({re.sub(r"^field ", "header ", part) for part in canary.parts})
    headers = ", ".join(f"`{part.removeprefix('header ')}`" for part in parts if part.startswith("header "))
    others = ", ".join(part for part in parts if not part.startswith("header "))
    return (
        f"{len(cases)} kinds of call carry a mark in these parts, and none of it is found afterwards:\n\n"
        f"* {others}\n* request headers: {headers}"
    )


def sent_where() -> str:
    """Who gets content, by the built-in addresses."""
    rows = []
    for name in PROVIDERS:
        options = plugins.load("gateway.providers", name).Config
        address = next((field.default for field in fields(options) if field.name == "base_url"), None)
        where = "nobody: it answers from itself" if address is None else f"`{address}`"
        rows.append((f"`{name}`", "what `base_url` says" if address is MISSING else where))
    return _table(("provider", "where the call goes"), rows)


def written_where() -> str:
    """Every file that is written, by the built-in configuration."""
    config = Config()
    rows = [
        (f"`{STORE_PATH}`", "records, accounts, sealed provider keys (SQLite, with its log beside it)"),
        (f"`{config.records.journal}/`", "records of calls under way, until the database has them"),
        (f"`{config.metrics.folder}/`", "counters of each process, and an empty file while it serves"),
        (_file(config.secrets.master_key), "the master key; made once"),
        (_file(config.admin.token), "the admin token; made once"),
        ("`[log] access`, off", "minute, shortened address, kind of path, status; tied to no record"),
        ("standard error", "events: names and numbers, one line of JSON each"),
    ]
    return _table(("place", "what is written there"), rows)


def searched_for() -> str:
    """The forms in which the search finds a piece."""
    return f"{', '.join([*FORMS, 'base64'])}; and all of these within {', '.join(PACKINGS)}"


TABLES: Final[dict[str, Callable[[], str]]] = {
    "kept": kept,
    "never kept": never_kept,
    "sent": sent_where,
    "written": written_where,
    "searched": searched_for,
}


def renewed(text: str) -> str:
    """A document with its tables made anew, each between <!-- begin NAME --> and <!-- end NAME -->."""
    for name, make in TABLES.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{make()}\n{end}{after}"
    return text


def _holds(hint: Any) -> str:
    kinds = [getattr(kind, "__supertype__", kind) for kind in get_args(hint) or (hint,)]
    return " or ".join(dict.fromkeys(_kind(kind) for kind in kinds))


def _kind(kind: Any) -> str:
    if kind is type(None):
        return "nothing"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(str(member.value) for member in kind)
    return {int: "number", bool: "yes or no"}.get(kind, "name")


def _file(source: object) -> str:
    return f"`{source.file}`" if isinstance(source, SecretRef) else "as configured"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    def lines() -> Iterator[str]:
        for row in (head, ("---",) * len(head), *rows):
            yield f"| {' | '.join(row)} |"

    return "\n".join(lines())


def main(path: Path) -> None:
    """Write a document's tables anew."""
    path.write_text(renewed(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
