"""route-eval: decides on the prompts of a file by the outcomes of another, as a route would."""

import argparse
import gzip
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.commands import setting
from gateway.commands.desk import CommandError
from gateway.quality.deciding import decide
from gateway.quality.fitting import Feedback

FLOOR: Final = 0.99
CONFIDENCE: Final = 0.9

HOLDERS: Final = ("q", "quality", "outcomes", "outcome", "scores", "score", "results")
"""Fields that hold the outcomes of both models."""

CHEAP: Final = ("cheap", "candidate", "weak", "small")
REQUESTED: Final = ("requested", "strong", "large")
TEXTS: Final = ("prompt", "text", "question", "input", "messages")
GROUPS: Final = ("group", "task", "category")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the input. outcomes: of the cheap and the requested model; None: to be decided on."""

    id: Any
    prompt: str
    group: str
    pair: tuple[str, str]
    outcomes: tuple[float, float] | None


def add(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "route-eval", help="decide on prompts by the outcomes of others", parents=[shared]
    )
    parser.add_argument("--feedback", type=Path, help="JSONL: prompts with the outcomes of both models")
    parser.add_argument("--prompts", type=Path, help="JSONL: prompts to decide on (default: standard input)")
    parser.add_argument("--out", type=Path, help="where the decisions go (default: standard output)")
    parser.add_argument("--cheap", default="", help="name of the cheap model in the outcomes")
    parser.add_argument("--requested", default="", help="name of the requested model in the outcomes")
    parser.add_argument("--floor", type=float, default=FLOOR, help="least share of the quality kept")
    parser.add_argument("--confidence", type=float, default=CONFIDENCE, help="how sure that must be")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read, decide, write."""
    names = (arguments.cheap, arguments.requested)
    try:
        known = read_rows(lines_of(arguments.feedback), names) if arguments.feedback else []
        stream = arguments.prompts or (None if arguments.feedback else Path("-"))
        rows = read_rows(lines_of(stream or Path("-")), names)
    except CommandError as refusal:
        print(refusal, file=sys.stderr)
        return refusal.code
    if arguments.prompts is None:  # one stream: rows with outcomes are feedback
        known += [row for row in rows if row.outcomes is not None]
        rows = [row for row in rows if row.outcomes is None]
    lines = [
        orjson.dumps(one) + b"\n" for one in decisions(known, rows, arguments.floor, arguments.confidence)
    ]
    if arguments.out is None:
        sys.stdout.write(b"".join(lines).decode())
    else:
        arguments.out.write_bytes(b"".join(lines))
    return setting.GOOD


def decisions(known: Iterable[Row], rows: list[Row], floor: float, confidence: float) -> list[dict[str, Any]]:
    """The decisions in the order of the rows. Each pair of models learns from its own feedback."""
    feedback: dict[tuple[str, str], list[Feedback]] = {}
    for row in known:
        if row.outcomes is not None:
            cheap, requested = row.outcomes
            one = Feedback(prompt=row.prompt, group=row.group, cheap=cheap, requested=requested)
            feedback.setdefault(row.pair, []).append(one)
    only = next(iter(feedback)) if len(feedback) == 1 else None
    found: dict[int, dict[str, Any]] = {}
    for pair in {row.pair for row in rows}:
        places = [place for place, row in enumerate(rows) if row.pair == pair]
        mine = feedback.get(pair) or (feedback[only] if only and "" in (*pair, *only) else [])
        asked = [(rows[place].prompt, rows[place].group) for place in places]
        for place, made in zip(places, decide(mine, asked, floor, confidence), strict=True):
            use = "cheap" if made.cheap else "requested"
            found[place] = {"id": rows[place].id, "p_ok": round(made.p_ok, 6), "use": use}
    return [found[place] for place in range(len(rows))]


def read_rows(lines: Iterable[bytes], names: tuple[str, str]) -> list[Row]:
    """Rows of JSON lines.

    Raises:
        CommandError: a line is no JSON object, or has no prompt. The line is not quoted.
    """
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            tree = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise CommandError(f"line {number}: is not JSON") from None
        if not isinstance(tree, dict):
            raise CommandError(f"line {number}: an object is expected")
        prompt = next((_text(tree[name]) for name in TEXTS if name in tree), None)
        if prompt is None:
            raise CommandError(f"line {number}: has no prompt")
        found.append(
            Row(
                id=tree.get("id", number),
                prompt=prompt,
                group=next((str(tree[name]) for name in GROUPS if tree.get(name)), ""),
                pair=_pair(tree, names),
                outcomes=_outcomes(tree, names),
            )
        )
    return found


def lines_of(path: Path) -> Iterable[bytes]:
    """The lines of a file, packed by gzip or not, or one JSON list; "-" is standard input."""
    if str(path) == "-":
        return sys.stdin.buffer.read().splitlines()
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if data.lstrip()[:1] == b"[":
        return [orjson.dumps(one) for one in orjson.loads(data)]
    return data.split(b"\n")


def _text(value: Any) -> str:
    """The text of a prompt, of messages, or of parts of one."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, map(_text, value)))
    if isinstance(value, dict):
        return _text(value.get("content", value.get("text", "")))
    return ""


def _pair(tree: Mapping[str, Any], names: tuple[str, str]) -> tuple[str, str]:
    cheap, requested = (
        next((tree[one] for one in keys if isinstance(tree.get(one), str)), name)
        for keys, name in (
            ((*CHEAP, *(f"{one}_model" for one in CHEAP)), names[0]),
            ((*REQUESTED, *(f"{one}_model" for one in REQUESTED)), names[1]),
        )
    )
    return cheap, requested


def _outcomes(tree: Mapping[str, Any], names: tuple[str, str]) -> tuple[float, float] | None:
    """The outcomes of both models; None where one is missing."""
    held = next((tree[name] for name in HOLDERS if isinstance(tree.get(name), dict)), tree)
    pair = _pair(tree, names)
    cheap = _outcome(held, (pair[0], *CHEAP))
    requested = _outcome(held, (pair[1], *REQUESTED))
    if cheap is not None and requested is not None:
        return cheap, requested
    as_well = _outcome(tree, ("served_as_well", "ok"))
    return None if as_well is None else (as_well, 1.0)


def _outcome(held: Mapping[str, Any], keys: Iterable[str]) -> float | None:
    for key in keys:
        for name in (key, f"q_{key}", f"{key}_q", f"score_{key}", f"{key}_score", f"{key}_outcome"):
            value = held.get(name)
            if isinstance(value, int | float):  # true and false, too
                return float(value)
    return None
