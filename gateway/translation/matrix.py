"""The tables of docs/translation.md, made from the dialects' own: what each pair drops and refuses.

    python -m gateway.translation.matrix docs/translation.md

writes them anew, each between its two marks; a test tells when they are out of date.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from gateway.names import Slug
from gateway.translation import TONGUES
from gateway.translation.bridge import losses_of
from gateway.translation.losses import Loss

TITLES: Final[Mapping[str, str]] = {
    "openai_chat": "Chat Completions",
    "openai_responses": "Responses",
    "anthropic_messages": "Messages",
    "gemini_generate": "generateContent",
}
"""The dialects under the names that their makers gave them, in the order of the tables."""


def pairs() -> str:
    """How many features each pair drops and refuses."""
    rows = []
    for caller in TITLES:
        cells = [TITLES[caller]]
        for provider in TITLES:
            if caller == provider:
                cells.append("as it is")
                continue
            lost = list(losses_of(TONGUES[Slug(caller)], TONGUES[Slug(provider)]).values())
            cells.append(f"{lost.count(Loss.DROPPED)} dropped, {lost.count(Loss.REFUSED)} refused")
        rows.append(cells)
    return _table(["called in ↓, served in →", *TITLES.values()], rows)


def callers() -> str:
    """What of a caller's dialect no other one can be told."""
    return _sides({name: TONGUES[Slug(name)].AS_CALLER for name in TITLES})


def providers() -> str:
    """What other dialects say and a provider's cannot."""
    return _sides({name: TONGUES[Slug(name)].AS_PROVIDER for name in TITLES})


TABLES: Final[dict[str, Callable[[], str]]] = {"pairs": pairs, "callers": callers, "providers": providers}


def renewed(text: str) -> str:
    """A document with its tables made anew, each between <!-- begin NAME --> and <!-- end NAME -->."""
    for name, make in TABLES.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{make()}\n{end}{after}"
    return text


def _sides(tables: Mapping[str, Mapping[Slug, Loss]]) -> str:
    rows = [
        [TITLES[name], _names(table, Loss.DROPPED), _names(table, Loss.REFUSED)]
        for name, table in tables.items()
    ]
    return _table(["dialect", "dropped", "refused"], rows)


def _names(table: Mapping[Slug, Loss], kind: Loss) -> str:
    return ", ".join(f"`{name}`" for name in sorted(table) if table[name] is kind) or "nothing"


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def main(path: Path) -> None:
    """Write a document's tables anew."""
    path.write_text(renewed(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
