"""Keeping: which Records go to the journal: all, but a flood of calls without a valid key is only counted."""

from gateway.clock import Clock
from gateway.ledger import rates
from gateway.ledger.writer import RecordWriter
from gateway.records import Record


class Keeping:
    """Hands Records to the writer.

    Args:
        unknown_per_minute: most Records kept of calls whose caller is not known. Anybody can make such
            calls, and must not fill the disk with them; metrics count every one.
    """

    def __init__(self, writer: RecordWriter, clock: Clock, unknown_per_minute: int) -> None:
        self._writer = writer
        self._clock = clock
        self._unknown_per_minute = unknown_per_minute
        self._due_ns = 0

    def __call__(self, record: Record, opened: bool) -> None:
        """Keep a Record. opened: its call stands open in the journal."""
        if record.key_id is None and not opened:
            most = self._unknown_per_minute
            admitted, value = rates.admit(self._due_ns, self._clock.tick_ns(), most, most)
            if not admitted:
                return
            self._due_ns = value
        self._writer.add(record, opened)
