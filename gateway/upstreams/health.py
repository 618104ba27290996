"""How each target is doing, for routers and for the choice of the next attempt."""

from dataclasses import dataclass

from gateway.exchange import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What is known of a target.

    Attributes:
        healthy: it may be asked now.
        latency_us: to the first byte; None as long as nothing was asked there.
        in_flight: calls under way there, of this process.
    """

    healthy: bool = True
    latency_us: int | None = None
    in_flight: int = 0


WELL = Vitals()


class Health:
    """Watches the targets."""

    def look(self, target: Target) -> Vitals:
        """How a target is doing now."""
        return WELL
