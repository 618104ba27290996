"""Ridge regression on sparse rows, by conjugate gradients; with numpy where it is installed, else without.

Both ways give the same weights, to rounding. Without numpy a fit takes about ten times as long.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import chain
from typing import Any, Final, Protocol

STEPS: Final = 30
ENOUGH: Final = 1e-6
"""Where the iteration ends: the share of the first residue's square that is left."""

Vector = Sequence[float]


class Matrix(Protocol):
    """Sparse rows that vectors can be multiplied with."""

    def times(self, weights: Vector) -> Vector:
        """One number for each row."""
        ...

    def turned(self, values: Vector) -> Vector:
        """One number for each column."""
        ...


class Plain:
    """Rows in lists."""

    def __init__(self, rows: Sequence[Mapping[int, float]], width: int) -> None:
        self._rows = [_by_value(row) for row in rows]
        self._width = width

    def times(self, weights: Vector) -> Vector:
        """One number for each row."""
        look = weights.__getitem__
        return [sum([value * sum(map(look, columns)) for value, columns in row]) for row in self._rows]

    def turned(self, values: Vector) -> Vector:
        """One number for each column."""
        found = [0.0] * self._width
        for row, factor in zip(self._rows, values, strict=True):
            if factor:
                for value, columns in row:
                    product = value * factor
                    for column in columns:
                        found[column] += product
        return found


def _by_value(row: Mapping[int, float]) -> list[tuple[float, list[int]]]:
    """Most columns of a row share one value, so that it is multiplied with once."""
    found: dict[float, list[int]] = {}
    for column, value in row.items():
        found.setdefault(value, []).append(column)
    return list(found.items())


class Numeric:
    """Rows in numpy's arrays."""

    def __init__(self, numpy: Any, rows: Sequence[Mapping[int, float]], width: int) -> None:
        self._numpy = numpy
        self._width = width
        self._height = len(rows)
        self._columns = numpy.fromiter(chain.from_iterable(rows), dtype=numpy.int64)
        self._values = numpy.fromiter(chain.from_iterable(row.values() for row in rows), dtype=numpy.float64)
        self._owners = numpy.repeat(numpy.arange(len(rows)), [len(row) for row in rows])

    def times(self, weights: Vector) -> Vector:
        """One number for each row."""
        products = self._numpy.asarray(weights)[self._columns] * self._values
        found: Vector = self._numpy.bincount(self._owners, products, self._height)
        return found

    def turned(self, values: Vector) -> Vector:
        """One number for each column."""
        products = self._numpy.asarray(values)[self._owners] * self._values
        found: Vector = self._numpy.bincount(self._columns, products, self._width)
        return found


def matrix(rows: Sequence[Mapping[int, float]], width: int) -> Matrix:
    """Rows as a matrix, the quickest that there is."""
    try:
        return Numeric(import_module("numpy"), rows, width)
    except ImportError:
        return Plain(rows, width)


def ridge(rows: Matrix, wanted: Vector, penalty: float) -> list[float]:
    """The weights that come nearest to what is wanted, less the penalty for large ones.

    The rows are not centred: take the mean off what is wanted before.
    """
    # Solves (X Xᵀ + penalty) a = y, whose size is the number of rows; the weights are Xᵀ a.
    size = len(wanted)
    answer, residue = [0.0] * size, [float(value) for value in wanted]
    direction = residue
    left = first = _dot(residue, residue)
    for _ in range(STEPS):
        if left <= first * ENOUGH:
            break
        product = rows.times(rows.turned(direction))
        moved = [one + penalty * two for one, two in zip(product, direction, strict=True)]
        step = left / _dot(direction, moved)
        answer = [one + step * two for one, two in zip(answer, direction, strict=True)]
        residue = [one - step * two for one, two in zip(residue, moved, strict=True)]
        before, left = left, _dot(residue, residue)
        direction = [one + left / before * two for one, two in zip(residue, direction, strict=True)]
    return [float(value) for value in rows.turned(answer)]


def _dot(one: Vector, two: Vector) -> float:
    return float(sum(a * b for a, b in zip(one, two, strict=True)))
