"""Does the time that a key takes to be refused tell why it was refused? Welch's t over 100,000 looks each.

Run by hand on a quiet machine: python tests/campaigns/key_timing.py [SAMPLES]. Exits with 1 when
two kinds of wrong keys can be told apart (|t| of 4.5 or more, the usual threshold of leakage tests).
"""

import gc
import os
import random
import sys
from dataclasses import replace
from itertools import combinations
from math import sqrt
from statistics import fmean, variance
from time import perf_counter_ns

from gateway.accounts import keys, tree
from gateway.accounts.directory import Directory
from gateway.content import Purpose
from gateway.contracts import Accounts, KeyRow, NodeRow
from gateway.names import Slug

PEPPER = os.urandom(32)
THRESHOLD = 4.5
KEYS = 20_000
"""Keys of each kind. Few would be measured often: the luck of their places in the dictionary would show."""
NODES = (
    NodeRow(id=tree.ROOT_ID, parent=None, kind=tree.PLATFORM, name=tree.PLATFORM, created_ms=0),
    NodeRow(
        id=Slug("off"), parent=tree.ROOT_ID, kind=tree.PROJECT, name=Slug("off"), created_ms=0, disabled=True
    ),
)


def made(number: int, **more: object) -> tuple[str, KeyRow]:
    """A key and its row."""
    clear, prefix, last4 = keys.make()
    text = clear.open(Purpose.AUTH)
    row = KeyRow(
        id=Slug(f"k{number}"),
        node=tree.ROOT_ID,
        name=Slug("k"),
        digest=keys.digest(PEPPER, text),
        prefix=prefix,
        last4=last4,
        created_ms=0,
    )
    return text, replace(row, **more)


def wrong_keys() -> tuple[Directory, dict[str, list[str]]]:
    """A directory, and for each kind of refusal many keys that meet it."""
    good = [made(number) for number in range(KEYS)]
    revoked = [made(KEYS + number, revoked_ms=1) for number in range(KEYS)]
    expired = [made(2 * KEYS + number, expires_ms=1) for number in range(KEYS)]
    disabled = [made(3 * KEYS + number, node=Slug("off")) for number in range(KEYS)]
    directory = Directory(PEPPER)
    directory.replace(Accounts(1, NODES, tuple(row for _, row in good + revoked + expired + disabled), ()))
    kinds = {
        "unknown": [made(0)[0] for _ in range(KEYS)],
        "one letter wrong": [text[:20] + ("x" if text[20] != "x" else "y") + text[21:] for text, _ in good],
        "revoked": [text for text, _ in revoked],
        "expired": [text for text, _ in expired],
        "disabled": [text for text, _ in disabled],
    }
    assert all(directory.find(text) is None for texts in kinds.values() for text in texts)
    assert all(directory.find(text) is not None for text, _ in good)
    return directory, alike(kinds)


def alike(kinds: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same texts as fresh objects, made in random order: where they lie in memory must not tell kinds."""
    places = [(kind, number) for kind, texts in kinds.items() for number in range(len(texts))]
    random.shuffle(places)
    fresh = {kind: list(texts) for kind, texts in kinds.items()}
    for kind, number in places:
        fresh[kind][number] = "".join(list(kinds[kind][number]))
    return fresh


def measure(samples: int) -> dict[str, list[int]]:
    """Nanoseconds of each look, kinds in random order; the slowest hundredth is left out as noise."""
    directory, kinds = wrong_keys()
    times: dict[str, list[int]] = {kind: [] for kind in kinds}
    order = list(kinds)
    find = directory.find
    gc.disable()
    for number in range(samples + 1_000):
        random.shuffle(order)
        for kind in order:
            text = kinds[kind][number % KEYS]
            began = perf_counter_ns()
            find(text)
            times[kind].append(perf_counter_ns() - began)
    gc.enable()
    return {kind: sorted(ns[1_000:])[: samples * 99 // 100] for kind, ns in times.items()}


def welch(one: list[int], other: list[int]) -> float:
    """Welch's t: the difference of two means in units of its own standard error."""
    return (fmean(one) - fmean(other)) / sqrt(variance(one) / len(one) + variance(other) / len(other))


def main() -> int:
    """Measure, print, judge."""
    times = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    for kind, ns in times.items():
        print(f"{kind:<18} mean {fmean(ns):8.1f} ns  median {ns[len(ns) // 2]:6d} ns")
    worst = 0.0
    for one, other in combinations(times, 2):
        t = welch(times[one], times[other])
        worst = max(worst, abs(t))
        print(f"{one} against {other}: t = {t:.2f}")
    print(f"largest |t| {worst:.2f}, threshold {THRESHOLD}")
    return 0 if worst < THRESHOLD else 1


if __name__ == "__main__":
    sys.exit(main())
