"""The multinomial logistic model: features to a sparse matrix, fitting, and turning it into a file.

numpy and scipy are needed here, and nowhere at run time. Everything is deterministic.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rows import LABELS, Row
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, vstack

from gateway.routers.classifiers import features as made
from gateway.routers.classifiers.features import GROUPS
from gateway.routers.classifiers.weights import dump

Sparse = csr_matrix
Array = np.ndarray

PLACE = {label: number for number, label in enumerate(LABELS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What can be chosen.

    Attributes:
        sources: weight of a row by its source; default of others is 1.
        powers: by group: what its number of features is raised to before it divides them.
        gains: by group: how freely its weights may grow.
        least_rows, least_sources: a feature is kept when it is in so many rows of so many sources.
        penalty: of squared weights.
        bare: weight of each row's second copy, which shows meanings and shape only.
        copies, kept, faint: so many more copies of each row show this share of its features, picked by
            chance and made as much stronger; each has this weight. Words of a strange source are mostly
            unknown: the model must not rely on any of them.
        rounds: steps of the fit; it is stopped early.
        soft: share of a row's weight that goes to all labels that count as right.
        long: weight of a row's copy as a long document.
        balance: labels are weighted by their frequency to the power -balance.
    """

    sources: Mapping[str, float]
    powers: Mapping[str, float]
    gains: Mapping[str, float]
    least_rows: int = 4
    least_sources: int = 1
    penalty: float = 5.0
    bare: float = 0.3
    copies: int = 2
    kept: float = 0.5
    faint: float = 0.5
    soft: float = 0.6
    long: float = 0.3
    balance: float = 0.3
    rounds: int = 40


SETTINGS = Settings(
    sources={
        "p3": 0.12, "gpteacher": 0.12, "gsm8k": 0.15, "humaneval": 0.15, "bbh": 0.15, "debugbench": 0.15,
        "mt_bench_101": 0.4, "own_english": 1.5, "own_languages": 1.5, "own_translation": 1.2,
        "own_targeted": 1.5,
    },
    powers={
        "word": 0.5, "pair": 0.5, "head": 0.25, "headpair": 0.25, "tail": 0.25, "system": 0.5, "earlier": 0.5,
    },
    gains={
        "word": 4, "pair": 7, "head": 0.8, "headpair": 0.45, "start": 0.45, "tail": 0.7, "mean": 0.9,
        "meanpair": 0.3, "meanstart": 0.4, "shape": 0.3, "plan": 0.3,
    },
)  # fmt: skip

BARE = frozenset({"mean", "meanpair", "meanstart", "meantail", "shape"})

Seen = list[list[Hashable]]


