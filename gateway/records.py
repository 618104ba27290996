"""Record: what is kept of a call. Numbers, names and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import Enum, StrEnum
from operator import attrgetter
from typing import Any, Final, NoReturn, get_args, get_type_hints

from gateway.names import Slug
from gateway.quick import quick
from gateway.usage import Nanos, Source


class PathKind(StrEnum):
    """What a call asks for."""

    __hash__ = str.__hash__  # in C, as these are looked up for each call

    CHAT = "chat"
    RESPONSES = "responses"
    MESSAGES = "messages"
    GENERATE = "generate"
    EMBEDDINGS = "embeddings"
    COUNT = "count"
    MODELS = "models"
    IMAGES = "images"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"
    MODERATIONS = "moderations"
    OTHER = "other"


class Outcome(StrEnum):
    """How a call ended."""

    __hash__ = str.__hash__

    OK = "ok"
    CLIENT_CLOSED = "client_closed"
    UPSTREAM_ERROR = "upstream_error"
    REFUSED = "refused"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Origin(StrEnum):
    """How we know of a call."""

    PROXIED = "proxied"
    REPORTED = "reported"


@quick
@dataclass(frozen=True, slots=True)  # not kept to keywords: to match fifty of them costs as much as the rest
class Record:
    """One call. The field names are the names of the columns.

    Times: at in microseconds since 1970 (UTC); *_us in microseconds of a monotonic clock. Money in
    nano-dollars. task_confidence in thousandths. None means not known or not applicable.
    cost_nanos is None, and priced false, when no price is known: never 0 by accident. The same goes for
    baseline_nanos; where it is known, baseline_nanos - cost_nanos is the sum of the saved_*_nanos.
    """

    id: Slug
    at: int
    org: Slug | None = None
    project: Slug | None = None
    key_id: Slug | None = None
    feature: Slug | None = None
    environment: Slug | None = None
    customer: Slug | None = None
    session: Slug | None = None
    dialect: Slug | None = None
    path_kind: PathKind = PathKind.OTHER
    model_requested: Slug | None = None
    model_routed: Slug | None = None
    provider: Slug | None = None
    credential: Slug | None = None
    tier: Slug | None = None
    route_reason: Slug | None = None
    task: Slug | None = None
    task_confidence: int | None = None
    attempts: int = 0
    stream: bool = False
    status: int = 0
    outcome: Outcome = Outcome.OK
    error_code: Slug | None = None
    tokens_input: int = 0
    tokens_cached: int = 0
    tokens_cache_write_5m: int = 0
    tokens_cache_write_1h: int = 0
    tokens_output: int = 0
    tokens_reasoning: int = 0
    tokens_input_audio: int = 0
    tokens_cached_audio: int = 0
    tokens_input_image: int = 0
    tokens_output_audio: int = 0
    tokens_output_image: int = 0
    units_searches: int = 0
    units_tools: int = 0
    units_characters: int = 0
    units_audio_ms: int = 0
    units_images: int = 0
    usage_source: Source = Source.NONE
    cost_nanos: Nanos | None = None
    baseline_model: Slug | None = None
    baseline_nanos: Nanos | None = None
    saved_routing_nanos: Nanos = Nanos(0)
    saved_downgrade_nanos: Nanos = Nanos(0)
    saved_cache_nanos: Nanos = Nanos(0)
    saved_estimated: bool = False
    held_nanos: Nanos = Nanos(0)
    price_version: Slug | None = None
    priced: bool = True
    queue_us: int = 0
    overhead_us: int = 0
    first_byte_us: int | None = None
    total_us: int = 0
    source: Origin = Origin.PROXIED

    @staticmethod
    def check_all(values: tuple[Any, ...]) -> None:
        """Refuse what is neither a number nor a name.

        Raises:
            TypeError: with the field's name.
        """
        if not _ALLOWED.issuperset(map(type, values)):
            _refuse(NAMES, values)


@quick
@dataclass(frozen=True, slots=True)
class Opening:
    """A call that is about to be forwarded, as far as it is known then: the fields of its Record by name.

    held_nanos is what the call is counted at, if the process dies before it ends.
    """

    id: Slug
    at: int
    org: Slug | None = None
    project: Slug | None = None
    key_id: Slug | None = None
    feature: Slug | None = None
    environment: Slug | None = None
    customer: Slug | None = None
    session: Slug | None = None
    dialect: Slug | None = None
    path_kind: PathKind = PathKind.OTHER
    model_requested: Slug | None = None
    model_routed: Slug | None = None
    provider: Slug | None = None
    tier: Slug | None = None
    route_reason: Slug | None = None
    task: Slug | None = None
    task_confidence: int | None = None
    stream: bool = False
    held_nanos: Nanos = Nanos(0)
    price_version: Slug | None = None

    @staticmethod
    def check_all(values: tuple[Any, ...]) -> None:
        """Refuse what is neither a number nor a name.

        Raises:
            TypeError: with the field's name.
        """
        if not _ALLOWED.issuperset(map(type, values)):
            _refuse(OPENING_NAMES, values)


_ALLOWED: Final = frozenset({int, bool, Slug, PathKind, Outcome, Origin, Source, type(None)})


def _refuse(names: Sequence[str], values: Sequence[Any]) -> NoReturn:
    name = next(name for name, value in zip(names, values, strict=True) if type(value) not in _ALLOWED)
    raise TypeError(f"{name} is neither a number nor a name")


NAMES: Final = tuple(field.name for field in fields(Record))
"""The columns, in order."""

VALUES: Final[Callable[[Record], tuple[Any, ...]]] = attrgetter(*NAMES)
"""A record's values, in the order of NAMES."""

OPENING_NAMES: Final = tuple(field.name for field in fields(Opening))
"""The columns that an opening has, in order."""

OPENING_VALUES: Final[Callable[[Opening], tuple[Any, ...]]] = attrgetter(*OPENING_NAMES)
"""An opening's values, in the order of OPENING_NAMES."""


def restore(values: Sequence[Any]) -> Record:
    """The Record whose values, in the order of NAMES, a journal or a store has kept.

    Raises:
        ValueError, TypeError: a value is not one that its column may have. It is not quoted.
    """
    try:
        return Record(
            **{
                name: value if value is None or read is None else read(value)
                for name, read, value in zip(NAMES, _READERS, values, strict=True)
            }
        )
    except ValueError:
        raise ValueError("not the values of a record") from None


def restore_field(name: str, value: Any) -> Any:
    """One kept value as the type of its field.

    Raises:
        ValueError: no such field, or not a value that it may have.
    """
    read = _READERS[NAMES.index(name)]
    return value if value is None or read is None else read(value)


def _reader(hint: Any) -> Callable[[Any], Any] | None:
    """What turns a kept value into the type of its field; None where it is kept as it is."""
    (kind,) = set(get_args(hint) or [hint]) - {type(None)}
    if kind is Slug or kind is bool or (isinstance(kind, type) and issubclass(kind, Enum)):
        return kind
    return None


_hints = get_type_hints(Record)
_READERS: Final = tuple(_reader(_hints[name]) for name in NAMES)
