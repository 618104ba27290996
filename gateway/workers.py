"""Several processes on one port."""

from pathlib import Path

from gateway.config import Config


def supervise(config: Config, path: Path | None) -> int:
    """Start the workers and keep them running until told to stop."""
    raise NotImplementedError