def look(rows: Sequence[Row]) -> list[Seen]:
    """The features of each row."""
    return [[sorted(group, key=repr) for group in made.features(row.prompt)] for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Features and their weights: one row of numbers for each feature, one column for each label."""

    settings: Settings
    columns: list[dict[Hashable, int]]
    weights: Array

    def scores(self, seen: Sequence[Seen]) -> Array:
        return np.asarray(matrix(seen, self.columns, self.settings) @ self.weights)


def fit(rows: Sequence[Row], seen: Sequence[Seen], settings: Settings = SETTINGS) -> Model:
    """The model that serves these rows best."""
    columns = _columns(rows, seen, settings)
    plain = matrix(seen, columns, settings)
    weight = _row_weights(rows, settings)
    target = _targets(rows, settings)
    parts, factors = [plain], [1.0]
    if settings.bare:
        parts.append(matrix(_bare(seen), columns, settings))
        factors.append(settings.bare)
    chance = np.random.default_rng(7)
    for _ in range(settings.copies):
        parts.append(_thin(plain, settings.kept, chance))
        factors.append(settings.faint)
    weights = _solve(
        vstack(parts).tocsr(),
        np.concatenate([target] * len(parts)),
        np.concatenate([weight * factor for factor in factors]),
        settings,
    )
    return Model(settings=settings, columns=columns, weights=weights)


def _thin(plain: Sparse, kept: float, chance: np.random.Generator) -> Sparse:
    thin = plain.copy()
    thin.data *= (chance.random(len(thin.data)) < kept) / kept
    thin.eliminate_zeros()
    return thin


def _bare(seen: Sequence[Seen]) -> list[Seen]:
    return [[group if GROUPS[at] in BARE else [] for at, group in enumerate(one)] for one in seen]


def _columns(rows: Sequence[Row], seen: Sequence[Seen], settings: Settings) -> list[dict[Hashable, int]]:
    columns, start = [], 0
    for at in range(len(GROUPS)):
        counts: Counter[Hashable] = Counter()
        sources: dict[Hashable, set[str]] = defaultdict(set)
        for row, one in zip(rows, seen, strict=True):
            for key in one[at]:
                counts[key] += 1
                sources[key].add(row.source)
        kept = sorted(
            (
                key
                for key, count in counts.items()
                if count >= settings.least_rows and len(sources[key]) >= settings.least_sources
            ),
            key=repr,
        )
        columns.append({key: start + number for number, key in enumerate(kept)})
        start += len(kept)
    return columns


def matrix(seen: Sequence[Seen], columns: Sequence[Mapping[Hashable, int]], settings: Settings) -> Sparse:
    """Rows of features as numbers."""
    data: list[float] = []
    indices: list[int] = []
    ends = [0]
    for one in seen:
        for at, name in enumerate(GROUPS):
            held = columns[at]
            group = one[at]
            if not group:
                continue
            value = settings.gains.get(name, 1.0) / len(group) ** settings.powers.get(name, 0.0)
            found = [held[key] for key in group if key in held]
            indices += found
            data += [value] * len(found)
        ends.append(len(indices))
    width = sum(map(len, columns))
    return csr_matrix(
        (np.array(data), np.array(indices, dtype=np.int32), np.array(ends)), shape=(len(seen), width)
    )


def _targets(rows: Sequence[Row], settings: Settings) -> Array:
    target = np.zeros((len(rows), len(LABELS)))
    for number, row in enumerate(rows):
        for label in row.allowed:
            target[number, PLACE[label]] += settings.soft / len(row.allowed)
        target[number, PLACE[row.taught]] += 1 - settings.soft
    return target


def _row_weights(rows: Sequence[Row], settings: Settings) -> Array:
    weight = np.array(
        [
            settings.sources.get(row.source, 1.0) * (settings.long if row.id.endswith("/long") else 1.0)
            for row in rows
        ]
    )
    mass = Counter[str]()
    for row, one in zip(rows, weight, strict=True):
        mass[row.taught] += float(one)
    mean = sum(mass.values()) / len(LABELS)
    return weight * np.array([(mean / mass[row.taught]) ** settings.balance for row in rows])


def _solve(x: Sparse, target: Array, weight: Array, settings: Settings) -> Array:
    """Weights of least cross entropy with a penalty on their squares, by L-BFGS."""
    count = len(LABELS)
    x = x.astype(np.float32)
    turned = x.T.tocsr()
    target = (target * weight[:, None]).astype(np.float32)
    weight = weight.astype(np.float32)

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(-1, count).astype(np.float32)
        scores = x @ weights
        scores -= scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        value = -float((target * logs).sum(dtype=np.float64)) + settings.penalty / 2 * float((flat**2).sum())
        slope = turned @ (weight[:, None] * np.exp(logs) - target) + settings.penalty * weights
        return value, slope.ravel().astype(np.float64)

    found = minimize(
        loss, np.zeros(x.shape[1] * count), jac=True, method="L-BFGS-B",
        options={"maxiter": settings.rounds, "maxcor": 8, "ftol": 1e-7},
    )  # fmt: skip
    return np.asarray(found.x).reshape(-1, count)


def probabilities(scores: Array, temperature: float = 1.0) -> Array:
    scores = scores / temperature
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def calibrate(scores: Array, rows: Sequence[Row], weight: Array | None = None) -> float:
    """The temperature at which the best label's probability is nearest to how often it counts as right."""
    right = np.array(
        [LABELS[best] in row.accept for best, row in zip(scores.argmax(axis=1), rows, strict=True)]
    )
    tried = np.geomspace(0.25, 4.0, 161)

    def loss(temperature: float) -> float:
        best = np.clip(probabilities(scores, temperature).max(axis=1), 1e-6, 1 - 1e-6)
        each = -np.where(right, np.log(best), np.log(1 - best))
        return float(np.average(each, weights=weight))

    return float(min(tried, key=loss))


def export(
    model: Model, *, version: str, date: str, threshold: float, temperature: float, floor: float
) -> bytes:
    """A file of weights. Features whose largest weight is below floor are left out."""
    settings = model.settings
    groups, steps = [], []
    centred = model.weights - model.weights.mean(axis=1, keepdims=True)
    for at, name in enumerate(GROUPS):
        kept = [(key, centred[number]) for key, number in model.columns[at].items()]
        gain = settings.gains.get(name, 1.0)
        kept = [(key, row * gain) for key, row in kept]
        kept = [(key, row) for key, row in kept if float(np.abs(row).max(initial=0.0)) >= floor]
        most = max((float(np.abs(row).max()) for _, row in kept), default=1.0)
        step = most / 127
        numbers = (
            np.array([row / step for _, row in kept]).round().astype(np.int8)
            if kept
            else np.zeros((0, len(LABELS)), np.int8)
        )
        groups.append(([key for key, _ in kept], numbers.tobytes()))
        steps.append(step)
    header = {
        "version": version, "date": date, "features": made.VERSION, "labels": list(LABELS),
        "threshold": threshold, "temperature": temperature, "steps": steps,
        "powers": [settings.powers.get(name, 0.0) for name in GROUPS],
    }  # fmt: skip
    return dump(header, groups)


def with_settings(base: Settings, changes: Iterable[str]) -> Settings:
    """Settings with NAME=VALUE changed; sources.NAME, powers.NAME and gains.NAME reach inside."""
    for change in changes:
        name, _, value = change.partition("=")
        outer, _, inner = name.partition(".")
        if inner:
            base = replace(base, **{outer: {**getattr(base, outer), inner: float(value)}})
        else:
            base = replace(base, **{outer: type(getattr(base, outer))(float(value))})
    return base
