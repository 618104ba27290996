"""A flood of calls without a valid key cannot fill the disk; every other call is kept."""

from typing import Any

from gateway.ledger.keeping import Keeping
from gateway.names import Slug
from gateway.records import Record


class Taken:
    """A writer that keeps what it is given, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.ns = 10**12

    def add(self, record: Record, opened: bool) -> None:
        self.records.append(record)

    def tick_ns(self) -> int:
        return self.ns


def test_unknown_callers_are_bounded_and_known_ones_are_not() -> None:
    taken: Any = Taken()
    keep = Keeping(taken, taken, 10)
    for number in range(100):
        keep(Record(id=Slug(f"u{number}"), at=0), False)
    assert len(taken.records) == 10
    for number in range(100):
        keep(Record(id=Slug(f"k{number}"), at=0, key_id=Slug("key")), False)
    keep(Record(id=Slug("opened"), at=0), True)
    assert len(taken.records) == 111
    taken.ns += 6 * 10**9
    keep(Record(id=Slug("later"), at=0), False)
    assert len(taken.records) == 112
