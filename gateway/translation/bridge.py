"""Which dialect a call goes out in, and what carries its answer back."""

from collections.abc import Set
from typing import Final

from gateway.content import Content, Purpose
from gateway.contracts import Call, Headers
from gateway.errors import UpstreamAnswer, UpstreamBusy, UpstreamError
from gateway.names import Slug
from gateway.records import PathKind
from gateway.translation import TONGUES
from gateway.translation.canonical import Begin, Broken, Complaint, End, Event
from gateway.translation.losses import Loss, Losses
from gateway.translation.tongue import Aim, Reader, Reply, Tongue, Writer

_OF_ITS_BODY: Final = frozenset({"content-type", "content-length", "content-encoding", "etag"})
"""Header fields that speak of the bytes as the provider sent them."""


def bridge(call: Call, speaks: Set[Slug]) -> Slug | None:
    """The dialect in which a provider is to be asked; None when there is none.

    The caller's own where the provider speaks that, else one that the call can be translated to. A count
    of tokens stays in the caller's: where the provider has no word for it, nobody is asked.
    """
    if call.dialect in speaks or (call.kind is PathKind.COUNT and not speaks.isdisjoint(TONGUES)):
        return call.dialect
    if call.dialect not in TONGUES:
        return None
    return next((name for name in TONGUES if name in speaks), None)


class Passage:
    """One call, put into a provider's dialect.

    Args:
        to: the provider's dialect.
        reply: what the answer in the caller's dialect needs.
        strict: refuse the call for whatever would be dropped.

    Attributes:
        call: what the provider is asked, in its own dialect.
        dropped: the features that it could not be asked for.

    Raises:
        CallerError: bad_request, cannot_translate.
    """

    __slots__ = ("_from", "_reply", "_to", "call", "dropped")

    def __init__(self, call: Call, to: Slug, aim: Aim, reply: Reply, strict: bool) -> None:
        self._from, self._to, self._reply = TONGUES[call.dialect], TONGUES[to], reply
        losses = Losses(strict)
        ask = self._from.read_ask(call, losses)
        body = self._to.write_ask(ask, aim, losses)
        self.call = self._to.call(ask, aim, call, body)
        self.dropped = tuple(losses.dropped)

    def carrier(self) -> "Carrier":
        """What carries one answer back, a fresh one for each attempt."""
        return Carrier(self._to.reader(self._reply.call.stream), self._from.writer(self._reply))

    def headers(self, headers: Headers) -> Headers:
        """An answer's header fields, with those that speak of its body in the caller's dialect."""
        kept = tuple(pair for pair in headers if pair[0] not in _OF_ITS_BODY)
        return (*self._from.headers(self._reply), *kept)

    def complaint(self, answer: UpstreamAnswer) -> UpstreamAnswer:
        """A provider's error answer in the caller's dialect."""
        said = self._to.read_complaint(answer.status, answer.body.open(Purpose.TRANSLATE))
        body = self._from.write_complaint(Complaint(answer.status, said.message))
        kept = tuple(pair for pair in answer.headers if pair[0] not in _OF_ITS_BODY)
        return UpstreamAnswer(answer.status, (("content-type", "application/json"), *kept), Content(body))


class Carrier:
    """Carries one answer over: a Filter of the provider's bytes into the caller's."""

    __slots__ = ("_ended", "_error", "_reader", "_writer")

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer
        self._ended = False
        self._error: UpstreamError | None = None

    def feed(self, chunk: bytes) -> bytes:
        """What the caller is sent for these bytes.

        Raises:
            UpstreamError: the provider reported an error before these bytes, or in front of them.
        """
        return self._write(self._reader.feed(chunk))

    def finish(self) -> bytes:
        """What closes the answer.

        Raises:
            UpstreamError: upstream_cut, the answer did not come to its end; or what it reported.
        """
        last = self._write(self._reader.finish())
        if self._error is not None:
            raise self._error
        if not self._ended:
            raise UpstreamError("upstream_cut")
        return last + self._writer.finish()

    def _write(self, events: list[Event]) -> bytes:
        if self._error is not None:
            raise self._error
        sound: list[Event] = []
        for event in events:
            if isinstance(event, Broken):
                self._error = (
                    UpstreamBusy("upstream_busy") if event.busy else UpstreamError("upstream_failed")
                )
                break
            self._ended = self._ended or isinstance(event, End)
            sound.append(event)
        if self._error is not None and all(isinstance(event, Begin) for event in sound):
            raise self._error
        return self._writer.write(sound)


def losses_of(caller: Tongue, provider: Tongue) -> dict[Slug, Loss]:
    """What a call can lose between two dialects: what the one cannot hand over, and the other cannot say."""
    return {**caller.AS_CALLER, **provider.AS_PROVIDER}
