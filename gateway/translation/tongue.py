"""What a dialect must be able to do to be translated, and what a translation is told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.contracts import Call, Headers
from gateway.names import Slug
from gateway.translation.canonical import Ask, Complaint, Event
from gateway.translation.losses import Loss, Losses


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """The model that a call is written for.

    Attributes:
        model: as the provider knows it.
        max_output: output tokens to allow where the dialect must name a number and the caller named none.
    """

    model: str
    max_output: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the writer of an answer must know of the call that it answers.

    Attributes:
        id: our request id: dialects' answers have ids of their own form made of it.
        model: the name that the answer gives as its model: what the caller asked for.
        created_s: Unix time.
        call: the caller's call in the caller's dialect: whether it streams, wants usage, how it is framed.
    """

    id: Slug
    model: str
    created_s: int
    call: Call


class Reader(Protocol):
    """Turns a provider's answer into events. One for each answer; bounded; never raises on bad bytes.

    What is no valid answer becomes Broken.
    """

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that these bytes complete. A whole (not streamed) answer has them all at its end."""
        ...

    def finish(self) -> list[Event]:
        """The events that the end of the body completes. No End among all events: it was cut."""
        ...


class Writer(Protocol):
    """Turns events into the caller's dialect. One for each answer."""

    def write(self, events: Iterable[Event]) -> bytes:
        """What the caller is sent for these events; for a whole answer nothing before finish()."""
        ...

    def finish(self) -> bytes:
        """What closes the answer: the whole body, or the stream's end. Called only after an End."""
        ...


class Tongue(Protocol):
    """A dialect as translation sees it. Each module in gateway.translation named like a dialect is one."""

    @property
    def NAME(self) -> Slug:
        """The dialect's name in gateway.dialects.DIALECTS."""
        ...

    @property
    def AS_CALLER(self) -> Mapping[Slug, Loss]:
        """What of this dialect the middle form cannot hold: everything that read_ask() drops or refuses."""
        ...

    @property
    def AS_PROVIDER(self) -> Mapping[Slug, Loss]:
        """What the middle form can say and this dialect cannot: all that write_ask() drops or refuses."""
        ...

    def read_ask(self, call: Call, losses: Losses) -> Ask:
        """A caller's call. Opens its body for Purpose.TRANSLATE.

        Raises:
            CallerError: bad_request with the field in about; cannot_translate with the feature in about.
        """
        ...

    def write_ask(self, ask: Ask, aim: Aim, losses: Losses) -> dict[str, Any]:
        """The request's body for a provider, as a new JSON object.

        Raises:
            CallerError: cannot_translate with the feature in about.
        """
        ...

    def call(self, ask: Ask, aim: Aim, original: Call, body: dict[str, Any]) -> Call:
        """The Call of this dialect that carries the body: with the kind, verb and headers it needs."""
        ...

    def reader(self, stream: bool) -> Reader:
        """A reader for one answer of this dialect."""
        ...

    def writer(self, reply: Reply) -> Writer:
        """A writer for one answer in this dialect, streamed or whole as reply.call says."""
        ...

    def headers(self, reply: Reply) -> Headers:
        """The header fields of an answer in this dialect: its content type."""
        ...

    def read_complaint(self, status: int, body: bytes) -> Complaint:
        """A provider's error answer; an empty message when there is none to be found."""
        ...

    def write_complaint(self, complaint: Complaint) -> bytes:
        """The body of an error answer in this dialect."""
        ...
