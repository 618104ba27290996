"""Records for tests: plausible, and different by number."""

from typing import Any

from gateway.names import Slug
from gateway.records import OPENING_NAMES, Opening, PathKind, Record
from gateway.usage import Nanos, Source


def a_record(number: int = 1, **changes: Any) -> Record:
    """A finished call that cost 1,000 + number nanos, at number milliseconds."""
    values: dict[str, Any] = {
        "id": Slug(f"call-{number:08}"),
        "at": number * 1000,
        "key_id": Slug("key-1"),
        "dialect": Slug("openai_chat"),
        "path_kind": PathKind.CHAT,
        "model_requested": Slug("gpt-4o"),
        "model_routed": Slug("openai/gpt-4o-mini"),
        "provider": Slug("openai"),
        "attempts": 1,
        "stream": number % 2 == 0,
        "status": 200,
        "tokens_input": number,
        "usage_source": Source.REPORTED,
        "cost_nanos": Nanos(1000 + number),
        "held_nanos": Nanos(5000 + number),
        "price_version": Slug("2026-11"),
        "total_us": 1234,
    }
    return Record(**(values | changes))


def an_opening(number: int = 1, **changes: Any) -> Opening:
    """The same call, about to be forwarded."""
    record = a_record(number, **changes)
    return Opening(**{name: getattr(record, name) for name in OPENING_NAMES})
