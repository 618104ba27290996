"""route-eval: decides on the prompts of a file by the outcomes of another, as a route would."""

import argparse
import gzip
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.clock import SystemClock
from gateway.commands import setting
from gateway.commands.desk import CommandError
from gateway.ledger.prices import PriceBook
from gateway.quality.deciding import decide
from gateway.quality.fitting import Feedback

FLOOR: Final = 0.99
CONFIDENCE: Final = 0.9

HOLDERS: Final = ("q", "quality", "outcomes", "outcome", "scores", "score", "results")
"""Fields that hold the outcomes of both models."""

CHEAP: Final = ("cheap", "candidate", "weak", "small")
REQUESTED: Final = ("requested", "strong", "large")
MEASURES: Final = ("q", "quality", "score", "outcome", "ok", "correct", "right", "result", "success")
"""Words before or after a model's name, or inside its object, that mean its outcome."""

TEXTS: Final = ("prompt", "text", "question", "input", "messages")
GROUPS: Final = ("group", "task", "category")

SIDES: Final = ("type", "kind")
"""Fields that may say which rows of one stream are to be decided on, whatever else they hold."""
TO_DECIDE: Final = ("prompt", "prompts", "decide", "query", "eval", "test")

NO_OUTCOMES: Final = (
    "no row of feedback has outcomes of both models; --cheap and --requested take their names in it"
)


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
    parser.add_argument("file", type=Path, nargs="?", help="feedback and prompts in one file")
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
    try:
        known, rows = _read(arguments)
    except CommandError as refusal:
        print(refusal, file=sys.stderr)
        return refusal.code
    lines = [
        orjson.dumps(one) + b"\n" for one in decisions(known, rows, arguments.floor, arguments.confidence)
    ]
    if arguments.out is None:
        sys.stdout.write(b"".join(lines).decode())
    else:
        arguments.out.write_bytes(b"".join(lines))
    return setting.GOOD


def _read(arguments: argparse.Namespace) -> tuple[list[Row], list[Row]]:
    """Feedback, and what is to be decided on.

    Raises:
        CommandError: see read_rows(); or options that are out of range, or feedback without outcomes.
    """
    if not 0 < arguments.floor <= 1:
        raise CommandError("--floor: a share above 0 and at most 1", setting.WRONG)
    if not 0.5 <= arguments.confidence < 1:
        raise CommandError("--confidence: at least 0.5 and below 1", setting.WRONG)
    names = (arguments.cheap, arguments.requested)
    lines = list(lines_of(arguments.feedback)) if arguments.feedback else []
    asked = list(lines_of(arguments.prompts or arguments.file or Path("-")))
    if names == ("", ""):
        names = _by_price(lines or asked)
    known, rows = read_rows(lines, names), read_rows(asked, names)
    if arguments.prompts is None:  # one stream: rows with outcomes are feedback
        known += [row for row in rows if row.outcomes is not None]
        rows = [row for row in rows if row.outcomes is None]
    told = sum(row.outcomes is not None for row in known)
    if arguments.feedback and not told:
        raise CommandError(NO_OUTCOMES, setting.WRONG)
    if told < len(known):
        print(f"{len(known) - told} rows of feedback lack an outcome and are left out", file=sys.stderr)
    if not rows:
        print("there is no prompt to decide on", file=sys.stderr)
    if not known:
        print("there is no feedback: every prompt stays with the requested model", file=sys.stderr)
    return known, rows


def _by_price(lines: Iterable[bytes]) -> tuple[str, str]:
    """The cheap and the requested model where rows name just two in their outcomes and do not say which is
    which: the price book knows. Empty names where it does not, or where nothing has to be known."""
    for line in lines:
        try:
            tree = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if not isinstance(tree, dict):
            continue
        held: dict[str, Any] = next((tree[one] for one in HOLDERS if isinstance(tree.get(one), dict)), {})
        if len(held) != 2 or _outcomes(tree, ("", "")) is not None or _pair(tree, ("", "")) != ("", ""):
            continue
        book, now_us = PriceBook.bundled(), SystemClock().now_us()
        prices = {name: book.find(book.home(name) or "", name, now_us) for name in held}
        rates = [
            (price.input_rate or 0, price.output_rate or 0, name)
            for name, price in prices.items()
            if price is not None
        ]
        if len(rates) == 2 and rates[0][:2] != rates[1][:2]:
            cheap, requested = (name for _, _, name in sorted(rates))
            print(f"cheap: {cheap}; requested: {requested} (by their prices)", file=sys.stderr)
            return cheap, requested
        return "", ""
    return "", ""


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
                outcomes=None if _is_to_decide(tree) else _outcomes(tree, names),
            )
        )
    return found


def lines_of(path: Path) -> Iterable[bytes]:
    """The lines of a file, packed by gzip or not; of one JSON list, or of one object with the lists
    feedback and prompts, its rows. "-" is standard input."""
    data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data.lstrip()[:1] in (b"[", b"{"):
        try:
            tree = orjson.loads(data)
        except orjson.JSONDecodeError:  # many lines
            return data.split(b"\n")
        return [orjson.dumps(one) for one in _rows(tree)]
    return data.split(b"\n")


def _rows(tree: Any) -> list[Any]:
    if isinstance(tree, list):
        return tree
    feedback, prompts = tree.get("feedback"), tree.get("prompts")
    if not isinstance(feedback, list) and not isinstance(prompts, list):
        return [tree]
    shared = {name: tree[name] for name in (*CHEAP, *REQUESTED) if isinstance(tree.get(name), str)}
    asked = [{"prompt": one} if isinstance(one, str) else one for one in prompts or []]
    sides: tuple[tuple[list[Any], dict[str, str]], ...] = ((feedback or [], {}), (asked, {"type": "prompt"}))
    return [
        {**shared, **row, **mark} if isinstance(row, dict) else row for rows, mark in sides for row in rows
    ]


def _is_to_decide(tree: Mapping[str, Any]) -> bool:
    return any(tree.get(name) in TO_DECIDE for name in SIDES if isinstance(tree.get(name), str))


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
    held: Any = next((tree[name] for name in HOLDERS if isinstance(tree.get(name), dict | list)), tree)
    if isinstance(held, list):  # in the order in which everything else names them
        both = [_number(one) for one in held]
        return (both[0], both[1]) if len(both) == 2 and None not in both else None  # type: ignore[return-value]
    pair = _pair(tree, names)
    cheap = _outcome(held, (pair[0], *CHEAP))
    requested = _outcome(held, (pair[1], *REQUESTED))
    if cheap is not None and requested is not None:
        return cheap, requested
    as_well = _outcome(tree, ("served_as_well", "ok"))
    return None if as_well is None else (as_well, 1.0)


def _outcome(held: Mapping[str, Any], keys: Iterable[str]) -> float | None:
    for key in keys:
        for name in (key, *(f"{one}_{key}" for one in MEASURES), *(f"{key}_{one}" for one in MEASURES)):
            value = held.get(name) if key else None
            if isinstance(value, dict):
                value = next((value[one] for one in MEASURES if one in value), None)
            found = _number(value)
            if found is not None:
                return found
    return None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None  # true and false, too
