"""What the loop and aiohttp would print, as types and places only, and not without end."""

import asyncio
import logging  # noqa: TID251 - to silence aiohttp
from typing import Any, Final

from gateway import log

_MOST: Final = 20


def silence(loop: asyncio.AbstractEventLoop) -> None:
    """Keep the loop and aiohttp from printing: what they print quotes arguments and requests.

    A handler that the loop has already is left to its work.
    """
    if loop.get_exception_handler() is None:
        loop.set_exception_handler(_Reports())
    logger = logging.getLogger("aiohttp")
    logger.handlers = [logging.NullHandler()]
    logger.propagate = False


class _Reports:
    """Logs the types of what goes wrong in the loop; of a flood only the first of each second.

    With all descriptors used up, asyncio reports every connection that it cannot accept.
    """

    def __init__(self) -> None:
        self._second = 0
        self._count = 0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        second = int(loop.time())
        self._count = self._count + 1 if second == self._second else 1
        self._second = second
        if self._count > _MOST:
            return
        error = context.get("exception")
        if error is None:
            log.fact("loop.message", log.Level.ERROR)
        else:
            log.fact("loop.exception", log.Level.ERROR, error=log.kind(error), place=log.place(error))
