"""In place of stage 5 for counts of tokens that the target cannot be asked for: our own estimate."""

from collections.abc import Callable
from typing import Final

import orjson

from gateway.contracts import Call
from gateway.exchange import Exchange
from gateway.names import Slug
from gateway.records import PathKind

JSON: Final = (("content-type", "application/json"),)

_FIELDS: Final = {Slug("anthropic_count"): "input_tokens", Slug("gemini_count"): "totalTokens"}


class Count:
    """Answers a count for a model whose provider speaks another dialect. Nobody is asked, nothing is paid.

    Args:
        guess: the input tokens of a call, more or less.
    """

    def __init__(self, guess: Callable[[Call], int]) -> None:
        self._guess = guess

    async def __call__(self, exchange: Exchange) -> None:
        """Reads call, plan. Answers, or leaves the call to the next stage."""
        call = exchange.call
        if call.kind is not PathKind.COUNT:
            return
        target = exchange.plan.targets[0]
        if call.dialect in target.provider.speaks:
            return
        body = orjson.dumps({_FIELDS[call.dialect]: self._guess(call)})
        client = exchange.client
        client.extra += [("x-gateway-model", target.name), ("x-gateway-route", "estimated")]
        await client.start(200, JSON, len(body))
        await client.write(body)
        await client.finish()
